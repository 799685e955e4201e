"""A view as plain text: everything once, in order, and nothing that a terminal obeys."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.client.updates import TextDelta, ThinkingDelta, ToolCalled, ToolFinished
from langchain_mix.errors import MixAgentError
from langchain_mix.notebook import plain_text as module
from langchain_mix.notebook.html import Look
from langchain_mix.notebook.plain_text import PlainTextWriter, Terminal, as_plain_text
from langchain_mix.notebook.view import Media, View, Words
from langchain_mix.protocol.terminal_text import harmless


def told(writer, view):
    return "".join(span.text for span in writer.changes(view))


@pytest.fixture
def view():
    view = View()
    view.section("m")
    return view


@pytest.fixture
def parts(view):
    return view.sections["m"].parts


def test_pieces_are_told_as_they_come(view, parts):
    writer, words = PlainTextWriter(Look()), Words()
    view.add(parts, words)
    view.say(words, "a")
    assert told(writer, view) == "a"
    view.say(words, "b\nc")
    assert told(writer, view) == "b\nc"
    assert told(writer, view) == ""


def test_kinds_are_told_apart(view, parts):
    writer, thought, words = PlainTextWriter(Look()), Words(thinking=True), Words()
    view.add(parts, thought)
    view.say(thought, "hm")
    first = told(writer, view)
    view.add(parts, words)
    view.say(words, "a")
    assert first + told(writer, view) == "[thinking] hm\na"


def test_a_text_that_goes_on_after_a_tool(view, parts):
    writer, words = PlainTextWriter(Look()), Words()
    view.add(parts, words)
    view.say(words, "a")
    first = told(writer, view)
    tool = view.tool(parts, "t")
    tool.name, tool.status = "Bash", "called"
    second = told(writer, view)
    view.say(words, "b")
    assert first + second + told(writer, view) == "a\n[tool] Bash \nb"


def test_line_ends_before_a_tool_leave_no_gap(view, parts):
    writer, words = PlainTextWriter(Look()), Words()
    view.add(parts, words)
    view.say(words, "a\n\n")
    first = told(writer, view)
    view.say(words, "b\n\n")
    second = told(writer, view)
    tool = view.tool(parts, "t")
    tool.name, tool.status = "Bash", "called"
    assert (first, second, told(writer, view)) == ("a", "\n\nb", "\n[tool] Bash \n")


def test_a_call_that_never_ended_is_in_the_whole_text(view, parts):
    """A run may be stopped while the arguments of a call come."""
    view.tool(parts, "t").name = "Bash"
    assert "Bash" not in as_plain_text(view)
    view.end("stopped")
    assert as_plain_text(view) == "[tool] Bash \nstopped · 1 tool call, 0 done"


def test_the_life_of_a_tool(view, parts):
    writer = PlainTextWriter(Look())
    tool = view.tool(parts, "t")
    tool.name, tool.arguments[:] = "Bash", ['{"command": "ls"}']
    assert told(writer, view) == ""
    tool.status = "called"
    view.touch(tool)
    assert told(writer, view) == '[tool] Bash {"command": "ls"}\n'
    tool.status, tool.progress = "succeeded", "ran"
    view.touch(tool)
    assert told(writer, view) == "[tool] Bash succeeded ran\n"
    tool.output = "out"
    view.touch(tool)
    view.touch(tool)
    assert told(writer, view) == "[tool] Bash gave: out\n"
    view.touch(tool)
    assert told(writer, view) == ""


@pytest.mark.parametrize(("limit", "shown"), [(3, "out"), (2, "ou… (1 more characters)")])
def test_outputs_are_cut(view, parts, limit, shown):
    tool = view.tool(parts, "t")
    tool.status, tool.output = "succeeded", "out"
    assert f"gave: {shown}\n" in told(PlainTextWriter(Look(max_output=limit)), view)


@pytest.mark.parametrize("what", ["thinking", "tools"])
def test_what_is_hidden_is_not_told(view, parts, what):
    view.add(parts, Words(thinking=True, pieces=["hm"]))
    view.tool(parts, "t").status = "succeeded"
    text = told(PlainTextWriter(Look(**{what: "hidden"})), view)
    assert ("[thinking]" in text) is (what != "thinking")
    assert ("[tool]" in text) is (what != "tools")


def test_a_restated_text_is_told_as_a_whole_once(view, parts):
    writer, words = PlainTextWriter(Look()), Words()
    view.add(parts, words)
    view.say(words, "ac")
    assert told(writer, view) == "ac"
    words.restate("abc")
    view.touch(words)
    assert told(writer, view) == "\n[a part of the text was lost on the way; this is the whole of it]\nabc"
    view.say(words, "d")
    assert told(writer, view) == "d"


def test_sub_agents_have_a_margin(view, parts):
    words = Words(depth=1)
    view.add(parts, words)
    view.say(words, "a\nb")
    assert told(PlainTextWriter(Look()), view) == "│ a\n│ b"


def test_media_and_notices(view, parts):
    writer, media = PlainTextWriter(Look()), Media("image", name="a.png", title="A")
    view.add(parts, media)
    view.notice("rate limit", "slow")
    assert told(writer, view) == "[shown] image: A\n[rate limit] slow\n"
    view.touch(media)
    assert told(writer, view) == ""


def test_the_end(view):
    view.elapsed, view.model = 1.0, "claude"
    view.end("failed", MixAgentError("It broke.", hint="Mend it."))
    text = "".join(span.text for span in PlainTextWriter(Look()).end(view))
    assert text == "failed · 1.0 s · claude\nMixAgentError: It broke.\nMend it.\n"


def test_nothing_that_a_terminal_obeys(view, parts):
    words = Words(pieces=["a\x1b[31mb\x07\x9b2J\r\nc"])
    view.add(parts, words)
    tool = view.tool(parts, "t")
    tool.name, tool.status, tool.output = "\x1b]0;x\x07", "succeeded", "\x1b[2J"
    view.notice("\x1bc", "\x1bc")
    view.end("failed", ValueError("\x1bc"))
    writer = PlainTextWriter(Look())
    text = told(writer, view) + "".join(span.text for span in writer.end(view))
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(text)
    assert "a[31mb2J\nc" in text


@given(st.text())
def test_printable_text_has_no_control_characters(text):
    assert all(char in "\n\t" or char.isprintable() or ord(char) > 0x9F for char in harmless(text))


def test_all_of_a_view(view, parts):
    view.add(parts, Words(pieces=["a"]))
    task = view.tool(parts, "t")
    task.name, task.status = "Task", "succeeded"
    task.parts.append(Words(pieces=["deep"], depth=1))
    view.end("done")
    assert as_plain_text(view).split("\n") == [
        "a",
        "[tool] Task ",
        "[tool] Task succeeded",
        "│ deep",
        "done · 1 tool call",
    ]
    assert as_plain_text(view) == as_plain_text(view)


UPDATES = [
    ThinkingDelta("m", "hm"),
    TextDelta("m", "[bold]a[/bold] :smile: "),
    TextDelta("m", "x" * 200 + "\n"),
    ToolCalled("t", "Bash", "{}", "m"),
    ToolFinished("t", "Bash", success=False, progress="no"),
]
PLAIN = f"[thinking] hm\n[bold]a[/bold] :smile: {'x' * 200}\n[tool] Bash {{}}\n[tool] Bash failed no\ndone"


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
