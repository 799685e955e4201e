"""Reads the pattern language of the server's Grep: RE2's, without back-references and look-around.

Owns: the grammar and the syntax tree.
Refuses to know: how a tree is matched.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

CharTest = Callable[[str], bool]

MAX_DEPTH = 60
MAX_REPEAT = 1000
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGITS = frozenset("0123456789")
_SPACES = frozenset(" \t\n\r\f\v")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_POSIX: dict[str, CharTest] = {
    "alpha": lambda c: c.isascii() and c.isalpha(),
    "digit": lambda c: c in _DIGITS,
    "alnum": lambda c: c.isascii() and c.isalnum(),
    "upper": lambda c: c.isascii() and c.isupper(),
    "lower": lambda c: c.isascii() and c.islower(),
    "space": lambda c: c in _SPACES,
    "punct": lambda c: c.isascii() and c.isprintable() and not c.isalnum() and c != " ",
    "word": lambda c: c in _WORD,
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}

AssertKind = Literal["start", "end", "boundary", "no_boundary"]


class PatternError(ValueError):
    """The pattern cannot be read, or would need too much memory."""


@dataclass(frozen=True, slots=True)
class Char:
    """One character that passes a test."""

    test: CharTest


@dataclass(frozen=True, slots=True)
class Assertion:
    """A place in the text that takes no character."""

    kind: AssertKind


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part `low` to `high` times; no `high` means without end."""

    part: Node
    low: int
    high: int | None


Node = Char | Assertion | Sequence | Choice | Repeat


def is_word(char: str) -> bool:
    """Tells whether a character belongs to a word, in ASCII as in RE2."""
    return char in _WORD


def _none_of(test: CharTest) -> CharTest:
    return lambda c: not test(c)


_CLASSES: dict[str, CharTest] = {
    "d": lambda c: c in _DIGITS,
    "w": is_word,
    "s": lambda c: c in _SPACES,
    "D": lambda c: c not in _DIGITS,
    "W": lambda c: c not in _WORD,
    "S": lambda c: c not in _SPACES,
}
_CATEGORY = re.compile(r"L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cf]?")
_ASSERTIONS: dict[str, AssertKind] = {"A": "start", "z": "end", "Z": "end", "b": "boundary", "B": "no_boundary"}


