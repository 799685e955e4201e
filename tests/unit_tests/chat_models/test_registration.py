from __future__ import annotations

import sys
from types import ModuleType

import pytest
from langchain.chat_models import base, init_chat_model

from langchain_mix.errors import MixConfigurationError
from langchain_mix.registration import register


@pytest.fixture(autouse=True)
def table(monkeypatch):
    copy = dict(base._BUILTIN_PROVIDERS)
    copy.pop("mix", None)
    monkeypatch.setattr(base, "_BUILTIN_PROVIDERS", copy)
    base._get_chat_model_creator.cache_clear()
    yield copy
    base._get_chat_model_creator.cache_clear()


def test_importing_registers_nothing(table):
    assert "mix" not in table


def test_registering_twice_is_registering_once(table):
    register()
    entry = table["mix"]
    register()
    assert table["mix"] is entry
    assert entry[:2] == ("langchain_mix", "ChatMix")


def test_langchain_makes_a_model(table, monkeypatch):
    import langchain_mix

    made = {}

    class ChatDouble:
        def __init__(self, **fields):
            made.update(fields)

    monkeypatch.setattr(langchain_mix, "ChatMix", ChatDouble, raising=False)
    register()
    assert isinstance(init_chat_model("mix:anthropic:claude-x", server_url="http://a:1"), ChatDouble)
    assert made == {"model": "anthropic:claude-x", "server_url": "http://a:1"}
    base._get_chat_model_creator.cache_clear()


def test_another_provider_of_this_name_is_left_alone(table):
    table["mix"] = ("langchain_other", "ChatOther", lambda cls, **_: cls)
    with pytest.raises(MixConfigurationError, match="ChatOther"):
        register()
    assert table["mix"][0] == "langchain_other"


@pytest.mark.parametrize(
    "changed", [None, [], {}, {"openai": "langchain_openai"}, {"openai": ("a", "b", 3)}, {"x": ("a",)}]
)
def test_a_changed_langchain_is_an_error_that_says_so(monkeypatch, changed):
    monkeypatch.setattr(base, "_BUILTIN_PROVIDERS", changed)
    with pytest.raises(MixConfigurationError, match="another way"):
        register()


def test_a_missing_langchain_is_an_error_that_says_so(monkeypatch):
    for name in [n for n in sys.modules if n == "langchain" or n.startswith("langchain.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "langchain", None)
    with pytest.raises(MixConfigurationError, match=r"pip install 'langchain-mix\[agents\]"):
        register()


def test_a_langchain_without_the_table_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain.chat_models.base", ModuleType("base"))
    with pytest.raises(MixConfigurationError, match="another way"):
        register()
