"""How the files of an answer are verified: side by side, and without their bytes where the server can say so."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import contextmanager

import pytest

from langchain_mix import MixRetriever
from langchain_mix.client import Mix
from langchain_mix.emulator.faults import HttpError
from langchain_mix.protocol.call import Reply
from langchain_mix.retrievers import Limits, Selection
from langchain_mix.retrievers.downloads import version_of

LONG_AGO = 1_640_995_200.0
REFUNDS = "Refunds are paid within ten days."
SAME_SIZE = "Refunds are paid within one week."


class Scene:
    """A session whose own directory has files in the place of uploads: the server sends when those changed."""

    def __init__(self, server, mix):
        self.server, self.mix = server, mix
        self.session_id = mix.sessions.create(title="files").id

    def put(self, name, text):
        self.mix.files.upload_session_file(id=self.session_id, file=text.encode(), file_name=name)

    def private(self, name, text, modified=LONG_AGO):
        path = self.server.data_dir / "sessions" / self.session_id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (modified, modified))
        return path

    def retriever(self, **options):
        return MixRetriever(mix=self.mix, session_id=self.session_id, **options)

    @contextmanager
    def counted(self):
        """Requests for files, in order: the name, and whether it is for a newer one only."""
        before, told = len(self.server.requests), []
        yield told
        for record in list(self.server.requests)[before:]:
            if not record.path.endswith("/files"):
                told.append((record.path.rsplit("/", 1)[1], "if-modified-since" in record.headers))


@pytest.fixture(params=["0.5", "0.8"])
def api(request):
    return request.param


@pytest.fixture
def scene(emulator, api):
    server = emulator(api)
    with Mix(server_url=server.url) as mix:
        scene = Scene(server, mix)
        scene.put("refunds.md", REFUNDS)
        yield scene


@pytest.fixture
def ask(ask):
    """Returns the texts of what is found, in one of both ways."""
    return lambda retriever, query: [document.page_content for document in ask(retriever, query)]


def test_an_answer_without_a_body_verifies_a_file(scene, ask):
    scene.private("refunds.md", REFUNDS)
    retriever = scene.retriever()
    assert ask(retriever, "refunds") == [REFUNDS]
    for _ in range(2):
        with scene.counted() as told:
            assert ask(retriever, "refunds") == [REFUNDS]
        assert told == [("refunds.md", True)]


def test_uploads_are_verified_by_their_bytes(scene, ask):
    """The server does not send when they changed."""
    retriever = scene.retriever()
    ask(retriever, "refunds")
    with scene.counted() as told:
        assert ask(retriever, "refunds") == [REFUNDS]
    assert told == [("refunds.md", False)]


def test_a_newer_file_comes_with_its_bytes(scene, ask):
    scene.private("refunds.md", REFUNDS)
    retriever = scene.retriever()
    ask(retriever, "refunds")
    scene.private("refunds.md", SAME_SIZE, LONG_AGO + 1)
    with scene.counted() as told:
        assert ask(retriever, "refunds") == [SAME_SIZE]
    assert told == [("refunds.md", True)]
    with scene.counted() as told:
        assert ask(retriever, "refunds") == [SAME_SIZE]
    assert told == [("refunds.md", True)]


def test_an_older_file_in_its_place_is_noticed(scene, ask):
    """As after `mv`: the server says that it is not newer."""
    scene.private("refunds.md", REFUNDS)
    retriever = scene.retriever()
    ask(retriever, "refunds")
    scene.private("refunds.md", SAME_SIZE, LONG_AGO - 100)
    with scene.counted() as told:
        assert ask(retriever, "refunds") == [SAME_SIZE]
    assert told == [("refunds.md", True), ("refunds.md", False)]


def test_a_file_that_another_has_hidden_is_noticed(scene, ask):
    path = scene.private("refunds.md", SAME_SIZE)
    retriever = scene.retriever()
    assert ask(retriever, "refunds") == [SAME_SIZE]
    path.unlink()
    assert ask(retriever, "refunds") == [REFUNDS]


def test_a_file_overwritten_within_the_same_second_is_noticed(scene, ask):
    now = float(int(time.time()))
    scene.private("refunds.md", REFUNDS, now)
    retriever = scene.retriever()
    ask(retriever, "refunds")
    scene.private("refunds.md", SAME_SIZE, now)
    with scene.counted() as told:
        assert ask(retriever, "refunds") == [SAME_SIZE]
    assert told == [("refunds.md", False)]


@pytest.mark.parametrize("verify", ["checksum", 0])
def test_all_files_are_verified_without_their_bytes(scene, ask, verify):
    scene.put("shipping.md", "Parcels leave on Monday.")
    scene.private("refunds.md", REFUNDS)
    scene.private("shipping.md", "Parcels leave on Monday.")
    retriever = scene.retriever(verify=verify)
    ask(retriever, "refunds")
    with scene.counted() as told:
        assert ask(retriever, "refunds") == [REFUNDS]
    assert sorted(told) == [("refunds.md", True), ("shipping.md", True)]


@pytest.mark.parametrize(("parallel", "together"), [(8, 4), (2, 2)])
def test_files_of_an_answer_are_verified_side_by_side(scene, ask, monkeypatch, parallel, together):
    """Each waits at the server until as many as may run at a time are there."""
    for number in range(4):
        scene.put(f"apple{number}.txt", f"apple number {number}")
    before = download_threads()
    retriever = scene.retriever(limits=Limits(parallel_downloads=parallel))
    assert len(ask(retriever, "apple")) == 4
    download, download_async = Mix.download, Mix.download_async
    for _ in range(3):
        gate = Gate(together)
        monkeypatch.setattr(Mix, "download", gate.sync(download))
        monkeypatch.setattr(Mix, "download_async", gate.asynchronous(download_async))
        assert len(ask(retriever, "apple")) == 4
        assert gate.most == together
    assert len(download_threads() - before) <= parallel


def download_threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool-langchain-mix_")}


def test_the_threads_of_an_answer_download_the_next_one_too(scene, monkeypatch):
    for number in range(4):
        scene.put(f"apple{number}.txt", f"apple number {number}")
    retriever, used = scene.retriever(), list[threading.Thread]()
    retriever.invoke("apple")
    download = Mix.download
    monkeypatch.setattr(Mix, "download", lambda *args: (used.append(threading.current_thread()), download(*args))[1])
    retriever.invoke("apple")
    first = set(used)
    retriever.invoke("apple")
    assert len(first) > 1
    assert all(thread.is_alive() for thread in used)


def test_a_file_that_was_refused_once_is_back_in_the_next_answer(emulator, ask):
    """Though the listing has not changed."""
    server = emulator("0.8")
    with Mix(server_url=server.url) as mix:
        scene = Scene(server, mix)
        scene.put("refunds.md", REFUNDS)
        retriever = scene.retriever()
        for _ in range(2):
            assert ask(retriever, "refunds") == [REFUNDS]
        server.faults.add(HttpError("GET .*/files/refunds.md", status=404, count=1))
        assert ask(retriever, "refunds") == []
        assert ask(retriever, "refunds") == [REFUNDS]


@pytest.mark.parametrize("kind", ["predicate", "names"])
def test_a_selection_that_changes_counts_though_the_listing_has_not(scene, ask, kind):
    meant = {"refunds.md"}
    chosen = {
        "predicate": Selection(predicate=lambda file: file.name in meant),
        "names": Selection(uploaded_by_me=meant),
    }
    retriever = scene.retriever(selection=chosen[kind])
    for _ in range(2):
        assert ask(retriever, "refunds") == [REFUNDS]
    meant.clear()
    assert ask(retriever, "refunds") == []


class Gate:
    """Lets downloads begin once so many of them are under way, and counts the most there were at a time."""

    def __init__(self, together):
        self.together, self.now, self.most = together, 0, 0
        self.changed = threading.Condition()

    def enter(self):
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()

    def leave(self):
        with self.changed:
            self.now -= 1

    def is_open(self):
        return self.most >= self.together

    def sync(self, download):
        def wrapped(*args):
            self.enter()
            try:
                with self.changed:
                    assert self.changed.wait_for(self.is_open, timeout=30)
                return download(*args)
            finally:
                self.leave()

        return wrapped

    def asynchronous(self, download):
        async def wrapped(*args):
            self.enter()
            try:
                await asyncio.to_thread(self.wait)
                return await download(*args)
            finally:
                self.leave()

        return wrapped

    def wait(self):
        with self.changed:
            assert self.changed.wait_for(self.is_open, timeout=30)


MODIFIED = "Sat, 01 Jan 2022 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"last-modified": MODIFIED, "date": "Sat, 01 Jan 2022 00:00:03 GMT"}, MODIFIED),
        ({"last-modified": MODIFIED, "date": "Sat, 01 Jan 2022 00:00:02 GMT"}, ""),
        ({"last-modified": MODIFIED, "date": "Fri, 31 Dec 2021 00:00:00 GMT"}, ""),
        ({"last-modified": MODIFIED}, ""),
        ({"date": "Sat, 01 Jan 2022 00:00:03 GMT"}, ""),
        ({"last-modified": "yesterday", "date": "today"}, ""),
        ({"last-modified": "Sat, 01 Jan 2022 00:00:00 -0000", "date": "Sat, 01 Jan 2022 00:00:03 GMT"}, ""),
    ],
)
def test_only_a_time_that_is_old_enough_recognises_a_version(headers, version):
    assert version_of(Reply(200, headers, b"")) == version
