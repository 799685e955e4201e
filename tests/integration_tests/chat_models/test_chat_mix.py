"""ChatMix on every generation: the same reply from invoke, ainvoke, stream and astream."""

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
from langchain_mix.emulator import DropEvent, Faults, Script, say, think, turn, use
from langchain_mix.emulator.agents import Usage
from langchain_mix.errors import MixAgentError, MixInputError, MixTextGap, MixTurnTimeout
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.api import ALL, CAPABILITIES

APIS = [str(v) for v in ALL]


def script():
    return Script(
        turn(
            [*think("Let me look. "), *say("First I look. "), use("Grep", {"pattern": "x"}, result="a.txt:1: x")],
            [*think("Found."), *say("It is in a.txt.")],
        ),
        loop=True,
    )


async def replies(model, text):
    """The reply, had in all four ways."""
    yield "invoke", model.invoke(text)
    yield "ainvoke", await model.ainvoke(text)
    whole = None
    for chunk in model.stream(text):
        whole = chunk if whole is None else whole + chunk
    yield "stream", whole
    whole = None
    async for chunk in model.astream(text):
        whole = chunk if whole is None else whole + chunk
    yield "astream", whole


def shape(message):
    """Content without what differs between two turns, ids and times, and between chunks and messages."""
    blocks = []
    for block in message.content_blocks:
        kept = {k: v for k, v in block.items() if k not in {"id", "tool_call_id", "extras", "index"}}
        blocks.append(kept)
    return blocks


@pytest.mark.parametrize("api", APIS)
async def test_all_ways_give_the_same_reply(api):
    with MixEmulator(api=api, agent=script()) as server:
        model = ChatMix(server_url=server.url)
        got = [(way, reply) async for way, reply in replies(model, "Where is x?")]
    shapes = [shape(reply) for _, reply in got]
    assert shapes[0] == shapes[1] == shapes[2] == shapes[3]
    kinds = [block["type"] for block in shapes[0]]
    assert kinds == ["reasoning", "text", "server_tool_call", "server_tool_result", "reasoning", "text"]
    assert shapes[0][2]["args"] == {"pattern": "x"}
    assert shapes[0][3]["status"] == "success"
    if CAPABILITIES[server.api].tool_results:
        assert shapes[0][3]["output"] == "a.txt:1: x"
    for way, reply in got:
        assert reply.text == "First I look. It is in a.txt.", way
        assert reply.tool_calls == [], way
        assert reply.usage_metadata["total_tokens"] > 0, way
        assert reply.response_metadata["model_provider"] == "mix", way


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


@pytest.mark.parametrize(
    ("field", "value", "seen"),
    [
        ("plan_mode", True, lambda r: r.plan_mode is True),
        ("thinking_level", "maximum", lambda r: r.thinking_level == "maximum"),
        ("system_prompt", "Only facts.", lambda r: "Only facts." in r.system_prompt),
        ("prompt_mode", "replace", lambda r: r.prompt_mode == "replace"),
    ],
)
def test_options_reach_the_agent(field, value, seen):
    agent = Script(loop=True)
    options = {"system_prompt": "P", field: value}
    with MixEmulator(api="0.8", agent=agent) as server:
        ChatMix(server_url=server.url, **options).invoke("Hi")
    assert seen(agent.requests[0])


def test_max_steps_ends_a_turn_that_goes_on():
    agent = Script(
        turn([use("Grep", {"pattern": "x"}, result="r")], [use("Grep", {"pattern": "y"}, result="r")], say("End"))
    )
    with MixEmulator(api="0.8", agent=agent) as server, pytest.raises(MixAgentError, match="maximum iteration limit"):
        ChatMix(server_url=server.url, max_steps=1).invoke("Hi")


def test_permissions_are_denied_unless_allowed():
    agent = Script(turn([use("Write", {"file_path": "a.txt", "content": "x"}, ask=True)], say("Done.")), loop=True)
    with MixEmulator(api="0.8", agent=agent) as server:
        denied = ChatMix(server_url=server.url, permissions="deny").invoke("Write")
        allowed = ChatMix(server_url=server.url, permissions="allow").invoke("Write")
    results = [[b for b in reply.content_blocks if b["type"] == "server_tool_result"][0] for reply in (denied, allowed)]
    assert [r["status"] for r in results] == ["error", "success"]


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


def test_a_turn_that_takes_too_long_is_cancelled():
    from langchain_mix.emulator import Gate
    from langchain_mix.emulator.agents.base import Wait

    agent = Script(turn([*say("Half"), Wait(Gate())]))
    with MixEmulator(api="0.8", agent=agent) as server:
        with pytest.raises(MixTurnTimeout) as caught:
            ChatMix(server_url=server.url, timeout=0.5).invoke("Hi")
        assert caught.value.turn.text == "Half"
        assert [r.path for r in server.requests if r.path.endswith("/cancel")]


def test_retention_delete_leaves_no_session():
    with MixEmulator(api="0.8") as server:
        ChatMix(server_url=server.url, retention="delete").invoke("What is 2+2?")
        assert server.state.sessions.listing(include_subagents=True) == []


def test_lost_text_is_mended_in_invoke_and_an_error_in_stream():
    faults = Faults(DropEvent(event="content", nth=2, count=1))
    agent = Script(say("one two three four five six"), loop=True)
    with MixEmulator(api="0.8", agent=agent, faults=faults) as server:
        assert ChatMix(server_url=server.url).invoke("Hi").text == "one two three four five six"
    faults = Faults(DropEvent(event="content", nth=2, count=1))
    with MixEmulator(api="0.8", agent=agent, faults=faults) as server, pytest.raises(MixTextGap) as caught:
        list(ChatMix(server_url=server.url).stream("Hi"))
    assert caught.value.turn.text == "one two three four five six"


@pytest.mark.parametrize(
    "messages",
    [[], [SystemMessage("only")], [HumanMessage("  ")], [HumanMessage([{"type": "image", "base64": "!"}])]],
)
def test_what_cannot_be_sent_is_refused_before_anything_is(messages):
    with MixEmulator(api="0.8") as server:
        with pytest.raises((MixInputError, ValueError)):
            ChatMix(server_url=server.url).invoke(messages)
        assert not server.requests


def test_an_unknown_option_is_refused():
    with pytest.raises(ValueError, match="temprature"):
        ChatMix(temprature=1)
