"""Writes a view as plain text: each part exactly once, as soon as it is known.

Owns: the wording, and the colours of a terminal where `rich` is installed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal, TextIO

from langchain_mix.errors import MixError
from langchain_mix.notebook.html import Look, facts_of
from langchain_mix.notebook.items import read_item
from langchain_mix.notebook.view import Media, Notice, Part, Status, Tool, View, Words
from langchain_mix.protocol.terminal_text import harmless

Style = Literal["text", "thinking", "tool", "good", "bad", "note"]

_LINE_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of plain text and what it is."""

    text: str
    style: Style = "text"


class PlainTextWriter:
    """Writes what is new in a view."""

    def __init__(self, look: Look, *, whole: bool = False) -> None:
        """Starts with nothing written. When `whole`, no more will come, so calls that never ended are written too."""
        self._look = look
        self._whole = whole
        self._written: dict[Part, int] = {}
        self._restated: set[Part] = set()
        self._last: Part | None = None
        self._ends: dict[Words, str] = {}
        """Line ends after the last word: written when more follows, so that they leave no gap before a tool."""
        self._open = False
        """True when the last line goes on."""

    def changes(self, view: View) -> Iterator[Span]:
        """Yields what changed since the last call, in order."""
        for part in view.take_changes():
            yield from self.part(part)

    def end(self, view: View) -> Iterator[Span]:
        """Yields how it ended."""
        yield from self._line(" · ".join([view.status, *facts_of(view)]), "note")
        if view.error is not None:
            error = view.error
            message = error.message if isinstance(error, MixError) else str(error)
            yield from self._line(f"{type(error).__name__}: {message}", "bad")
            if isinstance(error, MixError) and error.hint:
                yield from self._line(error.hint, "bad")

    def part(self, part: Part) -> Iterator[Span]:
        """Yields what is new in one part."""
        match part:
            case Words():
                yield from self._words(part)
            case Tool():
                yield from self._tool(part)
            case Media():
                if not self._written.get(part):
                    self._written[part] = 1
                    name = part.title or part.name or part.url
                    yield from self._line(f"[shown] {part.kind}: {name}", "note", part.depth)
            case Notice():
                if not self._written.get(part):
                    self._written[part] = 1
                    yield from self._line(f"[{part.kind}] {part.text}", "note", part.depth)

    def _words(self, words: Words) -> Iterator[Span]:
        if words.thinking and self._look.thinking == "hidden":
            return
        if words.restated and words not in self._restated:
            self._restated.add(words)
            self._written[words] = 0
            self._ends.pop(words, None)
            if words.pieces:
                yield from self._line("[a part of the text was lost on the way; this is the whole of it]", "note")
        new = self._ends.pop(words, "") + harmless("".join(words.pieces[self._written.get(words, 0) :]))
        self._written[words] = len(words.pieces)
        text = new.rstrip("\n")
        self._ends[words] = new[len(text) :]
        if not text:
            return
        style: Style = "thinking" if words.thinking else "text"
        margin = _margin(words.depth)
        if words is not self._last or not self._open:
            yield from self._new_line()
            text = text.lstrip("\n")
            yield Span(margin + ("[thinking] " if words.thinking and words is not self._last else ""), style)
        self._last = words
        self._open = True
        yield Span(text.replace("\n", f"\n{margin}"), style)

    def _tool(self, tool: Tool) -> Iterator[Span]:
        if self._look.tools == "hidden" or (tool.status == "writing" and not self._whole):
            return
        stage = self._written.get(tool, 0)
        if stage < 1:
            self._written[tool] = stage = 1
            arguments = " ".join(tool.input.split())
            yield from self._line(f"[tool] {tool.name} {cut(arguments, _LINE_CHARS)}", "tool", tool.depth)
        if tool.over and stage < 2:  # noqa: PLR2004  # Called, run, and what it gave.
            self._written[tool] = stage = 2
            style: Style = "note" if tool.denied else "bad" if tool.status == "failed" else "good"
            how = "denied" if tool.denied else tool.status
            words = f"[tool] {tool.name} {how} {' '.join(tool.progress.split())}"
            yield from self._line(cut(words.rstrip(), _LINE_CHARS), style, tool.depth)
        if tool.output and stage == 2:  # noqa: PLR2004  # The same.
            self._written[tool] = 3
            output = f"[tool] {tool.name} gave: {cut(tool.output.strip(), self._look.max_output)}"
            yield from self._line(output, "tool", tool.depth)

    def _new_line(self) -> Iterator[Span]:
        if self._open:
            self._open = False
            yield Span("\n")

    def _line(self, text: str, style: Style, depth: int = 0) -> Iterator[Span]:
        """A line of its own, or several."""
        yield from self._new_line()
        margin = _margin(depth)
        yield Span(margin + harmless(text).replace("\n", f"\n{margin}") + "\n", style)
        self._last = None


def _margin(depth: int) -> str:
    return "│ " * depth


def cut(text: str, limit: int) -> str:
    """Returns the beginning of a text that is longer than the limit, and how much more there is."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def as_plain_text(view: View) -> str:
    """Returns all of a view, for frontends that show no HTML: what was said, and the tools in a few lines each."""
    writer = PlainTextWriter(Look(thinking="open", tools="open"), whole=view.status != "running")
    spans = [span for section in view.sections.values() for part in section.parts for span in _all_of(writer, part)]
    return "".join(span.text for span in [*spans, *writer.end(view)]).rstrip("\n")


def _all_of(writer: PlainTextWriter, part: Part) -> Iterator[Span]:
    yield from writer.part(part)
    if isinstance(part, Tool):
        for inner in part.parts:
            yield from _all_of(writer, inner)


_COLOURS: Final[Mapping[Style, str]] = {
    "text": "none",
    "thinking": "dim italic",
    "tool": "cyan",
    "good": "green",
    "bad": "red",
    "note": "yellow",
}


class Terminal:
    """Writes what is new as soon as it comes, from `start` to `finish`.

    Attributes:
        view: What was written.
    """

    def __init__(self, look: Look, *, file: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Writes nothing yet; later to `file`, or to the standard output."""
        self.view = View()
        self._writer = PlainTextWriter(look)
        self._write = _writer(sys.stdout if file is None else file)
        self._clock = clock
        self._began = 0.0

    def start(self) -> None:
        """Begins to count the time."""
        self._began = self._clock()

    def put(self, item: Any) -> None:
        """Takes the next item of the stream and writes what is new."""
        read_item(self.view, item)
        self._write(self._writer.changes(self.view))

    def finish(self, status: Status, error: BaseException | None = None) -> None:
        """Writes how the stream ended."""
        self.view.elapsed = self._clock() - self._began
        self.view.end(status, error)
        self._write(self._writer.changes(self.view))
        self._write(self._writer.end(self.view))

    def refresh(self) -> None:
        """Writes nothing: what is fetched after the end are pictures."""


def _writer(file: TextIO) -> Callable[[Iterable[Span]], None]:
    if find_spec("rich") is None or not file.isatty():
        return lambda spans: _plain(file, spans)
    from rich.console import Console  # noqa: PLC0415  # An extra, and loaded only for a terminal.

    console = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def write(spans: Iterable[Span]) -> None:
        for span in spans:
            console.print(span.text, style=_COLOURS[span.style], end="")

    return write


def _plain(file: TextIO, spans: Iterable[Span]) -> None:
    text = "".join(span.text for span in spans)
    if text:
        file.write(text)
        file.flush()
