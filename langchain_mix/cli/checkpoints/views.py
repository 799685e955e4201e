"""Shows checkpoints: tables, the tree of a thread, and a checkpoint with its values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from langchain_core.messages import BaseMessage
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree as Drawing

from langchain_mix.checkpoint.branches import Node, Preview, Tree
from langchain_mix.checkpoint.garbage import Report
from langchain_mix.checkpoint.positions import Position
from langchain_mix.cli.checkpoints.queries import Shown, Summary, as_data
from langchain_mix.cli.terminal import Column, counted, one_line, show_table, visible, write

_LIST: Final = (
    Column("thread"),
    Column("checkpoint"),
    Column("step", 2, right=True),
    Column("source", 4),
    Column("created", 1),
    Column("next", 3, "cut"),
    Column("bytes", 6, right=True),
    Column("pending", 7, right=True),
    Column("session", 5),
    Column("messages", 8, right=True),
    Column("ns", fit="wrap"),
)
_REPORT: Final = (
    Column("thread"),
    Column("checkpoints", 1, right=True),
    Column("writes", 4, right=True),
    Column("files", 3, right=True),
    Column("bytes", 2, right=True),
    Column("orphans", 2, right=True),
    Column("problem", fit="wrap"),
)
_VALUE_CHARS = 300
_LAST_PARTS = 12


def show_list(console: Console, summaries: Sequence[Summary], *, threads: bool) -> None:
    """Shows checkpoints: as a table to people, as lines of cells between tabs to programs.

    With `threads`, each represents its thread.
    """
    left_out = {"checkpoint" if threads else "thread", *([] if any(one.ns for one in summaries) else ["ns"])}
    _show(console, _LIST, [_cells(one) for one in summaries], left_out)


def _show(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]], left_out: set[str]) -> None:
    """Shows rows; without some columns to people."""
    kept = [at for at, one in enumerate(columns) if not (console.is_terminal and one.name in left_out)]
    show_table(console, [columns[at] for at in kept], [[row[at] for at in kept] for row in rows])


def show_report(console: Console, report: Report) -> None:
    """Shows what is stored: a line for each thread, and the sums to people."""
    rows = [
        (
            one.thread_id or f"? {one.key}",
            *(str(number) for number in (one.checkpoints, one.writes, one.files, one.bytes, len(one.orphans))),
            one.problem,
        )
        for one in report.threads
    ]
    if rows or not console.is_terminal:
        _show(console, _REPORT, rows, set() if any(one.problem for one in report.threads) else {"problem"})
    if not console.is_terminal:
        return
    sums = [
        counted(report.checkpoints, "checkpoint"),
        counted(report.writes, "write"),
        counted(report.files, "file"),
        counted(report.bytes, "byte"),
        f"{counted(len(report.orphans), 'file')} that nothing refers to",
    ]
    if report.empty:
        sums.append(counted(len(report.empty), "empty thread"))
    console.print(Text(f"{counted(len(rows), 'thread')}: {', '.join(sums)}.", style="dim"))


def report_data(report: Report) -> dict[str, Any]:
    """The same as JSON."""
    sums = ("checkpoints", "writes", "files", "bytes", "segments")
    threads = {name: [asdict(one) for one in getattr(report, name)] for name in ("threads", "empty")}
    return {**{name: getattr(report, name) for name in sums}, **threads}


def show_checkpoint(console: Console, found: Shown, *, full: bool) -> None:
    """Shows a checkpoint: what it is, its values, the writes that wait. With `full`, nothing is cut."""
    summary = found.summary
    console.print(Text(visible(summary.checkpoint_id), style="bold"))
    facts = [f"thread {summary.thread_id}", *([f"namespace {summary.ns}"] if summary.ns else [])]
    facts += [f"step {'?' if summary.step is None else summary.step}", summary.source or "?", summary.created_at]
    facts.append(f"next: {', '.join(summary.next)}" if summary.next else "nothing runs next")
    if summary.parent_id:
        facts.append(f"after {summary.parent_id}")
    if summary.position is not None:
        facts.append(f"session {summary.position.session_id}{_after(summary.position)}")
    console.print(Text(visible(" · ".join(facts)), style="dim"), soft_wrap=not console.is_terminal)
    for channel, value in sorted(found.values.items()):
        if not (channel.startswith("branch:to:") and value is None):
            _show_value(console, channel, value, full=full)
    for task_id, channel, value in found.writes:
        _show_value(console, f"waiting: {channel}", value, full=full, note=f"task {task_id}")


def _show_value(console: Console, name: str, value: Any, *, full: bool, note: str = "") -> None:
    parts = parts_of(value)
    kept = parts if full else parts[-_LAST_PARTS:]
    notes = [note] if note else []
    if len(kept) < len(parts):
        notes.append(f"{counted(len(parts) - len(kept), 'earlier message')} not shown")
    head = Text(one_line(name), style="cyan")
    console.print(head.append(f"  ({', '.join(notes)})", style="dim") if notes else head)
    for part in kept:
        text = as_text(part)
        shown = visible(text) if full else one_line(text, _VALUE_CHARS)
        if console.is_terminal:
            console.print(Padding(Text(shown), (0, 0, 0, 2)))
        else:
            write(console, f"  {shown}\n")


def _cells(one: Summary) -> tuple[str, ...]:
    position = one.position
    return (
        one.thread_id,
        one.checkpoint_id,
        "?" if one.step is None else str(one.step),
        one.source,
        one.created_at[:19].replace("T", " "),
        " ".join(one.next),
        str(one.size),
        str(one.pending_writes),
        "" if position is None else position.session_id,
        "" if position is None or position.row_count < 0 else str(position.row_count),
        one.ns,
    )


def _after(position: Position) -> str:
    """Returns where in its session a position is; empty if that is unknown."""
    return f" after {counted(position.row_count, 'message')}" if position.row_count >= 0 else ""


def show_tree(console: Console, tree: Tree, previews: Mapping[str, Preview]) -> None:
    """Draws a tree with previews by checkpoint: in colours to people, one line for each checkpoint to programs."""
    if not console.is_terminal:
        for line in str(tree).split("\n"):
            preview = next((previews[word] for word in line.split() if word in previews), None)
            shown = f"{line}  {one_line(preview.line)}" if preview is not None and preview.line else line
            write(console, visible(shown) + "\n")
        return
    title = " · ".join(part for part in (tree.thread_id, tree.ns, counted(len(tree.nodes), "checkpoint")) if part)
    drawing = Drawing(Text(one_line(title), style="bold"), guide_style="dim")
    waiting = [(node, drawing) for node in reversed(tree.roots)]
    while waiting:
        node, column = waiting.pop()
        drawn = column.add(_node_line(tree, node, previews.get(node.checkpoint_id)))
        children = tree.children.get(node.checkpoint_id, ())
        # The first child goes on in the same column; what branched off hangs on the checkpoint it left, oldest first.
        waiting.extend((child, column) for child in children[:1])
        waiting.extend((child, drawn) for child in reversed(children[1:]))
    console.print(drawing)


def tree_data(tree: Tree, previews: Mapping[str, Preview]) -> dict[str, Any]:
    """Returns the same as JSON, with the whole of each newest message."""
    latest = None if tree.latest is None else tree.latest.checkpoint_id
    none = Preview("", "")
    nodes = [
        {**asdict(node), "node": preview.node, "message": preview.text}
        for node in tree.nodes
        for preview in (previews.get(node.checkpoint_id, none),)
    ]
    return {"thread_id": tree.thread_id, "ns": tree.ns, "latest": latest, "nodes": nodes}


def _node_line(tree: Tree, node: Node, preview: Preview | None) -> Text:
    line = Text(one_line(node.checkpoint_id))
    for said, style in _node_facts(tree, node):
        line.append(f"  {one_line(said)}", style=style)
    if preview is not None and preview.line:
        line.append("\n  ")
        if preview.node:
            line.append(f"{one_line(preview.node)} ", style="blue")
        line.append(one_line(preview.gist))
    return line


def _node_facts(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    yield f"step {'?' if node.step is None else node.step} {node.source or '?'}", "dim"
    if node.is_branch:
        yield "branch", "yellow"
    if node is tree.latest:
        yield "newest", "bold green"
    if node.position is not None:
        # Eight characters name a session to all commands, and leave the line on one row.
        yield f"session {node.position.session_id[:8]}{_after(node.position)}", "cyan"
    if node.pending_writes:
        yield f"{node.pending_writes} pending", "dim"


def as_text(value: Any) -> str:
    """A value as text: a message by who says what, text as it is, anything else as JSON."""
    if isinstance(value, BaseMessage):
        calls = [
            f"{call['name']}({json.dumps(call['args'], ensure_ascii=False, default=str)})" for call in _calls(value)
        ]
        return f"{value.type}: {' '.join(part for part in (value.text, *calls) if part)}"
    return value if isinstance(value, str) else json.dumps(as_data(value), ensure_ascii=False)


def parts_of(value: Any) -> list[Any]:
    """Returns what is shown on lines of its own: each message of a list, else the value itself."""
    many = isinstance(value, list | tuple) and any(isinstance(part, BaseMessage) for part in value)
    return list(value) if many else [value]


def _calls(message: BaseMessage) -> list[Any]:
    return getattr(message, "tool_calls", [])
