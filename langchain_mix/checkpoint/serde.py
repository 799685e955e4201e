"""Between objects and stored values: the serializer, what it may construct, and pointers in serialised values.

Owns: the strict default, the warning for what it refuses, the inner serializer of an encrypting one, and walking the
msgpack form of LangGraph's serializer, whose objects are extensions with msgpack inside: nothing is imported,
constructed or lost on the way. Refuses to know: where values are stored, and how documents are encrypted.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import local
from typing import Any, Final

import ormsgpack
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol, maybe_add_typed_methods
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.event_hooks import SerdeEvent, register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langchain_mix.checkpoint.positions import Position, Renew, positions_in, read_position, with_pointers
from langchain_mix.checkpoint.records import Value
from langchain_mix.errors import MixConfigurationError, MixInputError

AllowedType = type | tuple[str, ...]
"""A class, or its module and name."""

_INERT: Final = frozenset({"null", "bytes", "bytearray"})
"""Tags of LangGraph's serializer for values that hold no objects."""


class MixSerdeWarning(UserWarning):
    """A stored value is of a type that is not allowed; what it holds was given as plain data instead."""


class StrictSerializer(JsonPlusSerializer):
    """LangGraph's serializer in its strict mode: it constructs nothing but well-known types and those allowed by name.

    Everybody that can write to the Mix server can write to these files; a permissive serializer would import and call
    what they name. A value of a type that is not allowed is given as plain data, with a `MixSerdeWarning` that names
    it.
    """

    def __init__(self, allowed_types: Iterable[AllowedType] = ()) -> None:
        """Chooses the types that may be constructed beside the well-known ones."""
        allowed: Any = tuple(allowed_types)
        super().__init__(allowed_msgpack_modules=allowed or None)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the allowed types alone; LangGraph's own cannot be pickled."""
        allowed = self._allowed_msgpack_modules
        return type(self), (tuple(sorted(allowed)) if isinstance(allowed, set | frozenset) else (),)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Reads a value of a tag and its bytes."""
        before, _READING.refused = getattr(_READING, "refused", None), []
        try:
            value = super().loads_typed(data)
            refused = sorted(set(_READING.refused))
        finally:
            _READING.refused = before
        if refused:
            named = ", ".join(".".join(name) for name in refused)
            warnings.warn(
                f"Stored values of these types were given as plain data: {named}. "
                "Allow types of your own with `MixSaver(allowed_types=[...])`.",
                MixSerdeWarning,
                stacklevel=2,
            )
        return value


_READING: Final = local()


def _note_refusal(event: SerdeEvent) -> None:
    refused = getattr(_READING, "refused", None)
    if refused is not None and event["kind"] in {"msgpack_blocked", "msgpack_method_blocked"}:
        refused.append((event["module"], event["name"]))


register_serde_event_listener(_note_refusal)


def choose_serde(
    serde: SerializerProtocol | None, allowed_types: Iterable[AllowedType], storage: BaseCheckpointSaver[Any] | None
) -> SerializerProtocol:
    """Chooses the serializer of a saver: that of the saver underneath, the user's own as it is, or the strict one.

    Raises:
        MixConfigurationError: What was given would have no effect.
    """
    allowed = tuple(allowed_types)
    if storage is not None:
        if serde is not None or allowed:
            raise MixConfigurationError(
                "`storage` has a serializer of its own; `serde` and `allowed_types` would have no effect.",
                hint="Give them to that saver.",
            )
        return storage.serde
    if serde is None:
        return StrictSerializer(allowed)
    if allowed:
        raise MixConfigurationError(
            "`allowed_types` is for the default serializer; your own decides itself what it constructs.",
            hint="Leave out one of `serde` and `allowed_types`.",
        )
    return maybe_add_typed_methods(serde)


@dataclass(frozen=True, slots=True)
class Codec:
    """Turns objects into stored values and back.

    Attributes:
        serde: The serializer; of an encrypting one the inner, since the store encrypts whole documents.
    """

    serde: SerializerProtocol

    @classmethod
    def of(cls, serde: SerializerProtocol) -> Codec:
        """The codec for a saver's serializer."""
        return cls(maybe_add_typed_methods(serde.serde) if isinstance(serde, EncryptedSerializer) else serde)

    def store(self, value: Any) -> Value:
        """Serialises an object.

        Raises:
            MixInputError: The serializer cannot write it.
        """
        try:
            tag, data = self.serde.dumps_typed(value)
        except (TypeError, ValueError) as problem:  # A MsgpackEncodeError is a TypeError.
            raise MixInputError(
                f"A {type(value).__name__} cannot be serialised: {problem}.", hint="Keep it out of the state."
            ) from problem
        return Value(tag, bytes(data))

    def load(self, value: Value) -> Any:
        """Gives the object back."""
        return self.serde.loads_typed((value.tag, value.data))

    def positions(self, value: Value) -> list[Position]:
        """Returns all positions in a stored value, in their order."""
        if value.tag in _INERT:
            return []
        if value.tag == _MSGPACK:
            return [p for p in map(read_position, packed_pointers(value.data)) if p is not None]
        return positions_in(self.load(value))

    def renewed(self, value: Value, renew: Renew) -> Value:
        """A stored value with other pointers; the same value if none changes."""
        if value.tag in _INERT:
            return value
        if value.tag == _MSGPACK:
            data = with_packed_pointers(value.data, renew)
            return value if data is value.data else Value(value.tag, data)
        before = self.load(value)
        after = with_pointers(before, renew)
        return value if after is before else self.store(after)


_MSGPACK: Final = "msgpack"
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


def packed_pointers(data: bytes) -> list[Mapping[str, Any]]:
    """Returns all pointers in a value of msgpack, in their order."""
    found: list[Mapping[str, Any]] = []

    def note(pointer: Mapping[str, Any]) -> Mapping[str, Any]:
        found.append(pointer)
        return pointer

    _walk(data, note)
    return found


def with_packed_pointers(data: bytes, renew: Renew) -> bytes:
    """Replaces the pointers in a value of msgpack.

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
