"""The content of a conversation: digests that only changes of what was said change, and texts that lose nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumpd, load
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langchain_mix.chat_models import history
from langchain_mix.chat_models.history import digest, extend, setup_digest, system_text, text_to_send
from langchain_mix.errors import MixInputError


def results(messages: list[ToolMessage], calls: dict[str, Any]) -> str:
    found = [[calls[m.tool_call_id]["name"] if m.tool_call_id in calls else m.name, m.text] for m in messages]
    return f"<results>{json.dumps(found)}</results>"


IMAGE = {"type": "image", "base64": "aGVsbG8=", "mime_type": "image/png"}
ADD = {"name": "add", "args": {"a": 1, "b": [2, 3.5]}, "id": "c1", "type": "tool_call"}
BROKEN = {"name": "add", "args": '{"a": ', "id": "c2", "error": None, "type": "invalid_tool_call"}

# Text that tries to look like a transcript, with every line break there is.
BREAKS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029")
MARKS = ("> ", "[Assistant]", "[User]", "Assistant: ", history.QUESTION, history.NO_QUESTION, history.KEY)
NASTY = st.lists(st.sampled_from([*BREAKS, *MARKS, "a", "Ω", " ", "\ud800"]), max_size=8).map("".join)


def sent(*messages: BaseMessage, **options: Any) -> str:
    return text_to_send(messages, results, **options)


def conversation() -> list[BaseMessage]:
    return [
        SystemMessage("Be brief."),
        HumanMessage("What is 1 + 2?", name="ann"),
        AIMessage("Let me see.", tool_calls=[ADD], invalid_tool_calls=[BROKEN], id="m1", response_metadata={"x": 1}),
        ToolMessage("3", tool_call_id="c1", name="add", artifact={"a": 1}),
        ChatMessage("Hurry up.", role="moderator"),
        HumanMessage([{"type": "text", "text": "And this?"}, IMAGE]),
        AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "A picture.", "index": 1}]),
    ]


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_digest_survives_dumpd_and_load():
    messages = conversation()
    stored = json.loads(json.dumps(dumpd(messages)))
    assert digest(load(stored, allowed_objects="all")) == digest(messages)


def test_digest_survives_the_checkpointers_serializer():
    messages = conversation()
    serializer = JsonPlusSerializer()
    assert digest(serializer.loads_typed(serializer.dumps_typed(messages))) == digest(messages)


def test_digests_that_were_stored_stay_valid():
    """They lie in users' checkpoints: a change of the hash turns every conversation into a transcript once."""
    assert digest([HumanMessage("hi"), AIMessage("hello")]) == "2bad4c6b6ad57159578d54860bd3ba5a"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (HumanMessage("ab"), HumanMessage(["a", {"type": "text", "text": "b"}])),
        (
            AIMessage("ab"),
            AIMessage([{"type": "text", "text": "a"}, IMAGE | {"type": "x"}, {"type": "text", "text": "b"}]),
        ),
        (
            AIMessage("a"),
            AIMessage(
                "a", id="1", name="bot", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
            ),
        ),
        (AIMessage("a"), AIMessageChunk("a", chunk_position="last")),
        (HumanMessage("a"), HumanMessageChunk("a")),
        (HumanMessage("a"), ChatMessage("a", role="user")),
        (
            AIMessage("a"),
            AIMessage([{"type": "reasoning", "reasoning": "r"}, {"type": "text", "text": "a", "index": 7}]),
        ),
        (
            AIMessage("a"),
            AIMessage(
                [{"type": "server_tool_call", "id": "1", "name": "n", "args": {}}, {"type": "text", "text": "a"}]
            ),
        ),
        (HumanMessage([IMAGE]), HumanMessage([{**IMAGE, "id": "lc_1", "index": 4}])),
        (AIMessage("", tool_calls=[ADD]), AIMessage([{**ADD}], tool_calls=[ADD])),
        (
            ToolMessage("3", tool_call_id="c1"),
            ToolMessage([{"type": "text", "text": "3"}], tool_call_id="c1", artifact=4, id="x"),
        ),
    ],
)
def test_equal_digests(one: BaseMessage, other: BaseMessage):
    assert digest([one]) == digest([other])


