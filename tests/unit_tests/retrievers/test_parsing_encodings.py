"""Encodings: what a file declares, UTF-8 that is not quite clean, and the guess over a corpus of languages."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.retrievers.parsing import parse
from langchain_mix.retrievers.parsing.encodings import codec_of, decode
from langchain_mix.retrievers.parsing.parsed import Limits, Parsed

CORPUS = json.loads((Path(__file__).parents[2] / "corpus" / "encodings.json").read_text(encoding="utf-8"))
CASES = [(language, encoding) for language, entry in CORPUS.items() for encoding in entry["encodings"]]


def test_the_corpus_has_many_languages():
    assert len(CORPUS) >= 20


@pytest.mark.parametrize("repeated", [3, pytest.param(15, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_languages_are_read_in_their_encodings_at_three_lengths(language, encoding, repeated):
    sentences = CORPUS[language]["text"]
    for text in (sentences[0], " ".join(sentences), "\n".join(sentences * repeated)):
        found = decode(text.encode(encoding))
        assert found is not None
        assert found.text == text, found.encoding
    assert all(word.casefold() in found.text.casefold() for word in CORPUS[language]["words"])


# Declarations

SENTENCES = {
    "windows-1251": "Договор аренды помещения",
    "koi8-r": "Привет",
    "KOI8-U": "Привіт",
    "shift_jis": "契約書",
    "x-sjis": "日本語",
    "euc-jp": "契約書は来週",
    "gb2312": "合同",
    "gbk": "你好世界",
    "big5": "合約",
    "euc-kr": "계약서",
    "iso-8859-7": "συμβόλαιο",
    "windows-1255": "החוזה",
    "iso-8859-8-i": "החוזה",
    "iso-8859-2": "Zażółć gęślą jaźń",
    "windows-1256": "العقد",
    "iso-8859-1": "Où est l'été à Nîmes?",
    "iso-8859-15": "5 € œuvre",
    "iso-8859-9": "güneş ışıl",
    "windows-1257": "žąsis",
    "tis-620": "สัญญา",
    "macintosh": "Öl für 5 €",
    "utf-8": "Öl 契約書",
}
FORMS = {
    "a.html": '<!DOCTYPE html>\n<meta charset="{}">\n<p>{}</p>\n',
    "upper.HTM": "<HTML><HEAD><META CHARSET={}></HEAD><p>{}</p>",
    "equiv.html": "<html>\n<meta content='text/html; charset={}' http-equiv=\"content-type\"><p>{}</p>",
    "commented.html": '<!-- <meta charset="utf-7"> -->\n<html><meta name=x><meta charset=\'{}\'>\n{}',
    "a.xml": '<?xml version="1.0" encoding="{}"?>\n<doc>{}</doc>\n',
    "a.svg": "<?xml version='1.0' standalone='no' encoding = '{}' ?><svg>{}</svg>",
    "a.py": "# -*- coding: {} -*-\n\nNAME = '{}'\n",
    "second.py": "#!/usr/bin/env python\n# vim: set fileencoding={} :\nNAME = '{}'\n",
    "a.rb": "# encoding: {}\nname = '{}'\n",
    "a.css": '@charset "{}";\nq {{ content: "{}" }}\n',
    "a.po": 'msgid ""\nmsgstr ""\n"Language: x\\n"\n"Content-Type: text/plain; charset={}\\n"\n\nmsgid "a"\nmsgstr "{}"\n',
    "saved.mail": 'Subject: x\nContent-Type: text/plain;\n charset="{}"\n\n{}\n',
}  # fmt: skip


def codec(label):
    known = {"iso-8859-8-i": "iso8859_8", "x-sjis": "cp932", "macintosh": "mac_roman"}
    return known.get(label, label)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("named", [True, False])
def test_what_a_file_declares_counts(name, named):
    for label, sentence in SENTENCES.items():
        text = FORMS[name].format(label, sentence)
        found = decode(text.encode(codec(label)), name if named else "")
        assert found is not None, label
        assert (found.text, found.problem) == (text, ""), label


@pytest.mark.parametrize(("label", "byte", "shown"), [("iso-8859-1", b"\x80", "€"), ("us-ascii", b"\xe9", "é"), ("x-user-defined", b"\xe9", "é"),
                                                      ("iso-8859-11", b"\x80", "€")])  # fmt: skip
def test_labels_mean_what_the_web_means_by_them(label, byte, shown):
    found = decode(b"<!doctype html><meta charset=" + label.encode() + b"><p>word " + byte + b" word")
    assert found is not None
    assert f"word {shown} word" in found.text


@pytest.mark.parametrize("label", ["utf-16", "utf-16le", "UTF-32"])
def test_a_declaration_in_ascii_is_never_utf_16(label):
    found = decode(f'<html><meta charset="{label}"><p>Öl für Zoë'.encode())
    assert found is not None
    assert "Öl für Zoë" in found.text


@pytest.mark.parametrize("label", ["base64", "rot13", "unicode_escape", "nonsense", "utf-7", "idna", "", "x" * 5000])
def test_what_is_no_encoding_is_not_believed(label):
    found = decode(f'<html><meta charset="{label}"><p>Öl +AOk-'.encode())
    assert found is not None
    assert (found.encoding, "Öl +AOk-" in found.text) == ("utf-8", True)


@pytest.mark.parametrize("name", FORMS)
def test_a_mark_wins_over_a_declaration(name):
    text = FORMS[name].format("koi8-r", "Grüße")
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")):
        found = decode(mark + text.encode(encoding), name)
        assert found is not None
        assert (found.text, found.encoding, found.problem) == (text, encoding, "")


def test_a_declaration_that_the_bytes_refute_is_reported():
    utf_8 = decode('<html><meta charset="iso-8859-1"><p>Grüße aus Köln'.encode())
    assert utf_8 is not None
    assert ("Grüße aus Köln" in utf_8.text, "declares cp1252" in utf_8.problem) == (True, True)
    legacy = decode('<html><meta charset="utf-8"><p>Grüße aus Köln, schöne Straße'.encode("cp1252"))
    assert legacy is not None
    assert ("Grüße aus Köln" in legacy.text, "declares utf-8" in legacy.problem) == (True, True)


def test_examples_of_declarations_in_prose_declare_nothing():
    text = "# Notes\n\n# -*- coding: latin-1 -*-\n<meta charset='koi8-r'> for Zoë\n"
    found = decode(text.encode(), "a.md")
    assert found is not None
    assert (found.text, found.encoding) == (text, "utf-8")


def test_xml_in_ebcdic_is_read():
    text = '<?xml version="1.0" encoding="cp500"?><a>Grüße</a>'
    found = decode(text.encode("cp500"))
    assert found is not None
    assert found.text == text


def test_a_blob_names_the_codec_that_is_declared():
    data = "<?xml version='1.0' encoding='koi8-r'?><a>Привет</a>".encode("koi8-r")
    assert data.decode(codec_of(data, "a.xml")).endswith("<a>Привет</a>")


# UTF-8 with bad bytes

LINES = {
    "de": "Die Müllabfuhr kommt wegen Überfüllung.\n",
    "ru": "Договор аренды помещения.\n",
    "ja": "契約書は来週の月曜日に署名されます。\n",
    "emoji": "ok 😀 done ✅\n",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize("times", [1, 30, 2000])
def test_utf_8_with_a_few_bad_bytes_stays_utf_8(line, times):
    good = (line * times).encode()
    cut = next(n for n in range(1, 99) if line.encode()[:n].decode("utf-8", "ignore").encode() != line.encode()[:n])
    for data, count, where in (
        (good + b"caf\xe9\n", "1 byte", f"line {times + 1}"),
        (good + line.encode()[:cut], "1 byte", f"line {times + 1}"),
        (b"\xff\xfd\n" + good, "2 bytes", "line 1"),
    ):
        found = decode(data)
        assert found is not None
        assert (found.text, found.encoding) == (data.decode("utf-8", "replace"), "utf-8")
        assert f"{count} ({where}) could not be decoded" in found.problem


def test_a_cut_character_in_plain_ascii_is_utf_8():
    found = decode(b"plain words\nand more " + "€".encode()[:2])
    assert found is not None
    assert (found.encoding, found.text) == ("utf-8", "plain words\nand more \ufffd")


def test_lines_with_bad_bytes_are_named_but_not_all_of_them():
    found = decode("Grüße\n".encode() * 10 + b"\xff\n" * 7)
    assert found is not None
    assert "7 bytes (lines 11, 12, 13, 14, 15 and more)" in found.problem


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Grüße ", "東京", "\n", "\r\n", "a, ", b"\xff", b"\xe9", b"\xe2\x82", "😀\n"]), max_size=60
    )
)
def test_spans_and_text_are_those_of_python_where_bytes_are_replaced(pieces):
    data = "Überschrift größer\n".encode() * 40 + b"".join(p if isinstance(p, bytes) else p.encode() for p in pieces)
    found = parse("a.txt", data, Limits())
    assert isinstance(found, Parsed)
    assert (found.text, found.verbatim) == (data.decode("utf-8", "replace"), True)
    assert all(found.text[part.start_index : part.end_index] == part.text for part in found.parts)


# Guesses


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "gb18030", "cp932", "cp949", "big5", "cp1253", "cp874"])
def test_without_a_nul_byte_it_is_never_utf_16(encoding):
    text = {"cp1252": "äöüßéè", "cp1251": "Договор", "gb18030": "合同将于", "cp932": "契約書は", "cp949": "계약서는",
            "big5": "合約將於", "cp1253": "συμβόλαιο", "cp874": "สัญญาจะ"}[encoding]  # fmt: skip
    for size in range(2, 40, 3):
        found = decode((text * 20)[:size].encode(encoding))
        assert found is not None
        assert not found.encoding.startswith("utf-16"), size


def test_seven_bit_japanese_is_read():
    text = "Subject 契約書は来週\nplain line\n"
    found = decode(text.encode("iso2022_jp"))
    assert found is not None
    assert found.text == text


def test_the_guess_looks_at_the_lines_that_are_not_ascii():
    text = "plain ASCII\n" * 20_000 + "La réunion du comité a été reportée à lundi.\n" + "plain\n" * 20_000
    found = decode(text.encode("cp1252"))
    assert found is not None
    assert found.text == text
    assert "does not declare its encoding" in found.problem
