"""The text of HTML.

Owns: which elements show text, where lines break, and sections under headings. Refuses to know: styles and scripts,
which may show and hide anything, and how markup is cut (`html_tokens.py`).
"""

from __future__ import annotations

import html
import re
from typing import Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector, TextFile
from langchain_mix.retrievers.parsing.html_tokens import Token, tokens_of
from langchain_mix.retrievers.parsing.lines import LineIndex
from langchain_mix.retrievers.parsing.parts import Parsed, Place

_HIDDEN: Final = frozenset({"script", "style", "template", "iframe", "noembed", "noframes"})
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "desc", "details", "dialog",
     "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "foreignobject", "form", "h1", "h2", "h3",
     "h4", "h5", "h6", "head", "header", "hgroup", "hr", "html", "legend", "li", "listing", "main", "marquee", "menu",
     "menuitem", "nav", "object", "ol", "optgroup", "option", "p", "plaintext", "pre", "rtc", "search", "section",
     "select", "summary", "table", "tbody", "text", "textarea", "tfoot", "thead", "title", "tr", "ul", "xmp"}
)  # fmt: skip
"""Elements that stand on lines of their own, those of SVG included."""
_APART: Final = frozenset(
    {"a", "audio", "button", "canvas", "data", "datalist", "embed", "input", "label", "meter", "output", "progress",
     "rp", "rt", "svg", "textpath", "tspan", "video", "math", "mfrac", "mi", "mn", "mo", "mover", "mroot", "ms",
     "msqrt", "mtd", "mtext", "munder"}
)  # fmt: skip
"""Elements that stand apart on a line: what one begins with is not the end of the word before it. Of links that is
so between two of a kind only: within a text, a link may be a part of a word."""
_APART_AMONG_EACH_OTHER: Final = frozenset({"a", "tspan", "data"})
_CELLS: Final = frozenset({"td", "th"})
_VALUE: Final = re.compile(r"""(?:^|\s)value\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_NO_VALUE: Final = re.compile(
    r"""(?:^|\s)type\s*=\s*["']?(?:hidden|password|checkbox|radio|file|image|color|range)\b""", re.IGNORECASE
)
_HEADING: Final = re.compile(r"h([1-6])")
_ALT: Final = re.compile(r"""(?:^|\s)alt\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+")


def read_html(source: TextFile, limits: Limits) -> Parsed:
    """Reads HTML, a part for each section under a heading; lines are those of the file."""
    found = Collector(limits)
    found.problems += source.problems
    reader = _Reader(found, source.text)
    with found.bounded():
        for number, token in enumerate(tokens_of(source.text)):
            if number % 1000 == 0:
                found.check_time()
            reader.take(token)
        reader.end_section()
    return found.parsed("html")


class _Reader:
    """Takes tokens and adds sections."""

    def __init__(self, found: Collector, text: str) -> None:
        self._found = found
        self._lines = LineIndex(text)
        self._hidden: str = ""
        self._hidden_depth = 0
        self._preformatted = 0
        self._blocks: list[str] = []
        self._inline: list[str] = []
        self._line_has_text = False
        self._headings: list[tuple[int, str]] = []
        self._first = self._last = 0
        self._heading_from: int | None = None
        self._closed = ""  # The element that has just ended, as long as no text followed.

    def take(self, token: Token) -> None:
        if self._hidden:
            self._skip(token)
        elif token.kind == "text":
            self._text(token)
        elif token.kind == "start":
            self._start(token)
        else:
            self._end(token)

    def _skip(self, token: Token) -> None:
        if token.value == self._hidden and token.kind != "text":
            self._hidden_depth += 1 if token.kind == "start" else -1
            if not self._hidden_depth:
                self._hidden = ""

    def _text(self, token: Token) -> None:
        self._closed = ""
        text = html.unescape(token.value)
        if text.strip():
            if not self._line_has_text and not self._blocks:
                self._first = token.start
            self._line_has_text = True
            self._last = token.start + len(token.value.rstrip()) - 1
        self._inline.append(text)

    def _start(self, token: Token) -> None:
        if token.value in _HIDDEN:
            self._hidden, self._hidden_depth = token.value, 1
        elif heading := _HEADING.fullmatch(token.value):
            self.end_section()
            level = int(heading[1])
            self._headings = [(other, text) for other, text in self._headings if other < level]
            self._heading_from = level
        elif token.value in _BLOCKS:
            self._break()
            self._preformatted += token.value == "pre"
        elif token.value in _CELLS:
            self._inline += [" | "] if self._line_has_text else []
        elif token.value in _APART:
            self._set_apart(token)
        elif token.value == "img" and (alt := _ALT.search(token.attributes)):
            self._text(Token("text", f" {alt[1] or alt[2] or ''} ", token.start))

    def _end(self, token: Token) -> None:
        if _HEADING.fullmatch(token.value) and self._heading_from is not None:
            level, self._heading_from = self._heading_from, None
            self._break()
            title = " ".join(self._blocks).strip()
            self._headings += [(level, title)] if title else []
        elif token.value in _BLOCKS:
            self._break()
            self._preformatted -= token.value == "pre" and self._preformatted > 0
        elif token.value in _APART and token.value not in _APART_AMONG_EACH_OTHER:
            self._inline.append(" ")
        self._closed = token.value

    def _set_apart(self, token: Token) -> None:
        if token.value not in _APART_AMONG_EACH_OTHER or self._closed == token.value:
            self._inline.append(" ")
        if token.value == "input" and not _NO_VALUE.search(token.attributes):
            value = _VALUE.search(token.attributes)
            self._text(Token("text", f"{value[1] or value[2] or value[3] or ''} " if value else "", token.start))

    def _break(self) -> None:
        """Ends a line: white space means nothing in it, except where it is preformatted."""
        text, self._inline, self._line_has_text = "".join(self._inline), [], False
        line = text.strip("\n") if self._preformatted else _SPACE.sub(" ", text).strip()
        if line.strip():
            self._blocks.append(line)

    def end_section(self) -> None:
        """Adds what came since the last heading began."""
        self._break()
        self._heading_from = None
        if self._blocks:
            place = Place(
                start_line=self._lines.line_of(self._first),
                end_line=self._lines.line_of(self._last),
                headings=tuple(text for _, text in self._headings),
            )
            text, self._blocks = "\n".join(self._blocks), []
            self._found.add(text, place)
