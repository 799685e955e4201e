"""Ages as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from langchain_mix.cli.checkpoints.commands import read_age
from langchain_mix.errors import MixInputError


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        (" 4 W ", timedelta(weeks=4)),
        ("5m", timedelta(minutes=5)),
        ("0s", timedelta(0)),
    ],
)
def test_an_age(text, age):
    assert read_age(text) == age


@pytest.mark.parametrize("text", ["", "d", "30", "-1d", "1.5d", "1y", "1d 2h", "٣d", "9" * 30 + "w"])
def test_what_is_none(text):
    with pytest.raises(MixInputError, match=r"30d|shorter"):
        read_age(text)
