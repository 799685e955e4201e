"""The state of a turn and the ways in which it ends.

Owns: what is known of one turn. Refuses to know: what changes it (`machine.py`, `stream.py`, `reconciliation.py`).

Three small state machines run side by side.

`Phase`: how far the turn is. OPENING → RUNNING → CLOSING → (COUNTING →) DONE. From CLOSING it goes back to RUNNING when
the end proves to be that of another turn.

`Delivery`: what became of the request that sends the message; it changes once from SENT.

`Visibility`: what the session's stream has shown of this turn. HIDDEN → EXPECTED → SHOWN; back to EXPECTED when what
was shown proves to be another turn's.

| delivery | nothing shown on the stream                                  | shown on the stream |
|----------|--------------------------------------------------------------|---------------------|
| UNSENT   | the message waits for `connected`                            | -                   |
| SENT     | the answer is awaited                                        | accepted            |
| LOST     | the stored messages decide whether the message arrived       | accepted            |
| ANSWERED | accepted; but stored messages that never show it prove a loss | accepted            |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from langchain_mix import errors
from langchain_mix.protocol.api import ApiKnowledge, ApiVersion
from langchain_mix.protocol.events import SSECompleteEventData
from langchain_mix.protocol.turn import errors as turn_errors
from langchain_mix.protocol.turn.accumulator import MessageAccumulator
from langchain_mix.protocol.turn.signals import Effect, Fail, Finish, Reconcile
from langchain_mix.protocol.turn.stored_rows import Transcript
from langchain_mix.protocol.turn.updates import TurnResult

MAX_REOPENS: Final = 5
"""Attempts in a row to open a broken stream again before the turn is left to the server."""

MAX_FRUITLESS: Final = 200
"""Streams in a row that opened and ended without anything new. At the longest pause between two of them this takes
longer than a turn may be silent, so that no turn that is alive reaches it."""

MAX_UNPROVEN: Final = 5
"""Reads of the stored messages after which a message that was answered and that nothing shows counts as lost."""

Effects = tuple[Effect, ...]


class Phase(Enum):
    """The stage of a turn."""

    OPENING = auto()
    """Nothing was sent."""
    RUNNING = auto()
    """The message is on its way or taken."""
    CLOSING = auto()
    """The end is known; the stored messages are being read."""
    COUNTING = auto()
    """Only the session's counters are missing; the export is being read."""
    DONE = auto()
    """`Finish` or `Fail` was returned."""


class Delivery(Enum):
    """The request that sends the message."""

    UNSENT = auto()
    """It was not sent."""
    SENT = auto()
    """It is on its way or waits for its answer."""
    LOST = auto()
    """Its answer was lost, or says nothing of whether the message was taken."""
    ANSWERED = auto()
    """The server has taken the message."""


class Visibility(Enum):
    """The turn on the session's stream."""

    HIDDEN = auto()
    """Events may be another turn's (Mix 0.7 on: until `user_message_created` names this turn's message)."""
    EXPECTED = auto()
    """The next event that names no foreign message is this turn's."""
    SHOWN = auto()
    """The stream has shown events of this turn."""


class TextSuppression(Enum):
    """The reason why text is not emitted as it arrives."""

    NONE = auto()
    """It is emitted as it arrives."""
    UNTIL_TOOL = auto()
    """The stream broke: the message being written lacks pieces. When its tools run it is complete and stored."""
    UNTIL_END = auto()
    """Another turn runs in the session: only the stored messages show whose text is whose."""


@dataclass(slots=True)
class OtherTurns:
    """Turns of other clients in the session.

    Attributes:
        message_ids: Messages that belong to them.
        user_ids: Users' rows that were reported to begin them.
        concurrent: The number of those that ran at the same time as this turn.
        possible: True if the stored messages leave room for turns at the same time.
        ends: Ends seen that may be anyone's, this turn's included: last messages and errors.
    """

    message_ids: set[str] = field(default_factory=set)
    user_ids: set[str] = field(default_factory=set)
    concurrent: int = 0
    possible: bool = False
    ends: set[str] = field(default_factory=set)

    def all_ended(self, end: str) -> bool:
        """Returns True if with this end every turn seen has ended, this one included: only then one end is its own."""
        self.ends.add(end)
        return len(self.ends) > self.concurrent


@dataclass(slots=True)
class Activity:
    """Signs that somebody works in the session.

    Attributes:
        news: Counts what was new: events of a turn, changes of the stored messages.
        fruitless: Streams in a row that ended without anything new.
        unknown: The last event of an unknown kind; one that is equal is not new.
        stored: The size of the stored messages when they were last read.
    """

    news: int = 0
    fruitless: int = 0
    unknown: tuple[str, str] = ("", "")
    stored: tuple[int, int, int] | None = None

    def progress(self) -> None:
        """Notes that something new has come: the turn, or another one of the session, is alive."""
        self.news += 1
        self.fruitless = 0

    def compare(self, transcript: Transcript) -> None:
        """Notes whether the stored messages have grown: events may be lost while no stream is open."""
        size = len(transcript.rows)
        text = sum(len(row.text) + len(row.thinking) for row in transcript.rows)
        stored = (size, text, sum(len(row.tool_calls) for row in transcript.rows))
        if self.stored not in {None, stored}:
            self.progress()
        self.stored = stored


