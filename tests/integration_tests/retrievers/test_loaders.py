"""The loaders on emulated servers of three generations, and on servers that do odd things."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import httpx
import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.document_loaders.blob_loaders import BlobLoader

from langchain_mix.client import Mix, RetryConfig
from langchain_mix.emulator.faults import CloseConnection, HttpError
from langchain_mix.errors import MixConfigurationError, MixError, MixFileError, MixNetworkError, MixNotFoundError
from langchain_mix.retrievers.downloads import Batch, FileReport, download_all
from langchain_mix.retrievers.files import Selection, list_remote
from langchain_mix.retrievers.loaders import MixBlobLoader, MixFileLoader
from langchain_mix.retrievers.parsing.parsed import Limits

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
)
FILES = {
    "guide.md": b"# Guide\nhello\n## Setup\ninstall it\n",
    "code.py": b"def f():\n    return 1\n",
    "table.csv": b"a,b\n1,2\n",
    "noise.bin": bytes(range(256)),
    "dot.png": PNG,
    "legacy.txt": "Größe und Straße, schön".encode("cp1252"),
}


@pytest.fixture(params=["0.5", "0.7", "0.8"])
def api(request):
    return request.param


@pytest.fixture
def server(emulator, api):
    return emulator(api)


@pytest.fixture
def session(server, store):
    store(server, FILES)
    with Mix(server_url=server.url) as mix:
        return mix.sessions.create(title="files").id


async def loaded(loader, way):
    return loader.load() if way == "sync" else await loader.aload()


async def fetched(url):
    async with httpx.AsyncClient(verify=False) as client:  # noqa: S501  # Nothing is encrypted.
        return await client.get(url)


def gets(server, name=""):
    return [request for request in server.requests if request.method == "GET" and f"/files/{name}" in request.path]


async def test_every_file_is_loaded_or_reported(server, session, way):
    loader = MixFileLoader(session, server_url=server.url)
    assert isinstance(loader, BaseLoader)
    documents = await loaded(loader, way)
    told = [(doc.metadata["file_name"], doc.metadata.get("headings")) for doc in documents]
    assert told == [
        ("code.py", None),
        ("guide.md", ["Guide"]),
        ("guide.md", ["Guide", "Setup"]),
        ("legacy.txt", None),
        ("table.csv", None),
    ]
    assert loader.report.read == ["code.py", "guide.md", "legacy.txt", "table.csv"]
    assert [(skipped.name, skipped.kind) for skipped in loader.report.skipped] == [
        ("dot.png", "image"),
        ("noise.bin", "binary"),
    ]
    assert [problem.name for problem in loader.report.problems] == ["legacy.txt"]
    setup = documents[2]
    assert setup.page_content == "## Setup\ninstall it\n"
    assert setup.metadata["source"].startswith(f"{server.url}/")
    assert (await fetched(setup.metadata["source"])).content == FILES["guide.md"]
    assert {key: setup.metadata[key] for key in ("kind", "start_line", "end_line", "start_index", "end_index")} == {
        "kind": "markdown",
        "start_line": 3,
        "end_line": 4,
        "start_index": 14,
        "end_index": 34,
    }
    assert setup.metadata["session_id"] == session
    assert documents[3].page_content == "Größe und Straße, schön"


async def test_only_what_is_meant_is_downloaded(server, session, way):
    server.forget_requests()
    loader = MixFileLoader(session, server_url=server.url, include=["*.md", "*.py"], exclude="code*")
    assert {doc.metadata["file_name"] for doc in await loaded(loader, way)} == {"guide.md"}
    assert len(gets(server)) == 1
    chosen = MixFileLoader(session, server_url=server.url, selection=Selection(mime_types="text/csv"))
    assert {doc.metadata["file_name"] for doc in await loaded(chosen, way)} == {"table.csv"}


async def test_a_file_that_cannot_be_read_may_end_the_run(server, session, way):
    loader = MixFileLoader(session, server_url=server.url, on_problem="raise", exclude="*.png")
    with pytest.raises(MixFileError, match=r"'noise\.bin' is no text") as raised:
        await loaded(loader, way)
    assert raised.value.name == "noise.bin"


async def test_images_are_documents_on_request(server, session, way):
    loader = MixFileLoader(session, server_url=server.url, images=True, include="*.png")
    (document,) = await loaded(loader, way)
    assert document.page_content == "Image: dot.png"
    picture = await fetched(document.metadata["thumbnail_url"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert loader.report.read == ["dot.png"]


async def test_a_client_of_the_users_is_used_and_stays_open(server, session, way):
    with Mix(server_url=server.url, api=str(server.api), headers={"X-Mine": "1"}) as mix:
        await loaded(MixFileLoader(session, mix=mix), way)
        assert mix.files.list_session_files(id=session)
        await mix.aclose()


def test_blobs_have_the_bytes_and_what_is_known(server, session):
    loader = MixBlobLoader(session, server_url=server.url)
    assert isinstance(loader, BlobLoader)
    blobs = {blob.path: blob for blob in loader.yield_blobs()}
    assert {str(name): blob.as_bytes() for name, blob in blobs.items()} == FILES
    assert blobs["guide.md"].as_string() == FILES["guide.md"].decode()
    assert blobs["legacy.txt"].as_string() == "Größe und Straße, schön"
    assert blobs["dot.png"].mimetype == "image/png"
    assert blobs["guide.md"].metadata["file_name"] == "guide.md"
    assert blobs["guide.md"].source == blobs["guide.md"].metadata["source"]
    assert loader.report.read == sorted(FILES)


async def test_blobs_come_asynchronously_too(server, session):
    loader = MixBlobLoader(session, server_url=server.url, include="*.md")
    assert [blob.as_bytes() async for blob in loader.ayield_blobs()] == [FILES["guide.md"]]


async def test_checkpoints_and_hostile_names_are_no_documents(server, session, way):
    uploads = server.data_dir / "uploads"
    (uploads / "langchain-mix-ckpt-1").write_text("state")
    (uploads / "deep").mkdir()
    (uploads / "deep" / "file ü#?.md").write_text("# Deep")
    (uploads / "bad\nname.md").write_text("x")
    server.forget_requests()
    loader = MixFileLoader(session, server_url=server.url, include=["*.md", "lang*", "etc*"])
    documents = await loaded(loader, way)
    names = {doc.metadata["file_name"] for doc in documents}
    assert names == {"guide.md", "deep/file ü#?.md"}
    assert [(s.name, s.reason) for s in loader.report.skipped] == [
        ("bad\nname.md", "was not read: its name has control characters")
    ]
    assert not [request for request in gets(server) if "ckpt" in request.path or "bad" in request.path]


async def test_limits_leave_files_out_and_report(server, session, way):
    url = server.url
    server.forget_requests()
    loader = MixFileLoader(session, server_url=url, limits=Limits(max_file_bytes=30), include="*.*d*")
    await loaded(loader, way)
    assert [s.name for s in loader.report.skipped if "max_file_bytes" in s.reason] == ["guide.md"]
    assert not gets(server, "guide.md")
    loader = MixFileLoader(session, server_url=url, limits=Limits(max_files=2))
    await loaded(loader, way)
    assert [s.name for s in loader.report.skipped if "max_files" in s.reason] == sorted(FILES)[2:]
    loader = MixFileLoader(session, server_url=url, limits=Limits(max_total_bytes=40, parallel_downloads=1))
    await loaded(loader, way)
    assert [s.name for s in loader.report.skipped if "max_total_bytes" in s.reason]
    assert loader.report.read[0] == "code.py"


async def test_a_run_has_a_report_of_its_own(server, session, way):
    loader = MixFileLoader(session, server_url=server.url)
    await loaded(loader, way)
    first = loader.report
    await loaded(loader, way)
    assert loader.report is not first
    assert loader.report == first


async def test_a_server_that_refuses_one_file_costs_one_file(server, session, way):
    server.faults.add(HttpError("GET .*/files/guide.md", status=404, count=None))
    loader = MixFileLoader(session, server_url=server.url, include="*.*[dy]")
    await loaded(loader, way)
    assert loader.report.read == ["code.py"]
    assert loader.report.skipped[0].name == "guide.md"


def test_a_file_that_is_gone_is_reported(server, session):
    with Mix(server_url=server.url) as mix:
        files = mix.perform(list_remote(session, mix.server_url))
        mix.files.delete_session_file(id=session, filename="guide.md")
        report = FileReport()
        list(download_all(mix, Batch(session_id=session, files=files, limits=Limits(), report=report)))
        assert [(s.name, s.reason) for s in report.skipped] == [("guide.md", "is gone from the server")]


async def test_an_unknown_session_is_an_error(server, way):
    loader = MixFileLoader("00000000-0000-4000-8000-000000000000", server_url=server.url)
    with pytest.raises(MixNotFoundError):
        await loaded(loader, way)


async def test_a_server_that_is_gone_ends_the_run(emulator, way):
    server = emulator("0.8")
    with Mix(server_url=server.url, retry_config=RetryConfig(max_attempts=1)) as mix:
        created = mix.sessions.create(title="x")
        mix.files.upload_session_file(id=created.id, file=b"x", file_name="a.md")
        server.faults.add(CloseConnection("GET .*/files/a.md", count=None))
        with pytest.raises(MixNetworkError):
            await loaded(MixFileLoader(created.id, mix=mix), way)
        await mix.aclose()


def test_two_answers_to_one_question_are_refused():
    with pytest.raises(MixConfigurationError):
        MixFileLoader("s", mix=Mix(), server_url="http://x")
    with pytest.raises(MixConfigurationError):
        MixFileLoader("s", selection=Selection(), include="*.md")
    with pytest.raises(MixConfigurationError):
        MixBlobLoader("s", on_problem="ignore")


# Servers that no emulator is


class Odd:
    """A server whose listing and bodies are what a test says."""

    def __init__(self):
        self.files = {}
        self.sizes = {}
        self.cuts = {}
        self.later = {}
        self.gate = None
        self.running = 0
        self.most = 0
        self.asked = []
        self.headers = []
        self.lock = threading.Lock()

    def handler(self):
        odd = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                name = unquote(self.path.rpartition("/")[2])
                odd.headers.append(dict(self.headers))
                if name == "files":
                    sizes = [
                        {"name": n, "size": odd.sizes.get(n, len(d)), "isDir": False} for n, d in odd.files.items()
                    ]
                    self.answer(json.dumps(sizes).encode(), "application/json")
                    return
                with odd.lock:
                    odd.asked.append(name)
                    odd.running += 1
                    odd.most = max(odd.most, odd.running)
                try:
                    if odd.gate is not None:
                        odd.gate.wait(10)
                    self.answer(odd.files[name], "text/plain", cut=odd.cuts.get(name, 0) > 0)
                    odd.cuts[name] = odd.cuts.get(name, 0) - 1
                    odd.files[name] = odd.later.get(name, odd.files[name])
                finally:
                    with odd.lock:
                        odd.running -= 1

            def answer(self, body, kind, *, cut=False):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if cut else body)
                self.close_connection = cut

        return Handler


class OddServer(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64  # Of the usual five, connections beyond are tried again after a second.


@contextmanager
def odd_server():
    odd = Odd()
    server = OddServer(("127.0.0.1", 0), odd.handler())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield odd, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_file_larger_than_it_was_listed_is_given_up(way):
    with odd_server() as (odd, url):
        odd.files = {"a.md": b"x" * 1000, "b.md": b"# B"}
        odd.sizes = {"a.md": 3}
        loader = MixFileLoader("s", server_url=url, limits=Limits(max_file_bytes=100))
        await loaded(loader, way)
        assert loader.report.read == ["b.md"]
        assert "max_file_bytes" in loader.report.skipped[0].reason
        blobs = MixBlobLoader("s", server_url=url, limits=Limits(max_file_bytes=100))
        assert [blob.path for blob in blobs.yield_blobs()] == ["b.md"]
        assert "max_file_bytes" in blobs.report.skipped[0].reason


async def test_a_download_that_breaks_in_the_middle_is_begun_again(way):
    with odd_server() as (odd, url):
        odd.files = {"a.md": b"# A\n" + b"text " * 1000}
        odd.cuts = {"a.md": 2}
        loader = MixFileLoader("s", server_url=url, limits=Limits(max_total_bytes=6000))
        (document,) = await loaded(loader, way)
        assert document.page_content.encode() == odd.files["a.md"]
        assert odd.asked == ["a.md"] * 3
        odd.cuts = {"a.md": 5}
        with pytest.raises(MixError):
            await loaded(loader, way)


async def test_headers_go_with_every_request(way):
    with odd_server() as (odd, url):
        odd.files = {"a.md": b"# A"}
        await loaded(MixFileLoader("s", server_url=url, headers={"X-Mine": "1"}), way)
        assert [headers.get("X-Mine") for headers in odd.headers] == ["1", "1"]


async def test_the_generation_is_handed_on(way):
    with pytest.raises(MixConfigurationError, match="api"):
        await loaded(MixFileLoader("s", server_url="http://localhost:1", api="0.1"), way)


async def test_nothing_is_left_of_the_download_that_broke(way):
    with odd_server() as (odd, url):
        odd.files = {"a.md": b"# A\n" + b"text " * 1000}
        odd.cuts = {"a.md": 1}
        odd.later = {"a.md": b"# Short"}
        (document,) = await loaded(MixFileLoader("s", server_url=url), way)
        assert document.page_content == "# Short"


@pytest.mark.parametrize("parallel", [1, 3, 8])
async def test_so_many_downloads_run_at_the_same_time_and_no_more(way, parallel):
    with odd_server() as (odd, url):
        odd.files = {f"{number:02}.md": b"# x" for number in range(24)}
        odd.gate = threading.Barrier(parallel)
        loader = MixFileLoader("s", server_url=url, limits=Limits(parallel_downloads=parallel))
        documents = await loaded(loader, way)
        assert [doc.metadata["file_name"] for doc in documents] == sorted(odd.files)
        assert odd.most == parallel


async def test_leaving_early_ends_the_downloads():
    with odd_server() as (odd, url):
        odd.files = {f"{number:03}.md": b"# x" for number in range(200)}
        limits = Limits(parallel_downloads=2)
        documents = MixFileLoader("s", server_url=url, limits=limits).lazy_load()
        next(documents)
        documents.close()
        assert len(odd.asked) < 20
        later = MixFileLoader("s", server_url=url, limits=limits).alazy_load()
        await anext(later)
        await later.aclose()
        assert len(odd.asked) < 40
