"""Each field of ChatMix and each argument of a call does what it says: ignoring one makes a test here fail."""

from __future__ import annotations

import base64
import copy
import pickle
import threading
import warnings
from types import SimpleNamespace

import httpx
import pytest
from langchain.chat_models import base as langchain_models
from langchain.chat_models import init_chat_model
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumpd, dumps
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import ConfigurableField
from pydantic import BaseModel

from langchain_mix import ChatMix, Mix, MixEmulator
from langchain_mix.chat_models.parameters import MixParameterWarning
from langchain_mix.chat_models.reply_parser import DATA_ONLY
from langchain_mix.chat_models.request import FIELDS, TOOL_ARGUMENTS
from langchain_mix.chat_models.tool_prompt import CALLS_CHECKED
from langchain_mix.emulator import Faults, Gate, HttpError, Script, say, turn, use
from langchain_mix.emulator.agents.base import Usage, Wait
from langchain_mix.errors import (
    MixConfigurationError,
    MixError,
    MixHistoryDiverged,
    MixInputError,
    MixSessionBusy,
    MixTurnTimeout,
    MixUnsupportedError,
)
from tests.in_turn import in_turn

WRITES = turn([use("Write", {"file_path": "a.txt", "content": "x"}, ask=True)], say("Done."))
GREPS = turn(
    [use("Grep", {"pattern": "x"}, result="r"), Usage(cost=1.0)],
    [use("Grep", {"pattern": "y"}, result="r")],
    say("End"),
)
ASKS = turn([use("Notify", {"title": "T", "message": "M"}, id="call")], say("Done."))
MODEL = "claude-sonnet-4-5"


class Heard(BaseCallbackHandler):
    """Counts the events of callbacks."""

    def __init__(self):
        self.tokens = self.tools = 0

    def on_llm_new_token(self, *_, **__):
        self.tokens += 1

    def on_tool_start(self, *_, **__):
        self.tools += 1


def observe(look, *, api="0.8", script=(), text="Hi", fields=None, call=None, faults=None):
    """Observes a call: the reply or error, what the agent was asked, what the server got."""
    agent, heard = Script(*script, default="Hello."), Heard()
    with MixEmulator(api=api, agent=agent, faults=faults) as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", MixParameterWarning)
        model = ChatMix(**{"server_url": server.url, **(fields or {})})
        try:
            reply = model.invoke(text, {"callbacks": [heard]}, **(call or {}))
        except MixError as error:
            reply = error
        preferences = server.state.preferences.get()["preferences"]
        return look(
            SimpleNamespace(
                agent=agent,
                server=server,
                reply=reply,
                heard=heard,
                preferences=preferences,
                asked=agent.requests[0] if agent.requests else None,
                warned=[str(w.message) for w in warned],
            )
        )


def status_of_tool(seen):
    return next(b for b in seen.reply.content_blocks if b["type"] == "server_tool_result")["status"]


def requests_to(seen, path, method="POST"):
    return [r for r in seen.server.requests if r.path.endswith(path) and r.method == method]


def answer(_):
    return ""


def case(**parts):
    return parts


