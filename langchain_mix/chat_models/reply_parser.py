"""Parses the text of a reply: stop sequences, calls of the application's tools, data.

Owns: the grammar of `tool_prompt.py`, read piece by piece as the reply streams (`ToolCallParser`); where a stop
sequence ends a reply (`StopCutter`), since Mix knows none; which part of a text is data (`DataReader`); the order of
the three (`ReplyParser`). Text passes at once, but for what may be the beginning of something else; a call is emitted
when its block is complete, since nothing else shows whether it is one.
Refuses to know: messages, chunks, schemas, and what tools do. No text is lost: what is no valid call comes out as text
or as an invalid call with what was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

from langchain_mix.chat_models.json_text import read_json, unfenced
from langchain_mix.chat_models.response_schema import ResponseSchema

_OPEN, _CLOSE = "<tool_calls>", "</tool_calls>"
_LONGEST_OPENING = 1000  # A line of blanks without end is read once.
_INDENT = 3  # Four spaces make a code block of a line, as in Markdown.
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)", re.DOTALL)
_BEGINS = re.compile(r" {0,3}<tool_calls>[ \t]*(?P<next>\r?\n|[\[{])?")
_STOPS = {True: re.compile(r'["\\]'), False: re.compile(r'["<]')}
_ESCAPE = 2  # Characters of a backslash and what it escapes, as far as the end of a string is concerned.
_ENVELOPE = frozenset({"name", "id", "type"})
_ARGUMENTS = frozenset({"args", "arguments", "parameters", "params", "input", "tool_input", "kwargs"})


@dataclass(frozen=True, slots=True)
class Text:
    """Prose, to be shown."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A valid call; its arguments follow. It may name none of the tools. The agent gives no ids; they are made here."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The arguments of a started call, as the JSON of an object."""

    index: int
    fragment: str


@dataclass(frozen=True, slots=True)
class InvalidCall:
    """Something that was meant as a call: what was written, and the name of the tool if one can be read."""

    index: int
    id: str
    name: str | None
    raw: str
    error: str

    @property
    def chunk_args(self) -> str:
        """`raw` for the `args` of a `ToolCallChunk`, as a JSON string.

        LangChain completes broken JSON in chunks; raw text that begins like an object would become a valid call.
        """
        return json.dumps(self.raw, ensure_ascii=False)


Piece = Text | CallStarted | CallArguments | InvalidCall


def new_call_id() -> str:
    """Makes an id that no other call has."""
    return f"call_{uuid4().hex}"


class ToolCallParser:
    """Reads one reply. The pieces do not depend on how the reply is cut, but for the cuts between `Text`s."""

    def __init__(
        self,
        names: Collection[str],
        make_id: Callable[[], str] = new_call_id,
        parameters: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Starts a reply.

        Args:
            names: The tools that there are; without any, nothing is a call. A call of another one is a call all the
                same, as from any provider: the application answers it with what there is, where an invalid call would
                end an agent's loop without a word.
            make_id: Makes the ids of calls.
            parameters: The names of each tool's parameters, as far as they are known.
        """
        self._names = frozenset(names)
        self._make_id = make_id
        self._parameters = parameters
        self._calls = 0
        self._blocks = 0
        self._held = ""  # Text that may begin a block; in a block, what may begin its end.
        self._line: list[str] | None = []  # What of the line is out; None where only the line's end matters.
        self._fence = ""
        self._body: list[str] | None = None
        self._in_string = False
        self._blank = ""  # White space behind a block, of no interest unless text follows.

    def feed(self, text: str) -> list[Piece]:
        """Takes a piece of the reply, cut anywhere; returns what is certain now."""
        return _joined(self._read(text))

    def finish(self) -> list[Piece]:
        """Ends the reply, or one of its messages: Mix's agent writes several when it uses its own tools in between.

        What is fed afterwards begins a new message, at the start of a line; calls are counted on. A block that is not
        closed is a call if its JSON is complete.
        """
        pieces = _joined(self._end())
        self._line, self._fence, self._blank = [], "", ""
        return pieces

    def begin_again(self) -> None:
        """Begins another reply after `finish`, which may have a block of its own; calls are counted on."""
        self._blocks = 0

    def _read(self, text: str) -> Iterator[Piece]:
        rest = self._held + text
        self._held = ""
        while rest:
            before = len(rest)
            if self._body is None:
                rest = yield from self._prose(rest)
            else:
                rest = yield from self._block(rest)
            if len(rest) == before:  # What is left is undecided until more comes.
                self._held = rest
                return

    def _prose(self, rest: str) -> Generator[Piece, None, str]:
        """Passes one line or what there is of it; gives back what is not dealt with."""
        if self._line == [] and not self._fence:
            verdict = _opening(rest)
            if verdict is None:
                return rest
            if verdict:
                self._body, self._in_string = [], False
                return rest[verdict:]
        line, newline, rest = rest.partition("\n")
        yield from self._text(line + newline)
        self._passed(line, ended=bool(newline))
        return rest

    def _passed(self, line: str, *, ended: bool) -> None:
        if self._line is None:
            self._line = None if not ended else []
            return
        self._line.append(line)
        if ended:
            self._fence = _fence_after(self._fence, "".join(self._line))
            self._line = []

    def _text(self, text: str) -> Iterator[Piece]:
        if self._blocks and not text.strip():
            self._blank += text
        else:
            yield Text(self._blank + text)
            self._blank = ""

    def _block(self, rest: str) -> Generator[Piece, None, str]:
        """Goes on in a block to its end, which is where the tag is outside of JSON's strings."""
        body = self._body
        if body is None:
            return rest
        at = 0
        while stop := _STOPS[self._in_string].search(rest, at):
            start, mark = stop.start(), stop[0]
            ahead = rest[start : start + (_ESCAPE if mark == "\\" else len(_CLOSE))]
            if mark == '"':
                self._in_string, at = not self._in_string, start + 1
            elif ahead == mark or (start + len(ahead) == len(rest) and ahead != _CLOSE and _CLOSE.startswith(ahead)):
                body.append(rest[:start])  # An escape or an end that is not complete.
                return rest[start:]
            elif ahead == _CLOSE:
                body.append(rest[:start])
                yield from self._closed("".join(body))
                return rest[start + len(_CLOSE) :]
            else:
                at = start + (_ESCAPE if mark == "\\" else 1)
        body.append(rest)
        return ""

    def _closed(self, body: str) -> Iterator[Piece]:
        yield from self._calls_of(body)
        self._body, self._line = None, None
        self._blocks += 1

    def _end(self) -> Iterator[Piece]:
        while self._body is not None:
            body = "".join([*self._body, self._held])
            self._held = ""
            inside, close, rest = body.partition(_CLOSE)
            if close:  # A quotation mark without its fellow hid the end of the block.
                yield from self._closed(inside)
                yield from self._read(rest)
            else:
                yield from self._cut_off(body)
        held, self._held = self._held, ""
        if held:
            yield from self._text(held)

    def _cut_off(self, body: str) -> Iterator[Piece]:
        try:
            _entries(body)
        except ValueError:
            yield self._invalid(None, body, f"The reply ends before {_CLOSE}.")
        else:
            yield from self._calls_of(body)
        self._body = None

    def _calls_of(self, body: str) -> Iterator[Piece]:
        if self._blocks:
            # What follows a block was written without its results.
            yield self._invalid(None, body, "A reply may ask for calls in one block only.")
            return
        try:
            entries = _entries(body)
        except ValueError as error:
            yield self._invalid(None, body, f"The block holds no JSON array of calls: {error}.")
            return
        for entry in entries:
            yield from self._call(entry)

    def _call(self, entry: Any) -> Iterator[Piece]:
        try:
            name, arguments = self._checked(entry)
        except (TypeError, ValueError) as error:
            named = entry.get("name") if isinstance(entry, Mapping) else None
            known = named if isinstance(named, str) else None
            yield self._invalid(known, json.dumps(entry, ensure_ascii=False), str(error))
            return
        index = self._next()
        yield CallStarted(index, self._make_id(), name)
        yield CallArguments(index, json.dumps(arguments, ensure_ascii=False))

    def _checked(self, entry: Any) -> tuple[str, dict[str, Any]]:
        if not isinstance(entry, Mapping):
            raise TypeError("A call is an object with a name and args.")
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            raise ValueError(f"A call has the name of a tool, not {name!r}.")
        if not self._names:
            raise ValueError(f"There is no tool {name!r}; there are none.")
        return name, _arguments(entry, frozenset(self._parameters.get(name, ())))

    def _invalid(self, name: str | None, raw: str, error: str) -> InvalidCall:
        return InvalidCall(self._next(), self._make_id(), name, raw, error)

    def _next(self) -> int:
        self._calls += 1
        return self._calls - 1


