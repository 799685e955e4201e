"""The test files that the documentation shows pass in a project of somebody else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pages" / "testing.md"
FILES = dict(re.findall(r'```py title="(\w+\.py)"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL))


def test_the_test_files_of_the_documentation_pass(pytester: pytest.Pytester) -> None:
    for name, text in FILES.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    ran = pytester.runpytest_subprocess(
        "-q", "-p", "no:codspeed", "-p", "no:langsmith_plugin", "-p", "no:cacheprovider"
    )
    ran.assert_outcomes(passed=4)


def test_there_are_test_files() -> None:
    assert {"conftest.py", "test_notes.py", "test_bad_day.py"} == set(FILES)