BOTH = {
    "system_prompt": case(value="P", wanted="P", look=lambda s: s.asked.system_prompt),
    "title": case(value="Named", wanted=["Named"], look=lambda s: [t["title"] for t in s.server.state.sessions.listing(include_subagents=False)]),
    "plan_mode": case(value=True, wanted=True, look=lambda s: s.asked.plan_mode),
    "thinking_level": case(value="maximum", wanted="maximum", look=lambda s: s.asked.thinking_level),
    "max_steps": case(value=1, wanted=True, look=lambda s: "maximum iteration limit" in str(s.reply), script=[GREPS]),
    "max_cost": case(value=0.5, wanted=True, look=lambda s: "max_cost=$0.5" in str(s.reply), script=[GREPS]),
    "permissions": case(value="allow", wanted="success", look=status_of_tool, script=[WRITES]),
    "on_notification": case(
        value=answer, wanted=1, look=lambda s: len(requests_to(s, "/respond")), script=[ASKS]
    ),
    "retention": case(value="delete", wanted=[], look=lambda s: s.server.state.sessions.listing(include_subagents=False)),
    "emit_tool_runs": case(value=False, wanted=0, look=lambda s: s.heard.tools, script=[GREPS]),
    "stop": case(value=["lo"], wanted="Hel", look=lambda s: s.reply.text),
    "timeout": case(
        value=0.4, wanted=True, look=lambda s: isinstance(s.reply, MixTurnTimeout), script=[turn([*say("Half"), Wait(Gate())])],
    ),
    "model": case(
        value=f"anthropic:{MODEL}", wanted=MODEL, api="next", look=lambda s: s.server.state.sessions.listing(include_subagents=False)[0].get("modelId")
    ),
}  # fmt: skip
"""Parameters that an object and a call of it take alike."""
ELSEWHERE = {
    "session_id",  # test_sessions.py: test_a_named_session_is_used
    "on_divergence", "multitask_strategy",  # Fields and arguments.
    "server_url", "api", "api_key", "url_credentials", "prompt_mode", "provider", "set_preferences", "max_retries",
    "streaming", "temperature", "max_tokens", "session_per_thread", "cache",
    "headers", "http_client", "http_async_client", "mix", "max_reply_bytes",
}  # fmt: skip
"""Fields that a test below shows, or one elsewhere that is named."""


def test_no_field_and_no_argument_is_without_a_test():
    own = set(ChatMix.model_fields) - (set(BaseChatModel.model_fields) - {"cache"})
    assert own == set(BOTH) | ELSEWHERE
    assert set(BOTH) | ELSEWHERE >= FIELDS
    # test_agents.py and test_structured_output.py; the last two are what ChatMix binds for itself.
    shown = {"tools", "tool_choice", "parallel_tool_calls", "response_format", "strict"}
    assert shown | {DATA_ONLY, CALLS_CHECKED} == TOOL_ARGUMENTS


@pytest.mark.filterwarnings("ignore::langchain_mix.MixPermissionWarning")  # The default, to compare with.
@pytest.mark.parametrize("name", sorted(set(BOTH) - {"timeout", "on_notification"}))
def test_it_is_honoured_as_field_and_as_argument(name):
    case = dict(BOTH[name])
    value, wanted = case.pop("value"), case.pop("wanted")
    assert observe(**case, fields={name: value}) == wanted
    assert observe(**case, call={name: value}) == wanted
    assert observe(**case) != wanted


@pytest.mark.parametrize("where", ["fields", "call"])
def test_a_turn_has_the_time_that_it_is_given(where):
    case = BOTH["timeout"]
    assert observe(case["look"], script=case["script"], **{where: {"timeout": 0.4}}) is True


@pytest.mark.parametrize("where", ["fields", "call"])
def test_notifications_are_answered_by_the_policy(where):
    case = BOTH["on_notification"]
    assert observe(case["look"], script=case["script"], **{where: {"on_notification": answer}}) == 1


@pytest.mark.parametrize("name", sorted(FIELDS & set(BOTH) - {"max_cost", "max_steps", "on_notification"}))
def test_a_call_stands_before_its_object(name):
    case = dict(BOTH[name])
    value, wanted = case.pop("value"), case.pop("wanted")
    default = ChatMix.model_fields[name].default
    assert observe(**case, fields={name: _other(name, default)}, call={name: value}) == wanted


def _other(name, default):
    return {"thinking_level": "off", "system_prompt": "Q", "title": "U"}.get(name, default)


# One by one


def test_the_server_is_the_one_that_was_named(monkeypatch):
    with MixEmulator() as one, MixEmulator() as other:
        monkeypatch.setenv("MIX_SERVER_URL", other.url)
        ChatMix(server_url=one.url).invoke("What is 1+1?")
        assert one.requests
        assert not other.requests
        ChatMix(base_url=one.url).invoke("What is 1+1?")
        assert not other.requests
        ChatMix().invoke("What is 1+1?")
        assert other.requests


def test_a_generation_that_is_named_is_not_found_out():
    def refused(seen):
        return [r.status for r in requests_to(seen, "/api/sessions") if r.status != 201]

    assert observe(refused, fields={"api": "0.8"}) == []
    assert observe(refused) == [400]


