"""Faults: what goes wrong on the wire, how often it has, and the gate that makes requests fail.

Owns: each fault as a value, the set of active faults, and errors, lost answers, slow answers and restarts.
Refuses to know: what the requests ask for. `streams.py` carries out the faults of streams and events.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_mix import process_fork
from langchain_mix.emulator.agents.base import Gate
from langchain_mix.emulator.events import TURN_EVENTS, Event
from langchain_mix.emulator.serving import Transports

Take = Callable[[], bool]
"""Uses up one of the times a fault may still act; False if none is left."""
Timed = tuple[Event, "Gate | None"]
"""An event, and the gate that must be open before it is queued."""


@dataclass(frozen=True, eq=False)
class Fault:
    """Something that goes wrong.

    Attributes:
        count: The times it acts; None is every time.
    """

    count: int | None = field(default=1, kw_only=True)


@dataclass(slots=True)
class Memory:
    """The state of a fault for one connection: the events it has seen and those it holds back."""

    seen: int = 0
    held: list[Event] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class RequestFault(Fault):
    """A fault of requests.

    Attributes:
        match: A method and a regular expression for the whole path, or the expression alone:
            `"POST /api/sessions/[^/]+/messages"`.
    """

    match: str = ".*"

    def matches(self, method: str, path: str) -> bool:
        """True when the fault is about this request."""
        wanted, pattern = _parsed(self.match)
        return wanted in {"", method} and pattern.fullmatch(path) is not None


@lru_cache(maxsize=256)
def _parsed(match: str) -> tuple[str, re.Pattern[str]]:
    method, space, pattern = match.partition(" ")
    if space and method.isalpha() and method.isupper():
        return method, re.compile(pattern)
    return "", re.compile(match)


@dataclass(frozen=True, eq=False)
class HttpError(RequestFault):
    """The request is answered with an error.

    Attributes:
        status: The HTTP status.
        body: The body.
        content_type: Its type.
        before: True: the server does not act on the request. False: it acts, then its answer is replaced.
        headers: More headers of the answer, such as `Retry-After`.
    """

    status: int = 503
    body: str = "upstream connect error"
    content_type: str = "text/plain"
    before: bool = True
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class CloseConnection(RequestFault):
    """The request gets no answer at all: the TCP connection is reset.

    Attributes:
        before: True: the server does not act on the request. False: it acts first.
    """

    before: bool = True


@dataclass(frozen=True, eq=False)
class SlowReply(RequestFault):
    """The server acts on the request at once, but not a byte of the answer comes before the gate is open."""

    gate: Gate = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class RestartAfter(RequestFault):
    """The server restarts once it has answered `n` matching requests.

    All connections die and turns end where they are; stored state stays.
    """

    match: str = field(default=".*", kw_only=True)
    n: int = 1


@dataclass(frozen=True, eq=False)
class FullQueue(Fault):
    """Connections queue at most `size` events; what a slow reader has no room for is dropped without a word (Mix)."""

    size: int = 0
    count: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class EventFault(Fault):
    """A fault of single events.

    Attributes:
        event: Name of the event; `""` is any event of a turn.
        nth: The first matching event of a connection, counted from 1, that the fault may act on.
        session: The session whose connections are meant; None is all.
    """

    event: str = ""
    nth: int = field(default=1, kw_only=True)
    session: str | None = field(default=None, kw_only=True)

    def due(self, event: Event, memory: Memory) -> bool:
        """Counts the event; True when the fault may act on it."""
        if not self.names(event):
            return False
        memory.seen += 1
        return memory.seen >= self.nth

    def names(self, event: Event) -> bool:
        """True when the fault is about events of this name."""
        return event.name == self.event if self.event else event.name in TURN_EVENTS


@dataclass(frozen=True, eq=False)
class QueueFault(EventFault):
    """A fault of events on their way into the queue of a connection."""

    def shape(self, event: Event, memory: Memory, take: Take) -> list[Timed]:
        """Returns what is queued instead of an event."""
        return self.replace(event) if self.due(event, memory) and take() else [(event, None)]

    def replace(self, event: Event) -> list[Timed]:  # noqa: ARG002  Others queue it, or something beside it.
        """Returns what is queued instead of an event the fault acts on: nothing, unless a fault says otherwise."""
        return []


@dataclass(frozen=True, eq=False)
class DropEvent(QueueFault):
    """The event never comes, and its id is not used up."""


@dataclass(frozen=True, eq=False)
class DelayEvent(QueueFault):
    """The event comes late, once the gate is open; those after it do not wait for it."""

    until: Gate = field(kw_only=True)

    def replace(self, event: Event) -> list[Timed]:
        """The event, later."""
        return [(event, self.until)]


@dataclass(frozen=True, eq=False)
class DuplicateEvent(QueueFault):
    """The event comes twice, under two ids."""

    def replace(self, event: Event) -> list[Timed]:
        """The event, and again."""
        return [(event, None), (event, None)]


@dataclass(frozen=True, eq=False)
class UnknownEvent(QueueFault):
    """An event that no generation knows comes just before the matching one.

    Attributes:
        before: Name of the event it comes before, as `event`.
        name: Name of the unknown event.
        data: Its payload.
    """

    before: str = field(default="", kw_only=True)
    name: str = field(default="from_the_future", kw_only=True)
    data: Mapping[str, Any] = field(default_factory=lambda: {"type": "from_the_future"}, kw_only=True)

    def names(self, event: Event) -> bool:
        """True when it may come before events of this name."""
        return event.name == self.before if self.before else super().names(event)

    def replace(self, event: Event) -> list[Timed]:
        """The unknown event, then the known one."""
        return [(Event(self.name, self.data), None), (event, None)]


@dataclass(frozen=True, eq=False)
class HugeEvent(UnknownEvent):
    """An event of `size` bytes of padding comes just before the matching one.

    Attributes:
        size: Bytes of padding.
    """

    name: str = field(default="padding", kw_only=True)
    size: int = field(default=1 << 20, kw_only=True)

    def replace(self, event: Event) -> list[Timed]:
        """The huge event, then the ordinary one."""
        return [(Event(self.name, {"type": self.name, "padding": "x" * self.size}), None), (event, None)]


@dataclass(frozen=True, eq=False)
class TailAfterComplete(QueueFault):
    """The last `n` content events of a turn come after its `complete` (Mix), for `count` turns of a connection."""

    event: str = "content"
    n: int = field(default=1, kw_only=True)

    def shape(self, event: Event, memory: Memory, take: Take) -> list[Timed]:
        """Holds back as many content events as come late, and lets them go behind `complete`."""
        if self.names(event):
            memory.held.append(event)
            return [(memory.held.pop(0), None)] if len(memory.held) > self.n else []
        if event.name in {"complete", "error"} and memory.held:
            held, memory.held = memory.held, []
            late = [(piece, None) for piece in held]
            return [(event, None), *late] if event.name == "complete" and take() else [*late, (event, None)]
        return [(event, None)]


@dataclass(frozen=True, eq=False)
class BytesFault(EventFault):
    """A fault of the bytes that are written for an event."""

    def bytes(self, raw: bytes) -> bytes:
        """Returns what is written instead of the bytes of an event: the same, unless a fault says otherwise."""
        return raw


@dataclass(frozen=True, eq=False)
class InvalidUTF8(BytesFault):
    """The event's data holds bytes that are no UTF-8: in its `content` if it has one, else in its last string."""

    def bytes(self, raw: bytes) -> bytes:
        """Puts the bytes in."""
        start = raw.find(b'"content":"')
        at = start + len(b'"content":"') if start >= 0 else raw.rfind(b'"')
        return raw[:at] + b"\xff\xfe" + raw[at:]