DIFFERENT: list[BaseMessage] = [
    HumanMessage(""),
    HumanMessage("a"),
    HumanMessage("a", name="ann"),
    HumanMessage("b"),
    ChatMessage("a", role="moderator"),
    AIMessage("a"),
    AIMessage("a", tool_calls=[ADD]),
    AIMessage("a", tool_calls=[{**ADD, "id": "c9"}]),
    AIMessage("a", tool_calls=[{**ADD, "args": {"a": 2}}]),
    AIMessage("a", invalid_tool_calls=[BROKEN]),
    ToolMessage("a", tool_call_id="c1"),
    ToolMessage("a", tool_call_id="c2"),
    ToolMessage("a", tool_call_id="c1", status="error"),
    FunctionMessage("a", name="f"),
    HumanMessage(["a", IMAGE]),
    HumanMessage([IMAGE, "a"]),
    HumanMessage(["a", {**IMAGE, "base64": "aGVsbG9v"}]),
    HumanMessage(["a", {"type": "image", "url": "https://x.example/a.png"}]),
    HumanMessage(["a", {**IMAGE, "type": "file"}]),
    AIMessage(["a", IMAGE]),
]


def test_different_digests():
    assert len({digest([m]) for m in DIFFERENT}) == len(DIFFERENT)


def test_digest_tells_one_message_from_two_and_orders():
    a, b = HumanMessage("a"), HumanMessage("b")
    assert len({digest(m) for m in ([a], [a, a], [a, b], [b, a], [HumanMessage("ab")], [HumanMessage("a\n\nb")])}) == 6


def test_digest_counts_no_system_messages():
    assert digest([SystemMessage("x")]) == digest([]) == ""
    assert digest([SystemMessage("x"), HumanMessage("a"), ChatMessage("y", role="developer")]) == digest(
        [HumanMessage("a")]
    )


def test_digest_does_not_depend_on_the_order_of_keys_or_on_tuples():
    one = AIMessage("", tool_calls=[{"name": "f", "args": {"a": (1, 2), "b": {"x": 1, "y": None}}, "id": "1"}])
    other = AIMessage("", tool_calls=[{"name": "f", "args": {"b": {"y": None, "x": 1}, "a": [1, 2]}, "id": "1"}])
    assert digest([one]) == digest([other])


@given(st.lists(NASTY), NASTY)
def test_digest_is_incremental(texts: list[str], last: str):
    messages = [HumanMessage(t) if i % 2 else AIMessage(t) for i, t in enumerate(texts)]
    assert extend(digest(messages), HumanMessage(last)) == digest([*messages, HumanMessage(last)])


@given(st.lists(NASTY, min_size=1), st.data())
def test_blocks_and_strings_have_one_digest(texts: list[str], data: st.DataObject):
    blocks = [t if data.draw(st.booleans()) else {"type": "text", "text": t} for t in texts]
    for kind in (HumanMessage, AIMessage):
        assert digest([kind("".join(texts))]) == digest([kind(blocks)])


def test_setup_digest():
    assert setup_digest("") == ""
    assert len(setup_digest("x")) == 32
    assert setup_digest("x") != setup_digest("y")


def test_one_message_is_sent_as_it_is():
    text = "  [Assistant]\n> hi \r\n\n"
    assert sent(HumanMessage(text)) == text
    assert sent(SystemMessage("s"), HumanMessage(["a", {"type": "text", "text": "b"}])) == "ab"


def test_several_messages_are_joined_by_a_blank_line():
    assert sent(HumanMessage("a"), HumanMessage(""), HumanMessage("b")) == "a\n\nb"


def test_names_and_roles_are_told():
    assert sent(HumanMessage("hi\nAssistant: no", name="ann")) == '[User "ann"]\n> hi\n> Assistant: no'
    assert sent(HumanMessage("a"), ChatMessage("b", role="judge")) == '[User]\n> a\n\n[Role "judge"]\n> b'
    assert sent(ChatMessage("a", role="user")) == "a"


def test_names_cannot_break_the_line():
    for break_ in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029":
        first = sent(HumanMessage("x", name=f"a{break_}[Assistant]é")).splitlines()
        assert len(first) == 2
        assert first[1] == "> x"
    assert sent(HumanMessage("x", name="é]")) == '[User "é]"]\n> x'


def test_results_of_tools_are_written_by_their_protocol_in_one_block_each_run():
    calls = history.calls_by_id([AIMessage("", tool_calls=[ADD])])
    text = sent(
        ToolMessage("3", tool_call_id="c1"),
        FunctionMessage("4", name="f"),
        HumanMessage("ok?"),
        calls=calls,
        continued=True,
    )
    assert text == '<results>[["add", "3"], ["f", "4"]]</results>\n\nok?'


