"""A stream in a terminal, with rich and without."""

from __future__ import annotations

import io

from langchain_mix.client.updates import TextDelta, ThinkingDelta, ToolCalled, ToolFinished
from langchain_mix.notebook import terminal as module
from langchain_mix.notebook.html import Look
from langchain_mix.notebook.terminal import Terminal

UPDATES = [
    ThinkingDelta("m", "hm"),
    TextDelta("m", "[bold]a[/bold] :smile: "),
    TextDelta("m", "x" * 200 + "\n"),
    ToolCalled("t", "Bash", "{}", "m"),
    ToolFinished("t", "Bash", success=False, progress="no"),
]
PLAIN = f"[thinking] hm\n[bold]a[/bold] :smile: {'x' * 200}\n\n[tool] Bash {{}}\n[tool] Bash failed no\ndone"


class Screen(io.StringIO):
    def isatty(self):
        return True


def run(file, **options):
    times = iter([1.0, 3.0])
    terminal = Terminal(Look(), file=file, clock=lambda: next(times), **options)
    terminal.start()
    for update in UPDATES:
        terminal.put(update)
    terminal.finish("done")
    terminal.refresh()
    return file.getvalue()


def test_text_as_it_is():
    assert run(io.StringIO()) == f"{PLAIN} · 2.0 s · 1 tool call\n"


def test_text_is_written_at_once():
    file = io.StringIO()
    terminal = Terminal(Look(), file=file)
    terminal.start()
    terminal.put(TextDelta("m", "a"))
    assert file.getvalue() == "a"


def test_the_standard_output_is_the_default(capsys):
    terminal = Terminal(Look())
    terminal.start()
    terminal.put(TextDelta("m", "a"))
    assert capsys.readouterr().out == "a"


def test_colours_with_rich_in_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    written = run(Screen())
    assert "\x1b[31m" in written
    plain = "".join(part.split("m", 1)[-1] if n else part for n, part in enumerate(written.split("\x1b[")))
    assert plain == f"{PLAIN} · 2.0 s · 1 tool call\n"


def test_no_colours_without_rich(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert run(Screen()).startswith(PLAIN)
