"""The store on a real server: threads, tasks and processes at once, and a server that fails."""

from __future__ import annotations

import asyncio
import subprocess
import threading

import pytest

from langchain_mix import Mix, MixEmulator
from langchain_mix.checkpoint.files import TITLE, SessionFiles
from langchain_mix.checkpoint.records import CheckpointRecord, Stored, Value, Write, WritesRecord
from langchain_mix.checkpoint.runtime import run, run_async
from langchain_mix.checkpoint.state import StoreSettings
from langchain_mix.checkpoint.store import ThreadStore
from langchain_mix.emulator import CloseConnection, Gate, HttpError, SlowReply
from langchain_mix.errors import MixError, MixNotFoundError, MixUsageError
from tests.new_process import python

UPLOAD = "POST .*/files/upload"


def checkpoint(number, text=b"hello", ns=""):
    return CheckpointRecord(ns, f"{number:08d}", None, Value("m", b"s"), Value("m", b"m"), {"x": Value("m", text)})


def write(number, task="task"):
    return WritesRecord("", f"{number:08d}", task, "", (Write(0, "x", Value("m", b"w")),))


@pytest.fixture
def mix(server):
    with Mix(server_url=server.url) as mix:
        yield mix


def store_of(mix, **settings):
    return ThreadStore(session_files=SessionFiles(mix.server_api), settings=StoreSettings(**settings))


LIVES = pytest.mark.parametrize(
    "server", ["0.5", "0.8", pytest.param("0.7", marks=pytest.mark.exhaustive)], indirect=True
)
"""What all a life touches runs on old and new servers, the rest on one: see `conftest.py`."""

LENGTHS = pytest.mark.parametrize(
    ("count", "segment_entries"), [(12, 8), pytest.param(70, 64, marks=pytest.mark.exhaustive)]
)
"""A life fills more than one segment: small ones, or with `-m exhaustive` those of the defaults."""


def read(server):
    """What somebody finds who remembers nothing."""
    with Mix(server_url=server.url) as mix:
        return run(mix, store_of(mix).entries("t"))


@LIVES
@LENGTHS
def test_a_life_in_threads(server, mix, count, segment_entries):
    store = store_of(mix, segment_entries=segment_entries)
    assert run(mix, store.find("t", "", None)) is None
    for n in range(count):
        run(mix, store.append("t", [checkpoint(n)]))
        run(mix, store.append("t", [write(n)]))
    other = store_of(mix)
    last = count - 1
    assert run(mix, other.find("t", "", None)) == Stored(checkpoint(last), (write(last),))
    assert run(mix, other.find("t", "", "00000003")) == Stored(checkpoint(3), (write(3),))
    page, _ = run(mix, other.page("t", ns=None, limit=3))
    assert [one.record for one in page] == [checkpoint(n) for n in (last, last - 1, last - 2)]
    assert run(mix, other.thread_ids()) == ["t"]
    assert run(mix, other.report("t")).segments > 1
    assert run(mix, other.rewrite("t", lambda entries: entries[-10:])) == ()
    assert len(run(mix, other.entries("t"))) == 10
    assert run(mix, store.find("t", "", None)) == Stored(checkpoint(last), (write(last),))
    assert run(mix, store.delete("t")).existed
    assert run(mix, store.find("t", "", None)) is None
    assert len(mix.files.list_session_files(id=store._documents.session_files.session_id)) < 8
    assert [session.title for session in mix.sessions.list()] == [TITLE]


@LIVES
@LENGTHS
async def test_a_life_in_tasks(server, mix, count, segment_entries):
    async with mix:
        store = store_of(mix, segment_entries=segment_entries)
        assert await run_async(mix, store.find("t", "", None)) is None
        for n in range(count):
            await run_async(mix, store.append("t", [checkpoint(n), write(n)]))
        other = store_of(mix)
        assert await run_async(mix, other.find("t", "", None)) == Stored(checkpoint(count - 1), (write(count - 1),))
        assert len(await run_async(mix, other.entries("t"))) == 2 * count
        assert (await run_async(mix, other.delete("t"))).existed
        assert await run_async(mix, store.find("t", "", None)) is None


def test_threads_share_uploads(server, mix):
    store = store_of(mix)
    run(mix, store.append("t", [checkpoint(0)]))
    gate = Gate()
    server.faults.add(SlowReply(UPLOAD, gate=gate))
    workers = [threading.Thread(target=run, args=(mix, store.append("t", [checkpoint(n)]))) for n in range(1, 21)]
    workers[0].start()
    assert gate.reached.wait(10)
    before = len(server.requests)
    for worker in workers[1:]:
        worker.start()
    while store._lock._queues and len(next(iter(store._lock._queues.values()))) < 20:
        threading.Event().wait(0.001)
    gate.open()
    for worker in workers:
        worker.join(20)
    assert len(server.requests) - before <= 6, "one upload and one look for the first, and the same for all others"
    assert [int(entry.checkpoint_id) for entry in read(server)][0] == 0
    assert {int(entry.checkpoint_id) for entry in read(server)} == set(range(21))


async def test_tasks_and_threads_and_loops_lose_nothing(server, mix):
    store = store_of(mix)

    async def some(start):
        async with Mix(server_url=server.url) as own:
            await asyncio.gather(*(run_async(own, store.append("t", [checkpoint(start + n)])) for n in range(20)))

    await asyncio.gather(
        some(0),
        asyncio.to_thread(asyncio.run, some(100)),
        *(asyncio.to_thread(run, mix, store.append("t", [checkpoint(200 + n)])) for n in range(10)),
    )
    expected = {*range(20), *range(100, 120), *range(200, 210)}
    assert {int(entry.checkpoint_id) for entry in await asyncio.to_thread(read, server)} == expected
    assert store._lock._queues == {}


