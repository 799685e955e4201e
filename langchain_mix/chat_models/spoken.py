"""The text of a reply, where it is more than prose.

Owns: the order of its two readers: texts that end a reply, then calls of the application's tools.
Refuses to know: how either reads (`stopping.py`, `tool_parser.py`), and blocks (`content.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from langchain_mix.chat_models.stopping import StopCutter
from langchain_mix.chat_models.tool_parser import Piece, Text, ToolCallParser


class Speech:
    """Reads the text of one reply, message by message."""

    def __init__(self, stops: Sequence[str] = (), tools: Collection[str] = ()) -> None:
        """Starts a reply.

        Args:
            stops: Texts at which it ends.
            tools: The application's tools that may be called in it; none if it cannot call any.
        """
        self._stops = stops
        self._cutter = StopCutter(stops)
        self._parser = ToolCallParser(tools) if tools else None
        self.stopped = False

    def hear(self, text: str) -> Iterator[Piece]:
        """Takes the next piece of text of the current message."""
        shown, ended = self._cutter.feed(text)
        yield from self._read(shown)
        if ended and not self.stopped:
            yield from self._rest()
            self.stopped = True

    def end(self) -> Iterator[Piece]:
        """Ends the current message: what was held back is told."""
        if self.stopped:
            return
        yield from self._read(self._cutter.flush())
        yield from self._rest()
        self._cutter = StopCutter(self._stops)

    def _read(self, text: str) -> Iterator[Piece]:
        if not text:
            return
        if self._parser is None:
            yield Text(text)
        else:
            yield from self._parser.feed(text)

    def _rest(self) -> Iterator[Piece]:
        if self._parser is not None:
            yield from self._parser.finish()


def speech_for(stops: Sequence[str], tools: Collection[str]) -> Speech | None:
    """The reader for a reply, or None if its text is prose to its end."""
    return Speech(stops, tools) if stops or tools else None
