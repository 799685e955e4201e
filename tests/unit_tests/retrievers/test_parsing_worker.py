"""PDF and RTF, and the process in which they are read: its bounds, its end, and what happens without it."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pypdf
import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from langchain_mix.fifo_lock import FifoLock
from langchain_mix.retrievers.parsing import parse, worker
from langchain_mix.retrievers.parsing.parsed import Limits, Parsed, Skipped

LIMITS = Limits()
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux")


@pytest.fixture
def no_workers():
    """Sets aside the workers that others have left, and ends those of this test."""
    others, worker._pool._idle = worker._pool._idle, []
    yield
    worker._pool.close()
    worker._pool._idle = others


needs_no_workers = pytest.mark.usefixtures("no_workers")


def drawn(*pages):
    """A PDF in which each function draws a page."""
    target = io.BytesIO()
    sheet = canvas.Canvas(target)
    for draw in pages:
        draw(sheet)
        sheet.showPage()
    sheet.save()
    return target.getvalue()


def text(words):
    return lambda sheet: sheet.drawString(72, 700, words)


def picture(sheet):
    image = pytest.importorskip("PIL.Image")
    sheet.drawImage(ImageReader(image.new("L", (40, 20), 200)), 72, 400)


def stream(*contents):
    """A PDF of pages with these content streams."""
    writer = pypdf.PdfWriter()
    generic = pypdf.generic
    for content in contents:
        page = writer.add_blank_page(300, 300)
        made = generic.StreamObject()
        made.set_data(content)
        page[generic.NameObject("/Contents")] = writer._add_object(made.flate_encode())
        font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
        fonts = {"/F1": {key: generic.NameObject(value) for key, value in font.items()}}
        page[generic.NameObject("/Resources")] = generic.DictionaryObject(
            {
                generic.NameObject("/Font"): generic.DictionaryObject(
                    {
                        generic.NameObject(name): generic.DictionaryObject(
                            {generic.NameObject(key): value for key, value in entries.items()}
                        )
                        for name, entries in fonts.items()
                    }
                )
            }
        )
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def words(shown):
    return b"BT /F1 12 Tf 20 100 Td (" + shown + b") Tj ET"


def read(name, data, limits=LIMITS):
    found = parse(name, data, limits)
    assert isinstance(found, Parsed), found
    return found


# What a PDF says


def test_pages_without_text_are_counted_by_page():
    found = read("a.pdf", drawn(text("cover"), picture, picture, text("end"), picture))
    assert [(part.text, part.place.page) for part in found.parts] == [("cover", 1), ("end", 4)]
    assert found.partial == ("Pages 2-3, 5 have no text and may be pictures of it; they were not read.",)


def test_a_document_of_pictures_is_not_said_to_have_no_text_alone():
    found = parse("a.pdf", drawn(picture), LIMITS)
    assert isinstance(found, Skipped)
    assert "Page 1 has no text and may be pictures" in found.reason


def test_values_of_fields_and_annotations_are_text():
    def form(sheet):
        sheet.drawString(72, 700, "Applicant:")
        sheet.acroForm.textfield(name="name", value="Ferdinand Hippo", x=200, y=690, width=200, height=20)
        sheet.acroForm.textfield(name="secret", value="hunter", fieldFlags="password", x=200, y=600)
        sheet.acroForm.choice(name="town", value="Bergen", options=["Bergen", "Oslo"], x=200, y=500)
        sheet.textAnnotation("Ask the okapi", Rect=[0, 0, 10, 10])

    (part,) = read("a.pdf", drawn(form)).parts
    assert part.text.splitlines()[0] == "Applicant:"
    assert {"name: Ferdinand Hippo", "town: Bergen", "Ask the okapi"} <= set(part.text.splitlines())
    assert "hunter" not in part.text


@pytest.mark.parametrize("algorithm", ["AES-256", "AES-128", "RC4-128"])
def test_files_that_need_no_password_are_decrypted(algorithm):
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(drawn(text("open sesame"))))
    writer.encrypt("", owner_password="owner", algorithm=algorithm)
    target = io.BytesIO()
    writer.write(target)
    assert read("a.pdf", target.getvalue()).text == "open sesame"


def test_rtf_is_read_and_what_is_left_out_is_reported():
    rtf = rb"{\rtf1\ansi\ansicpg1250{\header secret}\'9elu\'9dou\u269?k\'fd\par second\tab column{\pict 00}}"
    found = read("a.rtf", rtf)
    assert found.text.startswith("žluťou")
    assert "second\tcolumn" in found.text
    assert found.partial == ("Headers and footers were not read.", "Pictures and embedded files were not read.")


# Bounds


@linux_only
@pytest.mark.parametrize(
    "content", [b"0 0 m " * 12_000_000, words(b"hidden") + b" " * 100_000_000], ids=["ops", "size"]
)
def test_a_page_of_no_sensible_size_costs_itself_alone(content):
    found = read("a.pdf", stream(words(b"first"), content, words(b"third")))
    assert [part.text for part in found.parts] == ["first", "third"]
    assert "Page 2" in found.partial[0]


@needs_no_workers
def test_a_reader_that_looks_at_no_clock_is_ended_and_what_was_read_stays(monkeypatch):
    """The time is up as soon as the first page is there."""
    clock = iter([0.0, 0.0, 1000.0])
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(worker, "_PROGRAM", ENDLESS)
    found = read("a.pdf", b"%PDF-1.7 1 0 obj", Limits(max_seconds=50))
    assert [(part.text, part.place.page) for part in found.parts] == [("page one", 1)]
    assert found.partial == ("Reading it took longer than 50 s (`max_seconds`).",)
    assert worker._pool._idle == []


ENDLESS = """
from langchain_mix.retrievers.parsing import worker
from langchain_mix.retrievers.parsing.parsed import Place
def endless(data, found):
    found.add("page one", Place(page=1))
    while True:
        pass
