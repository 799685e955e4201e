"""PDF, Word, Excel and PowerPoint: whole, broken, hostile; and files that are not what their names say."""

from __future__ import annotations

import sys
import time
import tracemalloc
import zipfile
import zlib
from datetime import date, datetime
from functools import cache
from io import BytesIO
from itertools import pairwise

import docx
import openpyxl
import pptx
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from langchain_mix.retrievers.parsing import office, packages, parse
from langchain_mix.retrievers.parsing.parsed import Collector, Limits, Parsed, Skipped
from langchain_mix.retrievers.parsing.pdf import read_pdf

LIMITS = Limits()
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512


def saved(document):
    target = BytesIO()
    document.save(target)
    return target.getvalue()


def pdf(*pages, password=None):
    """A PDF with the given texts; pypdf itself writes no text, so that the streams are written here."""
    writer = pypdf.PdfWriter()
    for text in pages:
        page = writer.add_blank_page(300, 300)
        stream = pypdf.generic.StreamObject()
        stream.set_data(text if isinstance(text, bytes) else f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode())
        page[pypdf.generic.NameObject("/Contents")] = writer._add_object(stream.flate_encode())
        font = pypdf.generic.DictionaryObject(
            {
                pypdf.generic.NameObject(key): pypdf.generic.NameObject(value)
                for key, value in {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}.items()
            }
        )
        fonts = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/F1"): font})
        page[pypdf.generic.NameObject("/Resources")] = pypdf.generic.DictionaryObject(
            {pypdf.generic.NameObject("/Font"): fonts}
        )
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def word():
    document = docx.Document()
    document.add_paragraph("before")
    document.add_heading("Part one", 1)
    document.add_paragraph("first\tparagraph")
    table = document.add_table(2, 2)
    for index, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {index}"
    document.add_heading("Deeper", 2)
    document.add_paragraph("second")
    document.add_heading("Part two", 1)
    document.add_paragraph("third")
    return saved(document)


@cache
def excel(rows=60):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Prices"
    sheet.append(["name", "price", "note"])
    for number in range(rows):
        sheet.append([f"item {number}", number, "x" * 40 if number else None])
    other = book.create_sheet("Other")
    other["B3"] = "alone"
    return saved(book)


def powerpoint():
    show = pptx.Presentation()
    for number in (1, 2):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = f"Title {number}"
        slide.placeholders[1].text = f"body {number}"
    table = show.slides[1].shapes.add_table(1, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    group = show.slides[1].shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 10, 10).text_frame.text = "grouped"
    show.slides[0].notes_slide.notes_text_frame.text = "say this"
    return saved(show)


MAKERS = {"a.pdf": lambda: pdf("Hello page", "Second"), "a.docx": word, "a.xlsx": excel, "a.pptx": powerpoint}


class Made(dict):
    """The documents, each made when it is first needed."""

    def __missing__(self, name):
        self[name] = MAKERS[name]()
        return self[name]


MADE = Made()


def read(name, data, limits=LIMITS):
    found = parse(name, data, limits)
    assert isinstance(found, Parsed), found
    for part in found.parts:
        assert found.text[part.start_index : part.end_index] == part.text
    return found


def skipped(name, data, limits=LIMITS):
    found = parse(name, data, limits)
    assert isinstance(found, Skipped), found
    return found


def test_pages_of_a_pdf_are_parts():
    found = read("a.pdf", MADE["a.pdf"])
    assert [(part.text, part.place.metadata()) for part in found.parts] == [
        ("Hello page", {"page": 1}),
        ("Second", {"page": 2}),
    ]
    assert (found.kind, found.verbatim, found.encoding) == ("pdf", False, None)


def test_sections_and_tables_of_a_word_document():
    found = read("a.docx", MADE["a.docx"])
    assert [(part.text, part.place.headings) for part in found.parts] == [
        ("before", ()),
        ("Part one\nfirst\tparagraph\ncell 0 | cell 1\ncell 2 | cell 3", ("Part one",)),
        ("Deeper\nsecond", ("Part one", "Deeper")),
        ("Part two\nthird", ("Part two",)),
    ]


