from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk

from langchain_mix.chat_models.reply_parser import (
    CallArguments,
    CallStarted,
    InvalidCall,
    Piece,
    Text,
    ToolCallParser,
    new_call_id,
)

A = '{"name": "a", "args": {"x": 1}}'
CALLED = [CallStarted(0, "c0", "a"), CallArguments(0, '{"x": 1}')]


def read(text: str, cuts: Sequence[int] = (), names: Sequence[str] = ("a", "b")) -> list[Piece]:
    ids = count()
    parser = ToolCallParser(names, lambda: f"c{next(ids)}")
    pieces: list[Piece] = []
    bounds = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for start, end in pairwise(bounds):
        pieces += parser.feed(text[start:end])
    return join_turns([*pieces, *parser.finish()])


def join_turns(pieces: Sequence[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if isinstance(piece, Text) and isinstance(last, Text):
            found[-1] = Text(last.text + piece.text)
        else:
            found.append(piece)
    return found


def block(body: str) -> str:
    return f"<tool_calls>\n{body}\n</tool_calls>"


def test_text_and_calls() -> None:
    calls = f'[{A}, {{"name": "b", "args": {{}}}}]'
    text = f"I look.\n\n{block(calls)}\n"
    assert read(text) == [Text("I look.\n\n"), *CALLED, CallStarted(1, "c1", "b"), CallArguments(1, "{}")]


def test_text_passes_at_once_but_for_what_may_begin_a_block() -> None:
    parser = ToolCallParser(["a"])
    assert parser.feed("Hello") == [Text("Hello")]
    assert parser.feed(" <tool_calls>") == [Text(" <tool_calls>")]
    assert parser.feed("\n") == [Text("\n")]
    assert parser.feed("<tool") == []
    assert parser.feed("s>") == [Text("<tools>")]
    assert parser.feed("\n  <tool_calls>") == [Text("\n")]
    assert parser.feed(" are") == [Text("  <tool_calls> are")]
    assert parser.feed("\n    <tool") == [Text("\n    <tool")]
    assert parser.finish() == []


@pytest.mark.parametrize(
    "body",
    [
        f"[{A}]", A, f"```json\n[{A}]\n```", f"```\n{A}\n```", '[{"name": "a", "arguments": {"x": 1}}]', '[{"name": "a", "parameters": {"x": 1}}]',
        '[{"name": "a", "args": "{\\"x\\": 1}"}]', f"\n\n [ {A} ]\n\n",
    ],
)  # fmt: skip
def test_harmless_slips_are_understood(body: str) -> None:
    assert read(block(body)) == CALLED


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_calls>[{A}]</tool_calls>",
        f"  <tool_calls>\r\n[{A}]\r\n</tool_calls>\r\n",
        f"<tool_calls>\n[{A}]",
        f"<tool_calls> {A}",
    ],
)
def test_other_layouts_and_a_missing_end_are_understood(text: str) -> None:
    assert read(text) == CALLED


def test_a_call_without_arguments() -> None:
    for body in ('[{"name": "b"}]', '[{"name": "b", "args": null}]', '[{"name": "b", "args": ""}]'):
        assert read(block(body)) == [CallStarted(0, "c0", "b"), CallArguments(0, "{}")]


def arguments_of(entry: dict[str, object], *parameters: str) -> object:
    """Gives the arguments as they are read, or the error of an invalid call."""
    parser = ToolCallParser(["f"], lambda: "id", {"f": parameters})
    first, *rest = parser.feed(block(json.dumps([entry]))) + parser.finish()
    if isinstance(first, InvalidCall):
        assert not rest
        assert json.loads(first.raw) == entry
        return first.error
    (arguments,) = rest
    assert isinstance(arguments, CallArguments)
    return json.loads(arguments.fragment)


@pytest.mark.parametrize("key", ["args", "arguments", "parameters", "params", "input", "tool_input", "kwargs"])
@pytest.mark.parametrize("parameters", [(), ("pattern", "dry_run")])
def test_arguments_are_read_under_the_keys_of_other_providers(key: str, parameters: tuple[str, ...]) -> None:
    given = {"pattern": "tmp/*.log", "dry_run": True}
    assert arguments_of({"name": "f", "id": "1", "type": "function", key: given}, *parameters) == given
    assert arguments_of({"name": "f", key: json.dumps(given)}, *parameters) == given
    assert "no JSON" in str(arguments_of({"name": "f", key: "tmp/*.log"}, *parameters))


