"""Server-Sent Events: bytes to events and events to bytes, by the WHATWG algorithm.

Owns: the framing of the wire. Refuses to know: what an event means (`events.py`), and where bytes come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, NoReturn, Self, TypeAlias, TypeVar

from langchain_mix.errors import MixStreamError

MAX_EVENT_BYTES = 256 * 1024 * 1024
"""Above this a stream is not a stream of events any more but an attack or a fault."""

_BOM = b"\xef\xbb\xbf"
_RETRY_DIGITS = 18
"""More milliseconds than these digits can hold are no time; Python refuses to read a number of thousands of digits."""

_WHOLE: Final = re.compile(rb"(?:id: ([^\n\0]*)\n)?event: ([^\n]+)\ndata: ([^\n]*)\n(?:retry: ([0-9]{1,18})\n)?\n")
"""A whole event in the form in which Mix sends it. The general rules read the same from it, field by field."""

E = TypeVar("E")

MakeEvent: TypeAlias = "Callable[[str, bytes, str, int | None], E]"
"""Makes an event of its name, its data, the last id and the reconnection time."""


@dataclass(slots=True)
class ServerSentEvent:
    """One event of the wire.

    Attributes:
        event: Its name; `"message"` when the wire gives none.
        data: Its data lines, joined by newlines.
        id: The last id the stream has given, `""` before the first.
        retry: The reconnection time the event asks for, in milliseconds.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None

    @classmethod
    def decode(cls, event: str, data: bytes, last_id: str, retry: int | None) -> Self:
        """Makes an event of the bytes of its data."""
        return cls(event, data.decode("utf-8", "replace"), last_id, retry)


class SSEDecoder(Generic[E]):
    """Turns the bytes of one stream into events. Chunk boundaries never matter.

    The work is linear in the bytes fed, and memory is bounded by the largest event. An event that the stream ends
    in the middle of is dropped, as the standard demands; `pending` is true if there was one.
    """

    def __init__(self, make: MakeEvent[E], max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        """Starts before the first byte.

        Args:
            make: Makes the events.
            max_event_bytes: Size of an event, in bytes, above which the stream is refused.
        """
        self._make = make
        self._max_event_bytes = max_event_bytes
        self._tail: list[bytes] = []
        self._held = 0
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._id = ""
        self._retry: int | None = None
        self._started = False
        self._after_cr = False

    @property
    def pending(self) -> bool:
        """True if bytes of an unfinished event are held."""
        return bool(self._tail or self._data or self._event)

    def feed(self, chunk: bytes) -> list[E]:
        """Takes the next bytes of the stream.

        Returns:
            The events that are complete now, in order.

        Raises:
            MixStreamError: An event is larger than `max_event_bytes`.
        """
        if self._after_cr and chunk:
            # A CR ends its line at once; the LF of a CRLF that was cut in two ends nothing more.
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if chunk and (self._tail or not self._started):
            chunk = self._joined(chunk)
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        events, at = self._read_whole(chunk)
        if at == len(chunk):
            return events
        lines = (chunk[at:] if at else chunk).split(b"\n")
        del chunk  # It may be as large as the largest event, and the lines are a copy.
        rest = lines.pop()
        events += self._read(lines)
        if rest:
            self._hold(rest)
        return events

    def _read_whole(self, chunk: bytes) -> tuple[list[E], int]:
        """Reads the whole events at the beginning of a chunk, each in one step: a stream has thousands of them.

        Returns:
            The events, the one under way included if it ends here, and where the rest of the chunk begins.
        """
        events: list[E] = []
        at = 0
        if self._event or self._data or self._retry is not None:
            at = chunk.find(b"\n\n") + 2
            if at < 2:  # noqa: PLR2004  # Not found.
                return events, 0
            events = self._read(chunk[:at].split(b"\n")[:-1])
        match, make, last_id, most = _WHOLE.match, self._make, self._id, self._max_event_bytes
        while found := match(chunk, at):
            new_id, name, data, retry = found.groups()
            if len(data) >= most:
                break  # The general rules refuse it.
            if new_id is not None:
                last_id = new_id.decode("utf-8", "replace")
            at = found.end()
            wait = None if retry is None else int(retry)
            events.append(make(name.decode("utf-8", "replace"), data, last_id, wait))
        self._id = last_id
        return events, at

    def _read(self, lines: list[bytes]) -> list[E]:  # noqa: C901  # One case per field.
        """Reads complete lines by the general rules."""
        events: list[E] = []
        data, event, retry, size = self._data, self._event, self._retry, self._size
        for line in lines:
            if not line:
                if data:
                    text = data[0] if len(data) == 1 else b"\n".join(data)
                    events.append(self._make(event or "message", text, self._id, retry))
                    data = []
                event, retry, size = "", None, 0
                continue
            name, _, value = line.partition(b":")
            if value[:1] == b" ":
                value = value[1:]  # One name for both, since each may be as large as the largest event.
            if name == b"data":
                size += len(value) + 1  # With its newline: empty lines take memory too.
                if size > self._max_event_bytes:
                    self._refuse()
                data.append(value)
            elif name == b"event":
                event = value.decode("utf-8", "replace")
            elif name == b"id":
                if b"\0" not in value:
                    self._id = value.decode("utf-8", "replace")
            elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
                retry = int(value)
        self._data, self._event, self._retry, self._size = data, event, retry, size
        return events

    def _joined(self, chunk: bytes) -> bytes:
        """Puts a chunk behind what is held; empty if it must be held as well."""
        if self._tail:
            if self._started and b"\n" not in chunk and b"\r" not in chunk:
                self._hold(chunk)
                return b""
            chunk = b"".join((*self._tail, chunk))
            self._tail.clear()
            self._held = 0
        if not self._started:
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._hold(chunk)
                return b""
            self._started = True
            chunk = chunk.removeprefix(_BOM)
        return chunk

    def _hold(self, piece: bytes) -> None:
        self._tail.append(piece)
        self._held += len(piece)
        if self._size + self._held > self._max_event_bytes:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise MixStreamError(
            f"The server sent an event of more than {self._max_event_bytes} bytes.",
            hint="Read the session's messages for what the agent did; raise the limit if such events are expected.",
        )


def encode(event: ServerSentEvent) -> bytes:
    """Writes an event the way Mix does: id, event, data and retry, one line each, then a blank line.

    Args:
        event: The event. Newlines in its data become data lines of their own.

    Raises:
        ValueError: The name or the id holds a line break, or the id a NUL, so no reader could get it back.
    """
    if any(c in event.event + event.id for c in "\r\n") or "\0" in event.id:
        raise ValueError("The name and the id of an event are single lines without NUL.")
    lines = [f"id: {event.id}"] if event.id else []
    lines.append(f"event: {event.event}")
    lines += [f"data: {line}" for line in event.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    if event.retry is not None:
        lines.append(f"retry: {event.retry}")
    return ("\n".join(lines) + "\n\n").encode()
