from __future__ import annotations

import asyncio

import pytest

from langchain_mix.emulator.agents.base import Ask
from langchain_mix.emulator.faults import Faults
from langchain_mix.emulator.permissions import Notice, Questions
from langchain_mix.emulator.streams import Connection, Hub

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


async def asked(hub, session):
    connection = Connection(session, None, Faults())
    hub.join(connection)
    return connection


async def test_a_question_goes_to_its_session_only_and_its_first_answer_counts():
    hub = Hub()
    mine, other = await asked(hub, "s"), await asked(hub, "t")
    questions = Questions(hub, permission_timeout=10)
    waiting = asyncio.create_task(questions.permitted("s", "Bash", ASK))
    question = (await mine.next()).data["id"]
    questions.answer("unknown", granted=True)
    questions.answer(question, granted=True)
    questions.answer(question, granted=False)
    assert await waiting is True
    assert not other._queue
    questions.answer(question, granted=False)


async def test_no_answer_is_a_denial():
    assert await Questions(Hub(), permission_timeout=0.01).permitted("s", "Bash", ASK) is False


async def test_a_cancelled_question_is_forgotten():
    hub = Hub()
    connection = await asked(hub, "s")
    questions = Questions(hub, permission_timeout=10)
    waiting = asyncio.create_task(questions.noticed("s", Notice.parse({})))
    question = (await connection.next()).data["id"]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert questions.respond(question, {"type": "acknowledge"}) is False
