"""Uploads to emulated servers of three generations."""

from __future__ import annotations

import asyncio
import threading

import pytest

from langchain_mix.client import Mix
from langchain_mix.emulator.faults import CloseConnection, HttpError
from langchain_mix.errors import MixConfigurationError, MixInputError, MixNotFoundError, MixResponseError
from langchain_mix.retrievers import MixUploadError, aupload, upload
from langchain_mix.retrievers.files import Selection
from langchain_mix.retrievers.loaders import MixFileLoader
from langchain_mix.retrievers.parsing.parsed import Limits


@pytest.fixture(params=["0.5", "0.7", "0.8"])
def api(request):
    return request.param


@pytest.fixture
def server(emulator, api):
    return emulator(api)


@pytest.fixture
def session(server):
    with Mix(server_url=server.url) as mix:
        return mix.sessions.create(title="files").id


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        path = tmp_path / "docs" / f"part{number % 2}" / f"file {number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# File {number}\n")
    (tmp_path / "docs" / ".hidden").write_text("x")
    return tmp_path / "docs"


async def uploaded(way, paths, **options):
    options.setdefault("progress", False)
    return upload(paths, **options) if way == "sync" else await aupload(paths, **options)


def on_server(server, session):
    with Mix(server_url=server.url) as mix:
        return {info.name: info.size for info in mix.files.list_session_files(id=session)}


def posts(server):
    return [request for request in server.requests if request.method == "POST" and "upload" in request.path]


async def test_a_folder_is_uploaded_and_names_are_reported(server, session, folder, way):
    report = await uploaded(way, folder, session_id=session, server_url=server.url)
    assert [path.name for path in report.stored] == [f"file {n}.md" for n in (0, 2, 4, 1, 3, 5)]
    assert set(report.stored.values()) == {f"file_{n}.md" for n in range(6)}
    assert report.renamed == report.stored
    assert [path.name for path in report.left_out] == [".hidden"]
    assert set(on_server(server, session)) == set(report.stored.values())
    mine = MixFileLoader(session, server_url=server.url, selection=Selection(uploaded_by_me=True), limits=Limits())
    with Mix(server_url=server.url) as mix:
        mix.files.upload_session_file(id=session, file=b"# other", file_name="other.md")
    assert len(mine.load()) == 6


async def test_a_name_that_is_kept_is_not_reported_as_changed(server, session, tmp_path, way):
    (tmp_path / "plain.md").write_text("x")
    report = await uploaded(way, tmp_path / "plain.md", session_id=session, server_url=server.url)
    assert (list(report.stored.values()), report.renamed) == (["plain.md"], {})


async def test_files_on_the_server_are_replaced_only_on_request(server, session, tmp_path, way):
    (tmp_path / "a b.md").write_text("new and longer")
    with Mix(server_url=server.url) as mix:
        mix.files.upload_session_file(id=session, file=b"old", file_name="a_b.md")
    server.forget_requests()
    with pytest.raises(MixInputError, match=r"'a_b\.md'"):
        await uploaded(way, tmp_path, session_id=session, server_url=server.url)
    assert not posts(server)
    assert on_server(server, session) == {"a_b.md": 3}
    await uploaded(way, tmp_path, session_id=session, server_url=server.url, overwrite=True)
    assert on_server(server, session) == {"a_b.md": 14}


async def test_nothing_is_sent_if_two_files_would_become_one(server, session, folder, way):
    (folder / "part0" / "file_0.md").write_text("another")
    server.forget_requests()
    with pytest.raises(MixInputError, match=r"would all be stored as 'file_0\.md'"):
        await uploaded(way, folder, session_id=session, server_url=server.url, overwrite=True)
    assert not posts(server)


async def test_a_failure_reports_what_was_stored(server, session, folder, way):
    options = {"session_id": session, "overwrite": True, "parallel_uploads": 1}
    with Mix(server_url=server.url) as mix:
        done = []

        def count(step):
            if step.files_done == 2 and not done:
                done.append(server.faults.add(HttpError("POST .*/upload", status=507, body="disk full", count=None)))

        with pytest.raises(MixUploadError, match=r"disk full|2 stored, 1 failed, 3 not sent") as raised:
            await uploaded(way, folder, mix=mix, progress=count, **options)
        await mix.aclose()
    report = raised.value.report
    assert [path.name for path in report.stored] == ["file 0.md", "file 2.md"]
    assert [path.name for path in report.failed] == ["file 4.md"]
    assert [path.name for path in report.not_sent] == ["file 1.md", "file 3.md", "file 5.md"]
    assert isinstance(raised.value.__cause__, MixResponseError)
    assert raised.value.acted == "yes"
    assert set(on_server(server, session)) == set(report.stored.values())


