from __future__ import annotations

import asyncio

import pytest

from langchain_mix.emulator.agents.base import Ask
from langchain_mix.emulator.faults import Faults
from langchain_mix.emulator.permissions import Notice, Prompts
from langchain_mix.emulator.streams import Connection, EventBroker

ASK = Ask(description="d", action="a", path="/", params={})


def test_notices_take_both_spellings():
    notice = Notice.parse({"notification_type": "error", "title": "T", "responseType": "choice", "choices": ["a", 1]})
    assert (notice.kind, notice.response_type, notice.choices, notice.timeout) == ("error", "choice", ("a", "1"), 60)
    assert Notice.parse({"timeout": 0}).timeout == 60


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"type": "loud"}, "notification type"),
        ({"responseType": "poem"}, "response type"),
        ({"responseType": "choice"}, "choices are required"),
        ({"choices": "a"}, "choices"),
        ({"timeout": 301}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_bad_notices(arguments, words):
    with pytest.raises(ValueError, match=words):
        Notice.parse(arguments)


async def asked(broker, session):
    connection = Connection(session, None, Faults())
    broker.join(connection)
    return connection


async def test_a_question_goes_to_its_session_only_and_its_first_answer_counts():
    broker = EventBroker()
    mine, other = await asked(broker, "s"), await asked(broker, "t")
    prompts = Prompts(broker, permission_timeout=10)
    waiting = asyncio.create_task(prompts.ask_permission("s", "Bash", ASK))
    question = (await mine.next()).data["id"]
    prompts.answer("unknown", granted=True)
    prompts.answer(question, granted=True)
    prompts.answer(question, granted=False)
    assert await waiting is True
    assert not other._queue
    prompts.answer(question, granted=False)


async def test_no_answer_is_a_denial():
    assert await Prompts(EventBroker(), permission_timeout=0.01).ask_permission("s", "Bash", ASK) is False


async def test_a_cancelled_question_is_forgotten():
    broker = EventBroker()
    connection = await asked(broker, "s")
    prompts = Prompts(broker, permission_timeout=10)
    waiting = asyncio.create_task(prompts.notify("s", Notice.parse({})))
    question = (await connection.next()).data["id"]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert prompts.respond(question, {"type": "acknowledge"}) is False