worker._READERS = {"pdf": ("pypdf", endless)}
worker.serve()
"""
CRASHING = ENDLESS.replace("while True:\n        pass", "import os; os.abort()")
NOISY = ENDLESS.replace("while True:\n        pass", "print('noise', flush=True)")


@needs_no_workers
def test_a_reader_that_crashes_is_reported_and_what_was_read_stays(monkeypatch):
    monkeypatch.setattr(worker, "_PROGRAM", CRASHING)
    found = read("a.pdf", b"%PDF-1.7 1 0 obj")
    assert found.text == "page one"
    assert "crashed" in found.partial[0]


@needs_no_workers
def test_a_file_on_which_every_worker_dies_is_reported(monkeypatch):
    monkeypatch.setattr(worker, "_PROGRAM", CRASHING.replace('found.add("page one", Place(page=1))', "pass"))
    found = parse("a.pdf", b"%PDF-1.7 1 0 obj", LIMITS)
    assert isinstance(found, Skipped)
    assert "crashed" in found.reason


@needs_no_workers
def test_what_a_reader_prints_is_no_answer(monkeypatch):
    monkeypatch.setattr(worker, "_PROGRAM", NOISY)
    assert read("a.pdf", b"%PDF-1.7 1 0 obj").text == "page one"


# The process


@needs_no_workers
def test_one_worker_reads_many_files_and_another_follows_one_that_has_ended():
    assert read("a.pdf", drawn(text("one"))).text == "one"
    (first,) = worker._pool._idle
    assert read("a.pdf", drawn(text("two"))).text == "two"
    assert worker._pool._idle == [first]
    first._process.kill()
    first._process.wait()
    assert read("a.pdf", drawn(text("three"))).text == "three"
    (second,) = worker._pool._idle
    assert second is not first
    assert second._process.poll() is None


def test_a_worker_loads_its_readers_and_no_others():
    program = f"import sys; {worker._PROGRAM.partition(';')[0]}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "langchain_mix.retrievers.parsing.pdf" in loaded
    others = {"dispatch", "encodings", "json_values", "markup", "office", "packages", "text"}
    assert not {*loaded} & {
        "chardet",
        "email",
        "langchain_core",
        *(f"langchain_mix.retrievers.parsing.{o}" for o in others),
    }


@pytest.mark.parametrize("earlier", ["pass", "import langchain_mix.retrievers.parsing.dispatch"])
@pytest.mark.parametrize("home", ["dispatch", "parsed"])
def test_the_package_exports_its_names_whatever_was_imported_before(earlier, home):
    names = {"dispatch": ["parse"], "parsed": ["Kind", "Parsed", "Part", "Place", "Skipped"]}[home]
    program = (
        f"{earlier}\n"
        f"from langchain_mix.retrievers.parsing import {', '.join(names)}\n"
        "from langchain_mix.retrievers import parsing\n"
        f"from langchain_mix.retrievers.parsing import {home}\n"
        f"assert all(getattr(parsing, n) is getattr({home}, n) is globals()[n] for n in {names})\n"
        "assert sorted(parsing.__all__) == ['Kind', 'Parsed', 'Part', 'Place', 'Skipped', 'parse']\n"
        "assert {*parsing.__all__} <= {*dir(parsing)}\n"
        "from langchain_mix.retrievers.parsing import *\n"
        "assert callable(parse) and not hasattr(parsing, 'other')"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_each_answer_belongs_to_its_file():
    whole = drawn(text("whole"))
    assert read("a.pdf", whole).text == "whole"
    idle = [*worker._pool._idle]
    for _ in range(2):
        broken = parse("a.pdf", whole[: len(whole) // 3], LIMITS)
        assert isinstance(broken, Skipped)
        assert broken.reason.startswith("is damaged")
        assert read("a.pdf", whole).text == "whole"
    assert worker._pool._idle == idle


def test_threads_and_event_loops_use_workers_at_the_same_time():
    made = {f"words {number}": rb"{\rtf1 words %d}" % number for number in range(6)}
    with ThreadPoolExecutor(3) as pool:
        assert [found.text for found in pool.map(lambda data: read("a.rtf", data), made.values())] == list(made)

    async def three():
        return await asyncio.gather(*(asyncio.to_thread(read, "a.rtf", data) for data in [*made.values()][:3]))

    assert [found.text for found in asyncio.run(three())] == list(made)[:3]
    assert len(worker._pool._idle) <= worker._MOST_IDLE


@needs_no_workers
@pytest.mark.parametrize("program", ["raise SystemExit(3)", "print('no worker')"])
def test_without_a_worker_files_are_read_here(program, monkeypatch):
    monkeypatch.setattr(worker, "_PROGRAM", program)
    monkeypatch.setattr(worker._pool, "_possible", True)
    assert read("a.pdf", drawn(text("here"))).text == "here"
    assert not worker._pool._possible
    assert worker._pool._idle == []


PARENT = """
import io, os, sys
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.parsing import worker
from langchain_mix.retrievers.parsing import parse
parse("a.rtf", rb"{\\rtf1 x}", Limits())
print(worker._pool._idle[0]._process.pid, flush=True)
sys.stdin.read()
"""


BUSY = f"""
import sys, threading
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.parsing import worker
from langchain_mix.retrievers.parsing import parse
worker._PROGRAM = {ENDLESS!r}
collected = worker._collected
def told(said, found):
    print(next(iter(worker._pool._all))._process.pid, flush=True)
    return collected(said, found)
