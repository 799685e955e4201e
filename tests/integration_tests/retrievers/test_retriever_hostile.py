"""Servers that lie, and files that are broken: reported, skipped, and the rest is found."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import unquote, urlsplit
from zipfile import ZIP_DEFLATED, ZipFile

import docx
import openpyxl
import pptx
import pypdf
import pytest

from langchain_mix import MixRetriever
from langchain_mix.client import Mix
from langchain_mix.retrievers import Limits, MixBlobLoader, MixFileLoader

SESSION = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
REDIRECT = object()


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # Of the usual five, connections beyond are tried again after a second.


@contextmanager
def serving(answer):
    """A server; `answer` gives status, headers and body for a path."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append(self.path)
            status, headers, body = answer(urlsplit(self.path).path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """The log of requests is `asked`."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def lying(files, elsewhere):
    """A Mix server whose listing says one size and one URL, and whose files are something else."""

    def answer(path):
        if path.endswith("/files"):
            listed = [
                {"name": name, "size": size, "modified": 0, "isDir": False, "url": f"{elsewhere}/{name}"}
                for name, (size, _) in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(listed).encode()
        _, content = files.get(unquote(path.rsplit("/", 1)[1]), (0, None))
        if content is REDIRECT:
            return 302, {"Location": f"{elsewhere}/stolen.txt"}, b""
        if content is None:
            gone = {"error": {"code": 404, "message": "File not found", "type": "not_found"}}
            return 404, {"Content-Type": "application/json"}, json.dumps(gone).encode()
        return 200, {}, content

    with serving(answer) as (url, asked):
        yield url, asked


ODD_NAMES = ["a%2Fb.txt", "q?x=1#y.txt", "sub/dir.txt", "emoji😀.txt", "x" * 251 + ".txt", "a b.txt", "%2e%2e"]
REFUSED_NAMES = ["../up.txt", "/absolute.txt", "line\nbreak.txt", "..\\up.txt"]


@pytest.fixture(params=["invoke", "ainvoke", "load", "blobs"])
def found_in(request):
    """What each way of reading finds on a server: the names of the files, and the report."""

    def search(url, **options):
        retriever = MixRetriever(server_url=url, api="0.8", session_id=SESSION, k=50, **options)
        with retriever.client:
            found = retriever.invoke("otter")
            return sorted(d.metadata["file_name"] for d in found), retriever.report

    async def search_async(url, **options):
        retriever = MixRetriever(server_url=url, api="0.8", session_id=SESSION, k=50, **options)
        async with retriever.client:
            found = await retriever.ainvoke("otter")
            return sorted(d.metadata["file_name"] for d in found), retriever.report

    def load(url, **options):
        loader = MixFileLoader(SESSION, server_url=url, api="0.8", **options)
        return [d.metadata["file_name"] for d in loader.load()], loader.report

    def blobs(url, **options):
        loader = MixBlobLoader(SESSION, server_url=url, api="0.8", **options)
        return [b.metadata["file_name"] for b in loader.yield_blobs()], loader.report

    return {
        "invoke": search,
        "ainvoke": lambda url, **options: asyncio.run(search_async(url, **options)),
        "load": load,
        "blobs": blobs,
    }[request.param]


def test_nothing_is_read_from_another_origin(found_in):
    with serving(lambda _: (200, {}, b"a stolen otter")) as (elsewhere, visits):
        files = {"good.txt": (9, b"the otter"), "moved.txt": (9, REDIRECT)}
        with lying(files, elsewhere) as (url, _):
            names, report = found_in(url)
        assert names == ["good.txt"]
        assert [(s.name, "not given out" in s.reason) for s in report.skipped] == [("moved.txt", True)]
        assert visits == []


def test_odd_names_are_read_and_hostile_ones_refused(found_in):
    files = dict.fromkeys([*ODD_NAMES, *REFUSED_NAMES], (9, b"the otter"))
    with lying(files, "http://127.0.0.1:1") as (url, asked):
        names, report = found_in(url)
    assert names == sorted(ODD_NAMES)
    assert sorted(s.name for s in report.skipped) == sorted(REFUSED_NAMES)
    assert {path.count("/") for path in asked} == {4, 5}  # The listing, and one segment for each file.


def test_what_changes_between_listing_and_download_is_read_as_it_is_or_reported(found_in):
    files = {"grown.txt": (3, b"the otter has grown"), "gone.txt": (9, None), "huge.txt": (9, b"otter " * 1000)}
    with lying(files, "http://127.0.0.1:1") as (url, _):
        names, report = found_in(url, limits=Limits(max_file_bytes=1000))
    assert names == ["grown.txt"]
    assert sorted((s.name, s.reason.split(" ", 2)[1]) for s in report.skipped) == [
        ("gone.txt", "gone"),
        ("huge.txt", "larger"),
    ]


# Broken files of every format among good ones


def saved(document):
    target = BytesIO()
    document.save(target)
    return target.getvalue()


def pdf(password=None):
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def bomb(member):
    target = BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        archive.writestr(member, b"\0" * 3_000_000)
    return target.getvalue()


def broken_files():
    word, excel, slides = saved(docx.Document()), saved(openpyxl.Workbook()), saved(pptx.Presentation())
    old_office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512
    whole = {"pdf": pdf(), "docx": word, "xlsx": excel, "pptx": slides}
    return {
        **{f"empty.{ending}": b"" for ending in ("txt", "md", "py", "csv", "json", "html", "ipynb", *whole)},
        **{f"cut.{ending}": data[: len(data) // 2] for ending, data in whole.items() if ending != "pdf"},
        **{f"blank.{ending}": data for ending, data in whole.items()},
        **{f"noise.{ending}": b"\x80\x00\xff\x01" * 500 for ending in ("txt", "md", "py", "csv", "json", *whole)},
        **{f"picture.{ending}": b"\x89PNG\r\n\x1a\n" + b"\0" * 50 for ending in ("txt", "json", "csv", *whole)},
        **{f"encrypted.{ending}": old_office + "EncryptedPackage".encode("utf-16-le") for ending in whole},
        "cut.pdf": b"%PDF-1.7 cut",
        "locked.pdf": pdf("secret"),
        "bomb.docx": bomb("word/document.xml"),
        "bomb.xlsx": bomb("xl/workbook.xml"),
        "bomb.pptx": bomb("ppt/presentation.xml"),
        "deep.json": b"[" * 100_000 + b"]" * 100_000,
        "deep.ipynb": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "endless.txt": b"x" * 2_000_000,
        "endless.py": b"x" * 2_000_000,
    }


@pytest.mark.parametrize("many", [40, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_many_files_and_broken_ones_of_every_format(emulator, many):
    broken, server = broken_files(), emulator("0.8")
    with Mix(server_url=server.url) as mix:
        session_id = mix.sessions.create(title="many").id
        store = server.data_dir / "uploads"
        for number in range(many):
            (store / f"good{number:04}.txt").write_text(f"otter number{number} swims")
        for name, data in broken.items():
            (store / name).write_bytes(data)
        # What is mislabelled but whole is found, and what it was taken for is reported.
        (store / "mislabelled.pdf").write_text("this otter is no PDF")
        with (store / "huge.txt").open("wb") as huge:
            huge.truncate(40 * 1024 * 1024)
        limits = Limits(max_unpacked_bytes=2_000_000)
        retriever = MixRetriever(mix=mix, session_id=session_id, limits=limits, k=3)
        assert [d.metadata["file_name"] for d in retriever.invoke("number37")][:1] == ["good0037.txt"]
        assert [d.metadata["file_name"] for d in retriever.invoke("PDF")][:1] == ["mislabelled.pdf"]
        report = retriever.report
        assert len(report.read) == many + 1
        assert sorted(s.name for s in report.skipped) == sorted([*broken, "huge.txt"])
        assert all(s.reason for s in report.skipped)
        assert {s.reason for s in report.skipped if s.name.startswith("empty")} == {"is empty"}
        assert {s.reason for s in report.skipped if s.name.startswith(("encrypted", "locked"))} == {"is encrypted"}
        assert {p.name for p in report.problems} == {"mislabelled.pdf"}
        before = len(server.requests)
        retriever.refresh()
        assert len(server.requests) == before + 1
