"""Regular expressions and file name patterns, matched by RE2 as in the server's own language.

Python's `re` backtracks, and holds the interpreter lock while it does: one hostile pattern would stop the whole server,
and no timer could end it. RE2 takes time linear in the text, so a deadline can be kept.
"""

from __future__ import annotations

from typing import Any, Final

import re2  # type: ignore[import-untyped]

_MAX_BYTES: Final = 1 << 23
_GO_WORDS: Final = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "pattern too large - compile failed": "expression too large",
}
"""The errors of the C++ library in the words of Go's, which the server has."""
_WILDCARDS: Final = {"**/": "(?:[\\s\\S]*/)?", "**": "[\\s\\S]*", "*": "[^/]*", "?": "[^/]"}


class PatternError(ValueError):
    """The pattern cannot be read, or would need too much memory."""


class Pattern:
    """A compiled pattern."""

    def __init__(self, source: str) -> None:
        """Compiles a pattern.

        Args:
            source: The pattern, in RE2's syntax.

        Raises:
            PatternError: It is malformed or too large. The text is the server's.
        """
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_BYTES
        try:
            self._compiled: Any = re2.compile(_encoded(source), options)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace") if error.args else ""
            raise PatternError(f"error parsing regexp: {_in_go_words(reason, source)}") from None

    def search(self, text: str) -> bool:
        """True when the pattern matches anywhere in the text."""
        return self._compiled.search(_encoded(text)) is not None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # A lone surrogate has no UTF-8.


def _in_go_words(reason: str, source: str) -> str:
    code, separator, expression = reason.partition(": ")
    return f"{_GO_WORDS.get(code, code)}: `{expression if separator else source}`"


def literal_source(text: str) -> str:
    """Returns a pattern that matches exactly a text."""
    return "".join(c if c.isalnum() or c == "_" else f"\\{c}" if c.isascii() and c.isprintable() else c for c in text)


def glob_pattern(glob: str) -> Pattern:
    """Compiles a file name pattern: `*`, `?`, `**`, `[a-z]`, `{a,b}`.

    Args:
        glob: The pattern of a path with `/` between its parts.

    Returns:
        A pattern for the whole path.

    Raises:
        PatternError: Brackets or braces do not close.
    """
    out: list[str] = []
    at = depth = 0
    while at < len(glob):
        wildcard = next((w for w in _WILDCARDS if glob.startswith(w, at)), None)
        if wildcard is not None:
            out.append(_WILDCARDS[wildcard])
            at += len(wildcard)
            continue
        char = glob[at]
        at += 1
        if char == "[":
            stop = glob.find("]", at + 1)
            if stop < 0:
                raise PatternError("missing `]`")
            body = glob[at:stop].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[^{body[1:]}]" if body[:1] in ("!", "^") else f"[{body}]")
            at = stop + 1
        elif char in "{}," and (char == "{" or depth):
            depth += {"{": 1, "}": -1, ",": 0}[char]
            out.append({"{": "(?:", "}": ")", ",": "|"}[char])
        else:
            out.append(literal_source(char))
    if depth:
        raise PatternError("missing `}`")
    return Pattern(f"\\A(?:{''.join(out)})\\z")
