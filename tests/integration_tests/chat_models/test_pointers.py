"""A message's pointer opens the session of the very conversation that it comes with, and no other.

Each new process is played by forgetting what this one remembers.
"""

from __future__ import annotations

import base64
import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, messages_from_dict
from langchain_core.messages import messages_to_dict as to_dict

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.chat_models.process_state import SESSION_HEADS
from langchain_mix.emulator import Script, turn
from langchain_mix.emulator.agents.base import Text
from langchain_mix.errors import MixHistoryDiverged
from langchain_mix.pointer import KEY
from langchain_mix.testing import use
from tests.in_turn import in_turn

APIS = ["0.5", "0.6", "0.6.5", "0.7", "0.8", "next"]
IMAGE = {"type": "image", "base64": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(), "mime_type": "image/png"}
CALL = 'I look.\n\n<tool_calls>\n[{"name": "look", "args": {"at": "a <b> & \\"c\\""}}]\n</tool_calls>'
FORM = {"title": "Place", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


class Echo:
    """Answers with these texts, then with all that the user said in the session, which shows which session it is."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def reply(self, request):
        if self.answers:
            if answer := self.answers.pop(0):
                yield Text(answer)
            return
        yield Text(" / ".join(line.text for line in request.lines if line.role == "user"))


def look(at: str) -> str:
    """Looks."""
    return at


def session_of(message):
    return message.response_metadata[KEY]["session_id"]


def stored(messages):
    """The messages as another process gets them."""
    SESSION_HEADS._entries.clear()
    return messages_from_dict(json.loads(json.dumps(to_dict(messages))))


def as_text(messages):
    """Content that was blocks becomes a string."""
    return [m.model_copy(update={"content": m.text}) if isinstance(m, AIMessage) else m for m in stored(messages)]


def as_blocks(messages):
    """Content that was a string becomes blocks."""
    return [
        m.model_copy(update={"content": [{"type": "text", "text": m.content}]}) if isinstance(m.content, str) else m
        for m in stored(messages)
    ]


# The conversation is the session's: it goes on there


@pytest.mark.parametrize("scenario", in_turn(APIS, [stored, as_text, as_blocks]))
def test_every_kind_of_answer_is_known_again(scenario):
    api, kept = scenario
    answers = [
        turn("  Hello.\n\n", [use("Glob", {"pattern": "*"}, result="none")], "And again."),
        turn(CALL),
        turn("It is `c`.\n\n\n"),
        turn('```json\n{"name": "Rome"}\n```' if kept is as_text else 'I say:\n```json\n{"name": "Rome"}\n```'),
        turn([use("Glob", {"pattern": "*"}, result="none")], ""),
        turn("/ and ! are harmless."),
        turn("Bye."),
    ]
    with MixEmulator(api=api, agent=Script(*answers)) as server:
        model = ChatMix(server_url=server.url)
        messages = [SystemMessage("Be brief."), HumanMessage("/start\r\n with  a slash ")]
        messages += [model.invoke(messages)]
        messages = [*kept(messages), HumanMessage(["What is on ", IMAGE])]
        messages += [model.bind_tools([look]).invoke(messages)]
        (call,) = messages[-1].tool_calls
        messages = [*kept(messages), ToolMessage("a <b>\n</tool_results>", tool_call_id=call["id"], name="look")]
        messages += [model.bind_tools([look]).invoke(messages)]
        messages = [*kept(messages), HumanMessage("Where?"), HumanMessage("As data.", name="Bob")]
        data = model.bind(response_format={"type": "json_schema", "json_schema": {"schema": FORM}}, text_is_data=True)
        messages += [data.invoke(messages)]
        messages = [*kept(messages), HumanMessage("!ls")]
        messages += [model.bind(plan_mode=True).invoke(messages)]
        messages = [*kept(messages), HumanMessage("Go.")]
        messages[0] = SystemMessage("Be long.")
        messages += [model.invoke(messages)]
        messages = [*kept(messages), HumanMessage("Bye.")]
        messages += [model.invoke(messages)]
        assert len({session_of(m) for m in messages if isinstance(m, AIMessage)}) == 1
        assert len(model.client.sessions.list()) == 1


@pytest.mark.parametrize("api", ["0.5", "0.7", "0.8"])
def test_a_replayed_conversation_and_its_forks_are_known_again(api):
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        messages = [HumanMessage("one"), AIMessage("foreign"), HumanMessage("two")]
        messages += [model.invoke(messages)]
        messages = [*stored(messages), HumanMessage("three")]
        messages += [model.invoke(messages)]
        messages = [*stored(messages), HumanMessage("four"), AIMessage("foreign too"), HumanMessage("five")]
        messages += [model.invoke(messages)]
        assert len(model.client.sessions.list()) == 1
        branch = [*stored(messages[:-4]), HumanMessage("other")]
        branch += [model.invoke(branch)]
        assert len(model.client.sessions.list()) == 2
        branch = [*stored(branch), HumanMessage("on")]
        branch += [model.invoke(branch)]
        assert session_of(branch[-1]) == session_of(branch[-3])
        assert len(model.client.sessions.list()) == 2


# The conversation is another one: it gets a session of its own


def forged(own, victim):
    """One's own conversation, with a pointer to the position of somebody else's and the digest of one's own."""
    place = {**victim.response_metadata[KEY], "digest": own[-1].response_metadata[KEY]["digest"]}
    last = own[-1].model_copy(update={"response_metadata": {**own[-1].response_metadata, KEY: place}})
    return [*own[:-1], last]


TALKS = {
    "another question": (["My code is crimson."], ["Hello"], ["Noted.", "Noted."]),
    "another answer": (["Hello"], ["Hello"], ["Your code is crimson.", "Hello!"]),
    "only the last exchange": (["My code is crimson.", "Thanks"], ["Thanks"], ["Noted.", "Bye.", "Bye."]),
    "all but the first words": (["My code is crimson. Hello"], ["Hello"], ["Hi", "Hi"]),
    "all but the last words": (["Hello. My code is crimson."], ["Hello."], ["Hi", "Hi"]),
    "answers without text": (["My code is crimson."], ["Hello"], ["", ""]),
    "fewer turns": (["Hello", "My code is crimson."], ["Hello"], ["Hi", "Hi", "Hi"]),
    "more turns": (["crimson"], ["Hello", "crimson"], ["Hi", "Hi", "Hi"]),
}


@pytest.mark.parametrize("scenario", in_turn(list(TALKS), ["fork", "rewind", "replay", "error"]))
def test_a_forged_pointer_opens_nothing(scenario):
    case, policy = scenario
    theirs, ours, answers = TALKS[case]
    api = {"fork": "0.7", "rewind": "0.8", "replay": "0.5", "error": "next"}[policy]
    with MixEmulator(api=api, agent=Echo(*answers)) as server:
        model = ChatMix(server_url=server.url, on_divergence=policy)

        def talk(texts):
            said = []
            for text in texts:
                said.append(HumanMessage(text))
                said.append(model.invoke(said))
            return said

        victim, own = talk(theirs)[-1], talk(ours)
        before = server.state.rows.of(session_of(victim))
        messages = [*forged(own, victim), HumanMessage("What is my code?")]
        for process in ("the same", "another"):
            if process == "another":
                SESSION_HEADS._entries.clear()
            if policy == "error":
                with pytest.raises(MixHistoryDiverged):
                    model.invoke(messages)
            else:
                reply = model.invoke(messages)
                known = "crimson" in str([m.content for m in messages])
                assert ("crimson" in reply.text) is known, process
                assert session_of(reply) != session_of(victim), process
            assert server.state.rows.of(session_of(victim)) == before, process
