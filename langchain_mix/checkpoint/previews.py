"""Previews of checkpoints, whatever saver lists them: the nodes that ran, and the newest message.

A preview is for people who look for a checkpoint, in the terminal and in notebooks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langgraph.checkpoint.base import CheckpointTuple

_GIST_CHARS: Final = 70


@dataclass(frozen=True, slots=True)
class Preview:
    """A checkpoint in a line.

    Attributes:
        node: The nodes of the graph that ran for it; empty if unknown.
        text: The newest message in its state, with its speaker; empty if there is none.
    """

    node: str
    text: str

    @property
    def gist(self) -> str:
        """The beginning of the message, in one line."""
        line = " ".join(self.text[: 4 * _GIST_CHARS].split())
        return line if len(line) <= _GIST_CHARS else f"{line[:_GIST_CHARS]}…"

    @property
    def line(self) -> str:
        """The nodes and the beginning of the message."""
        return " ".join(filter(None, (f"[{self.node}]" if self.node else "", self.gist)))


def previews_of(listed: Iterable[CheckpointTuple]) -> dict[str, Preview]:
    """Reads previews of checkpoints, by their ids.

    Args:
        listed: The checkpoints of a thread as a saver lists them. One whose parent is not among them has no nodes.
    """
    found = {one.checkpoint["id"]: one for one in listed}
    previews: dict[str, Preview] = {}
    for name, one in found.items():
        parent = found.get(str((one.parent_config or {}).get("configurable", {}).get("checkpoint_id") or ""))
        known = parent is not None or one.parent_config is None
        node = _nodes(one.checkpoint, parent.checkpoint if parent is not None else {}) if known else ""
        previews[name] = Preview(node, _newest_message(one.checkpoint["channel_values"]))
    return previews


def _nodes(checkpoint: Mapping[str, Any], parent: Mapping[str, Any]) -> str:
    """Returns the nodes that ran. LangGraph: a node that ran has seen newer versions of channels than before."""
    seen: Mapping[str, Any] = parent.get("versions_seen") or {}
    versions: Mapping[str, Any] = checkpoint.get("versions_seen") or {}
    ran = [node for node, now in versions.items() if now != seen.get(node) and not node.startswith("__")]
    return ", ".join(sorted(ran))


def _newest_message(values: Mapping[str, Any]) -> str:
    messages = values.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, BaseMessage):
        return ""
    calls = [f"{call['name']}(…)" for call in getattr(last, "tool_calls", [])]
    return f"{last.type}: {' '.join(filter(None, [last.text.strip(), *calls]))}"
