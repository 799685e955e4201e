"""The agent that needs no model and no key.

Owns: the order in which strategies are tried, and turning their moves into pieces.
Refuses to know: how any question is answered; each strategy is a pure function of the conversation, so the same
conversation always gets the same answer, after a fork and a restart too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence

from langchain_mix.emulator.agents.base import Piece, Request, Text, Thinking, ToolUse, Usage
from langchain_mix.emulator.agents.offline.arithmetic import arithmetic
from langchain_mix.emulator.agents.offline.assignment import plain
from langchain_mix.emulator.agents.offline.changes import replace_text, write_file
from langchain_mix.emulator.agents.offline.client_tools import follow_form, follow_tools
from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say, Strategy
from langchain_mix.emulator.agents.offline.errands import delegate, keep_todos, present_plan, run_command
from langchain_mix.emulator.agents.offline.facts import facts
from langchain_mix.emulator.agents.offline.files import list_files, search_files
from langchain_mix.emulator.agents.offline.persona import formed, only_answer
from langchain_mix.emulator.agents.offline.prose import pieces, tokens
from langchain_mix.emulator.agents.offline.recall import recall
from langchain_mix.emulator.agents.offline.smalltalk import honest, smalltalk
from langchain_mix.emulator.agents.offline.summaries import summarise
from langchain_mix.emulator.agents.offline.table_answers import answer_from_tables

MODEL = "offline"
MAX_STEPS = 100

PROTOCOLS: tuple[Strategy, ...] = (follow_tools, follow_form)
"""Tried before all others, on the conversation with its blocks; what they say is sent to the letter."""

STRATEGIES: tuple[Strategy, ...] = (
    only_answer,
    present_plan,
    delegate,
    write_file,
    replace_text,
    run_command,
    keep_todos,
    smalltalk,
    recall,
    arithmetic,
    summarise,
    facts,
    list_files,
    answer_from_tables,
    search_files,
)
"""Tried in order; the first that knows the question answers it."""


class OfflineAgent:
    """Thinks, looks into the session's files with the server's tools, and answers in Markdown with its sources."""

    costs_nothing = True

    def __init__(self, strategies: Sequence[Strategy] = STRATEGIES) -> None:
        """Makes an agent, which holds no state and serves any number of sessions.

        Args:
            strategies: Tried in order.
        """
        self._strategies = tuple(strategies)

    async def reply(self, request: Request) -> AsyncIterator[Piece]:
        """Thinks, then either calls a tool or answers."""
        talk = Conversation.of(request)
        move = await asyncio.to_thread(self._move, talk)  # Large tables take their time.
        for piece in _pieces(talk, move):
            yield piece

    def _move(self, talk: Conversation) -> Move:
        if len(talk.steps) >= MAX_STEPS:
            return Say(f"I stopped after {MAX_STEPS} tool calls without an answer.")
        asked = (protocol(talk) for protocol in PROTOCOLS)
        move = next((found for found in asked if found is not None), None)
        if move is not None:
            return move
        talk = plain(talk)
        moves = (strategy(talk) for strategy in self._strategies)
        move = next((found for found in moves if found is not None), None) or honest(talk)
        return formed(talk, move) if isinstance(move, Say) else move


def _pieces(talk: Conversation, move: Move) -> Iterator[Piece]:
    thoughts = _thoughts(talk, move) if talk.request.thinking_level != "off" else ""
    yield from (Thinking(part) for part in pieces(thoughts))
    yield from (Text(part) for part in pieces(move.text))
    written = len(thoughts) + len(move.text)
    if isinstance(move, Act):
        yield ToolUse(name=move.tool, input=dict(move.arguments))
        written += len(json.dumps(dict(move.arguments), ensure_ascii=False))
    yield Usage(input_tokens=tokens(_read(talk.request)), output_tokens=tokens(written), model=MODEL)


def _thoughts(talk: Conversation, move: Move) -> str:
    if not talk.steps:
        opening = f"The user says: “{' '.join(talk.ask.split())[:120]}”."
    else:
        last = talk.steps[-1]
        opening = f"{last.call.name} gave {len(last.result.output)} characters."
    return " ".join([opening, *(move.thoughts or ("I know what to say.",))])


def _read(request: Request) -> int:
    texts = sum(len(line.text) for line in request.lines)
    results = sum(len(result.output) for line in request.lines for result in line.results)
    return len(request.system_prompt) + texts + results
