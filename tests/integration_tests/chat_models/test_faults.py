"""The faults of the wire, through ChatMix: text exactly once, or a model error that says what is known of the turn.

A message is never sent twice, whoever retries, and nothing is left behind.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelError
from langchain_core.messages import HumanMessage

from langchain_mix import ChatMix, MixEmulator, errors
from langchain_mix.emulator import (
    CloseConnection,
    CutStream,
    DropEvent,
    DuplicateEvent,
    FullQueue,
    Gate,
    HttpError,
    HugeEvent,
    InvalidUTF8,
    MissingId,
    Script,
    SlowReply,
    StallStream,
    TailAfterComplete,
    UnknownEvent,
    say,
    turn,
    use,
)
from langchain_mix.protocol.api import ALL
from langchain_mix.protocol.retry import BackoffStrategy, RetryConfig
from langchain_mix.protocol.turn.updates import TurnResult
from tests.in_turn import in_turn

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def broken_streams_are_opened_again_at_once(monkeypatch):
    """The pauses between attempts are a server's rest, and of no use here."""
    for shell in ("_sync_turn", "_async_turn"):
        monkeypatch.setattr(f"langchain_mix.client.{shell}.reopen_wait", lambda attempt, chance: 0.01)


WHOLE = "Let me look. The answer is forty-two, as ever."
OLD = ("0.5", "0.6")
APIS = [str(v) for v in ALL]
ALL_OF_THEM = tuple(APIS)
WAYS = ("invoke", "stream", "ainvoke", "astream")
QUICK = RetryConfig("backoff", BackoffStrategy(5, 20, 1.5, 2_000), max_attempts=3)

JSON_500 = '{"error":{"code":500,"message":"Internal error during saving: disk full","type":"internal_error"}}'
JSON_400 = '{"error":{"code":400,"message":"Validation error for field \'body\': EOF","type":"validation_error"}}'
JSON_401 = '{"error":{"code":401,"message":"No provider is logged in","type":"unauthorized"}}'
HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
STREAM = "/stream"
CREATE = "POST /api/sessions"
MESSAGES = r"POST /api/sessions/[^/]+/messages"
WRITE = r"/stream/[^/]+/message"
READS = r"GET /api/sessions/[^/]+/.*"


def script() -> Script:
    looked = [*say("Let me look. "), use("Grep", {"pattern": "x"}, result="41", id="call")]
    return Script(turn(looked, "The answer is forty-two, as ever."), "Well again.")


def sending(kind: Any, **options: Any) -> Any:
    """A fault that meets the message, whichever way it goes."""
    return lambda: [kind(MESSAGES, **options), kind(WRITE, **options)]


def refusal(
    status: int, body: str = "upstream connect error", media: str = "text/plain", **options: Any
) -> dict[str, Any]:
    return {"status": status, "body": body, "content_type": media, **options}


JSON = "application/json"
T = errors
INTERRUPTED = (T.MixTurnInterrupted, T.MixTurnCancelled)


@dataclass
class Case:
    """A fault, and the errors it may end with; without any, and on the generations in `well`, the call must answer."""

    name: str
    faults: Any
    fails: tuple[type[BaseException], ...] = ()
    apis: tuple[str, ...] = ALL_OF_THEM
    liveness: float = 10.0
    options: dict[str, Any] = field(default_factory=dict)
    gap: bool = False
    old: tuple[type[BaseException], ...] = ()
    well: tuple[str, ...] = ()

    def kinds(self, api: str) -> tuple[type[BaseException], ...]:
        if api in self.well:
            return ()
        return self.fails or (self.old if api in OLD else ())


