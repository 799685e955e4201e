from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.emulator.go_http import Body, first_value, lenient_object
from langchain_mix.emulator.state import ApiError

BODY = Body("Thing", {"name": "string", "size": "int", "on": "bool", "items": "slice"})


def refusal(raw):
    with pytest.raises(ApiError) as refused:
        BODY.decode(raw)
    assert (refused.value.status, refused.value.type) == (400, "validation_error")
    return refused.value.message


def test_known_fields_are_taken():
    assert BODY.decode(b' {"name":"a","size":3,"on":true,"items":[1]} ') == {
        "name": "a",
        "size": 3,
        "on": True,
        "items": [1],
    }


def test_null_sets_nothing():
    assert BODY.decode(b'{"name":null}') == {}
    assert BODY.decode(b"null") == {}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"size":1.5}', "cannot unmarshal number 1.5 into Go struct field Thing.size of type int"),
        (b'{"size":1e400}', "of type int"),
        (b'{"size":99999999999999999999}', "cannot unmarshal number 99999999999999999999"),
        (b'{"size":true}', "cannot unmarshal bool"),
        (b'{"on":"true"}', "cannot unmarshal string into Go struct field Thing.on of type bool"),
        (b'{"items":{}}', "cannot unmarshal object"),
        (b'{"other":1}', 'json: unknown field "other"'),
        (b'"text"', "cannot unmarshal string into Go value of type api.Thing"),
        (b"", "EOF"),
        (b'{"name":"a', "unexpected EOF"),
        (b"}", "invalid character '}' looking for beginning of value"),
    ],
)
def test_refusals_are_in_gos_words(raw, words):
    assert words in refusal(raw)


def test_a_lenient_body_ignores_what_it_does_not_know():
    assert Body("Thing", {"name": "string"}, strict=False).decode(b'{"other":1,"name":"a"}') == {"name": "a"}


def test_the_exact_key_wins_over_another_case():
    body = Body("Thing", {"name": "string", "NAME": "string"})
    assert body.decode(b'{"NAME":"upper","name":"lower"}') == {"NAME": "upper", "name": "lower"}


def test_nothing_that_cannot_be_stored_comes_through():
    assert first_value(b'{"a":["\\ud800x"],"\\udc00":1}') == {"a": ["\ufffdx"], "\ufffd": 1}
    assert first_value(b'"\xff"') == "\ufffd"


@given(st.binary())
def test_no_body_breaks_the_decoder(raw):
    with suppress(ApiError):
        assert isinstance(BODY.decode(raw), dict)


@pytest.mark.parametrize("raw", [b"", b"[]", b"nonsense", b"[" * 10_000])
def test_lenient_objects_have_an_error_type_of_their_own(raw):
    with pytest.raises(ApiError) as refused:
        lenient_object(raw)
    assert (refused.value.status, refused.value.type) == (400, "INVALID_JSON")
