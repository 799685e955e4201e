"""Servers for the standard suites, and local files in the place of those that these would download."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from langchain_mix import ChatMix

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
LOCAL = {".pdf": "report.pdf", ".wav": "tone.wav", ".png": "chart.png", ".jpg": "chart.jpg"}


@pytest.fixture
def downloads_from_fixtures(monkeypatch):
    """`httpx.get` of the standard suites, without the internet."""

    def get(url, **_):
        name = next(local for ending, local in LOCAL.items() if str(url).lower().endswith(ending))
        return SimpleNamespace(content=(FIXTURES / name).read_bytes())

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "langchain-mix tests")


@pytest.fixture(autouse=True)
async def clients_are_closed(monkeypatch):
    """Closes the clients of all models that a test made: the suites of LangChain close none."""
    opened = []
    own = ChatMix.client.fget

    def client(model):
        mix = own(model)
        if mix not in opened:
            opened.append(mix)
        return mix

    monkeypatch.setattr(ChatMix, "client", property(client))
    yield
    for mix in opened:
        await mix.aclose()
