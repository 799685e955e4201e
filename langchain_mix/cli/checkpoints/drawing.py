"""The tree of a thread on the screen.

Owns: how branches are drawn. Refuses to know: where checkpoints come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree as Drawing

from langchain_mix.checkpoint.tree import Node, Tree
from langchain_mix.cli.sessions.exchanges import counted
from langchain_mix.cli.terminal import one_line, visible, write


def show_tree(console: Console, tree: Tree) -> None:
    """Draws a tree: in colours to people, one line for each checkpoint to programs.

    Args:
        console: Where.
        tree: The checkpoints.
    """
    if not console.is_terminal:
        write(console, visible(str(tree)) + "\n")
        return
    title = " · ".join(part for part in (tree.thread_id, tree.ns, counted(len(tree.nodes), "checkpoint")) if part)
    drawing = Drawing(Text(one_line(title), style="bold"), guide_style="dim")
    waiting = [(node, drawing) for node in reversed(tree.roots)]
    while waiting:
        node, column = waiting.pop()
        drawn = column.add(_line(tree, node))
        children = tree.children.get(node.checkpoint_id, ())
        # The first child goes on in the same column; what branched off hangs on the checkpoint it left, oldest first.
        waiting.extend((child, column) for child in children[:1])
        waiting.extend((child, drawn) for child in reversed(children[1:]))
    console.print(drawing)


def tree_data(tree: Tree) -> dict[str, Any]:
    """The same as JSON."""
    latest = None if tree.latest is None else tree.latest.checkpoint_id
    nodes = [asdict(node) for node in tree.nodes]
    return {"thread_id": tree.thread_id, "ns": tree.ns, "latest": latest, "nodes": nodes}


def _line(tree: Tree, node: Node) -> Text:
    line = Text(one_line(node.checkpoint_id))
    for said, style in _facts(tree, node):
        line.append(f"  {one_line(said)}", style=style)
    return line


def _facts(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    yield f"step {'?' if node.step is None else node.step} {node.source or '?'}", "dim"
    if node.is_branch:
        yield "branch", "yellow"
    if node is tree.latest:
        yield "newest", "bold green"
    if node.position is not None:
        rows = node.position.row_count
        after = f" after {counted(rows, 'row')}" if rows >= 0 else ""
        yield f"session {node.position.session_id}{after}", "cyan"
    if node.pending_writes:
        yield f"{node.pending_writes} pending", "dim"
