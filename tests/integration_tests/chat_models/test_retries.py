"""Calls that LangChain and LangGraph make again after a failure are not sent again; what a user asks again is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware, ToolRetryMiddleware
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import RetryPolicy

from langchain_mix import ChatMix, MixEmulator, errors
from langchain_mix.chat_models.retries import FAILED_CALLS, FailedCalls, Run
from langchain_mix.emulator import Gate, HttpError, Script, turn, use
from langchain_mix.emulator.agents import Fail
from langchain_mix.protocol.api import ALL
from tests.in_turn import in_turn

pytestmark = pytest.mark.timeout(60)

RETRIES: Any = {"stop_after_attempt": 3, "wait_exponential_jitter": False}
POLICY = RetryPolicy(max_attempts=3, initial_interval=0.001, jitter=False, retry_on=Exception)
PROMPT = ChatPromptTemplate.from_messages([("human", "{q}")])


def paying(*, loop: bool = True) -> Script:
    """An agent that fails after its tool has run."""
    return Script(turn(["partial ", use("Bash", {"command": "pay"}, result="paid")], [Fail("boom")]), loop=loop)


def messages_sent(server: MixEmulator) -> int:
    return sum((r.method == "POST" and r.path.endswith("/messages")) or "/stream/" in r.path for r in server.requests)


@pytest.fixture(scope="module")
def server():
    with MixEmulator(api="0.8", agent=paying()) as server:
        yield server


@pytest.fixture
def model(server):
    server.forget_requests()
    return ChatMix(server_url=server.url, permissions="allow")


def run(model: ChatMix, awaitable: Any) -> Any:
    async def closing() -> Any:
        try:
            return await awaitable
        finally:
            await model.client.aclose()

    return asyncio.run(closing())


WAYS: dict[str, Any] = {
    "invoke": lambda m, r, v: r.invoke(v),
    "ainvoke": lambda m, r, v: run(m, r.ainvoke(v)),
    "batch": lambda m, r, v: r.batch(v, return_exceptions=True),
    "abatch": lambda m, r, v: run(m, r.abatch(v, return_exceptions=True)),
}


def streamed(model: Any) -> Any:
    async def arun(value: Any) -> Any:
        return [chunk async for chunk in model.astream(value)]

    return RunnableLambda(lambda value: list(model.stream(value)), afunc=arun)


def invoked(model: Any) -> Any:
    async def arun(value: Any) -> Any:
        return await model.ainvoke(value)

    return RunnableLambda(lambda value: model.invoke(value), afunc=arun)  # noqa: PLW0108


KINDS: dict[str, Any] = {
    "prompt": lambda m: (PROMPT | m).with_retry(**RETRIES),
    "structured": lambda m: m.with_structured_output({"title": "A", "type": "object"}).with_retry(**RETRIES),
    "configurable": lambda m: m.configurable_fields(stop=ConfigurableField(id="s")).with_retry(**RETRIES),
    "streaming": lambda m: m.configurable_fields(title=ConfigurableField(id="t")).with_retry(**RETRIES),
    "lambda": lambda m: invoked(m).with_retry(**RETRIES),
    "stream in lambda": lambda m: streamed(m).with_retry(**RETRIES),
    "chain in lambda": lambda m: invoked(PROMPT | m).with_retry(**RETRIES),
    "retry in retry": lambda m: (invoked((PROMPT | m).with_retry(**RETRIES))).with_retry(**RETRIES),
    "fallback to itself": lambda m: m.with_fallbacks([m]),
    "agent": lambda m: create_agent(m, []).with_retry(**RETRIES),
}


PROMPTED = {"prompt", "chain in lambda", "retry in retry"}


@pytest.mark.parametrize("scenario", in_turn(list(KINDS), ["invoke", "ainvoke"]))
def test_a_retried_runnable_sends_once(server, model, scenario):
    kind, way = scenario
    value: Any = {"messages": "q"} if kind == "agent" else {"q": "q"} if kind in PROMPTED else "q"
    model.streaming = kind == "streaming" or None
    with pytest.raises(errors.MixAgentError, match="boom") as failure:
        WAYS[way](model, KINDS[kind](model), value)
    assert messages_sent(server) == 1
    assert failure.value.acted == "yes"
    assert [call.name for call in failure.value.turn.tool_calls] == ["Bash"]
    if not kind.startswith("fallback"):  # It raises the first failure, the others the last.
        assert any("nothing was sent" in note for note in failure.value.__notes__)


@pytest.mark.parametrize("scenario", in_turn(["prompt", "streaming"], ["batch", "abatch"]))
def test_each_input_of_a_retried_batch_is_sent_once(server, model, scenario):
    kind, way = scenario
    values: Any = [{"q": "q"}, {"q": "q"}, {"q": "r"}] if kind == "prompt" else ["q", "q", "r"]
    model.streaming = kind == "streaming" or None
    given = WAYS[way](model, KINDS[kind](model), values)
    assert [isinstance(g, errors.MixAgentError) for g in given] == [True] * 3
    assert messages_sent(server) == 3


def one_node(model: Any, **options: Any) -> Any:
    def node(state: Any) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    async def anode(state: Any) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    runnable = RunnableLambda(node, afunc=anode)
    return StateGraph(MessagesState).add_node("n", runnable, **options).add_edge(START, "n")


def around(inner: Any) -> Any:
    def node(state: Any) -> Any:
        return inner.invoke({"messages": state["messages"]})

    async def anode(state: Any) -> Any:
        return await inner.ainvoke({"messages": state["messages"]})

    return RunnableLambda(node, afunc=anode)


def generating(model: Any) -> Any:
    """A node that calls the model below LangChain's runnables, which gives the model's run no parent."""

    def node(state: Any) -> Any:
        return {"messages": [model.generate([state["messages"]]).generations[0][0].message]}

    async def anode(state: Any) -> Any:
        return {"messages": [(await model.agenerate([state["messages"]])).generations[0][0].message]}

    return StateGraph(MessagesState).add_node("n", RunnableLambda(node, afunc=anode), retry_policy=POLICY)


def functional(model: Any) -> Any:
    @task(retry_policy=POLICY)
    def ask(question: str) -> Any:
        return model.invoke(question)

    @entrypoint()
    def flow(given: Any) -> Any:
        return ask(given["messages"]).result()

    return flow


def delegating(model: Any) -> Any:
    """An agent whose tool asks Mix, under a middleware that calls the tool again."""

    @tool
    def delegate(task: str) -> str:
        """Asks the other agent."""
        return str(model.invoke(task).text)

    call = AIMessage("", tool_calls=[{"name": "delegate", "args": {"task": "q"}, "id": "1"}])

    class Caller(FakeMessagesListChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

    retry = ToolRetryMiddleware(max_retries=2, initial_delay=0, on_failure="error")
    return create_agent(Caller(responses=[call, AIMessage("done")]), [delegate], middleware=[retry])


GRAPHS: dict[str, Any] = {
    "node": lambda m: one_node(m, retry_policy=POLICY).compile(),
    "saved node": lambda m: one_node(m, retry_policy=POLICY).compile(checkpointer=InMemorySaver()),
    "generate": lambda m: generating(m).add_edge(START, "n").compile(),
    "agent in node": lambda m: (
        StateGraph(MessagesState)
        .add_node("n", around(create_agent(m, [])), retry_policy=POLICY)
        .add_edge(START, "n")
        .compile()
    ),
    "subgraph": lambda m: (
        StateGraph(MessagesState).add_node("n", one_node(m).compile(), retry_policy=POLICY).add_edge(START, "n")
    ).compile(),
    "middleware": lambda m: create_agent(
        m,
        [],
        middleware=[ModelRetryMiddleware(max_retries=2, initial_delay=0, retry_on=(Exception,), on_failure="error")],
    ),
    "functional": functional,
    "tool": delegating,
}


@pytest.mark.parametrize("scenario", in_turn(list(GRAPHS), ["invoke", "ainvoke", "stream"]))
def test_a_retried_task_sends_once(server, model, scenario):
    kind, way = scenario
    if (kind, way) == ("functional", "ainvoke"):
        pytest.skip("Its task is synchronous.")
    graph: Any = GRAPHS[kind](model)
    config: Any = {"configurable": {"thread_id": "1"}}
    with pytest.raises(errors.MixAgentError, match="boom"):
        if way == "invoke":
            graph.invoke({"messages": "q"}, config)
        elif way == "ainvoke":
            run(model, graph.ainvoke({"messages": "q"}, config))
        else:
            list(graph.stream({"messages": "q"}, config, stream_mode="messages"))
    assert messages_sent(server) == 1


@pytest.mark.parametrize("api", [str(v) for v in ALL])
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_every_generation_gets_the_message_once(api, way):
    with MixEmulator(api=api, agent=paying()) as server:
        model = ChatMix(server_url=server.url, permissions="allow")
        with pytest.raises(errors.MixTurnError):
            WAYS[way](model, (PROMPT | model).with_retry(**RETRIES), {"q": "q"})
        users = [r for r in server.requests if r.method == "POST" and r.path.endswith(("/messages", "/message"))]
        assert len(users) == 1


def test_what_the_server_did_not_take_is_sent_again():
    with MixEmulator(api="0.8", agent=Script("Here.")) as server:
        server.faults.add(HttpError("POST /api/sessions/[^/]+/messages", status=400, body="no"))
        chain = (PROMPT | ChatMix(server_url=server.url)).with_retry(**RETRIES)
        assert chain.invoke({"q": "q"}).text == "Here."


class TestAUsersOwnCalls:
    def test_a_second_call_of_a_chain_is_sent(self, server, model):
        chain = PROMPT | model
        for _ in range(2):
            with pytest.raises(errors.MixAgentError):
                chain.invoke({"q": "q"})
        assert messages_sent(server) == 2

    def test_a_second_call_of_a_retried_chain_is_sent(self, server, model):
        chain = (PROMPT | model).with_retry(**RETRIES)
        for _ in range(2):
            with pytest.raises(errors.MixAgentError):
                chain.invoke({"q": "q"})
        assert messages_sent(server) == 2

    def test_code_that_asks_again_inside_of_a_run_is_sent(self, server, model):
        def insist(value: Any) -> Any:
            for _ in range(2):
                with pytest.raises(errors.MixAgentError):
                    (PROMPT | model).invoke(value)

        RunnableLambda(insist).invoke({"q": "q"})
        one_node(RunnableLambda(lambda m: insist({"q": "q"}) or AIMessage("x"))).compile().invoke({"messages": "q"})
        assert messages_sent(server) == 4

    def test_a_graph_that_a_user_goes_on_with_is_sent(self, server, model):
        graph = one_node(model, retry_policy=POLICY).compile(checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        for value in ({"messages": "q"}, None):
            with pytest.raises(errors.MixAgentError):
                graph.invoke(value, config)
        assert messages_sent(server) == 2

    def test_a_fallback_with_other_options_is_sent(self, server, model):
        other = ChatMix(server_url=server.url, permissions="allow", max_steps=9)
        with pytest.raises(errors.MixAgentError):
            model.with_fallbacks([other]).invoke("q")
        assert messages_sent(server) == 2

    def test_a_retry_with_other_messages_is_sent(self, server, model):
        words = iter("abc")
        with pytest.raises(errors.MixAgentError):
            (RunnableLambda(lambda _: next(words)) | model).with_retry(**RETRIES).invoke("q")
        assert messages_sent(server) == 3

    def test_a_step_that_failed_after_the_reply_asks_again(self):
        def fail_once(message: Any) -> str:
            replies.append(message.text)
            if len(replies) == 1:
                raise ValueError
            return str(message.text)

        replies: list[str] = []
        with MixEmulator(api="0.8", agent=Script("Here.")) as server:
            chain = ChatMix(server_url=server.url) | RunnableLambda(fail_once)
            assert chain.with_retry(**RETRIES).invoke("q") == "Here."
            assert messages_sent(server) == 2


class TestGivingUp:
    def test_a_stream_that_was_left_in_the_middle_is_not_sent_again(self, server, model):
        def leave(value: Any) -> Any:
            stream = model.stream(value)
            next(stream)
            stream.close()
            raise ValueError("enough")

        with pytest.raises(errors.MixTurnCancelled, match="GeneratorExit"):
            RunnableLambda(leave).with_retry(**RETRIES).invoke("q")
        assert messages_sent(server) == 1

    def test_a_call_that_was_cancelled_is_not_sent_again(self):
        gate = Gate()
        paying_long = Script(turn([use("Bash", {"command": "pay"}, result="paid", until=gate)]), loop=True)
        with MixEmulator(api="0.8", agent=paying_long) as server:
            model = ChatMix(server_url=server.url, permissions="allow")

            async def time_out(value: Any) -> Any:
                if gate.reached.is_set():
                    return await model.ainvoke(value)
                call = asyncio.create_task(model.ainvoke(value))
                await asyncio.to_thread(gate.reached.wait, 20)
                call.cancel()
                await asyncio.wait({call})
                raise TimeoutError

            retried = RunnableLambda(time_out).with_retry(**RETRIES)
            with pytest.raises(errors.MixTurnCancelled, match="CancelledError"):
                run(model, retried.ainvoke("q"))
            gate.open()
            assert messages_sent(server) == 1


def test_nothing_is_kept_when_the_outermost_run_is_over(server, model, monkeypatch):
    kept: list[Run] = []
    add = FailedCalls.add
    monkeypatch.setattr(FailedCalls, "add", lambda self, m, path, e: (kept.append(path[0]), add(self, m, path, e)))
    with pytest.raises(errors.MixAgentError):
        (PROMPT | model).with_retry(**RETRIES).invoke({"q": "q"})
    assert len(kept) == 1
    assert not FAILED_CALLS.may_hold((kept[0],))
