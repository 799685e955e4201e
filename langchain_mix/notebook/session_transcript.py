"""`transcript`: a session of the server, to be looked at.

Owns: which rows become which sections. Refuses to know: how sections look (`html.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Final

from langchain_mix.notebook.html import DOT, Folding, Look, Page, counted, frame
from langchain_mix.notebook.plain_text import PlainTextWriter
from langchain_mix.notebook.view import Notice, Section, Tool, View, Words
from langchain_mix.protocol.terminal_text import harmless
from langchain_mix.protocol.tool_calls import outcome_of_result

if TYPE_CHECKING:
    from langchain_mix.client import Mix
    from langchain_mix.protocol.call import Flow
    from langchain_mix.protocol.models import BackendMessage, ExportMessage, ExportSession, ToolCallData

_NORMAL_ENDS: Final = frozenset({"", "end_turn", "stop", "tool_use"})


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """A session as it was when it was read. Notebooks show it as a page, everything else as text.

    Attributes:
        session_id: The session.
        title: Its title.
        facts: Its counters, in words.
        view: Its messages.
        look: What is shown of them.
    """

    session_id: str
    title: str
    facts: Sequence[str]
    view: View = field(repr=False)
    look: Look = field(repr=False)

    def _repr_html_(self) -> str:
        facts = DOT.join(f"<span>{escape(fact)}</span>" for fact in self.facts)
        head = f'<div class="lcm-label">{escape(self.title or "Session")} <code>{escape(self.session_id)}</code></div>'
        page = Page(self.look, "")
        foot = f'<div class="lcm-status">{facts}</div>'
        return frame(f"{head}{page.still(self.view)}{foot}", label=f"Session {self.session_id}")

    def __repr__(self) -> str:
        """The session as text."""
        title = " ".join(self.title.split()) or "Session"
        lines = [harmless(f"{title} ({self.session_id}): {' · '.join(self.facts)}")]
        writer = PlainTextWriter(self.look, whole=True)
        for section in self.view.sections.values():
            for part in section.parts:
                text = "".join(span.text for span in writer.part(part)).strip("\n")
                if text:
                    first, *rest = text.split("\n")
                    lines += [f"{section.role:>9} | {first}", *(f"{'':>9} | {line}" for line in rest)]
        return "\n".join(lines)


def transcript(
    session_id: str, mix: Mix, *, thinking: Folding = "closed", tools: Folding = "closed", max_output: int = 2000
) -> Transcript:
    """Reads a session to look at it: what was said and thought, and the inputs and outputs of tools.

    Args:
        session_id: The session.
        mix: A client of its server.
        thinking: Whether reasoning is folded away (`"closed"`), unfolded (`"open"`) or left out (`"hidden"`).
        tools: The same for tools. Their outputs are available from Mix 0.8 on.
        max_output: Characters of a tool's arguments or output that are shown before the rest is folded away.

    Returns:
        The transcript; as the last value of a notebook cell it is shown.

    Raises:
        MixNotFoundError: There is no such session.
        MixError: It cannot be read.
    """
    return mix.run(_reading(session_id, Look(thinking=thinking, tools=tools, max_output=max_output)))


async def atranscript(
    session_id: str, mix: Mix, *, thinking: Folding = "closed", tools: Folding = "closed", max_output: int = 2000
) -> Transcript:
    """Does what `transcript` does, asynchronously."""
    return await mix.run_async(_reading(session_id, Look(thinking=thinking, tools=tools, max_output=max_output)))


def _reading(session_id: str, look: Look) -> Flow[Transcript]:
    from langchain_mix.protocol import calls  # noqa: PLC0415  # Models of the wire are loaded when they are needed.
    from langchain_mix.protocol.call import ask  # noqa: PLC0415  # The same.

    exported = yield from ask(calls.export_session(session_id))
    # Exports lack the outputs of tools, listings have them (Mix 0.8).
    rows = yield from ask(calls.list_messages(session_id))
    view = View()
    listed = {row.id: row for row in rows}
    for message in exported.messages:
        _read_row(view, message, listed.get(message.id))
    view.end("done")
    return Transcript(session_id=session_id, title=exported.title, facts=_facts(exported, view), view=view, look=look)


def _read_row(view: View, message: ExportMessage, listed: BackendMessage | None) -> None:
    if message.role == "tool":
        return  # Outputs of tools are shown with their calls; the row itself has no text.
    section = view.section(message.id, role="user" if message.role == "user" else "assistant", complete=True)
    thought = message.reasoning or "\n\n".join(message.thinking_blocks)
    if thought:
        section.parts.append(Words(thinking=True, pieces=[thought]))
    if message.content:
        section.parts.append(Words(pieces=[message.content]))
    known = {call.id: call for call in listed.tool_calls} if listed is not None else {}
    for call in message.tool_calls:
        tool = view.tool(section.parts, call.id)
        tool.name, tool.arguments[:] = call.name, [call.input]
        tool.status = "called" if call.finished else "writing"
        _read_outcome(tool, known.get(call.id), call.result, is_error=call.is_error)
    if (message.finish_reason or "") not in _NORMAL_ENDS:
        section.parts.append(Notice("ended", str(message.finish_reason)))
    _count(section, listed)


def _read_outcome(tool: Tool, listed: ToolCallData | None, result: str | None, *, is_error: bool | None) -> None:
    if listed is not None and listed.result is not None:
        result, is_error = listed.result, listed.is_error
    tool.output = result
    tool.status = outcome_of_result(result, is_error=is_error) or tool.status


def _count(section: Section, listed: BackendMessage | None) -> None:
    if listed is None:
        return
    if listed.input_tokens is not None or listed.output_tokens is not None:
        section.tokens = (listed.input_tokens or 0, listed.output_tokens or 0)
    section.cost = listed.cost


def _facts(exported: ExportSession, view: View) -> list[str]:
    facts = [f"{exported.created_at:%Y-%m-%d %H:%M}"] if exported.created_at else []
    facts.append(counted(exported.user_message_count, "message"))
    if view.tools:
        facts.append(counted(len(view.tools), "tool call"))
    if (tokens := view.tokens()) is not None:
        facts.append(f"{tokens[0]:,} tokens in, {tokens[1]:,} out")
    return [*facts, f"${exported.cost:.4f}"]
