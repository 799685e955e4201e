"""The options that name a server."""

from __future__ import annotations

import pytest

from langchain_mix.cli.connection import PATIENCE, connect
from langchain_mix.errors import MixConfigurationError
from langchain_mix.protocol.retry import NO_RETRIES


def test_a_client_is_made_of_the_options():
    with connect(
        "http://there:1", api="0.7", headers=["X-Key: a: b", "Other:c"], retries=NO_RETRIES, timeout_ms=1234
    ) as mix:
        settings = mix._core.settings
        assert mix.server_url == "http://there:1"
        assert mix.api == "0.7"
        assert settings.headers == {"X-Key": "a: b", "Other": "c"}
        assert settings.retry == NO_RETRIES
        assert settings.timeout == 1.234


def test_the_environment_names_the_server(monkeypatch):
    monkeypatch.setenv("MIX_SERVER_URL", "http://elsewhere:2")
    with connect(None) as mix:
        assert mix.server_url == "http://elsewhere:2"
        assert mix._core.settings.retry == PATIENCE


@pytest.mark.parametrize("line", ["secret-token", ": secret-token"])
def test_a_header_without_a_name_is_refused_and_not_repeated(line):
    with pytest.raises(MixConfigurationError) as refused:
        connect("http://there:1", headers=[line])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("line", "problem"), [("foo", "has no ':'"), (": foo", "has no name in front of its ':'")])
def test_what_is_wrong_with_a_header_is_said(line, problem):
    with pytest.raises(MixConfigurationError, match=f"A header {problem}"):
        connect("http://there:1", headers=[line])
