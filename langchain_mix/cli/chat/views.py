"""Displays a running turn: live on a screen, or as plain text in a pipe.

Owns: what is printed for good, what is drawn again below it, and the panels of tools.
Refuses to know: where updates come from, and how prompts are answered.

What has settled scrolls by; only the unfinished end is drawn again, ten times a second. rich's own thread for that
would draw between the steps of a print, and lines would be lost; here one lock covers both.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import TracebackType
from typing import Any, Final, Self

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.control import Control
from rich.markdown import Markdown
from rich.panel import Panel
from rich.segment import ControlCode, ControlType, Segment
from rich.spinner import Spinner
from rich.text import Text

from langchain_mix.cli.terminal import one_line, visible, write
from langchain_mix.protocol.tool_calls import outcome_of_result, was_denied
from langchain_mix.protocol.turn.updates import (
    Progress,
    SubagentUpdate,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCall,
    ToolCalled,
    ToolCallStarted,
    ToolFinished,
    ToolOutput,
    ToolRunning,
    Update,
)

_REFRESH_SECONDS: Final = 0.1
_ARGUMENT_LINES: Final = 8
_OUTPUT_LINES: Final = 8
_DRAWN_CHARS: Final = 20_000
_LINE_CHARS: Final = 400
_NAMED_CHARS: Final = 48
_NOTED: Final = {
    "rate_limit": "The provider limits the rate; the server tries again.",
    "reopened": "The stream broke and was opened again.",
    "foreign_turn": "Another client uses this session at the same time.",
}


class Screen:
    """Shows turns, one after another. A `with` block is one turn."""

    def __init__(self, console: Console, *, show_thinking: bool = True) -> None:
        """Shows nothing yet."""
        self._console = console
        self._show_thinking = show_thinking
        self._lock = threading.RLock()  # PromptHandler of sub-agents come from other threads.
        self._live: LiveRegion | None = None
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None
        self._spinner = Spinner("dots")
        self._begun = 0.0
        self._text: GrowingText | None = None
        self._kind = ""
        self._message = ""
        self._printed = False
        self._tools: dict[str, ToolCall] = {}
        self._newest = ""  # The call whose panel is the last thing that was printed.
        self._announced = False

    def __enter__(self) -> Self:
        """Begins a turn."""
        self._begun = time.monotonic()
        self._tools, self._newest, self._announced = {}, "", False
        self._start()
        self._ended.clear()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it, however it ended: what was not printed yet is."""
        with self._lock:
            self._finish_text()
            for call in [c for c in self._tools.values() if c.status in {"called", "running"}]:
                self._print(tool_panel(call))
            self._stop()
        self._ended.set()
        if self._ticker is not None:
            self._ticker.join()
            self._ticker = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the screen to a prompt; nothing else is shown meanwhile."""
        with self._lock:
            self._finish_text()
            shown = self._live is not None
            self._stop()
            try:
                yield
            finally:
                if shown:
                    self._start()

    def show(self, update: Update) -> None:
        """Shows what happened."""
        with self._lock:
            match update:
                case ThinkingDelta():
                    if self._show_thinking:
                        self._grow("thinking", update.message_id, update.text)
                case TextDelta():
                    self._grow("text", update.message_id, update.text)
                case TextRestated():
                    self._restate(update)
                case SubagentUpdate():
                    self._show_nested(update)
                case Progress():
                    self._note(update)
                case _:
                    self._show_tool(update)

    # Text

    def _grow(self, kind: str, message: str, piece: str) -> None:
        if self._text is None or (self._kind, self._message) != (kind, message):
            self._finish_text()
            self._text = GrowingText(markdown=kind == "text")
            self._kind, self._message, self._printed = kind, message, False
        self._print_settled(self._text.add(piece))

    def _finish_text(self) -> None:
        if self._text is not None:
            self._print_settled(self._text.finish())
            self._text = None

    def _print_settled(self, text: str) -> None:
        if not text.strip():
            return
        if self._printed and self._kind == "text":
            self._print(Text())  # Blocks of Markdown are separated.
        self._print(_rendered(self._kind, text))
        self._printed = True

    def _restate(self, update: TextRestated) -> None:
        self._text = None
        self._print(Text("A part of the text above was lost on the way. The whole of it:", style="yellow"))
        self._print(Markdown(visible(update.text), hyperlinks=False))

    # Tools

    def _show_tool(self, update: Update) -> None:
        match update:
            case ToolCallStarted():
                self._finish_text()
                self._tools[update.id] = ToolCall(id=update.id, name=update.name)
            case ToolCalled():
                self._finish_text()
                call = self._tools.setdefault(update.id, ToolCall(id=update.id))
                call.name, call.input = update.name, update.input
            case ToolRunning():
                self._tools.setdefault(update.id, ToolCall(id=update.id, name=update.name)).status = "running"
            case ToolFinished():
                call = self._tools.setdefault(update.id, ToolCall(id=update.id, name=update.name))
                call.status = "succeeded" if update.success else "failed"
                call.progress = update.progress
                self._print_call(call)
            case ToolOutput():
                self._show_output(update)
            case _:
                return  # Deltas of arguments come whole, too; prompts are shown elsewhere.

    def _show_output(self, update: ToolOutput) -> None:
        self._finish_text()
        call = self._tools.setdefault(update.id, ToolCall(id=update.id))
        outcome = outcome_of_result(update.output, is_error=update.is_error)
        before, call.output, call.is_error = call.status, update.output, update.is_error
        if before in {"called", "running"} and outcome is not None:
            call.status = outcome
            self._print_call(call)
        elif update.is_error:
            call.status = "failed"
        if not update.output.strip():
            return
        # Mix 0.8: no event has results; they are read from the rows when the turn is over and all else is printed.
        late = self._newest != call.id
        if late and not self._announced:
            self._print(Text("What the tools above returned, read from the server after the turn:", style="dim"))
            self._announced = True
        self._print(output_panel(call, late=late))

    def _print_call(self, call: ToolCall) -> None:
        self._print(tool_panel(call))
        self._newest = call.id

    def _show_nested(self, nested: SubagentUpdate) -> None:
        match nested.update:
            case ToolCalled():
                self._print(Text(f"  sub-agent: {one_line(nested.update.name, 40)} ", style="dim cyan"))
            case ToolFinished(success=False):
                self._print(Text(f"  sub-agent: {one_line(nested.update.progress, _LINE_CHARS)}", style="dim red"))
            case _:
                return

    def _note(self, progress: Progress) -> None:
        said = progress.detail.get("error") or _NOTED.get(progress.kind)
        if said:
            self._finish_text()
            self._print(Text(one_line(str(said), _LINE_CHARS), style="yellow"))

    # The live part

    def _start(self) -> None:
        self._live = LiveRegion(self._console)
        self._live.draw(self._unfinished())

    def _tick(self) -> None:
        """Draws the live part until the turn is over."""
        while not self._ended.wait(_REFRESH_SECONDS):
            with self._lock:
                if self._live is not None:
                    self._live.draw(self._unfinished())

    def _stop(self) -> None:
        if self._live is not None:
            self._live.close()
            self._live = None

    def _print(self, what: RenderableType) -> None:
        self._newest = ""
        if self._live is None:
            self._console.print(what)
        else:
            self._live.print_above(what, self._unfinished())

    def _unfinished(self) -> RenderableType:
        """Returns the part that is drawn again and again."""
        text, kind = self._text, self._kind
        running = [c.name for c in self._tools.values() if c.status == "running"]
        doing = f"{one_line(', '.join(running), 60)} · " if running else ""
        self._spinner.update(text=Text(f"{doing}{time.monotonic() - self._begun:.0f} s · Ctrl-C cancels", style="dim"))
        if text is None or not text.rest.strip():
            return self._spinner
        if len(text.rest) > _DRAWN_CHARS:  # Too much to be laid out several times a second; the whole is printed later.
            return Group(_Tail(Text(text.rest[-_DRAWN_CHARS:])), self._spinner)
        return Group(_Tail(_rendered(kind, text.rest)), self._spinner)


class LiveRegion:
    """Draws lines below what is printed for good, and erases them before the next drawing.

    A terminal that becomes narrower wraps the lines that are there already, so that they occupy more rows. rich's Live
    erases the rows of the old width and leaves the others on the screen; here rows are counted for the width of now.
    """

    def __init__(self, console: Console) -> None:
        """Draws nothing yet, and hides the cursor."""
        self._console = console
        self._widths: list[int] = []
        self._wraps = wraps_again(os.environ)
        if console.is_terminal:
            console.show_cursor(show=False)

    def draw(self, what: RenderableType) -> None:
        """Replaces what is drawn."""
        if not self._console.is_terminal:
            return
        options = self._console.options
        lines = self._console.render_lines(what, options, pad=False)
        with self._console:
            self._erase()
            self._console.print(_Lines(lines), end="", soft_wrap=True)
        self._widths = [Segment.get_line_length(line) for line in lines]

    def print_above(self, what: RenderableType, below: RenderableType) -> None:
        """Prints something for good, and draws the live part below it."""
        with self._console:
            self._erase()
            self._console.print(what)
            self.draw(below)

    def close(self) -> None:
        """Erases what is drawn."""
        with self._console:
            self._erase()
            if self._console.is_terminal:
                self._console.show_cursor(show=True)

    def _erase(self) -> None:
        if not self._widths:
            return
        width = max(self._console.width, 1)
        rows = sum(max(-(-line // width), 1) if self._wraps else 1 for line in self._widths)
        up: list[ControlCode] = [(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)]
        self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up * (rows - 1)))
        self._widths = []


def wraps_again(environment: Mapping[str, str]) -> bool:
    """True when the terminal wraps lines again that are on the screen when its width changes.

    Terminals of today do; xterm, rxvt, GNU screen and the console of Linux cut lines or leave them as they are. There
    erasing more rows than were drawn would erase what was printed for good.
    """
    if "TMUX" in environment:
        return True
    term = environment.get("TERM", "")
    return "XTERM_VERSION" not in environment and "STY" not in environment and not term.startswith(("linux", "rxvt"))


class _Lines:
    """Lines that are laid out already."""

    def __init__(self, lines: list[list[Segment]]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            yield from line


class _Tail:
    """The last lines of something: half a screen, so that they still fit when it becomes narrower."""

    def __init__(self, whole: RenderableType) -> None:
        self._whole = whole

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._whole, options, pad=False)
        for line in lines[-max(console.height // 2 - 1, 1) :]:
            yield from line
            yield Segment.line()


def _rendered(kind: str, text: str) -> RenderableType:
    if kind == "thinking":
        return Text(text.strip("\n"), style="dim italic")
    # Links show where they lead.
    return Markdown(text, hyperlinks=False)


def tool_panel(call: ToolCall) -> Panel:
    """A tool call: name, arguments, how it went."""
    mark, style = {
        "succeeded": ("done", "green"),
        "failed": ("failed", "red"),
        "running": ("not finished", "yellow"),
        "called": ("not run", "yellow"),
        "denied": ("denied", "magenta"),
    }["denied" if call.status == "failed" and was_denied(call.output, call.progress) else call.status]
    body = Text(cut(readable(call.input), _ARGUMENT_LINES))
    if call.progress:
        body.append(("\n" if body else "") + one_line(call.progress, _LINE_CHARS), style="dim")
    title = Text(one_line(call.name or "tool", 60), style="bold").append(f" · {mark}", style=style)
    return Panel(body, title=title, title_align="left", border_style=style, expand=False)


def output_panel(call: ToolCall, *, late: bool = False) -> Panel:
    """Returns a panel with the output of a tool, cut; one that is not below its call says which call that is."""
    style = "red" if call.is_error else "dim"
    title = Text(one_line(call.name or "tool", 60))
    if late and (arguments := one_line(readable(call.input), _NAMED_CHARS)):
        title.append(f" ({arguments})")
    title.append(f" · {'error' if call.is_error else 'output'}")
    body = Text(cut(visible(call.output or ""), _OUTPUT_LINES), style="dim")
    return Panel(body, title=title, title_align="left", border_style=style, expand=False)


def cut(text: str, lines: int) -> str:
    """The first lines of a text, and how many are left out."""
    every = text.strip("\n").split("\n")
    shown = [line if len(line) <= _LINE_CHARS else line[:_LINE_CHARS] + "…" for line in every[:lines]]
    if len(every) > lines:
        left = len(every) - lines
        shown.append(f"… {left} more line{'' if left == 1 else 's'} (/tools shows all)")
    return "\n".join(shown)


_SHARE: Final = 8
"""A block is read again when it has grown by this part of itself."""


class GrowingText:
    """A text that comes in pieces. `rest` is what was not returned yet, and may still change."""

    def __init__(self, *, markdown: bool) -> None:
        """Begins empty. Markdown settles block by block, other text line by line."""
        self.rest = ""
        self._markdown = markdown
        self._read_at = 0

    def add(self, piece: str) -> str:
        """Takes the next piece, and returns what has settled and was not returned before; often nothing."""
        piece = visible(piece)
        self.rest += piece
        # A block that grows and grows is read again only when it has grown by a share, so that the whole costs little.
        grown = not self._markdown or len(self.rest) - self._read_at > self._read_at // _SHARE
        if "\n" not in piece or not grown:
            return ""
        end = settled_markdown(self.rest) if self._markdown else self.rest.rfind("\n") + 1
        settled, self.rest = self.rest[:end], self.rest[end:]
        self._read_at = len(self.rest)
        return settled

    def finish(self) -> str:
        """Gives out the rest: nothing follows."""
        settled, self.rest = self.rest, ""
        return settled


def settled_markdown(text: str) -> int:
    """Returns how many characters of a growing Markdown no longer change: all blocks but the last, which may go on.

    A line that is not complete does not begin a block: a digit may become the next item of a list.
    """
    complete = text[: text.rfind("\n") + 1]
    starts = [
        token.map[0]
        for token in _parser().parse(complete)
        if token.level == 0 and token.map is not None and token.nesting >= 0
    ]
    if not starts:
        return 0
    return sum(len(line) + 1 for line in complete.split("\n")[: starts[-1]])


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt().enable("strikethrough").enable("table")


_NOTE_CHARS = 300


class Plain:
    """Shows turns. A `with` block is one turn."""

    def __init__(self, output: Console, notes: Console) -> None:
        """Shows nothing yet.

        Args:
            output: Standard output: the answer alone, as the model wrote it; made harmless if it is a terminal.
            notes: Standard error: tools and what happens on the way.
        """
        self._output = output
        self._notes = notes
        self._message: str | None = None
        self._line_open = False

    def __enter__(self) -> Self:
        """Begins a turn."""
        self._message = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it, on a line of its own."""
        self._end_line()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the screen to a prompt."""
        yield

    def show(self, update: Update) -> None:
        """Shows what happened."""
        match update:
            case TextDelta():
                if self._message not in {None, update.message_id}:
                    self._end_line()
                    self._write("\n")
                self._message = update.message_id
                self._write(update.text)
            case TextRestated():
                self._end_line()
                self._note("A part of the text was lost on the way. The whole of it follows.")
                self._write(update.text)
            case ToolCalled():
                self._note(f"[tool] {update.name} {update.input}")
            case ToolFinished(success=False):
                self._note(f"[tool] {update.progress}")
            case Progress() if update.detail.get("error"):
                self._note(str(update.detail["error"]))
            case _:
                return

    def _write(self, text: str) -> None:
        if text:
            write(self._output, text)
            self._line_open = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._line_open:
            self._write("\n")

    def _note(self, text: str) -> None:
        self._notes.print(Text(one_line(text, _NOTE_CHARS), style="dim"), soft_wrap=True)


def readable(arguments: Any) -> str:
    """Writes arguments as lines `name: value`: those of a mapping, or of JSON text as the model wrote it.

    What goes over several lines is indented, so that no value looks like another argument.
    """
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except (ValueError, RecursionError):
            return visible(arguments)
        if not isinstance(parsed, Mapping):
            return visible(arguments)
        arguments = parsed
    if arguments is None:
        return ""
    if not isinstance(arguments, Mapping):
        return visible(json.dumps(arguments, ensure_ascii=False, default=str))
    return "\n".join(_line(visible(str(name)), value) for name, value in arguments.items())


def _line(name: str, value: Any) -> str:
    text = visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    if "\n" not in text:
        return f"{name}: {text}"
    return f"{name}:\n" + "\n".join(f"    {line}" for line in text.split("\n"))
