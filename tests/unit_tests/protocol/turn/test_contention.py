"""Two turns in one session at the same time: whichever way their events and rows mix, each emits its own text alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import example
from hypothesis import strategies as st

from langchain_mix import errors
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion
from langchain_mix.protocol.models import SendMessageResponse
from langchain_mix.protocol.turn import signals
from langchain_mix.protocol.turn import updates as up

APIS = ["0.6", "0.6.5", "0.7", "0.8", "next"]


@dataclass
class Agent:
    """A turn at the server: what it does, step after step."""

    name: str
    words: str
    tools: int = 0
    fails: bool = False
    todo: list[tuple[str, Any]] = field(default_factory=list)
    row: Any = None
    said: str = ""
    begun: bool = False
    over: bool = False

    def __post_init__(self) -> None:
        for step in range(self.tools + 1):
            self.todo += [("row", step), ("say", f"{self.name}{step}."), ("say", "and on. ")]
            self.todo += [("tools", step)] if step < self.tools else [("fail" if self.fails else "end", step)]


class Session:
    """A server with two turns in a session; the stream is open from the moment it is told to be."""

    def __init__(self, bench: Any, row: Any, api: str, *, known: bool, mine: Agent, theirs: Agent) -> None:
        old = [row("user", "U0", "before"), row("assistant", "A0", "long ago")]
        self.server = bench(api=api, rows=old, rows_before=2 if known else None)
        self.able, self.row = CAPABILITIES[ApiVersion(api)], row
        self.mine, self.theirs, self.listening = mine, theirs, False
        self.waiting: list[Agent] = []

    def tell(self, name: str, /, **data: Any) -> None:
        if self.listening and not self.server.turn.over:
            self.server.event(name, **data)

    def tell_all(self, name: str, /, **data: Any) -> None:
        """Sends every event of the session to each turn that runs."""
        for _ in [a for a in (self.mine, self.theirs) if a.begun and not a.over]:
            self.tell(name, **data)

    def open(self) -> None:
        self.listening = True
        self.server.connected()

    def begin(self, agent: Agent) -> None:
        agent.begun = True
        self.server.rows.append(self.row("user", f"U{agent.name}", agent.words))
        self.waiting.append(agent)
        if agent is self.mine:
            self.server.accepted()
        if self.able.user_message_created:
            self.tell("user_message_created", messageId=f"U{agent.name}", content=agent.words)

    def at_once(self) -> None:
        """A turn's first row follows its message at once."""
        waiting, self.waiting = self.waiting, []
        for agent in waiting:
            self.do(agent)

    def do(self, agent: Agent) -> None:
        what, given = agent.todo.pop(0)
        match what:
            case "row":
                agent.row = self.row("assistant", f"M{agent.name}{given}", finish="", tokens=(1, 1, 0.1))
                self.server.rows.append(agent.row)
            case "say":
                agent.said += given
                self.grow(agent, text=agent.row.text + given)
                named = {"assistantMessageId": agent.row.id} if self.able.message_ids else {}
                self.tell_all("content", content=given, **named)
            case "tools":
                self.tools(agent, f"T{agent.name}{given}")
            case "fail":
                self.grow(agent, finish="error")
                self.tell("error", error=f"{agent.name} failed")
                self.tell("error", error=f"{agent.name} failed")
                self.ended(agent)
            case "end":
                self.grow(agent, finish="end_turn")
                self.tell("complete", content=agent.row.text, messageId=agent.row.id, done=True)
                self.ended(agent)

    def tools(self, agent: Agent, call: str) -> None:
        named = {"assistantMessageId": agent.row.id} if self.able.message_ids else {}
        if self.able.tool_use_events:
            self.tell_all("tool_use_start", name="Bash", id=call, **named)
            self.tell_all("tool_use_parameter_streaming_complete", name="Bash", id=call, input="{}", **named)
        else:
            self.tell_all("tool", name="Bash", input="{}", id=call, status="completed", **named)
        self.grow(agent, calls=[(call, "Bash", "{}", "out")], finish="tool_use")
        self.tell_all("tool_execution_start", toolName="", progress="Executing Bash tool", toolCallId=call)
        self.tell_all("tool_execution_complete", toolName="", progress="Done", success=True, toolCallId=call)
        self.server.rows.append(self.row("tool", f"R{call}"))

    def grow(self, agent: Agent, **changes: Any) -> None:
        grown = replace(agent.row, **changes)
        self.server.rows = [grown if r.id == grown.id else r for r in self.server.rows]
        agent.row = grown

    def ended(self, agent: Agent) -> None:
        agent.over = True
        if agent is self.mine and self.able.send_waits and not self.server.turn.over:
            self.answer()

    def answer(self) -> None:
        """Mix 0.6 answers the message when its turn is over."""
        if self.mine.fails:
            detail = errors.RESTError(500, "Internal error during agent processing: ours failed", "internal_error")
            data = errors.ErrorResponseData(detail)
            self.server.refused(errors.ErrorResponse("ours failed", acted="yes", data=data))
            return
        body = {"id": self.mine.row.id, "role": "user", "userInput": "hi", "assistantResponse": self.mine.row.text}
        self.server.step(signals.Answered(SendMessageResponse.model_validate(body)))

    def run(self, order: list[str]) -> Any:
        """Plays the moments in this order."""
        for moment in [*order, *["beat"] * 5]:
            if moment == "open" and not self.listening:
                self.open()
            elif moment == "beat" and self.listening and not self.server.turn.over:
                self.server.heartbeat()
            elif moment in {"mine", "theirs"}:
                self.advance(self.mine if moment == "mine" else self.theirs)
        return self.server

    def advance(self, agent: Agent) -> None:
        if not agent.begun:
            if agent is self.theirs or self.server.of(signals.Send):
                self.begin(agent)
            return
        self.at_once()
        if agent.todo:
            self.do(agent)


