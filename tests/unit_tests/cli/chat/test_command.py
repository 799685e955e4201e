"""The command that goes on in a session."""

from __future__ import annotations

import pytest

from langchain_mix.cli.chat.command import resume_command


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({}, "langchain-mix chat --session s1"),
        ({"server": "http://m:1"}, "langchain-mix chat -s http://m:1 --session s1"),
        ({"api": "0.7"}, "langchain-mix chat --api 0.7 --session s1"),
        ({"headers": ["X-Key: secret"]}, "langchain-mix chat --session s1 (give --header again)"),
        (
            {"server": "http://u:secret@m:1/a;b", "headers": ["A: b"]},
            "langchain-mix chat -s 'http://m:1/a;b' --session s1 (give --header and the URL's user and password again)",
        ),
    ],
)
def test_it_repeats_what_is_needed_to_get_there_and_no_credential(given, command):
    assert resume_command("s1", **{"server": None, "api": "auto", "headers": None, **given}) == command
