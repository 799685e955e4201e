"""What tests of the command line share: running it in this process, and the servers it talks to."""

from __future__ import annotations

from pathlib import Path

import pytest

from langchain_mix import MixEmulator
from langchain_mix.client import Mix
from tests import commands


@pytest.fixture
def cli(monkeypatch, tmp_path):
    """Runs a command as a pipe would: `cli("sessions", "list")`, or `cli(..., typed="text")`."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("MIX_SERVER_URL", raising=False)

    return lambda *arguments, typed=None: commands.run(arguments, typed=typed)


@pytest.fixture
def server():
    with MixEmulator(api="0.7") as emulator:
        yield emulator


@pytest.fixture
def mix(server):
    with Mix(server_url=server.url) as client:
        yield client


@pytest.fixture
def talked(mix):
    """A session with three exchanges."""
    session = mix.sessions.create(title="Sums")
    for text in ("What is 1+1?", "What is 2+2?", "What is 3+3?"):
        mix.messages.send(id=session.id, text=text)
    return session.id


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty directory, which is also the current one."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def until_cancelled():
    """Presses Ctrl-C until the server is asked to cancel: `until_cancelled(press, server)`.

    A signal that arrives just before a blocking system call is seen when that returns, so that people press again.
    """

    def press_until(press, server):
        while True:
            press()
            try:
                server.wait_until(lambda: any(r.path.endswith("/cancel") for r in server.requests), 2.0)
            except TimeoutError:
                continue
            return

    return press_until
