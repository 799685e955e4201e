"""Ctrl-C while a turn runs."""

from __future__ import annotations

import signal

import pytest

from langchain_mix.cli.chat.interrupts import Interrupts


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
