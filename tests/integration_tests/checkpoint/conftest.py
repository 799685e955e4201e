"""Savers of all kinds: with files of an emulated server of several generations, and with other savers underneath."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from uuid import uuid4

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from langchain_mix import MixEmulator, MixSaver

GENERATIONS = ["0.5", "0.7", "0.8"]
APIS = ["0.8", *(pytest.param(api, marks=pytest.mark.exhaustive) for api in ("0.5", "0.7"))]
"""The store reads and writes files of all generations in the same way: by default those of one."""

NOWHERE = "http://127.0.0.1:9"
"""A server that is not there: with another saver underneath nothing is requested from it."""

POSTGRES = os.environ.get("LANGCHAIN_MIX_POSTGRES_URL", "")
"""A PostgreSQL server for tests, started by `.ci/run` where PostgreSQL is installed."""

WITHOUT_POSTGRES = pytest.mark.skipif(not POSTGRES, reason="LANGCHAIN_MIX_POSTGRES_URL names no database")
SAVERS = ["memory", "sqlite", pytest.param("postgres", marks=WITHOUT_POSTGRES)]
KINDS = [*APIS, *SAVERS]


@pytest.fixture(params=APIS)
def server(request):
    with MixEmulator(api=request.param) as server:
        yield server


@pytest.fixture
def saver(server):
    with MixSaver(server.url) as saver:
        yield saver


@pytest.fixture(params=KINDS)
def kind(request):
    """A generation of the server, or what saver is underneath."""
    return request.param


@pytest.fixture
def sync_saver(kind, tmp_path):
    """A saver for synchronous code, as context manager."""
    return lambda: _sync_saver(kind, tmp_path)


@pytest.fixture
def async_saver(kind, tmp_path):
    """A saver for asynchronous code, as context manager."""
    return lambda: _async_saver(kind, tmp_path)


@pytest.fixture
def in_threads():
    """The synchronous methods of a saver, where asynchronous ones are asked for."""
    return InThreads


@contextmanager
def _sync_saver(kind, path):
    with ExitStack() as stack:
        url, storage = NOWHERE, None
        if kind in GENERATIONS:
            url = stack.enter_context(MixEmulator(api=kind)).url
        elif kind == "memory":
            storage = InMemorySaver()
        elif kind == "sqlite":
            storage = stack.enter_context(SqliteSaver.from_conn_string(str(path / "sync.sqlite")))
        elif kind == "postgres":
            from langgraph.checkpoint.postgres import PostgresSaver

            storage = stack.enter_context(PostgresSaver.from_conn_string(stack.enter_context(_database())))
            storage.setup()
        yield stack.enter_context(MixSaver(url, storage=storage))


@asynccontextmanager
async def _async_saver(kind, path):
    async with AsyncExitStack() as stack:
        url, storage = NOWHERE, None
        if kind in GENERATIONS:
            url = (await stack.enter_async_context(MixEmulator(api=kind))).url
        elif kind == "memory":
            storage = InMemorySaver()
        elif kind == "sqlite":
            storage = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(path / "async.sqlite")))
        elif kind == "postgres":
            from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

            database = stack.enter_context(_database())
            storage = await stack.enter_async_context(AsyncPostgresSaver.from_conn_string(database))
            await storage.setup()
        yield await stack.enter_async_context(MixSaver(url, storage=storage))


@contextmanager
def _database():
    """A database of this test's own: others run beside it."""
    import psycopg

    name = f"test_{uuid4().hex}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        yield f"{POSTGRES.rpartition('/')[0]}/{name}"
        connection.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))


class InThreads(BaseCheckpointSaver):
    """The synchronous methods of a saver, where asynchronous ones are asked for."""

    def __init__(self, saver):
        super().__init__(serde=saver.serde)
        self.saver = saver

    async def aget_tuple(self, config):
        return await asyncio.to_thread(self.saver.get_tuple, config)

    async def alist(self, config, **given):
        for one in await asyncio.to_thread(lambda: list(self.saver.list(config, **given))):
            yield one

    async def aput(self, *given):
        return await asyncio.to_thread(self.saver.put, *given)

    async def aput_writes(self, *given, **named):
        await asyncio.to_thread(self.saver.put_writes, *given, **named)

    async def adelete_thread(self, *given):
        await asyncio.to_thread(self.saver.delete_thread, *given)

    async def adelete_for_runs(self, *given):
        await asyncio.to_thread(self.saver.delete_for_runs, *given)

    async def acopy_thread(self, *given):
        await asyncio.to_thread(self.saver.copy_thread, *given)

    async def aprune(self, *given, **named):
        await asyncio.to_thread(lambda: self.saver.prune(*given, **named))
