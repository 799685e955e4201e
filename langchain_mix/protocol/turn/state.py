"""What a turn remembers, and the ways in which it ends.

Owns: the state of one turn. Refuses to know: what changes it (`stream.py`, `answers.py`, `settling.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from langchain_mix import errors
from langchain_mix.protocol.api import ApiKnowledge, ApiVersion
from langchain_mix.protocol.events import SSECompleteEventData
from langchain_mix.protocol.turn import outcomes
from langchain_mix.protocol.turn.narration import Narration
from langchain_mix.protocol.turn.steps import Effect, Fail, Finish, Reconcile
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
    """How far a turn has come."""

    OPENING = auto()
    """Nothing was sent."""
    RUNNING = auto()
    """The message is on its way or taken."""
    CLOSING = auto()
    """The end is known; the stored messages are being read."""
    DONE = auto()
    """`Finish` or `Fail` was told."""


class Blind(Enum):
    """Why text is not told as it comes."""

    NO = auto()
    """It is told as it comes."""
    UNTIL_TOOL = auto()
    """The stream broke: the message being written lacks pieces. When its tools run it is complete and stored."""
    UNTIL_END = auto()
    """Another turn runs in the session: only the stored messages tell whose text is whose."""


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
        user_id: The row of the user's message, once told.
        sent: The message was sent, or is being sent.
        accepted: The server has taken it.
        ours: What the stream tells is about this turn.
        touched: The stream has told something about this turn.
        foreign_ids: Messages that belong to other turns.
        foreign_users: Users' rows that were told to begin turns of other clients.
        besides: Turns of other clients that ran at the same time.
        mixed: Other turns may have run at the same time, as the stored messages have it.
        ends: Ends seen that may be anyone's: last messages and errors.
        early_error: An error that came before anything else of this turn.
        heard_error: The error that the stream told as this turn's end.
        resume_at: The call at which a stream that broke may be told on, if one has just been heard of.
        held: What waits until the stored messages were read.
        lost_answer: Why the message's answer was lost, as long as nothing shows that the message arrived.
        lost: Why the message's answer was lost.
        answered: The message's answer came.
        last_id: This turn's last message, where the message's own answer names it.
        doubts: How often the stored messages gave no answer.
        unproven: How often the stored messages did not hold a message that was answered, or could not be read for it.
        idle_reads: How often in a row nobody was at work in the session and yet this turn had no end.
        candidate: A message that may be this turn's, or that of an earlier turn with the same words.
        counting: All that is missing are the session's counters.
        reopens: Attempts in a row to open the stream again.
        fruitless: Streams in a row that ended without anything new.
        news: Counts what was new: events of a turn, changes of the stored messages.
        last_unknown: The last event of an unknown kind; one that is equal is not new.
        stored: The size of the stored messages when they were last read.
        failure: With what the turn will end.
        complete: The server's own account of the end.
    """

    session_id: str
    text: str
    detected: ApiKnowledge
    command: bool = False
    stale_error: str = ""
    cost_before: float | None = None
    rows_before: int | None = None
    phase: Phase = Phase.OPENING
    blind: Blind = Blind.NO
    narration: Narration = field(default_factory=Narration)
    result: TurnResult = field(default_factory=lambda: TurnResult(session_id=""))
    user_id: str = ""
    sent: bool = False
    accepted: bool = False
    ours: bool = False
    touched: bool = False
    foreign_ids: set[str] = field(default_factory=set)
    foreign_users: set[str] = field(default_factory=set)
    besides: int = 0
    mixed: bool = False
    ends: set[str] = field(default_factory=set)
    early_error: str = ""
    heard_error: str = ""
    resume_at: str = ""
    held: Effects = ()
    lost_answer: errors.MixError | None = None
    lost: errors.MixError | None = None
    answered: bool = False
    last_id: str = ""
    doubts: int = 0
    unproven: int = 0
    idle_reads: int = 0
    candidate: str = ""
    counting: bool = False
    reopens: int = 0
    fruitless: int = 0
    news: int = 0
    last_unknown: tuple[str, str] = ("", "")
    stored: tuple[int, int, int] | None = None
    failure: errors.MixError | None = None
    complete: SSECompleteEventData | None = None

    def __post_init__(self) -> None:
        """Names the turn in its result."""
        self.result.session_id, self.result.sent_text = self.session_id, self.text

    def is_own(self, message_id: str | None) -> bool:
        """Whether an event of the session's own agent belongs to this turn; remembers what was learned."""
        if self.phase is not Phase.RUNNING:
            return False
        if not self.ours:
            if message_id is not None:
                self.foreign_ids.add(message_id)  # Mix 0.7 on: what comes before our user_message_created is not ours.
            elif self.detected.supports("user_message_created") is not True:
                self.ours = True
        if not self.ours or (message_id is not None and message_id in self.foreign_ids):
            return False
        if not self.touched:
            self.touched = self.accepted = True
            self.lost_answer = None
        return True

    def all_ended(self, end: str) -> bool:
        """Whether, with this end, every turn seen in the session has ended: only then one of the ends is ours."""
        self.ends.add(end)
        return len(self.ends) > self.besides

    def contend(self, besides: int) -> None:
        """Another client's turn runs at the same time: from here on only the stored messages can be trusted.

        Mix has no busy check. Both turns run over the same history and tell their events on every stream, some of them
        twice.
        """
        self.besides = max(self.besides, besides)
        self.result.contended, self.blind = True, Blind.UNTIL_END

    def progress(self) -> None:
        """Notes that something new has come: the turn, or another one of the session, is alive."""
        self.news += 1
        self.fruitless = 0

    def go_on(self) -> None:
        """Takes back that the turn has ended: it was another one's end."""
        self.phase, self.complete, self.failure, self.heard_error = Phase.RUNNING, None, None, ""

    def narrow(self, possible: Iterable[ApiVersion]) -> None:
        """Takes what was seen of the server's generation."""
        if len(self.detected) > 1:
            self.detected = self.detected.narrow(possible)

    def partial(self) -> TurnResult:
        """What is known of the turn by now."""
        self.result.messages = self.narration.messages()
        self.result.user_message_id = self.user_id
        return self.result

    def final_read(self) -> Reconcile:
        """Which listing ends the turn.

        Mix 0.8 tells results and tokens among the messages; before it only the export tells reasons and counters.
        """
        return Reconcile(export=self.detected.supports("tool_results") is False)

    def end_with(self, error: errors.MixError) -> Effects:
        """Ends the turn with an error, once the stored messages were read."""
        self.failure, self.phase = error, Phase.CLOSING
        self.stale_error = outcomes.echo_of(error) if self.detected.supports("errors_twice") is not False else ""
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
