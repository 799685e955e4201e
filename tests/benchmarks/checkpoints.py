"""What `MixSaver` costs: beside other savers, and beside a bare upload and download of the same state.

Owns: the sizes that are measured, the rounds, and the budgets. Refuses to know: what a state is, and how anyone keeps
one (`checkpoints_contenders.py`).

Here times are those on the wall: what a user waits for. Server and databases have processes of their own.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import httpx
from langgraph.checkpoint.base import BaseCheckpointSaver

from langchain_mix import MixSaver
from langchain_mix.client import Mix
from tests.benchmarks.checkpoints_contenders import (
    LISTED,
    OPERATIONS,
    POSTGRES_VARIABLE,
    BareContender,
    Contender,
    Operation,
    SaverContender,
    rivals,
)
from tests.benchmarks.checkpoints_states import Conversation, fill
from tests.benchmarks.hosting import hosted
from tests.benchmarks.measure import Figure

_MESSAGES: Final = (10, 200)
_SIZES: Final = (10, 200, 1_000, 10_000)
_QUICK_SIZES: Final = _SIZES[:-1]
_MANY: Final = 50
"""Rounds from which on the longest threads are measured too."""
_USUAL_SIZE: Final = 200
"""Checkpoints of the thread that is reported first, and of those of other savers."""
_SHORT_THREADS: Final = 8
"""Threads of the smallest size, used by turns."""
_LISTING: Final = 5
"""A listing is measured in one round of so many; it takes long."""
_BLOCKS: Final = 4
"""Of so many blocks of rounds the quietest counts: its median."""
_COUNTED: Final = 35
"""Rounds in which requests are counted: enough for an active segment to become full."""
_BARE: Final = "bare"
_REQUESTS: Final[Mapping[Operation, int]] = {"put": 2, "put_writes": 2, "get_tuple": 1, "cold get_tuple": 3, "list": 9}
"""The most that an operation may usually take."""
_RATIOS: Final[Mapping[Operation, float]] = {"put": 2.0, "get_tuple": 1.5}
"""The most that an operation may take, in terms of the bare one."""
_FLAT: Final = 1.3

_OF_OTHERS: Final[tuple[Operation, ...]] = ("put", "put_writes", "get_tuple", "list")
_NOTES: Final[Mapping[Operation, str]] = {
    "put": "a manifest, then the owner file; one more when a full active segment moves",
    "put_writes": "the same",
    "get_tuple": "the owner file",
    "cold get_tuple": "designed 2; an owner file, then two copies of a manifest",
    "list": f"{LISTED} checkpoints, nothing in memory",
}

_Times = Mapping[str, Mapping[Operation, float]]


class _Measured(NamedTuple):
    """What was measured with states of one size.

    Attributes:
        messages: Messages in a state.
        sizes: Checkpoints in the threads of `MixSaver`.
        times: Seconds by contender and operation.
        requests: Requests by operation, of each time.
        others: Names of the other savers; those that could not be used have no times.
    """

    messages: int
    sizes: Sequence[int]
    times: _Times
    requests: Mapping[Operation, Sequence[int]]
    others: Sequence[str]


def measure(often: int) -> list[Figure]:
    """Measures states of 10 and of 200 messages.

    Args:
        often: Rounds; with few of them, threads of 10,000 checkpoints are left out.

    Returns:
        The figures.
    """
    sizes = _SIZES if often >= _MANY else _QUICK_SIZES
    figures = []
    with hosted("checkpoints_server") as url, tempfile.TemporaryDirectory() as directory, rivals(directory) as others:
        for messages in _MESSAGES:
            figures += _of_state(url, messages, sizes, others, often)
    return figures


def _of_state(
    url: str,
    messages: int,
    sizes: Sequence[int],
    others: Mapping[str, BaseCheckpointSaver[Any] | None],
    often: int,
) -> list[Figure]:
    with Mix(server_url=url) as mix, httpx.Client() as client:
        session_id = mix.sessions.create(title="benchmark").id
        bare = BareContender(client, url, session_id, Conversation(messages))
        contenders: dict[str, Contender] = {_BARE: bare}
        threads = {size: _filled(mix, session_id, messages, size) for size in sizes}
        for size, conversations in threads.items():
            saver, reader = (MixSaver(mix=mix, session_id=session_id) for _ in range(2))
            contenders[f"{size:,}"] = SaverContender(saver, conversations, reader)
        contenders |= {name: _rival(saver, messages) for name, saver in others.items() if saver is not None}
        times = _rounds(contenders, often)
        counts = _requests(url, session_id, [threads[size][0] for size in (sizes[0], sizes[-1])])
    measured = _Measured(messages, sizes, times, counts, [*others])
    return [figure for operation in OPERATIONS for figure in _figures(operation, measured)]


def _filled(mix: Mix, session_id: str, messages: int, size: int) -> list[Conversation]:
    conversations = [Conversation(messages) for _ in range(_SHORT_THREADS if size == _SIZES[0] else 1)]
    for conversation in conversations:
        fill(mix, session_id, conversation, size)
    return conversations


def _rival(saver: BaseCheckpointSaver[Any], messages: int) -> Contender:
    conversation = Conversation(messages)
    contender = SaverContender(saver, [conversation])
    for _ in range(_USUAL_SIZE):
        for operation in OPERATIONS[:2]:
            _do(contender, operation, 0)
    return contender


def _rounds(contenders: Mapping[str, Contender], often: int) -> _Times:
    """Seconds. In a round all do the same, one after the other; the first rounds, which make all warm, do not count."""
    taken: dict[str, dict[Operation, list[float]]] = {name: defaultdict(list) for name in contenders}
    gc.collect()
    gc.freeze()  # What the other contenders hold must not make the collector slow for this one.
    order = deque(contenders)
    for turn in range(-_SHORT_THREADS, often):
        order.rotate()
        for operation in OPERATIONS:
            if operation == "list" and turn % _LISTING:
                continue
            for name in order:
                seconds = _do(contenders[name], operation, turn)
                if turn >= 0 and seconds is not None:
                    taken[name][operation].append(seconds)
    gc.unfreeze()
    return {name: {key: _quietest(seconds) for key, seconds in of.items()} for name, of in taken.items()}


def _quietest(seconds: Sequence[float]) -> float:
    size = max(1, len(seconds) // _BLOCKS)
    return min(statistics.median(seconds[start : start + size]) for start in range(0, len(seconds) - size + 1, size))


def _do(contender: Contender, operation: Operation, turn: int) -> float | None:
    work = contender.ready(operation, turn)
    if work is None:
        return None
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _requests(url: str, session_id: str, conversations: Sequence[Conversation]) -> dict[Operation, list[int]]:
    """How many requests each operation took, in all threads."""
    counts: dict[Operation, list[int]] = defaultdict(list)
    with _counting() as (client, sent):
        for conversation in conversations:
            saver, cold, fresh = (MixSaver(url, client=client, session_id=session_id) for _ in range(3))
            contender = SaverContender(saver, [conversation], cold)
            _do(contender, "put", 0)  # Takes an epoch, which costs more than the puts that follow.
            for turn in range(_COUNTED):
                for operation in OPERATIONS[:-1]:
                    sent.clear()
                    _do(contender, operation, turn)
                    counts[operation].append(len(sent))
            sent.clear()
            found = list(fresh.list(conversation.config, limit=LISTED))
            if len(found) != LISTED:
                raise AssertionError(f"Listed {len(found)} checkpoints.")
            counts["list"].append(len(sent))
    return counts


@contextmanager
def _counting() -> Iterator[tuple[httpx.Client, list[httpx.Request]]]:
    sent: list[httpx.Request] = []
    with httpx.Client(event_hooks={"request": [sent.append]}) as client:
        yield client, sent


def _figures(operation: Operation, measured: _Measured) -> list[Figure]:
    what = f"{operation}, {measured.messages} messages"
    mine = {size: measured.times[f"{size:,}"][operation] * 1e3 for size in measured.sizes}
    by_size = ", ".join(f"{size:,}: {taken:.3g}" for size, taken in mine.items())
    counts = measured.requests[operation]
    requests = f"{_NOTES[operation]}; at most {max(counts)}, on average {statistics.mean(counts):.3g}"
    longest, shortest = measured.sizes[-1], measured.sizes[0]
    figures = [
        Figure(what, mine[_USUAL_SIZE], "ms", note=f"by checkpoints: {by_size}"),
        *_of_others(what, operation, measured),
        Figure(f"{what}, requests", statistics.median(counts), "", most=_REQUESTS[operation], note=requests),
        Figure(
            f"{what}, {longest:,} checkpoints to {shortest}",
            mine[longest] / mine[shortest],
            "x",
            most=_FLAT if operation in _RATIOS else None,
        ),
    ]
    if operation in _RATIOS:
        bare = measured.times[_BARE][operation] * 1e3
        ratio = mine[_USUAL_SIZE] / bare
        figures.append(Figure(f"{what}, to bare", ratio, "x", most=_RATIOS[operation], note=f"bare {bare:.3g} ms"))
    return figures


def _of_others(what: str, operation: Operation, measured: _Measured) -> list[Figure]:
    if operation not in _OF_OTHERS:
        return []
    return [
        Figure(f"{what}, {name}", measured.times[name][operation] * 1e3, "ms")
        if name in measured.times
        else Figure(f"{what}, {name}", None, "ms", note=f"{POSTGRES_VARIABLE} names no database")
        for name in measured.others
    ]
