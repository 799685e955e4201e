"""A turn on the screen, by what a terminal shows at the end."""

from __future__ import annotations

import io
import random

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from langchain_mix.cli.chat import views as module
from langchain_mix.cli.chat.views import (
    GrowingText,
    LiveRegion,
    Plain,
    Screen,
    cut,
    output_panel,
    readable,
    settled_markdown,
    tool_panel,
    wraps_again,
)
from langchain_mix.protocol.turn.updates import (
    Accepted,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolCalled,
    ToolCallStarted,
    ToolFinished,
    ToolOutput,
    ToolRunning,
)


def shown(*updates, fails=None, **options):
    """What is printed for good: without a terminal the live part draws nothing until the turn is over."""
    out = io.StringIO()
    screen = Screen(Console(file=out, width=80), **options)
    try:
        with screen:
            for update in updates:
                screen.show(update)
            if fails is not None:
                raise fails
    except KeyboardInterrupt:
        assert fails is not None
    return out.getvalue()


CALL = (
    ToolCallStarted("t", "Grep", "m"),
    ToolCallDelta("t", '{"pat'),
    ToolCalled("t", "Grep", '{"pattern": "x\\ny"}', "m"),
    ToolRunning("t", "Grep", "Executing Grep tool"),
)


def test_text_and_thinking_are_shown_once_and_in_order():
    told = shown(
        Accepted("u"),
        ThinkingDelta("m", "I think\nof "),
        ThinkingDelta("m", "tea."),
        TextDelta("m", "# Tea\n\nIt is "),
        TextDelta("m", "**hot**.\n\nSo"),
        TextDelta("n", "Another message"),
    )
    parts = ["I think", "of tea.", "Tea", "It is hot.", "So", "Another message"]
    assert [told.count(p) for p in parts[:2] + parts[3:4] + parts[5:]] == [1, 1, 1, 1]
    at = -1
    for part in parts:
        at = told.index(part, at + 1)


def test_thinking_can_be_left_out():
    told = shown(ThinkingDelta("m", "secret thought"), TextDelta("m", "said"), show_thinking=False)
    assert "secret thought" not in told
    assert "said" in told


def test_what_was_not_settled_is_printed_when_the_turn_breaks():
    assert "half a sen" in shown(TextDelta("m", "half a sen"), fails=KeyboardInterrupt())


def test_a_tool_has_one_panel_with_name_arguments_and_status():
    told = shown(*CALL, ToolFinished("t", "Grep", True, "Completed Grep tool in 1ms"), TextDelta("m", "Done."))
    assert told.count("Grep · done") == 1
    assert "pattern:" in told
    assert "Completed Grep tool in 1ms" in told
    assert told.index("Grep · done") < told.index("Done.")


def test_a_failed_tool_says_so():
    assert "Grep · failed" in shown(*CALL, ToolFinished("t", "Grep", False, "Failed Grep tool"))


def test_a_tool_that_did_not_finish_is_not_forgotten():
    assert "Grep · not finished" in shown(*CALL, fails=KeyboardInterrupt())
    assert "Grep · not run" in shown(*CALL[:3])


def test_output_is_cut_and_says_so():
    finished = ToolFinished("t", "Grep", True, "Completed")
    told = shown(*CALL, finished, ToolOutput("t", "\n".join(f"hit {n}" for n in range(50)), False))
    assert "Grep · output" in told
    assert "hit 7" in told
    assert "hit 8" not in told
    assert "42 more lines (/tools shows all)" in told


def test_outputs_that_come_after_the_answer_name_their_calls():
    other = [ToolCalled("u", "Grep", '{"pattern": "b"}', "m"), ToolRunning("u", "Grep", "Executing")]
    finished = [ToolFinished(one, "Grep", True, "Completed") for one in "tu"]
    outputs = [ToolOutput("t", "hit a", False), ToolOutput("u", "hit b", False)]
    told = shown(*CALL, *other, *finished, TextDelta("m", "Done."), *outputs)
    lines = [
        "Done.",
        "What the tools above returned",
        "Grep (pattern: x y) · output",
        "hit a",
        "Grep (pattern: b) · output",
    ]
    places = [told.index(line) for line in lines]
    assert places == sorted(places)
    assert told.count("What the tools above returned") == 1


def test_an_output_below_its_call_is_just_an_output():
    told = shown(*CALL, ToolFinished("t", "Grep", True, "Completed"), ToolOutput("t", "hit a", False))
    assert "Grep · output" in told
    assert "above" not in told


def test_an_output_tells_how_a_tool_ended_that_never_said_so():
    told = shown(*CALL[:3], ToolOutput("t", "Tool not found: Grep", True))
    assert "Grep · failed" in told
    assert "Grep · error" in told


def test_lost_text_is_told_again_as_a_whole():
    told = shown(TextDelta("m", "One tw"), TextRestated("m", "One two three"))
    assert "A part of the text above was lost" in told
    assert "One two three" in told


