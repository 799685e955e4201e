"""The commands of the README are those of the checks; its samples are run with those of the guide."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_ci_runs_the_readmes_test_command():
    commands = re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    tests = next(c.strip().rpartition("&& ")[2] for c in commands if "pytest" in c)
    assert tests in (README.parent / ".ci" / "run").read_text().splitlines()
