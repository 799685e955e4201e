from __future__ import annotations

from typing import Any

import pytest

from langchain_mix.emulator.state import ApiError
from langchain_mix.emulator.state.errors import count_of, mistyped, setting_of


@pytest.mark.parametrize("body", [{}, {"k": None}])
def test_missing_and_null_are_the_same(body: dict[str, Any]) -> None:
    assert setting_of(body, "k") is None
    assert count_of(body, "k") is None


@pytest.mark.parametrize(
    ("value", "kind"), [(1, "number"), (1.5, "number"), (True, "bool"), ("", "string"), ([], "array"), ({}, "object")]
)
def test_a_mistyped_value_is_named_by_its_kind(value: Any, kind: str) -> None:
    error = mistyped("k", value)
    assert (error.status, error.type) == (400, "validation_error")
    assert f"cannot unmarshal {kind} into" in error.message


@pytest.mark.parametrize("value", ["1", 1.5, True, 2**63, []])
def test_a_count_is_a_whole_number_that_go_can_hold(value: Any) -> None:
    with pytest.raises(ApiError) as caught:
        count_of({"k": value}, "k")
    assert caught.value.type == "INVALID_JSON"
    assert count_of({"k": 2**63 - 1}, "k") == 2**63 - 1


def test_a_lenient_text_is_still_a_text() -> None:
    with pytest.raises(ApiError) as caught:
        setting_of({"k": 1}, "k")
    assert (caught.value.status, caught.value.type) == (400, "INVALID_JSON")
    assert setting_of({"k": ""}, "k") == ""