def test_arguments_beside_the_name_are_read_where_they_can_be_nothing_else() -> None:
    assert arguments_of({"name": "f", "pattern": "x", "dry_run": True}, "pattern", "dry_run", "depth") == {
        "pattern": "x",
        "dry_run": True,
    }
    assert arguments_of({"name": "f", "input": "ls"}, "input") == {"input": "ls"}
    assert arguments_of({"name": "f", "input": {"x": 1}}, "input") == {"input": {"x": 1}}
    assert arguments_of({"name": "f", "input": {"input": "ls"}}, "input") == {"input": "ls"}
    assert arguments_of({"name": "f", "input": "a", "params": {}}, "input", "params") == {"input": "a", "params": {}}


@pytest.mark.parametrize(
    ("entry", "parameters", "error"),
    [
        ({"pattern": "x"}, (), "belong under args"),
        ({"pattern": "x"}, ("patterns",), "belong under args"),
        ({"arg": {"pattern": "x"}}, ("pattern",), "'arg'"),
        ({"Args": {"pattern": "x"}}, ("pattern",), "'Args'"),
        ({"args": {"pattern": "x"}, "dry_run": True}, ("pattern", "dry_run"), "'dry_run'"),
        ({"args": {}, "input": {"pattern": "x"}}, ("pattern",), "twice"),
        ({"pattern": "x", "dry-run": True}, ("pattern", "dry_run"), "'dry-run'"),
        ({"input": {"x": 1}}, ("input", "x"), "hold all of them"),
        ({"id": "7"}, ("id",), "'id'"),
        ({"id": "7", "email": "x"}, ("id", "email"), "the call's own"),
        ({"email": "x"}, ("name", "email"), "the call's own"),
        ({"args": ["x"]}, ("args",), "no object"),
    ],
)
def test_what_is_not_certainly_an_argument_is_not_dropped(
    entry: dict[str, object], parameters: tuple[str, ...], error: str
) -> None:
    assert error in str(arguments_of({"name": "f", **entry}, *parameters))


def test_arguments_one_object_too_deep_are_read_or_refused() -> None:
    assert arguments_of({"name": "f", "args": {"input": {"pattern": "x"}}}, "pattern") == {"pattern": "x"}
    assert arguments_of({"name": "f", "input": {"args": '{"pattern": "x"}'}}, "pattern") == {"pattern": "x"}
    assert arguments_of({"name": "f", "args": {"input": {"pattern": "x"}}}, "input") == {"input": {"pattern": "x"}}
    assert arguments_of({"name": "f", "args": {"input": {"pattern": "x"}}}) == {"input": {"pattern": "x"}}
    assert "no parameter 'kwargs'" in str(arguments_of({"name": "f", "args": {"kwargs": {"patern": "x"}}}, "pattern"))
    assert "no object" in str(arguments_of({"name": "f", "args": {"params": ["x"]}}, "pattern"))


@pytest.mark.parametrize(
    "entry",
    [
        '{"name": "a", "args": {"x": 1}, "args": {"y": 2}}',
        '{"name": "a", "args": {"x": 1, "x": 2}}',
        '{"name": "a", "args": {"x": [{"y": 1, "y": 2}]}}',
        '{"name": "a", "arguments": "{\\"x\\": 1, \\"x\\": 2}"}',
    ],
)
def test_a_key_that_is_written_twice_is_no_choice_of_ours(entry: str) -> None:
    (call,) = read(block(f"[{entry}]"))
    assert isinstance(call, InvalidCall)
    assert "written twice" in str(call.error)


def test_no_arguments_are_read_from_nothing_but_name_id_and_type() -> None:
    assert arguments_of({"name": "f", "id": "1", "type": "tool_use"}, "pattern") == {}


def test_line_breaks_in_strings_and_other_scripts() -> None:
    assert read(block('[{"name": "a", "args": {"x": "你好\nline"}}]'))[1] == CallArguments(0, '{"x": "你好\\nline"}')


