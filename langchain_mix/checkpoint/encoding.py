"""Documents as bytes: a mark, a checksum, and encrypted or plain msgpack that names its kind and its file.

Owns: telling whole documents from torn, swapped and foreign ones; plain and encrypted documents, neither of which is
ever accepted in the place of the other. Refuses to know: what documents hold (`documents.py`). Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import ormsgpack
from langgraph.checkpoint.serde.base import CipherProtocol

from langchain_mix.checkpoint.names import Kind, is_visible
from langchain_mix.errors import MixCheckpointDamaged, MixInputError

_PLAIN: Final = b"P"
_ENCRYPTED: Final = b"E"
_LONGEST_NAME: Final = 255


class DecryptionError(ValueError):
    """A document cannot be decrypted."""


class NoEncryption:
    """Leaves documents readable."""

    def encrypt(self, payload: bytes) -> bytes:
        """Marks the document as plain."""
        return _PLAIN + payload

    def decrypt(self, encrypted: bytes) -> bytes:
        """Takes the mark off.

        Raises:
            DecryptionError: The document is encrypted, or of an unknown kind.
        """
        if encrypted[:1] == _ENCRYPTED:
            raise DecryptionError("is encrypted, and this saver has no cipher")
        if encrypted[:1] != _PLAIN:
            raise DecryptionError("is encrypted in a way that this version does not know")
        return encrypted[1:]


NO_ENCRYPTION: Final = NoEncryption()
"""Leaves documents readable."""


class CipherEncryption:
    """Encrypts documents with a cipher of LangGraph. Documents that are not encrypted are refused."""

    def __init__(self, cipher: CipherProtocol) -> None:
        """Takes the cipher of an `EncryptedSerializer`."""
        self._cipher = cipher

    def encrypt(self, payload: bytes) -> bytes:
        """Encrypts the document.

        Raises:
            DecryptionError: The cipher's name cannot be stored.
        """
        name, ciphertext = self._cipher.encrypt(payload)
        label = name.encode()
        if len(label) > _LONGEST_NAME:
            raise DecryptionError("has a cipher with a name longer than 255 bytes")
        return _ENCRYPTED + bytes([len(label)]) + label + ciphertext

    def decrypt(self, encrypted: bytes) -> bytes:
        """Decrypts the document.

        Raises:
            DecryptionError: It is plain, encrypted with another key, or changed since.
        """
        if encrypted[:1] != _ENCRYPTED:
            raise DecryptionError("is not encrypted, though this saver has a cipher")
        end = 2 + encrypted[1] if len(encrypted) > 1 else 2
        try:
            return self._cipher.decrypt(encrypted[2:end].decode(), encrypted[end:])
        except Exception as problem:  # A cipher is the user's code and raises what it likes.
            raise DecryptionError(f"cannot be decrypted ({type(problem).__name__})") from problem


Encryption: TypeAlias = NoEncryption | CipherEncryption
"""Makes documents unreadable to others, or leaves them as they are."""

_MARK: Final = b"LCMIX1\n"
_MARK_OF_CLOSED: Final = b"LCMIX2\n"
_MARK_OF_ANY_FORM: Final = re.compile(rb"LCMIX([0-9]{1,4})\n")
_DIGEST_SIZE: Final = 32
_LONGEST_FIXARRAY: Final = 0xF
_LONGEST_ARRAY16: Final = 0xFFFF
_STORED_KINDS: Final[dict[Kind, str]] = {
    "owner": "register",
    "epoch_marker": "gate",
    "manifest": "lane",
    "segment": "segment",
    "index": "index",
    "blob": "blob",
}
"""The words for kinds in stored documents, which never change."""


class TornDocument(MixCheckpointDamaged):
    """The bytes are not what was written; an overwrite may be going on at this moment."""


class MissingDocument(MixCheckpointDamaged):
    """A document that another one refers to is not there; a rewrite may have replaced both."""


class ForeignDocument(MixCheckpointDamaged):
    """A whole document that this saver has no key for, that is plain where it should not be, or of a later form."""


def damaged(name: str, problem: str, kind: type[MixCheckpointDamaged] = MixCheckpointDamaged) -> MixCheckpointDamaged:
    """Makes the error for a document that cannot be used; the problem is the rest of a sentence about it."""
    error = kind(
        f"The checkpoint document {name} {problem}.",
        hint="Nothing was guessed from the rest. `repair()` reports what can be saved.",
    )
    error.document, error.problem = name, problem
    return error


def digest(data: bytes) -> bytes:
    """The checksum of a document, 32 bytes."""
    return hashlib.sha256(data).digest()


def pack(name: str, kind: Kind, body: Sequence[Any], encryption: Encryption) -> bytes:
    """Makes a document of anything msgpack can express.

    Raises:
        MixInputError: Something in it cannot be stored, such as text with a lone surrogate.
    """
    return pack_parts(name, kind, [packed(value) for value in body], encryption)


def pack_parts(name: str, kind: Kind, parts: Sequence[bytes], encryption: Encryption) -> bytes:
    """Does what `pack` does, with values that are msgpack already.

    A manifest repeats most of the one before: what was packed for that one is not packed again.
    """
    encrypted = encryption.encrypt(packed_array([packed(_STORED_KINDS[kind]), packed(name), *parts]))
    return _MARK + digest(encrypted) + encrypted


def closed(data: bytes) -> bytes:
    """Gives a document the mark of a later form: versions that know none refuse it with an error that says so."""
    return _MARK_OF_CLOSED + data.removeprefix(_MARK)


def reopened(name: str, data: bytes) -> bytes:
    """Takes that mark away, if it is there; no later form is ever stored under visible names."""
    is_closed = data.startswith(_MARK_OF_CLOSED) and is_visible(name)
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


def packed_array(parts: Sequence[bytes]) -> bytes:
    """Makes the msgpack of a list whose members are msgpack already."""
    size = len(parts)
    if size <= _LONGEST_FIXARRAY:
        header = bytes([0x90 | size])
    elif size <= _LONGEST_ARRAY16:
        header = b"\xdc" + size.to_bytes(2, "big")
    else:
        header = b"\xdd" + size.to_bytes(4, "big")
    return header + b"".join(parts)


def unpack(name: str, kind: Kind, data: bytes, encryption: Encryption) -> list[Any]:
    """Reads what a document holds.

    Raises:
        MixCheckpointDamaged: It is not that document: torn, changed, swapped with another, or encrypted otherwise.
    """
    start = len(_MARK) + _DIGEST_SIZE
    if not data.startswith(_MARK):
        if other := _MARK_OF_ANY_FORM.match(data):
            problem = f"is of form {int(other[1])}, and this version of langchain-mix knows form 1 only"
            raise damaged(name, problem, ForeignDocument)
        raise damaged(name, f"does not begin like one ({len(data)} bytes)", TornDocument)
    encrypted = data[start:]
    if digest(encrypted) != data[len(_MARK) : start]:
        raise damaged(name, f"does not match its checksum ({len(data)} bytes)", TornDocument)
    try:
        content = ormsgpack.unpackb(encryption.decrypt(encrypted))
    except DecryptionError as problem:
        raise damaged(name, str(problem), ForeignDocument) from problem
    except ValueError as problem:
        raise damaged(name, f"cannot be read ({problem})") from problem
    if not isinstance(content, list) or content[:1] != [_STORED_KINDS[kind]]:
        raise damaged(name, f"holds no {kind}")
    if content[1:2] != [name]:
        raise damaged(name, f"holds what belongs into {content[1] if len(content) > 1 else 'no file'}")
    return content[2:]