@pytest.mark.parametrize(
    ("kind", "detail", "says"),
    [
        ("rate_limit", {"error": "Slow down"}, "Slow down"),
        ("reopened", {}, "The stream broke"),
        ("foreign_turn", {}, "Another client"),
    ],
)
def test_progress_that_matters_is_noted(kind, detail, says):
    assert says in shown(Progress(kind, detail))


def test_news_of_newer_servers_is_no_noise():
    assert shown(Progress("from_the_future", {"a": 1})).strip() == ""


def test_a_sub_agent_is_told_of_briefly():
    told = shown(
        SubagentUpdate("t", ToolCalled("x", "ReadText", "{}", "m")), SubagentUpdate("t", TextDelta("m", "inner text"))
    )
    assert "sub-agent: ReadText" in told
    assert "inner text" not in told


def test_a_pause_prints_what_there_is_and_goes_on():
    out = io.StringIO()
    console = Console(file=out, width=80)
    with Screen(console) as screen:
        screen.show(TextDelta("m", "before"))
        with screen.paused():
            assert screen._live is None
            console.print("question")
        assert screen._live is not None
        screen.show(TextDelta("m", " after"))
    told = out.getvalue()
    assert told.index("before") < told.index("question") < told.index("after")


def test_a_tall_unfinished_block_shows_its_end():
    console = Console(file=io.StringIO(), width=40, height=10, force_terminal=True)
    screen = Screen(console)
    screen.show(TextDelta("m", "\n".join(f"- item {n}" for n in range(40))))
    with console.capture() as drawn:
        console.print(screen._unfinished())
    assert "item 39" in drawn.get()
    assert "item 20" not in drawn.get()
    assert drawn.get().count("\n") < 10
    assert "Ctrl-C cancels" in drawn.get()


def test_what_tools_say_is_harmless():
    out = io.StringIO()
    call = ToolCall(id="t", name="\x1b[2J", input='{"a": "\x1b[2J"}', status="failed", progress="\x1b", output="\x1b")
    Console(file=out).print(tool_panel(call))
    Console(file=out).print(output_panel(call))
    assert "\x1b" not in out.getvalue()


def test_cutting():
    assert cut("a\nb", 2) == "a\nb"
    assert cut("a\nb\nc", 2) == "a\nb\n… 1 more line (/tools shows all)"
    assert len(cut("x" * 10_000, 2)) < 500


def test_a_question_is_not_shown_as_a_tool():
    assert shown(PermissionRequested(None)).strip() == ""  # type: ignore[arg-type]


DOCUMENT = """# Title

A paragraph that
goes on.

- one
- two

  still two
- three

```python
def f():

    return "# no title"
```

| a | b |
|---|---|
| 1 | 2 |

> quoted
> twice

1. first
2. second

Last words"""


def pieces(text, seed):
    chance = random.Random(seed)
    while text:
        size = chance.randint(1, 12)
        yield text[:size]
        text = text[size:]


@pytest.mark.parametrize("seed", range(20))
def test_all_parts_together_are_the_text(seed):
    growing = GrowingText(markdown=True)
    parts = [growing.add(piece) for piece in pieces(DOCUMENT, seed)]
    assert any(parts), "something settles before the end"
    assert "".join(parts) + growing.finish() == DOCUMENT
    assert growing.rest == ""


@pytest.mark.parametrize("seed", range(20))
def test_parts_have_the_same_blocks_as_the_whole(seed):
    def blocks(text):
        return [(t.type, t.content) for t in MarkdownIt().enable("table").parse(text) if t.level == 0]

    growing = GrowingText(markdown=True)
    parts = [p for p in (growing.add(piece) for piece in pieces(DOCUMENT, seed)) if p]
    parts.append(growing.finish())
    assert [b for part in parts for b in blocks(part)] == blocks(DOCUMENT)


def test_a_numbered_list_goes_on_with_its_number():
    out = io.StringIO()
    growing = GrowingText(markdown=True)
    for line in ("1. a\n", "\n", "2. b\n", "\n", "Text\n"):
        settled = growing.add(line)
        if settled:
            Console(file=out, width=40).print(Markdown(settled))
    assert "1 a" in out.getvalue()
    assert "2 b" in out.getvalue()


def test_nothing_settles_while_a_block_may_go_on():
    assert settled_markdown("one\n\ntw") == 0
    assert settled_markdown("```\na\n\nb\n\nc\n") == 0
    assert settled_markdown("one\n\ntwo\n") == len("one\n\n")


def test_other_text_settles_line_by_line():
    growing = GrowingText(markdown=False)
    assert growing.add("ab") == ""
    assert growing.add("c\nde\nf") == "abc\nde\n"
    assert growing.rest == "f"


def test_escapes_are_harmless_even_in_two_pieces():
    growing = GrowingText(markdown=True)
    growing.add("a\x1b")
    growing.add("[2Jb\r")
    growing.add("\nc")
    assert growing.finish() == "a\\x1b[2Jb\nc"


