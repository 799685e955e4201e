"""An agent that replays what a test wrote down.

Owns: the script, and finding the place in it.
Refuses to know: anything between two calls. The place is read off the conversation, so that a fork, a rewind or a
restart of the server goes on where the conversation is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_mix.emulator.agents.base import (
    Fail,
    Gate,
    Line,
    Piece,
    Raw,
    Request,
    Text,
    Thinking,
    ToolUse,
    Usage,
    Wait,
)

DEFAULT_TEXT = "This is a fake response for testing"
"""The text where the script has none, as in the server's own tests."""

_PIECES = (Thinking, Text, ToolUse, Usage, Fail, Raw, Wait)

Reply = tuple[Piece, ...]
Turn = tuple[Reply, ...]
Part = Piece | str | Sequence["Piece | str"]
ReplySource = Piece | str | Iterable[Part]
TurnSource = str | Piece | Reply | Turn


def say(text: str, *, chunk: int = 10) -> Reply:
    """Answers with a text.

    Args:
        text: The whole of it.
        chunk: Bytes of UTF-8 per piece; no character is cut in two.

    Returns:
        The pieces.

    Raises:
        ValueError: If `chunk` is not positive.
    """
    if chunk < 1:
        raise ValueError("chunk must be at least 1 byte")
    return tuple(Text(part) for part in _cut(text, chunk))


def think(text: str, *, chunk: int = 0) -> Reply:
    """Reasons.

    Args:
        text: The whole of it.
        chunk: Bytes of UTF-8 per piece; 0 makes one piece.

    Returns:
        The pieces.
    """
    return tuple(Thinking(part) for part in _cut(text, chunk)) if chunk else (Thinking(text),)


def use(
    name: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    result: str | None = None,
    failure: str | None = None,
    ask: bool | None = None,
    id: str = "",  # noqa: A002  The wire's word.
    raw_input: str | None = None,
    until: Gate | None = None,
    screenshots: Sequence[bytes] = (),
) -> ToolUse:
    """Calls a tool of the server.

    Args:
        name: PascalCase.
        arguments: Its input.
        result: The result, without running it. None runs the real tool.
        failure: The text it fails with, without running it.
        ask: True when permission is required; None leaves it to the tool.
        id: Of the call; empty lets the server make one.
        raw_input: The text on the wire instead of the JSON of `arguments`.
        until: The tool runs until this is open.
        screenshots: Pictures of the browser that the call takes, each a PNG (Mix 0.8).

    Returns:
        The piece.
    """
    return ToolUse(
        name=name,
        input=dict(arguments or {}),
        id=id,
        result=result,
        failure=failure,
        ask=ask,
        raw_input=raw_input,
        until=until,
        screenshots=tuple(screenshots),
    )


def turn(*replies: ReplySource) -> Turn:
    """Puts the model replies of one turn together; every reply but the last should call a tool.

    Args:
        *replies: Each a text, a piece, or a sequence of texts, pieces and what `say` and `think` give.

    Returns:
        The turn.
    """
    return tuple(tuple(_pieces(reply)) for reply in replies)


class Script:
    """Replays turns: the first for the first user row of a session, the second for the second, and so on.

    Attributes:
        requests: Every request it got, oldest first.
    """

    costs_nothing = True

    def __init__(
        self,
        *turns: TurnSource,
        loop: bool = False,
        subagent: Sequence[TurnSource] | Mapping[str, Sequence[TurnSource]] = (),
        default: str = DEFAULT_TEXT,
    ) -> None:
        """Writes a script.

        Args:
            *turns: Results of `turn`; a bare text or piece, or what `say` and `think` give, is a turn of one reply.
            loop: True when it starts again when it has run out.
            subagent: The turns of sub-agents. A mapping chooses by a text that the first prompt contains.
            default: The text when the script has run out.
        """
        self._turns = tuple(_turn(source) for source in turns)
        self._loop = loop
        by_prompt = subagent if isinstance(subagent, Mapping) else {"": subagent}
        self._subagents = {prompt: tuple(_turn(source) for source in sources) for prompt, sources in by_prompt.items()}
        self._default: Reply = say(default)
        self.requests: list[Request] = []

    async def reply(self, request: Request) -> AsyncIterator[Piece]:
        """Says what the script has for this place of the conversation."""
        self.requests.append(request)
        for piece in self._reply(request):
            yield piece

    def _reply(self, request: Request) -> Reply:
        turns = self._subagent_turns(request) if request.is_subagent else self._turns
        number, step = position(request.lines)
        if self._loop and turns:
            number %= len(turns)
        if number >= len(turns) or step >= len(turns[number]):
            return self._default
        return turns[number][step]

    def _subagent_turns(self, request: Request) -> tuple[Turn, ...]:
        prompt = next((line.text for line in request.lines if line.role == "user"), "")
        return next((turns for key, turns in self._subagents.items() if key in prompt), ())


def position(lines: Sequence[Line]) -> tuple[int, int]:
    """Returns the place of a conversation in the script: the turn, and the reply within it, both from 0."""
    turns = steps = 0
    for line in lines:
        if line.role == "user":
            turns, steps = turns + 1, 0
        elif line.role == "assistant":
            steps += 1
    return max(turns - 1, 0), steps


def _turn(source: TurnSource) -> Turn:
    if isinstance(source, tuple) and all(isinstance(reply, tuple) for reply in source):
        return cast("Turn", source)
    return turn(cast("ReplySource", source))  # One reply, perhaps as `say` and `think` give it.


def _pieces(source: ReplySource | Part) -> Iterator[Piece]:
    if isinstance(source, str):
        yield from say(source)
    elif isinstance(source, _PIECES):
        yield source
    else:
        for part in source:
            yield from _pieces(part)


def _cut(text: str, size: int) -> Iterator[str]:
    part, used = "", 0
    for char in text:
        length = len(char.encode("utf-8", "surrogatepass"))
        if part and used + length > size:
            yield part
            part, used = "", 0
        part += char
        used += length
    if part:
        yield part
