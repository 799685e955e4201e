"""`MixSaver`: LangGraph's checkpoints in a Mix server.

Owns: all methods that LangGraph and users call, each of which makes one procedure and runs it. Refuses to know: how
checkpoints are stored (`file_backend.py`, `saver_backend.py`) and how threads are copied, rewound and pruned
(`thread_ops.py`).
"""

from __future__ import annotations

import copy
import random
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from langchain_mix.checkpoint.backend import CheckpointBackend, read_address, thread_name
from langchain_mix.checkpoint.branches import Tree, position_of, tree_of
from langchain_mix.checkpoint.connection import Connection, Options
from langchain_mix.checkpoint.file_backend import CheckpointLister, FileBackend, read_listing
from langchain_mix.checkpoint.garbage import Report
from langchain_mix.checkpoint.positions import Position
from langchain_mix.checkpoint.repair import Repair
from langchain_mix.checkpoint.runtime import run, run_async
from langchain_mix.checkpoint.saver_backend import SaverBackend, listing_arguments, without_mark
from langchain_mix.checkpoint.serde import AllowedType, Codec, choose_serde
from langchain_mix.checkpoint.state import StoreSettings
from langchain_mix.checkpoint.store import ThreadStore
from langchain_mix.checkpoint.thread_ops import Copied, Removed, Rewound, ThreadOperations, prune_rule
from langchain_mix.client import Mix
from langchain_mix.errors import MixUnsupportedError

if TYPE_CHECKING:
    from types import TracebackType

    import httpx


