"""What the README says runs as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from langchain_mix import MixEmulator

README = Path(__file__).resolve().parents[2] / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_a_snippet_runs(code, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with MixEmulator(api="0.8") as server:
        exec(compile(code.replace("http://localhost:8088", server.url), "README.md", "exec", dont_inherit=True), {})
    assert capsys.readouterr().out.strip()


def test_there_are_snippets():
    assert len(SNIPPETS) >= 4


def test_ci_runs_the_readmes_test_command():
    commands = re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    tests = next(c.strip() for c in commands if c.startswith("pytest"))
    assert tests in (README.parent / ".ci" / "run").read_text().splitlines()
