"""Pointers inside of serialised values, found and renewed without making objects of them.

Owns: walking the msgpack form of LangGraph's serializer, whose objects are extensions with msgpack inside. Nothing is
imported, constructed or lost on the way, whatever the types. Refuses to know: what is done with what it finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import ormsgpack

from langchain_mix.checkpoint.positions import Renew
from langchain_mix.errors import MixInputError

TAG: Final = "msgpack"
"""The tag with which LangGraph's serializer marks this form."""

_SIGN: Final = b"session_id"
_POINTER: Final = frozenset({"server", "session_id", "message_id"})
_OPTION: Final = ormsgpack.OPT_NON_STR_KEYS


class _Extension:
    """An extension as it is. No dataclass: ormsgpack would write one as a map, by itself."""

    __slots__ = ("code", "data")

    def __init__(self, code: int, data: bytes) -> None:
        self.code = code
        self.data = data


def pointers_in(data: bytes) -> list[Mapping[str, Any]]:
    """All pointers in a value, in the order in which they stand.

    Args:
        data: The value, as msgpack.

    Returns:
        The pointers.
    """
    found: list[Mapping[str, Any]] = []

    def note(pointer: Mapping[str, Any]) -> Mapping[str, Any]:
        found.append(pointer)
        return pointer

    _walk(data, note)
    return found


def renewed(data: bytes, renew: Renew) -> bytes:
    """A value with other pointers.

    Args:
        data: The value, as msgpack.
        renew: Gives the new pointers.

    Returns:
        The value; the very same bytes if no pointer changes.

    Raises:
        MixInputError: The value holds keys that cannot be written again.
    """
    try:
        return _walk(data, renew)
    except ormsgpack.MsgpackEncodeError as problem:
        raise MixInputError(
            f"A stored value with pointers to sessions cannot be written again: {problem}.",
            hint="Keep messages out of mappings whose keys are objects.",
        ) from problem


def _walk(data: bytes, renew: Renew) -> bytes:
    if _SIGN not in data:
        return data
    before = ormsgpack.unpackb(data, ext_hook=_Extension, option=_OPTION)
    after = _visit(before, renew)
    return data if after is before else ormsgpack.packb(after, default=_pack_extension, option=_OPTION)


def _visit(node: Any, renew: Renew) -> Any:
    """The node, or a changed copy of it."""
    if isinstance(node, dict):
        if all(isinstance(node.get(key), str) for key in _POINTER):
            pointer = renew(node)
            return node if pointer is node else dict(pointer)
        visited = {key: _visit(value, renew) for key, value in node.items()}
        return visited if any(visited[key] is not node[key] for key in node) else node
    if isinstance(node, list):
        items = [_visit(item, renew) for item in node]
        return items if any(new is not old for new, old in zip(items, node, strict=True)) else node
    if isinstance(node, _Extension):
        data = _walk(node.data, renew)
        return node if data is node.data else _Extension(node.code, data)
    return node


def _pack_extension(node: Any) -> ormsgpack.Ext:
    if isinstance(node, _Extension):
        return ormsgpack.Ext(node.code, node.data)
    raise TypeError(f"{type(node).__name__} is nothing that msgpack was read as.")
