"""Text, Markdown, code, tables, JSON, HTML and notebooks."""

from __future__ import annotations

import json
import time
import tracemalloc
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.retrievers.indexing import Splitting, chunks_of
from langchain_mix.retrievers.parsing import parse
from langchain_mix.retrievers.parsing.json_values import Shown
from langchain_mix.retrievers.parsing.parsed import Limits, Parsed, Skipped

LIMITS = Limits()


def read(name, data, limits=LIMITS):
    found = parse(name, data.encode() if isinstance(data, str) else data, limits)
    assert isinstance(found, Parsed), found
    for part in found.parts:
        assert found.text[part.start_index : part.end_index] == part.text
    return found


def skipped(name, data, limits=LIMITS):
    found = parse(name, data.encode() if isinstance(data, str) else data, limits)
    assert isinstance(found, Skipped), found
    return found


# Encodings


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-16-le", "utf-16-le"),
        ("utf-32", "utf-32-le"),
    ],
)
def test_unicode_is_decoded_with_and_without_a_mark(encoding, told):
    text = "Grüße from the harbour\nsecond line, naïve café\n"
    found = read("a.txt", text.encode(encoding))
    assert (found.text, found.encoding, found.problems) == (text, told, ())
    assert found.verbatim


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Der Müller fährt über die Brücke, schön gemütlich. Straße und Größe – „grün“.\n" * 20),
        ("cp1251", "Съешь же ещё этих мягких французских булок, да выпей чаю.\n" * 20),
        ("shift_jis", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n" * 20),
        ("gb18030", "天地玄黄,宇宙洪荒。日月盈昃,辰宿列张。寒来暑往,秋收冬藏。\n" * 20),
        ("euc_kr", "동해 물과 백두산이 마르고 닳도록 하느님이 보우하사 우리나라 만세.\n" * 20),
    ],
)
def test_legacy_encodings_are_guessed_and_reported(encoding, text):
    found = read("a.txt", text.encode(encoding))
    assert found.text == text
    assert found.encoding is not None
    assert "does not declare its encoding" in found.problems[0]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        "word",
        "ASCII alone\nin two lines",
        "Возврат оплачивается\n",
        "退款政策说明，请参阅第二章。\n",
        "환불은 열흘 안에\n",
        "نص عربي هنا",
    ],
)
def test_utf_16_without_a_mark_is_read_in_every_script(encoding, text):
    assert read("a.txt", text.encode(encoding)).text == text


def test_what_cannot_be_decoded_is_shown_and_reported():
    found = read("a.txt", b"\xef\xbb\xbfgood \xff\xfe bad")
    assert "\ufffd" in found.text
    assert "could not be decoded" in found.problems[0]


def test_the_guess_looks_where_the_text_is_not_ascii():
    text = "plain ASCII\n" * 20_000 + "Съешь же ещё этих мягких французских булок, да выпей чаю.\n" * 50
    assert read("a.txt", text.encode("cp1251")).text == text


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 8, b"\x00\x01\x02\x03" * 100, b"abc\x00def" * 50, b"\x01\x02\x03\x04text"]
)
def test_binary_is_never_decoded(data):
    assert skipped("a.txt", data) == Skipped("is no text", "binary")


@pytest.mark.parametrize("data", [b"", b"  \n\t ", b"\x00" * 1000])
def test_empty_files_are_reported(data):
    assert skipped("a.md", data) == Skipped("is empty", "empty")


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf", b"\xff\xfe \x00"])
def test_a_mark_alone_is_no_text(data):
    assert skipped("a.txt", data).reason in {"has no text", "is empty"}


# Text, code, Markdown


def test_plain_text_is_one_part_with_its_lines():
    found = read("notes", "one\r\ntwo\rthree\nfour")
    assert found.kind == "text"
    assert [part.place.metadata() for part in found.parts] == [{"start_line": 1, "end_line": 4}]
    assert found.text == "one\r\ntwo\rthree\nfour"


