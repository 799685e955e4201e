"""Giving up a call: the server gets exactly one cancel, nothing runs on, and what was said stays reachable."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import aclosing, closing
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import Gate, HttpError, Script, say, turn, use
from langchain_mix.emulator.agents.base import Wait
from langchain_mix.errors import MixAgentError, MixDefaultError, MixTurnCancelled, MixTurnTimeout
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.api import ALL
from tests.in_turn import in_turn

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]

APIS = [str(v) for v in ALL]
FEW = ["0.5", "0.6", "0.8"]
SAID = "Let me look. "


def endless(*, in_tool: bool = False) -> Script:
    """A first turn that never ends by itself, and a second that does."""
    held = use("Grep", result="41", id="call", until=Gate()) if in_tool else Wait(Gate())
    return Script(turn([*say(SAID), held], "Never said."), "Well again.")


class Ends(BaseCallbackHandler):
    """Sees how the runs of models and tools end, and what was there by then."""

    run_inline = True  # In the loop's own thread, so that a cancelled task is never cancelled inside of a handler.

    def __init__(self) -> None:
        self.open: set[Any] = set()
        self.tools: set[Any] = set()
        self.errors: list[BaseException] = []
        self.partial = ""
        self.said = threading.Event()
        self.running = threading.Event()

    def on_chat_model_start(self, serialized, messages, *, run_id, **kwargs):
        self.open.add(run_id)

    def on_tool_start(self, serialized, input_str, *, run_id, **kwargs):
        self.tools.add(run_id)
        self.running.set()

    def on_llm_new_token(self, token, *, chunk=None, **kwargs):
        if chunk is not None and chunk.message.text.endswith("k. "):
            self.said.set()

    def on_llm_end(self, response, *, run_id, **kwargs):
        self.open.remove(run_id)

    def on_tool_end(self, output, *, run_id, **kwargs):
        self.tools.remove(run_id)

    def on_tool_error(self, error, *, run_id, **kwargs):
        self.tools.remove(run_id)

    def on_llm_error(self, error, *, run_id, response=None, **kwargs):
        self.open.remove(run_id)
        self.errors.append(error)
        if response is not None and response.generations and response.generations[0]:
            self.partial = response.generations[0][0].message.text


def cancels(server: MixEmulator) -> list[int]:
    return [r.status for r in server.requests if r.path.endswith("/cancel")]


def users(server: MixEmulator) -> list[str]:
    return [
        row["userInput"]
        for session in server.state.sessions.listing(include_subagents=True)
        for row in server.state.rows.messages(session["id"])
        if row["role"] == "user"
    ]


def cancelled_once(server: MixEmulator, text: str = "Go") -> None:
    """The server got one cancel, runs nothing, holds one message, and answers the next call in the same session."""
    server.wait_until(lambda: bool(cancels(server)))
    server.wait_idle()
    server.wait_until(lambda: server.streams == 0)
    assert cancels(server) == [200]
    assert users(server) == [text]
    (session,) = server.state.sessions.listing(include_subagents=True)
    again = ChatMix(server_url=server.url, session_id=session["id"]).invoke("And now?")
    assert again.text == "Well again."
    assert len(cancels(server)) == 1


# Tasks


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("way", ["ainvoke", "astream", "chain", "abatch"])
async def test_a_cancelled_task(api, way):
    with MixEmulator(api=api, agent=endless()) as server:
        seen = Ends()
        model = ChatMix(server_url=server.url, callbacks=[seen])

        async def call() -> None:
            if way == "ainvoke":
                await model.ainvoke("Go", stream=True)
            elif way == "abatch":
                await model.abatch(["Go"], stream=True)
            else:
                async for _ in (model if way == "astream" else model | StrOutputParser()).astream("Go"):
                    pass

        task = asyncio.create_task(call())
        await asyncio.to_thread(seen.said.wait, 10)
        task.cancel("mine")
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_until, lambda: bool(cancels(server)))
        if way != "chain":  # LangChain's chains leave the generators inside them to the collector.
            assert asyncio.all_tasks() == {asyncio.current_task()}
        if way == "astream":  # LangChain notifies nobody of a cancelled `ainvoke`.
            assert seen.open == set()
            assert [type(e) for e in seen.errors] == [asyncio.CancelledError]
            assert seen.partial == SAID
        await asyncio.to_thread(cancelled_once, server)


@pytest.mark.parametrize("api", FEW)
async def test_a_task_cancelled_while_a_tool_runs(api):
    with MixEmulator(api=api, agent=endless(in_tool=True)) as server:
        seen = Ends()
        task = asyncio.create_task(ChatMix(server_url=server.url, callbacks=[seen]).ainvoke("Go"))
        await asyncio.to_thread(seen.running.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen.tools == set()
        await asyncio.to_thread(cancelled_once, server)


@pytest.mark.parametrize("api", FEW)
async def test_a_timeout_of_asyncio(api):
    with MixEmulator(api=api, agent=endless()) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await ChatMix(server_url=server.url).ainvoke("Go")
        await asyncio.to_thread(cancelled_once, server)


async def test_one_of_a_batch_fails_and_the_others_are_given_up():
    gate = Gate()
    agent = Script(turn([*say(SAID), Wait(gate)]), loop=True)
    with MixEmulator(api="0.8", agent=agent) as server:
        model = ChatMix(server_url=server.url)
        task = asyncio.create_task(model.abatch(["A", "B", "C"]))
        await asyncio.to_thread(server.wait_until, lambda: server.turns == 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_idle)
        assert cancels(server) == [200] * 3
        gate.open()


# Generators that are left


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("way", ["stream", "chain", "lambda", "v3"])
def test_leaving_a_synchronous_loop(api, way):
    with MixEmulator(api=api, agent=endless()) as server:
        seen = Ends()
        model = ChatMix(server_url=server.url, callbacks=[seen])
        prompt = ChatPromptTemplate.from_messages([("human", "{x}")])
        if way == "v3":
            stream = model.stream_events("Go", version="v3")
            events = iter(stream)
            next(event for event in events if event["event"] == "content-block-delta")
            del stream, events
            gc.collect()  # LangChain: this stream cannot be closed, and is part of a cycle.
        else:
            chains = {"stream": model, "chain": prompt | model, "lambda": RunnableLambda(lambda x: model)}
            with closing(chains[way].stream({"x": "Go"} if way == "chain" else "Go")) as chunks:
                next(chunks)
        cancelled_once(server)
        if way != "v3":
            assert seen.open == set()
            assert SAID.startswith(seen.partial)
            assert seen.partial


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("way", ["astream", "chain", "v2", "v3"])
async def test_leaving_an_asynchronous_loop(api, way):
    with MixEmulator(api=api, agent=endless()) as server:
        seen = Ends()
        model = ChatMix(server_url=server.url, callbacks=[seen])
        if way == "v3":
            stream = await model.astream_events("Go", version="v3")
            async for event in stream:
                if event["event"] == "content-block-delta":
                    break
            await stream.aclose()
        elif way == "v2":
            async with aclosing(model.astream_events("Go", version="v2")) as events:
                async for event in events:
                    if event["event"] == "on_chat_model_stream":
                        break
        else:
            chain = model if way == "astream" else model | StrOutputParser()
            async with aclosing(chain.astream("Go")) as chunks:
                await anext(chunks)
        await asyncio.to_thread(cancelled_once, server)
        if way in {"astream", "chain"}:
            assert seen.open == set()
            assert SAID.startswith(seen.partial)
            assert seen.partial


@pytest.mark.parametrize("api", FEW)
def test_a_dropped_stream_ends_too(api):
    with MixEmulator(api=api, agent=endless()) as server:
        chunks = ChatMix(server_url=server.url).stream("Go")
        next(chunks)
        del chunks
        cancelled_once(server)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_keyboard_interrupt_while_the_server_is_silent(ctrl_c, api, way):
    with MixEmulator(api=api, agent=endless()) as server:
        seen = Ends()
        model = ChatMix(server_url=server.url, callbacks=[seen])
        ctrl_c(seen.said)
        with pytest.raises(KeyboardInterrupt):
            model.invoke("Go", stream=True) if way == "invoke" else list(model.stream("Go"))
        assert seen.open == set()
        if way == "stream":
            assert seen.partial == SAID
        cancelled_once(server)


# Limits


CALLS = ["invoke", "stream", "ainvoke", "astream"]


async def calls(model: ChatMix, text: str, **kwargs: Any) -> Any:
    """The call, in all four ways."""
    yield lambda: model.invoke(text, **kwargs)
    yield lambda: list(model.stream(text, **kwargs))
    yield lambda: model.ainvoke(text, **kwargs)

    async def astream() -> list[Any]:
        return [chunk async for chunk in model.astream(text, **kwargs)]

    yield astream


async def outcome(call: Any) -> Any:
    got = await asyncio.to_thread(call)
    return await got if asyncio.iscoroutine(got) else got


@pytest.mark.parametrize("scenario", in_turn(APIS, CALLS, ["field", "argument"]))
async def test_a_timeout_cancels(scenario):
    api, way, by = scenario
    field, argument = ({"timeout": 1.0}, {}) if by == "field" else ({}, {"timeout": 1.0})
    with MixEmulator(api=api, agent=Script(turn([*say(SAID), Wait(Gate())]), loop=True)) as server:
        ways = [call async for call in calls(ChatMix(server_url=server.url, **field), "Go", **argument)]
        with pytest.raises(MixTurnTimeout) as caught:
            await outcome(ways[CALLS.index(way)])
        assert caught.value.turn.full_text == SAID
        (session,) = server.state.sessions.listing(include_subagents=True)
        assert caught.value.turn.session_id == session["id"]
        assert caught.value.acted == "yes"
        assert not caught.value.is_retryable
        await asyncio.to_thread(server.wait_idle)
        assert cancels(server) == [200]
        assert len(users(server)) == 1


@pytest.mark.parametrize("api", ["0.8", "next"])
async def test_max_steps_ends_a_turn(api):
    looks = [[*say("Step. "), use("Grep", {"pattern": "x"}, result="r")] for _ in range(5)]
    with MixEmulator(api=api, agent=Script(turn(*looks, "End"), loop=True)) as server:
        async for call in calls(ChatMix(server_url=server.url, max_steps=2), "Go"):
            with pytest.raises(MixAgentError, match="maximum iteration limit") as caught:
                await outcome(call)
            assert caught.value.turn.full_text == "Step. Step. "
            assert not caught.value.is_retryable
            server.wait_idle()
            assert cancels(server) == []


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8"])
async def test_max_cost_cancels(api):
    from langchain_mix.emulator.agents.base import Usage

    spend = Usage(input_tokens=1, output_tokens=1, cost=0.5)
    steps = [[*say("Step. "), use("Grep", {"pattern": "x"}, result="r"), spend] for _ in range(3)]
    agent = Script(turn(*steps, [*say("Never said."), Wait(Gate())]), loop=True)
    with MixEmulator(api=api, agent=agent) as server:
        done = 0
        async for call in calls(ChatMix(server_url=server.url, max_cost=0.8), "Go"):
            with pytest.raises(MixTurnCancelled, match="max_cost") as caught:
                await outcome(call)
            done += 1
            assert caught.value.turn.full_text.startswith("Step. ")
            assert not caught.value.is_retryable
            await asyncio.to_thread(server.wait_idle)
            assert cancels(server) == [200] * done
            assert len(users(server)) == done


@pytest.mark.parametrize("api", ["0.7", "0.8"])
async def test_a_cost_that_cannot_be_told_ends_the_turn_and_tells_what_there_is(api):
    agent = Script(turn([*say("Step. "), use("Grep", {"pattern": "x"}, result="r")], [Wait(Gate())]), loop=True)
    with MixEmulator(api=api, agent=agent) as server:
        done = 0
        async for call in calls(ChatMix(server_url=server.url, max_cost=1, max_retries=0), "Go"):
            server.faults.add(HttpError(r"GET /api/sessions/[^/]+", 503, count=None))
            with pytest.raises(MixDefaultError) as caught:
                await outcome(call)
            server.faults.clear()
            done += 1
            assert caught.value.turn.full_text == "Step. "
            assert not caught.value.is_retryable, "the message was taken, whatever the last request says of itself"
            await asyncio.to_thread(server.wait_idle)
            assert cancels(server) == [200] * done


@pytest.mark.parametrize("api", APIS)
async def test_a_stop_sequence_cuts_the_reply_and_cancels_the_turn(api):
    agent = Script(turn([*say("One. Two. STOP Three.", chunk=3), Wait(Gate())]), turn("Next."), loop=True)
    with MixEmulator(api=api, agent=agent) as server:
        model = ChatMix(server_url=server.url)
        done = 0
        async for call in calls(model, "Go", stop=["STOP"]):
            got = await outcome(call)
            done += 1
            text = "".join(c.text for c in got) if isinstance(got, list) else got.text
            assert text == "One. Two. "
            await asyncio.to_thread(server.wait_idle)
            assert cancels(server) == [200] * done
        reply = model.invoke("Go", stop=["STOP"])
        server.wait_idle()
        talk = [HumanMessage("Go"), reply, HumanMessage("And?")]
        more = Script("Replayed.", loop=True)
        server.agent._turns = more._turns  # The agent of the sessions to come.
        again = model.invoke(talk)
        assert again.text == "Replayed."
        assert read_pointer(again.response_metadata).session_id != read_pointer(reply.response_metadata).session_id
        rows = server.state.rows.messages(read_pointer(again.response_metadata).session_id)
        told = next(row["userInput"] for row in rows if row["role"] == "user")
        assert "One. Two." in told
        assert "Three" not in told


@pytest.mark.parametrize("api", FEW)
def test_a_stop_sequence_at_the_very_end_loses_nothing(api):
    with MixEmulator(
        api=api, agent=Script(*[say(f"All of it.{end}", chunk=4) for end in ("", "END", "EN", "E")])
    ) as server:
        model = ChatMix(server_url=server.url)
        session = None
        for expected in ("All of it.", "All of it.", "All of it.EN", "All of it.E"):
            reply = model.invoke("Go", stop=["END"], **({"mix_session_id": session} if session else {}))
            session = read_pointer(reply.response_metadata).session_id
            server.wait_idle()
            assert reply.text == expected


@pytest.mark.parametrize("api", FEW)
def test_a_turn_given_up_by_a_handler(api):
    class Mine(Exception):
        pass

    class Raising(BaseCallbackHandler):
        raise_error = True

        def on_llm_new_token(self, token, **kwargs):
            raise Mine

    with MixEmulator(api=api, agent=endless()) as server:
        with pytest.raises(Mine):
            list(ChatMix(server_url=server.url, callbacks=[Raising()]).stream("Go"))
        cancelled_once(server)


@pytest.mark.parametrize("api", ["0.6", "0.8"])
def test_a_session_not_to_be_kept_is_deleted_when_its_call_is_given_up(api):
    with MixEmulator(api=api, agent=endless()) as server:
        with closing(ChatMix(server_url=server.url, retention="delete").stream("Go")) as chunks:
            next(chunks)
        server.wait_idle()
        assert server.state.sessions.listing(include_subagents=True) == []
        assert cancels(server) == [200]
