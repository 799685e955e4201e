"""Arguments of tools, for people."""

from __future__ import annotations

import pytest

from langchain_mix.cli.chat.arguments import readable


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"a": "x", "b": [1, "é"], "c": null}', 'a: x\nb: [1, "é"]\nc: null'),
        ({"a": True}, "a: true"),
        ('{"a": ', '{"a": '),
        ("[1]", "[1]"),
        ("", ""),
        (None, ""),
        (3, "3"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_arguments_are_readable(arguments, told):
    assert readable(arguments) == told


def test_a_value_cannot_look_like_another_argument():
    assert readable({"content": "x\npath: /etc"}) == "content:\n    x\n    path: /etc"


def test_escapes_are_harmless():
    assert readable({"a\x1b": "\x1b[2J"}) == "a\\x1b: \\x1b[2J"
