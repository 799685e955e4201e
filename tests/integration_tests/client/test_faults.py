"""The fault matrix: every fault of the wire, through both shells, on every generation.

Whatever goes wrong, a turn ends with its text exactly once, or restated as a whole, or with an error that says what was
sent, whether the server acted, and what is known of the turn. A message is never sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.emulator import (
    CloseConnection,
    CutStream,
    DelayEvent,
    DropEvent,
    DuplicateEvent,
    FullQueue,
    Gate,
    HttpError,
    HugeEvent,
    InvalidUTF8,
    MissingId,
    RestartAfter,
    Script,
    SlowReply,
    StallStream,
    TailAfterComplete,
    UnknownEvent,
    say,
    turn,
    use,
)
from langchain_mix.emulator.agents.base import Wait
from langchain_mix.protocol.turn.updates import TextDelta, ToolRunning, TurnResult

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def broken_streams_are_opened_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between attempts are a server's rest, and of no use here."""
    for shell in ("_sync_turn", "_async_turn"):
        monkeypatch.setattr(f"langchain_mix.client.{shell}.reopen_wait", lambda _, __: 0.01)


WHOLE = "Let me look. The answer is forty-two, as ever."
OLD = ("0.5", "0.6")
ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
"""Where the generation makes no difference: one that waits for the answer and one that does not."""

JSON_500 = '{"error":{"code":500,"message":"Internal error during saving: disk full","type":"internal_error"}}'
JSON_400 = '{"error":{"code":400,"message":"Validation error for field \'body\': EOF","type":"validation_error"}}'
HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
STREAM = "/stream"
WRITE = r"/stream/[^/]+/message"
MESSAGES = r"POST /api/sessions/[^/]+/messages"
READS = r"GET /api/sessions/.*"

Make = Callable[[], list[Any]]
Kinds = tuple[type[BaseException], ...]


def script() -> Script:
    looked = [*say("Let me look. "), use("Grep", {"pattern": "x"}, result="41", id="call")]
    return Script(turn(looked, "The answer is forty-two, as ever."), "Well again.")


@dataclass
class Case:
    """A fault and what its user may see.

    Attributes:
        name: What goes wrong.
        faults: The faults.
        fails: The errors it may end with, by generation; elsewhere it must end well.
        apis: Where it is tried.
        clean: The text must not even need to be restated.
        liveness: Seconds after which the stream is dead.
        timeout: Seconds after which a request is.
        options: Of the turn.
    """

    name: str
    faults: Make
    fails: dict[str, Kinds] = field(default_factory=dict)
    apis: tuple[str, ...] = ALL
    clean: bool = True
    liveness: float = 10.0
    timeout: float = 10.0
    options: dict[str, Any] = field(default_factory=dict)


def old(*kinds: type[BaseException]) -> dict[str, Kinds]:
    return dict.fromkeys(OLD, kinds)


def anywhere(*kinds: type[BaseException]) -> dict[str, Kinds]:
    return dict.fromkeys(ALL, kinds)


def sending(**options: Any) -> Callable[[Callable[..., Any]], Make]:
    """Has a fault of requests meet the message, whichever way it goes."""
    return lambda kind: lambda: [kind(MESSAGES, **options), kind(WRITE, **options)]


INTERRUPTED = old(errors.MixTurnInterrupted, errors.MixTurnCancelled)
"""On Mix 0.6 the message's own answer may tell of the cancelled turn before the client sees that the stream broke."""
UNKNOWN = anywhere(errors.MixOutcomeUnknown)

LOST = [
    Case("first content dropped", lambda: [DropEvent("content")], clean=False),
    Case("middle content dropped", lambda: [DropEvent("content", nth=4)], clean=False),
    Case("last content dropped", lambda: [DropEvent("content", nth=6)]),
    Case("tail dropped", lambda: [DropEvent("content", nth=5, count=2)]),
    Case("all of the second message dropped", lambda: [DropEvent("content", nth=3, count=None)]),
    Case("all content dropped", lambda: [DropEvent("content", count=None)]),
    Case("complete dropped", lambda: [DropEvent("complete")]),
    Case("tail and complete dropped", lambda: [DropEvent("content", nth=5, count=2), DropEvent("complete")]),
    Case("middle and complete dropped", lambda: [DropEvent("content", nth=4), DropEvent("complete")], clean=False),
    Case("message event dropped", lambda: [DropEvent("user_message_created")], apis=("0.7", "0.8", "next")),
    Case(
        "message event and complete dropped",
        lambda: [DropEvent("user_message_created"), DropEvent("complete")],
        apis=("0.7", "0.8", "next"),
    ),
    Case(
        "tool events dropped",
        lambda: [
            DropEvent(name, count=None)
            for name in ("tool", "tool_use_start", "tool_use_parameter_streaming_complete", "tool_execution_start")
        ],
    ),
    Case("everything dropped", lambda: [DropEvent(count=None)]),
    Case("queue of 0", lambda: [FullQueue(0)], apis=ALL[1:]),
    Case("queue of 1", lambda: [FullQueue(1)], apis=ALL[1:], clean=False),
]

