"""What is constructed of stored values, and what is not."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langchain_mix.checkpoint.records import Value
from langchain_mix.checkpoint.serde import Codec, MixSerdeWarning, StrictSerializer, choose_serde
from langchain_mix.errors import MixConfigurationError, MixInputError


@dataclass
class Mine:
    word: str


def test_own_types_come_back_as_plain_data_with_a_warning():
    codec = Codec.of(choose_serde(None, (), None))
    with pytest.warns(MixSerdeWarning, match=r"test_serde\.Mine"):
        assert codec.load(codec.store(Mine("x"))) == {"word": "x"}


@pytest.mark.parametrize("name", [Mine, (Mine.__module__, "Mine")], ids=["class", "name"])
def test_allowed_types_come_back(name):
    codec = Codec.of(choose_serde(None, [name], None))
    assert codec.load(codec.store([Mine("x")])) == [Mine("x")]


def test_a_type_allowed_later_comes_back():
    strict = choose_serde(None, (), None)
    assert isinstance(strict, StrictSerializer)
    codec = Codec.of(strict.with_msgpack_allowlist([(Mine.__module__, "Mine")]))
    assert codec.load(codec.store(Mine("x"))) == Mine("x")


@pytest.mark.parametrize("allowed", [(), (Mine,)], ids=["none", "mine"])
def test_the_strict_one_can_be_pickled(allowed):
    strict = pickle.loads(pickle.dumps(StrictSerializer(allowed)))  # noqa: S301  # Our own.
    if allowed:
        assert strict.loads_typed(strict.dumps_typed(Mine("x"))) == Mine("x")
    else:
        with pytest.warns(MixSerdeWarning):
            assert strict.loads_typed(strict.dumps_typed(Mine("x"))) == {"word": "x"}


def test_nothing_is_unpickled():
    codec = Codec.of(choose_serde(None, (), None))
    with pytest.raises(NotImplementedError, match="pickle"):
        codec.load(Value("pickle", b"cos\nsystem\n(S'true'\ntR."))


@pytest.mark.parametrize("value", [None, b"", b"\0\xff", bytearray(b"x"), AIMessage("x"), {"a": [1, 2.5, None]}, ""])
def test_values_come_back(value):
    codec = Codec.of(choose_serde(None, (), None))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert codec.load(codec.store(value)) == value


def test_what_cannot_be_serialised_is_reported_before_anything_is_sent():
    with pytest.raises(MixInputError, match="cannot be serialised"):
        Codec.of(choose_serde(None, (), None)).store(object())


def test_the_users_own_is_used_as_it_is():
    own = JsonPlusSerializer(allowed_msgpack_modules=True)
    assert choose_serde(own, (), None) is own
    cipher = EncryptedSerializer.from_pycryptodome_aes(own, key=b"0123456789abcdef")
    assert choose_serde(cipher, (), None) is cipher
    assert Codec.of(cipher).serde is own


def test_what_would_have_no_effect_is_refused():
    with pytest.raises(MixConfigurationError, match="allowed_types"):
        choose_serde(JsonPlusSerializer(), [Mine], None)
    saver = InMemorySaver()
    assert choose_serde(None, (), saver) is saver.serde
    for given in ({"serde": JsonPlusSerializer(), "allowed_types": ()}, {"serde": None, "allowed_types": [Mine]}):
        with pytest.raises(MixConfigurationError, match="storage"):
            choose_serde(**given, storage=saver)
