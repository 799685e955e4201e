"""All that LangChain's chat models have is honoured, refused or warned about: ignoring one makes a test here fail."""

from __future__ import annotations

import inspect
import threading
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnableConfig

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import Script, say, turn, use
from langchain_mix.emulator.agents.base import Usage
from langchain_mix.errors import MixInputError
from tests.in_turn import in_turn

pytestmark = [
    pytest.mark.timeout(30),
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]

ONE_CALL = ("invoke", "ainvoke", "stream", "astream", "astream_events v2", "stream_events v3", "astream_events v3")
FEW = ("invoke", "astream", "astream_events v2", "stream_events v3")
"""By default, one of each kind."""
STREAMS = ("stream", "astream", "astream_events v2")
WHOLE = ("invoke", "ainvoke", "batch", "abatch")
TEXT = "Let me look. Hello."

SHOWN = {
    "fields": {
        "name": "test_a_run_has_its_names_and_places",
        "tags": "test_a_run_has_its_names_and_places",
        "metadata": "test_a_run_has_its_names_and_places",
        "callbacks": "test_a_run_has_its_names_and_places",
        "verbose": "test_a_verbose_model_prints_what_its_tools_gave",
        "cache": "test_equal_calls_are_one_turn_with_a_cache",
        "rate_limiter": "test_the_rate_limiter_is_asked_once_for_each_call",
        "disable_streaming": "test_nothing_is_streamed_where_that_is_disabled",
        "custom_get_token_ids": "test_tokens_are_counted_as_the_user_counts_them",
        "output_version": "test_content.py",
        "profile": "test_parameters.py",
    },
    "configuration": {
        "tags": "test_a_run_has_its_names_and_places",
        "metadata": "test_a_run_has_its_names_and_places",
        "callbacks": "test_a_run_has_its_names_and_places",
        "run_name": "test_a_run_has_its_names_and_places",
        "run_id": "test_a_run_has_its_names_and_places",
        "configurable": "test_what_is_configurable_elsewhere_is_taken",
        "recursion_limit": "test_what_is_configurable_elsewhere_is_taken",
        "max_concurrency": "test_as_many_calls_run_at_once_as_are_allowed",
    },
    "invoke": {
        "input": "test_every_form_of_input_is_taken",
        "config": "test_a_run_has_its_names_and_places",
        "stop": "test_a_reply_ends_at_a_stop_text",
        "kwargs": "test_unknown_arguments_are_refused_before_anything_is_sent",
    },
    "generate": dict.fromkeys(
        ("messages", "stop", "callbacks", "tags", "metadata", "run_name", "run_id", "kwargs"),
        "test_whole_batches_of_messages_are_generated",
    ),
}
"""The test, or the file of the test, that shows what an inherited name does."""


def test_nothing_that_is_inherited_is_without_a_test():
    assert set(BaseChatModel.model_fields) == set(SHOWN["fields"])
    assert set(RunnableConfig.__annotations__) == set(SHOWN["configuration"])
    for method in ("invoke", "generate"):
        for twin in (method, f"a{method}"):
            assert set(inspect.signature(getattr(BaseChatModel, twin)).parameters) - {"self"} == set(SHOWN[method])
    for method in ("stream", "astream"):
        assert set(inspect.signature(getattr(BaseChatModel, method)).parameters) - {"self"} == set(SHOWN["invoke"])
    named = {test for tests in SHOWN.values() for test in tests.values() if not test.endswith(".py")}
    assert named <= set(globals())


@pytest.fixture(scope="module")
def server():
    """One server for all: what differs are models, and each call has a session of its own."""
    agent = Script(
        turn(
            [*say("Let me look. "), use("Grep", {"pattern": "x"}, result="found: r", id="g"), Usage(cost=0.5)], "Hello."
        ),
        loop=True,
    )
    with MixEmulator(api="0.8", agent=agent) as running:
        yield running


@pytest.fixture(params=[way if way in FEW else pytest.param(way, marks=pytest.mark.exhaustive) for way in ONE_CALL])
def ask(request, ways):
    """Has one reply of a model, in each way."""

    async def reply(model: Any, text: Any = "Hi", config: Any = None) -> AIMessage:
        return (await ways[request.param](model, text, config or {}))[0]

    return reply


def turns(server: MixEmulator) -> int:
    return len([r for r in server.requests if r.method == "POST" and r.path.endswith("/messages")])


# Runs


