"""What a terminal is never given."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.protocol.terminal_text import harmless, visible, visible_json

CONTROLS = [*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0)]
MARKS = [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
NO_WIDTH = [0x180E, 0x200B, *range(0x2060, 0x2066), *range(0x206A, 0x2070), 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB]
TAGS, HALVES = range(0xE0000, 0xE0080), range(0xD800, 0xE000)


@pytest.mark.parametrize("code", [*CONTROLS, *MARKS, *NO_WIDTH, 0xD800, 0xDFFF])
def test_each_of_them(code: int) -> None:
    text = f"a{chr(code)}b"
    assert visible(text) == ("ab" if code == 0x0D else f"a\\x{code:02x}b" if code < 0x100 else f"a\\u{code:04x}b")
    assert harmless(text) == "ab"
    written = visible_json(json.dumps(text, ensure_ascii=False))
    assert chr(code) not in written
    assert json.loads(written) == text


def test_tags_that_hide_words():
    assert visible("a\U000e0041") == "a\\U000e0041"
    assert visible_json('"\U000e0041"') == r'"\udb40\udc41"'


@given(st.text())
def test_what_is_harmless_stays(text: str) -> None:
    kept = "".join(c for c in text if ord(c) not in {*CONTROLS, *MARKS, *NO_WIDTH, *TAGS, *HALVES})
    assert harmless(text) == kept
    assert visible(kept) == kept
    assert visible(visible(text)) == visible(text)
    assert json.loads(visible_json(json.dumps([text], ensure_ascii=False, indent=2))) == [text]
