"""The agent that needs no model and no key.

Owns: the order of the strategies, and how their moves become pieces of a reply.
Refuses to know: how a question is answered. Each strategy is a pure function of the conversation, so the same
conversation gets the same answer, after a fork and a restart too.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence

from langchain_mix.emulator.agents.base import Piece, Request, Text, Thinking, ToolUse, Usage
from langchain_mix.emulator.agents.offline.answers import (
    calculate,
    delegate,
    fallback,
    greet,
    keep_todos,
    name_capital,
    recall,
    write_file,
)
from langchain_mix.emulator.agents.offline.client_tools import follow_application, without_setup
from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say, Strategy
from langchain_mix.emulator.agents.offline.files import aggregate_table, list_files, quote_file

MODEL = "offline"
MAX_STEPS = 100
LONGEST_PIECE = 24
_CHARS_PER_TOKEN = 4
_PIECE = re.compile(r"\s*\S+|\s+\Z")

STRATEGIES: tuple[Strategy, ...] = (
    delegate,
    write_file,
    keep_todos,
    greet,
    recall,
    calculate,
    name_capital,
    list_files,
    aggregate_table,
    quote_file,
)
"""Tried in order, after what the application asks for and without its blocks."""


class OfflineAgent:
    """Thinks, looks into the session's files with the server's tools, and answers in Markdown with its sources."""

    costs_nothing = True

    def __init__(self, strategies: Sequence[Strategy] = STRATEGIES) -> None:
        """Makes an agent without state, which tries the strategies in order."""
        self._strategies = tuple(strategies)

    async def reply(self, request: Request) -> AsyncIterator[Piece]:
        """Thinks, then either calls a tool or answers."""
        talk = Conversation.of(request)
        move = await asyncio.to_thread(self._move, talk)  # A large table takes its time.
        for piece in _pieces(talk, move):
            yield piece

    def _move(self, talk: Conversation) -> Move:
        if len(talk.steps) >= MAX_STEPS:
            return Say(f"I stopped after {MAX_STEPS} tool calls without an answer.")
        if (move := follow_application(talk)) is not None:
            return move
        plain = without_setup(talk)
        moves = (strategy(plain) for strategy in self._strategies)
        return next((move for move in moves if move is not None), None) or fallback(plain)


def _pieces(talk: Conversation, move: Move) -> Iterator[Piece]:
    thoughts = _thoughts(talk, move) if talk.request.thinking_level != "off" else ""
    yield from (Thinking(part) for part in word_pieces(thoughts))
    yield from (Text(part) for part in word_pieces(move.text))
    written = len(thoughts) + len(move.text)
    if isinstance(move, Act):
        yield ToolUse(name=move.tool, input=dict(move.arguments))
        written += len(json.dumps(dict(move.arguments), ensure_ascii=False))
    yield Usage(input_tokens=_tokens(_read(talk.request)), output_tokens=_tokens(written), model=MODEL)


def word_pieces(text: str) -> Iterator[str]:
    """Cuts a text at its spaces, and very long words too; the pieces joined are the text, character for character."""
    for match in _PIECE.finditer(text):
        word = match[0]
        yield from (word[at : at + LONGEST_PIECE] for at in range(0, len(word), LONGEST_PIECE))


def _tokens(characters: int) -> int:
    return -(-characters // _CHARS_PER_TOKEN)


def _thoughts(talk: Conversation, move: Move) -> str:
    if not talk.steps:
        opening = f"The user says: “{' '.join(talk.ask.split())[:120]}”."
    else:
        last = talk.steps[-1]
        size = len(last.result.output)
        opening = f"{last.call.name} gave {size} character{'' if size == 1 else 's'}."
    return " ".join([opening, *(move.thoughts or ("I can answer this.",))])


def _read(request: Request) -> int:
    texts = sum(len(line.text) for line in request.lines)
    results = sum(len(result.output) for line in request.lines for result in line.results)
    return len(request.system_prompt) + texts + results
