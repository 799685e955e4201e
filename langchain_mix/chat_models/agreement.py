"""Checks that the stored messages of a session are those of a conversation, before its pointer is followed.

Owns: the comparison that decides whether a pointer may be followed. A pointer travels in a message's metadata, which
anybody may have written who can hand messages to the application; its digest is a plain hash of the messages that came
with it. What nobody can write who does not know a conversation is its words. All rows up to the pointer's are compared,
those of the user with the very text that `ChatMix` sends for the messages, those of the agent with its answers, white
space aside.
Refuses to know: what is done with the answer (`alignment.py`), and how rows are read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_mix.chat_models.alignment import Base
from langchain_mix.chat_models.history import (
    INTRODUCTION,
    MESSAGE,
    RENEWED,
    calls_by_id,
    extend,
    kind_of,
    said,
    text_to_send,
)
from langchain_mix.chat_models.inputs import read_inputs, standard_messages
from langchain_mix.chat_models.json_text import locate_json
from langchain_mix.chat_models.reply_parser import CallArguments, CallStarted, InvalidCall, Piece, Text, ToolCallParser
from langchain_mix.chat_models.tool_prompt import REMINDER, render_tool_results
from langchain_mix.errors import MixInputError
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.sending import GUARD
from langchain_mix.protocol.turn.stored_rows import StoredRow

_PLAN_MODE: Final = "<system-reminder>"
"""Mix: plan mode appends such a block to the user's text and stores it."""


def agrees(rows: Sequence[StoredRow], messages: Sequence[BaseMessage], base: Base, server: str) -> bool:
    """Returns whether a session, whose rows are all given, holds a conversation up to its base and nothing else.

    False also where the row is missing, or where anything that the conversation does not show was said before it, such
    as by a turn that failed or by a callback.
    """
    place = next((i for i, row in enumerate(rows) if row.id == base.pointer.message_id), None)
    if place is None or rows[place].role != "assistant":
        return False
    try:
        conversation = _Conversation(messages[: base.index + 1], server)
    except MixInputError:
        return False  # It holds what cannot be sent, so that it was not sent.
    return conversation.is_in(rows[: place + 1])


class _Conversation:
    """A conversation that ends with an answer, and the texts in which a session is given it."""

    def __init__(self, messages: Sequence[BaseMessage], server: str) -> None:
        spoken = [m for m in standard_messages(messages) if kind_of(m) != "system"]
        self._messages = read_inputs(spoken).messages
        self._calls = calls_by_id(spoken)
        self._answers = [i for i, m in enumerate(spoken) if kind_of(m) == "ai"]
        self._proven: set[int] = set()
        so_far = ""
        for index, message in enumerate(spoken):
            so_far = extend(so_far, message)
            pointer = read_pointer(message.response_metadata)
            if pointer is not None and pointer.digest == so_far and pointer.server.rstrip("/") == server.rstrip("/"):
                self._proven.add(index)

    def is_in(self, rows: Sequence[StoredRow]) -> bool:
        turns: list[tuple[str, list[str]]] = []
        for row in rows:
            if row.role == "user":
                turns.append((row.text, []))
            elif row.role != "tool":
                if row.role != "assistant" or not turns:
                    return False
                turns[-1][1].append(row.text)
        end = len(self._messages) - 1
        reminded: list[list[str]] = []
        for number, (text, replies) in reversed(list(enumerate(turns))):
            if not reminded and number > 0 and self._goes_on(text, end):
                reminded = [replies]
                continue
            parts, reminded = [replies, *reminded], []
            if end < 0 or kind_of(self._messages[end]) != "ai" or not _is_answer(self._messages[end], parts):
                return False
            start = self._start(text, end, first=number == 0)
            if start is None:
                return False
            end = start - 1
        return end < 0

    def _goes_on(self, stored: str, end: int) -> bool:
        """Returns whether the answer at `end` began before this row, which `ChatMix` wrote within the same call."""
        found = REMINDER.match(stored)
        rest = stored[found.end() :].lstrip() if found is not None else stored
        after_answer = end > 0 and kind_of(self._messages[end - 1]) == "ai"
        return found is not None and not after_answer and (not rest or rest.startswith(_PLAN_MODE))

    def _start(self, stored: str, end: int, *, first: bool) -> int | None:
        """Finds the message with which begins what a user's row says; the row ends before the answer at `end`."""
        earlier = [i for i in self._answers if i < end]
        proven = [i for i in earlier if i in self._proven]
        if first or _squeezed(stored).startswith(_squeezed(INTRODUCTION)):
            starts = [0]  # The whole history, in words of its own or as a transcript.
        else:
            starts = [answers[-1] + 1 for answers in (earlier, proven) if answers]
        return next((start for start in dict.fromkeys(starts) if self._is_row(stored, start, end)), None)

    def _is_row(self, stored: str, start: int, end: int) -> bool:
        sent: list[BaseMessage] = list(self._messages[start:end])
        reminders = list(REMINDER.finditer(stored)) if not sent or kind_of(sent[-1]) == "ai" else []
        if reminders:  # What `ChatMix` itself said to an answer that lacked a call is no message of the conversation.
            sent.append(HumanMessage(reminders[-1][0]))
        try:
            text = text_to_send(sent, render_tool_results, calls=self._calls, continued=start > 0)
        except MixInputError:
            return False
        return _is_sent(_squeezed(stored), _squeezed(text))


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _is_sent(stored: str, text: str) -> bool:
    """Returns whether a user's row is this text, in one of the forms in which it is sent."""
    for form in (text, _squeezed(GUARD) + text):
        if stored == form or stored.startswith(form + _PLAN_MODE):
            return True
    if not stored.startswith(_squeezed(RENEWED)):
        return False
    form = MESSAGE + text
    return stored.endswith(form) or form + _PLAN_MODE in stored


