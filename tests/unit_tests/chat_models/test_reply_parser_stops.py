from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_mix.chat_models.parameters import stop_texts
from langchain_mix.chat_models.reply_parser import StopCutter
from langchain_mix.errors import MixInputError


def cut(text: str, stops: list[str], at: list[int]) -> tuple[str, str | None, list[str]]:
    cutter, shown, before = StopCutter(stops), [], 0
    for end in [*sorted(at), len(text)]:
        piece, stopped = cutter.feed(text[before:end])
        before = end
        shown.append(piece)
        if stopped:
            break
    else:
        shown.append(cutter.flush())
    return "".join(shown), cutter.stopped_by, shown


def plain(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The same by looking at every beginning of the text: the first that ends with a sequence."""
    for end in range(1, len(text) + 1):
        ending = [s for s in stops if text[:end].endswith(s)]
        if ending:
            longest = max(ending, key=len)
            return text[: end - len(longest)], longest
    return text, None


letters = st.text("abc", max_size=24)


@given(letters, st.lists(st.text("abc", min_size=1, max_size=4), max_size=3), st.lists(st.integers(0, 24), max_size=24))
@example("xabcd", ["abcd", "bc"], [3, 4])
@example("aab", ["ab"], [1, 2])
@example("abcabd", ["abd"], [1, 2, 3, 4, 5])
def test_the_cut_does_not_depend_on_the_pieces(text, stops, at):
    shown, stopped_by, _ = cut(text, stops, [a for a in at if a <= len(text)])
    assert (shown, stopped_by) == plain(text, stops)


@given(letters, st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3))
def test_no_more_is_held_back_than_may_become_a_sequence(text, stops):
    cutter, shown = StopCutter(stops), ""
    for end, letter in enumerate(text, 1):
        piece, stopped = cutter.feed(letter)
        shown += piece
        if stopped:
            return
        held = text[len(shown) : end]
        assert not held or any(stop.startswith(held) for stop in stops)
    assert shown + cutter.flush() == text


def test_text_that_cannot_be_a_sequence_is_shown_at_once():
    cutter = StopCutter(["\nUser:"])
    assert cutter.feed("Hello") == ("Hello", False)
    assert cutter.feed(" there\nUs") == (" there", False)
    assert cutter.feed("age") == ("\nUsage", False)
    assert cutter.feed("\nUser") == ("", False)
    assert cutter.feed(": hi") == ("", True)
    assert cutter.stopped_by == "\nUser:"
    assert cutter.feed("more") == ("", True)
    assert cutter.flush() == ""


def test_without_sequences_everything_passes():
    cutter = StopCutter(())
    assert cutter.feed("abc") == ("abc", False)
    assert cutter.flush() == ""


def test_sequences_do_not_reach_from_one_message_to_the_next():
    cutter = StopCutter(["ab"])
    assert cutter.feed("xa") == ("x", False)
    assert cutter.flush() == "a"
    assert cutter.feed("b") == ("b", False)


def test_stop_is_read_in_all_its_forms():
    assert stop_texts(None) == ()
    assert stop_texts([]) == ()
    assert stop_texts("x") == ("x",)
    assert stop_texts(["x", "y", "x"]) == ("x", "y")
    for wrong in ("", [""], [None], [1]):
        with pytest.raises(MixInputError):
            stop_texts(wrong)
