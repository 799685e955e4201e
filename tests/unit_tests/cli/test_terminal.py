"""Text from elsewhere is harmless, and output never fails for want of a character."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.console import Console

from langchain_mix.cli.terminal import (
    Column,
    errors_console,
    is_interactive,
    one_line,
    output_console,
    show_table,
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


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (60, ["id", "title", "much"]),
        (52, ["id", "title"]),
        (40, ["id", "title"]),
    ],
)
def test_a_table_drops_columns_before_it_cuts_an_id(width, shown):
    out = io.StringIO()
    columns = ("id", Column("title", fit="cut"), Column("more", 2), Column("much", 1))
    rows = [("1" * 30, "a title that is too long", "x" * 12, "y" * 6), ("2" * 30, "short", "", "")]
    show_table(Console(file=out, width=width, force_terminal=True, color_system=None), columns, rows)
    head, first, second = out.getvalue().splitlines()
    assert head.split() == shown
    assert first.startswith("1" * 30 + "  a ")
    assert second.startswith("2" * 30 + "  short")
    assert max(len(first), len(second)) <= width


def test_an_id_longer_than_the_screen_goes_on_in_the_next_line():
    out = io.StringIO()
    show_table(Console(file=out, width=20, force_terminal=True, color_system=None), ("id",), [("0123456789" * 5,)])
    assert "".join(line.strip() for line in out.getvalue().splitlines()[1:]) == "0123456789" * 5
