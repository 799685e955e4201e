"""Errors are told as sentences with exit codes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from langchain_mix.cli.failures import FAILED, INTERRUPTED, MISUSED, UNREACHED, reported_errors
from langchain_mix.errors import MixAgentError, MixConnectionError, MixInputError, MixUnsupportedError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MixInputError("bad"), MISUSED),
        (MixUnsupportedError("not here"), MISUSED),
        (ValueError("bad"), MISUSED),
        (MixConnectionError("away"), UNREACHED),
        (MixAgentError("failed"), FAILED),
        (PermissionError(13, "Permission denied", "/x"), FAILED),
        (KeyboardInterrupt(), INTERRUPTED),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code, capsys):
    with pytest.raises(typer.Exit) as left, reported_errors():
        raise error
    assert left.value.exit_code == code
    said = capsys.readouterr().err
    assert ("Error:" in said) is (code != INTERRUPTED)


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError), reported_errors():
        raise KeyError("bug")


def test_leaving_is_no_error():
    with pytest.raises(typer.Exit) as left, reported_errors():
        raise typer.Exit(0)
    assert left.value.exit_code == 0


def test_markup_and_escapes_of_an_error_are_shown_as_they_are(capsys):
    with pytest.raises(typer.Exit), reported_errors():
        raise MixInputError("[red]x[/red] \x1b[2J")
    assert capsys.readouterr().err == "Error: [red]x[/red] \\x1b[2J\n"


def test_what_an_error_notes_is_told_below_it(capsys):
    error = MixConnectionError("away")
    error.add_note("Session [b]s[/b] is left.\x1b[2J")
    error.add_note("So is the file.")
    with pytest.raises(typer.Exit), reported_errors():
        raise error
    assert capsys.readouterr().err.splitlines()[1:] == ["Session [b]s[/b] is left.\\x1b[2J", "So is the file."]


def test_an_unwritable_file_is_named(capsys):
    with pytest.raises(typer.Exit), reported_errors():
        open("/nowhere/at/all")  # noqa: PTH123, SIM115
    assert capsys.readouterr().err == "Error: No such file or directory: /nowhere/at/all\n"


def test_a_reader_that_has_left_is_no_error():
    code = (
        "import typer\n"
        "from langchain_mix.cli.failures import reported_errors\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def talk():\n"
        "    with reported_errors():\n"
        "        input()\n"
        "        print('too late', flush=True)\n"
        "app()\n"
    )
    # What is still buffered when the reader leaves must not fail once more at the end.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, env=buffered) as process:
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        said = process.stderr.read()
    assert said == b""
    assert process.returncode == 1


@pytest.mark.parametrize(("pressed", "code"), [(KeyboardInterrupt, INTERRUPTED), (EOFError, FAILED), ("n\n", FAILED)])
def test_a_question_that_is_not_agreed_to_says_that_nothing_was_done(pressed, code, monkeypatch, capsys):
    def read(_):
        if isinstance(pressed, str):
            return pressed
        raise pressed

    monkeypatch.setattr(f"{typer.confirm.__module__}.visible_prompt_func", read)
    with pytest.raises(typer.Exit) as left, reported_errors():
        typer.confirm("Sure?", abort=True)
    assert left.value.exit_code == code
    assert capsys.readouterr().err == "Nothing was done.\n"


@pytest.mark.parametrize(("pressed", "code"), [(KeyboardInterrupt, INTERRUPTED), (EOFError, FAILED)])
def test_leaving_the_prompt_of_a_key(pressed, code, monkeypatch, capsys):
    def read(_):
        raise pressed

    monkeypatch.setattr(f"{typer.prompt.__module__}.hidden_prompt_func", read)
    with pytest.raises(typer.Exit) as left, reported_errors():
        typer.prompt("Key", hide_input=True)
    assert left.value.exit_code == code
    assert capsys.readouterr().err == "Nothing was done.\n"
