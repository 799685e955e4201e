from __future__ import annotations

import pytest

from langchain_mix.checkpoint.seal import PLAIN, BrokenSealError, CipherSeal


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
    assert PLAIN.open(PLAIN.seal(b"text")) == b"text"


def test_an_encrypted_document_opens_with_its_key_and_hides_its_text():
    seal = CipherSeal(Xor())
    assert b"text" not in seal.seal(b"text")
    assert seal.open(seal.seal(b"text")) == b"text"


def test_each_refuses_the_others_documents():
    with pytest.raises(BrokenSealError, match="is encrypted"):
        PLAIN.open(CipherSeal(Xor()).seal(b"text"))
    with pytest.raises(BrokenSealError, match="is not encrypted"):
        CipherSeal(Xor()).open(PLAIN.seal(b"text"))


@pytest.mark.parametrize("other", [Xor(8), Xor(7, "another")])
def test_another_key_or_cipher_is_refused_whatever_it_raises(other):
    with pytest.raises(BrokenSealError, match="cannot be decrypted"):
        CipherSeal(other).open(CipherSeal(Xor()).seal(b"text"))


@pytest.mark.parametrize("seal", [PLAIN, CipherSeal(Xor())])
@pytest.mark.parametrize("sealed", [b"", b"Z", b"E", b"E\xff", b"E\x03xor", b"E\x01\xff\x00"])
def test_what_was_never_sealed_is_refused(seal, sealed):
    with pytest.raises(BrokenSealError):
        seal.open(sealed)


def test_a_cipher_with_a_very_long_name_is_refused():
    with pytest.raises(BrokenSealError, match="255 bytes"):
        CipherSeal(Xor(name="x" * 256)).seal(b"")
