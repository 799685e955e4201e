"""What goes on in a running server, for those who watch it from another thread.

Owns: the log of requests, the counts of connections, streams and turns, and waiting for a change of them.
Refuses to know: what the requests do.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

_KEPT: Final = 1 << 20
"""Bytes of a request body that are remembered; uploads may be larger than memory."""


@dataclass(slots=True)
class RequestRecord:
    """A request that the server got.

    Attributes:
        method: The method.
        path: The path, decoded.
        query: The query string as sent.
        headers: The headers, names in lower case.
        status: The status of the answer; 0 before there is one, and if none was given at all.
        size: Bytes of body read so far.
        body: The first MiB of the body as read so far.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int = 0
    size: int = 0
    body: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.body)

    def read(self, chunk: bytes) -> None:
        """Remembers more of the body."""
        self.size += len(chunk)
        if len(self.body) < _KEPT:
            self.body += chunk[: _KEPT - len(self.body)]


class Activity:
    """Counts what is open and tells other threads when it changes."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self._changed = threading.Condition()
        self._requests: list[RequestRecord] = []
        self._counts = {"connections": 0, "streams": 0, "turns": 0, "restarts": 0}

    @property
    def requests(self) -> list[RequestRecord]:
        """All requests so far, oldest first."""
        with self._changed:
            return list(self._requests)

    def forget_requests(self) -> None:
        """Empties the log of requests."""
        with self._changed:
            self._requests.clear()

    def count(self, what: str) -> int:
        """How many `connections`, `streams` and `turns` there are now, and how many `restarts` there were."""
        with self._changed:
            return self._counts[what]

    def changed(self, what: str, by: int) -> None:
        """Notes that something has begun (1) or ended (-1)."""
        with self._changed:
            self._counts[what] += by
            self._changed.notify_all()

    def record(self, request: RequestRecord) -> None:
        """Notes a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def answered(self, request: RequestRecord, status: int) -> None:
        """Notes the status of a request's answer."""
        with self._changed:
            request.status = status
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> None:
        """Waits until a condition holds; it is asked again after every change.

        Args:
            condition: What to wait for. It may use everything here, and must not wait itself.
            timeout: How long to wait at most, in seconds.

        Raises:
            TimeoutError: It does not hold by then.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                counts = ", ".join(f"{number} {name}" for name, number in self._counts.items())
                raise TimeoutError(f"Still not so after {timeout} s: {counts}, {len(self._requests)} requests.")
