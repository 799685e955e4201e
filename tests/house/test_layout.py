"""House rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "langchain_mix"
MODULES = sorted(PACKAGE.rglob("*.py"))


def names(paths):
    return [str(p.relative_to(ROOT)) for p in paths]


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_a_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text())), "a module says what it is"


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_nothing_but_the_command_line_prints(path):
    if PACKAGE / "cli" in path.parents:
        return
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    assert not [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_nobody_but_the_calls_knows_a_path(path):
    if any(PACKAGE / part in path.parents for part in ("protocol/calls", "emulator")):
        return
    assert not re.search(r"""["']/?(api|stream)/|["']/(api|stream|health|internal)\b""", path.read_text())


def test_the_import_contracts_are_kept():
    ran = subprocess.run(
        [sys.executable, "-m", "importlinter.cli", "lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "No module named" in ran.stderr:
        ran = subprocess.run(["lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def loaded_by(statement):
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {line.split(".")[0] for line in ran.stdout.splitlines()}, set(ran.stdout.splitlines())


def test_importing_the_package_imports_nothing_else():
    tops, modules = loaded_by("import langchain_mix")
    assert not tops & {"httpx", "pydantic", "langchain_core", "langgraph", "starlette", "uvicorn", "typer", "rich"}
    assert {m for m in modules if m.startswith("langchain_mix")} == {"langchain_mix", "langchain_mix._version"}


def test_importing_the_client_loads_no_server_and_no_langchain():
    tops, _ = loaded_by("import langchain_mix.client; langchain_mix.client.Mix")
    # httpx imports rich for a command of its own wherever that is installed.
    assert not tops & {"langchain_core", "langgraph", "starlette", "uvicorn", "typer", "PIL"}


def test_importing_the_chat_model_loads_no_server_and_no_http():
    tops, _ = loaded_by("from langchain_mix import ChatMix")
    assert not tops & {"langgraph", "starlette", "uvicorn", "typer", "rich", "PIL"}


def test_every_public_name_can_be_imported():
    import langchain_mix

    for name in langchain_mix.__all__:
        assert getattr(langchain_mix, name) is not None
    assert set(langchain_mix.__all__) <= set(dir(langchain_mix))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = langchain_mix.Nothing
