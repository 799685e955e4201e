from __future__ import annotations

from langchain_mix.errors import MixError
from langchain_mix.testing.cassette_error import CassetteError


def test_it_says_what_happened_and_what_to_do():
    error = CassetteError("There is none.", sent="GET /x", hint="Record it.")
    assert str(error) == "There is none. Record it."
    assert (error.message, error.sent, error.acted, error.hint) == ("There is none.", "GET /x", "no", "Record it.")


def test_handlers_of_the_code_under_test_do_not_handle_it():
    assert not issubclass(CassetteError, MixError)
    assert issubclass(CassetteError, AssertionError)
