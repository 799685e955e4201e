"""What the ancestors of a checkpoint wrote to channels that store no value of their own (LangGraph's `DeltaChannel`).

Owns: walking the chain of parents, page by page instead of one request per ancestor. Refuses to know: channels; who
asked puts the parts together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph.checkpoint.base import DeltaChannelHistory
from langgraph.checkpoint.base import PendingWrite as WriteTuple

from langchain_mix.checkpoint.addresses import Address
from langchain_mix.checkpoint.paging import Cursor
from langchain_mix.checkpoint.records import Stored, pending
from langchain_mix.checkpoint.serde import Codec
from langchain_mix.checkpoint.shelf import Steps
from langchain_mix.checkpoint.store import Threads

_PAGE: Final = 128


@dataclass(slots=True)
class Ancestors:
    """Reads the ancestors of a checkpoint, newest first.

    Parents have smaller ids than their children unless the clocks of two machines disagree; such a parent is looked
    for by itself.
    """

    threads: Threads
    address: Address
    _page: dict[str, Stored] = field(default_factory=dict)
    _last: str | None = None
    _cursor: Cursor | None = None
    _over: bool = False

    def find(self, checkpoint_id: str, child_id: str) -> Steps[Stored | None]:
        """Finds the parent of a checkpoint."""
        while not self._over and (self._last is None or checkpoint_id < self._last):
            yield from self._read_on(child_id)
        if checkpoint_id in self._page:
            return self._page[checkpoint_id]
        return (yield from self.threads.find(self.address.thread_id, self.address.ns, checkpoint_id))

    def _read_on(self, child_id: str) -> Steps[None]:
        page, self._cursor = yield from self.threads.page(
            self.address.thread_id,
            ns=self.address.ns,
            before=child_id if self._last is None else None,
            start=self._cursor,
            limit=_PAGE,
        )
        self._page = {stored.record.checkpoint_id: stored for stored in page}
        self._last = page[-1].record.checkpoint_id if page else ""
        self._over = self._cursor is None


def gather(
    threads: Threads, codec: Codec, address: Address, channels: Sequence[str]
) -> Steps[Mapping[str, DeltaChannelHistory]]:
    """Gathers the history of channels; see `BaseCheckpointSaver.get_delta_channel_history`.

    Args:
        threads: The store.
        codec: How values are serialised.
        address: The checkpoint, whose own writes do not count.
        channels: The channels.

    Returns:
        For each channel the writes of the ancestors, oldest first, and the newest stored value before them, if any.
    """
    if not channels:
        return {}
    wanted = dict.fromkeys(channels)
    collected: dict[str, list[WriteTuple]] = {channel: [] for channel in wanted}
    seeds: dict[str, Any] = {}
    target = yield from threads.find(address.thread_id, address.ns, address.checkpoint_id)
    ancestors = Ancestors(threads, address)
    child = target
    seen: set[str] = set()
    while (
        child is not None and child.record.parent_id and child.record.parent_id not in seen and len(seeds) < len(wanted)
    ):
        stored = yield from ancestors.find(child.record.parent_id, child.record.checkpoint_id)
        if stored is None:
            break
        seen.add(stored.record.checkpoint_id)
        for task_id, channel, value in reversed(pending(stored)):
            if channel in wanted and channel not in seeds:
                collected[channel].append((task_id, channel, codec.load(value)))
        for channel in wanted:
            if channel in stored.record.values and channel not in seeds:
                seeds[channel] = codec.load(stored.record.values[channel])
        child = stored
    return {channel: _entry(collected[channel], channel, seeds) for channel in wanted}


def _entry(collected: list[WriteTuple], channel: str, seeds: Mapping[str, Any]) -> DeltaChannelHistory:
    entry: DeltaChannelHistory = {"writes": collected[::-1]}
    if channel in seeds:
        entry["seed"] = seeds[channel]
    return entry
