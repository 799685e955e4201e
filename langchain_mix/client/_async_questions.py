"""What the server asks in a turn, answered in asynchronous code: permissions, also of sub-agents, and notifications.

Owns: asking the user's policies and sending what they say; the tasks that read sub-agents' streams.
Refuses to know: the turn itself (`_async_turn.py`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from langchain_mix import errors
from langchain_mix.client._async import AsyncTransport, decided, shielded
from langchain_mix.client._turns import (
    TIDY_UP,
    Deadline,
    Said,
    TurnRequest,
    Verdict,
    fixed_verdict,
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


class Questions:
    """Answers what the server asks in one turn."""

    def __init__(
        self, transport: AsyncTransport, request: TurnRequest, clock: Deadline, wake: Callable[[], None]
    ) -> None:
        """Watches nothing yet.

        Args:
            transport: Sends the answers.
            request: Has the policies.
            clock: The turn's. An async policy that decides for longer is cancelled, and no decision is a no.
            wake: Called in another task when there is a problem, so that the turn looks at `problems`.
        """
        self.problems: list[BaseException] = []
        self._transport = transport
        self._request = request
        self._clock = clock
        self._wake = wake
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def answer(self, question: Ask | Notify, detected: ApiKnowledge) -> Update | None:
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
            call = verdict_call(question.request, await self._verdict_or_no(question.request))
        else:
            call = await self._reply(question.notification, detected)
        if call is None:
            return None
        try:
            await self._transport.send(call, self._clock.options())
        except errors.MixNetworkError as error:
            # The server stops waiting by itself, and the turn goes on.
            return unanswered(question, error)
        except errors.MixResponseError as error:
            return refused_answer(question, error)
        return None

    async def _verdict_or_no(self, request: SSEPermissionEventData) -> Verdict:
        try:
            return await self._verdict(request)
        except BaseException:
            with suppress(errors.MixError):  # The turn is cancelled in any case.
                deny = self._transport.send(calls.deny_permission(request.id), self._clock.leaving())
                await shielded(deny)  # No decision is a no.
            raise

    async def _verdict(self, request: SSEPermissionEventData) -> Verdict:
        fixed, verdict = fixed_verdict(self._request.permissions)
        if not fixed and callable(self._request.permissions):
            return await self._in_time(self._request.permissions(request), late=False)
        return verdict

    async def _in_time(self, said: Said | Awaitable[Said], *, late: Said) -> Said:
        """Returns what a policy said, or what holds for one that has not decided when the turn's time is over."""
        timeout = asyncio.timeout(self._clock.left())
        try:
            async with timeout:
                return await decided(said)
        except TimeoutError:
            if not timeout.expired():
                raise
            return late

    async def _reply(self, notification: SSENotificationEventData, detected: ApiKnowledge) -> Call[Any] | None:
        policy = self._request.on_notification
        if policy is None:
            return None
        return notification_call(detected, notification, await self._in_time(policy(notification), late=None))

    def watch(self, parent_id: str) -> None:
        """Begins to answer the permission requests of the sub-agent that this Task call runs."""
        if parent_id not in self._watches:
            self._watches[parent_id] = asyncio.create_task(self._watching(parent_id))

    async def _watching(self, parent_id: str) -> None:
        """Reads a sub-agent's stream and answers its permission requests."""
        with suppress(errors.MixError):  # Without this stream the server denies after 30 s, and the turn goes on.
            detected = self._transport.server_api.detected
            sessions = await self._transport.send(
                calls.list_sessions(detected, include_subagents=True), self._clock.options()
            )
            session_id = subagent_session(sessions, parent_id)
            breaks = 0
            while session_id and await self._follow(session_id):
                breaks += 1
                await asyncio.sleep(reopen_wait(breaks, random.random()))  # noqa: S311, TID251  # Between two attempts.

    async def _follow(self, session_id: str) -> bool:
        """Reads the stream and tells whether it broke, as Mix breaks every one after ten minutes."""
        opened = await self._transport.open_stream(calls.event_stream(session_id), self._clock.options())
        async with opened as stream:
            async for event in stream.until_broken():
                if isinstance(event, SSEPermissionEvent):
                    await self._answer_watched(event.data)
            return stream.problem is not None

    async def _answer_watched(self, request: SSEPermissionEventData) -> None:
        try:
            verdict = await self._verdict(request)
        except Exception as problem:  # noqa: BLE001  # Raised again in the turn's own task.
            # Before the server hears of it: the turn may be over soon after.
            verdict = False
            self.problems.append(problem)
            self._wake()
        call = verdict_call(request, verdict)
        if call is not None:
            await self._transport.send(call, self._clock.options())

    async def unwatch(self, parent_id: str) -> None:
        """The Task call is over."""
        task = self._watches.pop(parent_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=TIDY_UP)

    async def close(self) -> None:
        """Leaves no task behind."""
        tasks, self._watches = list(self._watches.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._clock.tidy_left())
