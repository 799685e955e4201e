from __future__ import annotations

from dataclasses import replace

import pytest

from langchain_mix.emulator.agents import Fail, Line, Request, Script, Text, Thinking, Usage, say, think, turn, use
from langchain_mix.emulator.agents.scripted import DEFAULT_TEXT, position


async def test_plays_turn_after_turn_with_tools(desk) -> None:
    script = Script(
        turn([think("hm"), say("Let me look. "), use("Bash", {"command": "ls"}, result="a.txt")], "One file."),
        "second",
    )
    assert await desk.say(script, "list") == "One file."
    assert [line.role for line in desk.lines] == ["user", "assistant", "tool", "assistant"]
    assert desk.lines[2].results[0].output == "a.txt"
    assert await desk.say(script, "more") == "second"
    assert await desk.say(script, "more") == DEFAULT_TEXT
    assert len(script.requests) == 4
    assert script.requests[0].lines[-1].text == "list"


async def test_loop_starts_again(desk) -> None:
    script = Script("a", "b", loop=True)
    assert [await desk.say(script, "x") for _ in range(5)] == ["a", "b", "a", "b", "a"]


async def test_a_turn_without_a_last_word_gets_the_default(desk) -> None:
    assert await desk.say(Script(turn(use("Bash", result="x"))), "x") == DEFAULT_TEXT


async def test_the_cursor_follows_rewind_and_fork(desk) -> None:
    script = Script("one", turn([use("Bash", result="x")], "two"), "three")
    for _ in range(3):
        await desk.say(script, "go")
    del desk.lines[2:]  # Rewound to the first answer.
    assert await desk.say(script, "again") == "two"
    fork = replace(desk, lines=desk.lines[:2])
    assert await fork.say(Script("one", turn([use("Bash", result="x")], "two"), "three"), "branch") == "two"
    assert await desk.say(script, "on") == "three"


async def test_sub_agents_have_turns_of_their_own(desk) -> None:
    script = Script("main", subagent=["sub one"])
    assert await desk.say(script, "do", is_subagent=True) == "sub one"
    by_prompt = Script("main", subagent={"red": ["R"], "blue": [turn([use("Bash", result="x")], "B")]})
    desk.lines = []
    assert await desk.say(by_prompt, "paint it blue", is_subagent=True) == "B"
    desk.lines = []
    assert await desk.say(by_prompt, "paint it green", is_subagent=True) == DEFAULT_TEXT


def test_text_is_cut_in_ten_bytes_and_no_character_is_lost() -> None:
    text = "Grüße, 世界! 👋🏽 this is a test"
    chunks = [piece.text for piece in say(text)]
    assert "".join(chunks) == text
    assert all(len(chunk.encode()) <= 10 for chunk in chunks)
    assert [piece.text for piece in say("abcdef", chunk=4)] == ["abcd", "ef"]
    assert "".join(piece.text for piece in say("👋", chunk=1)) == "👋"
    with pytest.raises(ValueError, match="chunk"):
        say("x", chunk=0)


def test_turns_take_pieces_texts_and_mixtures() -> None:
    made = turn([think("t"), "ab", Usage(input_tokens=1)], Fail("no"), say("x"))
    assert made == (
        (Thinking("t"), Text("ab"), Usage(input_tokens=1)),
        (Fail("no"),),
        (Text("x"),),
    )


def test_position_counts_user_rows_and_replies_since() -> None:
    user, agent, tool = Line("user", "u"), Line("assistant", "a"), Line("tool")
    assert position(()) == (0, 0)
    assert position((user,)) == (0, 0)
    assert position((user, agent, tool)) == (0, 1)
    assert position((user, agent, tool, agent, user, agent)) == (1, 1)


async def test_an_empty_script_answers_too(request_: Request) -> None:
    pieces = [p async for p in Script(loop=True).reply(replace(request_, lines=(Line("user", "x"),)))]
    assert "".join(p.text for p in pieces) == DEFAULT_TEXT
