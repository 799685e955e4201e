"""The test files that the documentation shows pass in a project of somebody else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.new_process import python

pytest_plugins = ["pytester"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pages" / "testing.md"
FILES = dict(re.findall(r'```py title="(\w+\.py)"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL))
_IMPORTS = "import pytest, langchain_mix.testing.plugin, langchain_mix.emulator.server"


def test_the_test_files_of_the_documentation_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    # They need no plugin that happens to be installed here.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    ran = pytester.run(*python("import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))", "-q", imports=_IMPORTS))
    ran.assert_outcomes(passed=4)


def test_there_are_test_files() -> None:
    assert {"conftest.py", "test_notes.py", "test_bad_day.py"} == set(FILES)
