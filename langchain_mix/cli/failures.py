"""Errors as people see them: a sentence and an exit code, never a traceback.

Owns: the exit codes, and what is said of errors that a user can do something about.
Refuses to know: which command failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer
from rich.markup import escape

from langchain_mix.cli.terminal import errors_console, visible
from langchain_mix.errors import MixError, MixNetworkError, MixUsageError

FAILED: Final = 1
"""It did not work."""
MISUSED: Final = 2
"""The command was not called right, or this server cannot do it; nothing was done."""
UNREACHED: Final = 3
"""The network's fault."""
INTERRUPTED: Final = 130
"""Ctrl-C."""

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 failed, 2 misuse or not possible on this server, 3 server not reached, 130 Ctrl-C."
)
"""For the help of commands."""


@contextmanager
def reported_errors() -> Iterator[None]:
    """Reports errors as a sentence and an exit code. Errors of this package's own making keep their tracebacks."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except typer.Abort as error:  # A prompt hides Ctrl-C and the end of input behind the same error as a no.
        errors_console().print("Nothing was done.")
        left = isinstance(error.__context__, KeyboardInterrupt)
        raise typer.Exit(INTERRUPTED if left else FAILED) from None
    except (MixError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError) and not isinstance(error, MixError):
            _leave_pipe()
        else:
            report_error(error)
        raise typer.Exit(exit_code(error)) from None


def exit_code(error: BaseException) -> int:
    """Returns the exit code of an error."""
    if isinstance(error, MixNetworkError):
        return UNREACHED
    return MISUSED if isinstance(error, MixUsageError | ValueError) else FAILED


def report_error(error: BaseException) -> None:
    """Writes an error to standard error, and below it what it notes about work that was done in part."""
    console = errors_console()
    console.print(f"[bold red]Error:[/] {escape(visible(message_of(error)))}", highlight=False, soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        console.print(escape(visible(str(note))), highlight=False, soft_wrap=True)


def message_of(error: BaseException) -> str:
    """Returns the message of an error."""
    if isinstance(error, OSError) and not isinstance(error, MixError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _leave_pipe() -> None:
    """Discards buffered output after the reader of a pipe has gone (`| head`)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)
