"""Stop sequences and tool calls in one text: the stop is found first, and nothing is lost between messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.chat_models.reply_parser import (
    CallArguments,
    CallStarted,
    InvalidCall,
    ReplyParser,
    Text,
)

CALL = '<tool_calls>[{"name": "add", "args": {"a": 1}}]</tool_calls>'


def said(pieces) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


@given(st.text("abS", max_size=20), st.lists(st.integers(0, 20), max_size=4))
def test_how_the_text_is_cut_does_not_matter(text, cuts):
    speech, pieces, before = ReplyParser(["SS"]), [], 0
    for end in [*sorted(min(c, len(text)) for c in cuts), len(text)]:
        pieces += speech.feed(text[before:end])
        before = end
    pieces += speech.end()
    assert said(pieces) == text.partition("SS")[0]
    assert speech.stopped is ("SS" in text)


def test_nothing_is_said_after_the_stop():
    speech = ReplyParser(["STOP"])
    assert said(speech.feed("One. STOP Two.")) == "One. "
    assert list(speech.feed("Three.")) == []
    assert list(speech.end()) == []


def test_what_may_have_become_a_stop_is_told_with_its_message():
    speech = ReplyParser(["STOP"])
    assert said(speech.feed("One. ST")) == "One. "
    assert said(speech.end()) == "ST"
    assert said(speech.feed("OP goes on")) == "OP goes on", "not looked for across messages"
    assert not speech.stopped


def test_a_call_is_read():
    speech = ReplyParser((), ["add"])
    pieces = [*speech.feed(f"Hm.\n{CALL}"), *speech.end()]
    assert [type(p) for p in pieces] == [Text, CallStarted, CallArguments]


def test_a_stop_inside_of_a_call_leaves_no_call():
    speech = ReplyParser(['"args"'], ["add"])
    pieces = [*speech.feed(f"Hm.\n{CALL}"), *speech.end()]
    assert speech.stopped
    assert [type(p) for p in pieces] == [Text, InvalidCall]
