from __future__ import annotations

from langchain_mix.emulator.state import PlainError
from langchain_mix.emulator.state.errors import internal, invalid, not_found


def test_the_servers_words() -> None:
    assert invalid("title", "title is required").message == "Validation error for field 'title': title is required"
    assert not_found("Session", "x").message == "Session with ID 'x' not found"
    assert internal("creating session", "no").message == "Internal error during creating session: no"
    assert [e.status for e in (invalid("a", "b"), not_found("a", "b"), internal("a", "b"))] == [400, 404, 500]


def test_plain_errors_carry_text() -> None:
    error = PlainError(400, "Cannot serve directory")
    assert (error.status, error.text, str(error)) == (400, "Cannot serve directory", "Cannot serve directory")
