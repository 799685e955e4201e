"""A small runner for agents: one session, real tools on a real directory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.emulator.agents.base import Agent, Line, Piece, Request, Result, Text, Thinking, ToolUse
from langchain_mix.emulator.agents.toolbox import FileToolbox

ALL_TOOLS = (
    "Bash", "ReadText", "Glob", "ReadMedia", "Grep", "Write", "Edit", "Search", "WebFetch", "TodoWrite",
    "ExitPlanMode", "Show", "Task",
)  # fmt: skip
DENIAL = "The user doesn't want to proceed with this tool use. The tool use was rejected."


@dataclass
class Desk:
    """Runs turns as the server's runner does: reply, run tools, reply again."""

    request: Request
    allow: bool = True
    lines: list[Line] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    used: list[ToolUse] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    toolbox: FileToolbox = field(default_factory=FileToolbox)

    async def say(self, agent: Agent, text: str, **changes: Any) -> str:
        self.lines.append(Line("user", text))
        self.used, self.asked = [], []
        while True:
            request = replace(self.request, lines=tuple(self.lines), **changes)
            self.pieces = [piece async for piece in agent.reply(request)]
            spoken = "".join(p.text for p in self.pieces if isinstance(p, Text))
            calls = tuple(
                replace(p, id=f"call_{len(self.lines)}_{i}")
                for i, p in enumerate(p for p in self.pieces if isinstance(p, ToolUse))
            )
            self.lines.append(Line("assistant", spoken, calls))
            if not calls:
                return spoken
            self.lines.append(Line("tool", results=tuple([await self._run(call, request) for call in calls])))

    async def _run(self, call: ToolUse, request: Request) -> Result:
        self.used.append(call)
        if call.result is not None:
            return Result(call.id, call.name, call.result)
        ask = self.toolbox.asks(call.name, call.input, request)
        if ask is not None:
            self.asked.append(ask)
            if not self.allow:
                return Result(call.id, call.name, DENIAL)
        if call.name == "Task":
            return Result(call.id, call.name, f"sub-agent did: {call.input['prompt']}")
        outcome = await self.toolbox.run(call.name, call.input, request)
        return Result(call.id, call.name, outcome.output, outcome.is_error)

    @property
    def thinking(self) -> list[str]:
        return [piece.text for piece in self.pieces if isinstance(piece, Thinking)]


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    workspace, uploads = tmp_path / "workspace", tmp_path / "uploads"
    workspace.mkdir()
    uploads.mkdir()
    return Request(session_id="s", lines=(), tools=ALL_TOOLS, workspace=workspace, uploads=uploads)


@pytest.fixture
def desk(request_: Request) -> Desk:
    return Desk(request_)
