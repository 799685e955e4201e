"""Which checkpoint a config speaks of."""

from __future__ import annotations

from uuid import UUID

import pytest

from langchain_mix.checkpoint.backend import Address, listed_namespace, read_address
from langchain_mix.errors import MixInputError


@pytest.mark.parametrize(
    "configurable",
    [
        {"thread_id": "a"},
        {"thread_id": "a", "checkpoint_ns": None, "checkpoint_id": None},
        {"thread_id": "a", "checkpoint_ns": "", "checkpoint_id": ""},
        {"thread_id": "a", "anything": "else"},
    ],
)
def test_what_lacks_is_the_root_and_the_newest(configurable):
    assert read_address({"configurable": configurable}) == Address("a", "", None)


def test_configs_that_are_returned_have_the_three_keys():
    config = read_address({"configurable": {"thread_id": "a"}}).at("1").config()
    assert config == {"configurable": {"thread_id": "a", "checkpoint_ns": "", "checkpoint_id": "1"}}
    assert read_address(config) == Address("a", "", "1")


def test_parents():
    assert Address("a", "n", "2").parent_config("1") == Address("a", "n", "1").config()
    assert Address("a", "n", "2").parent_config(None) is None


@pytest.mark.parametrize(
    ("given", "text"), [(7, "7"), (UUID(int=1), "00000000-0000-0000-0000-000000000001"), ("🙂/..\0", "🙂/..\0")]
)
def test_any_thread_id_is_a_text(given, text):
    assert read_address({"configurable": {"thread_id": given}}).thread_id == text


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"configurable": {}},
        {"configurable": {"thread_id": ""}},
        {"configurable": {"thread_id": None}},
        {"configurable": {"thread_id": "\ud800"}},
        {"configurable": {"thread_id": "a", "checkpoint_ns": "\ud800"}},
        {"configurable": {"thread_id": "a", "checkpoint_id": "\ud800"}},
    ],
)
def test_no_thread_and_no_text_are_errors(config):
    with pytest.raises(MixInputError):
        read_address(config)


def test_a_listing_without_namespace_is_about_all():
    assert listed_namespace({"configurable": {"thread_id": "a"}}) is None
    assert not listed_namespace({"configurable": {"thread_id": "a", "checkpoint_ns": ""}})
    assert listed_namespace({"configurable": {"thread_id": "a", "checkpoint_ns": "n"}}) == "n"
