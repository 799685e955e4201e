"""A session after its turn: the reply's metadata, what is remembered, what is removed, and what the turn has cost."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_mix import ChatMix, errors
from langchain_mix.chat_models.alignment import Append, Fork, New, Plan, Rewind
from langchain_mix.chat_models.content_blocks import ReplyWriter
from langchain_mix.chat_models.history import digest
from langchain_mix.chat_models.parameters import MixParameterWarning
from langchain_mix.chat_models.process_state import SESSION_CLAIMS, SESSION_HEADS, THREAD_SESSIONS, SessionHead
from langchain_mix.chat_models.reply_parser import ReplyParser
from langchain_mix.chat_models.request import ChatRequest, parse_request
from langchain_mix.chat_models.session_lifecycle import (
    PreparedTurn,
    SessionRequest,
    cleanup_note,
    over_cost,
    remove_traces,
    reply_metadata,
    store_position,
)
from langchain_mix.pointer import KEY, Pointer, read_pointer
from langchain_mix.protocol.models.sessions import SessionData
from langchain_mix.protocol.turn.updates import Message, RowRef, TextDelta, TurnResult, Usage

SERVER = "http://localhost:1"
HEAD = (SERVER, "S")
POINTER = Pointer(server=SERVER, session_id="S", message_id="A1")
ROWS = [RowRef("A1", "assistant"), RowRef("U2", "user"), RowRef("A2", "assistant")]


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    SESSION_HEADS.put(HEAD, SessionHead("A1"))
    yield
    SESSION_HEADS.forget(HEAD)
    THREAD_SESSIONS.forget((SERVER, "t"))
    assert not SESSION_CLAIMS._claims


def append(after: str = "A1") -> Append:
    return Append(messages=(), calls={}, pointer=POINTER, after=after)


def question(**given: Any) -> ChatRequest:
    return parse_request(ChatMix(server_url=SERVER, session_per_thread=True), SERVER, [HumanMessage("Q")], None, given)


def ready(
    plan: Plan | None = None, *, created: bool = False, asked: SessionRequest | None = None, **fields: Any
) -> PreparedTurn:
    return PreparedTurn(
        request=asked or question().session,
        plan=plan or append(),
        session_id="S",
        text="Q",
        created=created,
        claim=SESSION_CLAIMS.take(HEAD),
        **fields,
    )


def result(**fields: Any) -> TurnResult:
    known: dict[str, Any] = {"verified": True, "user_message_id": "U2", "rows": ROWS, "row_count": 3}
    return TurnResult(session_id="S", **known | {"messages": [Message(id="A2", text="R")]} | fields)


def writer(*texts: str, **speech: Any) -> ReplyWriter:
    made = ReplyWriter(ReplyParser(**speech)) if speech else ReplyWriter()
    for text in texts:
        list(made.write(TextDelta("A2", text)))
    list(made.finish())
    return made


def told_of(asked: ChatRequest, turn: TurnResult, reply: ReplyWriter, **fields: Any) -> dict[str, Any]:
    call = ready(asked=asked.session, **fields)
    try:
        holds = not reply.stopped and asked.options.retention == "keep"
        return reply_metadata(call, turn, reply.reply(), holds=holds)
    finally:
        SESSION_CLAIMS.release(call.claim)


# The last chunk


def test_the_last_chunk_says_where_the_reply_stands_and_what_it_cost() -> None:
    asked = question()
    told = told_of(asked, result(usage=Usage(cost=0.5), reasoning_duration=2.0, model="m"), writer("R"))
    assert (told["finish_reason"], told["model_name"]) == ("stop", "m")
    assert (told[KEY]["cost"], told[KEY]["reasoning_duration"]) == (0.5, 2.0)
    pointer = read_pointer(told)
    assert pointer is not None
    assert (pointer.message_id, pointer.row_count) == ("A2", 3)
    assert pointer.digest == digest([HumanMessage("Q"), AIMessage("R")])


def test_what_is_not_known_is_not_said() -> None:
    told = told_of(question(), result(usage=Usage(cost=None)), writer("R"))
    assert not {"cost", "reasoning_duration"} & told[KEY].keys()
    assert told["model_name"] == "mix-agent"


def test_calls_are_the_reason_for_an_end() -> None:
    calls = '<tool_calls>\n[{"name": "add", "args": {}}]\n</tool_calls>'
    assert told_of(question(), result(), writer(calls, tools=["add"]))["finish_reason"] == "tool_calls"


def test_a_reply_that_the_session_holds_otherwise_or_not_for_long_proves_nothing() -> None:
    stopped = writer("R STOP more", stops=["STOP"])
    for asked, reply in ((question(), stopped), (question(retention="delete"), writer("R"))):
        pointer = read_pointer(told_of(asked, result(), reply))
        assert pointer is not None
        assert (pointer.session_id, pointer.message_id) == ("S", "A2")
        assert (pointer.digest, pointer.row_count, pointer.user_message_id) == ("", -1, "")


@pytest.mark.parametrize(
    ("reported", "requested", "honoured", "named"),
    [
        ("m-20260101", "m", True, "m-20260101"),
        ("other", "m", False, "other"),
        ("", "m", True, "m"),
        ("", "m", False, "mix-agent"),
        ("", None, True, "mix-agent"),
    ],
)
def test_the_model_is_named_as_the_server_reports_it(
    reported: str, requested: str | None, honoured: bool, named: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked = question(model=requested)
        told = told_of(asked, result(model=reported), writer("R"), model_honoured=honoured)
    assert told["model_name"] == named


def test_another_model_than_the_requested_one_is_warned_about() -> None:
    with pytest.warns(MixParameterWarning, match="'other' has answered"):
        told_of(question(model="m"), result(model="other"), writer("R"), model_honoured=True)


# What is remembered


@pytest.mark.parametrize(
    ("turn", "head"),
    [(result(), "A2"), (result(verified=False), None), (result(messages=[]), None), (None, None)],
)
def test_where_the_session_stands_is_remembered_only_where_it_was_read(
    turn: TurnResult | None, head: str | None
) -> None:
    store_position(ready(), turn, digest="D")
    assert SESSION_HEADS.get(HEAD) == (None if head is None else SessionHead(head, "D"))


def test_a_thread_keeps_its_session_once_a_turn_has_ended() -> None:
    store_position(ready(), None, thread=(SERVER, "t"))
    assert THREAD_SESSIONS.get((SERVER, "t")) is None
    store_position(ready(), result(), thread=(SERVER, "t"))
    assert THREAD_SESSIONS.get((SERVER, "t")) == "S"


# What is removed


def sent(flow: Any) -> Iterator[str]:
    """The calls of a flow. The next one is asked for once this one has been answered."""
    call = next(flow)
    while True:
        yield f"{call.method} {'/'.join(call.segments[1:])} {dict(call.body or {}).get('messageId', '')}".strip()
        try:
            call = flow.send(None)
        except StopIteration:
            return


@pytest.mark.parametrize(
    ("plan", "created", "calls", "head"),
    [
        (New(messages=(), calls={}), True, ["DELETE sessions/S"], None),
        (
            Fork(messages=(), calls={}, pointer=POINTER, message_index=2, reason="moved"),
            True,
            ["DELETE sessions/S"],
            None,
        ),
        (append(), False, ["POST sessions/S/rewind A1"], "A1"),
        (append("A0"), False, ["POST sessions/S/rewind A0"], "A0"),
        (Rewind(messages=(), calls={}, pointer=POINTER, reason="moved"), False, ["POST sessions/S/rewind A1"], "A1"),
        (append(""), False, [], None),
    ],
)
def test_a_turn_that_was_given_up_leaves_no_trace(
    plan: Plan, created: bool, calls: list[str], head: str | None
) -> None:
    flow = remove_traces(ready(plan, created=created))
    if not calls:
        assert list(flow) == []
    else:
        assert list(sent(flow)) == calls
    left = SESSION_HEADS.get(HEAD)
    assert (None if left is None else left.message_id) == head


def test_what_could_not_be_removed_is_not_taken_for_the_place() -> None:
    flow = remove_traces(ready())
    next(flow)
    with pytest.raises(errors.MixConnectionError):
        flow.throw(errors.MixConnectionError("Gone."))
    assert SESSION_HEADS.get(HEAD) is None


@pytest.mark.parametrize("created", [True, False])
def test_what_is_left_of_a_turn_is_told(created: bool) -> None:
    call = ready(created=created)
    SESSION_CLAIMS.release(call.claim)
    words = cleanup_note(call, [errors.MixConnectionError("No way.", sent="POST /x", acted="unknown")])
    assert "Session S" in words
    assert "No way. Sent: POST /x." in words
    assert ("on_divergence" in words) is not created


# Limits


@pytest.mark.parametrize(
    ("before", "cost", "over"), [(None, 0.5, False), (None, 0.6, True), (1.0, 1.5, False), (1.0, 1.6, True)]
)
def test_a_turn_costs_what_its_session_has_cost_since(before: float | None, cost: float, over: bool) -> None:
    call = ready(cost_before=before)
    SESSION_CLAIMS.release(call.claim)
    flow = over_cost(call, 0.5)
    assert str(next(flow)) == "GET /api/sessions/S"
    with pytest.raises(StopIteration) as end:
        flow.send(SessionData(id="S", title="t", cost=cost))
    error = end.value.value
    assert isinstance(error, errors.MixTurnCancelled) is over
    if over:
        assert "max_cost=$0.5" in error.message
        assert error.acted == "yes"