def parse(pattern: str) -> Node:
    """Reads a pattern.

    Args:
        pattern: In RE2's syntax.

    Returns:
        Its tree.

    Raises:
        PatternError: If it is malformed or uses what RE2 has not.
    """
    reader = _Reader(pattern)
    node = reader.choice(0)
    if not reader.done:
        raise PatternError("unexpected `)`")
    return node


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.fold = False
        self.dot_all = False

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def peek(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def take(self, what: str) -> bool:
        if self.peek(what):
            self.at += len(what)
            return True
        return False

    def next(self) -> str:
        if self.done:
            raise PatternError("the pattern ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def until(self, end: str) -> str:
        stop = self.text.find(end, self.at)
        if stop < 0:
            raise PatternError(f"missing `{end}`")
        found = self.text[self.at : stop]
        self.at = stop + len(end)
        return found

    def choice(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise PatternError("groups are nested too deeply")
        options = [self.sequence(depth)]
        while self.take("|"):
            options.append(self.sequence(depth))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while not self.done and not self.peek("|") and not self.peek(")"):
            if self.take("\\Q"):
                end = self.text.find("\\E", self.at)
                literal = self.text[self.at : end if end >= 0 else len(self.text)]
                self.at = min(self.at + len(literal) + 2, len(self.text))
                parts.extend(self.char(_equal(c)) for c in literal)
                continue
            parts.append(self.repeated(self.atom(depth)))
        return Sequence(tuple(parts))

    def repeated(self, node: Node) -> Node:
        bounds = self.bounds()
        if bounds is None:
            return node
        self.take("?")  # Laziness changes which text is found, never whether there is one.
        if self.bounds() is not None:
            raise PatternError("invalid nested repetition operator")
        return Repeat(node, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        for sign, pair in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(sign):
                return pair
        if not self.peek("{"):
            return None
        stop = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : stop].partition(",") if stop > 0 else ("", "", "")
        if not (low.isascii() and low.isdigit()) or (high and not (high.isascii() and high.isdigit())):
            return None  # RE2 takes such a brace literally.
        self.at = stop + 1
        least, most = int(low), int(high) if high else (None if comma else int(low))
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise PatternError("invalid repeat count")
        return least, most

    def atom(self, depth: int) -> Node:
        char = self.next()
        if char == "(":
            return self.group(depth)
        if char == "[":
            return self.char(self.bracket())
        if char == "\\":
            return self.escape()
        if char == ".":
            return Char((lambda _: True) if self.dot_all else (lambda c: c != "\n"))
        if char in "^$":
            return Assertion("start" if char == "^" else "end")
        if char in "*+?" or (char == "{" and self._counts()):
            raise PatternError(f"missing argument to repetition operator `{char}`")
        return self.char(_equal(char))

    def _counts(self) -> bool:
        self.at -= 1
        counted = self.bounds() is not None
        if not counted:
            self.at += 1
        return counted

    def group(self, depth: int) -> Node:
        fold, dot_all = self.fold, self.dot_all
        if self.take("?"):
            if self.take("P<") or (self.peek("<") and not self.peek("<=") and not self.peek("<!") and self.take("<")):
                self.until(">")
            elif self.flags():
                return Sequence(())
        node = self.choice(depth + 1)
        if not self.take(")"):
            raise PatternError("missing `)`")
        self.fold, self.dot_all = fold, dot_all
        return node

    def flags(self) -> bool:
        """Reads `i)`, `s:`, `-i)`…; True if the group ends with them."""
        on = True
        while (char := self.next()) not in ":)":
            if char == "-":
                on = False
            elif char == "i":
                self.fold = on
            elif char == "s":
                self.dot_all = on
            elif char not in "mU":  # One line at a time: these two change nothing.
                raise PatternError(f"unsupported group `(?{char}`: look-around and back-references do not exist here")
        return char == ")"

    def escape(self) -> Node:
        char = self.next()
        if char in _ASSERTIONS:
            return Assertion(_ASSERTIONS[char])
        return self.char(self.escaped(char))

    def escaped(self, char: str) -> CharTest:
        if char in _CLASSES:
            return _CLASSES[char]
        if char in "pP":
            return self.category(negated=char == "P")
        return _equal(self.literal(char))

    def literal(self, char: str) -> str:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            digits = self.until("}") if self.take("{") else self.next() + self.next()
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError):
                raise PatternError(f"invalid escape `\\x{digits}`") from None
        if char.isalnum():
            raise PatternError(f"invalid escape `\\{char}`: back-references do not exist here")
        return char

    def category(self, *, negated: bool) -> CharTest:
        name = self.until("}") if self.take("{") else self.next()
        if name.startswith("^"):
            name, negated = name[1:], not negated
        if not _CATEGORY.fullmatch(name):
            raise PatternError(f"unknown character category `{name}`")
        test: CharTest = lambda c: unicodedata.category(c).startswith(name)  # noqa: E731
        return _none_of(test) if negated else test

    def bracket(self) -> CharTest:
        negated = self.take("^")
        tests: list[CharTest] = []
        while not self.take("]") or not tests:
            if self.at and not tests and self.text[self.at - 1] == "]":
                tests.append(_equal("]"))
                continue
            tests.append(self.member())
        fold = self.fold
        test: CharTest = lambda c: any(t(v) for t in tests for v in (_variants(c) if fold else (c,)))  # noqa: E731
        return _none_of(test) if negated else test

    def member(self) -> CharTest:
        if self.take("[:"):
            name = self.until(":]")
            test = _POSIX.get(name.removeprefix("^"))
            if test is None:
                raise PatternError(f"unknown character class `[:{name}:]`")
            return _none_of(test) if name.startswith("^") else test
        low = self.next()
        if low == "\\":
            low = self.next()
            if low in _CLASSES or low in "pP":
                return self.escaped(low)
            low = self.literal(low)
        if not self.peek("-") or self.peek("-]"):
            return _equal(low)
        self.at += 1
        high = self.next()
        high = self.literal(self.next()) if high == "\\" else high
        if high < low:
            raise PatternError(f"invalid character range `{low}-{high}`")
        return lambda c: low <= c <= high

    def char(self, test: CharTest) -> Char:
        if not self.fold:
            return Char(test)
        return Char(lambda c: any(test(v) for v in _variants(c)))


def _equal(char: str) -> CharTest:
    return lambda c: c == char


def _variants(char: str) -> tuple[str, ...]:
    return (char, char.lower(), char.upper(), char.casefold())