async def test_a_run_has_its_names_and_places(server, ask, make_tracer):
    of_model, of_call, run_id = make_tracer(), make_tracer(), uuid4()
    model = ChatMix(
        server_url=server.url, name="helper", tags=["of model"], metadata={"model": 1}, callbacks=[of_model]
    )
    config = {
        "tags": ["of call"],
        "metadata": {"call": 2},
        "callbacks": [of_call],
        "run_id": run_id,
        "run_name": "named",
    }
    assert (await ask(model, "Hi", config)).text == TEXT
    for tracer in (of_model, of_call):
        run, tool = tracer.runs()
        assert (run.id, run.name, run.run_type) == (run_id, "named", "llm")
        assert {"of model", "of call"} <= set(run.tags)
        assert run.extra["metadata"].items() >= {"model": 1, "call": 2}.items()
        assert (tool.name, tool.run_type, tool.parent_run_id) == ("Grep", "tool", run_id)
        assert {"of model", "of call"} <= set(tool.tags)
    await ask(model)
    run, _ = of_model.runs()[2:]
    assert run.name == "helper"
    assert run.id != run_id
    assert model.get_name() == "helper"
    assert model.as_tool().name == "helper"


async def test_a_verbose_model_prints_what_its_tools_gave(server, ask, capsys):
    await ask(ChatMix(server_url=server.url, verbose=True))
    assert "found: r" in capsys.readouterr().out
    await ask(ChatMix(server_url=server.url))
    assert "found: r" not in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_whole_batches_of_messages_are_generated(server, mode, make_tracer):
    tracer, ids = make_tracer(), [uuid4(), uuid4()]
    model = ChatMix(server_url=server.url, tags=["of model"])
    asked: Any = [[HumanMessage("Hi")], [HumanMessage("Ho")]]
    for run_id in ids:
        options: Any = {
            "stop": ["ello"],
            "callbacks": [tracer],
            "tags": ["of call"],
            "metadata": {"call": 2},
            "run_name": "named",
            "run_id": run_id,
            "title": "Titled",
            "ls_structured_output_format": {"kwargs": {"method": "m"}, "schema": {"title": "S"}},
        }
        result = model.generate(asked, **options) if mode == "sync" else await model.agenerate(asked, **options)
        assert [g[0].text for g in result.generations] == ["Let me look. H"] * 2
        metadata = result.generations[0][0].message.response_metadata["mix"]
        assert server.state.sessions.get(metadata["session_id"])["title"] == "Titled"
    runs = [run for run in tracer.runs() if run.run_type == "llm"]
    assert {run.id for run in runs} >= set(ids), "LangChain gives the first of each batch the id"
    for run in runs:
        assert run.name == "named"
        assert set(run.tags) == {"of model", "of call"}
        assert run.extra["metadata"]["call"] == 2
        assert run.extra["options"]["ls_structured_output_format"]["kwargs"] == {"method": "m"}
    result = model.generate(asked) if mode == "sync" else await model.agenerate(asked)
    used = [g[0].message.usage_metadata["total_tokens"] for g in result.generations]
    assert result.llm_output["token_usage"]["total_tokens"] == sum(used) > 0
    assert result.llm_output["cost"] == 1.0
    with pytest.raises(MixInputError, match="`odd`"):
        if mode == "sync":
            model.generate(asked, odd=1)
        else:
            await model.agenerate(asked, odd=1)


# What a call says


@pytest.mark.parametrize("scenario", in_turn(ONE_CALL, ["field", "call", "both"]))
async def test_a_reply_ends_at_a_stop_text(server, ways, scenario):
    way, where = scenario
    model: Any = ChatMix(server_url=server.url, stop={"field": ["ello"], "both": ["look"]}.get(where))
    if where != "field":
        model = model.bind(stop=["ello"])
    reply, *_ = await ways[way](model, "Hi", {})
    assert reply.text == "Let me look. H"


async def test_unknown_arguments_are_refused_before_anything_is_sent(server, ask):
    server.forget_requests()
    for wrong in (
        {"temprature": 1},
        {"cache": True},
        {"verbose": True},
        {"rate_limiter": None, "n": 2},
    ):
        with pytest.raises(MixInputError, match=next(iter(set(wrong) - {"rate_limiter"}))):
            await ask(ChatMix(server_url=server.url).bind(**wrong))
    assert not server.requests


