"""What the server asks in a turn, answered in synchronous code: permissions, also of sub-agents, and notifications.

Owns: asking the user's policies and sending what they say; the threads that read sub-agents' streams.
Refuses to know: the turn itself (`_sync_turn.py`).
"""

from __future__ import annotations

import contextvars
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from langchain_mix import errors
from langchain_mix.client._sync import EventStream, SyncTransport
from langchain_mix.client._turns import (
    TIDY_UP,
    Deadline,
    TurnRequest,
    Verdict,
    decided_now,
    fixed_verdict,
    interrupt,
    notification_call,
    refused_answer,
    subagent_session,
    unanswered,
    verdict_call,
)
from langchain_mix.protocol import calls
from langchain_mix.protocol.api import ApiKnowledge
from langchain_mix.protocol.call import Call
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEvent, SSEPermissionEventData
from langchain_mix.protocol.retry import reopen_wait
from langchain_mix.protocol.turn.signals import Ask, Notify
from langchain_mix.protocol.turn.updates import Update

Answer = Callable[[SSEPermissionEventData], None]


class Questions:
    """Answers what the server asks in one turn."""

    def __init__(
        self, transport: SyncTransport, request: TurnRequest, clock: Deadline, wake: Callable[[], None]
    ) -> None:
        """Watches nothing yet.

        Args:
            transport: Sends the answers.
            request: Has the policies.
            clock: The turn's. A policy that decides for longer is not interrupted.
            wake: Called in another thread when there is a problem, so that the turn looks at `problems`.
        """
        self.problems: list[Exception] = []
        self._transport = transport
        self._request = request
        self._clock = clock
        self._wake = wake
        self._watches: dict[str, _Watch] = {}

    def answer(self, question: Ask | Notify, detected: ApiKnowledge) -> Update | None:
        """Decides and tells the server.

        Args:
            question: What is asked.
            detected: The generations the server may be.

        Returns:
            What tells the user that the answer could not be sent, or None.

        Raises:
            Exception: The policy raised it; a permission is denied then.
        """
        if isinstance(question, Ask):
            call = verdict_call(question.request, self._verdict_or_no(question.request))
        else:
            call = self._reply(question.notification, detected)
        if call is None:
            return None
        try:
            self._transport.send(call, self._clock.options())
        except errors.MixNetworkError as error:
            # The server stops waiting by itself, and the turn goes on.
            return unanswered(question, error)
        except errors.MixResponseError as error:
            return refused_answer(question, error)
        return None

    def _verdict_or_no(self, request: SSEPermissionEventData) -> Verdict:
        try:
            return self._verdict(request)
        except BaseException:
            with suppress(errors.MixError):  # The turn is cancelled in any case.
                self._transport.send(calls.deny_permission(request.id), self._clock.leaving())  # No decision is a no.
            raise

    def _verdict(self, request: SSEPermissionEventData) -> Verdict:
        fixed, verdict = fixed_verdict(self._request.permissions)
        if not fixed and callable(self._request.permissions):
            return decided_now(self._request.permissions(request))
        return verdict

    def _reply(self, notification: SSENotificationEventData, detected: ApiKnowledge) -> Call[Any] | None:
        policy = self._request.on_notification
        return None if policy is None else notification_call(detected, notification, decided_now(policy(notification)))

    def watch(self, parent_id: str) -> None:
        """Begins to answer the permission requests of the sub-agent that this Task call runs."""
        if parent_id not in self._watches:
            self._watches[parent_id] = _Watch(self._transport, parent_id, self._clock, self._answer_watched)

    def _answer_watched(self, request: SSEPermissionEventData) -> None:
        try:
            verdict = self._verdict(request)
        except Exception as problem:  # noqa: BLE001  # Raised again in the turn's own thread.
            # Before the server hears of it: the turn may be over soon after.
            verdict = False
            self.problems.append(problem)
            self._wake()
        call = verdict_call(request, verdict)
        if call is not None:
            self._transport.send(call, self._clock.options())

    def unwatch(self, parent_id: str) -> None:
        """The Task call is over."""
        watch = self._watches.pop(parent_id, None)
        if watch is not None:
            watch.stop()
            watch.join(TIDY_UP)

    def close(self) -> None:
        """Leaves no thread behind."""
        watches, self._watches = list(self._watches.values()), {}
        for watch in watches:
            watch.stop()
        for watch in watches:
            watch.join(self._clock.tidy_left())


class _Watch:
    """A thread that reads a sub-agent's stream and answers its permission requests."""

    def __init__(self, transport: SyncTransport, parent_id: str, clock: Deadline, answer: Answer) -> None:
        self._transport = transport
        self._parent_id = parent_id
        self._clock = clock
        self._answer = answer
        self._stream: EventStream | None = None
        self._stopped = threading.Event()
        # Policies see the context variables of the turn's own thread; LangGraph keeps its configuration there.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(errors.MixError):  # Without this stream the server denies after 30 s, and the turn goes on.
            detected = self._transport.server_api.detected
            sessions = self._transport.send(
                calls.list_sessions(detected, include_subagents=True), self._clock.options()
            )
            session_id = subagent_session(sessions, self._parent_id)
            breaks = 0
            while session_id and not self._stopped.is_set() and self._follow(session_id):
                breaks += 1
                self._stopped.wait(reopen_wait(breaks, random.random()))  # noqa: S311

    def _follow(self, session_id: str) -> bool:
        """Reads the stream and tells whether it broke, as Mix breaks every one after ten minutes."""
        with self._transport.open_stream(calls.event_stream(session_id), self._clock.options()) as stream:
            self._stream = stream
            if self._stopped.is_set():  # While it was being opened.
                return False
            for event in stream.until_broken():
                if self._stopped.is_set():
                    return False
                if isinstance(event, SSEPermissionEvent):
                    self._answer(event.data)
            return stream.problem is not None

    def stop(self) -> None:
        self._stopped.set()
        if self._stream is not None:
            interrupt(self._stream.response)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