@pytest.mark.parametrize(
    ("name", "language"), [("a.py", "python"), ("b.tsx", "ts"), ("c.rs", "rust"), ("d.sh", None), ("E.PY", "python")]
)
def test_code_sends_its_language(name, language):
    found = read(name, "x = 1\n")
    assert (found.kind, found.language) == ("code", language)


MARKDOWN = """front

# One #
text
```
# no heading
```
## Two
more
Three
=====
end
- list
---
after
### Deep
x
"""


def test_markdown_has_a_part_for_each_section_with_the_headings_above():
    found = read("a.md", MARKDOWN)
    told = [(part.place.start_line, part.place.end_line, part.place.headings) for part in found.parts]
    assert told == [
        (1, 2, ()),
        (3, 7, ("One",)),
        (8, 9, ("One", "Two")),
        (10, 15, ("Three",)),
        (16, 17, ("Three", "Deep")),
    ]
    assert "".join(part.text for part in found.parts) == MARKDOWN


def test_a_line_without_end_is_data():
    assert "max_line_chars" in skipped("a.txt", "x" * 101, Limits(max_line_chars=100)).reason
    assert "max_line_chars" in skipped("a.md", "x" * 101, Limits(max_line_chars=100)).reason
    read("a.txt", "x" * 100 + "\n" + "y" * 100, Limits(max_line_chars=101))


def test_text_is_cut_and_reported():
    found = read("a.txt", "abc def ghi", Limits(max_text_chars=7))
    assert found.text == "abc def"
    assert "max_text_chars" in found.problems[0]


def test_parts_are_cut_and_reported():
    found = read("a.md", "# a\nx\n# b\ny\n# c\nz\n", Limits(max_parts=2))
    assert [part.place.headings for part in found.parts] == [("a",), ("b",)]
    assert "max_parts" in found.problems[0]


def test_a_file_larger_than_allowed_is_not_looked_at():
    assert "max_file_bytes" in skipped("a.txt", b"12345", Limits(max_file_bytes=4)).reason


# Tables


def test_rows_are_grouped_and_have_their_header():
    rows = [f"{n},name {n},{'x' * 50}" for n in range(100)]
    found = read("a.csv", "id,name,text\n" + "\n".join(rows) + "\n")
    assert found.kind == "csv"
    first, second, *_ = found.parts
    assert first.text.startswith("id,name,text\n0,name 0")
    assert (first.context, second.context) == ("", "id,name,text")
    assert second.place.start_row == (first.place.end_row or 0) + 1
    assert second.text.startswith(f"{second.place.start_row - 2},name")
    assert found.parts[-1].place.end_row == 101
    assert "".join(part.text for part in found.parts) == found.text


def test_quoted_fields_keep_their_lines_together():
    text = 'id;text\r\n1;"first\nsecond"\r\n2;"' + "long " * 300 + '"\r\n3;end\r\n'
    found = read("a.csv", text)
    rows = [(p.place.start_row, p.place.end_row, p.place.start_line, p.place.end_line) for p in found.parts]
    assert rows == [(1, 2, 1, 3), (3, 3, 4, 4), (4, 4, 5, 5)]
    assert found.parts[1].context == "id;text"


@pytest.mark.parametrize(
    ("name", "text"), [("a.tsv", "a\tb,c\n1\t2,3\n"), ("a.csv", "a;b\n1,5;2\n2,5;3\n"), ("a.csv", "a|b\n1|2\n")]
)
def test_delimiters_are_found(name, text):
    assert read(name, text).parts[0].place.end_row == text.count("\n")


def test_a_field_without_end_is_reported():
    found = read("a.csv", 'a,b\n1,"' + "x" * 200_000)
    assert "no table" in found.problems[0]
    assert found.parts[0].start_index == 0


