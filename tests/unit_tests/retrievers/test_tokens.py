"""Search terms in every script."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.retrievers.ranking import LexicalIndex
from langchain_mix.retrievers.tokens import terms_of


def together(one: str, other: str) -> bool:
    """Whether a search for one finds the other."""
    return bool(set(terms_of(one)) & set(terms_of(other)))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("invoice", "the INVOICE."),
        ("café", "CAFE"),
        ("cafe\u0301", "café"),
        ("strasse", "Straße"),
        ("Łódź", "lodz"),
        ("istanbul", "İSTANBUL"),
        ("ёлка", "Елка"),
        ("ΟΔΟΣ", "οδος"),
        ("שלום", "שָׁלוֹם"),
        ("محمد", "مُحَمَّد"),
        ("ﬁle", "file"),
        ("ｗｉｄｅ", "wide"),
        ("soft\u00adhyphen", "softhyphen"),
        ("हिन्दी", "यह हिन्दी पाठ है"),
        ("files", "a file"),
        ("indexing", "indexed"),
        ("queries", "one query"),
        ("classes", "class"),
        ("boxes", "box"),
        ("stored", "store"),
        ("readFile", "def read_file(path):"),
        ("read_file", "readFile()"),
        ("file", "readFile"),
        ("http", "HTTPServer"),
        ("server", "HTTPServer"),
        ("httpserver", "HTTPServer"),
        ("join", "os.path.join"),
        ("os.path.join", "import os; os.path.join(a, b)"),
        ("sha", "sha256"),
        ("sha256", "SHA-256"),
        ("3.14", "about 3.14."),
        ("2026-11-20", "on 2026-11-20 at"),
        ("model", "the model's size"),
        ("model", "the model’s size"),
        ("東京", "東京都に住む"),
        ("猫", "黒猫がいる"),
        ("コンピュータ", "コンピューター"),
        ("ｶﾞｽ", "ガス"),
        ("서울", "서울에서"),
        ("ภาษา", "ภาษาไทยง่าย"),
        ("中文", "abc中文def"),
    ],
)
def test_a_query_finds_the_text(query, text):
    assert together(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [("が", "か"), ("not", "note"), ("ring", "r"), ("bed", "b"), ("cat", "concatenate"), ("3.14", "314")],
)
def test_what_differs_stays_apart(query, text):
    assert not together(query, text)


def test_a_name_gives_its_words_and_itself():
    assert terms_of("os.path.join") == ["os", "path", "join", "ospathjoin"]
    assert terms_of("getHTTPResponse2xx") == ["get", "http", "response"[:-1], "2", "xx", "gethttpresponse2xx"]


def test_vowel_signs_do_not_end_a_word():
    assert terms_of("हिन्दी") == ["हिन्दी"]


def test_no_letters_no_terms():
    assert terms_of("") == terms_of(" \n\t…—*** ::: ,;") == []


def test_terms_are_counted_as_often_as_they_occur():
    assert terms_of("red blue red").count("red") == 2


@given(st.text())
def test_any_text_has_terms_that_are_short_and_folded(text):
    for term in terms_of(text):
        assert 0 < len(term) <= 64
        assert not term[0].isspace()


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_text_finds_itself_in_capitals(text):
    if text.isascii():
        assert set(terms_of(text.lower().replace("'", " "))) >= set(terms_of(text.upper().lower().replace("'", " ")))


@pytest.mark.parametrize("scale", [5, pytest.param(1, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(
    ("piece", "times"), [("a", 1_000_000), ("a.", 500_000), ("漢", 300_000), ("aB", 300_000), ("\u0301", 500_000)]
)
def test_no_text_takes_long(piece, times, scale):
    start = time.process_time()
    terms_of(piece * (times // scale))
    assert time.process_time() - start < 10 / scale


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("the infor-\nmation desk", "information"),
        ("the inven-\r\n   tories", "inventories"),
        ("Zusam\u00ad\nmenfassung", "Zusammenfassung"),
        ("\u00fcber\u2010\nm\u00fctig", "\u00fcberm\u00fctig"),
        ("state-of-\nthe-art", "state-of-the-art"),
    ],
)
def test_words_hyphenated_at_the_end_of_a_line_are_found_both_ways(text, word):
    terms = terms_of(text)
    assert set(terms_of(word)) <= set(terms)
    assert set(terms_of(text.replace("\u00ad", "-").split("-", 1)[0].split()[-1])) <= set(terms)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("C#", ["c", "c#"]),
        ("C\u266f", ["c", "c#"]),
        ("\uff23\uff03", ["c", "c#"]),
        ("c++17", ["c", "c++", "17"]),
        ("C/C++.", ["c", "c", "cc", "c++"]),
        ("F# and a* (g++)", ["f", "f#", "and", "a", "a*", "g", "g++"]),
        (".NET", ["net", ".net"]),
        ("ASP.NET", ["asp", "net", "aspnet"]),
        ("Objective-C", ["objectiv", "c", "objectivec"]),
        ("**bold** 5*3 #tag ...end a+b", ["bold", "5", "3", "tag", "end", "a", "b"]),
    ],
)
def test_signs_that_make_another_name_of_a_word_belong_to_it(text, terms):
    assert terms_of(text) == terms


@pytest.mark.parametrize("name", ["c#", "C++", "f#", ".net", "node.js", "Objective-C", "a*", "g++"])
def test_a_name_with_signs_finds_its_own_text_first(name):
    texts = [
        "Written in C.",
        "Written in F.",
        "A net for fish.",
        "A node of a graph.",
        "An objective.",
        "A star.",
        "G is a key.",
    ]
    names = ["c#", "c++", "f#", ".net", "node.js", "objective-c", "a*", "g++"]
    texts += [f"Written in {one}." for one in names]
    found = LexicalIndex([terms_of(text) for text in texts]).rank(terms_of(name), 3)
    assert texts[found[0].position] == f"Written in {name.lower()}."


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("german", ["Häuser", "Haus", "HAUSES", "hauser"]),
        ("french", ["répété", "répétée", "répétées"]),
        ("russian", ["птица", "птицы", "ПТИЦАМИ"]),
        ("finnish", ["talo", "talossa", "talosta"]),
        ("english", ["generous", "generously"]),
        ("turkish", ["kitaplar", "kitapları"]),
    ],
)
def test_the_forms_of_a_word_have_one_term_in_its_language(language, forms):
    assert len({tuple(terms_of(form, language)) for form in forms}) == 1
    assert len({tuple(terms_of(form)) for form in forms}) > 1


def test_names_and_scripts_without_spaces_are_the_same_in_every_language():
    for text in ("C# and C++", ".NET", "3.14", "日本語", "한국어"):
        assert set(terms_of(text, "german")) >= set(terms_of(text)) - {"and"}
    assert terms_of("readFile", "english") == terms_of("read_file", "english")


def test_many_threads_may_take_terms_at_once():
    words = [f"Wohnung{'en' * (n % 2)}{chr(97 + n % 26)}" for n in range(3000)]
    alone = [terms_of(word, "german") for word in words]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda word: terms_of(word, "german"), words)) == alone