CASES = [
    Case("first content dropped", lambda: [DropEvent("content")], gap=True),
    Case("middle content dropped", lambda: [DropEvent("content", nth=4)], gap=True),
    Case("tail dropped", lambda: [DropEvent("content", nth=5, count=2)]),
    Case("all content dropped", lambda: [DropEvent("content", count=None)]),
    Case("complete dropped", lambda: [DropEvent("complete")]),
    Case("everything dropped", lambda: [DropEvent(count=None)]),
    Case("queue of 0", lambda: [FullQueue(0)]),
    Case("queue of 1", lambda: [FullQueue(1)], gap=True),
    Case("tail after complete", lambda: [TailAfterComplete(n=3)]),
    Case("complete twice", lambda: [DuplicateEvent("complete")]),
    Case("every event twice", lambda: [DuplicateEvent(count=None)], gap=True),
    Case("unknown events", lambda: [UnknownEvent(count=None)]),
    Case("huge event", lambda: [HugeEvent(before="complete", size=1 << 20)]),
    Case("invalid UTF-8 in content", lambda: [InvalidUTF8("content", nth=4)], gap=True),
    Case("no ids", lambda: [MissingId(count=None)]),
    Case("cut before connected", lambda: [CutStream(on="stream")]),
    Case("cut before the first event", lambda: [CutStream(0)], old=INTERRUPTED, apis=ALL_OF_THEM),
    Case("cut mid-text", lambda: [CutStream(2)], old=INTERRUPTED, apis=ALL_OF_THEM),
    Case("cut within an event", lambda: [CutStream(2, half=True)], old=INTERRUPTED, apis=ALL_OF_THEM),
    Case("cut again and again", lambda: [CutStream(0, count=3)], old=INTERRUPTED),
    # Mix 0.5 sends no heartbeats in a turn: a silence means nothing there, and a budget is what ends it.
    Case("stalled mid-text", lambda: [StallStream(2, gate=Gate())], apis=tuple(APIS[1:]), liveness=0.3),
    Case(
        "stalled for ever within a budget",
        lambda: [StallStream(1, gate=Gate(), count=None)],
        (T.MixTurnTimeout,),
        options={"timeout": 0.5},
        well=("0.6",),  # Mix 0.6: the message's own answer says that the turn is over.
    ),
    Case(
        "stalled for ever and no answer within a budget",
        lambda: [StallStream(1, gate=Gate(), count=None), SlowReply(MESSAGES, gate=Gate())],
        (T.MixTurnTimeout,),
        ("0.6",),
        options={"timeout": 0.2},
    ),
    Case("stream refused once", lambda: [HttpError(STREAM, 503)]),
    Case("stream refused: 403", lambda: [HttpError(STREAM, 403)], (T.MixDefaultError,)),
    Case(
        "stream refused for ever",
        lambda: [HttpError(STREAM, 500, JSON_500, JSON, count=None)],
        (T.MixInternalError,),
    ),
    Case(
        "stream is a web page", lambda: [HttpError(STREAM, 200, HTML, "text/html", count=None)], (T.MixNotAServerError,)
    ),
    Case("stream reset", lambda: [CloseConnection(STREAM)]),
    Case("message refused: 503", sending(HttpError, **refusal(503)), (T.MixDefaultError, T.MixOutcomeUnknown)),
    Case(
        "message refused: 400",
        sending(HttpError, **refusal(400, JSON_400, JSON)),
        (T.MixBadRequestError,),
        ALL_OF_THEM,
    ),
    Case("message refused: 401", sending(HttpError, **refusal(401, JSON_401, JSON)), (T.MixAuthenticationError,)),
    Case("message refused: 429", sending(HttpError, **refusal(429)), (T.MixDefaultError,)),
    Case(
        "message refused: 500",
        sending(HttpError, **refusal(500, JSON_500, JSON)),
        (T.MixInternalError, T.MixOutcomeUnknown),
    ),
    Case("message taken, answer is 503", sending(HttpError, **refusal(503, before=False)), apis=ALL_OF_THEM),
    Case("message taken, answer is HTML", sending(HttpError, **refusal(502, HTML, "text/html", before=False))),
    Case("message taken, answer is 204", sending(HttpError, **refusal(204, "", before=False))),
    Case("message reset", sending(CloseConnection), (T.MixOutcomeUnknown,), ALL_OF_THEM),
    Case("message taken, answer reset", sending(CloseConnection, before=False), apis=ALL_OF_THEM),
    Case("message taken, no answer", sending(SlowReply, gate=Gate())),
    Case("session refused", lambda: [HttpError(CREATE, 503, count=None)], (T.MixDefaultError,)),
    Case(
        "session answer is a web page",
        lambda: [HttpError(CREATE, 200, HTML, "text/html", count=None)],
        (T.MixNotAServerError,),
    ),
    Case("session reset", lambda: [CloseConnection(CREATE, count=None)], (T.MixNetworkError, T.MixOutcomeUnknown)),
    Case("listing refused once", lambda: [HttpError(READS, 503)]),
    Case("listing refused for ever", lambda: [HttpError(READS, 503, count=None)]),
    Case("tail dropped, listing refused", lambda: [DropEvent("content", nth=5, count=2), HttpError(READS, 503)]),
]


