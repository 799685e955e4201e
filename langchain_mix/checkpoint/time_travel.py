"""What only a saver that knows Mix can do: sessions that go along with checkpoints.

Owns: the methods of `MixSaver` that LangGraph does not know. Refuses to know: how they are carried
out (`overview.py`, `rewinding.py`, the store).
"""

from __future__ import annotations

from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from langchain_mix.checkpoint import overview, rewinding
from langchain_mix.checkpoint.addresses import read_address, thread_name
from langchain_mix.checkpoint.connection import Connection
from langchain_mix.checkpoint.mix_shelf import MixShelf
from langchain_mix.checkpoint.positions import Position
from langchain_mix.checkpoint.report import Repair, Report
from langchain_mix.checkpoint.rewinding import Rewound
from langchain_mix.checkpoint.serde import Codec
from langchain_mix.checkpoint.shelf import Shelf
from langchain_mix.checkpoint.storage import SaverShelf
from langchain_mix.checkpoint.store import Threads
from langchain_mix.checkpoint.tree import Tree
from langchain_mix.client import Mix
from langchain_mix.errors import MixUnsupportedError

T = TypeVar("T")


class TimeTravel(BaseCheckpointSaver[Any]):
    """A saver that knows where in which Mix session a checkpoint stands."""

    serde: SerializerProtocol
    _connection: Connection

    @property
    def mix(self) -> Mix:
        """The client that the saver works with."""
        return self._connection.mix

    @property
    def _shelf(self) -> Shelf:
        """Where checkpoints are kept, with the serializer of this very copy."""
        storage = self._connection.options.storage
        return self._mix_shelf() if storage is None else SaverShelf(self._storage or storage)

    _storage: BaseCheckpointSaver[Any] | None = None
    """The saver underneath, as this copy uses it."""

    def _mix_shelf(self) -> MixShelf:
        return MixShelf(self._store("Listing files"), Codec.of(self.serde))

    def _store(self, what: str) -> Threads:
        if self._connection.threads is None:
            raise MixUnsupportedError(
                f"{what} is about files of the Mix server, and another saver keeps these checkpoints.",
                hint="Ask that saver.",
            )
        return self._connection.threads

    def session_of(self, config: RunnableConfig) -> Position | None:
        """Tells where in which Mix session a checkpoint stands.

        Args:
            config: The checkpoint, or a thread for its newest one.

        Returns:
            The place of the newest answer in its messages; None if none came from a session, or there is no checkpoint.

        Raises:
            MixInputError: The config names no thread.
            MixError: The checkpoint could not be read.
        """
        return self._connection.run(overview.position_of(self._shelf, read_address(config)))

    async def asession_of(self, config: RunnableConfig) -> Position | None:
        """Does what `session_of` does, asynchronously."""
        return await self._connection.run_async(overview.position_of(self._shelf, read_address(config)))

    def branches(self, thread_id: str, ns: str = "") -> Tree:
        """Shows the checkpoints of a thread as a tree: what follows what, what branched off, and in which sessions.

        Args:
            thread_id: The thread.
            ns: The namespace; the root graph's is empty.

        Returns:
            The tree; `str()` draws it.

        Raises:
            MixError: The thread could not be read.
        """
        return self._connection.run(overview.tree_of(self._shelf, thread_name(thread_id), ns))

    async def abranches(self, thread_id: str, ns: str = "") -> Tree:
        """Does what `branches` does, asynchronously."""
        return await self._connection.run_async(overview.tree_of(self._shelf, thread_name(thread_id), ns))

    def rewind(self, config: RunnableConfig, *, dry_run: bool = False) -> Rewound:
        """Takes a thread and its Mix session back to a checkpoint, for good.

        The checkpoint is the newest one of its thread again. What goes: all that is newer, branches that were made
        later included, and what subgraphs did for any of it; the writes of tasks at the checkpoint, so that they run
        again, but not an interrupt that waited there; and the messages of its session after the last one that it holds,
        whoever wrote them. What stays: its ancestors, older branches, and a session that an older branch still needs.
        Branches that ChatMix made in sessions of their own leave these behind.

        To go on elsewhere without losing anything, run the graph with the checkpoint's config instead.

        Args:
            config: A checkpoint of the root graph.
            dry_run: Only tell what would be done.

        Returns:
            What was done.

        Raises:
            MixInputError: The config names no such checkpoint. Nothing was changed.
            MixError: Something failed. If the thread was taken back by then and its session not, ChatMix leaves the
                session alone and goes on in another; the same rewind again completes it.
        """
        steps = rewinding.rewind(self._shelf, self.mix.server_url, read_address(config), dry_run=dry_run)
        return self._connection.run(steps)

    async def arewind(self, config: RunnableConfig, *, dry_run: bool = False) -> Rewound:
        """Does what `rewind` does, asynchronously."""
        steps = rewinding.rewind(self._shelf, self.mix.server_url, read_address(config), dry_run=dry_run)
        return await self._connection.run_async(steps)

    def report(self, thread_id: str | None = None) -> Report:
        """Counts what is stored on the Mix server: files, bytes, checkpoints, and files that nothing refers to.

        Args:
            thread_id: The thread, or None for all.

        Returns:
            The figures.

        Raises:
            MixUnsupportedError: Another saver keeps the checkpoints.
            MixError: The server could not be read.
        """
        return self._connection.run(self._store("A report").report(_named(thread_id)))

    async def areport(self, thread_id: str | None = None) -> Report:
        """Does what `report` does, asynchronously."""
        return await self._connection.run_async(self._store("A report").report(_named(thread_id)))

    def repair(self, thread_id: str | None = None, *, dry_run: bool = True, orphans: bool = False) -> Repair:
        """Makes damaged threads usable again with what is left of them, and says what was lost.

        Args:
            thread_id: The thread, or None for all.
            dry_run: Only tell what would be done.
            orphans: Also delete files that nothing refers to. Do it while nobody writes.

        Returns:
            What was found and done.

        Raises:
            MixUnsupportedError: Another saver keeps the checkpoints.
            MixError: The server could not be read or written.
        """
        store = self._store("A repair")
        return self._connection.run(store.repair(_named(thread_id), dry_run=dry_run, orphans=orphans))

    async def arepair(self, thread_id: str | None = None, *, dry_run: bool = True, orphans: bool = False) -> Repair:
        """Does what `repair` does, asynchronously."""
        store = self._store("A repair")
        return await self._connection.run_async(store.repair(_named(thread_id), dry_run=dry_run, orphans=orphans))


def _named(thread_id: str | None) -> str | None:
    return None if thread_id is None else thread_name(thread_id)
