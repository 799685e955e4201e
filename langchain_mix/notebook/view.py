"""The content of a live display, as data.

Owns: sections (one for each message), their parts, and what changed since the last rendering.
Refuses to know: where it comes from (`items.py`) and how it looks (`html.py`,
`plain_text.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.utils import message_chunk_to_message
from pydantic_core import to_json

from langchain_mix.protocol.tool_calls import was_denied

ToolStatus = Literal["writing", "called", "running", "succeeded", "failed"]
MediaKind = Literal["image", "video", "audio", "table", "file", "other"]
Status = Literal["running", "done", "paused", "failed", "stopped"]


@dataclass(slots=True, eq=False)
class Words:
    """Text or reasoning, in the pieces it came in.

    Attributes:
        thinking: Whether it is reasoning.
        pieces: All of it, in order.
        depth: In how many sub-agents it is.
        message_id: The message of a turn that it belongs to; empty if unknown.
        restated: Whether the pieces replace others, that lacked something.
    """

    thinking: bool = False
    pieces: list[str] = field(default_factory=list[str])
    depth: int = 0
    message_id: str = ""
    restated: bool = False

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)

    def restate(self, text: str) -> None:
        """Replaces the text by the whole text."""
        self.pieces, self.restated = [text] if text else [], True


@dataclass(slots=True, eq=False)
class Tool:
    """A tool call and what came of it.

    Attributes:
        id: The call.
        name: The tool.
        arguments: Pieces of the arguments, JSON text.
        status: How far it came; `writing` while its arguments come.
        progress: The server's words about the run.
        output: What it gave; None while that is unknown.
        parts: What a sub-agent did in it.
        depth: In how many sub-agents it is.
    """

    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])
    status: ToolStatus = "writing"
    progress: str = ""
    output: str | None = None
    parts: list[Part] = field(default_factory=list["Part"])
    depth: int = 0

    @property
    def input(self) -> str:
        """The arguments as far as they came."""
        return "".join(self.arguments)

    @property
    def denied(self) -> bool:
        """True when it was not allowed to run."""
        return self.status == "failed" and was_denied(self.output, self.progress)

    @property
    def over(self) -> bool:
        """True when it has run."""
        return self.status in {"succeeded", "failed"}


@dataclass(slots=True, eq=False)
class Media:
    """A picture, a table or another file that is shown.

    Attributes:
        kind: What it is.
        name: The file's name at the server; empty if it has none.
        url: Where in the web it is; empty if it is not. Nothing is fetched from there.
        title: Its title.
        description: More about it.
        mime_type: What `content` is.
        content: The picture or the table itself, once it is here.
        problem: Why it is not here.
        depth: In how many sub-agents it is.
    """

    kind: MediaKind
    name: str = ""
    url: str = ""
    title: str = ""
    description: str = ""
    mime_type: str = ""
    content: bytes | None = None
    problem: str = ""
    depth: int = 0


@dataclass(slots=True, eq=False)
class Notice:
    """An event outside the reply.

    Attributes:
        kind: `permission`, `notification`, `interrupt`, `rate_limit`, …: one or two words.
        text: What happened.
        depth: In how many sub-agents it happened.
    """

    kind: str
    text: str = ""
    depth: int = 0


Part = Words | Tool | Media | Notice


@dataclass(slots=True, eq=False)
class Section:
    """One message, or events outside all messages.

    Attributes:
        role: Who speaks.
        label: Which part of a graph it comes from; empty for none.
        depth: How many graphs are around the one it comes from.
        parts: What it shows, in order.
        chunks: The chunks of the message that came so far.
        message: The message, once it is whole.
        places: The part that a block of the message belongs to.
        complete: Whether nothing more of it will come.
        earlier: Whether it was there before the run.
        tokens: Tokens read and written, or None if unknown.
        cost: US dollars, or None if unknown.
    """

    role: Literal["assistant", "user", "system", "tool"] = "assistant"
    label: str = ""
    depth: int = 0
    parts: list[Part] = field(default_factory=list["Part"])
    chunks: list[AIMessageChunk] = field(default_factory=list[AIMessageChunk])
    message: BaseMessage | None = None
    places: dict[object, Part] = field(default_factory=dict[object, Part])
    complete: bool = False
    earlier: bool = False
    tokens: tuple[int, int] | None = None
    cost: float | None = None

    def whole(self) -> AIMessage | None:
        """The message as it is used on, or None if there is none of an assistant."""
        if isinstance(self.message, AIMessage) and not isinstance(self.message, AIMessageChunk):
            return self.message
        if not self.chunks:
            return None
        first, *rest = self.chunks
        merged = message_chunk_to_message(add_ai_message_chunks(first, *rest) if rest else first)
        return merged if isinstance(merged, AIMessage) else None


class View:
    """All that is shown, and what changed."""

    def __init__(self) -> None:
        """Starts empty."""
        self.sections: dict[str, Section] = {}
        self.tools: dict[str, Tool] = {}
        self.interrupts: set[str] = set()
        self.status: Status = "running"
        self.error: BaseException | None = None
        self.model = ""
        self.session_id = ""
        self.server = ""
        self.elapsed = 0.0
        self._changed: dict[Part, None] = {}
        self._unnamed = 0

    # Changes

    def touch(self, part: Part) -> None:
        """Notes that a part is new or has changed."""
        self._changed[part] = None

    def take_changes(self) -> list[Part]:
        """The parts that changed since the last call, in order."""
        changed, self._changed = list(self._changed), {}
        return changed

    # What is shown

    def section(self, key: str, **fields: Any) -> Section:
        """The section with this key, made if it is new."""
        found = self.sections.get(key)
        if found is None:
            found = self.sections[key] = Section(**fields)
        return found

    def fresh_key(self) -> str:
        """A key for what has no id."""
        self._unnamed += 1
        return f"unnamed-{self._unnamed}"

    def add(self, parts: list[Part], part: Part) -> None:
        """Puts a part at the end of others."""
        parts.append(part)
        self.touch(part)

    def say(self, words: Words, piece: str) -> None:
        """Goes on with a text."""
        words.pieces.append(piece)
        self.touch(words)

    def tool(self, parts: list[Part], call_id: str, *, depth: int = 0) -> Tool:
        """The tool call with this id, put at the end of `parts` if it is new."""
        found = self.tools.get(call_id)
        if found is None:
            found = self.tools[call_id] = Tool(call_id, depth=depth)
            parts.append(found)
        self.touch(found)
        return found

    def notice(self, kind: str, text: str = "", *, parts: list[Part] | None = None, depth: int = 0) -> None:
        """Shows an event outside the reply, in the section that is talking unless `parts` says where."""
        if parts is None:
            last = next(reversed(self.sections.values()), None)
            parts = (last or self.section(self.fresh_key())).parts
        self.add(parts, Notice(kind, text, depth))

    def end(self, status: Status, error: BaseException | None = None) -> None:
        """Notes how it ended. A graph that has paused ends well, and stays paused."""
        if not (status == "done" and self.status == "paused"):
            self.status = status
        self.error = error

    # What is known in the end

    def tokens(self) -> tuple[int, int] | None:
        """Returns the tokens read and written by all messages, or None if unknown."""
        known = [section.tokens for section in self._new() if section.tokens is not None]
        return (sum(read for read, _ in known), sum(written for _, written in known)) if known else None

    def cost(self) -> float | None:
        """Returns US dollars for all messages, or None if unknown."""
        known = [section.cost for section in self._new() if section.cost is not None]
        return sum(known) if known else None

    def calls(self) -> list[Tool]:
        """The tool calls of the run."""
        old = {part for section in self.sections.values() if section.earlier for part in section.parts}
        return [tool for tool in self.tools.values() if tool not in old]

    def _new(self) -> list[Section]:
        return [section for section in self.sections.values() if not section.earlier]

    def final_message(self) -> AIMessage | None:
        """Returns the last reply, preferably of the outermost graph; None without one."""
        replies = [section for section in self._new() if section.chunks or section.message is not None]
        replies = [section for section in replies if section.role == "assistant"]
        outer = min((section.depth for section in replies), default=0)
        return next((section.whole() for section in reversed(replies) if section.depth == outer), None)


def as_text(value: Any) -> str:
    """Returns a tool's input or output as text: JSON with indents where it is no text already."""
    if isinstance(value, str):
        return value
    try:
        encoded = to_json(value, indent=2, serialize_unknown=True, bytes_mode="base64", inf_nan_mode="constants")
    except ValueError:  # It contains itself.
        return str(value)
    return encoded.decode()
