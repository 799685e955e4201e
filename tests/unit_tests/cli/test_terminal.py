"""Text from elsewhere is harmless, and output never fails for want of a character."""

from __future__ import annotations

import io
import json
import sys

from rich.console import Console

from langchain_mix.cli.terminal import (
    errors_console,
    is_interactive,
    one_line,
    output_console,
    visible,
    write_json,
    write_rows,
)


def test_what_steers_a_terminal_is_shown_instead():
    assert visible("a\x1b[31mb\x07\x9bc\u202ed\r\n\te") == "a\\x1b[31mb\\x07\\x9bc\\u202ed\n\te"


def test_ordinary_text_stays_as_it_is():
    assert visible("Zoë — 東京\n\tüber") == "Zoë — 東京\n\tüber"


def test_one_line_is_cut_to_its_limit():
    assert one_line("a\n  b\tc", 10) == "a b c"
    assert one_line("abcdefgh", 5) == "abcd…"
    assert len(one_line("abcdefgh", 5)) == 5


def test_json_is_neither_wrapped_nor_coloured():
    out = io.StringIO()
    write_json(Console(file=out, width=20, force_terminal=True), {"text": "x" * 200, "é": "[bold]"})
    assert json.loads(out.getvalue()) == {"text": "x" * 200, "é": "[bold]"}


def test_rows_are_never_cut():
    out = io.StringIO()
    write_rows(Console(file=out, width=10), [["a" * 40, "b\tc\n\x1b[2J"]])
    assert out.getvalue() == "a" * 40 + "\tb c \\x1b[2J\n"


def test_a_character_that_the_terminal_lacks_is_replaced(monkeypatch):
    for console, name in ((output_console, "stdout"), (errors_console, "stderr")):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, name, io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
        made = console()
        made.print("café")
        made.file.flush()
        assert raw.getvalue() == b"caf?\n"
        monkeypatch.undo()


def test_a_pipe_on_either_side_is_no_person(monkeypatch):
    class Tty(io.StringIO):
        def isatty(self):
            return True

    for stdin, stdout, person in ((Tty, Tty, True), (Tty, io.StringIO, False), (io.StringIO, Tty, False)):
        monkeypatch.setattr(sys, "stdin", stdin())
        monkeypatch.setattr(sys, "stdout", stdout())
        assert is_interactive() is person
        monkeypatch.undo()
