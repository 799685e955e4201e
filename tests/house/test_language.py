"""The package speaks plain engineering English, in docstrings, comments, help and messages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.house.modules import MODULES, PACKAGE, nodes_of

WORDS: Final = re.compile(
    r"\b(?:told|tells?|heard|hears?|asked|stands?|anew|besides|left behind|whoever came)\b", re.IGNORECASE
)
"""Say emitted, reported or returned; received or handled; requested; is located; again; concurrently; orphaned; owner."""

QUESTIONS: Final = re.compile(r"(?:What|Who|How|Where|Whether)\b")
"""A docstring begins with a verb and names the thing: "Returns …", "Stores …", "True when …"."""

USES: Final[Mapping[str, int]] = {
    "chat_models": 6,
    "cli": 1,
    "emulator": 11,
    "notebook": 1,
    "testing": 1,
}
"""How often a part of the package may still use such words. Numbers only fall; a part that is not here uses none."""

MOST_QUESTIONS: Final = 5
"""Docstrings that begin with a question word."""


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """The comments and strings of a module, with their lines. Names of the code are not prose."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind in {"COMMENT", "STRING", "FSTRING_MIDDLE"}:
            # Before Python 3.12 an f-string is one token, with the code in it.
            formatted = kind == "STRING" and "f" in token.string.lower().partition(token.string[-1])[0]
            yield token.start[0], re.sub(r"\{[^{}]*\}", "", token.string) if formatted else token.string


def uses(source: str) -> list[tuple[int, str]]:
    if not WORDS.search(source):  # Most modules: what is nowhere in them needs no tokens.
        return []
    return [(line, found[0]) for line, text in prose(source) for found in WORDS.finditer(text)]


def docstrings(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Those of modules, classes, functions, attributes and constants."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value.lstrip()


@cache
def found_in_parts() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for line, word in uses(path.read_text()):
            found[part_of(path)].append(f"{path.relative_to(PACKAGE)}:{line} {word}")
    return found


@pytest.mark.parametrize("part", sorted({part_of(path) for path in MODULES}))
def test_words_with_a_plainer_one_are_not_used(part):
    found = found_in_parts().get(part, [])
    assert len(found) <= USES.get(part, 0), "\n".join(found)


def test_docstrings_begin_with_a_verb_or_a_name():
    found = [
        f"{path.relative_to(PACKAGE)}:{line} {text.splitlines()[0]}"
        for path in MODULES
        for line, text in docstrings(nodes_of(path))
        if QUESTIONS.match(text)
    ]
    assert len(found) <= MOST_QUESTIONS, "\n".join(found)


def test_the_checks_find_what_they_look_for():
    source = '''"""What is told."""\nasked = "as told"  # Nobody heard it.\nmessage = f"It {asked} stands."\nx = 1\n"""Whether x."""\n'''
    assert [word for _, word in uses(source)] == ["told", "told", "heard", "stands"]
    assert [text for _, text in docstrings(ast.walk(ast.parse(source))) if QUESTIONS.match(text)] == [
        "What is told.",
        "Whether x.",
    ]