WRITER = """
import sys
from langchain_mix import Mix
from langchain_mix.checkpoint.files import SessionFiles
from langchain_mix.checkpoint.runtime import run
from langchain_mix.checkpoint.records import CheckpointRecord, Value
from langchain_mix.checkpoint.state import StoreSettings
from langchain_mix.checkpoint.store import ThreadStore
url, start, count = sys.argv[1], *map(int, sys.argv[2:])
with Mix(server_url=url) as mix:
    store = ThreadStore(session_files=SessionFiles(mix.server_api), settings=StoreSettings(attempts=60))
    for n in range(start, start + count):
        value = Value("m", b"s")
        run(mix, store.append("t", [CheckpointRecord("", f"{n:08d}", None, value, value, {"x": Value("m", b"hello")})]))
        assert run(mix, store.find("t", "", f"{n:08d}")) is not None
"""


@pytest.mark.parametrize("server", ["0.5"], indirect=True)  # Of 0.8, see `test_equivalence.py`.
@pytest.mark.parametrize("count", [6, pytest.param(25, marks=pytest.mark.exhaustive)])
def test_processes_lose_nothing(server, mix, count):
    run(mix, store_of(mix).append("t", [checkpoint(0)]))
    starts = (100, 200, 300)
    writers = [subprocess.Popen(python(WRITER, server.url, str(start), str(count))) for start in starts]
    assert [writer.wait(90) for writer in writers] == [0, 0, 0]
    stored = [int(entry.checkpoint_id) for entry in read(server)]
    assert sorted(stored) == [0, *(start + n for start in starts for n in range(count))]


@pytest.mark.parametrize("fault", [HttpError, CloseConnection])
@pytest.mark.parametrize("before", [True, False])
def test_a_write_that_fails_is_made_again_and_counts_once(server, mix, fault, before):
    store = store_of(mix)
    run(mix, store.append("t", [checkpoint(0)]))
    server.faults.add(fault(UPLOAD, before=before))
    run(mix, store.append("t", [checkpoint(1)]))
    run(mix, store.append("t", [checkpoint(2)]))
    assert read(server) == [checkpoint(0), checkpoint(1), checkpoint(2)]


@pytest.mark.parametrize("before", [True, False])
def test_a_write_that_keeps_failing_is_reported(server, mix, before):
    store = store_of(mix, retries=0)
    run(mix, store.append("t", [checkpoint(0)]))
    server.faults.add(HttpError(UPLOAD, before=before))
    with pytest.raises(MixError) as raised:
        run(mix, store.append("t", [checkpoint(1)]))
    assert raised.value.acted == "unknown"
    run(mix, store.append("t", [checkpoint(2)]))
    assert [entry for entry in read(server) if entry != checkpoint(1)] == [checkpoint(0), checkpoint(2)]


async def test_a_cancelled_write_leaves_all_or_nothing_and_stops_nobody(server, mix):
    async with mix:
        store = store_of(mix)
        await run_async(mix, store.append("t", [checkpoint(0)]))
        gate = Gate()
        server.faults.add(SlowReply(UPLOAD, gate=gate))
        first = asyncio.ensure_future(run_async(mix, store.append("t", [checkpoint(1), write(1)])))
        assert await asyncio.to_thread(gate.reached.wait, 10)
        second = asyncio.ensure_future(run_async(mix, store.append("t", [checkpoint(2)])))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.wait_for(second, 10)
        gate.open()
        assert [one.checkpoint_id for one in await asyncio.to_thread(read, server)] in (
            ["00000000", "00000002"],
            ["00000000", "00000001", "00000001", "00000002"],
        )


async def test_a_synchronous_write_says_when_it_would_never_end(server, mix):
    async with mix:
        store = store_of(mix)
        gate = Gate()
        server.faults.add(SlowReply(UPLOAD, gate=gate))
        first = asyncio.ensure_future(run_async(mix, store.append("t", [checkpoint(1)])))
        assert await asyncio.to_thread(gate.reached.wait, 10)
        with pytest.raises(MixUsageError, match="event loop"):
            run(mix, store.append("t", [checkpoint(2)]))
        run(mix, store.append("another thread", [checkpoint(3)]))
        gate.open()
        await first
        run(mix, store.append("t", [checkpoint(2)]))
        assert await run_async(mix, store.entries("t")) == [checkpoint(1), checkpoint(2)]


def test_the_session_may_be_deleted(server, mix):
    store = store_of(mix)
    run(mix, store.append("t", [checkpoint(0)]))
    mix.sessions.delete(id=store._documents.session_files.session_id)
    assert run(mix, store.find("t", "", None)) == Stored(checkpoint(0))
    run(mix, store.append("t", [checkpoint(1)]))
    assert read(server) == [checkpoint(0), checkpoint(1)]


def test_a_session_that_was_given_must_be_there(server, mix):
    session = mix.sessions.create(title="mine")
    store = ThreadStore(session_files=SessionFiles(mix.server_api, session.id))
    run(mix, store.append("t", [checkpoint(0)]))
    mix.sessions.delete(id=session.id)
    for steps in (store.find("t", "", None), store.append("t", [checkpoint(1)]), store.find("new", "", None)):
        with pytest.raises(MixNotFoundError):
            run(mix, steps)


def test_everything_is_there_after_a_restart():
    with MixEmulator(api="0.8") as server, Mix(server_url=server.url) as mix:
        store = store_of(mix)
        run(mix, store.append("t", [checkpoint(0)]))
        server.restart()
        run(mix, store.append("t", [checkpoint(1)]))
        assert read(server) == [checkpoint(0), checkpoint(1)]
