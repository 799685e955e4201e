"""Event streams as they are, without turns; `Mix.turn` knows what their events mean."""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._async import AsyncEventStream
from langchain_mix.client._config import CallOptions, RequestOptions
from langchain_mix.client._sync import EventStream
from langchain_mix.client.basesdk import BaseSDK
from langchain_mix.protocol import calls, sending
from langchain_mix.protocol.models import StreamMessageResponse


class Streaming(BaseSDK):
    """Opens event streams, and writes to them where that is possible."""

    def stream_events(
        self,
        *,
        session_id: str,
        last_event_id: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> EventStream:
        """Opens the event stream of a session.

        The server reports what happens from now on. It cuts every stream after ten minutes, which raises
        `MixStreamError` in the loop over it, as every break does; where the server ends a stream in order the loop just
        ends. To send a message and follow it to its end, whatever happens to the stream, use `Mix.turn`.

        Args:
            session_id: The session. For an unknown one, the only event is an error.
            last_event_id: Sent as `Last-Event-ID`. No server replays events, so that this changes nothing.
            **options: See `RequestOptions`. `retries` is about opening the stream; one that is open and breaks is not
                opened again. `timeout_ms` is also how long the open stream may be silent; None for 100 s, since
                heartbeats come every 45 s.

        Returns:
            The stream, to be used in a `with` block. `.result` is the same stream, as the documentation has it.

        Raises:
            MixInputError: The session id is empty.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        stream = shell.open_stream(
            calls.event_stream(session_id), _resuming(last_event_id), liveness=_seconds(options.get("timeout_ms"))
        )
        shell.core.register_stream(session_id, stream)
        return stream

    async def stream_events_async(
        self,
        *,
        session_id: str,
        last_event_id: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> AsyncEventStream:
        """Does what `stream_events` does, asynchronously."""
        shell = self._async.with_options(options)
        stream = await shell.open_stream(
            calls.event_stream(session_id), _resuming(last_event_id), liveness=_seconds(options.get("timeout_ms"))
        )
        shell.core.register_stream(session_id, stream)
        return stream

    def send_streaming_message(
        self,
        *,
        id: str,
        content: str,
        command: bool = False,
        **options: Unpack[RequestOptions],
    ) -> StreamMessageResponse:
        """Sends a message whose turn is reported on the session's open event streams.

        Mix 0.5 hands it to those streams: with none open it is lost, and each open one runs it as a turn of its own. On
        later servers, which lack this, the message is sent as `messages.send(wait=False)` does.

        Args:
            id: The session.
            content: The message: plain text, or a JSON object with `text` and perhaps `plan_mode`.
            command: The text is meant as a server command; else one that looks like a command is guarded.
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            The server's answer: whether it has taken the message, not what comes of it.

        Raises:
            MixInputError: The content is empty, or has parts that this server does not take.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(sending.write_stream_message(shell.server_api, id, content, command=command))

    async def send_streaming_message_async(
        self,
        *,
        id: str,
        content: str,
        command: bool = False,
        **options: Unpack[RequestOptions],
    ) -> StreamMessageResponse:
        """Does what `send_streaming_message` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(sending.write_stream_message(shell.server_api, id, content, command=command))


def _resuming(last_event_id: str | None) -> CallOptions:
    return CallOptions(http_headers=None if last_event_id is None else {"Last-Event-ID": last_event_id})


def _seconds(timeout_ms: int | None) -> float | None:
    return None if timeout_ms is None else timeout_ms / 1000
