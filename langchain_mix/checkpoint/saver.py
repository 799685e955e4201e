"""`MixSaver`: LangGraph's checkpoints in a Mix server.

Owns: the meeting of `BaseCheckpointSaver` and Mix: options, and the methods that LangGraph calls, each of which makes
one procedure and runs it. Refuses to know: how anything is stored (`mix_shelf.py`, `storage.py`).
"""

from __future__ import annotations

import copy
import random
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
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

from langchain_mix.checkpoint.addresses import read_address
from langchain_mix.checkpoint.connection import Connection, Options
from langchain_mix.checkpoint.listing import Lister, read_listing
from langchain_mix.checkpoint.maintenance import Maintenance
from langchain_mix.checkpoint.serde import AllowedType, choose_serde
from langchain_mix.checkpoint.shelf import Steps
from langchain_mix.checkpoint.storage import listing_arguments, shown
from langchain_mix.client import Mix

if TYPE_CHECKING:
    from types import TracebackType

    import httpx


class MixSaver(Maintenance):
    """A LangGraph checkpointer that keeps its state in a Mix server, or takes Mix along with any other saver.

    Synchronous and asynchronous methods are both native and may be mixed. It may be shared between threads, event loops
    and graphs; any number of processes may work on the same threads. Use it as context manager, sync or async, or call
    `close` or `aclose` at the end.

    State on a Mix server can be read and written by all who reach the server. Nothing is unpickled, and by default
    nothing but well-known types and `allowed_types` is constructed of it; `serde=EncryptedSerializer...` hides it.

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
        store: Mapping[str, Any] | None = None,
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
                any more. Such a session may still be in use elsewhere, which nobody can tell.
            api: The server's generation, or `"auto"` to learn it from its replies.
            timeout: Seconds without progress after which a request fails; None for 30.
            max_retries: How often a request that does no more when sent twice is sent again; None for the client's
                policy.
            headers: Headers of every request, such as those that a proxy in front of the server demands.
            client: Your own HTTP client for synchronous methods. It is never closed here.
            async_client: Your own HTTP client for asynchronous methods. It is never closed here.
            max_reply_bytes: Bytes that an answer of the server may have after decompression, files aside; None for
                64 MiB.
            store: Settings of the store, by the names of the arguments of `langchain_mix.checkpoint.store.Threads`.

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
        """Keys of `configurable` that are demanded besides the usual ones: none, or those of the saver underneath."""
        return [] if self._storage is None else self._storage.config_specs

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Makes the version after one; a random part tells apart those that branches make."""
        if self._storage is not None:
            return self._storage.get_next_version(current, channel)
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:032}.{random.random():016}"  # noqa: S311  # Tells branches apart; keeps no secret.

    # What LangGraph calls: reading

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Finds a checkpoint, or the newest one of a thread's namespace."""
        return self._connection.run(self._shelf.get(read_address(config)))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Does what `get_tuple` does, asynchronously."""
        return await self._connection.run_async(self._shelf.get(read_address(config)))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name.
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Lists checkpoints, newest first, reading on as they are asked for.

        Args:
            config: A thread, a namespace or a checkpoint; None for all threads.
            filter: Metadata that they must have.
            before: A checkpoint that they must be older than.
            limit: How many at most, of those that fit.
        """
        asked = read_listing(config, filter, before, limit)
        if self._storage is not None:
            yield from map(shown, self._storage.list(**listing_arguments(asked)))
            return
        lister = Lister(self._mix_shelf(), asked)
        while found := self._connection.run(lister.more()):
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
        asked = read_listing(config, filter, before, limit)
        if self._storage is not None:
            async for one in self._storage.alist(**listing_arguments(asked)):
                yield shown(one)
            return
        lister = Lister(self._mix_shelf(), asked)
        while found := await self._connection.run_async(lister.more()):
            for one in found:
                yield one

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Gathers what the ancestors of a checkpoint wrote to channels, in a read or two of the whole chain."""
        return self._connection.run(self._shelf.history(read_address(config), channels))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Does what `get_delta_channel_history` does, asynchronously."""
        return await self._connection.run_async(self._shelf.history(read_address(config), channels))

    # What LangGraph calls: writing

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Stores a checkpoint; when it returns, every later read sees it."""
        self._connection.run(self._put(config, checkpoint, metadata, new_versions))
        return read_address(config).at(checkpoint["id"]).config()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Does what `put` does, asynchronously."""
        await self._connection.run_async(self._put(config, checkpoint, metadata, new_versions))
        return read_address(config).at(checkpoint["id"]).config()

    def _put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, versions: ChannelVersions
    ) -> Steps[None]:
        return self._shelf.put(read_address(config), checkpoint, get_checkpoint_metadata(config, metadata), versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Stores what a task wrote at a checkpoint, which need not be stored yet."""
        self._connection.run(self._shelf.put_writes(read_address(config), writes, task_id, task_path))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Does what `put_writes` does, asynchronously."""
        await self._connection.run_async(self._shelf.put_writes(read_address(config), writes, task_id, task_path))
