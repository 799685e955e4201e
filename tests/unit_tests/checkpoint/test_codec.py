"""Every change of a document's bytes is told, by the document's name."""

from __future__ import annotations

import hashlib

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.checkpoint.codec import ForeignDocument, TornDocument, pack, packed, unpack
from langchain_mix.checkpoint.seal import PLAIN, CipherSeal
from langchain_mix.errors import MixCheckpointDamaged, MixInputError

NAME = "langchain-mix-ckpt-x-r"
bodies = st.lists(
    st.recursive(st.none() | st.integers(-5, 2**40) | st.text(max_size=5) | st.binary(), st.lists), max_size=5
)


class Rot:
    def encrypt(self, plaintext):
        return "rot", bytes(b ^ 1 for b in plaintext)

    def decrypt(self, ciphername, ciphertext):
        return bytes(b ^ 1 for b in ciphertext)


@pytest.mark.parametrize("seal", [PLAIN, CipherSeal(Rot())])
@settings(max_examples=40)
@given(body=bodies)
def test_a_document_comes_back(seal, body):
    assert unpack(NAME, "register", pack(NAME, "register", body, seal), seal) == body


@pytest.mark.parametrize("seal", [PLAIN, CipherSeal(Rot())])
def test_a_changed_byte_anywhere_is_told(seal):
    whole = pack(NAME, "register", ["writer", 3], seal)
    for at in range(len(whole)):
        for bit in (1, 128):
            changed = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
            # With another digit it might be a document of a later form, to be left alone.
            kind = ForeignDocument if changed[5:6].isdigit() and at == len("LCMIX") else TornDocument
            with pytest.raises(kind, match=NAME):
                unpack(NAME, "register", changed, seal)


def test_a_document_that_is_cut_or_longer_is_told():
    whole = pack(NAME, "register", ["writer", 3], PLAIN)
    for changed in (*(whole[:end] for end in range(len(whole))), whole + b"\0"):
        with pytest.raises(TornDocument) as told:
            unpack(NAME, "register", changed, PLAIN)
        assert told.value.document == NAME
        assert told.value.problem
        assert told.value.hint


def test_a_swapped_document_is_told_with_what_it_is():
    with pytest.raises(MixCheckpointDamaged, match="b holds what belongs into a"):
        unpack("b", "lane", pack("a", "lane", [], PLAIN), PLAIN)
    with pytest.raises(MixCheckpointDamaged, match="a holds no lane"):
        unpack("a", "lane", pack("a", "segment", [], PLAIN), PLAIN)


def test_a_document_with_another_seal_is_foreign_and_not_torn():
    with pytest.raises(ForeignDocument, match="is not encrypted") as told:
        unpack(NAME, "register", pack(NAME, "register", [], PLAIN), CipherSeal(Rot()))
    assert not isinstance(told.value, TornDocument)


def forged(payload):
    sealed = b"P" + payload
    return b"LCMIX1\n" + hashlib.sha256(sealed).digest() + sealed


@given(st.binary(max_size=40))
def test_whatever_a_forger_writes_is_told(payload):
    with pytest.raises(MixCheckpointDamaged):
        unpack(NAME, "register", forged(payload), PLAIN)


@pytest.mark.parametrize("content", [[], {}, "text", ["register"], [None, NAME], ["register", 1]])
def test_whatever_else_a_forger_writes_is_told(content):
    with pytest.raises(MixCheckpointDamaged):
        unpack(NAME, "register", forged(ormsgpack.packb(content)), PLAIN)


def test_what_cannot_be_expressed_is_the_callers_fault():
    with pytest.raises(MixInputError, match="cannot be stored"):
        packed("\ud800")
