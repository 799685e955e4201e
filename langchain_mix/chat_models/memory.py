"""What this process remembers of conversations, so that it need not ask and does not send twice.

Owns: where sessions stood when this process last used them, which session a thread has, and the replies that a graph's
task was given. Refuses to know: what is done with it. All of it is bounded, and all of it may be forgotten.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

V = TypeVar("V")

_REMEMBERED: Final = 4096


class Recent(Generic[V]):
    """A bounded map that forgets what was used longest ago. Safe to share between threads."""

    def __init__(self, size: int = _REMEMBERED) -> None:
        """Starts empty; `size` is how many entries are kept."""
        self._size = size
        self._entries: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """The entry, or None."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: Hashable, value: V) -> None:
        """Keeps an entry."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        """Drops an entry, if there is one."""
        with self._lock:
            self._entries.pop(key, None)


@dataclass(slots=True)
class _Task:
    """The replies that one task of a graph was given, by what it asked, and how far its current execution has come."""

    execution: Hashable = None
    replies: dict[str, list[Any]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)


class Replies:
    """Replies given to tasks of LangGraph graphs, for the case that a task is executed again.

    A node that fails after its model call, or is interrupted after it, runs again from its first line and makes the
    call again. The second execution gets the reply of the first: nothing is sent twice, and no session is forked. Calls
    that a node makes several times with the same messages are told apart by their order.
    """

    def __init__(self, size: int = 256) -> None:
        """Starts empty; `size` is how many tasks are remembered."""
        self._tasks: Recent[_Task] = Recent(size)
        self._lock = threading.Lock()

    def place(self, asked: str) -> Place | None:
        """Finds where a call stands in the running task.

        Args:
            asked: What the call asks: messages and options, as a hash.

        Returns:
            Its place, or None outside of a graph's task.
        """
        info = _execution()
        if info is None:
            return None
        key = (info.thread_id, info.checkpoint_ns, info.task_id)
        execution = (info.node_attempt, info.node_first_attempt_time)
        with self._lock:
            task = self._tasks.get(key) or _Task()
            if task.execution != execution:
                task.execution, task.asked = execution, {}
            number = task.asked.get(asked, 0)
            task.asked[asked] = number + 1
            self._tasks.put(key, task)
        return Place(task, asked, number)


@dataclass(frozen=True, slots=True)
class Place:
    """The place of one call in a task."""

    task: _Task
    asked: str
    number: int

    @property
    def reply(self) -> Any | None:
        """The reply that an earlier execution of the task was given here, or None."""
        replies = self.task.replies.get(self.asked, [])
        return replies[self.number] if self.number < len(replies) else None

    def keep(self, reply: Any) -> None:
        """Keeps the reply for a later execution."""
        replies = self.task.replies.setdefault(self.asked, [])
        if len(replies) == self.number:
            replies.append(reply)


def _execution() -> Any | None:
    """What LangGraph says of the running task; None outside of one, or where LangGraph is not even loaded."""
    runtime = sys.modules.get("langgraph.runtime")
    if runtime is None:
        return None
    try:
        return getattr(runtime.get_runtime(), "execution_info", None)
    except (RuntimeError, KeyError, LookupError):
        return None  # LangGraph: there is no task.


HEADS: Final[Recent[str]] = Recent()
"""The last message of a session, by server and session, as this process left it."""

THREADS: Final[Recent[str]] = Recent()
"""The session of a thread, by server and thread, where ChatMix keeps one for each."""

REPLIES: Final = Replies()
"""Replies to tasks of this process."""
