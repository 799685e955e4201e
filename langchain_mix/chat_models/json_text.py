"""JSON in what a model wrote, and JSON for a model to read.

Owns: strict reading of one JSON text, finding the JSON value in a reply, and writing JSON that no tag can end.
Refuses to know: tools and schemas.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

_FENCED = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[^\n`]*\n(.*?)^[ ]{0,3}\1[ \t]*$", re.DOTALL | re.MULTILINE)
_WHOLE_FENCE = re.compile(r"\s*(`{3,}|~{3,})[ \t]*[\w-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*\1\s*", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}|\\u[dD][c-fC-F][0-9a-fA-F]{2}")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse)


def read_json(text: str) -> Any:
    """Reads a JSON text to the letter, but for raw line breaks in strings, which models write and which are harmless.

    Args:
        text: One JSON value with white space around it.

    Returns:
        The value.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or holds half of a surrogate pair, which no UTF-8 text can.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not _encodable(value, text):
        raise ValueError("a string holds half of a surrogate pair")
    return value


def unfenced(text: str) -> str:
    """Takes the code fence off a text that is one code block; gives any other text back as it is."""
    match = _WHOLE_FENCE.fullmatch(text)
    return match[2] if match else text


def find_json(text: str, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
    """Finds the JSON value that a reply gives: the whole reply, else its last code block, else the last value in it.

    Args:
        text: The reply.
        wanted: Whether a value is of the kind that is looked for; others are passed over.

    Returns:
        The value.

    Raises:
        ValueError: There is none.
    """
    try:
        value = read_json(unfenced(text))
    except ValueError as error:
        problem = error
    else:
        if wanted(value):
            return value
        problem = ValueError("the JSON value is of another type")
    found = [value for value in _candidates(text) if wanted(value)]
    if not found:
        raise ValueError(f"no JSON value of the wanted kind in the reply: {problem}")
    return found[-1]


def _candidates(text: str) -> Iterator[Any]:
    """All objects and arrays in prose, those in code blocks last."""
    yield from _values(text)
    for match in _FENCED.finditer(text):
        yield from _values(match[2])


def _values(text: str) -> Iterator[Any]:
    at = 0
    while opening := _OPENING.search(text, at):
        try:
            value, at = _DECODER.raw_decode(text, opening.start())
        except RecursionError:
            return  # Every bracket of the nest would have to be tried in vain.
        except ValueError:
            at = opening.end()
        else:
            if _encodable(value, text):
                yield value


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

    Args:
        value: Plain data; what is none is written as its text.

    Returns:
        JSON in which `</` is written `<\/`, which means the same.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:  # Half of a surrogate pair can only be sent as an escape.
        text = json.dumps(value, default=str)
    return text.replace("</", "<\\/")
