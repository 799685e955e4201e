"""Which rows are a turn's, and whether they say that it is over."""

import pytest

from langchain_mix.protocol.api import ApiVersion
from langchain_mix.protocol.turn.stored_rows import outcome_of, same_text, up_to_call


@pytest.mark.parametrize(
    ("announced", "sent", "same"),
    [
        ("hi", "hi", True),
        (" hi\n", "hi", True),
        ("hi\n\n<system-reminder>\nPlan.\n</system-reminder>", "hi", True),
        ("hi\nthere", "hi", False),
        ("hi there", "hi", False),
        ("<system-reminder>x", "hi", False),
        ("h", "hi", False),
        ("", "hi", False),
    ],
)
def test_plan_mode_appends_to_a_text_and_nothing_else_does(announced, sent, same):
    assert same_text(announced, sent) is same


def test_a_turn_is_found_by_its_row_or_else_by_the_last_of_its_words(row, read_rows):
    rows = [row("user", "U1", "hi"), row("assistant", "A", "a"), row("user", "U2", "hi"), row("assistant", "B", "b")]
    rows += [row("tool", "R"), row("assistant", "C", "c"), row("user", "U3", "x"), row("assistant", "D", "d")]
    for export in (True, False):
        listing = read_rows(rows, ApiVersion.V0_8, export=export)
        user, own = listing.turn_of("", "hi")
        assert (user.id, [r.id for r in own]) == ("U2", ["B", "C"])
        user, own = listing.turn_of("U1", "hi")
        assert (user.id, [r.id for r in own]) == ("U1", ["A"])
        assert listing.turn_of("gone", "hi") == (None, [])
        assert listing.turn_of("", "else") == (None, [])


def test_an_agent_that_echoes_the_words_does_not_begin_a_turn(row, read_rows):
    rows = [row("user", "U", "hi"), row("assistant", "A", "hi"), row("assistant", "B", "b")]
    user, own = read_rows(rows, ApiVersion.V0_8, export=True).turn_of("", "hi")
    assert (user.id, [r.id for r in own]) == ("U", ["A", "B"])


@pytest.mark.parametrize(
    ("finish", "outcome"),
    [
        ("end_turn", "finished"),
        ("max_tokens", "finished"),
        ("unknown", "finished"),
        ("tool_use", "running"),
        ("", "running"),
        ("canceled", "cancelled"),
        ("error", "failed"),
        ("permission_denied", "failed"),
    ],
)
def test_the_export_tells_whether_a_turn_is_over(row, read_rows, finish, outcome):
    rows = [row("assistant", "A", "a", finish="end_turn"), row("assistant", "B", "b", finish=finish)]
    assert outcome_of(read_rows(rows, ApiVersion.V0_7, export=True).rows) == outcome
    assert outcome_of([]) == "running"


@pytest.mark.parametrize(("calls", "outcome"), [([], "finished"), ([("T", "Bash", "{}", None)], "running")])
def test_a_reason_of_a_later_server_ends_no_turn_that_calls_tools(row, read_rows, calls, outcome):
    rows = [row("assistant", "A", "a", calls=calls, finish="server_tool_use")]
    assert outcome_of(read_rows(rows, ApiVersion.V0_7, export=True).rows) == outcome


@pytest.mark.parametrize(
    ("text", "calls", "outcome"),
    [("a", [], "finished"), ("", [], "running"), ("a", [("T", "Bash", "{}", "o")], "running")],
)
def test_a_listing_tells_it_by_text_and_calls(row, read_rows, text, calls, outcome):
    rows = read_rows([row("assistant", "A", text, calls=calls)], ApiVersion.V0_8, export=False).rows
    assert outcome_of(rows) == outcome


def test_rows_up_to_a_call(row, read_rows):
    rows = [
        row("assistant", "A", calls=[("T1", "Bash", "{}", ""), ("T2", "Bash", "{}", "")]),
        row("assistant", "B", "b"),
    ]
    listing = read_rows(rows, ApiVersion.V0_8, export=True).rows
    assert [r.id for r in up_to_call(listing, "T2")] == ["A"]
    assert up_to_call(listing, "T3") == up_to_call(listing, "") == []
