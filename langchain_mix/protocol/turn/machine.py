"""`Turn`: signals in, effects out.

Owns: the machine that the shells drive. Refuses to know: clocks, sockets, threads, event loops; the shells have them.
"""

from __future__ import annotations

from langchain_mix.protocol.api import ApiKnowledge
from langchain_mix.protocol.turn import answers, settling, stream
from langchain_mix.protocol.turn.state import Effects, Phase, State
from langchain_mix.protocol.turn.steps import Answered, Dropped, Read, Received, Signal
from langchain_mix.protocol.turn.updates import TurnResult


class Turn:
    """One turn, from the open stream to its result.

    Text is told exactly once, the message is sent at most once, and every turn ends. `step()` never raises on what a
    server sends. The object is fed, not copied: a turn may have tens of thousands of events.
    """

    def __init__(
        self,
        session_id: str,
        text: str,
        *,
        detected: ApiKnowledge,
        command: bool = False,
        stale_error: str = "",
        cost_before: float | None = None,
        rows_before: int | None = None,
    ) -> None:
        """Prepares a turn; nothing is sent before the stream says `connected`.

        Args:
            session_id: The session.
            text: The message, exactly as it will be sent.
            detected: The generations the server may be.
            command: The text is meant as a server command.
            stale_error: Text of an error that ended the session's last turn and may be told once more (Mix 0.6.5 on).
            cost_before: The session's cost before the turn in US dollars, if known; before Mix 0.8 only the difference
                tells what a turn has cost.
            rows_before: The rows of the session before the turn, if known: an earlier message with the same words can
                then never be taken for this one.
        """
        self._state = State(
            session_id=session_id,
            text=text,
            detected=detected,
            command=command,
            stale_error=stale_error,
            cost_before=cost_before,
            rows_before=rows_before,
        )

    @property
    def detected(self) -> ApiKnowledge:
        """The generations the server may be, narrowed by what the turn has shown."""
        return self._state.detected

    @property
    def stale_error(self) -> str:
        """After the turn: text of its error, which the server may tell once more."""
        return self._state.stale_error

    @property
    def over(self) -> bool:
        """Whether the turn has ended, well or not."""
        return self._state.phase is Phase.DONE

    @property
    def may_run(self) -> bool:
        """Whether the server may be working on the message, so that giving up means cancelling."""
        return self._state.phase is Phase.RUNNING

    @property
    def sent(self) -> bool:
        """True once the message is on its way to the server."""
        return self._state.sent

    @property
    def news(self) -> int:
        """A counter of what was new in the turn; while it stands still, nothing shows that anybody works on it."""
        return self._state.news

    def partial(self) -> TurnResult:
        """What is known of the turn by now."""
        return self._state.partial()

    def step(self, signal: Signal) -> Effects:
        """Takes a signal.

        Args:
            signal: What happened.

        Returns:
            What to do now, in this order. After `Finish` or `Fail` nothing more comes.
        """
        state = self._state
        if state.phase is Phase.DONE:
            return ()
        if isinstance(signal, Received):
            return stream.hear(state, signal.event)
        if isinstance(signal, Answered):
            return answers.answered(state, signal)
        if isinstance(signal, Read):
            return settling.read(state, signal)
        if isinstance(signal, Dropped):
            return answers.dropped(state, signal.error)
        return answers.expired(state, signal.seconds, quiet=signal.quiet)
