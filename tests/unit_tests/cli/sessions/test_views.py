"""Sessions on the screen."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from langchain_mix.cli.sessions.views import money, show_head, show_sessions, show_transcript
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


def test_money():
    assert (money(0), money(0.00123), money(12.3)) == ("$0.0000", "$0.0012", "$12.30")