def test_records_line_by_line_are_grouped():
    lines = [json.dumps({"n": n, "text": "x" * 80}) for n in range(50)]
    found = read("a.jsonl", "\n".join(lines))
    assert found.kind == "jsonl"
    assert len(found.parts) > 3
    assert found.parts[1].place.start_row == found.parts[1].place.start_line
    assert found.parts[-1].place.end_row == 50


# JSON


def test_json_values_have_pointers_and_lines():
    value = {"a/b": [{"n": n, "text": "x" * 400} for n in range(5)], "m~n": "y" * 1200, "small": 1}
    text = json.dumps(value, indent=1)
    found = read("a.json", text)
    assert found.verbatim
    assert [part.place.pointer for part in found.parts] == ["/a~1b/0", "/a~1b/2", "/a~1b/4", "/m~0n", "/small"]
    for part in found.parts[:3]:
        assert json.loads(f"[{part.text}]")[0]["n"] == int(part.place.pointer[-1])
        assert text[: part.start_index].count("\n") + 1 == part.place.start_line


def test_a_small_document_is_one_part():
    found = read("a.json", ' {"a": [1, 2]} \n')
    assert [(part.text, part.place.pointer) for part in found.parts] == [('{"a": [1, 2]}', "")]


def test_escaped_characters_are_shown_as_themselves():
    found = read("a.json", json.dumps({"text": 'こんにちは "quoted" \\u0041 \x07 😀', "half": "\ud800"}))
    assert "こんにちは" in found.text
    assert "😀" in found.text
    assert r"\\u0041" in found.text
    assert not found.verbatim
    assert json.loads(found.text)["text"] == 'こんにちは "quoted" \\u0041 \x07 😀'
    found.text.encode()


def test_keys_of_any_length_make_no_endless_pointers():
    text = json.dumps({"k" * 100_000: [{"text": "x" * 1500} for _ in range(50)], "short": ["y" * 900, "z" * 900]})
    found = read("a.json", text)
    assert max(len(part.place.pointer) for part in found.parts) <= 1001
    assert [part.place.pointer for part in found.parts][-2:] == ["/short/0", "/short/1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "# " + "heading " * 20_000 + "\n\n" + "Words below it.\n"),
        ("a.html", "<html><h1>" + "heading " * 20_000 + "</h1><p>Words below it.</p>"),
    ],
)
def test_headings_of_any_length_are_shortened_above_what_is_below(name, text):
    found = read(name, text)
    assert [len(heading) for part in found.parts for heading in part.place.headings] == [200]
    assert "heading " * 15_000 in found.text
    assert "Words below it." in found.text


def test_json_nested_too_deep_is_skipped():
    assert "max_depth" in skipped("a.json", "[" * 200 + "]" * 200).reason
    assert "max_depth" in skipped("a.json", "[" * 500_000 + "]" * 500_000).reason
    assert "max_depth" in skipped("a.json", '{"a":' * 100_000 + "1" + "}" * 100_000).reason
    read("a.json", '[["[[[["]]', Limits(max_depth=2))
    assert "max_depth" in skipped("a.json", "[[[1]]]", Limits(max_depth=2)).reason


@pytest.mark.parametrize("text", ['{"a": 1,}', "[1, 2", "9" * 5000, '{"a" 1}', '"' + '\\"' * 20_000])
def test_broken_json_is_read_as_text_and_reported(text):
    found = read("a.json", text)
    assert found.text == text
    assert "no JSON" in found.problems[0]


# HTML