class MixSaver(BaseCheckpointSaver[Any]):
    """A LangGraph checkpointer that keeps its state in a Mix server, or takes Mix along with any other saver.

    Synchronous and asynchronous methods are both native and may be mixed. It may be shared between threads, event loops
    and graphs; any number of processes may work on the same threads. Use it as context manager, sync or async, or call
    `close` or `aclose` at the end.

    State on a Mix server can be read and written by everybody that reaches the server. Nothing is unpickled, and by
    default nothing but well-known types and `allowed_types` is constructed of it; `serde=EncryptedSerializer...` hides
    it.

    Example:
        ```python
        from langchain_mix import MixSaver

        with MixSaver(server_url="http://localhost:8088") as saver:
            graph = builder.compile(checkpointer=saver)
        ```
    """

    def __init__(
        self,
        server_url: str | None = None,
        *,
        mix: Mix | None = None,
        session_id: str | None = None,
        storage: BaseCheckpointSaver[Any] | None = None,
        serde: SerializerProtocol | None = None,
        allowed_types: Iterable[AllowedType] = (),
        delete_sessions: bool = False,
        api: str = "auto",
        timeout: float | None = None,
        max_retries: int | None = None,
        headers: Mapping[str, str] | None = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        max_reply_bytes: int | None = None,
        store: Mapping[str, float] | StoreSettings | None = None,
    ) -> None:
        """Prepares a saver; nothing is sent and no connection opened yet.

        Args:
            server_url: The server's base URL. None for the environment variable `MIX_SERVER_URL`, and without that for
                `http://localhost:8088`.
            mix: Your own client, in the place of all options of the connection. It is never closed here.
            session_id: The session through which files are read and written. None for one of the saver's own, which all
                savers of the server share. Which one it is does not matter: uploads are common to all sessions.
            storage: Another saver, which keeps the checkpoints then; MixSaver adds what concerns Mix.
            serde: Your own serializer, used as it is; an `EncryptedSerializer` encrypts whole files, names and metadata
                included, and files that are not encrypted are refused. With `storage`, that saver's serializer is used.
            allowed_types: Types of your own that the default serializer may construct, as classes or as
                `("module", "name")`; others are given as plain data, with a warning.
            delete_sessions: Whether `delete_thread` and `prune` also delete Mix sessions that no checkpoint points to
                any more. Such a session may still be in use elsewhere, which cannot be known.
            api: The server's generation, or `"auto"` to learn it from its replies.
            timeout: Seconds without progress after which a request fails; None for 30.
            max_retries: How often a request that does no more when sent twice is sent again; None for the client's
                policy.
            headers: Headers of every request, such as those that a proxy in front of the server demands.
            client: Your own HTTP client for synchronous methods. It is never closed here.
            async_client: Your own HTTP client for asynchronous methods. It is never closed here.
            max_reply_bytes: Bytes that an answer of the server may have after decompression, files aside; None for
                64 MiB.
            store: Settings of the store on the Mix server, by name: `attempts`, how often a writer tries to become the
                owner of a thread when several processes write to it (12); `backoff`, the longest pause in seconds after
                its first attempt, which doubles with each (0.02); `retries`, how often a write of unknown outcome is
                made again, safely, before that is an error (1); `cache_bytes`, bytes of unchanging files kept in memory
                (64 MiB).

        Raises:
            MixConfigurationError: The options cannot work, or contradict each other.
        """
        options = Options(
            server_url=server_url,
            mix=mix,
            session_id=session_id,
            storage=storage,
            api=api,
            timeout=timeout,
            max_retries=max_retries,
            headers=headers,
            client=client,
            async_client=async_client,
            max_reply_bytes=max_reply_bytes,
            store=store,
        )
        chosen = choose_serde(serde, allowed_types, storage)
        super().__init__(serde=chosen)
        self._storage = storage
        self._delete_sessions = delete_sessions
        self._connection = Connection(options, chosen)

    @classmethod
    def from_conn_string(cls, conn_string: str, **options: Any) -> Self:
        """Makes a saver for a server, to be used as context manager, sync or async.

        Args:
            conn_string: The server's base URL.
            **options: As for `MixSaver`.

        Returns:
            The saver.
        """
        return cls(conn_string, **options)

    @property
    def mix(self) -> Mix:
        """The client that the saver works with."""
        return self._connection.mix

    @property
    def _backend(self) -> CheckpointBackend:
        """The place that keeps checkpoints, with the serializer of this very copy."""
        storage = self._connection.options.storage
        return self._file_backend() if storage is None else SaverBackend(self._storage or storage)

    def _file_backend(self) -> FileBackend:
        return FileBackend(self._store("Listing files"), Codec.of(self.serde))

    def _store(self, what: str) -> ThreadStore:
        if self._connection.threads is None:
            raise MixUnsupportedError(
                f"{what} is about files of the Mix server, and another saver keeps these checkpoints.",
                hint="Ask that saver.",
            )
        return self._connection.threads

    # Life

    def close(self) -> None:
        """Closes the connections of synchronous methods. The next call opens new ones."""
        self._connection.close()

    async def aclose(self) -> None:
        """Closes the connections of synchronous methods and those of the running event loop."""
        await self._connection.aclose()

    def __enter__(self) -> Self:
        """Keeps the saver open until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    async def __aenter__(self) -> Self:
        """Keeps the saver open until the block ends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        await self.aclose()

    def __getstate__(self) -> dict[str, Any]:
        """Pickles options alone: the other process is another writer."""
        return {**self.__dict__, "_connection": self._connection.options.portable()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begins with a writer of its own."""
        self.__dict__.update(state)
        self._connection = Connection(state["_connection"], self.serde)

    def __copy__(self) -> Self:
        """Shares everything, as LangGraph expects of the copies it makes."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Shares clients and the saver underneath, and begins with a writer of its own."""
        copied = self._with(_connection=Connection(self._connection.options, self.serde))
        memo[id(self)] = copied
        return copied

    def _with(self, **changed: Any) -> Self:
        copied = copy.copy(self)
        copied.__dict__.update(changed)
        return copied

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> BaseCheckpointSaver[Any]:
        """Gives a copy whose serializer, or that of the saver underneath, may construct more types."""
        if self._storage is None:
            return super().with_allowlist(extra_allowlist)
        storage = self._storage.with_allowlist(extra_allowlist)
        return self._with(_storage=storage, serde=storage.serde)

    @property
    def config_specs(self) -> list[Any]:
        """Keys of `configurable` that are demanded beyond the usual ones: none, or those of the saver underneath."""
        return [] if self._storage is None else self._storage.config_specs

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Makes the version after one; a random part distinguishes those that branches make."""
        if self._storage is not None:
            return self._storage.get_next_version(current, channel)
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:032}.{random.random():016}"  # noqa: S311  # Distinguishes branches; keeps no secret.

    # What LangGraph calls: reading

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Finds a checkpoint, or the newest one of a thread's namespace."""
        return run(self.mix, self._backend.get(read_address(config)))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Does what `get_tuple` does, asynchronously."""
        return await run_async(self.mix, self._backend.get(read_address(config)))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name.
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Lists checkpoints, newest first, and reads on as they are consumed.

        Args:
            config: A thread, a namespace or a checkpoint; None for all threads.
            filter: Metadata that they must have.
            before: A checkpoint that they must be older than.
            limit: How many at most, of those that fit.
        """
        query = read_listing(config, filter, before, limit)
        if self._storage is not None:
            yield from map(without_mark, self._storage.list(**listing_arguments(query)))
            return
        lister = CheckpointLister(self._file_backend(), query)
        while found := run(self.mix, lister.more()):
            yield from found

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name.
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Does what `list` does, asynchronously."""
        query = read_listing(config, filter, before, limit)
        if self._storage is not None:
            async for one in self._storage.alist(**listing_arguments(query)):
                yield without_mark(one)
            return
        lister = CheckpointLister(self._file_backend(), query)
        while found := await run_async(self.mix, lister.more()):
            for one in found:
                yield one

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Gathers what the ancestors of a checkpoint wrote to channels, in a read or two of the whole chain."""
        return run(self.mix, self._backend.history(read_address(config), channels))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Does what `get_delta_channel_history` does, asynchronously."""
        return await run_async(self.mix, self._backend.history(read_address(config), channels))

    # What LangGraph calls: writing

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Stores a checkpoint; when it returns, every later read sees it."""
        address = read_address(config)
        noted = get_checkpoint_metadata(config, metadata)
        run(self.mix, self._backend.put(address, checkpoint, noted, new_versions))
        return address.at(checkpoint["id"]).config()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Does what `put` does, asynchronously."""
        address = read_address(config)
        noted = get_checkpoint_metadata(config, metadata)
        await run_async(self.mix, self._backend.put(address, checkpoint, noted, new_versions))
        return address.at(checkpoint["id"]).config()

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Stores what a task wrote at a checkpoint, which need not be stored yet."""
        run(self.mix, self._backend.put_writes(read_address(config), writes, task_id, task_path))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Does what `put_writes` does, asynchronously."""
        await run_async(self.mix, self._backend.put_writes(read_address(config), writes, task_id, task_path))

    # Whole threads: deleting, copying, pruning

    def delete_thread(self, thread_id: str, *, delete_sessions: bool | None = None) -> None:
        """Deletes a thread with all its namespaces. One that does not exist is no error.

        Args:
            thread_id: The thread.
            delete_sessions: Whether Mix sessions go too that its messages point to and those of no other thread do;
                None for the saver's own option. To find out, all threads are read.

        Raises:
            MixError: It failed; the thread is deleted or as it was.
        """
        steps = self._operations.delete_thread(thread_name(thread_id), delete_sessions=delete_sessions)
        run(self.mix, steps)

    async def adelete_thread(self, thread_id: str, *, delete_sessions: bool | None = None) -> None:
        """Does what `delete_thread` does, asynchronously."""
        steps = self._operations.delete_thread(thread_name(thread_id), delete_sessions=delete_sessions)
        await run_async(self.mix, steps)

    @property
    def _operations(self) -> ThreadOperations:
        session_files = self._connection.session_files
        store_session = None if session_files is None else session_files.session_id
        return ThreadOperations(
            self._backend, self.mix.server_api, self.mix.server_url, store_session, self._delete_sessions
        )

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Deletes the checkpoints that runs have made, and what was written at them, in all threads.

        A checkpoint that a later one of another run needs stays (LangGraph's `DeltaChannel` stores no values).

        Args:
            run_ids: The runs, as `run_id` in the metadata of checkpoints.

        Raises:
            MixError: It failed; each thread is as it was or as it should be.
        """
        run(self.mix, self._operations.delete_for_runs(frozenset(map(str, run_ids))))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Does what `delete_for_runs` does, asynchronously."""
        await run_async(self.mix, self._operations.delete_for_runs(frozenset(map(str, run_ids))))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> Copied:  # type: ignore[override]
        """Copies a thread: checkpoints and writes in all namespaces with their ids, and its Mix sessions.

        Each session is forked as far as the thread needs it, and the messages of the copy point to the fork, so that
        the two threads never write into one session. Where Mix has no fork (0.8 on) the copy points to no session:
        ChatMix begins its next turn in a new one, with the conversation as a transcript. Files are not copied.

        A process that is killed in between leaves forks that nothing points to, titled "Copy of a thread". Those of
        finished copies have the same title, so that none is ever deleted for its title.

        Args:
            source_thread_id: The thread to copy. If it does not exist, nothing is done.
            target_thread_id: The new thread, which must be empty.

        Returns:
            What was copied and forked. LangGraph itself expects nothing.

        Raises:
            MixInputError: The target holds something. Nothing was changed.
            MixError: It failed; sessions made for it are deleted, or named in the notes of the error, as where the copy
                may have been stored all the same.
        """
        steps = self._operations.copy_thread(thread_name(source_thread_id), thread_name(target_thread_id))
        return run(self.mix, steps)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> Copied:  # type: ignore[override]
        """Does what `copy_thread` does, asynchronously."""
        steps = self._operations.copy_thread(thread_name(source_thread_id), thread_name(target_thread_id))
        return await run_async(self.mix, steps)

    def prune(  # type: ignore[override]
        self,
        thread_ids: Sequence[str],
        *,
        strategy: str = "keep_latest",
        keep_last: int | None = None,
        older_than: timedelta | None = None,
        delete_sessions: bool | None = None,
        dry_run: bool = False,
    ) -> Removed:
        """Removes old checkpoints of threads.

        The newest checkpoint of each namespace always stays, with its pending writes, and so do the ancestors that it
        needs (LangGraph's `DeltaChannel`). With `keep_last` or `older_than`, namespaces of subgraphs go together with
        the checkpoint that ran them.

        Args:
            thread_ids: The threads. Those that do not exist are no error.
            strategy: `"keep_latest"`, or `"delete"` to remove the threads altogether.
            keep_last: How many checkpoints of each namespace stay in any case; None for 1.
            older_than: Only checkpoints of that age go; None for all.
            delete_sessions: Whether Mix sessions go too that no checkpoint points to any more; None for the saver's
                own option. To find out, all threads are read.
            dry_run: Only report what would be done.

        Returns:
            What was removed. LangGraph itself expects nothing.

        Raises:
            MixInputError: The strategy is unknown, or an argument does not go with it. Nothing was changed.
            MixError: It failed; each thread is as it was or as it should be.
        """
        rule, threads = prune_rule(strategy, keep_last, older_than), [thread_name(one) for one in thread_ids]
        steps = self._operations.prune(threads, rule, delete_sessions=delete_sessions, dry_run=dry_run)
        return run(self.mix, steps)

    async def aprune(  # type: ignore[override]
        self,
        thread_ids: Sequence[str],
        *,
        strategy: str = "keep_latest",
        keep_last: int | None = None,
        older_than: timedelta | None = None,
        delete_sessions: bool | None = None,
        dry_run: bool = False,
    ) -> Removed:
        """Does what `prune` does, asynchronously."""
        rule, threads = prune_rule(strategy, keep_last, older_than), [thread_name(one) for one in thread_ids]
        steps = self._operations.prune(threads, rule, delete_sessions=delete_sessions, dry_run=dry_run)
        return await run_async(self.mix, steps)

    # Mix sessions that go along with checkpoints

    def session_of(self, config: RunnableConfig) -> Position | None:
        """Returns the place of a checkpoint in its Mix session.

        Args:
            config: The checkpoint, or a thread for its newest one.

        Returns:
            The place of the newest answer in its messages; None if none came from a session, or there is no checkpoint.

        Raises:
            MixInputError: The config names no thread.
            MixError: The checkpoint could not be read.
        """
        return run(self.mix, position_of(self._backend, read_address(config)))

    async def asession_of(self, config: RunnableConfig) -> Position | None:
        """Does what `session_of` does, asynchronously."""
        return await run_async(self.mix, position_of(self._backend, read_address(config)))

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
        return run(self.mix, tree_of(self._backend, thread_name(thread_id), ns))

    async def abranches(self, thread_id: str, ns: str = "") -> Tree:
        """Does what `branches` does, asynchronously."""
        return await run_async(self.mix, tree_of(self._backend, thread_name(thread_id), ns))

    def rewind(self, config: RunnableConfig, *, dry_run: bool = False) -> Rewound:
        """Takes a thread and its Mix session back to a checkpoint, for good.

        The checkpoint is the newest one of its thread again. What goes: all that is newer, branches that were made
        later included, and what subgraphs did for any of it; the writes of tasks at the checkpoint, so that they run
        again, but not an interrupt that waited there; and the messages of its session after the last one that it holds,
        no matter which client wrote them. What stays: its ancestors, older branches, and a session that an older branch
        still needs. Branches that ChatMix made in sessions of their own leave these behind.

        To go on elsewhere without losing anything, run the graph with the checkpoint's config instead.

        Args:
            config: A checkpoint of the root graph.
            dry_run: Only report what would be done.

        Returns:
            What was done.

        Raises:
            MixInputError: The config names no such checkpoint. Nothing was changed.
            MixError: Something failed. If the thread was taken back by then and its session not, ChatMix leaves the
                session alone and goes on in another; the same rewind again completes it.
        """
        steps = self._operations.rewind(read_address(config), dry_run=dry_run)
        return run(self.mix, steps)

    async def arewind(self, config: RunnableConfig, *, dry_run: bool = False) -> Rewound:
        """Does what `rewind` does, asynchronously."""
        steps = self._operations.rewind(read_address(config), dry_run=dry_run)
        return await run_async(self.mix, steps)

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
        return run(self.mix, self._store("A report").report(_named(thread_id)))

    async def areport(self, thread_id: str | None = None) -> Report:
        """Does what `report` does, asynchronously."""
        return await run_async(self.mix, self._store("A report").report(_named(thread_id)))

    def repair(self, thread_id: str | None = None, *, dry_run: bool = True, orphans: bool = False) -> Repair:
        """Makes damaged threads usable again with what is left of them, and says what was lost.

        Args:
            thread_id: The thread, or None for all.
            dry_run: Only report what would be done.
            orphans: Also delete files that nothing refers to. Do it while nothing writes.

        Returns:
            What was found and done.

        Raises:
            MixUnsupportedError: Another saver keeps the checkpoints.
            MixError: The server could not be read or written.
        """
        store = self._store("A repair")
        return run(self.mix, store.repair(_named(thread_id), dry_run=dry_run, orphans=orphans))

    async def arepair(self, thread_id: str | None = None, *, dry_run: bool = True, orphans: bool = False) -> Repair:
        """Does what `repair` does, asynchronously."""
        store = self._store("A repair")
        return await run_async(self.mix, store.repair(_named(thread_id), dry_run=dry_run, orphans=orphans))


def _named(thread_id: str | None) -> str | None:
    return None if thread_id is None else thread_name(thread_id)
