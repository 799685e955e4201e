"""Reads the JSON in what a model wrote, among prose and code fences, and writes JSON for a model to read.

Owns: strict reading of one JSON text, finding the JSON value in a reply, and writing JSON that no tag can end.
Refuses to know: tools and schemas.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

_FENCE_LINE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})([^\n]*)\n?", re.MULTILINE)
_LANGUAGE = re.compile(r"(`{3,}|~{3,})\s*([\w-]*)")
_OPENING = re.compile(r"[{\[]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_REFUSED = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity|[0-9]{4301,}', re.DOTALL)
_FENCE_BEFORE = re.compile(r"(?:^|(?<=\n))[ ]{0,3}(`{3,}|~{3,})[^\n`]*\n\s*\Z")
_FENCE_AFTER = re.compile(r"\s*?\n[ ]{0,3}(`{3,}|~{3,})[ \t]*(?=\r?\n|\Z)")
_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}|\\u[dD][c-fC-F][0-9a-fA-F]{2}")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} is written twice in one object")
    return read


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse)
_UNIQUE_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse, object_pairs_hook=_unique)


def read_json(text: str, *, unique: bool = False) -> Any:
    """Reads a JSON text to the letter, but for raw line breaks in strings, which models write and which are harmless.

    Args:
        text: One JSON value with white space around it.
        unique: Whether a key that is written twice in an object is refused; otherwise the last one counts.

    Raises:
        ValueError: It is no JSON, is nested too deeply, has a key twice, or holds half of a surrogate pair, which no
            UTF-8 text can.
    """
    try:
        value = (_UNIQUE_DECODER if unique else _DECODER).decode(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not _encodable(value, text):
        raise ValueError("a string holds half of a surrogate pair")
    return value


def unfenced(text: str) -> str:
    """Takes the code fence off a text that is one code block; gives any other text back as it is."""
    first, newline, rest = text.strip().partition("\n")
    fence = _LANGUAGE.fullmatch(first.rstrip())
    if fence is None or not newline or not rest.endswith(fence[1]):
        return text
    return rest.removesuffix(fence[1]).rstrip(" \t").removesuffix("\n").removesuffix("\r")


@dataclass(frozen=True, slots=True)
class FoundJson:
    """A JSON value in a reply, and the text before and after it, without the code fence around it."""

    value: Any
    before: str
    written: str
    after: str


def locate_json(text: str, wanted: Callable[[Any], bool] = lambda _: True) -> FoundJson:
    """Finds the JSON value that a reply gives: the whole reply, else its last code block, else the last value in it.

    Values that are not `wanted` are passed over.

    Raises:
        ValueError: There is none.
    """
    bare = unfenced(text)
    try:
        value = read_json(bare)
    except ValueError as error:
        problem = error
    else:
        if wanted(value):
            return FoundJson(value, "", bare.strip(), "")
        problem = ValueError("the JSON value is of another type")
    found = [place for place in _candidates(text) if wanted(place[0])]
    if not found:
        raise ValueError(f"no JSON value of the wanted kind in the reply: {problem}")
    value, start, end = found[-1]
    before, after = _without_fence(text[:start], text[end:])
    return FoundJson(value, before, text[start:end], after)


def _without_fence(before: str, after: str) -> tuple[str, str]:
    opening, closing = _FENCE_BEFORE.search(before), _FENCE_AFTER.match(after)
    if opening is None or closing is None or opening[1] != closing[1]:
        return before, after
    return before[: opening.start()], after[closing.end() :]


_Place = tuple[Any, int, int]
"""A value, and where in the text it begins and ends."""


def _candidates(text: str) -> Iterator[_Place]:
    """Yields all objects and arrays in prose, then those in code blocks. The work is linear in the text."""
    yield from _values(text, 0, len(text))
    for start, end in _code_blocks(text):
        yield from _values(text, start, end)


def _code_blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yields where the code in each block begins and ends; a fence that nothing closes begins none."""
    fences = list(_FENCE_LINE.finditer(text))
    closing: dict[str, list[int]] = {}
    for number, fence in enumerate(fences):
        if not fence[2].strip():
            closing.setdefault(fence[1], []).append(number)
    after = 0
    for number, fence in enumerate(fences):
        if number < after or "`" in fence[2]:
            continue
        ends = closing.get(fence[1], [])
        place = bisect_right(ends, number)
        if place < len(ends):
            after = ends[place] + 1
            yield fence.end(), fences[ends[place]].start()


class _Unnumbered(str):
    """A text in which nobody counts lines: `json` counts them from the beginning for each error that it raises."""

    __slots__ = ()

    def count(self, *_: Any) -> int:
        return 0

    def rfind(self, *_: Any) -> int:
        return -1


def _values(text: str, start: int, end: int) -> Iterator[_Place]:
    part, at = _Unnumbered(text[start:end]), 0
    known: dict[int, bool] = {}
    while opening := _OPENING.search(part, at):
        began, at = opening.start(), opening.end()
        if not known.get(began, True):
            continue
        try:
            value, at = _DECODER.raw_decode(part, began)
        except RecursionError:
            return  # Every bracket of the nest would have to be tried in vain.
        except ValueError as error:  # Refused constants and numbers come without their place.
            failed = error.pos if isinstance(error, json.JSONDecodeError) else _refused(part, began)
            known |= _brackets(part, began, failed)
        else:
            if _encodable(value, part[began:at]):
                yield value, start + began, start + at


def _refused(part: str, began: int) -> int:
    return next((found.start() for found in _REFUSED.finditer(part, began) if found[0][0] != '"'), began)


def _brackets(part: str, began: int, failed: int) -> dict[int, bool]:
    """Returns where objects and arrays begin in one that breaks off, and which of them are complete.

    What is still open at the break cannot be read from its own beginning either: it breaks at the same place. Trying
    each bracket would read a long text once for each of them.
    """
    opened: list[int] = []
    known: dict[int, bool] = {}
    for token in _TOKEN.finditer(part, began, failed):
        if token[0] in "{[":
            opened.append(token.start())
            known[token.start()] = False
        elif token[0] in "}]" and opened:
            known[opened.pop()] = True
    return known


def _encodable(value: Any, text: str) -> bool:
    if not _SURROGATE.search(text):
        return True
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def write_json(value: Any) -> str:
    r"""Writes a value on one line in its own script, so that no string in it can end a block of tags.

    `</` is written `<\/`, which means the same. What is no plain data is written as its text.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:  # Half of a surrogate pair can only be sent as an escape.
        text = json.dumps(value, default=str)
    return text.replace("</", "<\\/")