def test_html_is_read_by_sections():
    found = read(
        "a.html",
        """<!DOCTYPE html><html><head><title>Ti &amp; tle</title><style>p { color: red }</style></head>
<body><script>var x = "<p>no</p>";</script>
<p>Intro   with <b>bold</b>text</p>
<h1>One <i>more</i></h1>
<p>a<br>b</p><ul><li>x<li>y</ul>
<h2>Two</h2><table><tr><td>1</td><td>2</td></tr></table><pre>  keep
    this</pre><img alt="a chart" src=x>
<!-- <p>comment</p> --><template><p>no</p></template>
</body></html>""",
    )
    assert found.kind == "html"
    assert not found.verbatim
    told = [(part.text, part.place.headings, part.place.start_line) for part in found.parts]
    assert told == [
        ("Ti & tle\nIntro with boldtext", (), 1),
        ("One more\na\nb\nx\ny", ("One more",), 4),
        ("Two\n1 | 2\n  keep\n    this\na chart", ("One more", "Two"), 6),
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<select><option>kenya</option><option>uganda</option></select>", "kenya uganda"),
        ("<select><optgroup label=x><option>a<option>b</select>c", "a b c"),
        ("<button>save</button><button>cancel</button><label>name</label><span>x</span>", "save cancel name x"),
        ("<fieldset><legend>shipping</legend>fast</fieldset>", "shipping fast"),
        ("<p>note</p><textarea>typed &lt;markhor</textarea>end", "note typed <markhor end"),
        ("<table><caption>prices</caption><tr><td>1</table>", "prices 1"),
        ("<svg><text>alpha</text><text>beta</text><desc>gamma</desc></svg>delta", "alpha beta gamma delta"),
        ("<svg><text><tspan>one</tspan><tspan>two</tspan></text></svg>", "one two"),
        ("<a href=x>Home</a><a href=y>About</a>", "Home About"),
        ("Unter<a href=x>nehmen</a>s super<wbr>cali <b>bo</b>ld", "Unternehmens supercali bold"),
        ("<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>", "漢字 ( かんじ )"),
        ("<math><mi>energy</mi><mo>=</mo><mi>mass</mi></math>", "energy = mass"),
        (
            "<input value='Ferdinand Hippo'>x<input type=hidden value=no><input type=submit value=Send>",
            "Ferdinand Hippo x Send",
        ),
        ("<p>a<video>fallback</video>b", "a fallback b"),
        ("<menu><li>one</li></menu>two<hgroup>three</hgroup>", "one two three"),
        ("<p><![CDATA[a < b & c]]></p>", "a < b & c"),
    ],
)
def test_elements_do_not_run_together(body, words):
    assert read("a.html", f"<html>{body}</html>").text.split() == words.split()


def test_html_is_known_by_its_content():
    assert read("page.txt", "  <!doctype HTML><p>x").kind == "html"
    assert read("page", "<html lang=en><p>x").kind == "html"
    assert read("page.php", "<html><?php ?>").kind == "code"
    assert read("a.md", "<p>x</p>").kind == "markdown"


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<!",
        "<a '",
        '<a b="',
        "</",
        "<script>",
        "<",
        "&",
        "<p>" * 3,
        "<?",
        "<a =",
        "</script",
        "<td>",
        "<pre>",
        "<h1>",
    ],
)
@pytest.mark.parametrize("size", [80_000, pytest.param(400_000, marks=pytest.mark.exhaustive)])
def test_broken_html_is_read_in_linear_time(piece, size):
    began = time.process_time()
    parse("a.html", b"<html>x" + piece.encode() * (size // len(piece)), LIMITS)
    assert time.process_time() - began < size / 40_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "# a" + " " * 900_000 + "b"),
        ("a.md", "#" * 900_000),
        ("a.md", "text\n" + "-" * 900_000 + "x"),
        ("a.md", "`" * 900_000),
        ("a.md", "# a " + "# " * 400_000 + "b"),
        ("a.csv", '"' * 100_000),
        ("a.csv", "," * 900_000),
        ("a.csv", "\n" * 400_000),
        ("a.json", '["' + "\\\\" * 400_000 + '"]'),
        ("a.json", '["' + "\\u0041" * 100_000 + '"]'),
        ("a.json", "[" + "[]," * 100_000 + "[]]"),
        ("a", "<!--" + "x" * 900_000),
        ("a", " " * 900_000 + "x"),
        ("a", "\xe9" * 400_000),
    ],
)
def test_odd_text_is_read_in_linear_time(name, text):
    began = time.process_time()
    parse(name, text.encode("latin-1"), LIMITS)
    assert time.process_time() - began < 3


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "text"), [("a.csv", "\n" * 900_000), ("a.json", "[" + "[]," * 200_000 + "[]]")])
def test_longer_odd_text_is_read_in_linear_time(name, text):
    began = time.process_time()
    parse(name, text.encode("latin-1"), LIMITS)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("heading", "title"),
    [("# a #", "a"), ("# a # b", "a # b"), ("# C#", "C#"), ("# #", ""), ("#", ""), ("## a ## ", "a"), ("#no", None)],
)
def test_titles_are_read_as_markdown_has_it(heading, title):
    found = read("a.md", f"{heading}\ntext\n")
    assert found.parts[0].place.headings == ((title,) if title else ())


