"""Messages: sending one and reading what was said.

Owns: their operations. Refuses to know: how a turn runs (`Mix.turn`) and what is in an answer (`protocol/sending.py`).
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any, Literal, TypeAlias, TypeVar, Unpack, cast

from langchain_mix.client._async import AsyncEventStream, AsyncTransport, in_thread, running_loop
from langchain_mix.client._async_turn import AsyncTurnStream
from langchain_mix.client._config import RequestOptions
from langchain_mix.client._failures import broken_stream
from langchain_mix.client._requests import Core
from langchain_mix.client._sync import EventStream, SyncTransport
from langchain_mix.client._sync_turn import TurnStream
from langchain_mix.client._turn_calls import SESSION_LOCKS, PermissionPolicy, TurnRequest
from langchain_mix.client.basesdk import BaseSDK
from langchain_mix.errors import MixUsageError
from langchain_mix.fifo_lock import LockTicket
from langchain_mix.protocol import calls, flows, sending
from langchain_mix.protocol.call import Flow
from langchain_mix.protocol.models import PROCESSING, BackendMessage, SendMessageResponse, ThinkingLevel

T = TypeVar("T")


class Messages(BaseSDK):
    """Sends, lists and searches messages."""

    def get_history(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        **options: Unpack[RequestOptions],
    ) -> list[BackendMessage]:
        """Lists the messages of users in all sessions, newest first.

        Args:
            limit: How many, at least 1; the server's default is 50.
            offset: How many to skip.
            **options: See `RequestOptions`.

        Returns:
            The messages.

        Raises:
            MixInputError: A number for which the server would silently take its default.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.message_history(limit=limit, offset=offset))

    async def get_history_async(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        **options: Unpack[RequestOptions],
    ) -> list[BackendMessage]:
        """Does what `get_history` does, asynchronously."""
        return await self._async.with_options(options).send(calls.message_history(limit=limit, offset=offset))

    def list_session(self, *, id: str, **options: Unpack[RequestOptions]) -> list[BackendMessage]:
        """Lists the messages of a session, oldest first.

        Args:
            id: The session.
            **options: See `RequestOptions`.

        Returns:
            The messages. An unknown session has none.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.list_messages(id))

    async def list_session_async(self, *, id: str, **options: Unpack[RequestOptions]) -> list[BackendMessage]:
        """Does what `list_session` does, asynchronously."""
        return await self._async.with_options(options).send(calls.list_messages(id))

    def send(
        self,
        *,
        id: str,
        text: str,
        max_steps: int | None = None,
        plan_mode: bool | None = None,
        thinking_level: ThinkingLevel | str | None = None,
        wait: bool = True,
        command: bool = False,
        permissions: PermissionPolicy = "ignore",
        multitask_strategy: Literal["reject", "enqueue"] = "reject",
        timeout: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> SendMessageResponse:
        """Sends a message and waits for the answer. The same on every generation; a message is never sent twice.

        Mix 0.5 shows the turn on an event stream only if the message is written to that stream: it is while this client
        has one of the session open.

        Args:
            id: The session.
            text: The message, not empty. One that looks like a server command is guarded by a word in front of it.
            max_steps: After how many steps the turn ends with an error (Mix 0.8).
            plan_mode: Whether the agent may only read and plan.
            thinking_level: How much the model may think (Mix 0.7).
            wait: Whether to wait for the end of the turn. If not, the result is what the server answers at once: on
                Mix 0.6.5 and later only that it works on the message.
            command: The text is meant as a server command, such as `/help`. Its answer is that of the command.
            permissions: How permission requests are answered; see `Mix.turn`. The default leaves them to a reader of
                the session's event stream, and the server denies after 30 s. Without `wait` nobody answers
                here.
            multitask_strategy: What to do if the session runs another turn of this process: `"reject"` raises
                `MixSessionBusy`, `"enqueue"` waits for it. Without `wait` it is not checked.
            timeout: Seconds that the whole turn may take before it is cancelled; None for any time. It goes with
                `wait`.
            **options: See `RequestOptions`. They hold for every request of the turn; the message is never sent twice.

        Returns:
            With `wait` the finished message: `assistant_response` is the last text, `tool_calls` and `reasoning` are
            those of the whole turn, tokens and cost where the server reports them; `status` is `"complete"`.

        Raises:
            MixInputError: An argument that the server would refuse, or misread.
            MixUnsupportedError: This generation of the server does not know an argument.
            MixUsageError: Mix 0.5 would run the message more than once, since this client has more than one event
                stream of the session open.
            MixAuthenticationError: The server holds no usable credential of a model provider.
            MixTurnError: The turn did not end well; the subclass shows how, and `turn` has what is known of it.
            MixError: It failed otherwise; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        request = TurnRequest(
            session_id=id,
            text=text,
            plan_mode=plan_mode,
            thinking_level=thinking_level,
            max_steps=max_steps,
            command=command,
            timeout=timeout,
            permissions=permissions,
            multitask_strategy=multitask_strategy,
        )
        match shell.run(_choose_route(shell.core, request, wait=wait)):
            case "open_stream":
                return _send_on_open_stream(shell, request, wait=wait)
            case "bare":
                return shell.run(sending.send_message(request.post_call(shell.server_api.detected)))
            case "direct":
                with _claimed(shell.core, request):
                    return shell.run(sending.send_and_read(id, request.post_call(shell.server_api.detected)))
            case _:
                return sending.message_of(TurnStream(shell, request).run())

    async def send_async(
        self,
        *,
        id: str,
        text: str,
        max_steps: int | None = None,
        plan_mode: bool | None = None,
        thinking_level: ThinkingLevel | str | None = None,
        wait: bool = True,
        command: bool = False,
        permissions: PermissionPolicy = "ignore",
        multitask_strategy: Literal["reject", "enqueue"] = "reject",
        timeout: float | None = None,  # noqa: ASYNC109  # The server gets the cancel.
        **options: Unpack[RequestOptions],
    ) -> SendMessageResponse:
        """Does what `send` does, asynchronously."""
        shell = self._async.with_options(options)
        request = TurnRequest(
            session_id=id,
            text=text,
            plan_mode=plan_mode,
            thinking_level=thinking_level,
            max_steps=max_steps,
            command=command,
            timeout=timeout,
            permissions=permissions,
            multitask_strategy=multitask_strategy,
        )
        match await shell.run(_choose_route(shell.core, request, wait=wait)):
            case "open_stream":
                return await _send_on_open_stream_async(shell, request, wait=wait)
            case "bare":
                return await shell.run(sending.send_message(request.post_call(shell.server_api.detected)))
            case "direct":
                with _claimed(shell.core, request):
                    return await shell.run(sending.send_and_read(id, request.post_call(shell.server_api.detected)))
            case _:
                return sending.message_of(await AsyncTurnStream(shell, request).run())