@pytest.mark.parametrize(("head", "line"), [("", "- an item of a list\n"), ("```\n", "x = 1\n"), ("", "> quoted\n")])
def test_a_long_block_is_read_a_few_times(head, line, monkeypatch):
    read = []
    monkeypatch.setattr(module, "settled_markdown", lambda text: read.append(len(text)) or settled_markdown(text))
    growing = GrowingText(markdown=True)
    growing.add(head)
    for _ in range(500):
        assert growing.add(line) == ""
    assert sum(read) < 20 * 500 * len(line)
    assert growing.finish() == head + 500 * line


def test_what_follows_a_long_block_settles_it():
    growing = GrowingText(markdown=True)
    parts = [growing.add("- an item\n") for _ in range(500)]
    parts += [growing.add(f"\nParagraph {number}.\n") for number in range(100)]
    assert "".join(parts).startswith("- an item\n" * 500 + "\nParagraph 0.\n")


def test_thinking_settles_line_by_line_however_long_a_line_is():
    growing = GrowingText(markdown=False)
    assert growing.add("a\n" + "b" * 1000) == "a\n"
    assert growing.add("\n") == "b" * 1000 + "\n"


def shown_of_plain(*updates, terminal=False):
    out, notes = io.StringIO(), io.StringIO()
    plain = Plain(Console(file=out, width=20, force_terminal=terminal), Console(file=notes, width=20))
    with plain:
        for update in updates:
            plain.show(update)
    return out.getvalue(), notes.getvalue()


def test_the_answer_alone_goes_to_the_output_as_it_is():
    text = "**bold**\t[x] \x1b[1m " + "long " * 20
    assert shown_of_plain(ThinkingDelta("m", "hm"), TextDelta("m", text))[0] == text + "\n"


def test_a_terminal_is_protected():
    assert shown_of_plain(TextDelta("m", "\x1b[2J"), terminal=True)[0] == "\\x1b[2J\n"


def test_messages_stand_apart():
    assert (
        shown_of_plain(TextDelta("m", "One"), TextDelta("m", " two"), TextDelta("n", "Three\n"))[0]
        == "One two\n\nThree\n"
    )


def test_lost_text_is_told_again():
    out, notes = shown_of_plain(TextDelta("m", "One tw"), TextRestated("m", "One two"))
    assert out == "One tw\nOne two\n"
    assert "lost on the way" in notes


def test_tools_and_progress_are_notes():
    out, notes = shown_of_plain(
        ToolCalled("t", "Grep", '{"a": 1}', "m"),
        ToolFinished("t", "Grep", False, "Failed Grep tool"),
        Progress("rate_limit", {"error": "Slow down"}),
        Progress("reopened", {}),
    )
    assert out == ""
    assert notes == '[tool] Grep {"a": 1}\n[tool] Failed Grep tool\nSlow down\n'


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"a": "x", "b": [1, "é"], "c": null}', 'a: x\nb: [1, "é"]\nc: null'),
        ({"a": True}, "a: true"),
        ('{"a": ', '{"a": '),
        ("[1]", "[1]"),
        ("", ""),
        (None, ""),
        (3, "3"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_arguments_are_readable(arguments, told):
    assert readable(arguments) == told


def test_a_value_cannot_look_like_another_argument():
    assert readable({"content": "x\npath: /etc"}) == "content:\n    x\n    path: /etc"


def test_escapes_are_harmless():
    assert readable({"a\x1b": "\x1b[2J"}) == "a\\x1b: \\x1b[2J"


@pytest.mark.parametrize(("environment", "rows"), [({"TERM": "xterm-256color"}, 4), ({"TERM": "linux"}, 1)])
def test_a_narrower_screen_is_erased_to_its_last_row(monkeypatch, environment, rows):
    for name in ("TMUX", "STY", "XTERM_VERSION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=30)
    region = LiveRegion(console)
    region.draw(Text("x" * 79))
    console.width = 20
    out.truncate(0)
    region.close()
    assert out.getvalue().count("\x1b[2K") == rows


@pytest.mark.parametrize(
    ("environment", "wraps"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm", "XTERM_VERSION": "XTerm(379)"}, False),
        ({"TERM": "screen", "STY": "1.a"}, False),
        ({"TERM": "screen", "STY": "1.a", "TMUX": "/tmp/t"}, True),
        ({"TERM": "rxvt-unicode"}, False),
    ],
)
def test_which_terminals_wrap_again(environment, wraps):
    assert wraps_again(environment) is wraps


def test_what_is_drawn_leaves_half_of_the_screen():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=40, height=20)
    with Screen(console) as screen:
        screen.show(TextDelta("m", "word " * 400))
        screen._live.draw(screen._unfinished())
        assert len(screen._live._widths) <= 10


def test_a_denied_tool_is_called_so():
    call = ToolCall(id="t", name="Write", status="failed", progress="Failed Write tool after 3ms: permission denied")
    out = io.StringIO()
    Console(file=out, width=80).print(tool_panel(call))
    assert "Write · denied" in out.getvalue()
