"""Sessions on the screen."""

from __future__ import annotations

import io
import json
import stat

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from langchain_mix.cli.session_views import money, save, show_head, show_sessions, show_transcript, written
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.models import BackendMessage, SessionData

SESSION = SessionData.model_validate(
    {
        "id": "11111111-2222-3333-4444-555555555555",
        "title": "Evil \x1b[2J title",
        "createdAt": "2026-01-02T03:04:05Z",
        "userMessageCount": 2,
        "assistantMessageCount": 3,
        "cost": 0.0123,
        "parentSessionId": "parent",
        "sessionType": "forked",
    }
)


def shown(show, *, terminal, width=100):
    out = io.StringIO()
    show(Console(file=out, width=width, force_terminal=terminal, no_color=True, color_system=None))
    return out.getvalue()


@pytest.mark.parametrize(("width", "created", "cost"), [(120, True, True), (80, True, False), (50, False, False)])
def test_people_get_a_table_with_whole_ids(width, created, cost):
    told = shown(lambda c: show_sessions(c, [SESSION]), terminal=True, width=width)
    assert SESSION.id in told
    assert "Evil" in told
    assert ("2026-01-02 03:04" in told) is created
    assert ("$0.0123" in told) is cost
    assert "\x1b[2J" not in told


def test_programs_get_cells_between_tabs():
    head, line = shown(lambda c: show_sessions(c, [SESSION]), terminal=False, width=10).splitlines()
    assert head.split("\t") == ["id", "title", "type", "asked", "answered", "cost", "created", "begins"]
    assert line.split("\t") == [
        SESSION.id,
        "Evil \\x1b[2J title",
        "forked",
        "2",
        "3",
        "$0.0123",
        "2026-01-02 03:04",
        "",
    ]


def test_the_head_tells_where_a_fork_came_from():
    told = shown(lambda c: show_head(c, SESSION), terminal=False, width=200)
    assert "from parent" in told
    assert "2 exchanges" in told


def test_only_the_last_exchanges():
    rows = [BackendMessage(id=str(n), role="user", user_input=f"question {n}") for n in range(3)]
    told = shown(lambda c: show_transcript(c, rows, last=1), terminal=False)
    assert "question 2" in told
    assert "question 1" not in told
    assert "(2 earlier exchanges not shown)" in told
    assert "question 0" in shown(lambda c: show_transcript(c, rows), terminal=False)


def test_a_row_shows_thinking_text_and_tools():
    row = BackendMessage.model_validate(
        {
            "id": "2",
            "role": "assistant",
            "assistantResponse": "**So** [x](http://elsewhere)",
            "reasoning": "Hm.",
            "toolCalls": [{"id": "t", "name": "Grep", "input": '{"p": 1}', "result": "found", "isError": False}],
        }
    )
    told = shown(
        lambda c: show_transcript(c, [BackendMessage(id="1", role="user", user_input="Q"), row]), terminal=False
    )
    assert "Hm." in told
    assert "So x (http://elsewhere)" in told, "a link shows where it leads"
    assert 'Grep succeeded {"p": 1}' in told
    assert "found" in told


def test_the_output_of_a_tool_keeps_its_lines_and_is_no_markdown():
    call = {"id": "t", "name": "Read", "input": "{}", "result": "  1|*a*\n  2|\x1b[2Jb\n\n" + "x" * 500}
    row = BackendMessage.model_validate({"id": "2", "role": "assistant", "toolCalls": [call]})
    told = shown(
        lambda c: show_transcript(c, [BackendMessage(id="1", role="user", user_input="Q"), row]), terminal=False
    )
    lines = [line.rstrip() for line in told.splitlines()]
    assert "    1|*a*" in lines
    assert "    2|\\x1b[2Jb" in lines
    assert "x" * 500 not in told
    assert "…" in told


def test_money():
    assert (money(0), money(0.00123), money(12.3)) == ("$0.0000", "$0.0012", "$12.30")


SESSION_of_transcript = SessionData.model_validate(
    {"id": "s1", "title": "Tea", "createdAt": "2026-01-02T03:04:05Z", "newKey": 7}
)
ROWS = [
    BackendMessage.model_validate({"id": "1", "role": "user", "userInput": "How?"}),
    BackendMessage.model_validate(
        {
            "id": "2",
            "role": "assistant",
            "userInput": "Look:",
            "assistantResponse": "Look:",
            "reasoning": "Hm.\nWell.",
            "model": "m1",
            "toolCalls": [{"id": "t", "name": "Grep", "input": '{"a": 1}', "result": "a\n```\nb", "isError": True}],
        }
    ),
    BackendMessage.model_validate({"id": "3", "role": "tool", "userInput": ""}),
    BackendMessage.model_validate({"id": "4", "role": "assistant", "userInput": "So.", "assistantResponse": "So."}),
]


def test_markdown_has_everything_in_order():
    text = written(SESSION_of_transcript, ROWS, "markdown")
    parts = ["# Tea", "`s1`, created 2026-01-02 03:04", "## 1. You", "How?", "> Hm.", "> Well.", "### Agent (m1)"]
    parts += ["Look:", "**Tool `Grep`** (failed)", '{"a": 1}', "a\n```\nb", "### Agent", "So."]
    at = -1
    for part in parts:
        at = text.index(part, at + 1)
    assert text.endswith("So.\n")


def test_a_result_with_a_fence_stays_inside_its_own():
    blocks = [
        t.content for t in MarkdownIt().parse(written(SESSION_of_transcript, ROWS, "markdown")) if t.type == "fence"
    ]
    assert blocks == ['{"a": 1}\n', "a\n```\nb\n"]


def test_json_keeps_the_servers_names_and_what_is_unknown():
    data = json.loads(written(SESSION_of_transcript, ROWS, "json"))
    assert data["session"]["newKey"] == 7
    assert data["messages"][1]["toolCalls"][0]["isError"] is True
    assert "inputTokens" not in data["messages"][0]


def test_a_file_is_written_like_any_other(tmp_path):
    path = tmp_path / "a.md"
    save("text é\n", path, overwrite=False)
    assert path.read_bytes() == "text é\n".encode()
    (tmp_path / "other").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("before")
    with pytest.raises(MixInputError, match="is there already"):
        save("after", path, overwrite=False)
    assert path.read_text() == "before"
    save("after", path, overwrite=True)
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("overwrite", [True, False])
def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, overwrite):
    path = tmp_path / "a.md"
    if overwrite:
        path.write_text("before")

    with pytest.raises(TypeError):
        save(None, path, overwrite=overwrite)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == (["a.md"] if overwrite else [])
    assert not overwrite or path.read_text() == "before"