_Route: TypeAlias = Literal["turn", "open_stream", "direct", "bare"]


def _choose_route(core: Core, request: TurnRequest, *, wait: bool) -> Flow[_Route]:
    """Decides how a message is sent.

    Mix 0.5 answers a message with the text of its whole turn, and shows the turn on streams only if the message is
    written to them. A turn on a stream of ours would run once more on every other stream of the session that is open.

    Args:
        core: The core of the server.
        request: The message.
        wait: True to wait for the end of the turn.

    Returns:
        `"open_stream"` to write to the stream that the user has open, where the events are expected; `"direct"` for a
        message whose answer has all that is needed; `"bare"` to take the server's answer as it is; else `"turn"`.
    """
    server_api, writes_to_streams = core.server_api, False
    watched = bool(core.open_streams(request.session_id))
    direct = wait and _needs_answer_only(request)
    if direct or (watched and not wait):
        yield from flows.learn_turns(server_api, request.session_id)
        writes_to_streams = server_api.detected.supports("stream_write") is True
    if writes_to_streams and watched:
        return "open_stream"
    if not wait:
        return "bare"
    return "direct" if writes_to_streams else "turn"


def _needs_answer_only(request: TurnRequest) -> bool:
    return request.permissions == "ignore" and request.timeout is None and request.multitask_strategy == "reject"


