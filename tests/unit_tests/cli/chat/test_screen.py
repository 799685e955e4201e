"""A turn on the screen, by what a terminal shows at the end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from langchain_mix.cli.chat.screen import Screen, cut, output_panel, tool_panel
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
