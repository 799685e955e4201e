"""Shows sessions on the screen, and writes them as Markdown or JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from langchain_mix.cli.sessions import Exchange, exchanges_of
from langchain_mix.cli.terminal import Column, as_json, counted, one_line, show_table, visible
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.models import BackendMessage, SessionData, ToolCallData
from langchain_mix.protocol.tool_calls import word_for_result

_COLUMNS: Final = (
    Column("id"),
    Column("title", fit="cut"),
    Column("type", 5),
    Column("asked", 2, right=True),
    Column("answered", 4, right=True),
    Column("cost", 3, right=True),
    Column("created", 1),
    Column("begins", 6, "cut"),
)
_ARGUMENT_CHARS = 200
_RESULT_CHARS = 400


def show_sessions(console: Console, sessions: Sequence[SessionData]) -> None:
    """Shows sessions: as a table to people, as lines of cells between tabs to programs."""
    show_table(console, _COLUMNS, [_cells(session) for session in sessions])


def _cells(session: SessionData) -> tuple[str, ...]:
    return (
        session.id,
        session.title,
        session.session_type or "main",
        str(session.user_message_count),
        str(session.assistant_message_count),
        money(session.cost),
        f"{session.created_at:%Y-%m-%d %H:%M}" if session.created_at else "",
        _first_text(session),
    )


def _first_text(session: SessionData) -> str:
    """Returns the text of the first message, which Mix before 0.8 lists as the JSON of its parts; empty if unknown."""
    raw = session.first_user_message or ""
    try:
        parts = json.loads(raw)
    except ValueError:
        return raw
    if not isinstance(parts, list):
        return raw
    data = (part.get("data") for part in parts if isinstance(part, dict) and part.get("type") == "text")
    return " ".join(str(one.get("text", "")) for one in data if isinstance(one, dict))


def show_head(console: Console, session: SessionData) -> None:
    """Shows what a session is."""
    console.print(Text(visible(session.title) or "Untitled", style="bold"))
    facts = [session.id, session.session_type or "main"]
    if session.created_at:
        facts.append(f"created {session.created_at:%Y-%m-%d %H:%M}")
    if session.parent_session_id:
        facts.append(f"from {session.parent_session_id}")
    facts.append(counted(session.user_message_count, "exchange"))
    facts.append(money(session.cost))
    console.print(Text(visible(" · ".join(facts)), style="dim"))


def show_transcript(console: Console, rows: Sequence[BackendMessage], *, last: int | None = None) -> None:
    """Shows the last exchanges of all rows of a session, None for all."""
    exchanges = exchanges_of(rows)
    shown = exchanges if last is None else exchanges[max(len(exchanges) - last, 0) :]
    if len(shown) < len(exchanges):
        console.print(Text(f"({counted(len(exchanges) - len(shown), 'earlier exchange')} not shown)", style="dim"))
    for exchange in shown:
        show_exchange(console, exchange)


def show_exchange(console: Console, exchange: Exchange) -> None:
    """Shows one exchange."""
    console.print(Rule(Text(f"{exchange.number}"), align="left", style="dim"))
    console.print(Text("You: ", style="bold").append(visible(exchange.asked), style="none"))
    for row in exchange.rows[1:]:
        if row.reasoning:
            console.print(Text(visible(row.reasoning.strip()), style="dim italic"))
        if row.role != "tool" and row.assistant_response:
            console.print(Markdown(visible(row.assistant_response), hyperlinks=False))
        for call in row.tool_calls:
            outcome = word_for_result(call.result, is_error=call.is_error)
            state = f" {outcome}" if outcome else ""
            console.print(Text(f"{one_line(call.name)}{state} {one_line(call.input, _ARGUMENT_CHARS)}", style="cyan"))
            if call.result:
                console.print(Padding(Text(_excerpt(call.result), style="dim"), (0, 0, 0, 2)))


def _excerpt(result: str) -> str:
    """Returns the beginning of a tool's output with its lines as they are."""
    text = visible(result).rstrip()
    return text if len(text) <= _RESULT_CHARS else text[: _RESULT_CHARS - 1] + "…"


def money(dollars: float) -> str:
    """US dollars, to the hundredth of a cent where it is little."""
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4f}"


Format = Literal["markdown", "json"]

SUFFIXES: Final[dict[Format, str]] = {"markdown": ".md", "json": ".json"}


def as_data(session: SessionData, rows: Sequence[BackendMessage]) -> dict[str, Any]:
    """A session and its rows, with the names that the server gives them."""
    return {
        "session": session.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "messages": [row.model_dump(mode="json", by_alias=True, exclude_unset=True) for row in rows],
    }


def written(session: SessionData, rows: Sequence[BackendMessage], form: Format) -> str:
    """Writes a session down, with a line break at its end."""
    if form == "json":
        return as_json(as_data(session, rows))
    return "\n".join(_markdown(session, rows)).rstrip() + "\n"


def save(text: str, path: Path, *, overwrite: bool) -> None:
    """Puts a document into a file: all of it, or the file stays as it was.

    Raises:
        MixInputError: There is a file already, and it must stay.
        OSError: The file cannot be written.
    """
    target = path.with_name(f".{path.name[:40]}.{os.getpid()}.part") if overwrite else path
    try:
        file = target.open("x", encoding="utf-8", errors="replace", newline="\n")
    except FileExistsError:
        raise MixInputError(
            f"{target} is there already.", hint="Give another name, or `--force` to replace it."
        ) from None
    try:
        with file:
            file.write(text)
        if overwrite:
            target.replace(path)
    except BaseException:
        target.unlink()
        raise


def _markdown(session: SessionData, rows: Sequence[BackendMessage]) -> Iterator[str]:
    yield f"# {session.title or 'Untitled'}"
    yield ""
    created = f", created {session.created_at:%Y-%m-%d %H:%M}" if session.created_at else ""
    yield f"Session `{session.id}`{created}."
    yield ""
    for exchange in exchanges_of(rows):
        yield f"## {exchange.number}. You"
        yield ""
        yield exchange.asked
        yield ""
        for row in exchange.rows[1:]:
            yield from _row(row)


def _row(row: BackendMessage) -> Iterator[str]:
    if row.reasoning:
        yield from _quoted("Thinking", row.reasoning)
    if row.role != "tool" and row.assistant_response:
        yield "### Agent" + (f" ({row.model})" if row.model else "")
        yield ""
        yield row.assistant_response
        yield ""
    for call in row.tool_calls:
        yield from _tool(call)


def _tool(call: ToolCallData) -> Iterator[str]:
    outcome = word_for_result(call.result, is_error=call.is_error)
    yield f"**Tool `{call.name}`**" + (f" ({outcome})" if outcome else "")
    yield ""
    yield from _fenced(call.input, "json")
    if call.result is not None:
        yield from _fenced(call.result, "")


def _fenced(text: str, language: str) -> Iterator[str]:
    """A code block whose fence is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    yield fence + language
    yield text.rstrip("\n")
    yield fence
    yield ""


def _quoted(title: str, text: str) -> Iterator[str]:
    yield f"> *{title}*"
    yield ">"
    for line in text.split("\n"):
        yield f"> {line}".rstrip()
    yield ""
