from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.emulator.agents.search_tools import Pattern, PatternError, glob_pattern, literal_source

SAMPLES = [
    "",
    "a",
    "ab",
    "aab",
    "abc abc",
    "foo.bar",
    "FOO",
    "x1y22",
    "a\tb",
    "[x]",
    "über",
    "日本語",
    "a-b_c",
    "aaaa",
    "--",
    "^$",
]


@pytest.mark.parametrize(
    "source",
    [
        "a", "a*b", "a+?b", "(ab|a)c?", "^a", "b$", "^$", r"\bab\b", r"\Bb", r"\d+", r"[a-c]+\s", "[^a-z]", "a{2}", "a{2,}", "a{1,3}b",
        "(?i)foo", "(?i:FO)o", "(?P<n>a)b", "x|y|z", r"\.", r"[\]x]", "[]x]", "[a-]", ".", "a.c", "(a|b)*c", "(a*)*b", "", "a||b", r"\w\W", "{", "a{x}",
    ],
)  # fmt: skip
def test_agrees_with_re(source: str) -> None:
    pattern = Pattern(source)
    for text in SAMPLES:
        assert pattern.search(text) == bool(re.search(source, text, re.ASCII)), (source, text)


SOURCES = st.recursive(
    st.sampled_from(["a", "b", "c", ".", "[ab]", "^", "$", r"\b"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda p: f"(?:{p[0]}|{p[1]})"),
        st.tuples(inner, st.sampled_from("*+?")).map(lambda p: f"(?:{p[0]}){p[1]}"),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("examples", [80, pytest.param(200, marks=pytest.mark.exhaustive)])
def test_agrees_with_re_on_anything(examples: int) -> None:
    @given(SOURCES, st.text("abc ", max_size=8))
    @settings(max_examples=examples, deadline=None)
    def check(source: str, text: str) -> None:
        assert Pattern(source).search(text) == bool(re.search(source, text, re.ASCII))

    check()


@pytest.mark.parametrize(
    "source",
    [
        "(", ")", "a)", "[a", "*a", "a**", r"\1", "(?=a)", "(?<=a)", "(?<!a)", "(?!a)", "a{1001}", "a{3,2}", "[z-a]", r"\p{Nope}", "\\", r"\xzz",
        "(?x)", "[[:nope:]]",
    ],
)  # fmt: skip
def test_refuses_what_the_server_refuses(source: str) -> None:
    with pytest.raises(PatternError):
        Pattern(source)


@pytest.mark.parametrize("source", ["(a{1000}){1000}", "((((){1000}){1000}){1000}){1000}"])
def test_refuses_patterns_that_need_too_much(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(PatternError):
        Pattern(source)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("source", ["(a+)+$", "(a|aa)+$", "(a|a?)+b", "(.*)(.*)(.*)(.*)x", "(a*)*b"])
def test_a_hostile_pattern_costs_linear_time(source: str) -> None:
    started = time.monotonic()
    assert not Pattern(source).search("a" * 20_000 + "!")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("(", "missing closing ): `(`"),
        ("[a", "missing closing ]: `[a`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        (r"\1", "invalid escape sequence: `\\1`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("\\", "trailing backslash at end of expression: `\\`"),
        ("a)", "unexpected ): `a)`"),
    ],
)
def test_syntax_errors_have_the_servers_words(source: str, reason: str, capfd) -> None:
    with pytest.raises(PatternError) as caught:
        Pattern(source)
    assert str(caught.value) == f"error parsing regexp: {reason}"
    assert capfd.readouterr() == ("", "")


def test_lone_surrogates_are_no_error() -> None:
    assert Pattern("a\ud83d?b|x").search("\ud83d x")


def test_unicode_categories_and_case() -> None:
    assert Pattern(r"\p{Lu}\p{Ll}").search("Über")
    assert not Pattern(r"\pN").search("abc")
    assert Pattern("(?i)straße").search("STRAßE")
    assert Pattern("(?i)ÜBER").search("über")


@given(st.text(max_size=12))
def test_a_literal_finds_itself_and_only_itself(text: str) -> None:
    pattern = Pattern(literal_source(text))
    assert pattern.search(f"x{text}y")
    assert not text or not pattern.search("")


@pytest.mark.parametrize(
    ("glob", "name", "matches"),
    [
        ("*.py", "a.py", True), ("*.py", "d/a.py", False), ("**/*.py", "a.py", True), ("**/*.py", "d/e/a.py", True), ("d/**", "d/e/f", True),
        ("?.txt", "a.txt", True), ("?.txt", "ab.txt", False), ("*.{js,ts}", "x.ts", True), ("*.{js,ts}", "x.py", False), ("[!a].c", "b.c", True),
        ("[!a].c", "a.c", False), ("a+b(1).txt", "a+b(1).txt", True), ("a,b", "a,b", True), ("日*", "日本", True),
    ],
)  # fmt: skip
def test_globs(glob: str, name: str, matches: bool) -> None:
    assert glob_pattern(glob).search(name) == matches


def test_a_hostile_glob_costs_linear_time() -> None:
    started = time.monotonic()
    assert not glob_pattern("**/" * 30 + "*a" * 30 + "b").search("a/" * 200 + "a" * 200)
    assert time.monotonic() - started < 2


def test_broken_globs_are_refused() -> None:
    for glob in ("[a", "{a"):
        with pytest.raises(PatternError):
            glob_pattern(glob)
