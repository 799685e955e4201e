"""The corpus of formats: words that must be found, the places that must hold them, and what is only reported.

The table in the documentation is made from it. To write it again:

    python tests/unit_tests/retrievers/test_formats.py
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cache
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from reportlab.pdfgen import canvas

from langchain_mix.retrievers.parsing import parse
from langchain_mix.retrievers.parsing.parsed import Limits, Parsed

PAGE = Path(__file__).parents[3] / "docs" / "pages" / "retrieval.md"
BLOCK = re.compile(r"(<!-- formats -->\n).*?(<!-- end of formats -->)", re.DOTALL)


@dataclass(frozen=True)
class Format:
    """A format: a file of it, what is read of it, and what is only reported.

    Attributes:
        title: Its name in the table.
        name: The name of the sample.
        make: Makes the sample.
        read: What is read: in words, a word of the sample, and the place that must hold it.
        reported: What is only reported: in words, and a piece of the report.
    """

    title: str
    name: str
    make: Callable[[], bytes]
    read: tuple[tuple[str, str, dict[str, object]], ...] = ()
    reported: tuple[tuple[str, str], ...] = ()


def saved(document):
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def packed(**members):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return target.getvalue()


def with_member(data, name, content):
    target = io.BytesIO(data)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(name, content)
    return target.getvalue()


@cache
def word():
    document = docx.Document()
    document.add_heading("Birds", 1)
    document.add_paragraph("The heron waits.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "ibis", "80000"
    document.sections[0].header.paragraphs[0].text = "Confidential falcon"
    document.add_comment(document.paragraphs[1].runs, text="Ask the gannet", author="Anna")
    return with_member(saved(document), "word/media/image1.png", b"picture")


@cache
def excel():
    book = openpyxl.Workbook()
    book.active.title = "Prices"
    book.active.append(["name", "price"])
    book.active.append(["okapi", "=A1"])
    book.active["A2"].comment = openpyxl.comments.Comment("Ask the gnu", "Anna")
    return with_member(saved(book), "xl/media/image1.png", b"picture")


@cache
def powerpoint():
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Mammals"
    slide.placeholders[1].text = "the marmot sleeps"
    slide.notes_slide.notes_text_frame.text = "mention the lynx"
    data = CategoryChartData()
    data.categories = ["Eastmoor"]
    data.add_series("Badgers", (7,))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, 100, 100, data)
    return with_member(saved(show), "ppt/media/image1.png", b"picture")


@cache
def pdf():
    target = io.BytesIO()
    sheet = canvas.Canvas(target)
    sheet.drawString(72, 700, "a walrus")
    sheet.acroForm.textfield(name="applicant", value="penguin", x=200, y=690, width=200, height=20)
    sheet.showPage()
    sheet.rect(10, 10, 100, 100)
    sheet.showPage()
    sheet.save()
    return target.getvalue()


def mail():
    message = EmailMessage()
    message["Subject"] = "Prüfung"
    message.set_content("The chinchilla arrives.", cte="base64")
    message.add_attachment(b"\0", maintype="application", subtype="pdf", filename="contract.pdf")
    return message.as_bytes()


def notebook():
    cells = [
        {"cell_type": "markdown", "source": ["# Notes on wolves"]},
        {"cell_type": "code", "source": "howl()", "outputs": [{"output_type": "stream", "text": "awoo"}]},
        {"cell_type": "code", "source": "plot()", "outputs": [{"data": {"image/png": "AA=="}}]},
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}).encode()


HTML = (
    "<!doctype html><meta charset=iso-8859-2><title>Page</title><h1>Zoo</h1>\n<p>A żubr.</p><select><option>kiwi"
    "<option>emu</select><svg><text>rhea</text></svg><img alt='a moa' src=x>"
)

FORMATS = (
    Format(
        "Plain text, code, configuration (any extension)", "notes.txt", "first\nthe zebra\n".encode,
        (("lines", "zebra", {"start_line": 1, "end_line": 2}),),
    ),
    Format(
        "Markdown `.md`", "a.md", "# Zoo\n\nA tapir.\n".encode,
        (("sections under their headings", "tapir", {"headings": ["Zoo"], "start_line": 1}),),
    ),
    Format(
        "Tables `.csv` `.tsv` `.psv`", "a.csv", "name;price\nokapi;3\n".encode,
        (("rows with their header", "okapi", {"start_row": 1, "end_row": 2}),),
    ),
    Format(
        "JSON `.json`", "a.json", json.dumps({"zoo": {"bird": "k\u00e4uzchen"}}).encode,
        (("values with pointers, `\\u` escapes decoded", "k\u00e4uzchen", {"pointer": "", "start_line": 1}),),
    ),
    Format(
        "JSON Lines `.jsonl` `.ndjson`", "a.jsonl", (json.dumps({"q": "\u5951\u7d04"}) + "\n").encode,
        (("records, `\\u` escapes decoded", "\u5951\u7d04", {"start_row": 1}),),
    ),
    Format(
        "HTML `.html` `.htm` `.xhtml`", "a.html", lambda: HTML.encode("iso-8859-2"),
        (("text by sections", "żubr", {"headings": ["Zoo"], "start_line": 1}), ("fields and lists of choices", "emu", {}),
         ("texts of SVG", "rhea", {}), ("`alt` of pictures", "moa", {})),
    ),
    Format(
        "Notebooks `.ipynb`", "a.ipynb", notebook,
        (("cells", "wolves", {"cell": 1, "cell_type": "markdown"}), ("text of outputs", "awoo", {"cell": 2})),
        (("pictures and widgets", "outputs of cells 3"),),
    ),
    Format(
        "Mail and web archives `.eml` `.mhtml`", "a.eml", mail,
        (("headers", "Prüfung", {"part": "headers"}), ("bodies", "chinchilla", {"part": "body"})),
        (("attachments, by name", "'contract.pdf' (application/pdf)"),),
    ),
    Format(
        "Word `.docx` `.docm`", "a.docx", word,
        (("sections, tables, text boxes, formulas", "heron", {"headings": ["Birds"]}), ("cells in their column", "ibis | 80000", {}),
         ("headers, footers, notes", "falcon", {"part": "header"}), ("comments", "Anna: Ask the gannet", {"part": "comment 0"})),
        (("pictures, embedded files", "1 picture was not read"),),
    ),
    Format(
        "Excel `.xlsx` `.xlsm`", "a.xlsx", excel,
        (("stored values by sheet and row", "okapi", {"sheet": "Prices", "start_row": 1}),
         ("formulas without a value, as formulas", "=A1", {"sheet": "Prices"}),
         ("comments, drawings, charts", "gnu", {"sheet": "Prices", "part": "comment A2"})),
        (("which formulas have no value", "formulas of B2"), ("pictures, embedded files", "1 picture was not read")),
    ),
    Format(
        "PowerPoint `.pptx` `.pptm`", "a.pptx", powerpoint,
        (("shapes and tables by slide", "marmot", {"slide": 1, "headings": ["Mammals"]}), ("notes, comments", "lynx", {"slide": 1}),
         ("charts, SmartArt", "Badgers: Eastmoor 7", {"slide": 1})),
        (("pictures, embedded files", "1 picture was not read"),),
    ),
    Format(
        "PDF `.pdf` (extra `files`)", "a.pdf", pdf,
        (("text by page", "walrus", {"page": 1}), ("fields of forms, annotations", "applicant: penguin", {"page": 1})),
        (("pages without text, such as scans", "Page 2 has no text"),),
    ),
    Format(
        "RTF `.rtf` (extra `files`)", "a.rtf", lambda: rb"{\rtf1\ansi The \'e4lk{\header x}{\pict 00}}",
        (("its text", "älk", {}),),
        (("headers, footers, notes, pictures", "Headers and footers were not read"),),
    ),
    Format("OpenDocument `.odt` `.ods` `.odp`", "a.odt",
           lambda: packed(mimetype="application/vnd.oasis.opendocument.text"), (), (("the file", "OpenDocument"),)),
    Format("EPUB `.epub`", "a.epub", lambda: packed(mimetype="application/epub+zip"), (), (("the file", "EPUB"),)),
    Format("Old Office `.doc` `.xls` `.ppt`", "a.doc", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), (),
           (("the file", "old Office"),)),
    Format("Images, audio, video", "a.png", lambda: b"\x89PNG\r\n\x1a\n" + bytes(30), (), (("the file", "is an image"),)),
    Format("Archives `.zip` `.gz` `.7z` …", "a.zip", lambda: packed(a="text"), (), (("the file", "is an archive"),)),
)  # fmt: skip


def table():
    """The rows of the documentation."""
    lines = ["| format | read | only reported |", "|---|---|---|"]
    for entry in FORMATS:
        read = "; ".join(what for what, _, _ in entry.read)
        lines.append(f"| {entry.title} | {read} | {'; '.join(what for what, _ in entry.reported)} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_words_are_found_in_their_places_and_the_rest_is_reported(entry):
    found = parse(entry.name, entry.make(), Limits())
    report = " ".join(found.partial) if isinstance(found, Parsed) else found.reason
    assert all(piece in report for _, piece in entry.reported), report
    assert isinstance(found, Parsed) == bool(entry.read)
    for _, word, place in entry.read:
        assert isinstance(found, Parsed)
        holding = [part for part in found.parts if word in part.text or word in shown(found, part)]
        assert holding, f"{word} in {found.text}"
        assert all(holding[0].place.metadata()[key] == value for key, value in place.items()), holding[0].place
    if isinstance(found, Parsed) and not entry.reported:
        assert found.partial == ()


def shown(found, part):
    return (
        json.loads(f'"{part.text.strip()}"'.replace('"{', "").replace('}"', "").split(": ")[1]) if found.escaped else ""
    )


NAMED = {"md", "csv", "json", "jsonl", "ipynb", "doc"}
"""Of these the name says what they are, for they are texts; or that they are old."""


@pytest.mark.parametrize(
    "entry", [entry for entry in FORMATS if entry.name.rpartition(".")[2] not in NAMED], ids=lambda entry: entry.name
)
def test_content_decides_and_not_the_name(entry):
    assert parse("unnamed", entry.make(), Limits()).kind == parse(entry.name, entry.make(), Limits()).kind


def test_the_documentation_lists_what_is_read_and_what_is_only_reported():
    documented = BLOCK.search(PAGE.read_text(encoding="utf-8"))
    assert documented is not None
    assert documented[0] == f"{documented[1]}{table()}{documented[2]}"


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda found: found[1] + table() + found[2], PAGE.read_text(encoding="utf-8")))
