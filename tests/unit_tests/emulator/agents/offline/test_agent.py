from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.emulator.agents import Line, OfflineAgent, Request, Text, Thinking, ToolUse, Usage
from langchain_mix.emulator.agents.offline.agent import word_pieces

AGENT = OfflineAgent()


async def test_thinks_first_and_streams_words(desk) -> None:
    answer = await desk.say(AGENT, "What's the capital of France?")
    kinds = [type(piece) for piece in desk.pieces]
    assert kinds.count(Thinking) > 3
    assert kinds.count(Text) > 3
    assert kinds == sorted(kinds, key=[Thinking, Text, Usage].index)
    usage = desk.pieces[-1]
    assert usage.output_tokens == -(-(len(answer) + len("".join(desk.thinking))) // 4)
    assert usage.input_tokens > 0
    assert usage.model == "offline"


async def test_thinking_can_be_off(desk) -> None:
    await desk.say(AGENT, "hello", thinking_level="off")
    assert desk.thinking == []


async def test_says_so_when_no_strategy_fits(desk) -> None:
    answer = await desk.say(AGENT, "Blorp the fnord sideways.")
    assert "> Blorp the fnord sideways." in answer
    assert "offline agent" in answer


async def test_no_tools_no_calls(desk) -> None:
    for text in (
        "What do the files say?",
        "Write a to b.txt",
        "total of sales",
        "todo: a",
        "run ls",
        "Ask a subagent to x",
    ):
        await desk.say(AGENT, text, tools=())
        assert desk.used == []


async def test_the_same_conversation_gets_the_same_answer(request_: Request) -> None:
    request = replace(request_, lines=(Line("user", "Tell me about Python"),))
    first = [p async for p in AGENT.reply(request)]
    assert first == [p async for p in OfflineAgent().reply(request)]


async def test_strategies_are_a_seam(desk) -> None:
    from langchain_mix.emulator.agents.offline.conversation import Say

    agent = OfflineAgent([lambda talk: Say("mine") if "me" in talk.ask else None])
    assert await desk.say(agent, "me") == "mine"
    assert "I have no answer" in await desk.say(agent, "other")


async def test_odd_requests_are_answered(request_: Request) -> None:
    hostile = [
        "",
        " ",
        "?",
        "\n\n",
        "(" * 3000,
        "9" * 3000 + "+1",
        "write " * 700 + "to a.txt",
        "<system-reminder>" * 3000,
        "my " * 1300 + "?",
        "\ud83d",
        "/x",
        "Q3 " * 900,
    ]
    for text in hostile:
        found = [p async for p in AGENT.reply(replace(request_, lines=(Line("user", text),)))]
        assert any(isinstance(p, Text | ToolUse) for p in found), text[:20]
    assert [p async for p in AGENT.reply(request_)]


@given(st.text())
def test_pieces_lose_nothing(text: str) -> None:
    assert "".join(word_pieces(text)) == text
    assert all(word_pieces(text))