# Notebooks


def notebook(*cells, **metadata):
    return json.dumps({"nbformat": 4, "metadata": metadata, "cells": cells})


def test_cells_are_parts_and_outputs_are_text_alone():
    found = read(
        "a.ipynb",
        notebook(
            {"cell_type": "markdown", "source": ["# Title\n", "text"]},
            {
                "cell_type": "code",
                "source": "print(1)",
                "outputs": [
                    {"output_type": "stream", "text": ["\x1b[31m1\x1b[0m\n"]},
                    {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}},
                    {"output_type": "error", "ename": "KeyError", "evalue": "'x'"},
                ],
            },
            {"cell_type": "code", "source": ""},
            "no cell",
            language_info={"name": "Python"},
        ),
    )
    assert [(part.text, part.place.metadata()) for part in found.parts] == [
        ("# Title\ntext", {"cell": 1, "cell_type": "markdown"}),
        ("print(1)\n\n1\n\n<Figure>\n\nKeyError: 'x'", {"cell": 2, "cell_type": "code"}),
    ]
    assert (found.kind, found.language) == ("notebook", "python")


@pytest.mark.parametrize("content", ["[1, 2]", '{"cells": 3}', '{"no": "cells"}'])
def test_what_is_no_notebook_is_read_as_json(content):
    assert read("a.ipynb", content).kind == "json"


def test_outputs_without_text_are_reported():
    picture = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}}
    table = {"output_type": "display_data", "data": {"text/html": "<td>okapi</td><td>gnu</td>"}}
    found = read("a.ipynb", notebook({"cell_type": "code", "source": "x", "outputs": [table]},
                                     {"cell_type": "code", "source": "y", "outputs": [picture]}))  # fmt: skip
    assert "okapi gnu" in found.text
    assert found.partial == ("Pictures and widgets have no text and were left out: outputs of cells 2.",)


def test_a_broken_notebook_is_read_as_text_and_reported():
    assert "no JSON" in read("a.ipynb", '{"cells": [').problems[0]


def test_a_notebook_nested_too_deep_is_skipped():
    assert "max_depth" in skipped("a.ipynb", '{"cells": ' + "[" * 300 + "]" * 300 + "}").reason


# Time


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "# a\nx\n" * 1000),
        ("a.csv", "a,b\n1,2\n" * 10_000),
        ("a.json", json.dumps([{"a": "x" * 600}] * 100)),
        ("a.html", "<h1>a</h1><p>x" * 1000),
        ("a.jsonl", '{"a": 1}\n' * 1000),
        ("a.ipynb", notebook(*[{"cell_type": "code", "source": "x"}] * 100)),
    ],
)
def test_a_file_that_takes_too_long_is_given_up(name, text):
    found = parse(name, text.encode(), Limits(max_seconds=1e-9))
    told = found.problems[0] if isinstance(found, Parsed) else found.reason
    assert "max_seconds" in told


# Mail