def test_rows_of_a_workbook_are_grouped_by_sheet():
    found = read("a.xlsx", MADE["a.xlsx"])
    places = [(part.place.sheet, part.place.start_row, part.place.end_row) for part in found.parts]
    assert places[-1] == ("Other", 3, 3)
    prices = [place for place in places if place[0] == "Prices"]
    assert len(prices) > 2
    assert prices[0][1] == 1
    assert prices[-1][2] == 61
    assert all(after[1] == before[2] + 1 for before, after in pairwise(prices))
    assert found.parts[0].text.startswith("name | price | note\nitem 0 | 0\nitem 1 | 1 | xxx")
    assert (found.parts[0].context, found.parts[1].context) == ("", "name | price | note")
    assert found.parts[-1].text == " | alone"


def test_slides_with_tables_groups_and_notes():
    found = read("a.pptx", MADE["a.pptx"])
    assert [(part.text, part.place.slide, part.place.headings) for part in found.parts] == [
        ("Title 1\nbody 1\nNotes: say this", 1, ("Title 1",)),
        ("Title 2\nbody 2\nleft | right\ngrouped", 2, ("Title 2",)),
    ]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "other",
    ["a.txt", "a.png", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("a.csv", "noextension"))],
)
def test_content_decides_and_not_the_name(name, other):
    assert read(other, MADE[name]).kind == read(name, MADE[name]).kind


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.png", "a.zip"])
def test_text_under_a_wrong_name_is_read_and_reported(name):
    found = read(name, b"only text")
    assert found.kind == "text"
    assert "its content is text" in found.problems[0]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "image"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 30, "image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio"),
        (b"ID3\x04" + b"\0" * 30, "audio"),
        (b"\xff\xfb\x90\x44" + b"\0" * 30, "audio"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 30, "video"),
        (b"\0\0\0\x18ftypM4A " + b"\0" * 30, "audio"),
        (b"\x1f\x8b\x08\0" + b"\0" * 30, "archive"),
        (b"\x7fELF" + b"\1" * 30, "binary"),
        (b"SQLite format 3\0 and more", "binary"),
    ],
)
def test_media_and_archives_are_skipped_with_their_kind(data, kind):
    assert skipped("a.txt", data).kind == kind


def test_old_office_is_reported():
    assert "old Office" in skipped("a.doc", OLD_OFFICE).reason


# Broken


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_half_a_file_is_damaged_and_nothing_worse(name, share):
    data = MADE[name]
    found = parse(name, data[: int(len(data) * share)], LIMITS)
    if isinstance(found, Skipped):
        assert found.kind == {"a.pdf": "pdf", "a.docx": "word", "a.xlsx": "excel", "a.pptx": "powerpoint"}[name]
        assert found.reason.startswith(("is damaged", "has no text"))


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx"])
def test_a_zip_that_has_lost_its_end_is_a_damaged_document(name):
    assert skipped(name, MADE[name][:-200]).reason.startswith("is damaged")


def test_an_encrypted_pdf_is_reported_and_one_without_a_password_is_read():
    assert skipped("a.pdf", pdf("secret", password="word")).reason == "is encrypted"
    assert read("a.pdf", pdf("open", password="")).text == "open"


def test_encrypted_office_files_are_reported():
    assert skipped("a.docx", OLD_OFFICE + "EncryptedPackage".encode("utf-16-le")).reason == "is encrypted"
    data = bytearray(MADE["a.docx"])
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert skipped("a.docx", bytes(data)).reason == "is encrypted"


@pytest.mark.parametrize("name", MAKERS)
def test_a_document_without_text_is_reported(name):
    empty = {
        "a.pdf": lambda: pdf(b""),
        "a.docx": lambda: saved(docx.Document()),
        "a.xlsx": lambda: saved(openpyxl.Workbook()),
        "a.pptx": lambda: saved(pptx.Presentation()),
    }
    assert "has no text" in skipped(name, empty[name]()).reason


def test_a_broken_page_does_not_cost_the_others(monkeypatch):
    real = pypdf.PageObject.extract_text

    def failing(self, *args, **kwargs):
        text = real(self, *args, **kwargs)
        if "broken" in text:
            raise KeyError("/Missing")
        return text

    monkeypatch.setattr(pypdf.PageObject, "extract_text", failing)
    found = Collector(LIMITS)
    assert read_pdf(pdf("first", "broken", "third"), found) is None
    assert [part.place.page for part in found.parts] == [1, 3]
    assert "Page 2" in found.problems[0]


def test_a_missing_parser_is_reported_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    assert 'pip install "langchain-mix[files]"' in skipped("a.pdf", MADE["a.pdf"]).reason