@pytest.mark.parametrize("by", ["field", "environment"])
def test_the_key_is_sent_to_the_proxy(by, monkeypatch):
    if by == "environment":
        monkeypatch.setenv("MIX_API_KEY", "k3y")
    told = observe(
        lambda s: {r.headers.get("authorization") for r in s.server.requests},
        fields={"api_key": "k3y"} if by == "field" else {},
    )
    assert told == {"Bearer k3y"}


def test_credentials_of_the_url_are_sent_to_the_proxy():
    with MixEmulator(agent=Script()) as server:
        model = ChatMix(server_url=server.url.replace("http://", "http://ada:s%40crt@"))
        model.invoke("Hi")
        told = {r.headers.get("authorization") for r in server.requests}
        pair = base64.b64encode(b"ada:s@crt").decode()
        assert told == {f"Basic {pair}"}
        assert "s@crt" not in repr(model)
        assert model.server_url == server.url


def test_headers_are_sent_with_every_request_and_kept_as_secrets():
    with MixEmulator(agent=Script(default="Hello.")) as server:
        model = ChatMix(server_url=server.url, headers={"X-Team": "blue s3cret"}, api_key="k3y")
        model.invoke("Hi")
        assert {r.headers.get("x-team") for r in server.requests} == {"blue s3cret"}
        assert {r.headers.get("authorization") for r in server.requests} == {"Bearer k3y"}
        server.forget_requests()
        ChatMix(server_url=server.url, headers={"authorization": "Own x"}, api_key="k3y").invoke("Hi")
        assert {r.headers.get("authorization") for r in server.requests} == {"Own x"}
        server.forget_requests()
        pickle.loads(pickle.dumps(model)).invoke("Hi")  # noqa: S301  # Our own.
        copy.deepcopy(model).invoke("Hi")
        model.configurable_fields(title=ConfigurableField(id="t")).invoke("Hi")
        assert {r.headers.get("x-team") for r in server.requests} == {"blue s3cret"}
    assert "s3cret" not in repr(model) + str(model.model_dump()) + dumps(model)
    assert dumpd(model)["kwargs"]["headers"] == {"lc": 1, "type": "secret", "id": ["MIX_HEADERS"]}
    fields = {"server_url": model.server_url, "api_key": "k3y"}
    model = ChatMix(headers={"X-Team": "blue s3cret"}, **fields)
    assert ChatMix(headers='{"X-Team": "blue s3cret"}', **fields) == model
    assert ChatMix(headers={"X-Team": "red"}, **fields) != model


async def test_http_clients_of_the_user_are_used_and_shared_with_copies():
    used = []

    def note(request):
        used.append("sync")

    async def anote(request):
        used.append("async")

    with MixEmulator(agent=Script(default="Hello.")) as server, httpx.Client(event_hooks={"request": [note]}) as own:
        async with httpx.AsyncClient(event_hooks={"request": [anote]}) as other:
            model = ChatMix(server_url=server.url, client=own, async_client=other)
            for twin in (model, copy.copy(model), copy.deepcopy(model), model.model_copy(deep=True)):
                twin.invoke("Hi")
                assert set(used) == {"sync"}
                used.clear()
                await twin.ainvoke("Hi")
                assert set(used) == {"async"}
                used.clear()
            with pytest.raises(MixConfigurationError, match="cannot be pickled"):
                pickle.dumps(model)
            assert not own.is_closed
            assert "httpx" not in repr(model) + dumps(model)


def test_a_client_of_the_user_stands_for_its_options(monkeypatch):
    monkeypatch.setenv("MIX_SERVER_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MIX_API_KEY", "of the environment")
    with MixEmulator(agent=Script(default="Hello.")) as server, Mix(server_url=server.url, headers={"X": "1"}) as mix:
        model = ChatMix(mix=mix)
        assert model.client is mix
        assert copy.deepcopy(model).client is mix
        model.configurable_fields(title=ConfigurableField(id="t")).invoke("Hi")
        assert {r.headers.get("x") for r in server.requests} == {"1"}
        assert {r.headers.get("authorization") for r in server.requests} == {None}
        with pytest.raises(MixConfigurationError, match="cannot be pickled"):
            pickle.dumps(model)
        for other in (
            {"server_url": "http://127.0.0.1:2"},
            {"api_key": "k"},
            {"headers": {"X": "2"}},
            {"api": "0.8"},
            {"max_retries": 1},
            {"client": httpx.Client()},
        ):
            with pytest.raises(ValueError, match=f"{next(iter(other))} would be ignored"):
                ChatMix(mix=mix, **other)
    with pytest.raises(ValueError, match="not a client of this package"):
        ChatMix(mix="http://localhost")


