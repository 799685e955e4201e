"""What documents are sealed with before they leave the process.

Owns: plain and encrypted seals, and that one is never taken for the other. Refuses to know: what is sealed.
"""

from __future__ import annotations

from typing import Final, Protocol

from langgraph.checkpoint.serde.base import CipherProtocol

_PLAIN: Final = b"P"
_CIPHERED: Final = b"E"
_LONGEST_NAME: Final = 255


class BrokenSealError(ValueError):
    """A document cannot be opened with this seal."""


class Seal(Protocol):
    """Makes bytes unreadable to others, or leaves them as they are."""

    def seal(self, payload: bytes) -> bytes:
        """Seals a document."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """Opens a document.

        Raises:
            BrokenSealError: It was sealed with something else, or changed since.
        """
        ...


class PlainSeal:
    """Leaves documents readable."""

    def seal(self, payload: bytes) -> bytes:
        """Marks the document as plain."""
        return _PLAIN + payload

    def open(self, sealed: bytes) -> bytes:
        """Takes the mark off.

        Raises:
            BrokenSealError: The document is encrypted, or of an unknown kind.
        """
        if sealed[:1] == _CIPHERED:
            raise BrokenSealError("is encrypted, and this saver has no cipher")
        if sealed[:1] != _PLAIN:
            raise BrokenSealError("is sealed in a way that this version does not know")
        return sealed[1:]


PLAIN: Final = PlainSeal()
"""The seal that leaves documents readable."""


class CipherSeal:
    """Encrypts documents with a cipher of LangGraph. Documents that are not encrypted are refused."""

    def __init__(self, cipher: CipherProtocol) -> None:
        """Takes the cipher of an `EncryptedSerializer`."""
        self._cipher = cipher

    def seal(self, payload: bytes) -> bytes:
        """Encrypts the document.

        Raises:
            BrokenSealError: The cipher's name cannot be stored.
        """
        name, ciphertext = self._cipher.encrypt(payload)
        label = name.encode()
        if len(label) > _LONGEST_NAME:
            raise BrokenSealError("has a cipher with a name longer than 255 bytes")
        return _CIPHERED + bytes([len(label)]) + label + ciphertext

    def open(self, sealed: bytes) -> bytes:
        """Decrypts the document.

        Raises:
            BrokenSealError: It is plain, sealed with another key, or changed since.
        """
        if sealed[:1] != _CIPHERED:
            raise BrokenSealError("is not encrypted, though this saver has a cipher")
        end = 2 + sealed[1] if len(sealed) > 1 else 2
        try:
            return self._cipher.decrypt(sealed[2:end].decode(), sealed[end:])
        except Exception as problem:  # A cipher is the user's code and raises what it likes.
            raise BrokenSealError(f"cannot be decrypted ({type(problem).__name__})") from problem