def _send_on_open_stream(shell: SyncTransport, request: TurnRequest, *, wait: bool) -> SendMessageResponse:
    """Writes a message to the stream that the user has open (Mix 0.5), where its events are expected."""
    stream = _only_stream(shell.core.open_streams(request.session_id))
    settings = shell.core.settings
    with _claimed(shell.core, request) if wait else nullcontext():
        call = request.message_call(shell.server_api.detected)
        if not _wait(stream, lambda: stream.wait_until_connected(settings.liveness)):
            raise stream.problem or broken_stream(None, sent=str(call))
        before = len(stream.buffer.terminal_events)
        shell.send(call)
        if not wait:
            return SendMessageResponse(session_id=request.session_id, status=PROCESSING)
        ending = _wait(stream, lambda: stream.wait_for_terminal_event(before, settings.stall))
        return shell.run(sending.read_ending(request.session_id, request.sent_text(shell.server_api.detected), ending))


async def _send_on_open_stream_async(shell: AsyncTransport, request: TurnRequest, *, wait: bool) -> SendMessageResponse:
    """Does what `_send_on_open_stream` does, asynchronously."""
    stream = _only_stream(shell.core.open_streams(request.session_id))
    settings = shell.core.settings
    with _claimed(shell.core, request) if wait else nullcontext():
        call = request.message_call(shell.server_api.detected)
        if not await _wait_async(stream, lambda: stream.wait_until_connected(settings.liveness)):
            raise stream.problem or broken_stream(None, sent=str(call))
        before = len(stream.buffer.terminal_events)
        await shell.send(call)
        if not wait:
            return SendMessageResponse(session_id=request.session_id, status=PROCESSING)
        ending = await _wait_async(stream, lambda: stream.wait_for_terminal_event(before, settings.stall))
        return await shell.run(
            sending.read_ending(request.session_id, request.sent_text(shell.server_api.detected), ending)
        )


def _only_stream(streams: Sequence[EventStream | AsyncEventStream]) -> EventStream | AsyncEventStream:
    """Returns the stream to write to.

    Raises:
        MixUsageError: There are several, each of which would run the message.
    """
    if len(streams) > 1:
        raise MixUsageError(
            f"This client has {len(streams)} event streams of the session open, and this server runs a message once "
            "for each.",
            hint="Close all but one of them.",
        )
    return streams[0]


def _wait(stream: EventStream | AsyncEventStream, reading: Callable[[], T | Awaitable[T]]) -> T:
    """Reads a stream from synchronous code, whichever kind it is."""
    if isinstance(stream, EventStream):
        return cast("T", reading())
    return _in_loop_of(stream, reading).result()


async def _wait_async(stream: EventStream | AsyncEventStream, reading: Callable[[], T | Awaitable[T]]) -> T:
    """Reads a stream from asynchronous code, whichever kind it is."""
    if isinstance(stream, EventStream):
        return await in_thread(cast("Callable[[], T]", reading))
    if stream.loop is asyncio.get_running_loop():
        return await cast("Awaitable[T]", reading())
    return await asyncio.wrap_future(_in_loop_of(stream, reading))


def _in_loop_of(stream: AsyncEventStream, reading: Callable[[], T | Awaitable[T]]) -> Future[T]:
    if stream.loop is running_loop() or not stream.loop.is_running():
        raise MixUsageError(
            "The session's event stream belongs to an event loop that cannot read it while this call waits.",
            hint="Send with `send_async` in the loop that has opened the stream, or close the stream first.",
        )
    return asyncio.run_coroutine_threadsafe(cast("Coroutine[Any, Any, T]", reading()), stream.loop)


def _claimed(core: Core, request: TurnRequest) -> LockTicket[None]:
    return SESSION_LOCKS.claim((core.settings.server, request.session_id), wait=False)
