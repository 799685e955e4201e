"""A notebook is recognised, and a cell shows one output in several states."""

from __future__ import annotations

import subprocess
import sys

from langchain_mix.notebook.frontend import Cell, in_notebook


def test_a_shell_that_is_no_terminal_is_a_notebook(notebook):
    assert in_notebook()


def test_a_terminal_is_none(notebook, monkeypatch):
    import IPython

    class TerminalInteractiveShell:
        pass

    class Mine(TerminalInteractiveShell):
        pass

    monkeypatch.setattr(IPython, "get_ipython", Mine)
    assert not in_notebook()


def test_python_alone_is_none():
    code = "from langchain_mix.notebook.frontend import in_notebook; import sys; print(in_notebook(), 'IPython' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_states_replace_each_other(notebook):
    cell = Cell("id")
    cell.publish("<p>1</p>", "1")
    cell.publish("<p>2</p>", "2")
    assert notebook.shown == [("<p>1</p>", "1", "id", False), ("<p>2</p>", "2", "id", True)]