@pytest.mark.parametrize("wrong", [{"client": httpx.AsyncClient()}, {"async_client": httpx.Client()}, {"client": 1}])
def test_http_clients_of_another_kind_are_refused(wrong):
    with pytest.raises(ValueError, match="Pass an httpx"):
        ChatMix(**wrong)


def test_the_prompts_place_is_honoured():
    look = lambda s: s.asked.prompt_mode  # noqa: E731
    assert observe(look, fields={"system_prompt": "P", "prompt_mode": "replace"}) == "replace"
    assert observe(look, fields={"system_prompt": "P"}) == "append"


def test_a_provider_goes_along_with_its_model():
    look = lambda s: s.server.state.sessions.listing(include_subagents=False)[0].get("provider")  # noqa: E731
    assert observe(look, api="next", fields={"model": MODEL, "provider": "anthropic"}) == "anthropic"
    assert observe(lambda s: str(s.reply), api="next", fields={"model": MODEL, "api": "next"}).startswith(
        "Mix of this generation needs"
    )


def test_preferences_are_only_changed_where_that_is_allowed():
    def look(seen):
        return seen.preferences["main_agent_model"], seen.preferences["main_agent_max_tokens"], bool(seen.warned)

    wanted = {"model": "o4-mini", "provider": "openai", "max_tokens": 777}
    untouched = observe(look)
    assert observe(look, fields={**wanted, "set_preferences": True}) == ("o4-mini", 777, False)
    assert observe(look, fields=wanted) == (*untouched[:2], True)


def test_a_model_of_a_call_is_not_traded_for_another():
    error = observe(lambda s: s.reply, call={"model": "o4-mini"})
    assert isinstance(error, MixUnsupportedError)
    assert "o4-mini" in str(error)
    assert observe(lambda s: len(s.server.requests), call={"model": "o4-mini"}, fields={"api": "0.8"}) == 0


@pytest.mark.parametrize("scenario", in_turn(["auto", "next"], ["fields", "call"]))
def test_the_newest_servers_refuse_a_model_without_its_provider_before_anything_is_made(scenario):
    api, where = scenario
    fields = {"api": api, "set_preferences": True}
    asked = {**fields, "model": MODEL} if where == "fields" else fields
    error, sessions = observe(
        lambda s: (s.reply, s.server.state.sessions.listing(include_subagents=False)),
        api="next",
        fields=asked,
        call={"model": MODEL} if where == "call" else {},
    )
    assert isinstance(error, MixInputError)
    assert f"model='anthropic:{MODEL}'" in str(error)
    assert sessions == []


def test_a_session_of_the_newest_servers_keeps_its_model():
    with MixEmulator(api="next", agent=Script()) as server:
        model = ChatMix(server_url=server.url, model=f"anthropic:{MODEL}", set_preferences=True)
        talk = [HumanMessage("Hi")]
        talk += [model.invoke(talk), HumanMessage("Go on")]
        with pytest.raises(MixUnsupportedError, match="created with another one"):
            model.invoke(talk, model="openai:o4-mini")
        other = ChatMix(server_url=server.url, model="openai:o4-mini", set_preferences=True)
        with pytest.warns(MixParameterWarning, match="own is used"):
            assert other.invoke(talk).response_metadata["model_name"] == MODEL


def test_a_talk_goes_on_with_the_model_of_its_session():
    with MixEmulator(api="next", agent=Script()) as server:
        model = ChatMix(server_url=server.url, model=f"anthropic:{MODEL}")
        talk = [HumanMessage("Hi")]
        talk += [model.invoke(talk), HumanMessage("Go on")]
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            reply = model.invoke(talk)
        assert not [str(w.message) for w in warned if issubclass(w.category, MixParameterWarning)]
        assert reply.response_metadata["model_name"] == MODEL


