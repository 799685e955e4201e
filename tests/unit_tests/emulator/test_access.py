"""The decisions about Host, Origin and Sec-Fetch-Site."""

from __future__ import annotations

import pytest

from langchain_mix.emulator.access import AccessRules

OPEN = AccessRules.parse((), ("*",))
CLOSED = AccessRules.parse((), ())
OWN = "localhost:8088"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8088",
        "localhost.:1",
        "127.0.0.1:8088",
        "127.9.8.7",
        "[::1]:8088",
        "[::1]",
        "app.localhost",
    ],
)
def test_names_of_loopback_are_answered(host: str) -> None:
    assert OPEN.refusal("GET", {"host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8088", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example"),
        *("192.168.1.1", "0.0.0.0", "[::]", "[2001:db8::1]:80", "127.1", "", ".", " localhost", "localhost evil"),
        *("user@localhost", "localhost/x", "localhost,evil.example", "localhost:x", "\xe9.example", "[::1", "*"),
    ],
)
def test_other_names_are_refused_whatever_the_agent(host: str) -> None:
    for rules in (OPEN, CLOSED):
        for method in ("GET", "POST", "OPTIONS"):
            assert "--allow-host" in str(rules.refusal(method, {"host": host})), method


def test_allowed_hosts_are_answered_on_any_port() -> None:
    rules = AccessRules.parse(["Mix.Example", "other:80"], "*")
    for host in ("mix.example", "MIX.EXAMPLE:99", "other", "other:81", "localhost"):
        assert rules.refusal("GET", {"host": host}) is None
    assert rules.refusal("GET", {"host": "sub.mix.example"})
    assert AccessRules.parse("*", "*").refusal("GET", {"host": "evil.example"}) is None
    assert OPEN.refusal("GET", {}) is None, "no browser leaves it out; HTTP/1.0 may"


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "https://localhost", "http://localhost", "http://localhost:3000", "null", ""),
        *("http://127.0.0.1:8088", "http://localhost:8088.evil.example", "http://localhost:8088@evil.example"),
        *("file://", "chrome-extension://abc", "http://localhost:8088/", "http://localhost:8088, http://evil.example"),
    ],
)
def test_pages_of_other_origins_are_refused_where_turns_cost(origin: str) -> None:
    headers = {"host": OWN, "origin": origin}
    for method in ("GET", "POST", "OPTIONS", "DELETE"):
        assert "--allow-origin" in str(CLOSED.refusal(method, headers)), method
        assert OPEN.refusal(method, headers) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (OWN, "http://localhost:8088"),
        (OWN, "HTTP://LOCALHOST:8088"),
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("[::1]:8088", "http://[::1]:8088"),
        ("app.localhost", "https://app.localhost"),
    ],
)
def test_own_pages_may_do_everything(host: str, origin: str) -> None:
    headers = {"host": host, "origin": origin, "sec-fetch-site": "same-origin"}
    assert CLOSED.refusal("POST", headers) is None


@pytest.mark.parametrize(
    ("method", "site", "refused"),
    [
        ("POST", "cross-site", True),
        ("POST", "same-site", True),
        ("DELETE", "cross-site", True),
        ("POST", "same-origin", False),
        ("POST", "none", False),
        ("GET", "cross-site", False),
    ],
)
def test_where_a_browser_says_it_comes_from_counts_without_an_origin(method: str, site: str, refused: bool) -> None:
    headers = {"host": OWN, "sec-fetch-site": site}
    assert (CLOSED.refusal(method, headers) is not None) == refused
    assert OPEN.refusal(method, headers) is None


def test_programs_are_no_pages() -> None:
    assert CLOSED.refusal("POST", {"host": OWN}) is None


def test_allowed_origins() -> None:
    rules = AccessRules.parse((), ["http://localhost:3000", "https://App.Example"])
    for origin, answered in {
        "http://localhost:3000": True,
        "https://app.example": True,
        "https://app.example:443": True,
        "http://app.example": False,
        "http://localhost:3001": False,
        "null": False,
    }.items():
        assert (
            rules.refusal("POST", {"host": OWN, "origin": origin, "sec-fetch-site": "cross-site"}) is None
        ) == answered


@pytest.mark.parametrize("host", ["", "a b", "http://mix.example", "a/b", "a:b"])
def test_malformed_names_are_errors(host: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        AccessRules.parse([host], ())


@pytest.mark.parametrize("origin", ["", "app.example", "null", "http://", "ftp://a", "http://a/b", "http://u@a"])
def test_malformed_origins_are_errors(origin: str) -> None:
    with pytest.raises(ValueError, match="no origin"):
        AccessRules.parse((), [origin])