@dataclass(frozen=True, eq=False)
class MissingId(BytesFault):
    """The event has no `id:` line, though the id is used up."""

    def bytes(self, raw: bytes) -> bytes:
        """Takes the line away."""
        return raw.partition(b"\n")[2] if raw.startswith(b"id:") else raw


@dataclass(frozen=True, eq=False)
class StreamFault(Fault):
    """A fault of a connection's stream.

    Attributes:
        after: The events that are written first.
        on: `"turn"` counts the events of each turn from its start, `"stream"` counts all from `connected` on.
        session: The session whose connections are meant; None is all.
    """

    after: int = 0
    on: Literal["turn", "stream"] = field(default="turn", kw_only=True)
    session: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class CutStream(StreamFault):
    """The connection is closed after `after` events, without the end that HTTP demands.

    Attributes:
        half: True when the first half of the next event is written before.
    """

    half: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, eq=False)
class StallStream(StreamFault):
    """After `after` events nothing more is written, heartbeats included, before the gate is open.

    Events queue up meanwhile.
    """

    gate: Gate = field(kw_only=True)


F = TypeVar("F", bound=Fault)


class Faults:
    """The faults of a server. Thread-safe; faults may be added and removed while it runs."""

    def __init__(self, *faults: Fault) -> None:
        """Begins with these faults.

        Args:
            faults: The faults.
        """
        self._renew()
        process_fork.renew_in_child(self._renew)
        self._times: dict[Fault, int] = {}
        self._asked: dict[Fault, int] = {}
        self._active: tuple[Fault, ...] = ()
        for fault in faults:
            self.add(fault)

    def _renew(self) -> None:
        self._changed = threading.Condition()

    def add(self, fault: F) -> F:
        """Adds a fault and gives it back, for `times` and `wait_for`."""
        with self._changed:
            self._active = (*self._active, fault)
            self._times.setdefault(fault, 0)
        return fault

    def remove(self, fault: Fault) -> None:
        """Takes a fault away; what it has done stays done."""
        with self._changed:
            self._active = tuple(one for one in self._active if one is not fault)

    def clear(self) -> None:
        """Takes all faults away."""
        with self._changed:
            self._active = ()

    def __iter__(self) -> Iterator[Fault]:
        """Those that are active now, in the order they were added."""
        return iter(self._active)

    def of(self, kind: type[F]) -> list[F]:
        """The active faults of a kind."""
        return [fault for fault in self._active if isinstance(fault, kind)]

    def times(self, fault: Fault) -> int:
        """Returns how often a fault has acted."""
        with self._changed:
            return self._times.get(fault, 0)

    def take(self, fault: Fault) -> bool:
        """Has a fault act once more; False if its count does not allow it."""
        with self._changed:
            done = self._times.get(fault, 0)
            if fault.count is not None and done >= fault.count:
                return False
            self._times[fault] = done + 1
            self._changed.notify_all()
            return True

    def tally(self, fault: Fault) -> int:
        """Counts one more request that matches a fault and gives their number."""
        with self._changed:
            self._asked[fault] = self._asked.get(fault, 0) + 1
            return self._asked[fault]

    def wait_for(self, fault: Fault, times: int = 1, timeout: float = 10.0) -> None:
        """Waits until a fault has acted.

        Args:
            fault: The fault.
            times: The number of times.
            timeout: The longest wait, in seconds.

        Raises:
            TimeoutError: It has not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._times.get(fault, 0) >= times, timeout):
                raise TimeoutError(f"{fault} acted {self._times.get(fault, 0)} times in {timeout} s, not {times}.")

    def queue_size(self, default: int) -> int:
        """The queue of a connection, in events."""
        sizes = [fault.size for fault in self.of(FullQueue) if fault.count is None or self.times(fault) < fault.count]
        return min(sizes, default=default)

    def overflowed(self) -> None:
        """Notes that a queue was full, so that tests can wait for it."""
        for fault in self.of(FullQueue):
            self.take(fault)


class NoAnswer:
    """The answer to a request whose connection is gone, or about to be."""

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        """Waits until the connection is lost."""
        while (await receive())["type"] != "http.disconnect":
            continue


@dataclass(frozen=True, slots=True)
class FaultGate:
    """An ASGI app that lets requests through to another, faults permitting."""

    app: ASGIApp
    faults: Faults
    transports: Transports
    restart: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or fails to."""
        due = [fault for fault in self.faults.of(RequestFault) if fault.matches(scope["method"], scope["path"])]
        for fault in due:
            if isinstance(fault, HttpError | CloseConnection) and self.faults.take(fault):
                await self._fail(fault, scope, receive, send)
                break
            if isinstance(fault, SlowReply) and self.faults.take(fault):
                await self.app(scope, receive, _held(send, fault.gate))
                break
        else:
            await self.app(scope, receive, send)
        for fault in due:
            if isinstance(fault, RestartAfter) and self.faults.tally(fault) == fault.n and self.faults.take(fault):
                self.restart()

    async def _fail(self, fault: HttpError | CloseConnection, scope: Scope, receive: Receive, send: Send) -> None:
        if not fault.before:
            await self.app(scope, receive, _swallow)
        if isinstance(fault, CloseConnection):
            if fault.before:
                await _read_to_end(receive)
            self.transports.reset(scope["client"])
            await NoAnswer()(scope, receive, send)
            return
        extra = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fault.headers]
        headers = [(b"content-type", fault.content_type.encode("latin-1")), *extra]
        await send({"type": "http.response.start", "status": fault.status, "headers": headers})
        await send({"type": "http.response.body", "body": fault.body.encode()})


async def _read_to_end(receive: Receive) -> None:
    """Reads a request to its end: it has arrived whole, and nothing comes of it."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        continue


async def _swallow(_: Message) -> None:
    """Takes an answer that nobody gets."""


def _held(send: Send, gate: Gate) -> Send:
    async def held(message: Message) -> None:
        await gate.passed()
        await send(message)

    return held
