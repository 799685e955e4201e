from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.chat_models import json_text
from langchain_mix.chat_models.json_text import locate_json, read_json, unfenced, write_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_is_read(value: object) -> None:
    text = write_json(value)
    assert read_json(text) == value
    assert "</" not in text
    assert "\n" not in text
    assert read_json(json.dumps(value, indent=1)) == value


@given(
    VALUES.filter(lambda value: isinstance(value, dict | list)),
    st.sampled_from(["{}", "Here: {}. Done.", "```json\n{}\n```", "See [0]:\n~~~\n{}\n~~~\nOK {{}} "]),
)
def test_the_value_is_found_in_a_reply(value: object, reply: str) -> None:
    def wanted(found: object) -> bool:
        return found == value

    assert locate_json(reply.format(json.dumps(value)), wanted).value == value


def test_code_blocks_go_before_prose_and_the_last_before_the_first() -> None:
    assert locate_json('{"a": 1} then {"a": 2}').value == {"a": 2}
    assert locate_json('```\n{"a": 1}\n```\nnot {"a": 2}').value == {"a": 1}
    assert locate_json('{"a": 1} [2]', lambda value: isinstance(value, dict)).value == {"a": 1}


@pytest.mark.parametrize(
    "text", ["", "none", "{", '{"a": }', "[1", "NaN", "[NaN]", "[" * 100_000, '"\\ud800"', '["\\udc00"]']
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)
    with pytest.raises(ValueError, match="no JSON value"):
        locate_json(text)


def test_line_breaks_in_strings_and_whole_surrogate_pairs_are_read() -> None:
    assert read_json('"a\nb"') == "a\nb"
    assert read_json('"\\ud83d\\ude00"') == "\U0001f600"
    assert write_json("\ud800") == '"\\ud800"'


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("```\nx\n```", "x"),
        (" ~~~json\r\nx\r\n~~~ \n", "x"),
        ("```\nx", "```\nx"),
        ("x", "x"),
        ("a ```\nx\n```", "a ```\nx\n```"),
    ],
)
def test_fences_are_taken_off_whole_texts(text: str, bare: str) -> None:
    assert unfenced(text) == bare


@pytest.mark.parametrize(
    ("text", "before", "written", "after"),
    [
        ('{"a": 1}', "", '{"a": 1}', ""),
        (' [1] {"a": 1}!', " [1] ", '{"a": 1}', "!"),
        ('x\n```json\n{"a": 1}\n```\ny', "x\n", '{"a": 1}', "\ny"),
        ('x\n```json\n{"a": 1}\n~~~\ny', "x\n```json\n", '{"a": 1}', "\n~~~\ny"),
        ("~~~\n[1]\n~~~", "", "[1]", ""),
    ],
)
def test_what_stands_around_the_value_is_told(text: str, before: str, written: str, after: str) -> None:
    found = locate_json(text)
    assert (found.before, found.written, found.after) == (before, written, after)
    assert found.value == json.loads(written)


class Counting:
    """Decodes like the module's decoder, and counts the characters that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = 0
        self._decoder = json_text._DECODER
        monkeypatch.setattr(json_text, "_DECODER", self)

    def decode(self, text: str) -> object:
        self.read += len(text)
        return self._decoder.decode(text)

    def raw_decode(self, text: str, at: int) -> tuple[object, int]:
        end = len(text)
        try:
            value, end = self._decoder.raw_decode(text, at)
        except ValueError as error:
            end = error.pos if isinstance(error, json.JSONDecodeError) else json_text._refused(text, at)
            raise
        finally:
            self.read += end - at
        return value, end


@pytest.mark.parametrize(
    "piece",
    ["```a\n", "```\n{}\n```\n", "[1,", "[ x ", '["', '["[1,', '["\\"[', '{"a":["', "[NaN,", '{"a": 1} ', "[" * 900 + "x",
     '{"a":"\\ud83d"} '],
)  # fmt: skip
def test_a_text_is_read_a_few_times_however_it_is_written(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = piece * (40_000 // len(piece))
    counted = Counting(monkeypatch)
    with pytest.raises(ValueError, match="no JSON value"):
        locate_json(text, lambda _: False)
    assert counted.read <= 8 * len(text)


def test_a_long_list_that_breaks_off_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[" * 900 + "1," * 20_000 + '{"a": 1}, NaN'
    counted = Counting(monkeypatch)
    assert locate_json(text).value == {"a": 1}
    assert counted.read <= 4 * len(text)
    assert list(json_text._code_blocks("```a\n" * 20_000)) == []
    assert len(list(json_text._code_blocks("```a\n{}\n```\n" * 2_000))) == 2_000


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ("```\na\n```\n~~~x\nb\n~~~", ["a\n", "b\n"]),
        ("```\na\n~~~\n```", ["a\n~~~\n"]),
        ("````\na\n```\nb\n````", ["a\n```\nb\n"]),
        ("```\na\n    ```\n", []),
        ("```a`b\nc\n```", []),
        ("```\r\na\r\n```\r\n", ["a\r\n"]),
    ],
)
def test_code_blocks(text: str, bodies: list[str]) -> None:
    assert [text[start:end] for start, end in json_text._code_blocks(text)] == bodies
