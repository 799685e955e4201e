"""The commands and their help."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from langchain_mix.cli import app
from tests import commands

COMMANDS = [
    ["demo"],
    ["serve"],
    ["chat"],
    ["doctor"],
    ["record"],
    *[["files", name] for name in ("list", "upload", "download", "delete")],
    *[["auth", name] for name in ("status", "store", "delete")],
    *[["tools", name] for name in ("list", "status")],
    *[["preferences", name] for name in ("show", "set", "reset")],
    *[["sessions", name] for name in ("list", "show", "export", "fork", "rewind", "delete")],
    *[
        ["checkpoints", name]
        for name in ("list", "tree", "show", "report", "prune", "rewind", "copy", "repair", "delete")
    ],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_has_examples_and_exit_codes(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    ran = commands.run([*command, "--help"])
    assert ran.code == 0
    assert "For example" in ran.out
    assert f"langchain-mix {' '.join(command)}" in ran.out
    assert "Exit codes: 0" in ran.out


@pytest.mark.parametrize("command", [[], ["sessions"], ["checkpoints"], ["files"], *COMMANDS], ids=" ".join)
def test_help_fits_a_narrow_terminal_and_cuts_nothing(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ran = commands.run([*command, "-h"])
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert not [line for line in ran.out.splitlines() if line.endswith("...") and "Usage" not in line]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_no_words_of_programmers_and_examples_to_copy(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = commands.run([*command, "-h"]).out
    assert not re.findall(r"<[a-z\[\]| ]+>|RANGE|INTEGER|TEXT|FLOAT|x[<>]=|\bMix 0\.", shown)
    examples = [line for line in shown.splitlines() if line.startswith("      langchain-mix")]
    wrapped = [line for line in shown.splitlines() if line.startswith("      -")]
    assert not wrapped or not examples


@pytest.mark.parametrize(("missing", "listed"), [("nothing", True), ("vcr", False)])
def test_record_is_listed_where_it_can_run(monkeypatch, missing, listed):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else find_spec(name))
    spec = importlib.util.spec_from_file_location("app", app.__file__)
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert ("record" in CliRunner().invoke(again.app, ["-h"]).stdout) is listed
    assert CliRunner().invoke(again.app, ["record", "-h"]).exit_code == 0


def test_help_lists_all():
    told = commands.run(["--help"]).out
    for name in ("demo", "serve", "chat", "doctor", "record", "sessions", "checkpoints", "--install-completion"):
        assert name in told


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["sessions", "nonsense"], ["chat", "--nonsense"], ["sessions"], ["checkpoints"]]
)
def test_misuse(arguments):
    assert commands.run(arguments).code == 2


@pytest.mark.parametrize(
    ("away", "command"),
    [
        ("typer", []),
        ("PIL", ["chat", "--emulator", "hi"]),
        pytest.param("starlette", ["demo"], marks=pytest.mark.exhaustive),
        pytest.param("uvicorn", ["serve"], marks=pytest.mark.exhaustive),
    ],
)
def test_a_command_whose_extra_is_missing_says_what_to_install(away, command):
    code = f"""
import sys

class Without:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == {away!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)

sys.meta_path.insert(0, Without())
sys.argv[1:] = {command!r}
from langchain_mix.cli import main
main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"The command line needs {away}")
    assert ran.stderr.endswith("    pip install 'langchain-mix[cli]'\n")


def test_help_loads_neither_the_server_nor_langchain():
    code = (
        "import sys\nfrom langchain_mix.cli.app import app\nprint('\\n'.join(m.split('.')[0] for m in sys.modules))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(ran.stdout.split()) & {"starlette", "uvicorn", "langchain_core", "langgraph", "prompt_toolkit"}


def test_the_shell_completes_commands_and_options():
    def complete(words):
        environment = {"_LANGCHAIN_MIX_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "1"}
        return commands.run([], environment=environment).out.split()

    assert complete("langchain-mix se") == ["serve", "sessions"]
