"""Outputs of the Show tool as content blocks."""

from __future__ import annotations

import json
import operator
from functools import reduce

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGenerationChunk

from langchain_mix.chat_models.content_blocks import (
    METADATA,
    ReplyWriter,
    finished,
    is_show,
    replay_updates,
    shown_blocks,
    usage_metadata,
)
from langchain_mix.chat_models.history import digest
from langchain_mix.chat_models.reply_parser import ReplyParser
from langchain_mix.chat_models.response_schema import ResponseSchema
from langchain_mix.protocol.turn.updates import (
    Message,
    Progress,
    SubagentUpdate,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCall,
    ToolCalled,
    ToolFinished,
    ToolOutput,
    TurnResult,
    Usage,
)


@pytest.mark.parametrize(
    ("name", "shows"), [("Show", True), ("ShowMedia", True), ("show_media", True), ("Bash", False), ("", False)]
)
def test_the_tool_that_shows(name, shows):
    assert is_show(name) is shows


@pytest.mark.parametrize(
    ("output", "block"),
    [
        ({"type": "image", "path": "a.png"}, {"type": "image", "file_id": "a.png"}),
        ({"type": "image", "path": "https://x/a.png"}, {"type": "image", "url": "https://x/a.png"}),
        (
            {"type": "video", "path": "v.mp4", "startTime": 0, "duration": 3},
            {"type": "video", "file_id": "v.mp4", "extras": {"startTime": 0, "duration": 3}},
        ),
        (
            {"type": "audio", "path": "s.wav", "title": "S"},
            {"type": "audio", "file_id": "s.wav", "extras": {"title": "S"}},
        ),
        ({"type": "pdf", "path": "r.pdf"}, {"type": "file", "file_id": "r.pdf", "mime_type": "application/pdf"}),
        ({"type": "csv", "path": "t.csv"}, {"type": "file", "file_id": "t.csv", "mime_type": "text/csv"}),
    ],
)
def test_what_is_shown(output, block):
    assert shown_blocks(json.dumps({"outputs": [output]})) == [block]


@pytest.mark.parametrize(
    "output",
    [
        {"type": "gsap_animation", "config": "{}"},
        {"type": "image"},
        {"type": "image", "path": ""},
        {"type": "image", "path": 3},
        {},
    ],
)
def test_what_langchain_has_no_block_for_is_kept(output):
    assert shown_blocks(json.dumps({"outputs": [output]})) == [{"type": "non_standard", "value": output}]


@pytest.mark.parametrize(
    "arguments",
    ["", "{", "[]", "null", "3", "{}", '{"outputs": {}}', '{"outputs": null}', '{"outputs": ["x", 1, null]}'],
)
def test_arguments_that_show_nothing(arguments):
    assert shown_blocks(arguments) == []


SHOW = '{"outputs":[{"type":"image","path":"a.png"},{"type":"other"}]}'


def written(updates, speech=None, version="v1") -> tuple[ReplyWriter, AIMessage]:
    writer = ReplyWriter(speech, version)
    chunks = [chunk.message for update in updates for chunk in writer.write(update)]
    chunks += [chunk.message for chunk in writer.finish()]
    chunks.append(writer.last({"finish_reason": "stop"}, None).message)
    return writer, message_chunk_to_message(reduce(operator.add, chunks))


ids = st.sampled_from(["", "M1", "M2", "M3"])
texts = st.text("ab é\n", min_size=1, max_size=4)
calls = st.sampled_from(["c1", "c2", "c3"])
updates = st.lists(
    st.one_of(
        st.builds(TextDelta, ids, texts),
        st.builds(ThinkingDelta, ids, texts),
        st.builds(ToolCalled, calls, st.sampled_from(["Show", "Grep"]), st.sampled_from([SHOW, "{}", "broken"]), ids),
        st.builds(ToolFinished, calls, st.just("Grep"), st.booleans(), st.just("done")),
        st.builds(lambda text: SubagentUpdate("c1", TextDelta("S", text)), texts),
        st.just(Progress("reopened")),
    ),
    max_size=24,
)