SPOILED = [
    Case("tail of 1 after complete", lambda: [TailAfterComplete(n=1)]),
    Case("tail of 3 after complete", lambda: [TailAfterComplete(n=3)]),
    Case("content delayed for ever", lambda: [DelayEvent("content", nth=6, until=Gate())]),
    Case("complete delayed for ever", lambda: [DelayEvent("complete", until=Gate())]),
    Case("complete twice", lambda: [DuplicateEvent("complete")]),
    Case("first content twice", lambda: [DuplicateEvent("content")], clean=False),
    Case("middle content twice", lambda: [DuplicateEvent("content", nth=4)], clean=False),
    Case("last content twice", lambda: [DuplicateEvent("content", nth=6)], clean=False),
    Case("every event twice", lambda: [DuplicateEvent(count=None)], clean=False),
    Case("unknown events", lambda: [UnknownEvent(count=None)]),
    Case("unknown event before complete", lambda: [UnknownEvent(before="complete")]),
    Case("huge event", lambda: [HugeEvent(before="complete", size=1 << 20)]),
    Case("invalid UTF-8 in content", lambda: [InvalidUTF8("content", nth=4)], clean=False),
    Case("invalid UTF-8 in complete", lambda: [InvalidUTF8("complete")], clean=False),
    Case("no ids", lambda: [MissingId(count=None)]),
]

CUT = [
    Case("cut before connected", lambda: [CutStream(on="stream")]),
    Case("cut within connected", lambda: [CutStream(on="stream", half=True)]),
    Case("cut before connected three times", lambda: [CutStream(on="stream", count=3)]),
    Case("cut before the first event", lambda: [CutStream(0)], INTERRUPTED),
    Case("cut within the first event", lambda: [CutStream(0, half=True)], INTERRUPTED),
    Case("cut mid-text", lambda: [CutStream(2)], INTERRUPTED),
    Case("cut again and again", lambda: [CutStream(0, count=3)], INTERRUPTED),
    Case("stalled mid-text", lambda: [StallStream(2, gate=Gate())], apis=ALL[1:], liveness=0.3),
    Case("stalled before connected", lambda: [StallStream(on="stream", gate=Gate())], liveness=0.3),
    Case(
        "stalled for ever within a budget",
        lambda: [StallStream(1, gate=Gate(), count=None)],
        # Mix 0.6: the message's own answer says that the turn is over.
        {api: (errors.MixTurnTimeout,) for api in ALL if api != "0.6"},
        options={"timeout": 0.4},
    ),
    Case(
        "stalled for ever and no answer within a budget",
        lambda: [StallStream(1, gate=Gate(), count=None), SlowReply(MESSAGES, gate=Gate())],
        anywhere(errors.MixTurnTimeout),
        apis=("0.6",),
        options={"timeout": 0.4},
    ),
]

