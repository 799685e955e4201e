"""Reads answers within limits: bodies piece by piece, and the events of a stream that several may wait for.

Owns: what has arrived of an answer. Refuses to know: where it is read from (`_sync.py`, `_async.py`).
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

from langchain_mix import errors
from langchain_mix.protocol.call import Call, Reply, error_from
from langchain_mix.protocol.events import Event, SSECompleteEvent, SSEErrorEvent

Outcome = Reply | errors.MixError
"""The outcome of one attempt."""

_TERMINAL_EVENTS: Final = frozenset({SSECompleteEvent, SSEErrorEvent})

_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS


def reply_of(response: httpx.Response, body: bytes) -> Reply:
    """Makes the reply of an answer whose body has arrived."""
    return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)


def head_of(response: httpx.Response) -> Reply:
    """Makes the reply of an answer whose body is read elsewhere."""
    return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, b"")


def is_stream(response: httpx.Response) -> bool:
    """Returns True if the head of an answer says that it is an event stream."""
    return response.status_code == HTTPStatus.OK and "event-stream" in response.headers.get("content-type", "")


def size_of(response: httpx.Response) -> int | None:
    """Returns the size in bytes of a body that is still to be read; None if the head does not say it."""
    length = response.headers.get("content-length", "")
    plain = not response.headers.get("content-encoding")
    return int(length) if plain and length.isascii() and length.isdigit() else None


def refused_stream(call: Call[Any], reply: Reply) -> Outcome:
    """Reads an answer that is no event stream: an error, or a reply that may be worth another attempt."""
    if reply.status != HTTPStatus.OK:
        return reply
    error = error_from(call, reply)
    kind = reply.headers.get("content-type") or "nothing"
    error.message = f"The server answered with {kind}, not with events."
    return error


class Body:
    """Decompresses the body of one answer piece by piece and keeps it within a limit. Feed it, then `finish`.

    zlib takes a limit for what it returns, so that a small answer cannot fill the memory.
    """

    def __init__(self, headers: Mapping[str, str], limit: int | None, *, sent: str, acted: errors.Acted) -> None:
        """Reads the head.

        Args:
            headers: Those of the answer.
            limit: Bytes that it may have after decompression, or None for any number.
            sent: Method and path of the request.
            acted: Whether the server has acted on the request.

        Raises:
            MixReplyTooLarge: The head says that it is too large.
        """
        self._limit = limit
        self._sent = sent
        self._acted: errors.Acted = acted
        self._size = 0
        self._pieces: list[bytes] = []
        encoding = headers.get("content-encoding", "").strip().lower()
        self._inflater: Any = None  # None also for an encoding that was not requested: what arrives is the body.
        if encoding in {"gzip", "x-gzip", "deflate"}:
            self._inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
        length = headers.get("content-length", "")
        if self._inflater is None and length.isascii() and length.isdigit():
            self.check(int(length))
        self._raw = encoding == "deflate"  # Some servers leave the header of zlib out.
        self._fed = False

    def feed(self, data: bytes) -> None:
        """Adds a piece as it arrived.

        Raises:
            MixReplyTooLarge: The body is too large by now.
            DecodingError: It cannot be decompressed.
        """
        if self._inflater is None:
            self._add(data)
            return
        while data:
            try:
                piece = self._inflater.decompress(data, 0 if self._limit is None else self._limit - self._size + 1)
            except zlib.error as problem:
                if not self._raw or self._fed:
                    raise httpx.DecodingError("The answer cannot be decompressed.") from problem
                self._inflater, self._raw = zlib.decompressobj(_RAW), False
                continue
            self._fed = True
            self._add(piece)
            data = self._inflater.unconsumed_tail

    def finish(self) -> bytes:
        """Returns the body.

        Raises:
            DecodingError: Its end is missing.
        """
        if self._inflater is not None and self._fed and not self._inflater.eof:
            raise httpx.DecodingError("The end of the compressed answer is missing.")
        return b"".join(self._pieces)

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        self.check(self._size)
        self._pieces.append(piece)

    def check(self, size: int) -> None:
        """Compares a size with the limit.

        Raises:
            MixReplyTooLarge: It is too large.
        """
        if self._limit is not None and size > self._limit:
            self._pieces.clear()
            raise errors.MixReplyTooLarge(
                f"The answer has more than {self._limit:,} bytes.",
                sent=self._sent,
                acted=self._acted,
                hint="Ask for less at a time (`limit`), or allow more: `max_reply_bytes`.",
            )


def readable(response: httpx.Response, reply: Outcome | None) -> httpx.Response:
    """Returns an answer with its body, for the users of an error; made for errors alone, since it takes its time.

    Args:
        response: The answer. Its own body was consumed if it came over the wire.
        reply: What was made of it.
    """
    try:
        _ = response.content
    except httpx.ResponseNotRead:
        return response if not isinstance(reply, Reply) else _with_body(response, reply.body)
    return response


def _with_body(response: httpx.Response, body: bytes) -> httpx.Response:
    # As bytes: names of files are not always ASCII.
    headers = [(k, v) for k, v in response.headers.raw if k.lower() not in {b"content-encoding", b"content-length"}]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=body,
        request=response.request,
        extensions={k: v for k, v in response.extensions.items() if k != "network_stream"},
    )


class EventBuffer:
    """Keeps what was read of an event stream until its own reader gets it.

    Who waits for `connected` or for the end of a turn (`wait_until_connected`) may have read it first.

    Attributes:
        events: The events that the reader of the stream has not got yet.
        terminal_events: The events that ended a turn, since the stream is shared.
        shared: True once a sender waits for events as well as the reader.
        connected: True once the server has said something.
        ended: True once the stream has ended.
    """

    def __init__(self) -> None:
        """Starts before the first event."""
        self.events: deque[Event] = deque()
        self.terminal_events: list[Event] = []
        self.shared = self.connected = self.ended = False

    def add(self, events: list[Event]) -> bool:
        """Adds the events of one piece; returns False if there are none."""
        if not events:
            return False
        self.connected = True
        self.events.extend(events)
        if self.shared:
            self.terminal_events += [event for event in events if type(event) in _TERMINAL_EVENTS]
        return True

    def abandon(self) -> None:
        """Ends at once: the events belong to another process."""
        self.events.clear()
        self.ended = True
