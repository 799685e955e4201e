"""A shell of IPython that is no terminal and records what is displayed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@dataclass
class Recorded:
    """What a notebook was told to show: HTML, plain text, display id, and whether it replaces."""

    shown: list[tuple[str, str, str, bool]] = field(default_factory=list)

    @property
    def ids(self) -> set[str]:
        return {display_id for _, _, display_id, _ in self.shown}

    @property
    def html(self) -> str:
        return self.shown[-1][0]

    @property
    def text(self) -> str:
        return self.shown[-1][1]

    @property
    def updates(self) -> list[bool]:
        return [update for _, _, _, update in self.shown]


@pytest.fixture
def notebook(monkeypatch, tmp_path):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    recorded = Recorded()

    class Recorder(DisplayPublisher):
        def publish(self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False, **_: Any):
            recorded.shown.append((data["text/html"], data["text/plain"], transient["display_id"], update))

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.display_pub = Recorder(parent=shell)
    yield recorded
    InteractiveShell.clear_instance()
