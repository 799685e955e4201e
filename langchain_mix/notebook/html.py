"""A view as HTML.

Owns: the markup of messages, tools, notices, errors and of the status line.
Refuses to know: when it is shown (`live_renderer.py`), and colours (`style.py`).

Every text that comes from somewhere else goes through `escape` here, or through `markdown.py`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import takewhile
from typing import Any, Final, Literal

from langchain_mix.errors import MixError, MixTextGap
from langchain_mix.notebook.markdown import to_html
from langchain_mix.notebook.media import figure
from langchain_mix.notebook.style import STYLE, keeping_open
from langchain_mix.notebook.view import Media, Notice, Part, Section, Tool, View, Words

Folding = Literal["closed", "open", "hidden"]

_GIST_CHARS: Final = 90
_MOST_CHARS: Final = 200_000
"""Of one output; more is left at the server."""
_SIGNS: Final[Mapping[str, tuple[str, str, str]]] = {
    "writing": ("lcm-busy", "", "being called"),
    "called": ("lcm-muted", "◦", "called"),
    "running": ("lcm-busy", "", "running"),
    "succeeded": ("lcm-good", "✓", "succeeded"),
    "failed": ("lcm-bad", "✗", "failed"),
    "denied": ("lcm-denied", "⊘", "denied"),
}
_MANY: Final = 4
"""Calls in a row that are folded into one line."""
_HUNK: Final = re.compile(r"^@@ .*(?:\n[-+ @\\].*)*", re.MULTILINE)
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "running": ("lcm-busy", "running"),
    "done": ("lcm-good", "✓ done"),
    "paused": ("lcm-warn", "‖ paused"),
    "failed": ("lcm-bad", "✗ failed"),
    "stopped": ("lcm-warn", "■ stopped"),
}
DOT: Final = '<span class="lcm-dot"> · </span>'
"""Separates facts where styles, which do it otherwise, are dropped."""
_SPINNER: Final = '<span class="lcm-spin" aria-hidden="true"></span>'


@dataclass(slots=True, kw_only=True)
class Look:
    """The options of a display.

    Attributes:
        thinking: Whether reasoning is folded away, unfolded or left out.
        tools: The same for tools.
        max_output: Characters of a tool's output that are shown before the rest is folded away.
    """

    thinking: Folding = "closed"
    tools: Folding = "closed"
    max_output: int = 2000


@dataclass(slots=True)
class Page:
    """Writes one view again and again; texts that did not grow are rendered once.

    Attributes:
        look: What is shown.
        root: The id of the outermost element.
    """

    look: Look
    root: str
    _live: bool = True
    _rendered: dict[Part, tuple[object, str]] = field(default_factory=dict["Part", tuple[object, str]])

    def render(self, view: View) -> str:
        """Writes the view as it is now, as one element with its style and its script."""
        self._live = view.status == "running"
        inner = f"{self._sections(view)}{_error(view.error)}{_status(view)}{keeping_open(self.root)}"
        return frame(inner, label="Agent run", root=self.root, busy=self._live)

    def still(self, view: View) -> str:
        """Writes the messages of a view that changes no more, an element for each of them."""
        self._live = False
        return self._sections(view)

    def _sections(self, view: View) -> str:
        """Writes all sections; runs of sections that only call tools, as agents of LangGraph have them, are folded."""
        written = [(n, s, self._section(str(n), s)) for n, s in enumerate(view.sections.values())]
        pieces: list[str] = []
        while written:
            run = list(takewhile(lambda one: self._only_calls(one[1]), written))
            calls = [part for _, section, _ in run for part in section.parts if isinstance(part, Tool)]
            if len(run) > 1 and len(calls) >= _MANY:
                inner = "".join(html for *_, html in run)
                pieces.append(_details(f"run.{run[0][0]}", _sum_of(calls), inner))
                written = written[len(run) :]
            else:
                pieces.append(written.pop(0)[2])
        return "".join(pieces)

    def _only_calls(self, section: Section) -> bool:
        parts = section.parts
        return (
            self.look.tools == "closed"
            and section.role in {"assistant", "tool"}
            and any(isinstance(part, Tool) for part in parts)
            and sum(isinstance(part, Tool) for part in parts) < _MANY
            and all(self._folds(part) for part in parts)
        )

    def _folds(self, part: Part) -> bool:
        """True for tools that have ended, and for thoughts between them."""
        if isinstance(part, Tool):
            return part.over or not self._live
        return isinstance(part, Words) and (part.thinking or not part.text.strip())

    def _section(self, key: str, section: Section) -> str:
        parts = "".join(self._parts(key, section.parts, plain=section.role in {"user", "system"}))
        if not parts:
            return ""
        who = {"user": "You", "system": "System"}.get(section.role, "")
        label = " · ".join(filter(None, (who, section.label)))
        heading = f'<div class="lcm-label">{escape(label)}</div>' if label else ""
        return f'<section class="lcm-{section.role}">{heading}{parts}</section>'

    def _parts(self, key: str, parts: Sequence[Part], *, plain: bool = False) -> Iterator[str]:
        """Writes parts; a run of many tools that have ended is folded into one line."""
        number = 0
        while number < len(parts):
            run = _run_of_tools(list(takewhile(self._folds, parts[number:]))) if self.look.tools == "closed" else []
            calls = [part for part in run if isinstance(part, Tool)]
            if len(calls) >= _MANY:
                inner = "".join(self._each(key, number, run))
                yield _details(f"{key}.{number}.run", _sum_of(calls), inner)
                number += len(run)
            else:
                yield from self._each(key, number, parts[number : number + 1], plain=plain)
                number += 1

    def _each(self, key: str, first: int, parts: Sequence[Part], *, plain: bool = False) -> Iterator[str]:
        for number, part in enumerate(parts, first):
            place = f"{key}.{number}"
            match part:
                case Words(thinking=True):
                    yield self._thinking(place, part)
                case Words():
                    yield self._once(part, len(part.pieces), plain=plain)
                case Tool():
                    yield self._tool(place, part)
                case Media():
                    yield self._once(part, (part.content is None, part.problem))
                case Notice():
                    yield _notice(part)

    def _once(self, part: Words | Media, state: object, *, plain: bool = False) -> str:
        known = self._rendered.get(part)
        if known is not None and known[0] == state:
            return known[1]
        if isinstance(part, Media):
            html = figure(part)
        elif plain:
            html = f'<div class="lcm-md" style="white-space:pre-wrap">{escape(part.text)}</div>'
        else:
            html = _words(part)
        self._rendered[part] = (state, html)
        return html

    def _thinking(self, place: str, words: Words) -> str:
        text = words.text.strip()
        if self.look.thinking == "hidden" or not text:
            return ""
        gist = f'<span class="lcm-gist">{escape(_short(text))}</span>'
        body = f'<div class="lcm-words">{_cut(place, text, _MOST_CHARS)}</div>'
        return _details(place, f"Thinking {gist}", body, unfolded=self.look.thinking == "open", kind="lcm-thought")

    def _tool(self, place: str, tool: Tool) -> str:
        if self.look.tools == "hidden":
            return ""
        colour, sign, words = _SIGNS["denied" if tool.denied else tool.status]
        if not (self._live or tool.over):
            colour, sign, words = "lcm-muted", "◦", "called" if tool.status == "called" else "not finished"
        mark = f'<span class="{colour}">{sign or _SPINNER} <strong>{escape(tool.name or "tool")}</strong></span>'
        gist = f'<span class="lcm-gist">{escape(gist_of(tool))}</span>'
        state = f'<span class="{colour}">{words}</span>' if tool.status != "succeeded" else ""
        body = [_caption("Arguments"), f"<pre>{_cut(place + '.in', pretty(tool.input), self.look.max_output)}</pre>"]
        if not tool.input:
            body.clear()
        if tool.parts:
            inner = "".join(self._parts(place, tool.parts))
            body += [_caption("Sub-agent"), f'<div class="lcm-sub">{inner}</div>']
        if tool.progress:
            body.append(f'<div class="lcm-cap">{escape(tool.progress)}</div>')
        if tool.output:
            shown = _cut(place + ".out", pretty(tool.output), self.look.max_output)
            kind = f' class="{colour}"' if tool.status == "failed" else ""
            body += [_caption("Output"), f"<pre{kind}>{shown}</pre>"]
        unfolded = self.look.tools == "open" or (bool(tool.parts) and not tool.over)
        return _details(place, f"{mark} {gist} {state}", "".join(body), unfolded=unfolded)


def frame(inner: str, *, label: str, root: str = "", busy: bool = False) -> str:
    """Returns the element around a display, with its style. `label` is for screen readers; a `busy` one will change."""
    name = f' id="{root}"' if root else ""
    state = ' aria-busy="true"' if busy else ""
    # Formulas are set in what an agent says alone (`markdown.py`), not in what tools give.
    return (
        f'<div class="lcm mathjax_ignore tex2jax_ignore"{name} role="group" aria-label="{escape(label)}"{state}>'
        f"{STYLE}{inner}</div>"
    )


def _words(words: Words) -> str:
    note = ""
    if words.restated and words.pieces:
        note = '<div class="lcm-note">A part was lost on the way; this is the whole text.</div>'
    return note + to_html(words.text) if words.text.strip() else ""


def _run_of_tools(parts: Sequence[Part]) -> Sequence[Part]:
    """Returns the parts from the first to the last tool; none if they do not begin with one."""
    last = max((number for number, part in enumerate(parts, 1) if isinstance(part, Tool)), default=0)
    return parts[:last] if last and isinstance(parts[0], Tool) else []


def _sum_of(calls: Sequence[Tool]) -> str:
    """Returns many calls in a line: how many of which tool, and how many did not succeed."""
    denied = sum(call.denied for call in calls)
    failed = sum(call.status == "failed" for call in calls) - denied
    colour, sign = ("lcm-bad", "✗") if failed else ("lcm-denied", "⊘") if denied else ("lcm-good", "✓")
    names = Counter(call.name or "tool" for call in calls)
    listed = ", ".join(name if number == 1 else f"{number} {name}" for name, number in names.most_common())
    notes = [
        f'<span class="{kind}">{number} {word}</span>'
        for number, word, kind in ((failed, "failed", "lcm-bad"), (denied, "denied", "lcm-denied"))
        if number
    ]
    head = f'<span class="{colour}">{sign} <strong>{counted(len(calls), "tool call")}</strong></span>'
    return " ".join([head, f'<span class="lcm-gist">{escape(_short(listed))}</span>', *notes])


def _details(key: str, summary: str, body: str, *, unfolded: bool = False, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return (
        f'<details data-key="{key}"{name}{" open" if unfolded else ""}><summary>{summary}</summary>{body}</details>'
        if body
        else f'<div class="lcm-bare">{summary}</div>'
    )


def _caption(text: str) -> str:
    return f'<div class="lcm-cap">{text}</div>'


def _cut(key: str, text: str, limit: int) -> str:
    """The beginning of a text; the rest of it under "more"."""
    if len(text) <= limit:
        return escape(text)
    rest = text[limit:]
    lost = len(rest) - _MOST_CHARS
    tail = f"\n… {lost:,} more characters are not shown." if lost > 0 else ""
    more = f"<summary>… {len(rest):,} more characters</summary>{escape(rest[:_MOST_CHARS])}{tail}"
    return f'{escape(text[:limit])}<details data-key="{key}.more">{more}</details>'


def _short(text: str) -> str:
    """One line of a text."""
    part = text[: 4 * _GIST_CHARS]
    line = " ".join(part.split())
    return line if len(line) <= _GIST_CHARS and len(part) == len(text) else f"{line[:_GIST_CHARS]}…"


def gist_of(tool: Tool) -> str:
    """Returns the subject of a call in one line: the first argument that is text."""
    try:
        arguments: Any = json.loads(tool.input or "{}")
    except ValueError:
        return _short(tool.input)
    if not isinstance(arguments, Mapping):
        return _short(tool.input)
    return next((_short(value) for value in arguments.values() if isinstance(value, str) and value), "")


def pretty(text: str) -> str:
    """JSON with indents; any other text as it is."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > _MOST_CHARS:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def _notice(notice: Notice) -> str:
    text = with_diffs(notice.text[:_MOST_CHARS])
    return f'<div class="lcm-note"><strong>{escape(notice.kind)}</strong> {text}</div>'


