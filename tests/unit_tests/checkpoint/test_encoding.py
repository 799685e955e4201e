"""Every change of a document's bytes is reported, by the document's name."""

from __future__ import annotations

import hashlib

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.checkpoint.encoding import (
    NO_ENCRYPTION,
    CipherEncryption,
    DecryptionError,
    ForeignDocument,
    TornDocument,
    pack,
    packed,
    unpack,
)
from langchain_mix.errors import MixCheckpointDamaged, MixInputError


class Xor:
    def __init__(self, key=7, name="xor"):
        self.key, self.name = key, name

    def encrypt(self, plaintext):
        return self.name, bytes(b ^ self.key for b in plaintext) + bytes([self.key])

    def decrypt(self, ciphername, ciphertext):
        assert ciphername == self.name
        if ciphertext[-1] != self.key:
            raise KeyError("another key")
        return bytes(b ^ self.key for b in ciphertext[:-1])


def test_a_plain_document_opens():
    assert NO_ENCRYPTION.decrypt(NO_ENCRYPTION.encrypt(b"text")) == b"text"


def test_an_encrypted_document_opens_with_its_key_and_hides_its_text():
    encryption = CipherEncryption(Xor())
    assert b"text" not in encryption.encrypt(b"text")
    assert encryption.decrypt(encryption.encrypt(b"text")) == b"text"


def test_each_refuses_the_others_documents():
    with pytest.raises(DecryptionError, match="is encrypted"):
        NO_ENCRYPTION.decrypt(CipherEncryption(Xor()).encrypt(b"text"))
    with pytest.raises(DecryptionError, match="is not encrypted"):
        CipherEncryption(Xor()).decrypt(NO_ENCRYPTION.encrypt(b"text"))


@pytest.mark.parametrize("other", [Xor(8), Xor(7, "another")])
def test_another_key_or_cipher_is_refused_whatever_it_raises(other):
    with pytest.raises(DecryptionError, match="cannot be decrypted"):
        CipherEncryption(other).decrypt(CipherEncryption(Xor()).encrypt(b"text"))


@pytest.mark.parametrize("encryption", [NO_ENCRYPTION, CipherEncryption(Xor())])
@pytest.mark.parametrize("encrypted", [b"", b"Z", b"E", b"E\xff", b"E\x03xor", b"E\x01\xff\x00"])
def test_what_was_never_encrypted_is_refused(encryption, encrypted):
    with pytest.raises(DecryptionError):
        encryption.decrypt(encrypted)


def test_a_cipher_with_a_very_long_name_is_refused():
    with pytest.raises(DecryptionError, match="255 bytes"):
        CipherEncryption(Xor(name="x" * 256)).encrypt(b"")


NAME = "langchain-mix-ckpt-x-r"
leaves = st.none() | st.integers(-5, 2**40) | st.text(max_size=5) | st.binary(max_size=20)
shallow = st.lists(leaves | st.lists(leaves | st.lists(leaves, max_size=3), max_size=3), max_size=5)
deep = st.lists(st.recursive(leaves | st.binary(), st.lists), max_size=5)


class Rot:
    def encrypt(self, plaintext):
        return "rot", bytes(b ^ 1 for b in plaintext)

    def decrypt(self, ciphername, ciphertext):
        return bytes(b ^ 1 for b in ciphertext)


@pytest.mark.parametrize("encryption", [NO_ENCRYPTION, CipherEncryption(Rot())])
@pytest.mark.parametrize("bodies", [shallow, pytest.param(deep, marks=pytest.mark.exhaustive)], ids=["shallow", "deep"])
def test_a_document_comes_back(encryption, bodies):
    @settings(max_examples=40)
    @given(body=bodies)
    def check(body):
        assert unpack(NAME, "owner", pack(NAME, "owner", body, encryption), encryption) == body

    check()


@pytest.mark.parametrize("encryption", [NO_ENCRYPTION, CipherEncryption(Rot())])
def test_a_changed_byte_anywhere_is_reported(encryption):
    whole = pack(NAME, "owner", ["writer", 3], encryption)
    for at in range(len(whole)):
        for bit in (1, 128):
            changed = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
            # With another digit it might be a document of a later form, to be left alone.
            kind = ForeignDocument if changed[5:6].isdigit() and at == len("LCMIX") else TornDocument
            with pytest.raises(kind, match=NAME):
                unpack(NAME, "owner", changed, encryption)


def test_a_document_that_is_cut_or_longer_is_reported():
    whole = pack(NAME, "owner", ["writer", 3], NO_ENCRYPTION)
    for changed in (*(whole[:end] for end in range(len(whole))), whole + b"\0"):
        with pytest.raises(TornDocument) as raised:
            unpack(NAME, "owner", changed, NO_ENCRYPTION)
        assert raised.value.document == NAME
        assert raised.value.problem
        assert raised.value.hint


def test_a_swapped_document_is_reported_with_what_it_is():
    with pytest.raises(MixCheckpointDamaged, match="b holds what belongs into a"):
        unpack("b", "manifest", pack("a", "manifest", [], NO_ENCRYPTION), NO_ENCRYPTION)
    with pytest.raises(MixCheckpointDamaged, match="a holds no manifest"):
        unpack("a", "manifest", pack("a", "segment", [], NO_ENCRYPTION), NO_ENCRYPTION)


def test_a_document_with_another_encryption_is_foreign_and_not_torn():
    with pytest.raises(ForeignDocument, match="is not encrypted") as raised:
        unpack(NAME, "owner", pack(NAME, "owner", [], NO_ENCRYPTION), CipherEncryption(Rot()))
    assert not isinstance(raised.value, TornDocument)


def forged(payload):
    encrypted = b"P" + payload
    return b"LCMIX1\n" + hashlib.sha256(encrypted).digest() + encrypted


@given(st.binary(max_size=40))
def test_whatever_a_forger_writes_is_reported(payload):
    with pytest.raises(MixCheckpointDamaged):
        unpack(NAME, "owner", forged(payload), NO_ENCRYPTION)


@pytest.mark.parametrize("content", [[], {}, "text", ["owner"], [None, NAME], ["owner", 1]])
def test_whatever_else_a_forger_writes_is_reported(content):
    with pytest.raises(MixCheckpointDamaged):
        unpack(NAME, "owner", forged(ormsgpack.packb(content)), NO_ENCRYPTION)


def test_what_cannot_be_expressed_is_the_callers_fault():
    with pytest.raises(MixInputError, match="cannot be stored"):
        packed("\ud800")
