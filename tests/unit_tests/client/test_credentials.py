"""Credentials leave a URL whole, and leave nothing of themselves in it."""

from __future__ import annotations

import pytest

from langchain_mix.client.credentials import split_url


@pytest.mark.parametrize(
    ("url", "bare", "credentials"),
    [
        ("http://mix.example:8088", "http://mix.example:8088", ""),
        ("https://ann:hunter%402@mix.example:8443/base", "https://mix.example:8443/base", "ann:hunter@2"),
        ("http://ann@mix.example", "http://mix.example", "ann:"),
        ("http://:key@[::1]:8088/", "http://[::1]:8088/", ":key"),
        ("http://[bad", "http://[bad", ""),
        ("", "", ""),
    ],
)
def test_the_user_and_the_password_are_taken_out(url, bare, credentials):
    assert split_url(url) == (bare, credentials)