async def test_what_is_configurable_elsewhere_is_taken(server, ask, make_tracer):
    tracer = make_tracer()
    config: Any = {"configurable": {"thread_id": "t", "user": "ada", "of": object()}, "recursion_limit": 1}
    assert (await ask(ChatMix(server_url=server.url), "Hi", {**config, "callbacks": [tracer]})).text == TEXT
    assert [run.name for run in tracer.runs()] == ["ChatMix", "Grep"]


FORMS = {
    "text": "Hi",
    "pairs": [("human", "Hi")],
    "dictionaries": [{"role": "user", "content": "Hi"}],
    "messages": [HumanMessage("Hi")],
}


@pytest.mark.parametrize("scenario", in_turn(ONE_CALL, list(FORMS)))
async def test_every_form_of_input_is_taken(server, ways, scenario):
    way, form = scenario
    server.forget_requests()
    await ways[way](ChatMix(server_url=server.url), FORMS[form], {})
    (sent,) = [r.json["text"] for r in server.requests if r.method == "POST" and r.path.endswith("/messages")]
    assert sent == "Hi"


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("allowed", [1, 2])
async def test_as_many_calls_run_at_once_as_are_allowed(server, mode, allowed):
    running: set[Any] = set()
    most: list[int] = []
    lock, together = threading.Lock(), threading.Event()

    class Counter(BaseCallbackHandler):
        def on_chat_model_start(self, *_, run_id, **__):
            with lock:
                running.add(run_id)
                most.append(len(running))
            if len(running) == allowed:
                together.set()

        def on_llm_end(self, *_, run_id, **__):
            assert together.wait(10)
            with lock:
                running.discard(run_id)

    model = ChatMix(server_url=server.url)
    config: Any = {"max_concurrency": allowed, "callbacks": [Counter()]}
    replies = model.batch(["Hi"] * 4, config) if mode == "sync" else await model.abatch(["Hi"] * 4, config)
    assert [reply.text for reply in replies] == [TEXT] * 4
    assert max(most) == allowed


# Limits, streams, counting


async def test_the_rate_limiter_is_asked_once_for_each_call(server, ask):
    taken = []

    class Limiter(InMemoryRateLimiter):
        def acquire(self, *, blocking=True):
            taken.append(blocking)
            return super().acquire(blocking=blocking)

        async def aacquire(self, *, blocking=True):
            taken.append(blocking)
            return await super().aacquire(blocking=blocking)

    limiter = Limiter(requests_per_second=1000, check_every_n_seconds=0.001, max_bucket_size=5)
    await ask(ChatMix(server_url=server.url, rate_limiter=limiter))
    assert taken == [True]


