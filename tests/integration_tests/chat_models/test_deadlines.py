"""`timeout` holds for a whole call of the model: preparing its session, its turn, and what is removed after it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langchain_mix import ChatMix, errors
from langchain_mix.chat_models import execution
from langchain_mix.emulator import Gate, MixEmulator, Script, SlowReply

pytestmark = pytest.mark.timeout(60)


def invoked(model: ChatMix, mode: str) -> Any:
    return model.invoke("hello") if mode == "sync" else asyncio.run(model.ainvoke("hello"))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_preparing_the_session_takes_no_longer_than_the_call_may(mode: str) -> None:
    gate = Gate()
    with MixEmulator("0.8", Script("Hi.")) as server:
        server.faults.add(SlowReply("POST /api/sessions$", gate=gate, count=None))
        try:
            with pytest.raises(errors.MixTurnTimeout) as caught:
                invoked(ChatMix(server_url=server.url, api="0.8", timeout=0.4), mode)
        finally:
            gate.open()
        assert caught.value.acted == "no"
        assert "0.4 s" in str(caught.value)
        assert not [r for r in server.requests if r.path.endswith(("/messages", "/stream"))]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_removing_the_session_has_a_short_time_of_its_own(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_TIDY_UP", 0.2)
    gate = Gate()
    with MixEmulator("0.8", Script("Hi.")) as server:
        server.faults.add(SlowReply("DELETE /api/sessions/[^/]+", gate=gate, count=None))
        model = ChatMix(server_url=server.url, api="0.8", timeout=15.0, retention="delete")
        try:
            assert invoked(model, mode).text == "Hi."
        finally:
            gate.open()
        assert len([r for r in server.requests if r.method == "DELETE"]) <= 1
