"""The pace of an agent that `serve` slows down."""

from __future__ import annotations

import sys
import time

import pytest

from langchain_mix.cli.serve import PacedAgent
from langchain_mix.emulator.agents.base import Text, Thinking, ToolUse
from tests import commands

CALL = ToolUse(name="Grep", input={})


class Agent:
    costs_nothing = True
    closed = False

    async def reply(self, _request):
        try:
            yield Thinking("let me see")
            yield CALL
            yield Text("It is  hot.\n")
        finally:
            self.closed = True


async def test_text_comes_word_by_word_and_nothing_of_it_is_lost():
    agent = Agent()
    began = time.monotonic()
    pieces = [piece async for piece in PacedAgent(agent, 50).reply(None)]
    assert time.monotonic() - began >= 6 / 50
    assert pieces == [
        Thinking("let "),
        Thinking("me "),
        Thinking("see"),
        CALL,
        Text("It "),
        Text("is  "),
        Text("hot.\n"),
    ]
    assert agent.closed


async def test_a_cancelled_reply_ends_the_agents_own():
    agent = Agent()
    reply = PacedAgent(agent, 1000).reply(None)
    await anext(reply)
    await reply.aclose()
    assert agent.closed


def test_an_agent_that_costs_nothing_still_does():
    assert PacedAgent(Agent(), 1).costs_nothing
    assert not PacedAgent(object(), 1).costs_nothing


@pytest.mark.parametrize(("options", "paced"), [(["--pace", "5"], True), ([], False)])
def test_the_option_slows_the_agent_down(monkeypatch, options, paced):
    made = []

    def emulator(**given):
        made.append(given["agent"])
        raise OSError("stop here")

    monkeypatch.setattr("langchain_mix.cli.serve.MixEmulator", emulator)
    assert commands.run(["serve", "--port", "0", *options]).code == 1
    assert [isinstance(agent, PacedAgent) for agent in made] == [paced]
    assert not paced or made[0]._seconds == 0.2


def test_a_missing_package_of_an_agent_is_an_error_without_a_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    ran = commands.run(["serve", "--port", "0", "--agent", "model:openai:gpt-4o"])
    assert ran.code == 2
    assert "Error: An agent 'model:…' needs LangChain" in ran.err
