"""Replies that are to be read as data by somebody who takes their text as it is.

Owns: which part of a reply's text is its data, and that the words around it are told as an aside.
Refuses to know: schemas (`response_schema.py`), blocks (`content.py`), who reads.

LangChain's agents hand a reply's whole text to a JSON reader, as that of a provider that enforces a form. Mix enforces
none: its agent may say what it is about to look up before, or put a code fence around the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from langchain_mix.chat_models.response_schema import ResponseSchema
from langchain_mix.chat_models.tool_parser import Piece, Text

DATA_ONLY: Final = "text_is_data"
"""The argument of a call by which `bind_tools` says that the text of its reply is to be data alone."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Words that are no part of the data."""

    text: str


class DataReader:
    """Reads the pieces of one reply, message by message, and holds text back until it is known what it is.

    The text of the last message becomes its data alone; if it has none, it stays text as it was written, so that who
    reads it can tell what is wrong. A reply that calls tools of the application is no data, and its text passes.
    """

    def __init__(self, schema: ResponseSchema) -> None:
        """Starts a reply.

        Args:
            schema: Of the data.
        """
        self._schema = schema
        self._held: list[str] = []
        self._calls = False

    def feed(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Takes the next pieces of the current message.

        Args:
            pieces: The pieces.

        Yields:
            Those that are certain to be told as they are.
        """
        for piece in pieces:
            if isinstance(piece, Text) and not self._calls:
                self._held.append(piece.text)
                continue
            self._calls = True
            if held := self._taken():
                yield Text(held)
            yield piece

    def end(self, *, last: bool) -> Iterator[Text | Aside]:
        """Ends the current message.

        Args:
            last: Whether the reply ends with it.

        Yields:
            What was held back, in order: data as text, everything else as asides.
        """
        text = self._taken()
        found = self._schema.find(text) if last else None
        if found is not None:
            parts = (Aside(found.before), Text(_strict(found.written, found.value)), Aside(found.after))
            yield from (part for part in parts if part.text.strip())
        elif text:
            yield Text(text) if last else Aside(text)

    def _taken(self) -> str:
        text = "".join(self._held)
        self._held.clear()
        return text


def _strict(written: str, value: object) -> str:
    """The data as it was written; written anew where only a lenient reader could read it."""
    try:
        json.loads(written)
    except ValueError:
        return json.dumps(value, ensure_ascii=False)
    return written
