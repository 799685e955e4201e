"""Runs commands of `langchain-mix` in this process, as a pipe would."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import typer.main
from typer.testing import CliRunner

from langchain_mix.cli.app import app

_COMMANDS: Final = typer.main.get_command(app)
"""Made once: that takes longer than most commands do."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


def run(arguments: Iterable[object], *, typed: str | None = None, environment: Mapping[str, str] | None = None) -> Ran:
    """Runs a command. What is no exit is raised."""
    with CliRunner().isolation(typed, environment) as (out, err, _):
        try:
            _COMMANDS.main([str(one) for one in arguments], prog_name="langchain-mix")
        except SystemExit as left:
            code = left.code
        sys.stdout.flush()
        sys.stderr.flush()
        assert isinstance(code, int)
        return Ran(code, out.getvalue().decode(), err.getvalue().decode())
