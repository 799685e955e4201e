"""What the server's words mean."""

import pytest

from langchain_mix import errors
from langchain_mix.protocol.turn import errors as turn_errors


@pytest.mark.parametrize(
    ("text", "kind", "word"),
    [
        ("request cancelled by user", errors.MixTurnCancelled, "partial"),
        ("context canceled", errors.MixTurnCancelled, "partial"),
        ("maximum iteration limit (3 steps) reached", errors.MixAgentError, "max_steps"),
        ("failed to process events: 401 Unauthorized", errors.MixAgentError, "store_api_key"),
        ("Authentication failed: token expired", errors.MixAgentError, "store_api_key"),
        ("LLM API rate limited - maximum retry attempts reached: 8 retries", errors.MixAgentError, "wait"),
        ("", errors.MixAgentError, "partial"),
    ],
)
def test_the_agents_words_become_an_error_with_a_way_on(text, kind, word):
    error = turn_errors.agent_error_text(text)
    assert type(error) is kind
    assert word in error.hint
    assert error.message
    assert error.acted == "yes"


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        ("⚠️ Authentication required. Please go to settings and authenticate", True),
        ("⚠️ Not authenticated with Anthropic (your preferred provider)", True),
        ("⚠️ Authentication required. Please use the /login command to authenticate with Claude API key.", False),
        ("boom", False),
    ],
)
def test_a_sign_in_notice_is_told_from_a_rejected_key(text, notice):
    assert turn_errors.is_sign_in_notice(text) is notice


def test_an_error_that_no_event_told_has_no_echo():
    assert turn_errors.echo_of(errors.MixTurnTimeout("late")) == ""
