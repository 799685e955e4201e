"""Sessions on the screen.

Owns: the table of sessions and the transcript of one. Refuses to know: where they come from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from langchain_mix.cli.sessions.exchanges import Exchange, counted, exchanges_of
from langchain_mix.cli.terminal import one_line, visible, write_rows
from langchain_mix.protocol.models import BackendMessage, SessionData
from langchain_mix.protocol.tool_outcomes import outcome_of_result

_COLUMNS = ("id", "title", "type", "asked", "answered", "cost", "created", "begins")
_WIDEST, _WIDE, _MIDDLING = 150, 100, 76
_TITLE_CHARS = 48
_ARGUMENT_CHARS = 200
_RESULT_CHARS = 400


def show_sessions(console: Console, sessions: Sequence[SessionData]) -> None:
    """Shows sessions: as a table to people, as lines of cells between tabs to programs."""
    cells = [_cells(session) for session in sessions]
    if not console.is_terminal:
        write_rows(console, [_COLUMNS, *cells])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = _columns_for(console.width)
    for name in columns:
        numbers = name in {"asked", "answered", "cost"}
        table.add_column(name, justify="right" if numbers else "left", no_wrap=name != "title", overflow="fold")
    for row in cells:
        cell: dict[str, str] = dict(zip(_COLUMNS, row, strict=True))
        table.add_row(*(Text(one_line(cell[name], _TITLE_CHARS)) for name in columns))
    console.print(table)


def _columns_for(width: int) -> tuple[str, ...]:
    """The columns that a screen has room for; ids are never cut."""
    if width >= _WIDE:
        return _COLUMNS if width >= _WIDEST else _COLUMNS[:-1]
    return ("id", "title", "asked", "created") if width >= _MIDDLING else ("id", "title")


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
    """Shows what was said in a session.

    Args:
        console: Where.
        rows: All rows of the session.
        last: How many of the last exchanges, None for all.
    """
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
            outcome = outcome_of_result(call.result, is_error=call.is_error)
            state = f" {outcome}" if outcome is not None else ""
            console.print(Text(f"{one_line(call.name)}{state} {one_line(call.input, _ARGUMENT_CHARS)}", style="cyan"))
            if call.result:
                console.print(Padding(Text(one_line(call.result, _RESULT_CHARS), style="dim"), (0, 0, 0, 2)))


def money(dollars: float) -> str:
    """US dollars, to the hundredth of a cent where it is little."""
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4f}"