def mail():
    message = EmailMessage()
    message["Subject"] = "Prüfung der Größe"
    message["From"] = "Zoë <zoe@example.com>"
    message.set_content("The chinchilla arrives.\nGrüße", cte="base64")
    message.add_alternative("<p>The <b>chinchilla</b> arrives.</p>", subtype="html")
    message.add_attachment(b"\x00\x01", maintype="application", subtype="pdf", filename="Verträge.pdf")
    inner = EmailMessage()
    inner["Subject"] = "Forwarded"
    inner.set_content("Inner żubr", charset="iso-8859-2", cte="quoted-printable")
    message.add_attachment(inner)
    return message.as_bytes()


def test_mail_is_decoded_and_its_attachments_are_named():
    found = read("a.eml", mail())
    told = [(part.text.strip(), part.place.part) for part in found.parts]
    assert told == [
        ("From: Zoë <zoe@example.com>\nSubject: Prüfung der Größe", "headers"),
        ("The chinchilla arrives.\nGrüße", "body"),
        ("Subject: Forwarded", "headers"),
        ("Inner żubr", "body"),
    ]
    assert found.partial == ("The attachment 'Verträge.pdf' (application/pdf) was not read.",)
    assert read("no-extension", mail()).kind == "mail"


def test_a_web_archive_is_read_as_its_page():
    page = "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    found = read("a.mhtml", page + "<html><h1>T=C3=A4ter</h1><p>d=C3=A4ch=\nse</p>")
    assert [(part.text, part.place.headings) for part in found.parts] == [("Täter\ndächse", ("Täter",))]


@pytest.mark.parametrize(
    "data",
    [
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nfirst\n--x\n",
        "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!",
        "Subject: =?utf-8?b?!!!?=\n\nx",
        "Subject: =?nonsense?q?x?=\nContent-Type: text/plain; charset=nonsense\n\nGrüße",
        "Content-Type: multipart/mixed; boundary=x\n\n" + "--x\nContent-Type: multipart/mixed; boundary=x\n\n" * 3000,
        "a" * 100_000,
        "\n" * 100_000 + "x",
    ],
)
def test_broken_mail_is_read_as_far_as_it_goes(data):
    found = parse("a.eml", data.encode(), LIMITS)
    assert isinstance(found, Parsed) or not found.reason.startswith("is damaged")


# Escapes in records

RECORDS = [{"q": "契約書はいつ署名されますか"}, {"q": "Où est l'hôtel? 😀 \ud800 \\u0041"}]


def test_records_are_shown_decoded_while_spans_are_those_of_the_file():
    text = "".join(json.dumps(record) + "\n" for record in RECORDS)
    found = read("a.jsonl", text)
    assert (found.text, found.verbatim) == (text, True)
    (chunk,) = chunks_of(found, Splitting(1000, 0))
    assert chunk.text == text[chunk.start_index : chunk.end_index] == text.strip()
    assert "契約書はいつ" in chunk.content
    assert "hôtel? 😀 " in chunk.content
    assert json.loads(chunk.content.splitlines()[1]) == RECORDS[1]


@pytest.mark.parametrize("examples", [60, pytest.param(150, marks=pytest.mark.exhaustive)])
def test_chunks_of_records_cut_no_escape_and_lose_nothing(examples):
    @settings(max_examples=examples, deadline=None)
    @given(
        st.lists(st.text(st.sampled_from('ab .é契約😀\n\\u"\ud83d'), max_size=60), min_size=1, max_size=5),
        st.integers(1, 40),
        st.data(),
    )
    def check(values, size, data):
        text = "\n".join(json.dumps({"v": value}) for value in values)
        found = parse("a.jsonl", text.encode(), LIMITS)
        assert isinstance(found, Parsed)
        seen, covered = Shown(text), set()
        shown_at = {seen.in_source(index): index for index in range(len(seen.text) + 1)}
        for chunk in chunks_of(found, Splitting(size, data.draw(st.integers(0, size - 1)))):
            assert chunk.text == text[chunk.start_index : chunk.end_index]
            assert chunk.content == seen.text[shown_at[chunk.start_index] : shown_at[chunk.end_index]]
            assert len(chunk.content) <= size
            covered |= set(range(chunk.start_index, chunk.end_index))
        assert not "".join(character for at, character in enumerate(text) if at not in covered).strip()

    check()


