"""Events of the streaming protocol: a valid life of every block, and the same message as any other way gives."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Iterator
from functools import reduce
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_model_stream import ChatModelStream
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, ToolMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages

from langchain_mix.chat_models.callbacks import AsyncTurnCallbacks, TurnCallbacks
from langchain_mix.chat_models.content_blocks import ReplyWriter
from langchain_mix.chat_models.protocol_events import ProtocolWriter
from langchain_mix.pointer import KEY, Pointer
from langchain_mix.protocol.turn.updates import (
    Progress,
    TextDelta,
    ThinkingDelta,
    ToolCalled,
    ToolFinished,
    ToolOutput,
    ToolRunning,
    TurnResult,
    Usage,
)

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")

UPDATES = [
    ThinkingDelta("M1", "Let me "),
    ThinkingDelta("M1", "see."),
    TextDelta("M1", "I look."),
    ToolCalled("T1", "Bash", '{"command":"ls"}', "M1"),
    ToolCalled("T2", "Glob", '{"pattern":"*"}', "M1"),
    ToolRunning("T1", "Bash", ""),
    ToolRunning("T2", "Glob", ""),
    ToolFinished("T2", "Glob", success=True, progress="Completed Glob tool"),
    ToolFinished("T1", "Bash", success=False, progress="Failed Bash tool"),
    Progress("reopened"),
    TextDelta("M2", "There "),
    TextDelta("M2", "is a file."),
    ToolOutput("T1", "no", is_error=True),
    ToolOutput("T2", "a.txt", is_error=False),
]
RESULT = TurnResult(
    session_id="S",
    model="claude",
    usage=Usage(input_tokens=10, output_tokens=5, cache_read_tokens=4, cost=0.01),
)
POINTER = Pointer(server="http://mix", session_id="S", message_id="M2")
METADATA = {"finish_reason": "stop", "model_name": "claude", KEY: POINTER.as_metadata()}


class Scripted(BaseChatModel):
    """A model that plays updates as ChatMix does, without the native hooks."""

    updates: list[Any]
    failure: Any = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _chunks(self, run_manager: Any = None) -> Iterator[ChatGenerationChunk]:
        writer = ReplyWriter()
        with TurnCallbacks(run_manager) as callbacks:
            for update in self.updates:
                callbacks.handle(update)
                yield from writer.write(update)
            if self.failure is not None:
                raise self.failure
            yield writer.last(METADATA, RESULT.usage)

    async def _achunks(self, run_manager: Any = None) -> AsyncIterator[ChatGenerationChunk]:
        writer = ReplyWriter()
        async with AsyncTurnCallbacks(run_manager) as callbacks:
            for update in self.updates:
                await callbacks.handle(update)
                for chunk in writer.write(update):
                    yield chunk
            if self.failure is not None:
                raise self.failure
            yield writer.last(METADATA, RESULT.usage)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=merged(self._chunks(run_manager)))])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        chunks = [chunk async for chunk in self._achunks(run_manager)]
        return ChatResult(generations=[ChatGeneration(message=merged(chunks))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        yield from self._chunks(run_manager)

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        async for chunk in self._achunks(run_manager):
            yield chunk


class Native(Scripted):
    """The same model with the hooks."""

    def _stream_chat_model_events(self, messages, *, stop=None, run_manager=None, **kwargs):
        writer = ProtocolWriter(run_manager.run_id if run_manager else None)
        for chunk in self._chunks(run_manager):
            yield from writer.write(chunk)

    async def _astream_chat_model_events(self, messages, *, stop=None, run_manager=None, **kwargs):
        writer = ProtocolWriter(run_manager.run_id if run_manager else None)
        async for chunk in self._achunks(run_manager):
            for event in writer.write(chunk):
                yield event


def merged(chunks):
    pieces = [c.message for c in chunks]
    return message_chunk_to_message(add_ai_message_chunks(pieces[0], *pieces[1:]))


def chunk(*blocks, last=False, message_id="M", **more):
    message = AIMessageChunk(
        content=list(blocks),
        id=message_id,
        response_metadata={"output_version": "v1", "model_provider": "mix"},
        chunk_position="last" if last else None,
        **more,
    )
    return ChatGenerationChunk(message=message)


def written(*chunks, run_id=None):
    """The events of chunks, checked; and the message they give."""
    writer = ProtocolWriter(run_id)
    events = [e for c in chunks for e in writer.write(c)]
    assert_valid_event_stream(events)
    stream = ChatModelStream()
    for event in events:
        stream.dispatch(event)
    return events, stream.output_message


def short(events):
    """Events as one sees them at a glance."""
    names = {"content-block-start": "start", "content-block-delta": "delta", "content-block-finish": "finish"}
    return [f"{names[e['event']]} {e['index']}" if e["event"] in names else e["event"] for e in events]


def test_blocks_are_finished_as_soon_as_they_are_complete():
    events, _ = written(*Scripted(updates=UPDATES)._chunks())
    assert short(events) == [
        "message-start",
        *("start 0", "delta 0", "delta 0", "finish 0"),  # reasoning
        *("start 1", "delta 1", "finish 1"),  # text
        *("start 2", "finish 2"),  # Bash is called
        *("start 3", "finish 3"),  # Glob is called
        "start 4",  # Glob has run; what it gave comes at the end
        "start 5",  # Bash has run
        *("start 6", "delta 6", "delta 6"),  # text, which no other block follows
        *("finish 5", "finish 4"),  # what the tools gave
        *("finish 6", "message-finish"),
    ]


def test_arguments_are_there_when_the_tool_is_called():
    events, _ = written(*Scripted(updates=UPDATES[:4])._chunks())
    finish = next(e for e in events if e["event"] == "content-block-finish" and e["index"] == 2)
    assert finish["content"] == {
        "type": "server_tool_call",
        "id": "T1",
        "name": "Bash",
        "args": {"command": "ls"},
        "index": 2,
    }


# The bridge puts a block's later piece in the place of its earlier one, so that an output that is emitted later (Mix 0.8)
# costs the result its call. Before Mix 0.8 there are none.
@pytest.mark.parametrize("model", [Native(updates=UPDATES), Scripted(updates=UPDATES[:-2])], ids=["native", "bridge"])
async def test_every_way_gives_the_same_message(model):
    expected = model.invoke("hi")
    stream = model.stream_events("hi", version="v3")
    assert_valid_event_stream(list(stream))
    astream = await model.astream_events("hi", version="v3")
    assert_valid_event_stream([e async for e in astream])
    streamed = message_chunk_to_message(reduce(operator.add, model.stream("hi")))
    for message in (await model.ainvoke("hi"), streamed, stream.output, await astream):
        assert message.content == expected.content
        assert message.usage_metadata == expected.usage_metadata
        assert message.response_metadata == expected.response_metadata
        if isinstance(model, Native):  # The bridge names every message after its run.
            assert message.id == expected.id == "M1"
    assert expected.usage_metadata["input_token_details"] == {"cache_creation": 0, "cache_read": 4}
    assert expected.response_metadata["model_name"] == "claude"
    assert [b["type"] for b in expected.content] == [
        *("reasoning", "text", "server_tool_call", "server_tool_call"),
        *("server_tool_result", "server_tool_result", "text"),
    ]


def test_core_looks_for_the_hooks():
    """If it ever stops to, the bridge takes over: the message is the same, but its id and the order of events are not."""
    events = list(Native(updates=UPDATES).stream_events("hi", version="v3"))
    assert events[0] == {"event": "message-start", "role": "ai", "id": "M1", "metadata": {"provider": "mix"}}
    bridged = list(Scripted(updates=UPDATES).stream_events("hi", version="v3"))
    assert bridged[0]["id"].startswith("lc_run--")


def test_the_projections_have_the_text_and_the_reasoning():
    stream = Native(updates=UPDATES).stream_events("hi", version="v3")
    assert list(stream.text) == ["I look.", "There ", "is a file."]
    assert str(stream.reasoning) == "Let me see."
    assert stream.output.tool_calls == []


def test_a_reply_without_a_name_is_named_after_its_run():
    run_id = uuid4()
    events, message = written(
        chunk({"type": "text", "text": "Hi", "index": 0}, message_id=None, last=True), run_id=run_id
    )
    assert events[0]["id"] == message.id == f"lc_run--{run_id}"


def test_late_text_of_a_finished_block_is_a_block_of_its_own():
    events, message = written(
        chunk({"type": "text", "text": "One", "index": 0}),
        chunk({"type": "text", "text": "Two", "index": 1}),
        chunk({"type": "text", "text": " more", "index": 0}),
        chunk({"type": "text", "text": "!", "index": 1}),
        chunk(last=True),
    )
    assert [b["text"] for b in message.content] == ["One", "Two", " more", "!"]
    assert [b["index"] for b in message.content] == [0, 1, 2, 3]
    assert short(events)[-4:] == ["start 3", "delta 3", "finish 3", "message-finish"]


def test_a_block_has_one_index_in_its_start_and_its_finish():
    events, message = written(
        chunk({"type": "text", "text": "One", "index": 0}),
        chunk({"type": "server_tool_call", "id": "T", "name": "Bash", "args": {}, "index": 1}),
        chunk({"type": "text", "text": " more", "index": 0}),
        chunk({"type": "server_tool_call", "id": "U", "name": "Bash", "args": {}, "index": 2}),
        chunk(last=True),
    )
    starts = [e["content"] for e in events if e["event"] == "content-block-start"]
    assert [b["index"] for b in message.content] == [0, 1, 2, 3]
    assert [b["index"] for b in starts if "index" in b] == [1, 3]


def test_a_result_with_its_output_is_finished_at_once():
    result = {"type": "server_tool_result", "tool_call_id": "T", "status": "success", "output": {"a": 1}, "index": 0}
    events, message = written(chunk(result), chunk({"type": "text", "text": "Hi", "index": 1}), chunk(last=True))
    assert short(events)[:4] == ["message-start", "start 0", "finish 0", "start 1"]
    assert "output" not in events[1]["content"]
    assert message.content[0] == result


def test_an_output_that_is_told_later_finishes_its_result():
    events, message = written(
        chunk({"type": "server_tool_result", "tool_call_id": "T", "status": "success", "extras": {"a": 1}, "index": 0}),
        chunk({"type": "text", "text": "Hi", "index": 1}),
        chunk({"type": "server_tool_result", "output": "out", "extras": {"b": 2}, "index": 0}),
        chunk(last=True),
    )
    assert short(events) == ["message-start", "start 0", "start 1", "delta 1", "finish 0", "finish 1", "message-finish"]
    assert message.content[0] == {
        "type": "server_tool_result",
        "tool_call_id": "T",
        "status": "success",
        "output": "out",
        "extras": {"a": 1, "b": 2},
        "index": 0,
    }


CALL = [
    {"type": "tool_call_chunk", "id": "C1", "name": "add", "args": '{"a":', "index": 1},
    {"type": "tool_call_chunk", "id": None, "name": None, "args": "1}", "index": 1},
    {"type": "tool_call_chunk", "id": "C2", "name": "add", "args": "{}", "index": 2},
]


@pytest.mark.parametrize("inside", [True, False], ids=["as blocks", "as chunks only"])
def test_tool_calls_for_the_client(inside):
    text = {"type": "text", "text": "I add.", "index": 0}
    calls = [
        chunk(*([call] if inside else []), tool_call_chunks=[{k: v for k, v in call.items() if k != "type"}])
        for call in CALL
    ]
    chunks = [chunk(text), *calls, chunk(last=True)]
    events, message = written(*chunks)
    assert message.tool_calls == merged(chunks).tool_calls
    assert [(c["id"], c["args"]) for c in message.tool_calls] == [("C1", {"a": 1}), ("C2", {})]
    if inside:
        assert message.content == merged(chunks).content
    # The first one is finished when the second one begins.
    assert short(events)[5:] == ["delta 1", "delta 1", "finish 1", "start 2", "delta 2", "finish 2", "message-finish"]
    assert events[4]["content"]["name"] == "add"


def test_tool_calls_that_come_whole_are_told_apart():
    _, message = written(
        chunk(tool_call_chunks=[{"id": i, "name": "f", "args": "{}", "index": None} for i in ("A", "B")]),
        chunk(last=True),
    )
    assert [c["id"] for c in message.tool_calls] == ["A", "B"]


def test_tool_calls_whose_pieces_alternate_are_kept_apart():
    def piece(number, args):
        return chunk({"type": "tool_call_chunk", "id": f"C{number}", "name": "f", "args": args, "index": number})

    events, message = written(piece(0, '{"a":'), piece(1, '{"b":'), piece(0, "0}"), piece(1, "1}"), chunk(last=True))
    assert [c["args"] for c in message.tool_calls] == [{"a": 0}, {"b": 1}]
    assert short(events)[-3:] == ["finish 0", "finish 1", "message-finish"]


def test_a_block_in_the_place_of_another_finishes_it():
    calls = [{"id": i, "name": "f", "args": '{"a":1', "index": None} for i in ("A", "B")]
    _, message = written(chunk(tool_call_chunks=calls), chunk(last=True))
    assert [c["id"] for c in message.tool_calls] == ["A", "B"]


def test_arguments_for_the_client_that_are_no_object():
    call = {"type": "tool_call_chunk", "id": "C1", "name": "add", "args": "[1]", "index": 0}
    _, message = written(chunk(call), chunk(last=True))
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["args"] == "[1]"


@pytest.mark.parametrize(
    ("args", "block"),
    [
        (('{"a"', ":1}"), {"args": {"a": 1}}),
        (("[1", ","), {"args": {}, "extras": {"input": "[1,"}}),
        ((), {"args": {}}),
    ],
)
def test_server_tool_calls_that_come_in_pieces(args, block):
    pieces = [{"type": "server_tool_call_chunk", "id": "T", "name": "Bash", "index": 0}]
    pieces += [{"type": "server_tool_call_chunk", "args": a, "index": 0} for a in args]
    _, message = written(
        *[chunk(p) for p in pieces], chunk({"type": "text", "text": "Hi", "index": 1}), chunk(last=True)
    )
    assert message.content[0] == {"type": "server_tool_call", "id": "T", "name": "Bash", "index": 0, **block}
    assert message.invalid_tool_calls == []


def test_media_and_foreign_blocks_are_finished_at_once_and_sent_once():
    image = {"type": "image", "base64": "aGk=", "mime_type": "image/png", "index": 0}
    foreign = {"type": "non_standard", "value": {"chart": [1, 2]}, "index": 1}
    events, message = written(chunk(image, foreign), chunk(last=True))
    assert message.content == [image, foreign]
    assert short(events)[1:] == ["start 0", "finish 0", "start 1", "finish 1", "message-finish"]
    assert "base64" not in events[1]["content"]
    assert events[3]["content"]["value"] == {}


def test_what_belongs_to_the_message_comes_with_its_end():
    first = chunk({"type": "text", "text": "Hi", "index": 0, "annotations": [{"type": "citation", "url": "u"}]})
    first.generation_info = {"from": "info"}
    last = chunk(
        last=True,
        additional_kwargs={"more": 1},
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    )
    events, message = written(first, last)
    assert message.response_metadata["from"] == "info"
    assert message.additional_kwargs == {"more": 1}
    assert message.usage_metadata == {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert message.content[0]["annotations"] == [{"type": "citation", "url": "u"}]
    events[-1]["usage"]["input_tokens"] = 100
    assert last.message.usage_metadata["input_tokens"] == 1


class Runs(BaseCallbackHandler):
    run_inline = True

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.names: dict[Any, str] = {}

    def on_chat_model_start(self, serialized, messages, *, run_id, **kwargs):
        self.names[run_id] = "llm"

    def on_llm_end(self, response, **kwargs):
        self.seen.append("llm end")

    def on_llm_error(self, error, **kwargs):
        self.seen.append(f"llm error {type(error).__name__}")

    def on_tool_start(self, serialized, input_str, *, run_id, parent_run_id=None, **kwargs):
        self.names[run_id] = kwargs["tool_call_id"]
        self.seen.append(f"{kwargs['tool_call_id']} under {self.names.get(parent_run_id)}")

    def on_tool_end(self, output, *, run_id, **kwargs):
        self.seen.append(f"{self.names[run_id]} end")

    def on_tool_error(self, error, *, run_id, **kwargs):
        self.seen.append(f"{self.names[run_id]} error {type(error).__name__}")

    def on_custom_event(self, name, data, *, run_id, **kwargs):
        self.seen.append(f"{name} {data['kind']}")


TOLD = ["T1 under llm", "T2 under llm", "T2 end", "T1 error MixAgentError", "mix_progress reopened", "llm end"]


async def test_invoke_and_events_tell_handlers_of_tools_under_the_models_run():
    model, logs = Native(updates=UPDATES), [Runs() for _ in range(4)]
    model.invoke("hi", {"callbacks": [logs[0]]})
    await model.ainvoke("hi", {"callbacks": [logs[1]]})
    list(model.stream_events("hi", {"callbacks": [logs[2]]}, version="v3"))
    await (await model.astream_events("hi", {"callbacks": [logs[3]]}, version="v3"))
    assert [log.seen for log in logs] == [TOLD] * 4


async def test_tool_runs_are_closed_when_an_event_stream_fails_or_is_left():
    log, alog = Runs(), Runs()
    model = Native(updates=UPDATES[:6], failure=ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        list(model.stream_events("hi", {"callbacks": [log]}, version="v3"))
    assert log.seen == ["T1 under llm", "T1 error ValueError", "llm error ValueError"]
    stream = await Native(updates=UPDATES).astream_events("hi", {"callbacks": [alog]}, version="v3")
    async for event in stream:
        if event["event"] == "content-block-finish":
            break
    await stream.aclose()
    starts = [s for s in alog.seen if "under" in s]
    ends = [s for s in alog.seen if s.startswith("T") and "under" not in s]
    assert len(starts) == len(ends)


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def graph_of(model):
    def node(state):
        return {"messages": [model.invoke(state["messages"])]}

    async def anode(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    return [StateGraph(State).add_node("node", n).add_edge(START, "node").compile() for n in (node, anode)]


MODES = ["messages", "custom", "updates", "tools"]


async def test_a_graph_streams_messages_tools_and_events_in_order():
    sync_graph, async_graph = graph_of(Native(updates=UPDATES))
    inputs = {"messages": [("user", "hi")]}
    told = list(sync_graph.stream(inputs, stream_mode=MODES))
    atold = [part async for part in async_graph.astream(inputs, stream_mode=MODES)]
    progress = "Completed Glob tool"
    glob = ToolMessage(
        progress,
        name="Glob",
        tool_call_id="T2",
        artifact={"progress": progress},
        additional_kwargs={"mix_result": "progress"},
    )
    for parts in (told, atold):
        assert [(mode, part) for mode, part in parts if mode in {"custom", "tools"}] == [
            ("tools", {"event": "tool-started", "tool_call_id": "T1", "tool_name": "Bash", "input": {"command": "ls"}}),
            ("tools", {"event": "tool-started", "tool_call_id": "T2", "tool_name": "Glob", "input": {"pattern": "*"}}),
            ("tools", {"event": "tool-finished", "tool_call_id": "T2", "output": glob}),
            ("tools", {"event": "tool-error", "tool_call_id": "T1", "message": "Failed Bash tool"}),
            ("custom", {"mix": {"event": "progress", "kind": "reopened", "detail": {}}}),
        ]
        messages = [part[0] for mode, part in parts if mode == "messages"]
        assert {m.id for m in messages} == {"M1"}
        whole = message_chunk_to_message(reduce(operator.add, messages))
        (update,) = [part["node"]["messages"][0] for mode, part in parts if mode == "updates"]
        assert update.content == whole.content
        order = [mode for mode, _ in parts]
        assert order.index("tools") < order.index("custom") < order.index("updates")


async def test_overlapping_tools_leave_nothing_in_the_nodes_context():
    from langgraph.pregel._tools import _tool_call_writer

    left = []
    model = Native(updates=UPDATES)

    def node(state):
        message = model.invoke(state["messages"])
        left.append(_tool_call_writer.get())
        return {"messages": [message]}

    async def anode(state):
        message = await model.ainvoke(state["messages"])
        left.append(_tool_call_writer.get())
        return {"messages": [message]}

    for one in (node, anode):
        graph = StateGraph(State).add_node("node", one).add_edge(START, "node").compile()
        assert len([e async for e in graph.astream({"messages": [("user", "hi")]}, stream_mode="tools")]) == 4
    assert left == [None, None]


async def test_a_graph_of_the_new_streaming_gives_the_native_events():
    sync_graph, async_graph = graph_of(Native(updates=UPDATES))
    inputs = {"messages": [("user", "hi")]}
    expected = Native(updates=UPDATES).invoke("hi")
    run = sync_graph.stream_events(inputs, version="v3")
    (message,) = list(run.messages)
    assert isinstance(message.output, AIMessage)
    assert (message.output.id, message.output.content) == ("M1", expected.content)
    assert run.output["messages"][-1].id == "M1"
    arun = await async_graph.astream_events(inputs, version="v3")
    (amessage,) = [m async for m in arun.messages]
    output = await amessage
    assert (output.id, output.content) == ("M1", expected.content)