@given(updates)
@example([TextDelta("M1", "a"), TextDelta("M2", "b"), TextDelta("M1", "c")])
@example([ToolCalled("c1", "Show", SHOW, "M1"), ToolFinished("c1", "Show", True, ""), TextDelta("M2", "a")])
def test_the_conversation_holds_what_the_chunks_merge_to(told):
    seen = set()
    once = [
        u
        for u in told
        if not (isinstance(u, ToolCalled | ToolFinished) and ((type(u), u.id) in seen or seen.add((type(u), u.id))))
    ]
    writer, message = written(once)
    assert writer.reply().text == message.text
    assert digest([writer.reply()]) == digest([message]), "the next call finds the conversation where it was"
    kinds: dict[int, str] = {}
    for block in message.content:
        assert kinds.setdefault(block["index"], block["type"]) == block["type"]
    assert sorted(kinds) == list(range(len(kinds)))
    assert len(message.content) == len(kinds), "every block once"
    assert sorted(message.text) == sorted("".join(u.text for u in once if isinstance(u, TextDelta)))


@given(updates)
@example([TextDelta("M1", "a"), TextDelta("M2", "b"), TextDelta("M1", "c")])
@example([TextDelta("M1", "a"), ThinkingDelta("M2", "b"), TextDelta("M1", "c"), TextDelta("M2", "d")])
@example([ToolFinished("c1", "Show", True, ""), TextDelta("M1", "a"), ToolOutput("c1", "o", is_error=False)])
@example([TextDelta("M1", "a"), ThinkingDelta("", "b"), TextDelta("M1", "c"), ThinkingDelta("M1", "d")])
def test_both_forms_say_the_same(told):
    (writer, v0), (_, v1) = written(told, version="v0"), written(told)
    assert writer.reply().text == v0.text
    assert digest([writer.reply()]) == digest([v0]), "the next call finds the conversation where it was"
    kinds = {block["type"] for block in v1.content}
    kept = finished(v0, "v0")
    assert isinstance(kept.content, str) == (kinds <= {"text"})
    assert digest([kept]) == digest([v0]) == digest([finished(v0, "v1")])
    assert sorted(kept.text) == sorted(v1.text)
    rest = [[b for b in finished(m, "v1").content if isinstance(b, dict) and b["type"] != "text"] for m in (v0, v1)]
    assert rest[0] == rest[1]
    assert finished(finished(v0, "v0"), "v0") == kept


@given(st.lists(texts, max_size=8))
def test_a_reader_of_the_text_changes_nothing_where_there_is_nothing_to_read(pieces):
    told = [TextDelta("M1", piece) for piece in pieces]
    plain, read = written(told), written(told, ReplyParser(["never said"], []))
    assert plain[1].text == read[1].text == plain[0].reply().text == read[0].reply().text


def test_a_shown_image_is_part_of_the_conversation():
    writer, message = written(
        [ToolCalled("c", "Show", SHOW, "M1"), ToolFinished("c", "Show", True, "done"), TextDelta("M2", "There.")]
    )
    assert [b["type"] for b in message.content] == [
        "server_tool_call",
        "server_tool_result",
        "image",
        "non_standard",
        "text",
    ]
    assert digest([writer.reply()]) == digest([message])
    assert digest([message]) != digest([AIMessage("There.")])


def test_what_failed_to_be_shown_is_not_shown():
    _, message = written([ToolCalled("c", "Show", SHOW, "M1"), ToolFinished("c", "Show", False, "no")])
    assert [b["type"] for b in message.content] == ["server_tool_call", "server_tool_result"]
    assert message.content[1]["status"] == "error"


def test_an_output_joins_its_result_or_stands_alone():
    _, join_turns = written([ToolFinished("c", "Grep", True, "done"), ToolOutput("c", "r", is_error=False)])
    (block,) = join_turns.content
    assert (block["output"], block["status"], block["tool_call_id"]) == ("r", "success", "c")
    _, alone = written([ToolOutput("c", "r", is_error=True)])
    (block,) = alone.content
    assert (block["output"], block["status"], block["tool_call_id"]) == ("r", "error", "c")


