"""Which uploads replace each other."""

from __future__ import annotations

import pytest

from langchain_mix.cli.files import name_on_server


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("a b.txt", "a_b.txt"),
        ("v1.2  final.md", "v1_2_final.md"),
        ("plain", "plain"),
        (".env", ".env"),
        ("é.csv", "é.csv"),
    ],
)
def test_names_are_compared_as_the_server_writes_them(here, there):
    assert name_on_server(here) == name_on_server(there)


def test_different_names_stay_different():
    assert len({name_on_server(n) for n in ("a.md", "b.md", "a.txt", "ab.md")}) == 4