worker._collected = told
reading = parse, ("a.pdf", b"%PDF-1.7 1 0 obj", Limits(max_seconds=1000))
threading.Thread(target=reading[0], args=reading[1], daemon=True).start()
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at as Linux has them")
@pytest.mark.parametrize("how", [signal.SIGKILL, None], ids=["killed", "ended"])
def test_a_worker_ends_with_its_parent_whatever_it_is_doing(how):
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        if how is not None:
            parent.send_signal(how)
    state = ""
    while state != "Z":
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            break


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_workers_of_its_own():
    program = PARENT.partition("print(")[0] + (
        "mine = worker._pool._idle[0]\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert not worker._pool._idle\n"
        '    assert parse("a.rtf", rb"{\\rtf1 y}", Limits()).text == "y"\n'
        "    os._exit(worker._pool._idle[0]._process.pid == mine._process.pid)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        'assert parse("a.rtf", rb"{\\rtf1 z}", Limits()).text == "z"\n'
        "assert worker._pool._idle == [mine]\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100)
    assert ran.returncode == 0, ran.stderr


@needs_no_workers
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_leaves_a_worker_that_has_ended(forked):
    """As after its rest: the pool still has it, and its output is closed."""
    ended = worker._pool.fresh()
    worker._pool.give_back(ended)
    ended._process.kill()
    ended._listener.join()
    assert ended._process.stdout.closed
    later, reported = FifoLock(), []
    with pytest.MonkeyPatch.context() as patch, later._mutex:
        patch.setattr(sys, "unraisablehook", reported.append)
        child = forked(lambda: (later.enter("k").granted, len(worker._pool._all), len(reported)))
    assert child.result() == (True, 0, 0)
