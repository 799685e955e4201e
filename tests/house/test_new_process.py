"""A program that `new_process.python` runs cannot tell that from a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.new_process import python

ECHO = """
import os, sys
print(sys.argv[1:], os.environ["COLOUR"], os.getcwd(), sys.stdin.read())
print("to the other stream", file=sys.stderr)
"""


def test_it_has_its_arguments_streams_environment_and_folder(tmp_path):
    environment = {**os.environ, "COLOUR": "green"}
    done = subprocess.run(
        python(ECHO, "a b", "ü"),
        input="given",
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"['a b', 'ü'] green {tmp_path} given\n"
    assert done.stderr == "to the other stream\n"


@pytest.mark.parametrize(("program", "code"), [("", 0), ("import sys; sys.exit(3)", 3), ("1 / 0", 1)])
def test_it_ends_with_its_exit_code(program, code):
    done = subprocess.run(python(program), capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("ZeroDivisionError" in done.stderr) == (code == 1)


def test_it_shares_nothing_with_the_one_before():
    program = "import langchain_mix, os; print(os.getpid(), hasattr(langchain_mix, 'mark')); langchain_mix.mark = 1"
    first, second = (
        subprocess.run(python(program), capture_output=True, text=True, check=True).stdout.split() for _ in "12"
    )
    assert first[1] == second[1] == "False"
    assert len({first[0], second[0], str(os.getpid())}) == 3


def test_it_ends_at_exit_what_a_process_ends():
    program = (
        "import atexit, threading; atexit.register(print, 'over'); threading.Thread(target=print, args='t').start()"
    )
    done = subprocess.run(python(program), capture_output=True, text=True, check=True)
    assert done.stdout == "t\nover\n"


def test_it_dies_with_its_command():
    with subprocess.Popen(
        python("import os; print(os.getpid(), flush=True); input()"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert int(process.stdout.readline()) != process.pid
        process.kill()
        assert process.stdout.read() == "", "the stream ends when the program is gone"


def test_all_of_python_is_there():
    done = subprocess.run(python("import sys; print(sys.executable)"), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sys.executable
