"""Many calls at once through one ChatMix: every reply complete and its own, and no more connections than calls."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import Gate, Script, say, turn
from langchain_mix.emulator.agents.base import Request, Text, Wait
from langchain_mix.errors import MixSessionBusy
from langchain_mix.pointer import read_pointer

pytestmark = pytest.mark.timeout(60)

APIS = ["0.5", "0.6", "0.7", "0.8"]


class Echo:
    """Answers with what it was asked, so that replies that got mixed up show."""

    def __init__(self, gate: Gate | None = None) -> None:
        self.gate = gate

    async def reply(self, request: Request) -> Any:
        asked = request.lines[-1].text
        yield Text("You said ")
        if self.gate is not None:
            await self.gate.passed()
        for word in asked.split(" "):
            yield Text(f"{word} ")


def said(text: str) -> str:
    return f"You said {text} "


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("way", ["batch", "abatch", "batch_as_completed"])
@pytest.mark.parametrize("count", [10, pytest.param(50, marks=pytest.mark.exhaustive)])
async def test_a_batch(api, way, count):
    texts = [f"message number {n}" for n in range(count)]
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        if way == "batch":
            replies = await asyncio.to_thread(model.batch, texts)
        elif way == "abatch":
            replies = await model.abatch(texts)
        else:
            replies = [r for _, r in sorted(await asyncio.to_thread(lambda: list(model.batch_as_completed(texts))))]
        assert [r.text for r in replies] == [said(t) for t in texts]
        sessions = {read_pointer(r.response_metadata).session_id for r in replies}
        assert len(sessions) == len(texts)
        for reply, text in zip(replies, texts, strict=True):
            rows = server.state.rows.messages(read_pointer(reply.response_metadata).session_id)
            assert [r["userInput"] for r in rows if r["role"] == "user"] == [text]


@pytest.mark.parametrize("way", ["batch", "abatch"])
async def test_a_batch_with_failures_has_the_other_replies(way):
    with MixEmulator(api="0.8", agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        texts = ["one", "", "three"]
        if way == "batch":
            got = await asyncio.to_thread(lambda: model.batch(texts, return_exceptions=True))
        else:
            got = await model.abatch(texts, return_exceptions=True)
        assert [got[0].text, got[2].text] == [said("one"), said("three")]
        assert isinstance(got[1], ValueError)


async def test_max_concurrency_is_kept():
    gate = Gate()
    with MixEmulator(api="0.8", agent=Echo(gate)) as server:
        model = ChatMix(server_url=server.url)
        task = asyncio.create_task(model.abatch([f"n {n}" for n in range(12)], {"max_concurrency": 3}))
        await asyncio.to_thread(server.wait_until, lambda: server.turns == 3)
        assert server.streams == 3
        gate.open()
        assert [r.text for r in await task] == [said(f"n {n}") for n in range(12)]
        assert server.connections <= 2 * 3


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("count", [20, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (100, 300))])
async def test_hundreds_of_streams_at_once(count):
    # The server shares this process; `python -m tests.benchmarks` runs 1,000 against one of its own.
    gate = Gate()
    with MixEmulator(api="0.8", agent=Echo(gate)) as server:
        model = ChatMix(server_url=server.url)

        async def one(number: int) -> str:
            return "".join([chunk.text async for chunk in model.astream(f"message {number} of many")])

        calls: list[asyncio.Task[str]] = []
        # In waves: the server shares this process, and a connection must be made within seconds.
        for wave in range(20, count + 1, 20):
            calls += [asyncio.create_task(one(n)) for n in range(wave - 20, wave)]
            await asyncio.to_thread(server.wait_until, lambda wave=wave: server.turns == wave, 30)
        assert server.streams == count
        assert server.connections <= count + 200, "a stream each, and the pool of all other requests"
        gate.open()
        assert await asyncio.gather(*calls) == [said(f"message {n} of many") for n in range(count)]
        assert len([r for r in server.requests if r.path.endswith("/messages") and r.method == "POST"]) == count
        await asyncio.to_thread(server.wait_until, lambda: server.streams == 0)


def test_two_event_loops_share_a_model():
    with MixEmulator(api="0.8", agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        both = threading.Barrier(2)

        async def talk(name: str) -> list[str]:
            got = []
            for number in range(5):
                both.wait(10)
                got.append((await model.ainvoke(f"{name} {number}")).text)
            await model.client.aclose()
            return got

        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(asyncio.run, talk(name)) for name in ("a", "b")]
            for name, future in zip("ab", futures, strict=True):
                assert future.result(20) == [said(f"{name} {n}") for n in range(5)]


def test_one_loop_after_the_other():
    with MixEmulator(api="0.8", agent=Echo()) as server:
        model = ChatMix(server_url=server.url)

        async def talk(text: str) -> str:
            reply = await model.ainvoke(text)
            await model.client.aclose()
            return reply.text

        assert [asyncio.run(talk(f"n {n}")) for n in range(3)] == [said(f"n {n}") for n in range(3)]
        assert model.invoke("and sync").text == said("and sync")


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("count", [10, pytest.param(24, marks=pytest.mark.exhaustive)])
def test_threads_share_a_model(api, count):
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)

        def talk(number: int) -> tuple[str, str]:
            text = f"thread {number}"
            streamed = "".join(chunk.text for chunk in model.stream(text))
            return streamed, model.invoke(text).text

        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(talk, range(count)))
        assert got == [(said(f"thread {n}"),) * 2 for n in range(count)]


@pytest.mark.parametrize("count", [10, pytest.param(20, marks=pytest.mark.exhaustive)])
async def test_sync_and_async_calls_share_a_model(count):
    with MixEmulator(api="0.8", agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        calls = [model.ainvoke(f"n {n}") if n % 2 else asyncio.to_thread(model.invoke, f"n {n}") for n in range(count)]
        assert [r.text for r in await asyncio.gather(*calls)] == [said(f"n {n}") for n in range(count)]


@pytest.mark.parametrize("strategy", ["reject", "enqueue"])
async def test_two_calls_of_one_session(strategy):
    gate = Gate()
    agent = Script(turn([*say("First. "), Wait(gate)], ""), "Second.")
    with MixEmulator(api="0.8", agent=agent) as server:
        session = server.state.sessions.create({"title": "t", "browserMode": "local-browser-service"})["id"]
        model = ChatMix(server_url=server.url, session_id=session, multitask_strategy=strategy)
        first = asyncio.create_task(model.ainvoke("one"))
        await asyncio.to_thread(gate.reached.wait, 10)
        second = asyncio.create_task(model.ainvoke("two"))
        if strategy == "reject":
            with pytest.raises(MixSessionBusy) as caught:
                await second
            assert caught.value.acted == "no"
            assert caught.value.is_retryable
        gate.open()
        assert (await first).text == "First. "
        if strategy == "enqueue":
            assert (await second).text == "Second."
        users = [r["userInput"] for r in server.state.rows.messages(session) if r["role"] == "user"]
        assert users == (["one", "two"] if strategy == "enqueue" else ["one"])
