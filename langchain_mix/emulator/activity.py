"""The activity of a running server, to be read from other threads.

Owns: the log of requests, the counts of connections, streams and turns, and waiting for a change of them.
Refuses to know: what the requests do.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_mix import process_fork

MAX_REQUESTS: Final = 5_000
"""Requests that are remembered. A server that runs for days must not grow."""
MAX_HEADS: Final = 8 << 20
"""Bytes of all their paths, queries and headers."""
MAX_BODY: Final = 1 << 20
"""Bytes of one request body that are remembered; uploads may be larger than memory."""
MAX_BODIES: Final = 8 << 20
"""Bytes of all request bodies that are remembered."""


@dataclass(slots=True, eq=False)
class RequestRecord:
    """A request that the server got.

    Attributes:
        method: The method.
        path: The path, decoded.
        query: The query string as sent.
        headers: The headers, names in lower case.
        status: The status of the answer; 0 before there is one, and if none was given at all.
        size: Bytes of body read so far.
        body: The first MiB of the body as read so far. Empty for requests that carry credentials, and for older ones
            once the newer bodies take up all the room.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str] = field(repr=False)
    status: int = 0
    size: int = 0
    body: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: It is none, or is not remembered.
        """
        return json.loads(self.body)

    @property
    def is_secret(self) -> bool:
        """True when the body holds a credential, which is not remembered."""
        return "/auth/" in self.path

    @property
    def head_size(self) -> int:
        """The bytes of path, query and headers."""
        return len(self.path) + len(self.query) + sum(len(key) + len(value) for key, value in self.headers.items())


class Activity:
    """Counts what is open and notifies other threads when it changes."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self._renew()
        process_fork.renew_in_child(self._renew)
        self._requests: deque[RequestRecord] = deque()
        self._heads = 0
        self._with_body: dict[RequestRecord, None] = {}
        self._bodies = 0
        self._counts = {"connections": 0, "streams": 0, "turns": 0, "restarts": 0}

    def _renew(self) -> None:
        self._changed = threading.Condition()

    @property
    def requests(self) -> list[RequestRecord]:
        """The latest requests, oldest first."""
        with self._changed:
            return list(self._requests)

    def forget_requests(self) -> None:
        """Empties the log of requests."""
        with self._changed:
            self._requests.clear()
            self._with_body.clear()
            self._heads = self._bodies = 0

    def count(self, what: str) -> int:
        """Returns how many `connections`, `streams` and `turns` there are now, and how many `restarts` there were."""
        with self._changed:
            return self._counts[what]

    def changed(self, what: str, by: int) -> None:
        """Notes that something has begun (1) or ended (-1)."""
        with self._changed:
            self._counts[what] += by
            self._changed.notify_all()

    def record(self, request: RequestRecord) -> None:
        """Notes a request; the oldest one is forgotten if there are too many."""
        with self._changed:
            self._requests.append(request)
            self._heads += request.head_size
            while len(self._requests) > MAX_REQUESTS or self._heads > MAX_HEADS:
                oldest = self._requests.popleft()
                self._heads -= oldest.head_size
                self._drop_body(oldest)
            self._changed.notify_all()

    def received(self, request: RequestRecord, chunk: bytes) -> None:
        """Notes more of a request's body; the oldest bodies are forgotten if they become too many."""
        with self._changed:
            whole = len(request.body) == request.size
            request.size += len(chunk)
            kept = chunk[: MAX_BODY - len(request.body)]
            # A body whose beginning is not remembered (any more) is not remembered at all.
            if not kept or not whole or request.is_secret:
                return
            self._with_body[request] = None
            request.body += kept
            self._bodies += len(kept)
            while self._bodies > MAX_BODIES:
                self._drop_body(next(iter(self._with_body)))

    def _drop_body(self, request: RequestRecord) -> None:
        if request in self._with_body:
            del self._with_body[request]
            self._bodies -= len(request.body)
            request.body = b""

    def answered(self, request: RequestRecord, status: int) -> None:
        """Notes the status of a request's answer."""
        with self._changed:
            request.status = status
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> None:
        """Waits until a condition holds, which is checked after every change and must not wait itself.

        Raises:
            TimeoutError: It does not hold by then.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                counts = ", ".join(f"{number} {name}" for name, number in self._counts.items())
                raise TimeoutError(f"Still not so after {timeout} s: {counts}, {len(self._requests)} requests.")
