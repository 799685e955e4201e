"""A turn as plain text."""

from __future__ import annotations

import io

from rich.console import Console

from langchain_mix.cli.chat.plain import Plain
from langchain_mix.protocol.turn.updates import (
    Progress,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCalled,
    ToolFinished,
)


def shown(*updates, terminal=False):
    out, notes = io.StringIO(), io.StringIO()
    plain = Plain(Console(file=out, width=20, force_terminal=terminal), Console(file=notes, width=20))
    with plain:
        for update in updates:
            plain.show(update)
    return out.getvalue(), notes.getvalue()


def test_the_answer_alone_goes_to_the_output_as_it_is():
    text = "**bold**\t[x] \x1b[1m " + "long " * 20
    assert shown(ThinkingDelta("m", "hm"), TextDelta("m", text))[0] == text + "\n"


def test_a_terminal_is_protected():
    assert shown(TextDelta("m", "\x1b[2J"), terminal=True)[0] == "\\x1b[2J\n"


def test_messages_stand_apart():
    assert shown(TextDelta("m", "One"), TextDelta("m", " two"), TextDelta("n", "Three\n"))[0] == "One two\n\nThree\n"


def test_lost_text_is_told_again():
    out, notes = shown(TextDelta("m", "One tw"), TextRestated("m", "One two"))
    assert out == "One tw\nOne two\n"
    assert "lost on the way" in notes


def test_tools_and_progress_are_notes():
    out, notes = shown(
        ToolCalled("t", "Grep", '{"a": 1}', "m"),
        ToolFinished("t", "Grep", False, "Failed Grep tool"),
        Progress("rate_limit", {"error": "Slow down"}),
        Progress("reopened", {}),
    )
    assert out == ""
    assert notes == '[tool] Grep {"a": 1}\n[tool] Failed Grep tool\nSlow down\n'
