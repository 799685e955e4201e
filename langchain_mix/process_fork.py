"""Renews in a forked process (`os.fork`, not a fork of a session) what it must not share with its parent.

`os.fork` (gunicorn --preload, Celery's prefork pool, multiprocessing on Linux) gives the child a copy of the memory and
the very same sockets. Two processes that read one connection take each other's answers; a lock that another thread held
at the fork is never released in the child; and what one process owned (a session's turn, a checkpoint thread) two would
now believe they own.

So whatever holds a lock, a connection or a right of this process registers here how it starts afresh in a child. The
parent is never disturbed: nothing is sent, and no connection is shut down.

Owns: the one hook that runs in a forked child. Refuses to know: what is renewed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from inspect import ismethod
from itertools import count
from threading import RLock
from typing import Any, Final, TypeVar
from weakref import ref

T = TypeVar("T")

_renewals: Final[dict[int, Callable[[], object]]] = {}
"""In the order in which they were registered."""

_numbers: Final = count()

depth = 0
"""Forks between this process and the first one. What was begun at another depth is foreign."""


def renew_in_child(renew: Callable[[], object]) -> None:
    """Has something called in every forked child, before any other code of it.

    Args:
        renew: Replaces locks and forgets what belonged to the parent. It must not take a lock: the thread that held it
            is not there. A method is only called as long as its object lives.
    """
    number = next(_numbers)
    if not ismethod(renew):
        _renewals[number] = renew
        return
    function, renewals = renew.__func__, _renewals  # Globals are gone when the last objects are collected.

    def unregister(_: object) -> None:
        renewals.pop(number, None)

    living = ref(renew.__self__, unregister)

    def renew_living() -> None:
        if (thing := living()) is not None:
            function(thing)

    _renewals[number] = renew_living


def renew_cached_properties(owner: type[T]) -> type[T]:
    """Has the cached properties of a class start afresh in every forked child.

    Python 3.11 holds a lock while one of them is computed, the same for all instances; 3.12 has none.

    Args:
        owner: The class, which is decorated with this.

    Returns:
        The same class.
    """
    found: list[Any] = [
        value for value in vars(owner).values() if isinstance(value, cached_property) and hasattr(value, "lock")
    ]

    def renew() -> None:
        for one in found:
            one.lock = RLock()

    renew_in_child(renew)
    return owner


def abandon_sockets(sockets: Iterable[Any]) -> None:
    """Gives up a child's share of sockets without a word to their peers: no FIN, no TLS alert.

    Args:
        sockets: Sockets, what event loops show of them, or files. Those that are closed, and None, are passed over.
    """
    shut, other = os.pipe()
    try:
        os.close(other)
        for sock in sockets:
            if isinstance(sock, socket.SocketType):
                sock.close()  # Only of this process; a connection ends with its last share, or by `shutdown`.
            elif sock is not None:
                # Event loops own theirs, and would unregister it at the selector that the parent uses too.
                with suppress(OSError, ValueError):  # Closed already: a file then has no number, and a socket has -1.
                    os.dup2(shut, sock.fileno(), inheritable=False)
    finally:
        os.close(shut)


def _renew_all() -> None:
    global depth  # noqa: PLW0603  # A process has one.
    depth += 1
    problems: list[Exception] = []
    for renew in list(_renewals.values()):
        try:
            renew()
        except Exception as problem:  # noqa: BLE001  # The others do not depend on it: a lock would stay held.
            problems.append(problem)
    if problems:
        raise ExceptionGroup("A forked child could not renew all that its parent had.", problems)  # Python reports it.


if hasattr(os, "register_at_fork"):  # Not on Windows, which has no fork.
    os.register_at_fork(after_in_child=_renew_all)