REFUSED = [
    Case("stream refused once: 503", lambda: [HttpError(STREAM, 503)]),
    Case("stream refused once: JSON 500", lambda: [HttpError(STREAM, 500, JSON_500, "application/json")]),
    Case("stream refused once: HTML", lambda: [HttpError(STREAM, 502, HTML, "text/html")]),
    Case("stream refused: 403", lambda: [HttpError(STREAM, 403)], anywhere(errors.MixDefaultError)),
    Case(
        "stream refused for ever: JSON 500",
        lambda: [HttpError(STREAM, 500, JSON_500, "application/json", count=None)],
        anywhere(errors.MixInternalError),
    ),
    Case(
        "stream refused for ever: HTML",
        lambda: [HttpError(STREAM, 502, HTML, "text/html", count=None)],
        anywhere(errors.MixNotAServerError),
    ),
    Case(
        "stream refused: HTML 200",
        lambda: [HttpError(STREAM, 200, HTML, "text/html")],
        anywhere(errors.MixNotAServerError),
    ),
    Case("stream reset", lambda: [CloseConnection(STREAM)]),
    Case(
        "stream reset for ever",
        lambda: [CloseConnection(STREAM, count=None)],
        anywhere(errors.MixConnectionError),
        options={"timeout": 6},
    ),
    Case(
        "message refused: 503",
        sending(status=503)(HttpError),
        anywhere(errors.MixDefaultError, errors.MixOutcomeUnknown),
    ),
    Case(
        "message refused: HTML 502",
        sending(status=502, body=HTML, content_type="text/html")(HttpError),
        anywhere(errors.MixDefaultError, errors.MixOutcomeUnknown),
    ),
    Case(
        "message refused: JSON 400",
        sending(status=400, body=JSON_400, content_type="application/json")(HttpError),
        anywhere(errors.MixBadRequestError),
    ),
    Case(
        "message refused: JSON 500",
        sending(status=500, body=JSON_500, content_type="application/json")(HttpError),
        anywhere(errors.MixInternalError, errors.MixOutcomeUnknown),
    ),
    Case("message taken, answer is 503", sending(status=503, before=False)(HttpError)),
    Case(
        "message taken, answer is HTML",
        sending(status=502, body=HTML, content_type="text/html", before=False)(HttpError),
    ),
    Case(
        "message taken, answer is JSON 500",
        sending(status=500, body=JSON_500, content_type="application/json", before=False)(HttpError),
    ),
    Case("message taken, answer is 204", sending(status=204, body="", before=False)(HttpError)),
    Case(
        "message taken, answer is JSON of another kind",
        sending(status=200, body="[1]", content_type="application/json", before=False)(HttpError),
    ),
    Case("message reset", sending()(CloseConnection), UNKNOWN),
    Case("message taken, answer reset", sending(before=False)(CloseConnection)),
    Case(
        "message taken, no answer",
        lambda: [SlowReply(MESSAGES, gate=Gate()), SlowReply(WRITE, gate=Gate())],
        apis=("0.5", *ALL[2:]),
        timeout=1.0,
    ),
    # Mix 0.6: an answer may take as long as the turn, and is waited for that long.
    Case(
        "message taken, no answer within a budget",
        lambda: [SlowReply(MESSAGES, gate=Gate())],
        apis=("0.6",),
        options={"timeout": 1.0},
    ),
]

READ = [
    Case("listing refused once", lambda: [HttpError(READS, 503)]),
    Case("listing reset once", lambda: [CloseConnection(READS)]),
    Case("listing refused for ever", lambda: [HttpError(READS, 503, count=None)]),
    Case("listing reset for ever", lambda: [CloseConnection(READS, count=None)]),
    Case("listing is HTML", lambda: [HttpError(READS, 200, HTML, "text/html", count=None)]),
    Case("listing is not found", lambda: [HttpError(READS, 404, "404 page not found\n", count=None)]),
    Case("listing is slow", lambda: [SlowReply(READS, gate=Gate())], timeout=0.3),
    Case(
        "tail dropped, listing refused",
        lambda: [DropEvent("content", nth=5, count=2), HttpError(READS, 503, count=None)],
    ),
    Case(
        "complete dropped, listing refused twice",
        lambda: [DropEvent("complete"), HttpError(READS, 500, JSON_500, "application/json", count=2)],
    ),
]


def rows() -> Iterator[Any]:
    """Yields each fault on each generation in each shell; by default on an old one in one shell, a new one in the other.

    Which old and which new one changes from fault to fault, so that each generation meets every third of them.
    """
    for place, case in enumerate((*LOST, *SPOILED, *CUT, *REFUSED, *READ)):
        halves = [
            half for half in ([a for a in case.apis if a in ALL[:3]], [a for a in case.apis if a in ALL[3:]]) if half
        ]
        usual = {(half[place % len(half)], ("sync", "async")[(place + i) % 2]) for i, half in enumerate(halves)}
        for api, shell in product(case.apis, ("sync", "async")):
            marks = [] if (api, shell) in usual else pytest.mark.exhaustive
            yield pytest.param((case, api, shell), id=f"{case.name}-{api}-{shell}", marks=marks)


@pytest.mark.parametrize("row", list(rows()))
def test_text_exactly_once_or_a_typed_error(labs: Any, row: tuple[Case, str, str]) -> None:
    case, api, shell = row
    lab = labs(shell, api, script(), heartbeat=0.05, liveness=case.liveness, timeout=case.timeout)
    for fault in case.faults():
        lab.server.faults.add(fault)
    session = lab.session()
    outcome = lab.turn(session=session, **case.options)
    lab.server.faults.clear()

    assert len(lab.messages()) <= 1, "the message was sent twice"
    assert len(lab.users(session)) <= 1, "the message was taken twice"
    assert lab.cancels() == [] or case.fails.get(api), "a turn that ends well is not cancelled"
    if api in case.fails:
        failed(lab, outcome, case.fails[api])
    else:
        went_well(lab, outcome, clean=case.clean)
    lab.server.wait_idle(3)
    users, said = len(lab.users(session)), lab.said(session)
    again = lab.turn("and now?", session=session).well()
    assert again.told == again.result.full_text == lab.said(session).removeprefix(said), "the next turn is a new one"
    assert len(lab.users(session)) == users + 1


