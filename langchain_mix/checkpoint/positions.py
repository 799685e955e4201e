"""The places of a state in Mix sessions: the pointers in its messages.

Owns: finding pointers in the values of channels, in whichever container, and the mark that keeps them in a checkpoint's
metadata. Refuses to know: serialised values (`serde.py`), and what is done to the sessions.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeGuard, cast

from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.serde.types import SendProtocol
from pydantic import BaseModel

from langchain_mix.pointer import KEY

MARK: Final = "langchain_mix"
"""Key in a stored checkpoint's metadata. It is never shown: LangGraph and its users see their own keys."""

Renew: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns the pointer that replaces the given one; the same one if it is to stay."""

_DEEPEST: Final = 8
_PLAIN: Final = (str, bytes, bytearray, int, float, bool, type(None))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The place of a state in a Mix session.

    Attributes:
        server: The server's base URL.
        session_id: The session.
        message_id: The row of the newest answer that the state holds.
        user_message_id: The row of the message that it answers; empty if unknown.
        row_count: Rows of the session up to and with the answer, as counted then; -1 if unknown.
    """

    server: str
    session_id: str
    message_id: str = ""
    user_message_id: str = ""
    row_count: int = -1


def read_position(found: Any) -> Position | None:
    """Reads a pointer, as a message's metadata or a mark has it; None for what is none."""
    return _position_of(found) if _is_pointer(found) else None


def _is_pointer(found: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(found, Mapping) and bool(found.get("session_id"))


def _position_of(pointer: Mapping[str, Any]) -> Position:
    rows = pointer.get("row_count", -1)
    return Position(
        server=_server_of(pointer),
        session_id=str(pointer["session_id"]),
        message_id=str(pointer.get("message_id", "")),
        user_message_id=str(pointer.get("user_message_id", "")),
        row_count=rows if isinstance(rows, int) else -1,
    )


def _server_of(pointer: Mapping[str, Any]) -> str:
    return str(pointer.get("server", "")).rstrip("/")


def newest_positions(channels: Mapping[str, Any]) -> tuple[Position, ...]:
    """Finds the newest position in each session that the values of channels point to; the first is the state's own.

    The channel `messages` is looked at first, then the others by name.
    """
    newest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for channel in sorted(channels, key=lambda name: (name != "messages", name)):
        found: list[Mapping[str, Any]] = []
        _seek(channels[channel], found, 0)
        for pointer in reversed(found):  # Of many pointers few count; only those are read.
            newest.setdefault((_server_of(pointer), str(pointer["session_id"])), pointer)
    return tuple(_position_of(pointer) for pointer in newest.values())


def distinct(positions: Iterable[Position]) -> tuple[Position, ...]:
    """Returns the first position in each session."""
    first: dict[tuple[str, str], Position] = {}
    for position in positions:
        first.setdefault((position.server, position.session_id), position)
    return tuple(first.values())


def positions_in(value: Any) -> list[Position]:
    """Returns all positions in a value, in their order."""
    found: list[Mapping[str, Any]] = []
    _seek(value, found, 0)
    return [_position_of(pointer) for pointer in found]


def messages_in(value: Any) -> list[list[BaseMessage]]:
    """Returns the lists of messages in a value; a single message is a list of one."""
    return list(_lists(value, 0))


def _lists(value: Any, depth: int) -> Iterator[list[BaseMessage]]:
    if isinstance(value, _PLAIN) or depth > _DEEPEST:
        return
    if isinstance(value, BaseMessage):
        yield [value]
    elif isinstance(value, list | tuple | deque) and any(isinstance(part, BaseMessage) for part in value):
        yield [part for part in value if isinstance(part, BaseMessage)]
    else:
        for part in _parts(value):
            yield from _lists(part, depth + 1)


def _seek(value: Any, found: list[Mapping[str, Any]], depth: int) -> None:
    """Collects pointers. States hold many messages, so types are checked as seldom as possible."""
    if isinstance(value, _PLAIN) or depth > _DEEPEST:
        return
    if isinstance(value, AIMessage):
        pointer = value.response_metadata.get(KEY)
        if pointer is not None and _is_pointer(pointer):
            found.append(pointer)
    elif not isinstance(value, BaseMessage):
        for part in _parts(value):
            _seek(part, found, depth + 1)


def _parts(value: Any) -> Iterable[Any]:
    """Returns the members of a container; nothing for other values."""
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, list | tuple | set | frozenset | deque):
        return value
    if isinstance(value, SendProtocol):
        return (value.arg,)
    if isinstance(value, BaseModel):
        return vars(value).values()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return ()


def marked(metadata: Mapping[str, Any], positions: Iterable[Position]) -> dict[str, Any]:
    """Adds the mark of a checkpoint's positions to its metadata; without any it is as it was."""
    kept = [_as_dict(position) for position in positions]
    return {**metadata, MARK: kept} if kept else dict(metadata)


def _as_dict(position: Position) -> dict[str, Any]:
    """Returns the fields, as `dataclasses.asdict` does ten times slower."""
    return {
        "server": position.server,
        "session_id": position.session_id,
        "message_id": position.message_id,
        "user_message_id": position.user_message_id,
        "row_count": position.row_count,
    }


def unmarked(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Returns metadata as its author gave it."""
    return {key: value for key, value in metadata.items() if key != MARK}


def read_mark(metadata: Mapping[str, Any]) -> tuple[Position, ...] | None:
    """Returns the positions in the mark of a checkpoint; None if it was stored without one, though it may have some."""
    kept = metadata.get(MARK)
    if not isinstance(kept, list):
        return None
    return tuple(p for p in map(read_position, kept) if p is not None)


def with_pointers(value: Any, renew: Renew) -> Any:
    """Replaces the pointers in a value, which is never changed itself.

    Returns:
        A copy as deep as needed; the very same value if no pointer changes.
    """
    return _with(value, renew, 0)


def _with(value: Any, renew: Renew, depth: int) -> Any:
    if isinstance(value, _PLAIN) or depth > _DEEPEST:
        return value
    if isinstance(value, BaseMessage):
        return _message_with(value, renew)
    if isinstance(value, Mapping):
        items = {key: _with(part, renew, depth + 1) for key, part in value.items()}
        if any(items[key] is not value[key] for key in value):
            copied = copy.copy(value)
            cast("Any", copied).update(items)
            return copied
    elif isinstance(value, list | tuple | set | frozenset | deque):
        parts = [_with(part, renew, depth + 1) for part in value]
        if any(new is not old for new, old in zip(parts, value, strict=True)):
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    else:
        return _with_attributes(value, renew, depth)
    return value


def _message_with(message: BaseMessage, renew: Renew) -> BaseMessage:
    pointer: Any = message.response_metadata.get(KEY) if isinstance(message, AIMessage) else None
    if read_position(pointer) is None or (other := renew(pointer)) is pointer:
        return message
    return message.model_copy(update={"response_metadata": {**message.response_metadata, KEY: dict(other)}})


def _with_attributes(value: Any, renew: Renew, depth: int) -> Any:
    if isinstance(value, BaseModel):
        names = list(vars(value))
    elif isinstance(value, SendProtocol):
        names = ["arg"]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
    else:
        return value
    changed = {}
    for name in names:
        before = getattr(value, name)
        after = _with(before, renew, depth + 1)
        if after is not before:
            changed[name] = after
    if not changed:
        return value
    if isinstance(value, BaseModel):
        return value.model_copy(update=changed)
    copied = copy.copy(value)
    for name, part in changed.items():
        object.__setattr__(copied, name, part)  # Dataclasses may be frozen.
    return copied
