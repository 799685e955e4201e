"""Caches what this process knows of sessions, so that it need not read them and sends nothing twice.

Owns: where sessions stood when this process last used them and which it uses now, which session a thread has, and the
replies that a graph's task was given. Refuses to know: what is done with it. All of it is bounded, and all of it may be
forgotten.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from langchain_mix import process_fork

V = TypeVar("V")

_REMEMBERED: Final = 4096


class Recent(Generic[V]):
    """A bounded map that forgets what was used longest ago. Safe to share between threads."""

    def __init__(self, size: int = _REMEMBERED) -> None:
        """Starts empty; `size` is how many entries are kept."""
        self._size = size
        self._renew()
        self.clear()
        process_fork.renew_in_child(self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forgets everything, without waiting for anybody."""
        self._entries: OrderedDict[Hashable, V] = OrderedDict()

    def keys(self) -> list[Hashable]:
        """The keys of all entries, without waiting for anybody."""
        return list(self._entries)

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


@dataclass(frozen=True, slots=True)
class SessionHead:
    """The end of a session as this process left it.

    Attributes:
        message_id: The session's last row, tool rows aside.
        digest: Hash of the conversation that ends there; empty if the session is not known to hold one. Who gives a
            message with this hash knows the conversation.
    """

    message_id: str
    digest: str = ""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class SessionClaim:
    """The right of a call to the position of its session. It ends with the call at the latest."""

    key: Hashable


class SessionClaims:
    """The sessions in which calls of this process run their turns, or are about to. Safe to share between threads.

    A session is at the position of a conversation until the first call for it sends its message. Of several calls at
    once, only one may rely on that; the others have to go elsewhere.
    """

    def __init__(self) -> None:
        """Starts with none."""
        self._claims: WeakSet[SessionClaim] = WeakSet()
        self._lock = threading.Lock()
        self._elsewhere: frozenset[Hashable] = frozenset()

    def leave_to_parent(self, keys: Iterable[Hashable]) -> None:
        """Gives up all claims in a forked child, and the sessions that its parent has used, for good.

        Both would send to them on the same assumption, and the server would run both turns over the same history.
        """
        self._elsewhere = self._elsewhere.union(keys, (claim.key for claim in list(self._claims)))
        self._claims, self._lock = WeakSet(), threading.Lock()

    def take(self, key: Hashable, *, shared: bool = False, in_place: bool = False) -> SessionClaim | None:
        """Claims a session.

        Args:
            key: The session.
            shared: True if the call uses the session even if others do.
            in_place: True if the call goes on there even if a process that this one was forked from may do so too.

        Returns:
            None if another call, or a process that this one was forked from, has a claim.
        """
        with self._lock:
            if not shared and any(claim.key == key for claim in self._claims):
                return None
            if not shared and not in_place and key in self._elsewhere:
                return None
            claim = SessionClaim(key)
            self._claims.add(claim)
            return claim

    def release(self, claim: SessionClaim | None) -> None:
        """Ends a claim, if there is one. May be called twice."""
        if claim is not None:
            with self._lock:
                self._claims.discard(claim)


CachedReply = tuple[Any, tuple[str, ...]]
"""A reply, and the questions that had to be answered for it."""


@dataclass(slots=True)
class _Task:
    """The cached replies of one task of a graph, and what its current execution has left and requested."""

    execution: Hashable = None
    replies: dict[str, list[CachedReply]] = field(default_factory=dict)
    left: dict[str, deque[CachedReply]] = field(default_factory=dict)
    questions: list[list[str]] = field(default_factory=list)


class ReplyCache:
    """Replies given to tasks of LangGraph graphs, for the case that a task is executed again.

    A node that fails after its model call, or is interrupted after it, runs again from its first line and makes the
    call again. The second execution gets the reply of the first: nothing is sent twice, and no session is forked. Calls
    that a node makes several times with the same messages are distinguished by the order of their replies; a call that
    failed has none.
    """

    def __init__(self, size: int = 256) -> None:
        """Starts empty; `size` is how many tasks are remembered."""
        self._tasks: Recent[_Task] = Recent(size)
        self.clear()

    def clear(self) -> None:
        """Forgets all replies, and who may be using them now."""
        self._tasks.clear()
        self._lock = threading.Lock()

    def slot(self, mark: Callable[[], str]) -> TaskSlot | None:
        """Finds the position of a call in the running task; None outside of a graph's task.

        `mark` gives a hash of what the call asks, messages and options; it is only called inside of a task.
        """
        info = _execution()
        if info is None:
            return None
        hashed = mark()
        key = (info.thread_id, info.checkpoint_ns, info.task_id)
        execution = (info.node_attempt, info.node_first_attempt_time)
        with self._lock:
            task = self._tasks.get(key) or _Task()
            if task.execution != execution:
                task.execution, task.questions = execution, []
                task.left = {earlier: deque(replies) for earlier, replies in task.replies.items()}
            self._tasks.put(key, task)
            left = task.left.get(hashed)
            reply, questions = left.popleft() if left else (None, ())
            task.questions.append(list(questions))
            return TaskSlot(task, hashed, len(task.questions) - 1, reply)


@dataclass(frozen=True, slots=True)
class TaskSlot:
    """The place of one call in a task.

    Attributes:
        number: How many calls the task's current execution made before it.
        reply: The reply that an earlier execution of the task was given here, or None.
    """

    task: _Task = field(repr=False)
    hashed: str
    number: int
    reply: Any | None

    @property
    def questions(self) -> list[list[str]]:
        """The interrupts of each call of this execution so far; the last are those of this call."""
        return self.task.questions[: self.number + 1]

    def keep(self, reply: Any) -> None:
        """Keeps the reply for a later execution."""
        self.task.replies.setdefault(self.hashed, []).append((reply, tuple(self.task.questions[self.number])))


def _execution() -> Any | None:
    """Returns what LangGraph knows of the running task; None outside of one, or where LangGraph is not even loaded."""
    runtime = sys.modules.get("langgraph.runtime")
    if runtime is None:
        return None
    try:
        return getattr(runtime.get_runtime(), "execution_info", None)
    except (RuntimeError, KeyError, LookupError):
        return None  # LangGraph: there is no task.


SESSION_HEADS: Final[Recent[SessionHead]] = Recent()
"""The end of each session as this process left it, by server and session."""

SESSION_CLAIMS: Final = SessionClaims()
"""The sessions that calls use now, by server and session."""

THREAD_SESSIONS: Final[Recent[str]] = Recent()
"""The session of a thread, by server and thread, where ChatMix keeps one for each."""

REPLY_CACHE: Final = ReplyCache()
"""Replies to tasks of this process."""


def _renew() -> None:
    SESSION_CLAIMS.leave_to_parent(SESSION_HEADS.keys())
    SESSION_HEADS.clear()
    THREAD_SESSIONS.clear()
    REPLY_CACHE.clear()


process_fork.renew_in_child(_renew)