class Runs(BaseCallbackHandler):
    """Counts what is open."""

    def __init__(self) -> None:
        self.open: set[Any] = set()
        self.errors: list[BaseException] = []

    def on_chat_model_start(self, serialized, messages, *, run_id, **kwargs):
        self.open.add(run_id)

    on_tool_start = on_chain_start = on_chat_model_start

    def on_llm_end(self, response, *, run_id, **kwargs):
        self.open.remove(run_id)

    on_tool_end = on_chain_end = on_llm_end

    def on_llm_error(self, error, *, run_id, **kwargs):
        self.open.remove(run_id)
        self.errors.append(error)

    def on_tool_error(self, error, *, run_id, **kwargs):
        self.open.remove(run_id)

    on_chain_error = on_tool_error


class Lab:
    """A server, and models whose waits suit tests."""

    def __init__(self, server: MixEmulator) -> None:
        self.server = server
        self.models: list[ChatMix] = []

    def model(self, *, liveness: float = 10.0, **options: Any) -> ChatMix:
        model = ChatMix(server_url=self.server.url, api=str(self.server.api), **options)
        core = model.client._core
        core.settings = replace(core.settings, liveness=liveness, retry=QUICK, timeout=1.0)
        self.models.append(model)
        return model

    def users(self) -> list[str]:
        sessions = self.server.state.sessions.listing(include_subagents=True)
        return [
            r["userInput"] for s in sessions for r in self.server.state.rows.messages(s["id"]) if r["role"] == "user"
        ]

    def messages(self) -> list[str]:
        return [
            r.path for r in self.server.requests if r.method == "POST" and r.path.endswith(("/messages", "/message"))
        ]

    def open_gates(self) -> None:
        for fault in list(self.server.faults._times):
            gate = getattr(fault, "gate", None)
            if gate is not None:
                gate.open()
        self.server.faults.clear()

    async def close(self) -> None:
        self.open_gates()
        for model in self.models:
            await model.client.aclose()
            model.client.close()
        await asyncio.to_thread(
            self.server.wait_until, lambda: self.server.streams == 0 and self.server.connections == 0
        )


async def called(model: ChatMix, way: str, told: list[str], text: Any = "Go") -> str:
    """The call: its text. `told` has what came of it, piece by piece."""
    if way == "invoke":
        told.append((await asyncio.to_thread(model.invoke, text)).text)
    elif way == "ainvoke":
        told.append((await model.ainvoke(text)).text)
    elif way == "stream":

        def read() -> None:
            for chunk in model.stream(text):
                told.append(chunk.text)

        await asyncio.to_thread(read)
    else:
        async for chunk in model.astream(text):
            told.append(chunk.text)
    return "".join(told)


def failed(lab: Lab, error: Any, kinds: Any, told: str) -> None:
    assert isinstance(error, errors.MixError), repr(error)
    assert isinstance(error, ModelError), repr(error)
    assert isinstance(error, kinds), repr(error)
    assert error.is_retryable is False or error.acted == "no"
    assert error.acted != "no" or lab.users() == [], "the error says that the server did nothing"
    assert error.acted != "yes" or len(lab.users()) == 1, "the error says that the server acted"
    if lab.messages():
        assert isinstance(error.turn, TurnResult), "what is known stays reachable"
        assert WHOLE.startswith(error.turn.full_text)
        assert error.turn.full_text.startswith(told)
    assert WHOLE.startswith(told), "no text twice, none left out"