@dataclass(slots=True, kw_only=True)
class State:
    """The state of one turn.

    Attributes:
        session_id: The session.
        text: The message as it is sent.
        detected: The generations the server may be.
        command: The text is meant as a server command.
        stale_error: Text of an error of the turn before that may come once more; after the turn, of this one's.
        cost_before: The session's cost before the turn, if known.
        rows_before: The session's rows before the turn, if known.
        phase: See the head of this module.
        delivery: The same.
        visibility: The same.
        suppression: The reason why text is held back, if it is.
        accumulator: The messages as far as they were emitted.
        result: The result as far as it is known.
        others: Turns of other clients.
        activity: Signs of life.
        user_id: The row of the user's message, once it is known.
        candidate: A message that may be this turn's, or that of an earlier turn with the same words.
        last_id: This turn's last message, where the message's own answer names it.
        lost: The error by which the message's answer was lost.
        early_error: An error that came before anything else of this turn.
        reported_error: The error that the stream reported as this turn's end.
        failure: The error with which the turn will end.
        complete: The server's own account of the end.
        resume_at: The call at which updates of a stream that broke may go on, if one was just reported.
        held: Effects that wait until the stored messages were read.
        reopens: Attempts in a row to open the stream again.
        doubts: How often the stored messages gave no answer.
        unproven: How often the stored messages did not hold a message that was answered, or could not be read for it.
        idle_reads: How often in a row nobody was at work in the session and yet this turn had no end.
    """

    session_id: str
    text: str
    detected: ApiKnowledge
    command: bool = False
    stale_error: str = ""
    cost_before: float | None = None
    rows_before: int | None = None
    phase: Phase = Phase.OPENING
    delivery: Delivery = Delivery.UNSENT
    visibility: Visibility = Visibility.HIDDEN
    suppression: TextSuppression = TextSuppression.NONE
    accumulator: MessageAccumulator = field(default_factory=MessageAccumulator)
    result: TurnResult = field(default_factory=lambda: TurnResult(session_id=""))
    others: OtherTurns = field(default_factory=OtherTurns)
    activity: Activity = field(default_factory=Activity)
    user_id: str = ""
    candidate: str = ""
    last_id: str = ""
    lost: errors.MixError | None = None
    early_error: str = ""
    reported_error: str = ""
    failure: errors.MixError | None = None
    complete: SSECompleteEventData | None = None
    resume_at: str = ""
    held: Effects = ()
    reopens: int = 0
    doubts: int = 0
    unproven: int = 0
    idle_reads: int = 0

    def __post_init__(self) -> None:
        """Names the turn in its result."""
        self.result.session_id, self.result.sent_text = self.session_id, self.text

    @property
    def sent(self) -> bool:
        """True once the message is on its way."""
        return self.delivery is not Delivery.UNSENT

    @property
    def shown(self) -> bool:
        """True once the stream has shown events of this turn."""
        return self.visibility is Visibility.SHOWN

    @property
    def accepted(self) -> bool:
        """True once the server is known to have taken the message."""
        return self.delivery is Delivery.ANSWERED or self.visibility is Visibility.SHOWN

    @property
    def lost_answer(self) -> errors.MixError | None:
        """The error by which the answer was lost, as long as nothing shows that the message arrived."""
        return None if self.accepted else self.lost

    @property
    def ending(self) -> bool:
        """True while the stored messages are read after the end."""
        return self.phase is Phase.CLOSING or self.phase is Phase.COUNTING

    def is_own(self, message_id: str | None) -> bool:
        """Returns True if an event of the session's own agent belongs to this turn; remembers what it shows."""
        if self.phase is not Phase.RUNNING:
            return False
        if self.visibility is Visibility.HIDDEN:
            if message_id is not None:
                # Mix 0.7 on: what comes before this turn's user_message_created is another turn's.
                self.others.message_ids.add(message_id)
                return False
            if self.detected.supports("user_message_created") is True:
                return False
        elif message_id is not None and message_id in self.others.message_ids:
            return False
        self.visibility = Visibility.SHOWN
        return True

    def mark_concurrent(self, concurrent: int) -> None:
        """Notes that other clients' turns run at the same time: only the stored messages can be trusted from here on.

        Mix has no busy check. All turns run over the same history and send their events to every stream, some of them
        twice.

        Args:
            concurrent: The number of other turns, at least.
        """
        self.others.concurrent = max(self.others.concurrent, concurrent)
        self.result.contended, self.suppression = True, TextSuppression.UNTIL_END

    def resume(self) -> None:
        """Takes back that the turn has ended: it was another one's end."""
        self.phase, self.complete, self.failure, self.reported_error = Phase.RUNNING, None, None, ""

    def narrow(self, possible: Iterable[ApiVersion]) -> None:
        """Takes what was seen of the server's generation."""
        if len(self.detected) > 1:
            self.detected = self.detected.narrow(possible)

    def partial(self) -> TurnResult:
        """Returns what is known of the turn by now."""
        self.result.messages = self.accumulator.messages()
        self.result.user_message_id = self.user_id
        return self.result

    def final_read(self) -> Reconcile:
        """Returns the listing that ends the turn.

        Mix 0.8 lists results and tokens with the messages; before it only the export has reasons and counters.
        """
        return Reconcile(export=self.detected.supports("tool_results") is False)

    def end_with(self, error: errors.MixError) -> Effects:
        """Ends the turn with an error, once the stored messages were read."""
        self.failure, self.phase = error, Phase.CLOSING
        self.stale_error = turn_errors.echo_of(error) if self.detected.supports("errors_twice") is not False else ""
        return (self.final_read(),)

    def finish(self, *, command: bool = False) -> Effects:
        """Ends the turn well."""
        self.phase, self.stale_error = Phase.DONE, ""
        self.result.command = command
        return (Finish(self.partial()),)

    def fail(self, error: errors.MixError) -> Effects:
        """Ends the turn with an error, now."""
        self.phase = Phase.DONE
        error.turn = self.partial()
        return (Fail(error),)
