"""What is said when a turn has ended, and how a chat is gone on with."""

from __future__ import annotations

import signal

import pytest

from langchain_mix.cli.chat.turns import Interrupts, resume_command, summary, warnings
from langchain_mix.protocol.turn.updates import TurnResult, Usage


@pytest.mark.parametrize(
    ("usage", "total", "told"),
    [
        (None, 0.0, "2.5 s · m"),
        (Usage(input_tokens=1234, output_tokens=1), 0.0, "2.5 s · 1,234 in, 1 token out · m"),
        (Usage(whole_turn=False, cost=0.01), 0.01, "2.5 s · 0 in, 0 tokens out (last call) · $0.0100 · m"),
        (Usage(cost=0.01), 0.03, "2.5 s · 0 in, 0 tokens out · $0.0100, $0.0300 so far · m"),
    ],
)
def test_the_line_about_tokens_and_cost(usage, total, told):
    assert summary(TurnResult(session_id="s", usage=usage, model="m"), 2.49, total) == told


def test_what_a_user_should_know():
    assert warnings(TurnResult(session_id="s", verified=True)) == []
    assert "same time" in warnings(TurnResult(session_id="s", verified=True, contended=True))[0]
    assert "could not be read" in warnings(TurnResult(session_id="s"))[0]
    assert warnings(TurnResult(session_id="s", command=True)) == []


def test_the_first_cancels_the_second_waits_and_the_third_leaves(capfd):
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert not interrupts.leaving
        signal.raise_signal(signal.SIGINT)
        assert "Cancelling" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupts.leaving
    assert signal.getsignal(signal.SIGINT) is before


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
def test_the_command_to_go_on_repeats_what_is_needed_and_no_credential(given, command):
    assert resume_command("s1", **{"server": None, "api": "auto", "headers": None, **given}) == command
