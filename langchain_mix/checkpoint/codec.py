"""Documents as bytes.

Owns: what every document has around its content: a mark, a checksum, a seal, and inside it what it is and its name.
Refuses to know: what documents hold (`documents.py`). Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

import ormsgpack

from langchain_mix.checkpoint.names import Kind, is_visible
from langchain_mix.checkpoint.seal import BrokenSealError, Seal
from langchain_mix.errors import MixCheckpointDamaged, MixInputError

_MARK: Final = b"LCMIX1\n"
_MARK_OF_CLOSED: Final = b"LCMIX2\n"
_MARK_OF_ANY_FORM: Final = re.compile(rb"LCMIX([0-9]{1,4})\n")
_DIGEST_SIZE: Final = 32


class TornDocument(MixCheckpointDamaged):
    """The bytes are not what was written; an overwrite may be going on at this moment."""


class MissingDocument(MixCheckpointDamaged):
    """A document that another one refers to is not there; a rewrite may have replaced both."""


class ForeignDocument(MixCheckpointDamaged):
    """A whole document that this saver has no key for, that is plain where it should not be, or of a later form."""


def damaged(name: str, problem: str, kind: type[MixCheckpointDamaged] = MixCheckpointDamaged) -> MixCheckpointDamaged:
    """Makes the error for a document that cannot be used.

    Args:
        name: The file's name.
        problem: What is wrong, as the rest of a sentence about it.
        kind: The class of the error.

    Returns:
        The error.
    """
    error = kind(
        f"The checkpoint document {name} {problem}.",
        hint="Nothing was guessed from the rest. `repair()` tells what can be saved.",
    )
    error.document, error.problem = name, problem
    return error


def digest(data: bytes) -> bytes:
    """The checksum of a document, 32 bytes."""
    return hashlib.sha256(data).digest()


def pack(name: str, kind: Kind, body: Sequence[Any], seal: Seal) -> bytes:
    """Makes a document.

    Args:
        name: The name of its file.
        kind: What it is.
        body: What it holds: anything msgpack can express.
        seal: What it is sealed with.

    Returns:
        The bytes of the file.

    Raises:
        MixInputError: Something in it cannot be stored, such as text with a lone surrogate.
    """
    sealed = seal.seal(packed([kind, name, *body]))
    return _MARK + digest(sealed) + sealed


def closed(data: bytes) -> bytes:
    """Gives a document the mark of a later form: versions that know none refuse it with an error that says so."""
    return _MARK_OF_CLOSED + data.removeprefix(_MARK)


def reopened(name: str, data: bytes) -> bytes:
    """Takes that mark away, if it is there; no later form is ever stored under visible names."""
    is_closed = is_visible(name) and data.startswith(_MARK_OF_CLOSED)
    return _MARK + data.removeprefix(_MARK_OF_CLOSED) if is_closed else data


def packed(content: Any) -> bytes:
    """Makes msgpack.

    Raises:
        MixInputError: It cannot be expressed.
    """
    try:
        return ormsgpack.packb(content)
    except (TypeError, ValueError) as problem:
        raise MixInputError(f"A checkpoint cannot be stored: {problem}.") from problem


def unpack(name: str, kind: Kind, data: bytes, seal: Seal) -> list[Any]:
    """Reads a document.

    Args:
        name: The name of the file it was read from.
        kind: What it should be.
        data: The bytes of the file.
        seal: What it was sealed with.

    Returns:
        What it holds.

    Raises:
        MixCheckpointDamaged: It is not that document: torn, changed, swapped with another, or sealed otherwise.
    """
    start = len(_MARK) + _DIGEST_SIZE
    if not data.startswith(_MARK):
        if other := _MARK_OF_ANY_FORM.match(data):
            problem = f"is of form {int(other[1])}, and this version of langchain-mix knows form 1 only"
            raise damaged(name, problem, ForeignDocument)
        raise damaged(name, f"does not begin like one ({len(data)} bytes)", TornDocument)
    sealed = data[start:]
    if digest(sealed) != data[len(_MARK) : start]:
        raise damaged(name, f"does not match its checksum ({len(data)} bytes)", TornDocument)
    try:
        content = ormsgpack.unpackb(seal.open(sealed))
    except BrokenSealError as problem:
        raise damaged(name, str(problem), ForeignDocument) from problem
    except ValueError as problem:
        raise damaged(name, f"cannot be read ({problem})") from problem
    if not isinstance(content, list) or content[:1] != [kind]:
        raise damaged(name, f"holds no {kind}")
    if content[1:2] != [name]:
        raise damaged(name, f"holds what belongs into {content[1] if len(content) > 1 else 'no file'}")
    return content[2:]
