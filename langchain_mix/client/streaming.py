"""Event streams as they are, without turns.

Owns: their operations. Refuses to know: what events mean; `Mix.turn` knows.
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._async import AsyncEventStream
from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.client._sync import EventStream
from langchain_mix.protocol import calls, sending
from langchain_mix.protocol.models import StreamMessageResponse
from langchain_mix.protocol.retry import RetryConfig


class Streaming(Operations):
    """Opens event streams, and writes to them where that is possible."""

    def stream_events(
        self,
        *,
        session_id: str,
        last_event_id: str | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> EventStream:
        """Opens the event stream of a session.

        The server tells what happens from now on. It cuts every stream after ten minutes, which raises `MixStreamError`
        in the loop over it, as every break does; where the server ends a stream in order the loop just ends. To send a
        message and follow it to its end, whatever happens to the stream, use `Mix.turn`.

        Args:
            session_id: The session. For an unknown one, the only event is an error.
            last_event_id: Sent as `Last-Event-ID`. No server replays events, so that this changes nothing.
            retries: When opening is tried again; None for the client's policy. A stream that stands and then breaks is
                not opened again.
            timeout_ms: Time without a byte after which the stream counts as dead, in milliseconds; None for 100 s, and
                for the client's timeout until the server has answered at all. Heartbeats come every 45 s.
            http_headers: Headers to add.

        Returns:
            The stream, to be used in a `with` block. `.result` is the same stream, as the documentation has it.

        Raises:
            MixInputError: The session id is empty.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.open_stream(
            calls.event_stream(session_id),
            CallOptions(retries, timeout_ms, _headers(http_headers, last_event_id)),
            liveness=_seconds(timeout_ms),
        )

    async def stream_events_async(
        self,
        *,
        session_id: str,
        last_event_id: str | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> AsyncEventStream:
        """Does what `stream_events` does, asynchronously."""
        return await self._async.open_stream(
            calls.event_stream(session_id),
            CallOptions(retries, timeout_ms, _headers(http_headers, last_event_id)),
            liveness=_seconds(timeout_ms),
        )

    def send_streaming_message(
        self,
        *,
        id: str,
        content: str,
        command: bool = False,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> StreamMessageResponse:
        """Sends a message whose turn is told on the session's open event streams.

        Mix 0.5 hands it to those streams: with none open it is lost, and each open one runs it as a turn of its own. On
        later servers, which lack this, the message is sent as `messages.send(wait=False)` does.

        Args:
            id: The session.
            content: The message: plain text, or a JSON object with `text` and perhaps `plan_mode`.
            command: The text is meant as a server command; else one that looks like a command is guarded.
            retries: Accepted for symmetry; this call is never sent twice.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The server's answer: whether it has taken the message, not what comes of it.

        Raises:
            MixInputError: The content is empty, or has parts that this server does not take.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(
            sending.write_stream_message(self.known, id, content, command=command),
            CallOptions(retries, timeout_ms, http_headers),
        )

    async def send_streaming_message_async(
        self,
        *,
        id: str,
        content: str,
        command: bool = False,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> StreamMessageResponse:
        """Does what `send_streaming_message` does, asynchronously."""
        return await self._async.run(
            sending.write_stream_message(self.known, id, content, command=command),
            CallOptions(retries, timeout_ms, http_headers),
        )


def _headers(headers: Mapping[str, str] | None, last_event_id: str | None) -> dict[str, str]:
    return {**({} if last_event_id is None else {"Last-Event-ID": last_event_id}), **(headers or {})}


def _seconds(timeout_ms: int | None) -> float | None:
    return None if timeout_ms is None else timeout_ms / 1000