@pytest.mark.parametrize("raw", ["", "{", "[1]", "null", '"x"'])
def test_arguments_that_are_no_object(raw):
    _, message = written([ToolCalled("c", "Grep", raw, "M1")])
    (block,) = message.content
    assert block["args"] == {}
    assert block.get("extras", {}).get("input", "") == raw


def test_no_update_no_content():
    writer, message = written([Progress("x"), SubagentUpdate("t", TextDelta("S", "inside"))])
    assert message.content == []
    assert writer.reply().text == ""
    assert message.response_metadata["finish_reason"] == "stop"


def test_a_gap_is_noted():
    writer, _ = written([TextDelta("M", "a"), TextRestated("M", "abc")])
    assert writer.gap


def test_a_turn_is_told_again_from_its_result():
    call = ToolCall(id="c", name="Grep", input='{"a":1}', status="failed", progress="no", output="r", is_error=True)
    result = TurnResult(
        session_id="S",
        messages=[Message(id="M1", text="One. ", thinking="Hm.", tool_calls=[call]), Message(id="M2", text="Two.")],
    )
    _, message = written(replay_updates(result))
    assert [b["type"] for b in message.content] == [
        "reasoning",
        "text",
        "server_tool_call",
        "server_tool_result",
        "text",
    ]
    assert message.text == "One. Two."
    assert message.content[3]["status"] == "error"
    assert message.content[3]["output"] == "r"


def test_usage():
    told = usage_metadata(Usage(input_tokens=10, output_tokens=5, cache_creation_tokens=1, cache_read_tokens=2))
    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (10, 5, 15)
    assert told["input_token_details"] == {"cache_creation": 1, "cache_read": 2}
    assert "input_token_details" not in usage_metadata(Usage(input_tokens=1, cache_read_tokens=5))


def test_copied_chunks_of_text_are_those_that_langchain_would_make():
    writer = ReplyWriter()
    told = [chunk for text in ("a", "b", "c") for chunk in writer.write(TextDelta("M", text))]
    for text, chunk in zip("abc", told, strict=True):
        block = {"type": "text", "text": text, "index": 0}
        made = ChatGenerationChunk(message=AIMessageChunk([block], id="M", response_metadata=dict(METADATA["v1"])))
        assert chunk == made
        assert chunk.model_dump() == made.model_dump()
    parts = [(c.message.content, c.message.response_metadata, c.message.tool_calls) for c in told]
    assert len({id(part) for row in parts for part in row}) == 9, "chunks share nothing that can change"


FORM = ResponseSchema.of({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})


def kinds(message):
    return [
        (b["type"], b.get("text") or b.get("reasoning")) for b in message.content if b["type"] != "server_tool_call"
    ]


def test_words_around_data_are_blocks_of_their_own():
    told = [
        ThinkingDelta("M1", "Hm."),
        TextDelta("M1", "Let me look."),
        ToolCalled("c1", "Grep", "{}", "M1"),
        TextDelta("M2", "So: "),
        TextDelta("M2", '{"a": 1} bye'),
    ]
    writer, message = written(told, ReplyParser(data=FORM))
    said = [("reasoning", "So: "), ("text", '{"a": 1}'), ("reasoning", " bye")]
    assert kinds(message) == [("reasoning", "Hm."), ("reasoning", "Let me look."), *said]
    assert digest([writer.reply()]) == digest([message])


@pytest.mark.parametrize(("shown_as", "stored_as"), [("M2", "M1"), ("", "M1")])
def test_a_call_that_is_told_late_does_not_end_the_message_with_the_data(shown_as, stored_as):
    told = [TextDelta(shown_as, '{"a": 1}'), ToolCalled("c1", "Grep", "{}", stored_as)]
    _, message = written(told, ReplyParser(data=FORM))
    assert kinds(message) == [("text", '{"a": 1}')]