def test_retries_of_requests_are_counted():
    fault = lambda: Faults(HttpError(match="GET .*/messages", count=1))  # noqa: E731
    look = lambda s: len([r for r in requests_to(s, "/messages", "GET") if r.status == 503])  # noqa: E731
    tries = lambda s: len(requests_to(s, "/messages", "GET"))  # noqa: E731
    assert observe(look, faults=fault()) == 1
    assert observe(tries, faults=fault(), fields={"max_retries": 2}) == 2
    assert observe(tries, faults=fault(), fields={"max_retries": 0}) == 1


def test_invoke_streams_inside_where_that_is_wanted():
    look = lambda s: s.heard.tokens > 0  # noqa: E731
    assert observe(look, fields={"streaming": True}) is True
    assert observe(look) is False
    assert observe(look, fields={"streaming": True, "disable_streaming": True}) is False


@pytest.mark.parametrize("scenario", in_turn(["temperature", "max_tokens", "top_p"], ["fields", "call"]))
def test_what_mix_lacks_is_told_once_and_the_reply_comes(scenario):
    name, where = scenario
    reply, warned = observe(lambda s: (s.reply, s.warned), **{where: {name: 1}})
    assert reply.text == "Hello."
    assert [name in text for text in warned] == [True]


def test_a_thread_may_have_a_session_of_its_own():
    with MixEmulator(agent=Script()) as server:

        def sessions(**fields):
            model = ChatMix(server_url=server.url, **fields)
            replies = [model.invoke("Hi", {"configurable": {"thread_id": "t"}}) for _ in range(2)]
            return len({reply.response_metadata["mix"]["session_id"] for reply in replies})

        assert sessions(session_per_thread=True) == 1
        assert sessions() == 2


@pytest.mark.parametrize("where", ["field", "call"])
def test_a_changed_history_may_be_an_error(where):
    with MixEmulator(agent=Script()) as server:
        options = {"on_divergence": "error"}
        model = ChatMix(server_url=server.url, **(options if where == "field" else {}))
        reply = ChatMix(server_url=server.url).invoke("Hi")
        talk = [HumanMessage("Hello"), reply, HumanMessage("Go on")]
        with pytest.raises(MixHistoryDiverged):
            model.invoke(talk, **(options if where == "call" else {}))
        assert ChatMix(server_url=server.url).invoke(talk).text


@pytest.mark.parametrize("where", ["field", "call"])
def test_a_busy_session_is_refused_or_waited_for(where):
    gate = Gate()
    with MixEmulator(agent=Script(turn([Wait(gate), *say("First.")]), "Second.")) as server:
        model = ChatMix(server_url=server.url)
        named = model.client.sessions.create(title="T").id
        options = {"multitask_strategy": "enqueue"}
        waiting = ChatMix(server_url=server.url, session_id=named, **(options if where == "field" else {}))
        found = []
        first = threading.Thread(target=lambda: found.append(model.invoke("One", session_id=named).text))
        first.start()
        assert gate.reached.wait(10)
        with pytest.raises(MixSessionBusy):
            model.invoke("Two", session_id=named)
        second = threading.Thread(
            target=lambda: found.append(waiting.invoke("Two", **(options if where == "call" else {})).text)
        )
        second.start()
        gate.open()
        first.join(20)
        second.join(20)
    assert found == ["First.", "Second."]


# As a runnable


class Answer(BaseModel):
    """An answer."""

    text: str