def _opening(line: str) -> int | None:
    """Returns how long the beginning of a block is at the top of `line`: 0 if there is none, None if more is needed."""
    bare = line.lstrip(" ")
    if len(line) - len(bare) > _INDENT:
        return 0
    if len(bare) < len(_OPEN):
        return None if _OPEN.startswith(bare) else 0
    match = _BEGINS.match(line)
    if match is None:
        return 0
    if match["next"] in ("[", "{"):
        return match.end() - 1
    if match["next"]:
        return match.end()
    return None if line[match.end() :] in ("", "\r") and len(line) < _LONGEST_OPENING else 0


def _fence_after(fence: str, line: str) -> str:
    """Gives the fence of the code block that is open behind a line; empty if none is."""
    match = _FENCE.fullmatch(line)
    if match is None:
        return fence
    mark, info = match[1], match[2]
    if not fence:
        return "" if mark[0] == "`" and "`" in info else mark
    return "" if mark[0] == fence[0] and len(mark) >= len(fence) and not info.strip() else fence


def _entries(body: str) -> list[Any]:
    value = read_json(unfenced(body), unique=True)
    entries = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list) or not entries:
        raise ValueError("it holds no call")
    return entries


def _arguments(entry: Mapping[str, Any], parameters: frozenset[str]) -> dict[str, Any]:
    """Reads the arguments of a call, wherever the agent wrote them.

    Models write them under the keys of several providers, and flat, beside the name. Nothing in a call is dropped: what
    is neither its name nor certainly its arguments makes it invalid, since the tool would run with its defaults.

    Args:
        entry: The call.
        parameters: The names of the tool's parameters; empty if they are not known.

    Raises:
        TypeError: They are no object.
        ValueError: They are no JSON, or what is written has two readings or none.
    """
    keys = entry.keys() - _ENVELOPE
    unclear = sorted((entry.keys() & _ENVELOPE & parameters) - {"name"})
    if not keys:
        if unclear:
            raise ValueError(f"{unclear[0]!r} may be the call's own or an argument; write the arguments under args.")
        return {}
    given = keys & _ARGUMENTS
    if len(given) > 1 and not keys <= parameters:
        raise ValueError(f"The call has its arguments twice, under {_listed(given)}.")
    if len(keys) == 1 and given and not (keys <= parameters and "args" not in keys):
        return _unwrapped(_object(entry[next(iter(given))]), parameters)
    if not keys <= parameters:
        raise ValueError(f"The call has {_listed(keys - {'args'})}; its arguments belong under args, and nothing else.")
    if unclear or "name" in parameters:
        raise ValueError("The arguments are beside the call's name, where some could be the call's own.")
    return _flat({key: value for key, value in entry.items() if key in keys}, parameters)