def test_a_shown_text_knows_the_places_of_its_characters():
    source = r"a\u00e9\\u0041\ud83d\ude00b"
    seen = Shown(source)
    assert seen.text == "aé\\\\u0041😀b"
    assert [source[seen.in_source(i) :][:2] for i in range(len(seen.text))] == [
        "a\\", "\\u", "\\\\", "\\u", "u0", "00", "04", "41", "1\\", "\\u", "b",
    ]  # fmt: skip
    assert seen.in_source(len(seen.text)) == len(source)


# Signatures


@pytest.mark.parametrize(
    "text",
    [
        "ID3 is a decision tree algorithm.",
        "The ftyp box of MP4 files",
        "abcdftyp is one",
        "RIFF files explained",
        "BZhang wrote this",
        "GIF89a is a format",
        "GIF87a too",
        "OggS begins a page",
        "fLaC is lossless",
        "8BPS is Photoshop",
        "%PDF-1.7 is how a PDF begins",
        "BM25 ranks",
        "II*KEA",
        "ÿâtes écrit",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_text_that_begins_like_a_signature_is_a_text(text, encoding):
    found = read("notes.md", (text + "\nQuinlan wrote it.\n").encode(encoding))
    assert "Quinlan" in found.text


# Memory


@pytest.mark.parametrize("scale", [10, pytest.param(1, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.csv", lambda scale: "\n" * (600_000 // scale)),
        ("a.csv", lambda scale: "a,b\n" * (30_000 // scale)),
        ("a.jsonl", lambda scale: "1\n" * (100_000 // scale)),
        ("a.json", lambda scale: "[" + "1," * (300_000 // scale) + "1]"),
        ("a.json", lambda scale: "[" + "[]," * (30_000 // scale) + "[]]"),
        ("a.json", lambda scale: "[" + '{"a":{}},' * (30_000 // scale) + "{}]"),
        ("a.json", lambda scale: '["' + "\\n" * (300_000 // scale) + '"]'),
        ("a.ipynb", lambda scale: '{"cells": [{"source": [' + '"ab",' * (150_000 // scale) + '"ab"]}]}'),
        ("a.ipynb", lambda scale: '{"cells": [' + "{}," * (30_000 // scale) + "{}]}"),
        (
            "a.ipynb",
            lambda scale: notebook(
                {"cell_type": "code", "outputs": [{"data": {"image/png": "A" * (3_000_000 // scale)}}]}
            ),
        ),
        ("a.md", lambda scale: "# a\n" * (10_000 // scale)),
        ("a.html", lambda scale: "<html>" + "<td>ab<br>" * (10_000 // scale)),
        ("a.eml", lambda scale: "Subject: x\n\n" + "ab\n" * (200_000 // scale)),
        (
            "a.eml",
            lambda scale: "Content-Type: multipart/mixed; boundary=x\n\n" + "--x\n\na\n" * (5_000 // scale),
        ),
        ("a.txt", lambda scale: "a\n" * (100_000 // scale)),
    ],
)
def test_memory_is_in_proportion_to_the_text(name, make, scale):
    text = make(scale)
    data = text.encode()
    tracemalloc.start()
    try:
        parse(name, data, Limits(max_seconds=300))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(text) + 12 * 1024 * 1024 // scale, peak


def test_a_cell_of_more_values_than_can_be_held_is_left_out_and_reported():
    found = read("a.ipynb", '{"cells": [{"source": [' + '"ab",' * 150_000 + '"ab"]}, {"source": "kept"}]}')
    assert [part.text for part in found.parts] == ["kept"]
    assert found.partial == ("Cell 1 has more values than can be held and was left out.",)
