"""What is meant counts, not how it is sent: other statuses of refusals, unknown fields, events and members of enums.

Each scenario is run against a documented server and against deviating ones, and must give the same: results, types of
errors, and what is remembered of the server.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.client import Mix
from langchain_mix.emulator import CutStream, Script, say, turn, use
from langchain_mix.errors import MixError
from langchain_mix.protocol.api import ALL, ApiVersion

pytestmark = pytest.mark.timeout(60)

APIS = [str(version) for version in ALL]
NOBODY = "00000000-0000-4000-8000-000000000000"


def agent() -> Script:
    looks = turn([*say("I look. "), use("Grep", {"pattern": "x"}, result="41", id="call")], "Found.")
    return Script(looks, "Again.", "And again.", "Once more.", "The end.", loop=True)


class Performer:
    """Calls methods by the name of the synchronous one, in one of the two shells."""

    def __init__(self, shell: str) -> None:
        self._loop = asyncio.Runner() if shell == "async" else None

    def do(self, owner: Any, name: str, *args: Any, **fields: Any) -> Any:
        """The result, or the type of the error and whether the server may have acted."""
        try:
            return self.done(owner, name, args, fields)
        except MixError as error:
            return error.__class__.__name__.removeprefix("Chat"), error.acted

    def done(self, owner: Any, name: str, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
        if self._loop is None:
            return getattr(owner, name)(*args, **fields)
        method = next(getattr(owner, n) for n in (f"{name}_async", f"a{name}", name) if hasattr(owner, n))
        return self._loop.run(_awaited(method, args, fields))

    def turn(self, mix: Mix, session: str, text: str) -> Any:
        """What a turn ends with: its text, its tools, and whether it was compared with what is stored."""
        try:
            if self._loop is None:
                with mix.turn(session, text) as stream:
                    told = "".join(getattr(update, "text", "") for update in stream)
            else:
                stream, told = self._loop.run(_read_turn(mix, session, text))
        except MixError as error:
            return type(error).__name__, error.acted
        result = stream.result
        calls = [(c.id, c.name.lower(), c.status) for c in result.tool_calls]
        return result.full_text, told, calls, result.verified

    def close(self, mix: Mix) -> None:
        if self._loop is None:
            mix.close()
        else:
            self._loop.run(mix.aclose())
            self._loop.close()


async def _awaited(method: Callable[..., Any], args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    got = method(*args, **fields)
    return await got if inspect.isawaitable(got) else got


async def _read_turn(mix: Mix, session: str, text: str) -> tuple[Any, str]:
    async with mix.turn_async(session, text) as stream:
        return stream, "".join([getattr(update, "text", "") async for update in stream])


def kind(outcome: Any) -> Any:
    """The outcome without what differs from run to run."""
    return outcome if isinstance(outcome, tuple) or outcome is None else type(outcome).__name__


def client_scenario(server: MixEmulator, shell: str) -> Iterator[Any]:
    """Detection, turns, fork, rewind and files, and every refusal on the way."""
    p = Performer(shell)
    mix = Mix(server_url=server.url)
    session = p.do(mix.sessions, "create", title="t").id
    yield "known", sorted(mix.known)
    yield p.turn(mix, session, "go"), p.turn(mix, session, "and?")
    yield "known", sorted(mix.known)
    yield "nobody", p.turn(mix, NOBODY, "go")
    yield [kind(p.do(mix.sessions, name, id=NOBODY)) for name in ("get", "delete", "export_session")]
    yield kind(p.do(mix.messages, "send", id=NOBODY, text="go"))
    yield "fork", kind(p.do(mix.sessions, "fork", id=session, message_index=2))
    yield "fork", kind(p.do(mix.sessions, "fork", id=NOBODY, message_index=2))
    rows = p.do(mix.messages, "list_session", id=session)
    yield "rows", [(row.role == "user", row.assistant_response) for row in rows]
    yield "rewind", kind(p.do(mix.sessions, "rewind_session", id=session, message_id="no such row"))
    yield "rewind", kind(p.do(mix.sessions, "rewind_session", id=session, message_id=rows[0].id))
    yield "rewind", len(p.do(mix.messages, "list_session", id=session))
    file = {"file_name": "a.txt", "content": b'{"mine":1}'}
    yield "upload", p.do(mix.files, "upload_session_file", id=session, file=file).name
    yield "upload", kind(p.do(mix.files, "upload_session_file", id=NOBODY, file=file))
    yield "upload", kind(p.do(mix.files, "upload_session_file", id="x", file=file))
    yield "files", [f.name for f in p.do(mix.files, "list_session_files", id=session)]
    for _ in range(2):
        yield "delete", p.do(mix.files, "delete_session_file", id=session, filename="a.txt")
    yield "read", kind(p.do(mix.files, "get_session_file", id=session, filename="a.txt"))
    yield "option", kind(p.do(mix.sessions, "create", title="t", custom_system_prompt="p", browser_mode="x"))
    yield "preferences", kind(p.do(mix.preferences, "get_preferences"))
    yield "preferences", kind(p.do(mix.preferences, "update_preferences", preferred_provider="nobody"))
    yield "tools", kind(p.do(mix.tools, "get_tools_status")), kind(p.do(mix.tools, "list_llm_tools"))
    yield "command", kind(p.do(mix.messages, "send", id=session, text="/nonsense", command=True))
    yield "known", sorted(mix.known)
    p.close(mix)


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def chat_scenario(server: MixEmulator, shell: str) -> Iterator[Any]:
    """A graph with ChatMix and MixSaver: it goes on, branches, and goes on after its session was deleted."""
    p = Performer(shell)
    model = ChatMix(server_url=server.url)
    saver = MixSaver(mix=model.client)
    graph = StateGraph(State)

    def call(state: State) -> State:
        return {"messages": [model.invoke(state["messages"])]}

    async def acall(state: State) -> State:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph.add_node("model", acall if shell == "async" else call)
    graph.add_edge(START, "model")
    app = graph.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "T"}}
    yield p.do(saver, "get_tuple", config)
    for text in ("go", "and?"):
        state = p.do(app, "invoke", {"messages": [HumanMessage(text)]}, config)
        yield [m.text for m in state["messages"]]
    stored = p.do(saver, "get_tuple", config)
    yield len(stored.checkpoint["channel_values"]["messages"])
    branched = p.do(model, "invoke", [*stored.checkpoint["channel_values"]["messages"][:2], HumanMessage("or?")])
    # Told again in a new session instead of forked where a row of an unknown role may be something that was said.
    yield isinstance(branched, AIMessage) and branched.text in {"Again.", "I look. Found."}
    p.do(saver, "delete_thread", "T")
    yield p.do(saver, "get_tuple", config)
    model.client.sessions.delete(id=branched.response_metadata["mix"]["session_id"])
    yield kind(p.do(model, "invoke", [HumanMessage("or?"), branched, HumanMessage("still?")]))
    yield sorted(model.client.known)
    p.close(model.client)


def reopened_scenario(server: MixEmulator, shell: str) -> Iterator[Any]:
    """A stream breaks while a tool has been called: what is stored tells how the turn goes on."""
    p = Performer(shell)
    mix = Mix(server_url=server.url)
    session = p.do(mix.sessions, "create", title="t").id
    server.faults.add(CutStream(after=4, count=1))
    yield p.turn(mix, session, "go")
    server.wait_idle()
    yield sorted(mix.known)
    p.close(mix)


SCENARIOS = {"client": client_scenario, "chat": chat_scenario, "reopened": reopened_scenario}


@cache
def documented(scenario: str, api: str, shell: str) -> tuple[list[Any], int]:
    """What a scenario gives on a documented server, and with how many requests."""
    with MixEmulator(api, agent()) as server:
        return list(SCENARIOS[scenario](server, shell)), len(server.requests)


def browser_mode_as_a_failure(method: str, path: str, status: int, body: Any) -> tuple[int, Any]:
    """Mix 0.8: the words of the session service, which refuses a session without a browser mode too."""
    if (method, path) == ("POST", "/api/sessions") and "browserMode is required" in str(body):
        words = "Internal error during creating session: browserMode is required"
        return 500, {"error": {"code": 500, "message": words, "type": "internal_error"}}
    return status, body


DEVIATIONS: dict[str, dict[str, Any]] = {
    "refusals are failures": {"statuses": {400: 500, 404: 500}},
    "failures are refusals": {"statuses": {500: 400}},
    "failures are missing": {"statuses": {500: 404, 400: 404}},
    "unknown fields and events": {"fields": True, "events": True},
    "unknown members": {"values": True, "types": True},
    "all at once": {"statuses": {400: 500, 404: 500}, "fields": True, "events": True, "values": True},
    "a failing browser mode": {"body": browser_mode_as_a_failure},
}


def usual(scenario: str, name: str, api: str) -> bool:
    """Returns True for what runs by default: each deviation on one generation, each on another one."""
    place = list(DEVIATIONS).index(name)
    if name == "a failing browser mode":
        return scenario == "client" and api == "0.8"
    if scenario == "client":
        return (place + APIS.index(api)) % len(APIS) == 0
    if name == "all at once":
        return api in {"0.6.5", "0.8"}
    return api == ("0.6.5", "0.8")[(place + len(scenario)) % 2]


ROWS = [
    pytest.param(
        (scenario, name, api, ("sync", "async")[(i + j + k) % 2]),
        id=f"{scenario}-{name}-{api}",
        marks=[] if usual(scenario, name, api) else pytest.mark.exhaustive,
    )
    for i, scenario in enumerate(SCENARIOS)
    for j, name in enumerate(DEVIATIONS)
    for k, api in enumerate(APIS)
    if (name != "a failing browser mode" or api in {"0.8", "next"})
    # Mix 0.5 and 0.6 cancel the turn of a stream that breaks, unless it is over by then.
    and (scenario != "reopened" or api not in {"0.5", "0.6"})
    and (scenario == "client" or name == "all at once" or api in {"0.6.5", "0.8"})
]


@pytest.mark.parametrize("api", APIS)
def test_the_documented_outcome(api: str) -> None:
    client, _ = documented("client", api, "sync")
    assert client[1][0] == ("I look. Found.", "I look. Found.", [("call", "grep", "succeeded")], True)
    known = ["0.8", "next"] if api in {"0.8", "next"} else [api]  # Sessions of these two look alike.
    assert client[-1] == ("known", known)
    chat, _ = documented("chat", api, "sync")
    assert chat[1:4] == [["go", "I look. Found."], ["go", "I look. Found.", "and?", "Again."], 4]
    assert chat[-1] == known


@pytest.mark.parametrize("row", ROWS)
def test_the_outcome_is_that_of_a_documented_server(deviations: Any, row: tuple[str, str, str, str]) -> None:
    scenario, name, api, shell = row
    expected, requests = documented(scenario, api, shell)
    deviation = deviations.Deviation(**DEVIATIONS[name])
    with deviations.DeviantEmulator(api, agent(), deviation=deviation) as server:
        assert list(SCENARIOS[scenario](server, shell)) == expected
        if scenario == "client":  # LangGraph stores in the background, so that graphs differ from run to run.
            assert len(server.requests) == requests, "a refusal is not asked for again"


REWRITTEN: dict[str, Callable[[int, str], tuple[int, Any]]] = {
    "another-status": lambda status, words: (
        422,
        {"error": {"code": 422, "message": words, "type": "validation_error"}},
    ),
    "in-detail": lambda status, words: (status, {"detail": {"error": {"message": words, "type": "validation_error"}}}),
    "text-in-detail": lambda status, words: (status, {"detail": words}),
    "text-of-a-gateway": lambda status, words: (502, f"The upstream server answered {status}: {words}"),
    "other-words": lambda status, _: (status, {"error": {"message": "browser_mode is required", "type": "invalid"}}),
    "another-language": lambda status, _: (status, {"error": {"message": "Das Pflichtfeld fehlt.", "type": "Fehler"}}),
    "no-words": lambda status, _: (status, {}),
}


@pytest.mark.parametrize("rewritten", REWRITTEN)
@pytest.mark.parametrize(("shell", "api"), [("sync", "0.8"), ("async", "next")])
def test_a_session_is_created_however_the_refusal_is_rewritten(
    deviations: Any, shell: str, api: str, rewritten: str
) -> None:
    refusals = []

    def body(method: str, path: str, status: int, value: Any) -> tuple[int, Any]:
        if (method, path) != ("POST", "/api/sessions") or status < 400:
            return status, value
        refusals.append(value)
        return REWRITTEN[rewritten](status, value["error"]["message"])

    with deviations.DeviantEmulator(api, agent(), deviation=deviations.Deviation(body=body)) as server:
        p, mix = Performer(shell), Mix(server_url=server.url)
        assert kind(p.do(ChatMix(mix=mix), "invoke", "go")) == "AIMessage"
        assert p.do(mix.sessions, "create", title="t").browser_mode == "local-browser-service"
        assert len(refusals) == 1, "what the server takes is remembered"
        p.close(mix)


@pytest.mark.parametrize("shell", ["sync", "async"])
@pytest.mark.parametrize("api", APIS)
def test_a_session_that_is_refused_for_another_reason_says_so(deviations: Any, shell: str, api: str) -> None:
    def body(method: str, path: str, status: int, value: Any) -> tuple[int, Any]:
        if (method, path) == ("POST", "/api/sessions") and status < 400:
            return 400, {"error": {"code": 400, "message": "No more sessions today", "type": "quota"}}
        return status, value

    with deviations.DeviantEmulator(api, agent(), deviation=deviations.Deviation(body=body)) as server:
        p, mix = Performer(shell), Mix(server_url=server.url)
        with pytest.raises(MixError, match="No more sessions today"):
            p.done(mix.sessions, "create", (), {"title": "t"})
        assert ApiVersion(api) in mix.known
        p.close(mix)