TOOL = {"type": "function", "function": {"name": "pick", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(
    ("disabled", "tools", "streamed"),
    [
        (False, False, True),
        (True, False, False),
        (True, True, False),
        ("tool_calling", True, False),
        ("tool_calling", False, True),
    ],
)
async def test_nothing_is_streamed_where_that_is_disabled(server, way, disabled, tools, streamed):
    tokens = []

    class Heard(BaseCallbackHandler):
        def on_llm_new_token(self, token, **_):
            tokens.append(token)

    model: Any = ChatMix(server_url=server.url, disable_streaming=disabled, callbacks=[Heard()])
    model = model.bind_tools([TOOL]) if tools else model
    chunks = list(model.stream("Hi")) if way == "stream" else [chunk async for chunk in model.astream("Hi")]
    assert (len(chunks) > 1) == streamed
    assert bool(tokens) == streamed
    assert "".join(chunk.text for chunk in chunks) == TEXT
    tokens.clear()
    whole = (model.invoke if way == "stream" else model.ainvoke)("Hi", stream=True)
    assert (whole if isinstance(whole, AIMessage) else await whole).text == TEXT
    assert bool(tokens) == streamed


def test_tokens_are_counted_as_the_user_counts_them():
    model = ChatMix(custom_get_token_ids=lambda text: [7] * len(text))
    assert model.get_token_ids("abc") == [7, 7, 7]
    assert model.get_num_tokens("abc") == 3
    assert ChatMix().get_num_tokens("abc") == 1


# Caches


@pytest.mark.parametrize("way", [*WHOLE, "invoke streaming"])
async def test_equal_calls_are_one_turn_with_a_cache(server, ways, way, make_tracer):
    tracer = make_tracer()
    model = ChatMix(server_url=server.url, cache=InMemoryCache(), streaming=True if "streaming" in way else None)
    ask = ways[way.partition(" ")[0]]
    before = turns(server)
    firsts, (second, *_) = [await ask(model, "Hi", {"callbacks": [tracer]}) for _ in range(2)]
    # Calls of one batch run at once: the second finds the reply of the first only if that is over.
    made = turns(server) - before
    assert made in ({1, 2} if "batch" in way else {1})
    assert second.text == TEXT
    assert second.response_metadata["mix"] in [first.response_metadata["mix"] for first in firsts]
    runs = [run for run in tracer.runs() if run.run_type == "llm"]
    assert [run.outputs["llm_output"]["cost"] for run in (runs[0], runs[-1])] == [0.5, 0.0]
    assert len([run for run in tracer.runs() if run.run_type == "tool"]) == made, "none ran again"
    assert ChatMix(server_url=server.url, cache=model.cache, title="Other").invoke("Hi").text == TEXT
    assert turns(server) - before == made + 1


@pytest.mark.parametrize("way", STREAMS)
async def test_streams_use_no_cache(server, ways, way):
    model = ChatMix(server_url=server.url, cache=InMemoryCache())
    model.invoke("Hi")
    before = turns(server)
    await ways[way](model, "Hi", {})
    assert turns(server) - before == 1


def test_the_global_cache_is_used_where_that_is_asked_for(server, monkeypatch):
    from langchain_core import globals as core

    monkeypatch.setattr(core, "_llm_cache", None)
    with pytest.raises(ValueError, match="no cache found"):
        ChatMix(server_url=server.url, cache=True).invoke("Hi")
    monkeypatch.setattr(core, "_llm_cache", InMemoryCache())
    wanted: Any = [({"cache": True}, 1), ({"cache": False}, 2), ({}, 2)]
    for fields, expected in (*wanted, ({"cache": None}, 0)):  # None: where LangChain has a global one.
        before = turns(server)
        for _ in range(2):
            ChatMix(server_url=server.url, **fields).invoke("Hi")
        assert turns(server) - before == expected


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_conversation_goes_on_in_the_session_of_its_cached_reply(server, mode):
    model = ChatMix(server_url=server.url, cache=InMemoryCache())

    async def reply(messages: Any) -> Any:
        return model.invoke(messages) if mode == "sync" else await model.ainvoke(messages)

    asked = HumanMessage("Hi")
    talks = [[asked, await reply([asked]), HumanMessage(text)] for text in ("One?", "Two?")]
    one, two = [await reply(talk) for talk in talks]
    sessions = [m.response_metadata["mix"]["session_id"] for m in (talks[0][1], talks[1][1], one, two)]
    assert len(set(sessions[:3])) == 1
    assert sessions[3] != sessions[0], "the other branch has a session of its own"
    said = [row["userInput"] for row in server.state.rows.messages(sessions[0]) if row["role"] == "user"]
    assert said == ["Hi", "One?"]


@pytest.mark.parametrize(
    "scenario",
    in_turn(["field", "call", "configurable", "graph", "thread", "thread of a graph"], ["sync", "async"]),
)
async def test_a_call_in_a_named_session_is_never_answered_by_a_cache(server, scenario):
    named, mode = scenario
    from langgraph.graph import START, MessagesState, StateGraph

    session = ChatMix(server_url=server.url).client.sessions.create(title="T").id
    fields: Any = {"server_url": server.url, "cache": InMemoryCache()}
    configurable: Any = {"mix_session_id": session}
    if named == "field":
        fields["session_id"] = session
    if named.startswith("thread"):
        fields["session_per_thread"], configurable = True, {"thread_id": str(uuid4())}
    model = ChatMix(**fields)
    if named.endswith("graph"):
        runnable: Any = (
            StateGraph(MessagesState)
            .add_node("n", lambda state: {"messages": [model.invoke(state["messages"])]})
            .add_edge(START, "n")
            .compile()
        )
        asked: Any = {"messages": [HumanMessage("Hi", id="1")]}
    else:
        runnable, asked = (model.bind(session_id=session) if named == "call" else model), [HumanMessage("Hi")]
    config: Any = {} if named in {"field", "call"} else {"configurable": configurable}
    before = turns(server)
    for _ in range(2):
        if mode == "sync" or named.endswith("graph"):
            runnable.invoke(asked, config)
        else:
            await runnable.ainvoke(asked, config)
    assert turns(server) - before == 2
    assert model.cache._cache == {}
