"""Many callers, one index."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from langchain_mix import MixRetriever
from langchain_mix.client import Mix
from langchain_mix.retrievers import retriever as retriever_module
from langchain_mix.retrievers import session_index


@pytest.fixture
def scene(emulator, store):
    server = emulator("0.8")
    store(
        server,
        {f"report{n:02}.txt": f"Report {n}: the bridge number {n} was painted.".encode() for n in range(20)},
    )
    with Mix(server_url=server.url) as mix:
        yield server, mix, mix.sessions.create(title="crowd").id


def asked(server, before):
    paths = [r.path for r in list(server.requests)[before:]]
    return sum(p.endswith("/files") for p in paths), sum(not p.endswith("/files") for p in paths)


def test_threads_share_downloads(scene):
    server, mix, session_id = scene
    retriever = MixRetriever(mix=mix, session_id=session_id, verify="listing")
    before = len(server.requests)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: retriever.invoke(f"bridge number {n}", k=1), range(20)))
    assert [a[0].metadata["file_name"] for a in answers] == [f"report{n:02}.txt" for n in range(20)]
    listings, downloads = asked(server, before)
    assert downloads == 20
    assert listings <= 20


async def test_tasks_share_downloads(scene):
    server, mix, session_id = scene
    retriever = MixRetriever(mix=mix, session_id=session_id, verify="listing")
    before = len(server.requests)
    answers = await asyncio.gather(*(retriever.ainvoke(f"bridge number {n}", k=1) for n in range(20)))
    await mix.aclose()
    assert [a[0].metadata["file_name"] for a in answers] == [f"report{n:02}.txt" for n in range(20)]
    listings, downloads = asked(server, before)
    assert downloads == 20
    assert listings <= 3  # The first, and one that all share who came while it ran.


def test_queries_stay_right_while_files_change(scene):
    _, mix, session_id = scene
    retriever = MixRetriever(mix=mix, session_id=session_id, k=50, include="report0*")
    retriever.refresh()
    stop, wrong = threading.Event(), []

    def ask():
        while not stop.is_set():
            for document in retriever.invoke("bridge"):
                if "bridge" not in document.page_content:
                    wrong.append(document)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10):
        name = f"report{number:02}.txt"
        mix.files.upload_session_file(id=session_id, file=b"The bridge is gone.", file_name=name)
        if number % 3 == 0:
            mix.files.delete_session_file(id=session_id, filename=name)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    texts = {d.page_content for d in retriever.invoke("bridge")}
    assert texts == {"The bridge is gone."}


def test_a_query_after_an_upload_sees_it_with_any_refresh(scene):
    """A refresh that began before the upload does not count for who comes after it."""
    _, mix, session_id = scene
    retriever = MixRetriever(mix=mix, session_id=session_id)
    retriever.refresh()
    with ThreadPoolExecutor(4) as pool:
        for number in range(15):
            others = [pool.submit(retriever.refresh) for _ in range(3)]
            name = f"fresh{number}.txt"
            mix.files.upload_session_file(id=session_id, file=f"walrus{number}x".encode(), file_name=name)
            assert [d.metadata["file_name"] for d in retriever.invoke(f"walrus{number}x", k=1)] == [name]
            for other in others:
                other.result()


async def test_a_synchronous_call_on_the_loop_does_not_wait_for_a_task_of_it(scene):
    _, mix, session_id = scene
    here, go_on = threading.Event(), threading.Event()
    retriever = MixRetriever(mix=mix, session_id=session_id)
    original = retriever_module.download_all_async

    async def slow(*args, **options):
        here.set()
        await asyncio.to_thread(go_on.wait)
        async for item in original(*args, **options):
            yield item

    retriever_module.download_all_async = slow
    try:
        task = asyncio.create_task(retriever.ainvoke("bridge number 3", k=1))
        await asyncio.to_thread(here.wait)
        found = retriever.invoke("bridge number 3", k=1)  # Blocks the loop; must not need it.
        assert found[0].metadata["file_name"] == "report03.txt"
        go_on.set()
        assert (await task)[0].metadata["file_name"] == "report03.txt"
    finally:
        go_on.set()
        retriever_module.download_all_async = original
        await mix.aclose()


async def test_a_cancelled_refresh_leaves_the_others_going(scene):
    _, mix, session_id = scene
    retriever = MixRetriever(mix=mix, session_id=session_id)
    first = asyncio.create_task(retriever.ainvoke("bridge number 3", k=1))
    others = [asyncio.create_task(retriever.ainvoke(f"bridge number {n}", k=1)) for n in range(3)]
    await asyncio.to_thread(lambda: None)
    first.cancel()
    answers = await asyncio.gather(*others)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert [a[0].metadata["file_name"] for a in answers] == ["report00.txt", "report01.txt", "report02.txt"]
    await mix.aclose()


async def test_a_waiting_task_can_be_cancelled(scene):
    _, mix, session_id = scene
    retriever = MixRetriever(mix=mix, session_id=session_id)
    first = asyncio.create_task(retriever.ainvoke("bridge number 3", k=1))
    second = asyncio.create_task(retriever.ainvoke("bridge number 4", k=1))
    await asyncio.to_thread(lambda: None)
    second.cancel()
    assert (await first)[0].metadata["file_name"] == "report03.txt"
    assert (await retriever.ainvoke("bridge number 5", k=1))[0].metadata["file_name"] == "report05.txt"
    await mix.aclose()


def test_one_retriever_serves_several_event_loops(scene):
    _, mix, session_id = scene
    retriever = MixRetriever(mix=mix, session_id=session_id)

    async def ask(number):
        found = await retriever.ainvoke(f"bridge number {number}", k=1)
        await mix.aclose()
        return found[0].metadata["file_name"]

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda n: asyncio.run(ask(n)), range(8)))
    assert names == [f"report{n:02}.txt" for n in range(8)]


async def test_reading_does_not_hold_up_the_loop(scene, monkeypatch):
    """A file is read in a thread: this one is read once the loop has gone on."""
    _, mix, session_id = scene
    began, went_on = threading.Event(), threading.Event()
    read = session_index.index_file

    def waiting(*args):
        began.set()
        assert went_on.wait(10)
        return read(*args)

    monkeypatch.setattr(session_index, "index_file", waiting)
    asked = asyncio.create_task(MixRetriever(mix=mix, session_id=session_id).ainvoke("bridge number 3", k=1))
    await asyncio.to_thread(began.wait)
    went_on.set()
    assert (await asked)[0].metadata["file_name"] == "report03.txt"
    await mix.aclose()
