"""All turns of a server.

Owns: which turns run, starting, cancelling and awaiting them, and the sub-agents that turns start.
Refuses to know: HTTP, and what happens inside a turn.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from langchain_mix.emulator.activity import Activity
from langchain_mix.emulator.agents.base import Agent, Toolbox
from langchain_mix.emulator.events import EventEncoder
from langchain_mix.emulator.permissions import Prompts
from langchain_mix.emulator.state import ServerState, SessionFacts
from langchain_mix.emulator.streams import EventBroker, Subscribers
from langchain_mix.emulator.tool_runs import ToolRunner
from langchain_mix.emulator.turns import CANCELLED, Ending, Turn, TurnRequest

_TITLE_CHARACTERS: Final = 40


class RunningTurn:
    """A turn and its task."""

    def __init__(self, turn: Turn) -> None:
        """Starts the turn."""
        self.turn = turn
        self.task = asyncio.create_task(turn.run())

    def cancel(self) -> None:
        """Ends the turn as a user's cancel does; a second time changes nothing."""
        if not self.task.cancelling():
            self.task.cancel()

    async def ended(self) -> Ending:
        """Waits for the end without ending the turn when the waiter is cancelled."""
        return await asyncio.shield(self.task)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRunner:
    """Starts turns and knows those that run; with `retitle`, a session's first message gives it a new title (Mix)."""

    state: ServerState
    broker: EventBroker
    agent: Agent
    toolbox: Toolbox
    prompts: Prompts
    activity: Activity
    retitle: bool
    _running: dict[str, list[RunningTurn]] = field(init=False, default_factory=dict)

    def start(self, turn_request: TurnRequest, subscribers: Subscribers | None = None) -> RunningTurn:
        """Stores a message and starts the turn that answers it, whatever else runs in the session (Mix).

        The session exists; without subscribers, all its streams get the events.
        """
        facts = self.state.sessions.facts(turn_request.session_id)
        if self.retitle and not self.state.rows.of(turn_request.session_id):
            title = " ".join(turn_request.text.split())[:_TITLE_CHARACTERS]
            self.state.sessions.set_title(turn_request.session_id, title or facts.title)
        if subscribers is None:
            # A sub-agent's turns go to its parent's streams.
            streamed = facts.parent_id if facts.type == "subagent" else facts.id
            subscribers = self._streams(streamed, errors_twice=self.state.caps.errors_twice)
        return self._start(turn_request, facts, subscribers)

    def _streams(self, session_id: str, *, errors_twice: bool) -> Subscribers:
        return Subscribers(
            partial(self.broker.publish, session_id), lambda: len(self._running.get(session_id, ())), errors_twice
        )

    def cancel(self, session_id: str) -> None:
        """Cancels the latest turn of a session, and no earlier one (Mix)."""
        if turns := self._running.get(session_id):
            turns[-1].cancel()

    def save(self) -> None:
        """Stores what all replies hold so far, so that readers see the current state."""
        for turns in self._running.values():
            for running in turns:
                running.turn.save()

    async def idle(self, session_id: str, seconds: float) -> None:
        """Waits until a session's turns have ended, or the time is over."""
        tasks = [running.task for running in self._running.get(session_id, ())]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def close(self) -> None:
        """Cancels all turns and waits for their ends."""
        everyone = [running for turns in self._running.values() for running in turns]
        for running in everyone:
            running.cancel()
        if everyone:
            await asyncio.wait([running.task for running in everyone])

    def _start(self, turn_request: TurnRequest, facts: SessionFacts, subscribers: Subscribers) -> RunningTurn:
        parent_call = facts.parent_tool_call if facts.type == "subagent" else ""
        turn = Turn(
            turn_request=turn_request,
            facts=facts,
            state=self.state,
            agent=self.agent,
            subscribers=subscribers,
            encoder=EventEncoder(self.state.api, parent_call),
            run_tools=ToolRunner(self.state, self.toolbox, self.prompts, self._follow).run,
        )
        turn.begin()
        running = RunningTurn(turn)
        self._running.setdefault(turn_request.session_id, []).append(running)
        self.activity.changed("turns", 1)
        running.task.add_done_callback(lambda _: self._ended(running))
        return running

    def _ended(self, running: RunningTurn) -> None:
        turns = self._running[running.turn.session_id]
        turns.remove(running)
        if not turns:
            del self._running[running.turn.session_id]
        self.activity.changed("turns", -1)

    async def _follow(self, turn: Turn, title: str, call_id: str, prompt: str) -> tuple[str, str, str | None]:
        """Has a sub-agent follow a prompt in a session of its own."""
        body: dict[str, Any] = {"title": title}
        if self.state.caps.browser_mode:
            body["browserMode"] = turn.facts.browser_mode or "local-browser-service"
        session = self.state.sessions.create(body, parent=turn.session_id, parent_tool_call=call_id)
        facts = self.state.sessions.facts(str(session["id"]))
        subscribers = self._streams(turn.session_id, errors_twice=False)
        turn_request = TurnRequest(session_id=facts.id, text=prompt, thinking_level=turn.turn_request.thinking_level)
        running = self._start(turn_request, facts, subscribers)
        try:
            ending = await asyncio.shield(running.task)
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.wait([running.task])
            raise
        text = ending.row.text if ending.row is not None else ""
        error = CANCELLED if ending.kind == "cancelled" else ending.error
        return facts.id, text, error
