"""What one call of ChatMix does: its session, its chunks, its title, what tracers read of it, what is refused."""

from __future__ import annotations

import json
import warnings
from unittest.mock import MagicMock

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.tracers.langchain import LangChainTracer

from langchain_mix import ChatMix, MixEmulator, MixPermissionWarning
from langchain_mix.emulator import Script, say, think, turn, use
from langchain_mix.emulator.agents import Usage
from langchain_mix.errors import MixInputError
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.api import ALL

APIS = [str(v) for v in ALL]


def script():
    return Script(
        turn(
            [*think("Let me look. "), *say("First I look. "), use("Grep", {"pattern": "x"}, result="a.txt:1: x")],
            [*think("Found."), *say("It is in a.txt.")],
        ),
        loop=True,
    )


@pytest.mark.parametrize("api", APIS)
def test_each_call_has_a_session_of_its_own_and_says_which(api):
    with MixEmulator(api=api) as server:
        model = ChatMix(server_url=server.url, title="T")
        pointers = [read_pointer(model.invoke(text).response_metadata) for text in ("What is 2+2?", "What is 3+3?")]
        assert pointers[0].session_id != pointers[1].session_id
        for pointer in pointers:
            rows = server.state.rows.of(pointer.session_id)
            assert [row.role for row in rows] == ["user", "assistant"]
            assert rows[-1].id == pointer.message_id
            assert rows[0].id == pointer.user_message_id
            assert pointer.row_count == 2
            assert pointer.server == server.url


def test_chunks_of_a_reply_share_one_id_and_only_the_last_one_counts():
    with MixEmulator(api="0.8", agent=script()) as server:
        chunks = list(ChatMix(server_url=server.url).stream("Where is x?"))
    assert len({chunk.id for chunk in chunks}) == 1
    assert [bool(chunk.usage_metadata) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert [chunk.chunk_position for chunk in chunks][-1] == "last"
    assert sum("mix" in chunk.response_metadata for chunk in chunks) == 1


def test_a_conversation_is_sent_as_a_transcript_and_its_system_messages_as_prompt():
    agent = Script(loop=True)
    with MixEmulator(api="0.8", agent=agent) as server:
        ChatMix(server_url=server.url, system_prompt="Be kind.").invoke(
            [SystemMessage("Be brief."), HumanMessage("I am Ada."), AIMessage("Hello Ada."), HumanMessage("Who am I?")]
        )
    (request,) = agent.requests
    assert "Be kind." in request.system_prompt
    assert "Be brief." in request.system_prompt
    for said in ("I am Ada.", "Hello Ada.", "Who am I?"):
        assert said in request.lines[-1].text


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
async def test_a_denial_that_nobody_chose_warns_once_for_each_tool(way):
    write = {"file_path": "a.txt", "content": "x"}
    agent = Script(
        turn([use("Write", write, ask=True), use("Bash", {"command": "x"}, ask=True)], say("Done.")), loop=True
    )
    with MixEmulator(api="0.8", agent=agent) as server:
        model = ChatMix(server_url=server.url)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                match way:
                    case "invoke":
                        model.invoke("Go")
                    case "stream":
                        list(model.stream("Go"))
                    case "ainvoke":
                        await model.ainvoke("Go")
                    case _:
                        assert [chunk async for chunk in model.astream("Go")]
            model.invoke("Go", permissions="deny")
        said = sorted(str(w.message) for w in caught if issubclass(w.category, MixPermissionWarning))
        assert [text.split("'")[1] for text in said] == ["Bash", "Write"]
        assert all("permissions=" in text for text in said)


@pytest.mark.parametrize(
    ("messages", "title"),
    [
        ("Which files\n are there?", "Which files are there?"),
        ("one two three four five six seven eight nine", "one two three four five six seven eight"),
        ("x" * 50, "x" * 40),
        ([("system", "Be short."), ("human", "Hi"), ("ai", "Yes?"), ("human", "More")], "Hi"),
    ],
)
def test_sessions_are_named_after_the_first_human_message(messages, title):
    with MixEmulator(api="0.6", agent=Script("Yes.", loop=True)) as server:
        model = ChatMix(server_url=server.url)
        model.invoke(messages)
        model.invoke(messages, title="Mine")
        created = [
            json.loads(r.body)["title"] for r in server.requests if (r.method, r.path) == ("POST", "/api/sessions")
        ]
    assert created == [title, "Mine"]


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_model_and_cost_reach_tracers(way, monkeypatch):
    usage = Usage(input_tokens=100, output_tokens=10, model="m1", cost=0.25)
    ended, runs = [], []
    monkeypatch.setattr(LangChainTracer, "_update_run_single", lambda _, run: runs.append(run))
    tracer = LangChainTracer(client=MagicMock())

    class Ends(BaseCallbackHandler):
        def on_llm_end(self, response, **kwargs):
            ended.append(response)

    with MixEmulator(api="0.8", agent=Script(turn([usage, *say("Hi")]), loop=True)) as server:
        model = ChatMix(server_url=server.url)
        config = {"callbacks": [tracer, Ends()]}
        reply = model.invoke("Go", config) if way == "invoke" else add_ai_message_chunks(*model.stream("Go", config))
        both = model.generate([[HumanMessage("a")], [HumanMessage("b")]])
    metadata = runs[0].extra["metadata"]
    assert metadata["ls_model_name"] == reply.response_metadata["model_name"] == "m1"
    assert metadata["usage_metadata"]["total_cost"] == 0.25
    assert metadata["usage_metadata"]["input_tokens"] == 100
    assert "total_cost" not in reply.usage_metadata
    if way == "invoke":
        told = {"model_name": "m1", "token_usage": reply.usage_metadata, "cost": 0.25}
        assert ended[0].llm_output == told
        assert both.llm_output["cost"] == 0.5


def test_what_cannot_be_sent_is_refused_before_anything_is():
    image = HumanMessage([{"type": "image", "base64": "!"}])
    with MixEmulator(api="0.8") as server:
        for messages in ([], [SystemMessage("only")], [HumanMessage("  ")], [image]):
            with pytest.raises((MixInputError, ValueError)):
                ChatMix(server_url=server.url).invoke(messages)
        assert not server.requests


def test_an_unknown_option_is_refused():
    with pytest.raises(ValueError, match="temprature"):
        ChatMix(temprature=1)