def test_an_end_inside_of_a_string_is_no_end() -> None:
    body = json.dumps([{"name": "a", "args": {"x": 'say "</tool_calls>" \\'}}])
    assert read(block(body))[1] == CallArguments(0, json.dumps({"x": 'say "</tool_calls>" \\'}))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("search(x)", "no JSON array"), (f"[{A},]", "no JSON array"), ("", "no JSON array"), ("[]", "no call"), ("3", "no call"),
        ('[{"name": "a", "args": {"x": NaN}}]', "NaN"), (f"[{A}", "no JSON array"), ('["a]', "no JSON array"), ("[" * 100_000, "nested"),
        ('[{"name": "a", "args": {"x": "\\ud800"}}]', "surrogate"),
    ],
)  # fmt: skip
def test_a_malformed_block_is_an_invalid_call_with_what_was_written(body: str, error: str) -> None:
    (piece,) = read(block(body))
    assert isinstance(piece, InvalidCall)
    assert piece.raw == f"{body}\n"
    assert error in piece.error
    assert piece.name is None


@pytest.mark.parametrize(
    ("entry", "name", "error"),
    [
        ('{"args": {}}', None, "not None"), ('{"name": ["a"]}', None, "name of a tool"), ('{"name": ""}', "", "name of a tool"),
        ('{"name": "a", "args": [1]}', "a", "no object"), ('{"name": "a", "args": "nope"}', "a", "no JSON"), ('{"name": "a", "args": {}, "arguments": {}}', "a", "twice"),
        ('"a"', None, "name and args"),
    ],
)  # fmt: skip
def test_an_invalid_entry_leaves_the_others_valid(entry: str, name: str | None, error: str) -> None:
    invalid, *others = read(block(f"[{entry}, {A}]"))
    assert isinstance(invalid, InvalidCall)
    assert (invalid.index, invalid.name, json.loads(invalid.raw)) == (0, name, json.loads(entry))
    assert error in invalid.error
    assert others == [CallStarted(1, "c1", "a"), CallArguments(1, '{"x": 1}')]


def test_a_call_of_no_tool_is_one_that_the_application_answers() -> None:
    entry = '{"name": "z", "args": {"x": 1}}'
    assert read(block(f"[{entry}]")) == [CallStarted(0, "c0", "z"), CallArguments(0, '{"x": 1}')]
    (invalid,) = read(block(f"[{entry}]"), names=())
    assert isinstance(invalid, InvalidCall)
    assert "there are none" in invalid.error


@pytest.mark.parametrize(
    "text",
    [
        f"Calls look like `<tool_calls>`.\nSo: <tool_calls>\n[{A}]\n</tool_calls>",
        f"```\n{block(f'[{A}]')}\n```\n", f"~~~~xml\n```\n~~~\n{block(f'[{A}]')}\n~~~~\nend", f"    {block(f'[{A}]')}",
        "<tool_calls> is the tag.", "<tool_calls>", "<tool_calls", "<tool_calls>x\n[1]\n</tool_calls>", "a\n<tool_callsx>\n[]", "</tool_calls>",
    ],
)  # fmt: skip
def test_tags_that_are_no_call_are_text(text: str) -> None:
    assert read(text) == [Text(text)]


def test_a_block_behind_a_code_block_is_one() -> None:
    for opening in ("```py\nx = 1\n```\n", "``` a ` b\n", "````\n```\n````\n"):
        assert read(opening + block(f"[{A}]")) == [Text(opening), *CALLED]


def test_an_unclosed_block_that_is_not_complete_is_invalid() -> None:
    (piece,) = read('<tool_calls>\n[{"name": "a", "args": {"x":')
    assert isinstance(piece, InvalidCall)
    assert piece.raw == '[{"name": "a", "args": {"x":'
    assert "ends before" in piece.error


def test_text_behind_a_block_is_kept() -> None:
    assert read(block(f"[{A}]") + "\n \n") == CALLED
    assert read(block(f"[{A}]") + "\n\nNow I wait.\n") == [*CALLED, Text("\n\nNow I wait.\n")]
    assert read(block(f"[{A}]") + " " + block(f"[{A}]")) == [*CALLED, Text(" " + block(f"[{A}]"))]


def test_only_the_first_block_calls_what_follows_knew_no_results() -> None:
    *first, invalid = read(f"{block(f'[{A}]')}\n{block(f'[{A}]')}")
    assert first == CALLED
    assert isinstance(invalid, InvalidCall)
    assert invalid.raw == f"[{A}]\n"
    assert "one block" in invalid.error


