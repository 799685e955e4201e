"""An index that outlives its process."""

from __future__ import annotations

import itertools
import os
import signal

import pytest

from langchain_mix import MixRetriever
from langchain_mix.client import Mix

TEXT = "The heron waits by the water."


@pytest.fixture
def scene(emulator, store):
    server = emulator("0.8")
    store(server, {"heron.txt": TEXT.encode(), "rest.txt": b"Nothing else.", "noise.bin": b"\x00\x01" * 99})
    with Mix(server_url=server.url) as mix:
        yield server, mix, mix.sessions.create(title="cache").id


def downloads(server, before):
    return [r.path.rsplit("/", 1)[1] for r in list(server.requests)[before:] if not r.path.endswith("/files")]


def test_another_retriever_downloads_nothing(scene, tmp_path):
    server, mix, session_id = scene
    first = MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path)
    (found,) = first.invoke("heron")
    before = len(server.requests)
    second = MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path, verify="listing")
    assert second.invoke("heron") == [found]
    assert downloads(server, before) == []
    assert [s.name for s in second.report.skipped] == ["noise.bin"]


def test_answers_are_verified_as_ever(scene, tmp_path):
    server, mix, session_id = scene
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).invoke("heron")
    mix.files.upload_session_file(id=session_id, file=TEXT.replace("water", "stone").encode(), file_name="heron.txt")
    before = len(server.requests)
    (found,) = MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).invoke("heron")
    assert "stone" in found.page_content
    assert downloads(server, before) == ["heron.txt"]


def test_seconds_hold_across_processes(scene, tmp_path):
    server, mix, session_id = scene
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path, verify=3600).invoke("heron")
    before = len(server.requests)
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path, verify=3600).invoke("heron")
    assert downloads(server, before) == []


@pytest.mark.parametrize(
    "options", [{"chunk_size": 500}, {"images": True}, {"chunk_overlap": 10}, {"stemming": "german"}]
)
def test_what_was_read_in_another_way_is_read_again(scene, tmp_path, options):
    server, mix, session_id = scene
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).invoke("heron")
    before = len(server.requests)
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path, **options).invoke("heron")
    assert len(downloads(server, before)) == 3


def test_a_cache_is_searched_with_the_stemming_it_was_written_with(scene, tmp_path):
    server, mix, session_id = scene
    mix.files.upload_session_file(id=session_id, file="Die alten Häuser am Fluss.".encode(), file_name="fluss.txt")
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path, stemming="german").refresh()
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).refresh()
    options = {"mix": mix, "session_id": session_id, "cache_dir": tmp_path, "verify": "listing"}
    before = len(server.requests)
    (found,) = MixRetriever(**options, stemming="german").invoke("altes Haus")
    assert found.metadata["file_name"] == "fluss.txt"
    assert MixRetriever(**options).invoke("altes Haus") == []
    assert downloads(server, before) == []


def test_patterns_share_what_was_read(scene, tmp_path):
    server, mix, session_id = scene
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).refresh()
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path, include="rest.txt").refresh()
    before = len(server.requests)
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).refresh()
    assert downloads(server, before) == []


def test_files_that_went_are_not_kept(scene, tmp_path):
    _, mix, session_id = scene
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).refresh()
    mix.files.delete_session_file(id=session_id, filename="heron.txt")
    retriever = MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path)
    assert retriever.invoke("heron") == []
    (path,) = tmp_path.glob("*.sqlite")
    assert b"heron.txt" not in path.read_bytes() or retriever.report.read == ["rest.txt"]


def test_a_damaged_cache_is_built_again_with_a_note(scene, tmp_path):
    server, mix, session_id = scene
    (found,) = MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).invoke("heron")
    (path,) = tmp_path.glob("*.sqlite")
    path.write_bytes(b"damaged" * 999)
    retriever = MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path)
    before = len(server.requests)
    assert retriever.invoke("heron") == [found]
    assert len(downloads(server, before)) == 3
    assert any("damaged" in note for note in retriever.report.notes)
    before = len(server.requests)
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path).refresh()
    assert downloads(server, before) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_another_process_finds_what_was_kept(scene, tmp_path, forked):
    server, mix, session_id = scene
    MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path, verify="listing").refresh()
    before = len(server.requests)

    def search():
        retriever = MixRetriever(server_url=server.url, session_id=session_id, cache_dir=tmp_path, verify="listing")
        with retriever.client:
            return [document.page_content for document in retriever.invoke("heron")]

    assert forked(search).result() == [TEXT]
    assert downloads(server, before) == []


def test_without_a_directory_nothing_is_written(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, mix, session_id = scene
    MixRetriever(mix=mix, session_id=session_id).invoke("heron")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("rounds", [1, 4])
def test_a_process_that_is_killed_while_it_writes_harms_nothing(scene, store, tmp_path, forked, rounds):
    """What it had kept is whole; what it had not is read again."""
    server, mix, session_id = scene
    store(server, {f"more{n:02}.txt": f"heron {n} {'waits by the water. ' * 200}".encode() for n in range(60)})
    reading, writing = os.pipe()

    def write():
        retriever = MixRetriever(server_url=server.url, session_id=session_id, cache_dir=tmp_path)
        retriever.refresh()
        index = retriever._index(None)
        for number in itertools.count():
            os.write(writing, b".")
            if number % 2:
                index._cache.save_files([], list(index._files))
            else:
                index._cache.save_files(index._files.values(), [])

    child = forked(write)
    os.close(writing)
    with os.fdopen(reading, "rb") as written:
        assert written.read(rounds + 1) == b"." * (rounds + 1)
        os.kill(child.pid, signal.SIGKILL)
    retriever = MixRetriever(mix=mix, session_id=session_id, cache_dir=tmp_path, k=3)
    assert [d.metadata["file_name"] for d in retriever.invoke("heron 42", k=1)] == ["more42.txt"]
    assert len(retriever.report.read) == 62
    assert retriever.report.notes == []
