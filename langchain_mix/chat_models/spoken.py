"""The text of a reply, where it is more than prose.

Owns: the order of its three readings: texts that end a reply, then calls of the application's tools, then data.
Refuses to know: how each reads (`stopping.py`, `tool_parser.py`, `reply_data.py`), and blocks (`content.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from langchain_mix.chat_models.reply_data import Aside, DataReader
from langchain_mix.chat_models.response_schema import ResponseSchema
from langchain_mix.chat_models.stopping import StopCutter
from langchain_mix.chat_models.tool_parser import Piece, Text, ToolCallParser

Spoken = Piece | Aside
"""What a reply's text is read as."""


class Speech:
    """Reads the text of one reply, message by message."""

    def __init__(
        self,
        stops: Sequence[str] = (),
        tools: Collection[str] = (),
        data: ResponseSchema | None = None,
        parameters: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Starts a reply.

        Args:
            stops: Texts at which it ends.
            tools: The application's tools that may be called in it; none if it cannot call any.
            data: The schema of its data, if its text is to be nothing else.
            parameters: The names of each tool's parameters.
        """
        self._stops = stops
        self._cutter = StopCutter(stops)
        self._parser = ToolCallParser(tools, parameters=parameters) if tools else None
        self._data = DataReader(data) if data is not None else None
        self.stopped = False

    def hear(self, text: str) -> Iterator[Spoken]:
        """Takes the next piece of text of the current message."""
        shown, ended = self._cutter.feed(text)
        yield from self._told(self._read(shown))
        if ended and not self.stopped:
            yield from self._rest(last=True)
            self.stopped = True

    def end(self, *, last: bool = False) -> Iterator[Spoken]:
        """Ends the current message: what was held back is told.

        Args:
            last: Whether the reply ends with it.
        """
        if self.stopped:
            return
        yield from self._told(self._read(self._cutter.flush()))
        yield from self._rest(last=last)
        self._cutter = StopCutter(self._stops)

    def begin_again(self) -> None:
        """Begins the reply to another message of the same call, after `end`."""
        if self._parser is not None:
            self._parser.begin_again()

    def _read(self, text: str) -> Iterator[Piece]:
        if not text:
            return
        if self._parser is None:
            yield Text(text)
        else:
            yield from self._parser.feed(text)

    def _told(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        return pieces if self._data is None else self._data.feed(pieces)

    def _rest(self, *, last: bool) -> Iterator[Spoken]:
        if self._parser is not None:
            yield from self._told(iter(self._parser.finish()))
        if self._data is not None:
            yield from self._data.end(last=last)


def speech_for(
    stops: Sequence[str],
    tools: Collection[str],
    data: ResponseSchema | None = None,
    parameters: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Speech | None:
    """The reader for a reply, or None if its text is prose to its end."""
    return Speech(stops, tools, data, parameters) if stops or tools or data is not None else None