def scenarios():
    """Each case in one way, in turn, on the newest documented server or on another one; the rest on demand.

    Where a part of the text is lost, a whole reply is mended and a streamed one is an error, so that both run.
    What a turn makes of a fault is shown in tests/integration_tests/client/test_faults.py: by default on an old server
    and a new one, on every generation on demand.
    """
    listed = []
    for number, case in enumerate(CASES):
        api = case.apis[number // 2 % len(case.apis)] if number % 2 else "0.8"
        usual = {(api, WAYS[number % 4])}
        if case.gap:
            usual |= {("0.8", WAYS[(number + 1) % 4])}
        if case.old or case.well:  # It ends otherwise there.
            usual.add(("0.6", WAYS[(number + 1) % 4]))
        for api, way in product(case.apis, WAYS):
            marks = [] if (api, way) in usual else [pytest.mark.exhaustive]
            listed.append(pytest.param((case, api, way), id=f"{case.name}-{api}-{way}", marks=marks))
    return listed


@pytest.mark.parametrize("scenario", scenarios())
async def test_text_exactly_once_or_a_typed_error(scenario):
    case, api, way = scenario
    seen = Runs()
    with MixEmulator(api=api, agent=script(), heartbeat=0.1) as server:
        lab = Lab(server)
        model = lab.model(liveness=case.liveness, callbacks=[seen], **case.options)
        for fault in case.faults():
            server.faults.add(fault)
        told: list[str] = []
        error: Any = None
        try:
            await called(model, way, told)
        except errors.MixError as caught:
            error = caught
        lab.open_gates()
        text = "".join(told)
        kinds = case.kinds(api)
        assert len(lab.messages()) <= 1, f"{way}: the message was sent twice"
        assert len(lab.users()) <= 1, f"{way}: the message was taken twice"
        if error is None:
            assert not kinds, f"{way}: no error, but {text!r}"
            assert text == WHOLE, way
        elif case.gap and not kinds:
            assert way in {"stream", "astream"}, f"{way} has shown nothing yet: {error!r}"
            assert isinstance(error, errors.MixTextGap), repr(error)
            assert error.turn.full_text == WHOLE
            assert not error.is_retryable
        else:
            assert kinds, f"{way}: {error!r}"
            failed(lab, error, kinds, text)
        assert seen.open == set(), way
        assert [type(e) for e in seen.errors] == ([type(error)] if error is not None else [])
        assert asyncio.all_tasks() == {asyncio.current_task()}, way
        await asyncio.to_thread(server.wait_idle, 3)
        await lab.close()


# Retries by LangChain


TAKEN = [
    pytest.param(
        lambda: [CloseConnection(MESSAGES, before=False), HttpError(READS, 503, count=None)], id="answer lost"
    ),
    pytest.param(lambda: [CloseConnection(MESSAGES)], id="connection reset"),
    pytest.param(lambda: [HttpError(MESSAGES, **refusal(500, JSON_500, JSON))], id="500"),
    pytest.param(lambda: [DropEvent("content", nth=4)], id="text lost"),
    pytest.param(lambda: [StallStream(1, gate=Gate(), count=None)], id="stalled"),
]


@pytest.mark.parametrize("scenario", in_turn(TAKEN, WAYS))
async def test_with_retry_never_sends_what_may_have_been_taken_again(scenario):
    faults, way = scenario
    with MixEmulator(api="0.8", agent=script(), heartbeat=0.05) as server:
        lab = Lab(server)
        model = lab.model(timeout=1.0)
        retryable = False
        for fault in faults():
            server.faults.add(fault)
        try:
            await called(model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False), way, [])
        except errors.MixError as error:
            retryable = error.is_retryable
        assert not retryable
        assert len(lab.messages()) == 1
        assert len(lab.users()) <= 1
        await lab.close()


@pytest.mark.parametrize("scenario", in_turn(TAKEN, ["ainvoke", "invoke"]))
async def test_retry_middleware_never_sends_what_may_have_been_taken_again(scenario):
    faults, way = scenario
    with MixEmulator(api="0.8", agent=script(), heartbeat=0.05) as server:
        lab = Lab(server)
        middleware = ModelRetryMiddleware(max_retries=2, initial_delay=0.0, on_failure="error")
        agent = create_agent(lab.model(timeout=1.0), tools=[], middleware=[middleware])
        for fault in faults():
            server.faults.add(fault)
        state = {"messages": [HumanMessage("Go")]}
        retryable = False
        try:
            await (agent.ainvoke(state) if way == "ainvoke" else asyncio.to_thread(agent.invoke, state))
        except errors.MixError as error:
            retryable = error.is_retryable
        assert not retryable
        assert len(lab.messages()) == 1
        assert len(lab.users()) <= 1
        await lab.close()


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_what_was_certainly_not_taken_is_tried_again(way):
    with MixEmulator(api="0.8", agent=script()) as server:
        lab = Lab(server)
        server.faults.add(HttpError(CREATE, 429, before=True))
        retried = lab.model().with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
        assert await called(retried, way, []) == WHOLE
        assert lab.users() == ["Go"]
        middleware = ModelRetryMiddleware(max_retries=2, initial_delay=0.0, on_failure="error")
        agent = create_agent(lab.model(), tools=[], middleware=[middleware])
        server.faults.add(HttpError(CREATE, 429, before=True))
        state = {"messages": [HumanMessage("Again")]}
        reply = await (agent.ainvoke(state) if way == "ainvoke" else asyncio.to_thread(agent.invoke, state))
        assert reply["messages"][-1].text == WHOLE
        assert sorted(lab.users()) == ["Again", "Go"]
        await lab.close()


async def test_no_server_at_all():
    with MixEmulator() as server:
        url = server.url
    for way in WAYS:
        model = ChatMix(server_url=url, max_retries=1)
        with pytest.raises(errors.MixConnectionError) as caught:
            await called(model, way, [])
        assert caught.value.acted == "no"
        assert caught.value.is_retryable
        assert isinstance(caught.value, ModelError)