def test_each_message_of_a_reply_begins_a_line() -> None:
    parser = ToolCallParser(["a"], lambda: "id")
    assert parser.feed("```\nI look first.") + parser.finish() == [Text("```\nI look first.")]
    assert parser.feed(block(f"[{A}]")) == [CallStarted(0, "id", "a"), CallArguments(0, '{"x": 1}')]
    assert parser.feed("\n") + parser.finish() == []
    (invalid,) = parser.feed(f"<tool_calls>{A}") + parser.finish()
    assert isinstance(invalid, InvalidCall)
    assert (invalid.index, invalid.raw) == (1, A)


def test_a_lonely_quotation_mark_does_not_swallow_the_rest() -> None:
    broken = '[{"name": "a" "}]'
    invalid, text = read(f"{block(broken)}\nThe rest.")
    assert isinstance(invalid, InvalidCall)
    assert invalid.raw == f"{broken}\n"
    assert text == Text("\nThe rest.")
    assert len(read('<tool_calls>\n"</tool_calls>\n' * 1500)) == 750  # Two lonely ones make a pair.


PARTS = st.sampled_from(
    [
        "<tool_calls>", "</tool_calls>", "\n", "\r\n", " ", "   ", "    ", "```", "~~~", "json", A, f"[{A}]", "[", "]", "{", '"', "\\", ",", "<tool", "</tool_",
        '{"name": "b"}', '{"name": "z", "args": {"x": "</tool_calls>"}}', "text", "<", "ü", "`",
    ]
)  # fmt: skip


@given(st.lists(PARTS | st.text(max_size=3), max_size=25).map("".join), st.lists(st.integers(0, 500), max_size=20))
@example(f"x\n{block(f'[{A}]')}\r\n", [3, 4, 15, 16, 50])
def test_chunking_never_changes_the_result(text: str, cuts: list[int]) -> None:
    assert read(text, cuts) == read(text)
    assert read(text, range(len(text))) == read(text)


@given(st.lists(PARTS | st.text(max_size=3), max_size=25).map("".join))
def test_no_text_is_lost(text: str) -> None:
    """An invalid call comes out as it is: all that may be missing are tags, white space and JSON's own spelling."""
    pieces = read(text, names=())
    left = [
        piece.text if isinstance(piece, Text) else piece.raw
        for piece in pieces
        if isinstance(piece, Text | InvalidCall)
    ]
    assert len(left) == len(pieces)

    def letters(string: str) -> str:
        bare = string.replace("<tool_calls>", "").replace("</tool_calls>", "")
        return "".join(sorted(char for char in bare if char.isalpha()))

    assert set(letters(text)) <= set(letters("".join(left))) | {"j", "s", "o", "n"}
    if not any(isinstance(piece, InvalidCall) for piece in pieces):
        assert "".join(left) == text


def test_ids_are_new_and_in_langchains_form() -> None:
    assert new_call_id() != new_call_id()
    assert new_call_id().startswith("call_")
    (started, _) = ToolCallParser(["a"]).feed(block(f"[{A}]"))
    assert isinstance(started, CallStarted)
    assert started.id.startswith("call_")


@pytest.mark.parametrize("raw", ['{"name": "rm", "args": {', "{}", "x", '[{"a": 1}]', ""])
def test_langchain_does_not_complete_an_invalid_call_to_a_valid_one(raw: str) -> None:
    invalid = InvalidCall(0, "c0", None, raw, "broken")
    chunk = {"type": "tool_call_chunk", "index": 0, "id": "c0", "name": None, "args": invalid.chunk_args}
    message = AIMessageChunk(content="", tool_call_chunks=[chunk], chunk_position="last")
    assert message.tool_calls == []
    assert json.loads(message.invalid_tool_calls[0]["args"]) == raw


def test_a_line_of_blanks_without_end_is_not_held_back_for_ever():
    parser = ToolCallParser(["add"])
    pieces = [piece for text in ["<tool_calls>", *[" "] * 3000, "\n"] for piece in parser.feed(text)]
    pieces += parser.finish()
    assert "".join(piece.text for piece in pieces if isinstance(piece, Text)) == "<tool_calls>" + " " * 3000 + "\n"
