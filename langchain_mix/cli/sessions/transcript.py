"""A session as a document.

Owns: transcripts as Markdown and as data, and putting them into files whole or not at all.
Refuses to know: how sessions are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from langchain_mix.cli.sessions.exchanges import exchanges_of
from langchain_mix.cli.terminal import as_json
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.models import BackendMessage, SessionData, ToolCallData
from langchain_mix.protocol.tool_outcomes import outcome_of_result

Format = Literal["markdown", "json"]

SUFFIXES: Final[dict[Format, str]] = {"markdown": ".md", "json": ".json"}


def as_data(session: SessionData, rows: Sequence[BackendMessage]) -> dict[str, Any]:
    """A session and its rows, with the names that the server gives them."""
    return {
        "session": session.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "messages": [row.model_dump(mode="json", by_alias=True, exclude_unset=True) for row in rows],
    }


def written(session: SessionData, rows: Sequence[BackendMessage], form: Format) -> str:
    """Writes a session down.

    Args:
        session: The session.
        rows: Its rows, oldest first.
        form: How.

    Returns:
        The document, with a line break at its end.
    """
    if form == "json":
        return as_json(as_data(session, rows))
    return "\n".join(_markdown(session, rows)).rstrip() + "\n"


def save(text: str, path: Path, *, overwrite: bool) -> None:
    """Puts a document into a file: all of it, or the file stays as it was.

    Args:
        text: The document.
        path: The file.
        overwrite: Whether a file that is there already is replaced.

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
    outcome = outcome_of_result(call.result, is_error=call.is_error)
    yield f"**Tool `{call.name}`**" + (f" ({outcome})" if outcome is not None else "")
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
