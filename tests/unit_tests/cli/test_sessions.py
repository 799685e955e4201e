"""Rows as exchanges."""

from __future__ import annotations

import pytest

from langchain_mix.cli.sessions import exchanges_of, last_row_kept, rows_up_to
from langchain_mix.cli.terminal import counted
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.models import BackendMessage


def rows(roles):
    return [
        BackendMessage(id=str(n), role={"u": "user", "a": "assistant", "t": "tool"}[role], user_input=f"text {n}")
        for n, role in enumerate(roles)
    ]


def test_an_exchange_has_all_that_follows_a_message():
    found = exchanges_of(rows("uaatuuata"))
    assert [(e.number, len(e.rows), e.end, e.asked) for e in found] == [
        (1, 4, 4, "text 0"),
        (2, 1, 5, "text 4"),
        (3, 4, 9, "text 5"),
    ]


def test_rows_before_the_first_message_belong_to_none():
    assert [e.end for e in exchanges_of(rows("taua"))] == [4]
    assert exchanges_of([]) == []


def test_the_answer_is_the_last_text():
    spoken = rows("uaa")
    spoken[1].assistant_response, spoken[2].assistant_response = "first", "second"
    assert exchanges_of(spoken)[0].answered == "second"
    assert exchanges_of(rows("u"))[0].answered == ""


@pytest.mark.parametrize(("keep", "end"), [(None, 7), (0, 0), (1, 4), (2, 5), (3, 7), (-1, 5), (-2, 4), (-3, 0)])
def test_rows_of_the_first_exchanges(keep, end):
    assert rows_up_to(rows("uaatuua"), keep) == end


@pytest.mark.parametrize("keep", [4, -4])
def test_more_than_there_are(keep):
    with pytest.raises(MixInputError, match="3 exchanges"):
        rows_up_to(rows("uaatuua"), keep)


def test_the_row_after_which_a_rewind_deletes():
    assert last_row_kept(rows("uaatuua"), 1).id == "3"
    assert last_row_kept(rows("uaatuua"), -1).id == "4"


@pytest.mark.parametrize("keep", [0, -3])
def test_a_session_cannot_be_taken_back_to_nothing(keep):
    with pytest.raises(MixInputError, match="cannot be taken back to nothing"):
        last_row_kept(rows("uaatuua"), keep)


def test_counting():
    assert [counted(n, "row") for n in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
