"""Messages and chunks, read into a view."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk

from langchain_mix.notebook.items import read_message
from langchain_mix.notebook.view import Media, Notice, Tool, View, Words

V1 = {"output_version": "v1", "model_provider": "mix"}


def chunk(*blocks, last=False, **fields):
    return AIMessageChunk(
        content=list(blocks),
        id=fields.pop("id", "m"),
        chunk_position="last" if last else None,
        response_metadata={**V1, **fields.pop("metadata", {})},
        **fields,
    )


def text(words, index=0):
    return {"type": "text", "text": words, "index": index}


def parts(view):
    return [part for section in view.sections.values() for part in section.parts]


def read(*messages, **place):
    view = View()
    for message in messages:
        read_message(view, message, **place)
    return view


def test_pieces_of_a_block_are_one_text():
    view = read(chunk(text("a")), chunk(text("b")), chunk(text("c", 1)), chunk(text("d")))
    assert [part.text for part in parts(view)] == ["abd", "c"]


def test_reasoning_and_text_are_told_apart():
    thought = {"type": "reasoning", "reasoning": "hm", "index": 0}
    view = read(chunk(thought), chunk(text("a", 1)))
    assert [(part.thinking, part.text) for part in parts(view)] == [(True, "hm"), (False, "a")]


def test_text_without_blocks_goes_on():
    view = read(AIMessageChunk(content="a"), AIMessageChunk(content="b"))
    assert [part.text for part in parts(view)] == ["ab"]


def test_a_chunk_without_id_after_the_last_one_begins_a_message():
    done = AIMessageChunk(content="", chunk_position="last")
    view = read(AIMessageChunk(content="a"), done, AIMessageChunk(content="b"))
    assert len(view.sections) == 2


def test_text_is_shown_once_when_the_whole_message_follows():
    whole = AIMessage(content=[text("ab")], id="m", response_metadata=V1)
    view = read(chunk(text("a")), chunk(text("b")), chunk(last=True), whole)
    assert [part.text for part in parts(view)] == ["ab"]
    assert view.final_message() is whole


@pytest.mark.parametrize("last", [False, True])
def test_a_broken_off_message_is_replaced_by_the_whole_one(last):
    """Chunks that broke off before the end; complete ones are believed."""
    whole = AIMessage(content=[text("abc")], id="m", response_metadata=V1)
    view = read(chunk(text("a")), chunk(text("b"), last=last), whole)
    assert [part.text for part in parts(view)] == (["ab"] if last else ["abc"])


def test_a_server_tool_and_what_it_gave_later():
    view = read(
        chunk({"type": "server_tool_call", "id": "t", "name": "Bash", "args": {"command": "ls"}, "index": 0}),
        chunk(
            {
                "type": "server_tool_result",
                "tool_call_id": "t",
                "status": "error",
                "extras": {"progress": "Failed"},
                "index": 1,
            }
        ),
        chunk({"type": "server_tool_result", "output": {"a": 1}, "index": 1}),
    )
    [tool] = parts(view)
    assert (tool.name, tool.status, tool.progress) == ("Bash", "failed", "Failed")
    assert tool.input == '{\n  "command": "ls"\n}'
    assert tool.output == '{\n  "a": 1\n}'


def test_arguments_that_are_no_json_are_shown_as_they_are():
    call = {"type": "server_tool_call", "id": "t", "name": "x", "args": {}, "extras": {"input": "{bad"}, "index": 0}
    assert parts(read(chunk(call)))[0].input == "{bad"


def test_a_client_tool_call_in_pieces_and_its_answer():
    pieces = [tool_call_chunk(name="add", args='{"a"', id="c", index=0), tool_call_chunk(args=":1}", index=0)]
    chunks = [AIMessageChunk(content="", id="m", tool_call_chunks=[piece]) for piece in pieces]
    view = read(*chunks)
    [tool] = parts(view)
    assert (tool.name, tool.input, tool.status) == ("add", '{"a":1}', "writing")
    read_message(view, AIMessageChunk(content="", id="m", chunk_position="last"))
    assert tool.status == "called"
    read_message(view, ToolMessage("2", tool_call_id="c", status="error"))
    assert (tool.status, tool.output) == ("failed", "2")
    assert parts(view) == [tool]


def test_an_answer_of_a_tool_that_nobody_called_here():
    [tool] = parts(read(ToolMessage("2", tool_call_id="c", name="add")))
    assert isinstance(tool, Tool)
    assert (tool.name, tool.status, tool.output) == ("add", "succeeded", "2")


def test_whole_calls():
    call = {"name": "add", "args": {"a": 1}, "id": "c", "type": "tool_call"}
    [words, tool] = parts(read(AIMessage(content="so", tool_calls=[call])))
    assert (words.text, tool.name, tool.status) == ("so", "add", "called")


def test_roles():
    view = read(SystemMessage("s", id="1"), HumanMessage("h", id="2"), AIMessage("a", id="3"))
    assert [section.role for section in view.sections.values()] == ["system", "user", "assistant"]


def test_media_and_what_nobody_foresaw():
    image, other = parts(
        read(
            chunk(
                {"type": "image", "file_id": "/srv/uploads/a.png", "extras": {"title": "A"}, "index": 0},
                {"type": "non_standard", "value": {"type": "hologram", "x": 1}, "index": 1},
            )
        )
    )
    assert isinstance(image, Media)
    assert (image.kind, image.name, image.title) == ("image", "a.png", "A")
    assert isinstance(other, Notice)
    assert other.kind == "hologram"


def test_usage_cost_model_and_place():
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    pointer = {"session_id": "s", "server": "http://x", "cost": 0.5}
    told = {"mix": pointer, "model_name": "claude"}
    view = read(chunk(text("a")), chunk(last=True, usage_metadata=usage, metadata=told))
    assert (view.tokens(), view.cost(), view.model) == ((3, 4), 0.5, "claude")
    assert (view.session_id, view.server) == ("s", "http://x")


def test_tokens_of_all_messages_are_added_once():
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    message = AIMessage("a", id="1", usage_metadata=usage)
    assert read(message, message, AIMessage("b", id="2", usage_metadata=usage)).tokens() == (6, 8)


def test_the_final_message_is_the_sum_of_its_chunks():
    message = read(chunk(text("a")), chunk(text("b"), last=True)).final_message()
    assert type(message) is AIMessage
    assert message.text == "ab"


def test_the_final_message_is_of_the_outer_graph():
    view = View()
    read_message(view, AIMessage("outer", id="1"), label="a")
    read_message(view, AIMessage("inner", id="2"), label="b", depth=1)
    assert view.final_message().text == "outer"
    read_message(view, AIMessage("inner", id="2"), label="a")
    assert view.final_message().text == "inner"
    assert view.sections["2"].label == "b"


def test_no_final_message():
    assert read(HumanMessage("h")).final_message() is None


def test_changes_are_told_once():
    view = read(chunk(text("a")))
    [words] = view.take_changes()
    assert isinstance(words, Words)
    assert view.take_changes() == []