async def test_a_lost_answer_is_not_taken_for_a_success(server, session, folder, way):
    server.faults.add(CloseConnection("POST .*/upload", before=False))
    one = folder / "part0" / "file 0.md"
    with pytest.raises(MixUploadError) as raised:
        await uploaded(way, one, session_id=session, server_url=server.url, overwrite=True)
    assert raised.value.acted == "unknown"
    assert raised.value.report.stored == {}


async def test_a_file_that_vanishes_meanwhile_is_reported(server, session, folder, way):
    gone = folder / "part0" / "file 2.md"

    def remove(step):
        gone.unlink(missing_ok=True)

    with pytest.raises(MixUploadError, match=r"file 2\.md"):
        await uploaded(
            way, folder, session_id=session, server_url=server.url, progress=remove, parallel_uploads=1, overwrite=True
        )


async def test_a_name_that_nobody_foresaw_costs_no_file_silently(server, session, tmp_path, way, monkeypatch):
    monkeypatch.setattr("langchain_mix.retrievers.uploads.stored_names", lambda name, known: (name,))
    (tmp_path / "a b.md").write_text("one")
    (tmp_path / "a  b.md").write_text("two")
    with pytest.raises(MixUploadError, match=r"in the place of another file"):
        await uploaded(way, tmp_path, session_id=session, server_url=server.url)


async def test_progress_ends_with_everything_sent(server, session, folder, way):
    steps = []
    await uploaded(way, folder, session_id=session, server_url=server.url, progress=steps.append)
    assert (steps[-1].files_done, steps[-1].files) == (6, 6)
    assert steps[-1].bytes_sent == steps[-1].bytes_total == 6 * len("# File 0\n")
    assert [step.files_done for step in steps] == sorted(step.files_done for step in steps)


async def test_an_error_of_the_progress_function_is_the_users(server, session, folder, way):
    def broken(step):
        raise LookupError("mine")

    with pytest.raises(LookupError, match=r"mine"):
        await uploaded(way, folder, session_id=session, server_url=server.url, progress=broken)


async def test_an_unknown_session_is_an_error(server, folder, way):
    with pytest.raises(MixNotFoundError):
        await uploaded(way, folder, session_id="00000000-0000-4000-8000-000000000000", server_url=server.url)


@pytest.mark.parametrize("parallel", [1, 3])
async def test_so_many_uploads_run_at_the_same_time_and_no_more(server, session, tmp_path, way, parallel, monkeypatch):  # noqa: PLR0917
    for number in range(9):
        (tmp_path / f"{number}.md").write_text("x")
    running, most, lock = 0, 0, threading.Lock()
    from langchain_mix.client.files import Files

    barrier, abarrier = threading.Barrier(parallel), asyncio.Barrier(parallel)
    sync_upload, async_upload = Files.upload_session_file, Files.upload_session_file_async

    def counted(step):
        nonlocal running, most
        with lock:
            running += step
            most = max(most, running)

    def watched(self, **options):
        counted(1)
        barrier.wait(10)
        try:
            return sync_upload(self, **options)
        finally:
            counted(-1)

    async def watched_async(self, **options):
        counted(1)
        await abarrier.wait()
        try:
            return await async_upload(self, **options)
        finally:
            counted(-1)

    monkeypatch.setattr(Files, "upload_session_file", watched)
    monkeypatch.setattr(Files, "upload_session_file_async", watched_async)
    await uploaded(way, tmp_path, session_id=session, server_url=server.url, parallel_uploads=parallel)
    assert most == parallel


async def test_no_uploads_at_a_time_are_refused(way, folder):
    with pytest.raises(MixConfigurationError):
        await uploaded(way, folder, session_id="s", parallel_uploads=0)


async def test_options_of_the_connection_are_handed_on(server, session, folder, way):
    with pytest.raises(MixConfigurationError, match="api"):
        await uploaded(way, folder, session_id=session, server_url=server.url, api="0.1")
    with pytest.raises(MixConfigurationError, match="both a client"), Mix(server_url=server.url) as mix:
        await uploaded(way, folder, session_id=session, mix=mix, headers={"X-Mine": "1"})
    # A generation that is known decides which names are alike.
    (folder / "file 0.x.md").write_text("x")
    (folder / "file 0_x.md").write_text("x")
    with pytest.raises(MixInputError, match="would all be stored"):
        await uploaded(way, folder, session_id=session, server_url=server.url, api="0.8")
    if server.api == "0.5":
        report = await uploaded(way, folder, session_id=session, server_url=server.url, api="0.5")
        assert {"file_0.x.md", "file_0_x.md"} <= set(report.stored.values())
