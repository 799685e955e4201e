"""A view as HTML.

Owns: the markup of messages, tools, notices, errors and of the status line; the constant style sheet and script.
Refuses to know: when it is shown (`live_renderer.py`).

Every text that comes from somewhere else goes through `escape` here, or through `markdown.py`. None is put into
the style sheet or the script.
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


STYLE: Final = """<style>
.lcm{--lcm-ink:var(--jp-content-font-color1,var(--vscode-editor-foreground,currentColor));
--lcm-muted:color-mix(in srgb,var(--lcm-ink) 68%,transparent);
--lcm-line:color-mix(in srgb,var(--lcm-ink) 22%,transparent);
--lcm-fill:color-mix(in srgb,var(--lcm-ink) 6%,transparent);
--lcm-good:color-mix(in srgb,#1f9d45 62%,var(--lcm-ink));--lcm-bad:color-mix(in srgb,#d93a30 68%,var(--lcm-ink));
--lcm-busy:color-mix(in srgb,#1f6fd0 68%,var(--lcm-ink));--lcm-warn:color-mix(in srgb,#b87900 65%,var(--lcm-ink));
--lcm-denied:color-mix(in srgb,#8250df 68%,var(--lcm-ink));--lcm-str:color-mix(in srgb,#0a8577 62%,var(--lcm-ink));
color:var(--lcm-ink);font-family:var(--jp-content-font-family,var(--vscode-font-family,system-ui,sans-serif));
font-size:var(--jp-content-font-size1,14px);line-height:1.5;max-width:60em;overflow-wrap:anywhere}
.lcm *{box-sizing:border-box}
.lcm section{margin:0 0 .6em}
.lcm-label{font-size:.85em;color:var(--lcm-muted);font-weight:600;margin:0 0 .2em}
.lcm-user{border-left:3px solid var(--lcm-busy);padding-left:.7em}
.lcm-md>:first-child{margin-top:0}.lcm-md>:last-child{margin-bottom:0}
.lcm-md{margin:.35em 0}.lcm-md p{margin:.5em 0}
.lcm-md h1,.lcm-md h2,.lcm-md h3,.lcm-md h4{font-size:1.1em;margin:.8em 0 .3em;line-height:1.3}
.lcm-md h1{font-size:1.3em}.lcm-md h2{font-size:1.2em}
.lcm a{color:var(--lcm-busy)}
.lcm.lcm pre,.lcm.lcm code{
font-family:var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace));
font-size:.92em;background:var(--lcm-fill);color:inherit;border-radius:4px}
.lcm.lcm code{padding:.1em .3em}.lcm.lcm pre code{padding:0;background:none;font-size:1em}
.lcm.lcm pre{margin:.3em 0;padding:.5em .7em;white-space:pre-wrap;overflow:auto;max-height:24em;
border:1px solid var(--lcm-line);text-align:left;line-height:1.45}
.lcm.lcm .lcm-md pre,.lcm.lcm .lcm-md pre code{white-space:pre;overflow-wrap:normal}
.lcm-t-k,.lcm-t-kn,.lcm-t-kd,.lcm-t-kc,.lcm-t-kr,.lcm-t-kt,.lcm-t-ow,.lcm-t-nt{color:var(--lcm-bad)}
.lcm-t-s,.lcm-t-s1,.lcm-t-s2,.lcm-t-sa,.lcm-t-sd,.lcm-t-sb,.lcm-t-si,.lcm-t-se,.lcm-t-sr{color:var(--lcm-str)}
.lcm-t-m,.lcm-t-mi,.lcm-t-mf,.lcm-t-mh,.lcm-t-nb,.lcm-t-na,.lcm-t-nv{color:var(--lcm-busy)}
.lcm-t-nf,.lcm-t-nc,.lcm-t-nd,.lcm-t-fm{color:var(--lcm-denied)}
.lcm-t-c,.lcm-t-c1,.lcm-t-cm,.lcm-t-ch,.lcm-t-cp,.lcm-t-sh{color:var(--lcm-muted)}
.lcm-t-gi{color:var(--lcm-good)}.lcm-t-gd{color:var(--lcm-bad)}.lcm-t-gu,.lcm-t-gh{color:var(--lcm-busy)}
.lcm-words{white-space:pre-wrap;color:var(--lcm-muted)}
.lcm details{margin:.3em 0;border:1px solid var(--lcm-line);border-radius:6px;padding:.25em .6em;display:block}
.lcm details details{border:0;padding:0;margin:.2em 0}
.lcm summary{cursor:pointer;display:list-item;color:inherit;font-size:.95em}
.lcm summary:focus-visible{outline:2px solid var(--lcm-busy);outline-offset:2px;border-radius:4px}
.lcm summary .lcm-gist{color:var(--lcm-muted);font-family:var(--jp-code-font-family,ui-monospace,monospace);
font-size:.9em}
.lcm details[open]>summary{margin-bottom:.3em}
.lcm details.lcm-thought[open]>summary .lcm-gist{display:none}
.lcm.lcm pre.lcm-diff{margin:.3em 0;white-space:pre}
.lcm-sub{border-left:2px solid var(--lcm-line);padding-left:.7em;margin:.3em 0}
.lcm-cap{font-size:.85em;color:var(--lcm-muted);margin:.35em 0 .1em}
.lcm-good{color:var(--lcm-good)}.lcm-bad{color:var(--lcm-bad)}.lcm-busy{color:var(--lcm-busy)}
.lcm-denied{color:var(--lcm-denied)}.lcm-warn{color:var(--lcm-warn)}.lcm-muted{color:var(--lcm-muted)}
.lcm-note{border-left:3px solid var(--lcm-warn);padding:.15em .7em;margin:.35em 0;white-space:pre-wrap}
.lcm-error{border:1px solid var(--lcm-bad);border-left-width:4px;border-radius:6px;padding:.4em .8em;margin:.5em 0;
white-space:pre-wrap}
.lcm-status{display:flex;flex-wrap:wrap;gap:.2em 1em;font-size:.85em;color:var(--lcm-muted);margin-top:.5em;
border-top:1px solid var(--lcm-line);padding-top:.35em}
.lcm figure{margin:.5em 0}.lcm figcaption{font-size:.85em;color:var(--lcm-muted)}
.lcm img{max-width:100%;height:auto;border-radius:4px;background:#fff}
.lcm-grid{overflow:auto;max-height:24em;margin:.5em 0}
.lcm.lcm table{border-collapse:collapse;font-size:.92em;margin:0;color:inherit;background:none;
table-layout:auto;width:auto;overflow-wrap:normal;word-break:normal}
.lcm.lcm th,.lcm.lcm td{border:1px solid var(--lcm-line);padding:.2em .55em;text-align:left;vertical-align:top;
white-space:pre-wrap;max-width:32em;color:inherit;background:none}
.lcm.lcm td.lcm-num{text-align:right}
.lcm th{font-weight:600;background:var(--lcm-fill)}
.lcm ul.lcm-tree{list-style:none;margin:.3em 0;padding:0}
.lcm-tree li{margin:0;padding:.15em 0 .15em .7em;border-left:2px solid var(--lcm-line)}
.lcm-tree code{user-select:all}
.lcm.lcm .lcm-tree code{padding:0;background:none}
.lcm-cut{font-size:0}.lcm-tree .lcm-id::before{content:"…"}
.lcm-dot{display:none}
.lcm-said{padding-left:1.2em;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.lcm-said b{color:var(--lcm-busy);font-weight:600}
.lcm-facts>span{color:var(--lcm-muted);margin-left:.7em;font-size:.92em}
.lcm-spin{display:inline-block;width:.75em;height:.75em;border:2px solid var(--lcm-line);
border-top-color:var(--lcm-busy);border-radius:50%;animation:lcm-spin 1s linear infinite;vertical-align:-.05em}
@keyframes lcm-spin{to{transform:rotate(1turn)}}
@media (prefers-reduced-motion:reduce){.lcm-spin{animation:none}}
</style>"""
"""For every display: a notebook may show one alone, or several of different versions.

Each colour is mixed with that of the text around, so that it can be read on whatever is behind that text: a page may be
light though the system prefers dark, and frontends mark their themes in ways of their own.
"""

_SCRIPT: Final = """<script>
(function(){
var root=document.getElementById("%s");if(!root)return;
var all=window.__langchainMix=window.__langchainMix||{};
var seen=all[root.id]=all[root.id]||{};
root.querySelectorAll("details[data-key]").forEach(function(d){
var key=d.dataset.key,head=d.querySelector("summary");
function turn(){seen[key]=!d.open;}
if(key in seen)d.open=seen[key];
head.addEventListener("click",turn);
head.addEventListener("pointerdown",function(e){if(e.pointerType==="mouse"&&e.button===0)turn();});
head.addEventListener("pointerleave",function(){if(d.isConnected)seen[key]=d.open;});
});
})();
</script>"""


def keeping_open(root: str) -> str:
    """The script that keeps open what the reader opened, though each update replaces the whole display.

    An update may come between pressing and releasing the mouse, and there is no click then; so pressing counts.

    Frontends that run no scripts of outputs lose nothing but that.

    Args:
        root: The id of the display's outermost element: letters, digits and hyphens.

    Returns:
        The script element.

    Raises:
        ValueError: The id has other characters.
    """
    if not root.replace("-", "").isalnum() or not root.isascii():
        raise ValueError(f"{root!r} is no id of a display.")
    return _SCRIPT % root