def play(session: Session, order: list[str]) -> Any:
    """Plays an order to its end: what it leaves over of either turn comes after it."""
    rest = ["open"] + ["mine"] * 20 + ["theirs"] * 20
    return session.run([*order, *rest])


def check(session: Session, *, doubt: bool = False) -> None:
    server, mine = session.server, session.mine
    assert server.turn.over, "it hangs"
    assert len(server.of(signals.Send)) == 1
    if isinstance(server.error, errors.MixHistoryDiverged):
        assert doubt, "the rows tell it"
        assert mine.said.startswith(server.error.turn.full_text) or server.error.turn.full_text == ""
        assert server.error.acted == "yes"
        return
    if mine.fails:
        assert isinstance(server.error, errors.MixAgentError)
        assert server.error.turn.full_text in {mine.said, ""}
        return
    assert server.error is None
    assert server.result.full_text == mine.said
    assert server.result.verified
    assert server.result.user_message_id == "Uours"
    assert {c.id for c in server.result.tool_calls} == {f"Tours{i}" for i in range(mine.tools)}
    assert server.shown == mine.said or server.of(up.TextRestated), "text is missing, or told twice"


def both(*, mine: int = 0, theirs: int = 0, fails: str = "") -> dict[str, Agent]:
    return {
        "mine": Agent("ours", "hi", mine, fails == "mine"),
        "theirs": Agent("theirs", "else", theirs, fails == "theirs"),
    }


def orders() -> list[list[str]]:
    """All ways in which two plain turns can mix, the stream opened before or after theirs has begun."""
    mixed = []
    for places in itertools.combinations(range(10), 5):
        turns = ["mine" if i in places else "theirs" for i in range(10)]
        mixed.append(["open", *turns])
        if turns[0] == "theirs":
            mixed.append(
                [*itertools.takewhile("theirs".__eq__, turns), "open", *itertools.dropwhile("theirs".__eq__, turns)]
            )
    return mixed


@pytest.fixture(params=[5, pytest.param(1, marks=pytest.mark.exhaustive)], ids=["some", "all"])
def step(request: pytest.FixtureRequest) -> int:
    """By default every fifth order is played."""
    return int(request.param)


@pytest.mark.parametrize("known", [True, False], ids=["rows known", "rows unknown"])
@pytest.mark.parametrize("api", APIS)
def test_two_plain_turns_in_every_order(bench, row, api, known, step):
    for order in orders()[::step]:
        session = Session(bench, row, api, known=known, **both())
        play(session, order)
        check(session)


@pytest.mark.parametrize("fails", ["mine", "theirs"])
@pytest.mark.parametrize("api", APIS)
def test_a_failure_is_charged_to_the_turn_that_failed(bench, row, api, fails, step):
    for order in orders()[::step]:
        session = Session(bench, row, api, known=True, **both(fails=fails))
        play(session, order)
        check(session)


MOMENTS = st.lists(st.sampled_from(["mine", "theirs", "beat", "open"]), max_size=40)


@pytest.mark.parametrize("api", APIS)
def test_turns_with_tools_tell_their_own_text_or_that_the_rows_leave_a_doubt(
    tried: Any, bench: Any, row: Any, api: str
) -> None:
    @tried(30, order=MOMENTS, mine=st.integers(0, 2), theirs=st.integers(0, 2), known=st.booleans())
    @example(order=["open", "mine", "theirs"], mine=2, theirs=2, known=True)
    def _(order: list[str], mine: int, theirs: int, known: bool) -> None:
        # Where it is not known which rows were there before, a turn that is in the middle of its tools looks like one
        # that was given up there; among ours with tools, its answer may be taken for ours.
        known = known or bool(mine and theirs)
        session = Session(bench, row, api, known=known, **both(mine=mine, theirs=theirs))
        play(session, order)
        check(session, doubt=bool(mine and theirs))


@pytest.mark.parametrize("api", APIS)
def test_what_comes_once_another_turn_is_known_of_is_held_back(bench, row, api):
    session = Session(bench, row, api, known=True, **both())
    server = session.server
    session.open()
    session.begin(session.theirs)
    session.begin(session.mine)
    for _ in range(4):
        session.advance(session.theirs)
    if not session.able.user_message_created:
        assert server.result is None  # Theirs has ended, ours has not: from here on it is known.
        before = server.shown
        session.advance(session.mine)
        assert server.shown == before
    else:
        session.advance(session.mine)
        assert server.shown == ""
    play(session, [])
    check(session)


@pytest.mark.parametrize("api", APIS)
def test_a_turn_alone_reads_once_and_tells_as_it_comes(bench, row, api):
    session = Session(bench, row, api, known=True, **both())
    session.open()
    for _ in range(5):
        session.advance(session.mine)
    assert session.server.result.full_text == session.mine.said
    assert not session.server.result.contended
    assert len(session.server.of(signals.Reconcile)) == 1
    assert [u.text for u in session.server.updates if isinstance(u, up.TextDelta)] == ["ours0.", "and on. "]


@pytest.mark.parametrize("api", ["0.6", "0.6.5"])
def test_a_lost_message_is_not_taken_for_arrived_because_another_turn_told_something(bench, row, api):
    session = Session(bench, row, api, known=True, **both())
    server = session.server
    session.open()
    session.begin(session.theirs)
    session.advance(session.theirs)
    server.refused(errors.MixTimeoutError("late", acted="unknown"))
    for _ in range(4):
        session.advance(session.theirs)
    for _ in range(4):
        if not server.turn.over:
            server.heartbeat()
    assert isinstance(server.error, errors.MixOutcomeUnknown)
    assert len(server.of(signals.Send)) == 1