def _is_answer(message: BaseMessage, parts: Sequence[Sequence[str]]) -> bool:
    """Returns whether the agent's rows, turn by turn, are this answer, as `ChatMix` reads answers."""
    if isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls):
        return _are_calls(message, parts)
    replies = [reply for part in parts for reply in part]
    written, shown = _squeezed("".join(replies)), _squeezed(said(message))
    return written == shown or _is_data(message, shown, replies)


def _are_calls(message: AIMessage, parts: Sequence[Sequence[str]]) -> bool:
    parser = ToolCallParser([call["name"] or "" for call in (*message.tool_calls, *message.invalid_tool_calls)])
    texts: list[str] = []
    calls: list[list[object]] = []
    invalid: list[tuple[str, str]] = []
    pieces: list[Piece] = []
    for replies in parts:
        pieces += (piece for reply in replies for piece in (*parser.feed(reply), *parser.finish()))
        parser.begin_again()
    for piece in pieces:
        match piece:
            case Text():
                texts.append(piece.text)
            case CallStarted():
                calls.append([piece.name])
            case CallArguments():
                calls[-1].append(json.loads(piece.fragment))
            case InvalidCall():
                invalid.append((piece.raw, piece.chunk_args))
    return (
        _squeezed("".join(texts)) == _squeezed(said(message))
        and calls == [[call["name"], call["args"]] for call in message.tool_calls]
        and len(invalid) == len(message.invalid_tool_calls)
        and all(call["args"] in raw for call, raw in zip(message.invalid_tool_calls, invalid, strict=True))
    )


def _is_data(message: BaseMessage, shown: str, replies: Sequence[str]) -> bool:
    """Returns whether an answer is the data of these rows; the words around it are its reasoning then."""
    try:
        value = json.loads(said(message))
        found = locate_json(replies[-1] if replies else "", lambda other: bool(other == value))
    except ValueError:
        return False
    aside = [_squeezed(text) for text in (*replies[:-1], found.before, found.after)]
    blocks = message.content if isinstance(message.content, list) else []
    thought = _squeezed("".join(str(b.get("reasoning", "")) for b in blocks if isinstance(b, dict)))
    return bool(shown) and all(text in thought for text in aside)
