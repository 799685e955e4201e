"""The part of a reply's text that is its data: nothing is lost, and nothing is emitted before it is known what it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.chat_models.reply_parser import (
    CallArguments,
    CallStarted,
    DataReader,
    NonDataText,
    ReplyParser,
    Text,
)
from langchain_mix.chat_models.response_schema import ResponseSchema

FORM = ResponseSchema.of({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
DATA = '{"a": 1}'


def read(*messages: list[Text | CallStarted | CallArguments]) -> list[object]:
    reader, told = DataReader(FORM), []
    for number, pieces in enumerate(messages, 1):
        told += reader.feed(pieces)
        told += reader.end(last=number == len(messages))
    return told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (DATA, [Text(DATA)]),
        (f" {DATA}\n", [Text(DATA)]),
        (f"```json\n{DATA}\n```", [Text(DATA)]),
        (f"So:\n```json\n{DATA}\n```\nBye", [NonDataText("So:\n"), Text(DATA), NonDataText("\nBye")]),
        (f"So:\n~~~~\n{DATA}\n~~~~", [NonDataText("So:\n"), Text(DATA)]),
        (f"So:\n```\n{DATA} x\n```", [NonDataText("So:\n```\n"), Text(DATA), NonDataText(" x\n```")]),
        (f"a {DATA} b", [NonDataText("a "), Text(DATA), NonDataText(" b")]),
        (f'{DATA} and {{"b": 2}}', [Text(DATA), NonDataText(' and {"b": 2}')]),
        ('x {"b": 1} y {"b": 2}', [NonDataText('x {"b": 1} y '), Text('{"b": 2}')]),
        ("none", [Text("none")]),
        ("[1]", [Text("[1]")]),
        ("", []),
    ],
)
def test_the_data_of_the_last_message_are_its_text(text: str, told: list[object]) -> None:
    assert read([Text(text)]) == told


def test_what_a_strict_reader_cannot_read_is_written_anew() -> None:
    form = ResponseSchema.of({"type": "object", "properties": {"a": {"type": "string"}}})
    reader = DataReader(form)
    assert list(reader.feed([Text('{"a": "one\ntwo"}')])) == []
    (told,) = reader.end(last=True)
    assert json.loads(told.text) == {"a": "one\ntwo"}


def test_earlier_messages_are_asides_even_with_data_in_them() -> None:
    assert read([Text(DATA)], [Text('{"a": '), Text("2}")]) == [NonDataText(DATA), Text('{"a": 2}')]


def test_the_words_of_a_reply_that_calls_are_told_as_they_were_written() -> None:
    call = [CallStarted(0, "c", "add"), CallArguments(0, "{}")]
    assert read([Text(f"Look: {DATA} "), *call, Text(DATA)]) == [Text(f"Look: {DATA} "), *call, Text(DATA)]


@given(st.text('a{}[]`\n :1"', max_size=40), st.text("a`\n", max_size=8), st.lists(st.integers(0, 60), max_size=4))
def test_nothing_is_lost_but_the_fence_however_the_text_is_cut(before: str, after: str, cuts: list[int]) -> None:
    text, pieces, start = f"{before}{DATA}{after}", [], 0
    for end in [*sorted(min(cut, len(text)) for cut in cuts), len(text)]:
        pieces.append(Text(text[start:end]))
        start = end
    told = read(pieces)
    said = [piece.text for piece in told if isinstance(piece, Text)]
    assert len(said) == 1
    whole = "".join(piece.text for piece in told)
    assert [c for c in whole if c not in "` \n"] == [c for c in text if c not in "` \n"]


def test_stops_and_calls_are_read_before_data() -> None:
    speech = ReplyParser(["STOP"], ["add"], FORM)
    assert [*speech.feed(f"So {DATA} ST"), *speech.feed("OP and more")] == [NonDataText("So "), Text(DATA)]
    assert speech.stopped
    assert list(speech.end(last=True)) == []
    speech = ReplyParser((), ["add"], FORM)
    told = [
        *speech.feed(f'{DATA}\n<tool_calls>[{{"name": "add", "args": {{}}}}]</tool_calls>'),
        *speech.end(last=True),
    ]
    assert [type(piece) for piece in told] == [Text, CallStarted, CallArguments]