def _flat(written: dict[str, Any], parameters: frozenset[str]) -> dict[str, Any]:
    """Reads arguments that are beside the name, of which one may have the name of a key for all of them."""
    key, value = next(iter(written.items()))
    if len(written) > 1 or key not in _ARGUMENTS or not isinstance(value, dict) or not value.keys() <= parameters:
        return written
    if key in value:
        return value
    raise ValueError(f"{key!r} may be an argument or hold all of them; write the arguments under args.")


def _unwrapped(written: dict[str, Any], parameters: frozenset[str]) -> dict[str, Any]:
    """Reads arguments that may be one object deeper, under a key that is no parameter of the tool."""
    if len(written) != 1 or not parameters:
        return written
    key, value = next(iter(written.items()))
    if key not in _ARGUMENTS or key in parameters:
        return written
    inner = _object(value)
    if not inner.keys() <= parameters:
        raise ValueError(f"The tool has no parameter {key!r}; write its arguments under args.")
    return inner


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = read_json(value or "{}", unique=True)
        except ValueError as error:
            raise ValueError(f"The arguments are no JSON: {error}.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError("The arguments are no object.")
    return value


def _listed(keys: Collection[str]) -> str:
    return ", ".join(repr(key) for key in sorted(keys))


def _joined(pieces: Iterator[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


class StopCutter:
    """Cuts a text at the first stop sequence that is complete.

    Sequences are not looked for across messages: make a new cutter for each, or `flush` the old one in between.
    What is shown does not depend on how the text was cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """Starts with an empty text. Without any stop sequence (none is empty), every text passes at once."""
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=1) - 1
        self._held = ""
        self._stop: str | None = None

    @property
    def stopped_by(self) -> str | None:
        """The sequence that ended the text, or None while none has."""
        return self._stop

    def feed(self, text: str) -> tuple[str, bool]:
        """Takes the next piece of the text; returns what can be shown now, and whether the text ends here.

        What may be the beginning of a sequence is held back until the next piece or `flush`. Nothing is shown after the
        end.
        """
        if self._stop is not None:
            return "", True
        if not self._stops:
            return text, False
        text = self._held + text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            # The sequence that is complete first ends the text, as it does where models are run; of those that are
            # complete at the same place, the longest.
            _, at, self._stop = min(found)
            self._held = ""
            return text[:at], True
        keep = self._beginning_at(text)
        self._held = text[keep:]
        return text[:keep], False

    def flush(self) -> str:
        """Ends the text without a sequence; returns what was held back."""
        held, self._held = self._held, ""
        return held

    def _beginning_at(self, text: str) -> int:
        """Returns where the longest end of the text begins that may become a sequence."""
        for at in range(max(len(text) - self._longest, 0), len(text)):
            if any(stop.startswith(text[at:]) for stop in self._stops):
                return at
        return len(text)


DATA_ONLY: Final = "text_is_data"
"""The argument of a call by which `bind_tools` says that the text of its reply is to be data alone."""


@dataclass(frozen=True, slots=True)
class NonDataText:
    """Words that are no part of the data."""

    text: str


class DataReader:
    """Reads the pieces of one reply, message by message, and holds text back until it is known what it is.

    The text of the last message becomes its data alone; if it has none, it stays text as it was written, so that who
    reads it can see what is wrong. A reply that calls tools of the application is no data, and its text passes.
    """

    def __init__(self, schema: ResponseSchema) -> None:
        """Starts a reply with data of this schema."""
        self._schema = schema
        self._held: list[str] = []
        self._calls = False

    def feed(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Takes the next pieces of the current message; yields those that are certain to be emitted as they are."""
        for piece in pieces:
            if isinstance(piece, Text) and not self._calls:
                self._held.append(piece.text)
                continue
            self._calls = True
            if held := self._taken():
                yield Text(held)
            yield piece

    def end(self, *, last: bool) -> Iterator[Text | NonDataText]:
        """Ends the current message; yields what was held back, in order: data as text, everything else as asides."""
        text = self._taken()
        found = self._schema.find(text) if last else None
        if found is not None:
            parts = (NonDataText(found.before), Text(_strict(found.written, found.value)), NonDataText(found.after))
            yield from (part for part in parts if part.text.strip())
        elif text:
            yield Text(text) if last else NonDataText(text)

    def _taken(self) -> str:
        text = "".join(self._held)
        self._held.clear()
        return text


def _strict(written: str, value: object) -> str:
    """The data as it was written; written again where only a lenient reader could read it."""
    try:
        json.loads(written)
    except ValueError:
        return json.dumps(value, ensure_ascii=False)
    return written


Segment = Piece | NonDataText
"""A part of a reply's text."""


class ReplyParser:
    """Reads the text of one reply, message by message."""

    def __init__(
        self,
        stops: Sequence[str] = (),
        tools: Collection[str] = (),
        data: ResponseSchema | None = None,
        parameters: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Starts a reply that ends at any of the `stops` and may call any of the `tools`.

        `parameters` are the names of the parameters of each; with the schema of its `data`, its text is nothing else.
        """
        self._stops = stops
        self._cutter = StopCutter(stops)
        self._parser = ToolCallParser(tools, parameters=parameters) if tools else None
        self._data = DataReader(data) if data is not None else None
        self.stopped = False

    def feed(self, text: str) -> Iterator[Segment]:
        """Takes the next piece of text of the current message."""
        shown, ended = self._cutter.feed(text)
        yield from self._without_data(self._read(shown))
        if ended and not self.stopped:
            yield from self._rest(last=True)
            self.stopped = True

    def end(self, *, last: bool = False) -> Iterator[Segment]:
        """Ends the current message, perhaps the `last` of the reply: what was held back is emitted."""
        if self.stopped:
            return
        yield from self._without_data(self._read(self._cutter.flush()))
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

    def _without_data(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        return pieces if self._data is None else self._data.feed(pieces)

    def _rest(self, *, last: bool) -> Iterator[Segment]:
        if self._parser is not None:
            yield from self._without_data(iter(self._parser.finish()))
        if self._data is not None:
            yield from self._data.end(last=last)
