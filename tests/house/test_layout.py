"""House rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.house.modules import MODULES, PACKAGE, ROOT, nodes_of, tree_of


def found(modules):
    return [str(path.relative_to(ROOT)) for path in modules]


def test_every_module_has_a_docstring():
    assert found(path for path in MODULES if not ast.get_docstring(tree_of(path))) == []


def test_nothing_but_the_command_line_prints():
    printing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        if PACKAGE / "cli" not in path.parents
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_only_the_calls_and_the_emulator_contain_paths_of_the_wire():
    wire = re.compile(r"""["']/?(api|stream)/|["']/(api|stream|health|internal)\b""")
    others = [p for p in MODULES if not any(PACKAGE / part in p.parents for part in ("protocol/calls", "emulator"))]
    assert found(path for path in others if wire.search(path.read_text())) == []


def test_the_import_contracts_are_kept():
    ran = subprocess.run(
        [sys.executable, "-m", "importlinter.cli", "lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "No module named" in ran.stderr:
        ran = subprocess.run(["lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def loaded_by(*statements):
    """Yields what one process has loaded after each statement: the packages, and the modules."""
    code = "import sys\n" + "".join(f"{statement}\nprint(*sys.modules)\n" for statement in statements)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for line in ran.stdout.splitlines():
        yield {name.split(".")[0] for name in line.split()}, set(line.split())


def test_importing_the_package_imports_nothing_else():
    ((tops, modules),) = loaded_by("import langchain_mix")
    assert not tops & {"httpx", "pydantic", "langchain_core", "langgraph", "starlette", "uvicorn", "typer", "rich"}
    assert {m for m in modules if m.startswith("langchain_mix")} == {"langchain_mix", "langchain_mix._version"}


def test_importing_the_client_loads_no_server_and_no_langchain():
    ((tops, _),) = loaded_by("import langchain_mix.client; langchain_mix.client.Mix")
    # httpx imports rich for a command of its own wherever that is installed.
    assert not tops & {"langchain_core", "langgraph", "starlette", "uvicorn", "typer", "PIL"}


def test_making_a_chat_model_loads_no_server_no_http_and_no_agents():
    (tops, modules), (of_a_call, _) = loaded_by(
        "from langchain_mix import ChatMix, register; ChatMix(server_url='http://localhost:1')",
        "from langchain_mix.chat_models.callbacks import TurnCallbacks; TurnCallbacks()",
    )
    assert not tops & {"langchain", "langgraph", "httpx", "starlette", "uvicorn", "typer", "rich", "PIL"}
    own = {m for m in modules if m.startswith("langchain_mix.")}
    assert not own & {f"langchain_mix.protocol.{m}" for m in ("call", "events", "models", "turn")}
    assert not own & {f"langchain_mix.chat_models.{m}" for m in ("alignment", "content_blocks", "inputs", "request")}
    assert "langgraph" not in of_a_call, "a graph's stream writer is found where there is a graph"


def test_every_public_name_can_be_imported():
    import langchain_mix

    for name in langchain_mix.__all__:
        assert getattr(langchain_mix, name) is not None
    assert set(langchain_mix.__all__) <= set(dir(langchain_mix))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = langchain_mix.Nothing