def test_bound_and_configured_arguments_reach_the_agent():
    agent = Script()
    with MixEmulator(agent=agent) as server:
        model = ChatMix(server_url=server.url, max_retries=1)
        model.bind(thinking_level="medium").invoke("Hi")
        changing = model.configurable_fields(
            system_prompt=ConfigurableField(id="prompt"), thinking_level=ConfigurableField(id="level")
        )
        changing.with_config(configurable={"prompt": "P", "level": "basic"}).invoke("Hi")
        changing.invoke("Hi")
        other = ChatMix(server_url=server.url, system_prompt="O")
        model.configurable_alternatives(ConfigurableField(id="which"), other=other).with_config(
            configurable={"which": "other"}
        ).invoke("Hi")
    seen = [(request.thinking_level, request.system_prompt) for request in agent.requests]
    assert seen == [("medium", ""), ("basic", "P"), (None, ""), (None, "O")]


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(langchain_models, "_BUILTIN_PROVIDERS", dict(langchain_models._BUILTIN_PROVIDERS))
    langchain_models._BUILTIN_PROVIDERS.pop("mix", None)
    langchain_models._get_chat_model_creator.cache_clear()
    import langchain_mix

    langchain_mix.register()
    yield
    langchain_models._get_chat_model_creator.cache_clear()


@pytest.mark.usefixtures("registered")
def test_langchain_makes_it_by_its_name():
    agent = Script()
    with MixEmulator(api="next", agent=agent) as server:
        model = init_chat_model("mix:default", server_url=server.url, system_prompt="P")
        assert type(model) is ChatMix
        assert model.model is None
        assert model.invoke("Hi").text
        named = init_chat_model(f"mix:anthropic:{MODEL}", server_url=server.url)
        assert (named.model, named.provider) == (MODEL, "anthropic")
        assert named.invoke("Hi").response_metadata["model_name"] == MODEL
        changing = init_chat_model(
            "mix:default", server_url=server.url, configurable_fields=("thinking_level",), config_prefix="m"
        )
        changing.invoke("Hi", {"configurable": {"m_thinking_level": "basic"}})
        assert agent.requests[-1].thinking_level == "basic"
        assert changing.with_structured_output(Answer, include_raw=True).invoke("Hi")["raw"].text


def test_a_cache_tells_models_of_other_settings_apart():
    cache = InMemoryCache()
    with MixEmulator(agent=Script()) as server:
        for fields in ({}, {"system_prompt": "P"}, {"thinking_level": "basic"}, {"session_id": None, "title": "T"}):
            ChatMix(server_url=server.url, cache=cache, **fields).invoke("Hi")
        assert len(server.agent.requests) == 4


# Estimates


def test_tokens_are_estimated_without_a_request():
    with MixEmulator() as server:
        model = ChatMix(server_url=server.url)
        assert model.get_num_tokens("word " * 100) == 125
        assert model.get_num_tokens_from_messages([HumanMessage("word " * 100), AIMessage("Yes.")]) > 125
        assert not server.requests
        own = ChatMix(server_url=server.url, custom_get_token_ids=lambda text: [1] * len(text))
        assert own.get_num_tokens("abc") == 3


def test_the_profile_says_what_agents_want_to_know():
    model = ChatMix(server_url="http://localhost:1", model="anthropic:claude-x")
    assert model.profile["tool_calling"] is True
    assert model.profile["structured_output"] is True
    assert model.profile["name"] == "claude-x"
    assert "max_input_tokens" not in model.profile
    assert ChatMix(profile={"tool_calling": False}).profile == {"tool_calling": False}


def test_values_of_a_call_are_checked_like_those_of_the_object():
    wrong = {
        "retention": "dele",
        "on_divergence": "forkk",
        "multitask_strategy": "wait",
        "thinking_level": "huge",
        "max_steps": 0,
        "max_cost": -1,
        "permissions": "maybe",
        "plan_mode": "perhaps",
    }
    with MixEmulator() as server:
        for name, value in wrong.items():
            with pytest.raises(MixInputError, match=name if name != "permissions" else "maybe"):
                ChatMix(server_url=server.url).invoke("Hi", **{name: value})
        assert not server.requests


def test_arguments_that_cannot_be_honoured_are_refused_before_anything_is_sent():
    wrong = {"temprature": 1, "server_url": "http://b", "api_key": "k", "n": 2, "logprobs": True, "timeout": -1}
    with MixEmulator() as server:
        for name, value in wrong.items():
            with pytest.raises(MixInputError, match=name):
                ChatMix(server_url=server.url).invoke("Hi", **{name: value})
        assert not server.requests
