"""How tools ended, from what servers say and store."""

from __future__ import annotations

import pytest

from langchain_mix.protocol.tool_calls import outcome_of_event, outcome_of_result, was_denied, word_for_result

DENIAL = "The user doesn't want to proceed with this tool use. The tool use was rejected."


@pytest.mark.parametrize(
    ("progress", "success", "outcome"),
    [
        ("Completed Bash tool in 1.2s", True, "succeeded"),
        ("Completed shop_list_failed_orders tool in 1m2.5s", False, "succeeded"),
        ("Failed Write tool after 4ms: permission denied", False, "failed"),
        ("Failed Write tool after 4ms: permission denied", True, "failed"),
        ("Failed Task tool after 4ms: it said\nCompleted Bash tool in 1s", False, "failed"),
        ("", True, "succeeded"),
        ("", False, "failed"),
        ("Completed with errors", False, "failed"),
    ],
)
def test_an_event_is_believed_by_its_words(progress: str, success: bool, outcome: str) -> None:
    assert outcome_of_event(progress, success=success) == outcome


@pytest.mark.parametrize(
    ("result", "is_error", "outcome"),
    [
        ("a.txt", False, "succeeded"),
        ("a.txt", None, "succeeded"),
        ("no such file", True, "failed"),
        (None, True, "failed"),
        (DENIAL, False, "failed"),
        (f"\n{DENIAL}", None, "failed"),
        (f"1: {DENIAL}", False, "succeeded"),
        (None, None, None),
        (None, False, None),
        ("", False, None),
        (" \n", None, None),
    ],
)
def test_a_stored_result_tells_failure_success_or_neither(
    result: str | None, is_error: bool | None, outcome: str | None
) -> None:
    assert outcome_of_result(result, is_error=is_error) == outcome


@pytest.mark.parametrize(
    ("result", "progress", "denied"),
    [
        ("The user doesn't want to proceed with this tool use. Ask.", "", True),
        (None, "Failed Write tool after 3.2ms: permission denied", True),
        (None, "Failed Write tool after 3.2ms: open a.md: permission denied by the disk", False),
        ("cat: a.md: permission denied", "", False),
        (None, "Completed Bash tool in 3ms", False),
        (None, "", False),
    ],
)
def test_a_denial_is_known_by_the_servers_words(result, progress, denied):
    assert was_denied(result, progress) is denied


def test_the_word_for_a_stored_result():
    assert word_for_result("The user doesn't want to proceed with this tool use.", is_error=False) == "denied"
    assert word_for_result("broken", is_error=True) == "failed"
    assert word_for_result("done", is_error=False) == "succeeded"
    assert word_for_result(None, is_error=None) == ""