# Hostile


def repacked(data, changes):
    """The archive with members changed, added, or removed (None)."""
    target = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in changes:
                new.writestr(name, old.read(name))
        for name, content in changes.items():
            if content is not None:
                new.writestr(name, content)
    return target.getvalue()


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx"])
@pytest.mark.parametrize("size", [4_000_000, pytest.param(20_000_000, marks=pytest.mark.exhaustive)])
def test_a_zip_bomb_is_not_unpacked(name, size):
    bomb = repacked(MADE[name], {"bomb.xml": b"\0" * size})
    assert len(bomb) < 80_000 + size // 100
    assert "max_unpacked_bytes" in skipped(name, bomb, Limits(max_unpacked_bytes=size // 2)).reason
    read(name, bomb, Limits(max_unpacked_bytes=size * 3 // 2))


def test_a_document_that_unpacks_to_too_much_is_reported_with_its_bytes_and_members():
    with zipfile.ZipFile(BytesIO(MADE["a.docx"])) as archive:
        members = archive.infolist()
    size = sum(member.file_size for member in members)
    assert skipped("a.docx", MADE["a.docx"], Limits(max_unpacked_bytes=10)).reason == (
        f"unpacks to {size} bytes in {len(members)} members; at most 10 bytes (`max_unpacked_bytes`) in 20000 are read"
    )


def test_a_zip_bomb_that_lies_of_its_size_is_damaged():
    bomb = bytearray(repacked(MADE["a.docx"], {"word/document.xml": b"<a>" + b" " * 5_000_000 + b"</a>"}))
    size = (5_000_007).to_bytes(4, "little")
    assert bomb.count(size) == 2
    lying = bytes(bomb).replace(size, (1000).to_bytes(4, "little"))
    assert skipped("a.docx", lying, Limits(max_unpacked_bytes=1_000_000)).reason.startswith("is damaged")


LAUGHS = (
    '<?xml version="1.0"?>{padding}<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(97 + n + 1)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><x>&j;</x>"
)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a.docx", "word/document.xml"),
        ("a.xlsx", "xl/worksheets/sheet1.xml"),
        ("a.pptx", "ppt/presentation.xml"),
    ],
)
@pytest.mark.parametrize("padding", ["", "<!--" + " " * 200_000 + "-->"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_declares_entities_is_refused_before_they_grow(name, part, padding, encoding):
    data = repacked(MADE[name], {part: LAUGHS.replace("{padding}", padding).encode(encoding)})
    assert "declares entities" in skipped(name, data).reason


DOCTYPES = {
    "system": '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
    "public": '<!DOCTYPE x PUBLIC "a" "file:///etc/passwd">',
    "name": "<!DOCTYPE x>",
    "entity": '<!DOCTYPE x [<!ENTITY a "ha">]>',
    "file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
}


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx"])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("declaration", DOCTYPES.values(), ids=DOCTYPES)
def test_a_document_type_is_refused_even_if_nothing_in_it_grows(name, declaration, across):
    """Members are read piece by piece; the declaration may begin in one and end in the next."""
    part = {"a.docx": "word/document.xml", "a.xlsx": "xl/worksheets/sheet1.xml", "a.pptx": "ppt/presentation.xml"}[name]
    with zipfile.ZipFile(BytesIO(MADE[name])) as archive:
        text = archive.read(part).decode()
    root = text[text.index("?>") + 2 :].lstrip() if text.startswith("<?xml") else text
    space = " " * (packages._FED - len("<!---->") - 4) if across else ""
    data = repacked(MADE[name], {part: f"<!--{space}-->{declaration}{root}"})
    assert "declares entities" in skipped(name, data).reason
    assert read(name, repacked(MADE[name], {part: f"<!--{space}-->{root}"})).text == read(name, MADE[name]).text


@pytest.mark.parametrize(("name", "part"), [("a.docx", "word/document.xml"), ("a.xlsx", "xl/worksheets/sheet1.xml")])
def test_entities_do_not_grow_even_where_nobody_refuses_them(name, part, monkeypatch):
    monkeypatch.setattr(packages._Reader, "_refuse", lambda *_: None)
    began = time.process_time()
    found = parse(name, repacked(MADE[name], {part: LAUGHS.replace("{padding}", "")}), LIMITS)
    assert time.process_time() - began < 5
    assert isinstance(found, Skipped) or len(found.text) < 1000


def test_shared_strings_that_declare_entities_are_refused():
    cells = '<row r="1"><c r="A1" t="s"><v>0</v></c></row>'
    data = xlsx_with(cells, **{"xl/sharedStrings.xml": LAUGHS.replace("{padding}", "")})
    assert "declares entities" in skipped("a.xlsx", data).reason


def test_a_part_that_declares_entities_costs_what_follows_it():
    data = repacked(MADE["a.pptx"], {"ppt/slides/slide2.xml": LAUGHS.replace("{padding}", "")})
    found = read("a.pptx", data)
    assert [part.place.slide for part in found.parts] == [1]
    assert "declares entities" in found.partial[0]


@pytest.mark.parametrize("member", ["word/media/picture.svg", "word/odd.xml"])
def test_members_that_are_not_read_may_declare_what_they_like(member):
    data = repacked(MADE["a.docx"], {member: LAUGHS.replace("{padding}", "")})
    assert read("a.docx", data).parts == read("a.docx", MADE["a.docx"]).parts


def test_a_pdf_stream_that_grows_is_given_up():
    grown = pdf(b"BT /F1 12 Tf (hello) Tj ET " + b" " * 20_000_000, "second")
    found = parse("a.pdf", grown, Limits(max_unpacked_bytes=1_000_000))
    assert isinstance(found, Parsed)
    assert [part.place.page for part in found.parts] == [2]
    assert "Page 1" in found.problems[0]
    assert len(zlib.compress(b" " * 20_000_000)) < len(grown) < 100_000


def test_cells_that_claim_to_span_a_billion_columns_cost_nothing():
    with zipfile.ZipFile(BytesIO(MADE["a.docx"])) as archive:
        xml = archive.read("word/document.xml").decode()
    wide = xml.replace("<w:tcPr>", '<w:tcPr><w:gridSpan w:val="1000000000"/>')
    assert wide != xml
    began = time.process_time()
    assert read("a.docx", repacked(MADE["a.docx"], {"word/document.xml": wide})).text.count("cell 0") == 1
    assert time.process_time() - began < 5


@pytest.mark.parametrize("claim", ["A1:XFD1048576", "A1:A1", "A1"])
def test_a_sheet_is_read_as_it_is_whatever_size_it_claims(claim):
    book = excel(2)
    with zipfile.ZipFile(BytesIO(book)) as archive:
        xml = archive.read("xl/worksheets/sheet1.xml").decode()
    claimed = xml.replace('<dimension ref="A1:C3"', f'<dimension ref="{claim}"')
    assert claimed != xml
    began = time.process_time()
    found = read("a.xlsx", repacked(book, {"xl/worksheets/sheet1.xml": claimed}))
    assert time.process_time() - began < 5
    assert found.parts == read("a.xlsx", book).parts


@pytest.mark.parametrize("name", MAKERS)
def test_a_document_that_takes_too_long_is_given_up(name):
    found = parse(name, MADE[name], Limits(max_seconds=1e-9))
    told = found.problems[0] if isinstance(found, Parsed) else found.reason
    assert "max_seconds" in told or "has no text" in told


@pytest.mark.parametrize("name", MAKERS)
def test_parts_and_text_are_bounded(name):
    found = read(name, MADE[name], Limits(max_parts=1))
    assert len(found.parts) == 1
    assert "max_parts" in found.problems[0]
    found = read(name, MADE[name], Limits(max_text_chars=5))
    assert len(found.text) == 5
    assert "max_text_chars" in found.problems[0]


NAMES = st.sampled_from(
    [*MAKERS, "a.txt", "a.md", "a.py", "a.csv", "a.json", "a.jsonl", "a.html", "a.ipynb", "a", "a.png"]
)


@pytest.mark.parametrize("examples", [100, pytest.param(400, marks=pytest.mark.exhaustive)])
def test_no_bytes_are_too_much(examples):
    limits = Limits(max_text_chars=100, max_parts=3)

    @settings(max_examples=examples)
    @given(NAMES, st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace")))
    def check(name, data):
        found = parse(name, data, limits)
        if isinstance(found, Parsed):
            assert len(found.text) <= 100
            assert 0 < len(found.parts) <= 3
            assert all(found.text[part.start_index : part.end_index] == part.text for part in found.parts)
            found.text.encode()

    check()


@pytest.mark.parametrize("examples", [40, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_no_changed_byte_is_too_much(examples):
    @settings(max_examples=examples)
    @given(st.sampled_from(list(MAKERS)), st.data())
    def check(name, data):
        changed = bytearray(MADE[name])
        for place in data.draw(st.lists(st.integers(0, len(changed) - 1), min_size=1, max_size=20)):
            changed[place] = data.draw(st.integers(0, 255))
        assert isinstance(parse(name, bytes(changed), LIMITS), Parsed | Skipped)

    check()


# Text outside the main text, and what is left out


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
OTHER = (
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)


def word_with(body):
    """A Word document that has nothing but this body, as markup."""
    document = f"<w:document {W} {OTHER}><w:body>{body}</w:body></w:document>"
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", document)
    return target.getvalue()


def run(text):
    return f"<w:r><w:t>{text}</w:t></w:r>"


def par(text):
    return f"<w:p>{run(text)}</w:p>"


BOX = f"<w:txbxContent>{par('penguin')}{par('walrus')}</w:txbxContent>"
CELL = "<w:tc>{}</w:tc>"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            (f"<w:p>{run('total')}<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx>{BOX}</wps:txbx>"
            f"</w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>{BOX}</v:textbox></w:pict></mc:Fallback>"
            f"</mc:AlternateContent></w:r></w:p>{par('after')}"),
            "total\npenguin\nwalrus\nafter",
        ),
        (f"<w:p><w:r><w:pict><v:textbox>{BOX}</v:textbox></w:pict></w:r></w:p>", "penguin\nwalrus"),
        (
            (f"<w:p><w:moveFrom>{run('moved')}</w:moveFrom>{run('kept ')}<w:ins>{run('new')}</w:ins>"
            f"<w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p><w:p><w:moveTo>{run('moved')}</w:moveTo></w:p>"),
            "kept new\nmoved",
        ),
        (
            ("<w:p><w:pPr><w:tabs><w:tab w:val='left' w:pos='1'/><w:tab w:val='left' w:pos='2'/></w:tabs></w:pPr>"
            f"{run('left')}<w:r><w:tab/></w:r>{run('right')}<w:r><w:br/></w:r>{run('below')}</w:p>"),
            "left\tright\nbelow",
        ),
        (
            (f"<w:tbl><w:tr>{CELL.format(par('Ludmila'))}<w:sdt><w:sdtContent>{CELL.format(par('80000'))}</w:sdtContent></w:sdt>"
            f"<w:customXml>{CELL.format(par('2024'))}</w:customXml></w:tr></w:tbl>"),
            "Ludmila | 80000 | 2024",
        ),
        (
            (f"<w:tbl><w:tr>{CELL.format(par('outer') + '<w:tbl><w:tr>' + CELL.format(par('a')) + CELL.format(par('b')) + '</w:tr></w:tbl>' + par(''))}"
            f"{CELL.format('<w:sdt><w:sdtContent>' + par('last') + '</w:sdtContent></w:sdt>')}</w:tr></w:tbl>"),
            "outer a b | last",
        ),
        (f"<w:sdt><w:sdtContent>{par('control')}</w:sdtContent></w:sdt>", "control"),
        ("<w:p><m:oMath><m:r><m:t>energymass</m:t></m:r></m:oMath></w:p>", "energymass"),
    ],
)  # fmt: skip
def test_word_shows_each_text_once_and_in_its_place(body, text):
    assert read("a.docx", word_with(body)).text == text


def test_word_in_its_strict_form_is_read():
    strict = f"<w:document {W}><w:body>{par('strict words')}</w:body></w:document>".replace(
        "schemas.openxmlformats.org/wordprocessingml/2006", "purl.oclc.org/ooxml/wordprocessingml"
    )
    assert read("a.docx", repacked(MADE["a.docx"], {"word/document.xml": strict})).text == "strict words"


def test_parts_of_word_outside_the_main_text_have_their_place():
    document = docx.Document()
    document.add_paragraph("main")
    document.sections[0].header.paragraphs[0].text = "Confidential Falcon"
    document.sections[0].footer.paragraphs[0].text = "Page of Heron"
    comment = document.add_comment(document.paragraphs[0].runs, text="Check the ibis", author="Anna")
    assert comment is not None
    data = saved(document)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        relations = archive.read("word/_rels/document.xml.rels").decode()
    kinds = "".join(
        f'<Relationship Id="n{kind}" Target="{kind}.xml"'
        f' Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}"/>'
        for kind in ("footnotes", "endnotes")
    )
    note = "<w:{0}s {1}><w:{0} w:id='-1' w:type='separator'>{2}</w:{0}><w:{0} w:id='2'>{3}{4}</w:{0}></w:{0}s>"
    data = repacked(
        data,
        {
            "word/_rels/document.xml.rels": relations.replace("</Relationships>", kinds + "</Relationships>"),
            "word/footnotes.xml": note.format("footnote", W, par("line"), par("See the"), par("osprey")),
            "word/endnotes.xml": note.format("endnote", W, par("line"), par("And the"), par("gannet")),
            "word/media/image1.png": b"picture",
            "word/embeddings/oleObject1.bin": b"object",
        },
    )
    found = read("a.docx", data)
    assert {part.place.part: part.text for part in found.parts} == {
        None: "main",
        "header": "Confidential Falcon",
        "footer": "Page of Heron",
        "comment 0": "Anna: Check the ibis",
        "footnote 2": "See the\nosprey",
        "endnote 2": "And the\ngannet",
    }
    assert found.partial == ("1 picture was not read.", "The embedded file 'oleObject1.bin' was not read.")


def test_formulas_without_a_value_are_read_as_formulas_and_reported():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(
        [
            "Turbine",
            "=2+40",
            '=CONCATENATE("dro","medary")',
            date(2024, 1, 15),
            datetime.fromisoformat("2024-01-15T08:30"),
        ]
    )
    sheet.append([True, 0.25, 1e20, "_x0041_ ok", "  "])
    sheet["A1"].comment = openpyxl.comments.Comment("Ask the okapi", "Anna")
    found = read("a.xlsx", saved(book))
    assert found.parts[0].text.splitlines() == [
        'Turbine | =2+40 | =CONCATENATE("dro","medary") | 2024-01-15 | 2024-01-15 08:30:00',
        "True | 0.25 | 1e+20 | A ok",
    ]
    assert (found.parts[1].text, found.parts[1].place.part) == ("Ask the okapi", "comment A1")
    assert found.partial == (
        "Sheet 'Sheet': no value is stored for the formulas of B1, C1; they were read as formulas.",
    )


def test_shared_strings_and_threaded_comments_are_read_without_phonetic_marks():
    cells = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
    strings = "<si><r><t>東</t></r><r><t>京</t></r><rPh><t>トウキョウ</t></rPh></si><si><t>end</t></si>"
    threaded = (
        '<ThreadedComments xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments">'
        '<threadedComment ref="B2"><text>Ask the gnu</text></threadedComment></ThreadedComments>'
    )
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="t1" '
        'Type="http://schemas/relationships/threadedComment" Target="../threadedComments/t1.xml"/></Relationships>'
    )
    members = {"xl/worksheets/_rels/sheet1.xml.rels": relations, "xl/threadedComments/t1.xml": threaded}
    found = read("a.xlsx", xlsx_with(cells, strings, **members))
    assert [(part.text, part.place.part) for part in found.parts[:2]] == [
        ("東京 | end", None),
        ("Ask the gnu", "comment B2"),
    ]


def test_a_comment_that_is_too_long_is_reported_even_where_its_beginning_is_blank():
    book = openpyxl.Workbook()
    book.active["A1"] = "see"
    book.active["A1"].comment = openpyxl.comments.Comment(" " * 2 * packages._FED + "hidden", "me")
    found = read("a.xlsx", saved(book), Limits(max_text_chars=100))
    assert found.text == "see"
    assert "max_text_chars" in found.partial[0]


@pytest.mark.parametrize(("texts", "reports"), [(3, 0), (4, 1)])
def test_a_diagram_reports_more_texts_than_are_read_only_where_it_has_more(texts, reports, monkeypatch):
    monkeypatch.setattr(packages, "_MOST_PIECES", 3)
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        paragraphs = "".join(f"<a:p><a:r><a:t>t{n}</a:t></a:r></a:p>" for n in range(texts))
        space = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
        archive.writestr("data.xml", f"<d {space}>{paragraphs}<a:p/></d>")
    found = Collector(LIMITS)
    with packages.opened(target.getvalue(), found) as package:
        assert packages.diagram_text(package, "data.xml") == "t0\nt1\nt2"
    assert len(found.partial) == reports


def test_stored_values_of_formulas_are_read_and_shared_formulas_known():
    book = excel(1)
    xml = (
        '<row r="1"><c r="A1"><f>2+40</f><v>42</v></c><c r="B1" t="str"><f>"a"&amp;"b"</f><v>ab</v></c></row>'
        '<row r="4"><c r="A4"><f t="shared" si="0" ref="A4:A5">B1*2</f></c></row><row><c><f t="shared" si="0"/></c></row>'
    )
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{xml}</sheetData></worksheet>'
    found = read("a.xlsx", repacked(book, {"xl/worksheets/sheet1.xml": sheet}))
    assert found.parts[0].text == "42 | ab\n=B1*2\n=B1*2"
    assert (found.parts[0].place.start_row, found.parts[0].place.end_row) == (1, 5)
    assert "A4, row 5;" in found.partial[0]


def test_a_row_number_or_column_far_away_costs_nothing():
    xml = '<row r="2"><c r="XFD2"><v>7</v></c></row><row r="99999999"><c r="A99999999"><v>1</v></c></row>'
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{xml}</sheetData></worksheet>'
    found = read("a.xlsx", repacked(excel(1), {"xl/worksheets/sheet1.xml": sheet}))
    assert found.parts[0].text == "… | 7\n1"


def test_charts_diagrams_and_comments_of_slides_are_read():
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Numbers"
    data = CategoryChartData()
    data.categories = ["Eastmoor", "Westmoor"]
    data.add_series("Marmots", (1, 2.5))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 100, 100, data)
    slide.notes_slide.notes_text_frame.text = "say this"
    made = saved(show)
    with zipfile.ZipFile(BytesIO(made)) as archive:
        name = "ppt/slides/_rels/slide1.xml.rels"
        relations = archive.read(name).decode()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData"
    diagram = (
        '<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:pt><dgm:t><a:p><a:r><a:t>Smart</a:t></a:r>'
        "<a:r><a:t>ibex</a:t></a:r></a:p><a:p/></dgm:t></dgm:pt></dgm:dataModel>"
    )
    comments = (
        '<p:cmLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"><p:cm><p:text>Ask the gnu</p:text>'
        "</p:cm></p:cmLst>"
    )
    newer = (
        '<n:cmLst xmlns:n="http://schemas.microsoft.com/office/powerpoint/2018/8/main" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><n:cm><n:txBody><a:p><a:r><a:t>And the </a:t></a:r>'
        "<a:r><a:t>eland</a:t></a:r></a:p></n:txBody></n:cm></n:cmLst>"
    )
    extra = f'<Relationship Id="d1" Type="{kind}" Target="../diagrams/data1.xml"/>' + "".join(
        f'<Relationship Id="{one}" Type="http://schemas/relationships/comments" Target="../comments/{one}.xml"/>'
        for one in ("c1", "c2")
    )
    members = {
        name: relations.replace("</Relationships>", f"{extra}</Relationships>"),
        "ppt/diagrams/data1.xml": diagram,
        "ppt/comments/c1.xml": comments,
        "ppt/comments/c2.xml": newer,
    }
    found = read("a.pptx", repacked(made, members))
    (part,) = found.parts
    assert sorted(part.text.splitlines()) == sorted(
        [
            "Numbers",
            "Marmots: Eastmoor 1, Westmoor 2.5",
            "Notes: say this",
            "Smartibex",
            "Comment: Ask the gnu",
            "Comment: And the eland",
        ]
    )
    assert found.partial == ()


# Bombs

X = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
BOMBS = {
    "paragraphs": ("a.docx", lambda scale: word_with("<w:p/>" * (50_000 // scale))),
    "short paragraphs": ("a.docx", lambda scale: word_with(par("ab") * (20_000 // scale))),
    "cells of Word": ("a.docx", lambda scale: word_with(f"<w:tr>{'<w:tc></w:tc>' * (80_000 // scale)}</w:tr>")),
    "tabs": ("a.docx", lambda scale: word_with(f"<w:p><w:r>{'<w:tab/>' * (80_000 // scale)}</w:r></w:p>")),
    "depth": ("a.docx", lambda scale: word_with("<w:sdt>" * (100_000 // scale))),
    "box": (
        "a.docx",
        lambda scale: word_with(f"<w:p><w:r><w:txbxContent>{par('') * (20_000 // scale)}</w:txbxContent></w:r></w:p>"),
    ),
    "rows": ("a.xlsx", lambda scale: xlsx_with("<row/>" * (80_000 // scale))),
    "cells": ("a.xlsx", lambda scale: xlsx_with(f"<row>{'<c><v>12</v></c>' * (30_000 // scale)}</row>")),
    "references": (
        "a.xlsx",
        lambda scale: xlsx_with(
            "<row>" + '<c t="s"><v>0</v></c>' * (16_000 // scale) + "</row>",
            f"<si><t>{'x' * (130_000 // scale)}</t></si>",
        ),
    ),
    "strings": (
        "a.xlsx",
        lambda scale: xlsx_with('<row><c t="s"><v>0</v></c></row>', "<si/>" * (150_000 // scale)),
    ),
    "columns": ("a.xlsx", lambda scale: xlsx_with('<row><c r="XFD1"><v>1</v></c></row>' * (8_000 // scale))),
    "attributes": (
        "a.xlsx",
        lambda scale: xlsx_with("<row " + " ".join(f'a{n}="1"' for n in range(1_200_000 // scale)) + "/>"),
    ),
}


def xlsx_with(rows, strings="", **members):
    """A workbook with these rows in its first sheet, and these strings that its cells may refer to."""
    book = excel(1)
    with zipfile.ZipFile(BytesIO(book)) as archive:
        relations = archive.read("xl/_rels/workbook.xml.rels").decode()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    shared = f'<Relationship Id="shared" Type="{kind}" Target="sharedStrings.xml"/></Relationships>'
    changes = {
        "xl/worksheets/sheet1.xml": f"<worksheet {X}><sheetData>{rows}</sheetData></worksheet>",
        "xl/_rels/workbook.xml.rels": relations.replace("</Relationships>", shared),
        "xl/sharedStrings.xml": f"<sst {X}>{strings}</sst>",
    }
    return repacked(book, changes | members)


@pytest.mark.parametrize("scale", [8, pytest.param(1, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_does_not_depend_on_what_a_document_unpacks_to(bomb, scale, monkeypatch):
    """By default on a smaller scale: the pieces that are held, the bound and the bomb."""
    for module, size in ((packages, "_FED"), (packages, "_LONGEST_TOKEN"), (office, "_LONGEST_SECTION")):
        monkeypatch.setattr(module, size, getattr(module, size) // scale)
    name, make = BOMBS[bomb]
    data = make(scale)
    tracemalloc.start()
    try:
        found = parse(name, data, Limits(max_text_chars=1_000_000 // scale, max_seconds=300))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    text = len(found.text) if isinstance(found, Parsed) else 0
    assert peak < 8 * text + 32 * 1024 * 1024 // scale, peak


@pytest.mark.parametrize("depth", [900, 1100])
def test_markup_of_no_sensible_depth_is_reported(depth):
    # What the parser holds of open elements is memory that Python does not count.
    found = read("a.docx", word_with(par("kept") + "<w:sdt>" * depth + par("deep") + "</w:sdt>" * depth))
    assert found.text == ("kept\ndeep" if depth < 1000 else "kept")
    assert found.partial == (() if depth < 1000 else ("It is nested deeper than 1000 elements; reading ended there.",))


@pytest.mark.parametrize("filler", ["", " " * 200_000])
def test_markup_that_breaks_off_keeps_what_comes_before(filler):
    found = read("a.docx", word_with(par("kept") + filler + "<w:p><w:r></w:p>"))
    assert found.text == "kept"
    assert found.partial[0].startswith("It is damaged (mismatched tag")


def test_a_document_that_is_cut_off_keeps_what_was_read(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("langchain_mix.retrievers.parsing.parsed.time.monotonic", lambda: float(next(clock)))
    for name, data in (
        ("a.docx", word_with(par("ferry to Bergen") * 40_000)),
        ("a.xlsx", xlsx_with("<row><c t='str'><v>ferry</v></c></row>" * 40_000)),
    ):
        found = parse(name, data, Limits(max_seconds=20))
        assert isinstance(found, Parsed)
        assert "ferry" in found.parts[0].text
        assert found.partial == ("Reading it took longer than 20 s (`max_seconds`).",)
        nothing = skipped(name, data, Limits(max_seconds=0.1))
        assert "has no text" not in nothing.reason
        assert "max_seconds" in nothing.reason