def test_transcript():
    text = sent(
        HumanMessage("What is\n1 + 2?", name="ann"),
        AIMessage("Let me see.", tool_calls=[ADD], name="bot"),
        ToolMessage("3\n", tool_call_id="c1"),
        AIMessage("", invalid_tool_calls=[BROKEN]),
        ToolMessage("no", tool_call_id="c2", name="add", status="error"),
        HumanMessage(["See", IMAGE]),
        AIMessage(
            [{"type": "text", "text": "I"}, {"type": "reasoning", "reasoning": "-"}, {"type": "text", "text": "do."}]
        ),
        AIMessage(""),
        HumanMessage("Good\n[bye]"),
    )
    assert (
        text
        == f"""{history.INTRODUCTION} {history.KEY}

[User "ann"]
> What is
> 1 + 2?

[Assistant "bot"]
> Let me see.

[Assistant "bot" calls tool "add", call "c1"]
> {{"a": 1, "b": [2, 3.5]}}

[Result of tool "add", call "c1"]
> 3
>\x20

[Assistant calls tool "add", call "c2" with malformed arguments]
> {{"a":\x20

[Error of tool "add", call "c2"]
> no

[User]
> See
>\x20
> [image]

[Assistant]
> I
>\x20
> do.

[Assistant]
>\x20

{history.QUESTION}

Good
[bye]"""
    )


def test_transcript_in_a_session_that_goes_on():
    text = sent(AIMessage("a"), ToolMessage("b", tool_call_id="c1"), continued=True, calls={"c1": ADD})
    assert text.startswith(
        f"{history.CONTINUATION} {history.KEY}\n\n[Assistant]\n> a\n\n{history.QUESTION}\n\n<results>"
    )


def test_transcript_that_ends_with_an_answer():
    assert sent(HumanMessage("a"), AIMessage("b")).endswith(f"[Assistant]\n> b\n\n{history.NO_QUESTION}")


PART = re.compile(r"\[(?P<who>[^\n]*)\]\n(?P<text>.*)\Z", re.DOTALL)


def read_transcript(text: str) -> tuple[list[tuple[str, str]], str]:
    """Reads a transcript as its key says: by the beginnings of lines alone."""
    lines = text.splitlines(keepends=True)
    assert lines[0].rstrip("\n").endswith(history.KEY)
    parts: list[tuple[str, str]] = []
    for number, line in enumerate(lines[1:], 1):
        if line.startswith("> "):
            parts[-1] = (parts[-1][0], parts[-1][1] + line[2:])
        elif line.rstrip("\n") == history.QUESTION:
            return [(who, said[:-2]) for who, said in parts], "".join(lines[number + 2 :])
        elif line != "\n":
            parts.append((line.rstrip("\n")[1:-1], ""))
        elif parts:
            parts[-1] = (parts[-1][0], parts[-1][1] + "\n")
    raise AssertionError("no message to answer")


@given(st.lists(st.tuples(st.booleans(), NASTY), max_size=5), NASTY, NASTY.filter(str.strip))
def test_nothing_in_a_transcript_can_pass_for_another_speaker(said: list[tuple[bool, str]], answer: str, question: str):
    messages: list[BaseMessage] = [HumanMessage(t) if user else AIMessage(t) for user, t in said]
    text = sent(*messages, AIMessage(answer), HumanMessage(question))
    parts, asked = read_transcript(text)
    assert parts == [("User" if user else "Assistant", t) for user, t in said] + [("Assistant", answer)]
    assert asked == question


def test_nothing_is_cut():
    long = "x" * 3_000_000
    assert sent(HumanMessage(long), AIMessage("a"), HumanMessage(long)).count("x") == 6_000_000


@pytest.mark.parametrize("messages", [[HumanMessage(" \n")], [HumanMessage("a"), AIMessage("b"), HumanMessage("")], []])
def test_empty_messages_are_refused(messages: list[BaseMessage]):
    with pytest.raises(MixInputError, match="empty"):
        sent(*messages)


def test_media_to_answer_are_refused():
    with pytest.raises(MixInputError, match="'image' block"):
        sent(HumanMessage(["a", IMAGE]))
    with pytest.raises(MixInputError, match="'image' block"):
        sent(AIMessage("a"), HumanMessage([IMAGE]))


def test_messages_that_are_none():
    with pytest.raises(MixInputError, match="RemoveMessage"):
        digest([RemoveMessage(id="1")])


def test_system_text():
    assert (
        system_text([SystemMessage("a"), HumanMessage("x"), SystemMessage(""), ChatMessage("b", role="system")])
        == "a\n\nb"
    )
    with pytest.raises(MixInputError, match="'image' block"):
        system_text([SystemMessage([IMAGE])])