def with_diffs(text: str) -> str:
    """Returns a text as HTML, with the unified diffs in it monospaced and coloured."""
    pieces, at = [], 0
    for found in _HUNK.finditer(text):
        pieces += [_lines(text[at : found.start()].removesuffix("\n")), _diff(found[0])]
        at = found.end()
    return "".join([*pieces, _lines(text[at:].removeprefix("\n") if at else text)])


def _lines(text: str) -> str:
    """Escapes lines, and keeps them apart in frontends that drop styles, as JupyterLab does of a saved notebook."""
    return escape(text).replace("\n", "<br>")


def _diff(hunk: str) -> str:
    kinds = {"+": "lcm-good", "-": "lcm-bad", "@": "lcm-busy"}
    lines = [
        f'<span class="{kinds[line[0]]}">{escape(line)}</span>' if line[:1] in kinds else escape(line)
        for line in hunk.split("\n")
    ]
    return f'<pre class="lcm-diff">{chr(10).join(lines)}</pre>'


def _error(error: BaseException | None) -> str:
    if error is None:
        return ""
    message = error.message if isinstance(error, MixError) else str(error)
    lines = [f"<strong>{escape(type(error).__name__)}</strong> {escape(message)}"]
    if isinstance(error, MixError) and error.hint:
        lines.append(f"<strong>What to do:</strong> {escape(error.hint)}")
    whole = ""
    if isinstance(error, MixTextGap) and error.turn is not None:
        whole = _details("whole", "The whole reply", to_html(error.turn.full_text))
    return f'<div class="lcm-error" role="alert">{"<br>".join(lines)}</div>{whole}'


def _status(view: View) -> str:
    colour, words = _STATES[view.status]
    spinner = f"{_SPINNER} " if view.status == "running" else ""
    facts = [f'<span class="{colour}">{spinner}{words}</span>']
    facts += [f"<span>{escape(fact)}</span>" for fact in facts_of(view)]
    return f'<div class="lcm-status" role="status">{DOT.join(facts)}</div>'


def facts_of(view: View) -> list[str]:
    """Returns the numbers of a run that are known: time, tools, tokens, cost, model."""
    facts = [f"{view.elapsed:.1f} s"] if view.elapsed else []
    if calls := view.calls():
        over, number = sum(tool.over for tool in calls), len(calls)
        facts.append(counted(number, "tool call") + (f", {over} done" if over < number else ""))
    if (tokens := view.tokens()) is not None:
        facts.append(f"{tokens[0]:,} tokens in, {tokens[1]:,} out")
    if (cost := view.cost()) is not None:
        facts.append(f"${cost:.4f}")
    return [*facts, view.model] if view.model else facts


def counted(number: int, thing: str) -> str:
    """A number of things, in words."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