def went_well(lab: Any, outcome: Any, *, clean: bool) -> None:
    outcome.well()
    assert outcome.result.full_text == WHOLE == lab.said()
    assert [m.text for m in outcome.result.messages] == ["Let me look. ", "The answer is forty-two, as ever."]
    assert [c.id for c in outcome.result.tool_calls] == ["call"]
    assert len(lab.users()) == 1
    if clean:
        assert not outcome.restated
    if not outcome.restated:
        assert outcome.told == WHOLE


def failed(lab: Any, outcome: Any, kinds: Kinds) -> None:
    error = outcome.error
    assert isinstance(error, errors.MixError), f"{error!r} after {outcome.updates}"
    assert isinstance(error, kinds), repr(error)
    assert error.message
    assert error.acted in {"no", "yes", "unknown"}
    if error.acted == "no":
        assert lab.users() == [], "the error says that the server did nothing"
    if error.acted == "yes":
        assert len(lab.users()) == 1, "the error says that the server acted"
    assert error.hint or error.acted == "no", "what to do next"
    assert isinstance(error.turn, TurnResult), "what is known stays reachable"
    assert error.turn is outcome.result
    assert WHOLE.startswith(outcome.told), "no text twice, none left out"
    assert WHOLE.startswith(error.turn.full_text)
    assert len(error.turn.full_text) >= len(outcome.told)


# At every position


def events_of(lab: Any) -> int:
    """How many events a turn of the script has on this generation."""
    fault = DropEvent(count=None)
    lab.server.faults.add(fault)
    lab.turn().well()
    lab.server.faults.clear()
    return int(lab.server.faults.times(fault))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("half", [False, True], ids=["between", "within"])
def test_a_stream_cut_at_every_event(labs: Any, shell: str, api: str, half: bool) -> None:
    lab = labs(shell, api, script(), heartbeat=0.05)
    for after in range(events_of(lab)):
        session, cut = lab.session(), CutStream(after, half=half)
        lab.server.faults.add(cut)
        sent = len(lab.messages())
        outcome = lab.turn(session=session)
        lab.server.faults.clear()
        assert lab.server.faults.times(cut) == 1
        assert len(lab.messages()) == sent + 1
        if api in OLD and outcome.error is not None:
            failed(lab, outcome, INTERRUPTED[api])
        else:
            went_well(lab, outcome, clean=True)
        lab.server.wait_idle()


@pytest.mark.timeout(60)
def test_an_event_dropped_at_every_position(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, script(), heartbeat=0.05)
    for nth in range(1, events_of(lab) + 1):
        lab.session()
        lab.server.faults.add(DropEvent(nth=nth))
        went_well(lab, lab.turn(session=lab.sessions[-1]), clean=False)
        lab.server.faults.clear()


# Restarts


@pytest.mark.parametrize("place", ["text", "tool"])
def test_a_server_that_restarts_mid_turn(labs: Any, shell: str, api: str, place: str) -> None:
    held = use("Grep", result="41", id="call", until=Gate()) if place == "tool" else Wait(Gate())
    lab = labs(shell, api, Script(turn([*say("Let me look. "), held], "Never said.")), heartbeat=0.05)

    def restart(update: Any) -> None:
        if lab.server.restarts == 0 and isinstance(update, ToolRunning if place == "tool" else TextDelta):
            lab.server.restart()

    # A tool that dies with its server leaves rows that look like those of one that still runs: only a budget ends that.
    outcome = lab.turn("go", restart, **({"timeout": 2.0} if place == "tool" else {}))
    assert lab.server.restarts == 1
    kinds = (errors.MixTurnInterrupted, errors.MixTurnCancelled, errors.MixTurnTimeout)
    assert isinstance(outcome.error, kinds if place == "tool" else kinds[:2]), repr(outcome.error)
    assert outcome.error.acted == "yes"
    assert "Let me look. ".startswith(outcome.told)
    assert outcome.error.turn.full_text in {lab.said(), outcome.told}
    assert len(lab.messages()) == 1
    assert len(lab.users()) == 1


def test_a_server_that_restarts_after_it_took_the_message(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", Script(turn([*say("Let me look. "), Wait(Gate())])), heartbeat=0.05)
    restart = lab.server.faults.add(RestartAfter(match=MESSAGES))
    outcome = lab.turn()
    lab.server.faults.wait_for(restart)
    assert isinstance(outcome.error, errors.MixTurnCancelled), repr(outcome.error)
    assert outcome.error.turn.full_text == lab.said()
    assert len(lab.messages()) == len(lab.users()) == 1
