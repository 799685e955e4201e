from __future__ import annotations

import copy
import pickle
import subprocess
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.language_models import LangSmithParams
from langchain_core.load import dumpd, dumps, load
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import Field, PrivateAttr, ValidationError

from langchain_mix import ChatMix, client
from langchain_mix.chat_models.model_errors import as_model_error
from langchain_mix.chat_models.parameters import (
    UNNAMED_MODEL,
    CallParameters,
    MixParameterWarning,
    check_honoured,
    check_reported,
    model_preferences,
    read_call,
    session_model,
    split_model,
)
from langchain_mix.errors import MixAgentError, MixConnectionError, MixError, MixInputError, MixUnsupportedError
from langchain_mix.protocol.api import ALL, UNKNOWN, ApiKnowledge, ApiVersion
from tests.new_process import python

NEXT, V0_8 = ApiKnowledge([ApiVersion.NEXT]), ApiKnowledge([ApiVersion.V0_8])
MODEL = CallParameters(model="m", provider="p")
BARE = CallParameters(model="m")


class Opened:
    """Represents an open connection: it cannot be copied."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("An open connection.")

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("An open connection.")


class ChatDouble(ChatMix):
    """The least that is a chat model."""

    title: str | None = None
    cache: Any = Field(default=False, exclude=True)
    _client: Any = PrivateAttr(default=None)
    _problems: list[MixError] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "double"

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = Opened()
        return self._client

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params.setdefault("ls_model_name", self.model or UNNAMED_MODEL)
        return params

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        call = read_call(self, stop, kwargs)
        if self._problems:
            raise as_model_error(self._problems.pop(0))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(" ".join(call.stop)))])


@pytest.mark.filterwarnings("ignore::langchain_mix.chat_models.parameters.MixParameterWarning")
@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
class TestStandard(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[ChatDouble]:
        return ChatDouble

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"server_url": "http://localhost:1"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        env = {"MIX_SERVER_URL": "http://mix:1", "MIX_API_KEY": "k"}
        return env, {}, {"server_url": "http://mix:1", "api_key": "k"}

    @pytest.mark.xfail(
        reason="LangChain loads no classes of other packages by themselves.", raises=ValueError, strict=True
    )
    def test_serdes(self, model, snapshot) -> None:
        super().test_serdes(model, snapshot)


# Names


def test_other_names_of_parameters_are_understood():
    model = ChatDouble(base_url="http://a:1", model_name="m", request_timeout=5, stop_sequences="x")
    assert (model.server_url, model.model, model.timeout, model.stop) == ("http://a:1", "m", 5, ["x"])
    assert ChatDouble(base_url="http://a:1", server_url="http://a:1").server_url == "http://a:1"
    with pytest.raises(ValidationError, match="different values"):
        ChatDouble(base_url="http://a:1", server_url="http://b:1")


def test_unknown_parameters_are_refused():
    with pytest.raises(ValidationError, match="wrong_name"):
        ChatDouble(wrong_name=1)


@pytest.mark.parametrize(
    ("written", "name", "provider"),
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5", None),
        ("anthropic:claude-sonnet-4-5", "claude-sonnet-4-5", "anthropic"),
        ("azure-foundry:gpt", "gpt", "azure-foundry"),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1:free", None),
        ("openrouter:deepseek/deepseek-r1:free", "deepseek/deepseek-r1:free", "openrouter"),
        ("default", None, None),
        ("", None, None),
        (":x", ":x", None),
    ],
)
def test_a_model_may_name_its_provider(written, name, provider):
    assert split_model(written) == (name, provider)
    assert (ChatDouble(model=written).model, ChatDouble(model=written).provider) == (name, provider)


def test_a_provider_is_named_once():
    assert ChatDouble(model="anthropic:m", provider="anthropic").provider == "anthropic"
    with pytest.raises(ValidationError, match="contradicts"):
        ChatDouble(model="anthropic:m", provider="openai")


# Warned about or refused


def test_what_mix_lacks_is_warned_about_where_it_was_given():
    with pytest.warns(MixParameterWarning, match="`max_tokens`, `temperature`") as caught:
        ChatDouble(temperature=0, max_tokens=5)
    assert [w.filename for w in caught] == [__file__]
    with pytest.warns(MixParameterWarning, match="`top_p`") as caught:
        ChatDouble(top_p=0.5, seed=None)
    assert [w.filename for w in caught] == [__file__]


def test_nothing_is_said_when_nothing_is_lost():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ChatDouble(timeout=3, stop=["x"], streaming=True, max_retries=2, n=1, logprobs=False, top_p=None)
        ChatDouble(max_tokens=5, model="m", set_preferences=True)
    with pytest.warns(MixParameterWarning, match="`max_tokens`"):
        ChatDouble(max_tokens=5, set_preferences=True)


@pytest.mark.parametrize("wrong", [{"n": 2}, {"logprobs": True}, {"top_logprobs": 3}, {"modalities": ["audio"]}])
def test_what_a_reply_would_be_wrong_without_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ChatDouble(**wrong)
    with pytest.raises(MixInputError, match=next(iter(wrong))):
        read_call(ChatDouble(), None, wrong)


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"max_retries": -1}, {"stop": [""]}, {"max_tokens": 0}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        ChatDouble(**wrong)


# Calls


def test_a_call_takes_over_what_the_object_says():
    model = ChatDouble(model="p:m", stop=["x"], timeout=7)
    call = read_call(model, None, {})
    assert (call.model, call.provider, call.stop, call.timeout) == ("m", "p", ("x",), 7)
    assert not call.model_is_override


def test_a_call_may_ask_for_something_else():
    model = ChatDouble(model="p:m", stop=["x"], timeout=7)
    call = read_call(model, ["y", "y"], {"model": "q:other", "timeout": 3, "tools": [1]}, known={"tools"})
    assert (call.model, call.provider, call.stop, call.timeout) == ("other", "q", ("y",), 3.0)
    assert call.model_is_override
    assert dict(call.rest) == {"tools": [1]}
    assert read_call(model, [], {}).stop == ()
    assert not read_call(model, None, {"model": "m"}).model_is_override
    assert read_call(model, None, {"model_name": "z"}).model == "z"


def test_none_asks_for_nothing():
    assert read_call(ChatDouble(), None, {"temperature": None, "odd": None, "model": None}).model is None


def test_arguments_of_langchain_itself_pass():
    model = ChatDouble()
    given = {"stream": True, "ls_structured_output_format": {}, "n": 1}
    assert read_call(model, None, given) == read_call(model, None, {})


def test_settings_of_models_are_warned_about_in_calls_too():
    with pytest.warns(MixParameterWarning, match="`temperature`, `top_p`"):
        read_call(ChatDouble(), None, {"temperature": 1, "top_p": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "k"),
        ("base_url", "http://x"),
        ("max_retries", 1),
        ("timeout", 0),
        ("timeout", "3"),
        ("timeout", True),
        ("timeout", float("nan")),
        ("model", 3),
        ("odd", 1),
    ],
)
def test_other_arguments_of_calls_are_refused(name, value):
    with pytest.raises(MixInputError):
        read_call(ChatDouble(), None, {name: value})


def test_stop_of_a_call_stands_before_that_of_the_object():
    model = ChatDouble(stop=["a"])
    assert model.invoke("hi").text == "a"
    assert model.invoke("hi", stop=["b", "c"]).text == "b c"


# Secrets


def test_sessions_have_models_on_the_next_generation():
    assert session_model(MODEL, NEXT) == session_model(MODEL, UNKNOWN) == {"model_id": "m", "provider": "p"}
    for version in ALL[:-1]:
        assert session_model(MODEL, ApiKnowledge([version])) is None
    assert session_model(BARE, UNKNOWN) is None
    assert session_model(CallParameters(provider="p"), NEXT) is None


def test_older_servers_have_preferences():
    for version in ALL[:-1]:
        detected = ApiKnowledge([version])
        fields = {"main_agent_model": "m", "main_agent_max_tokens": 5, "preferred_provider": "p"}
        assert model_preferences(MODEL, detected, 5) == fields
        assert model_preferences(BARE, detected, None) == {"main_agent_model": "m"}
    assert model_preferences(MODEL, NEXT, None) is None
    assert model_preferences(CallParameters(provider="p"), UNKNOWN, 5) is None


def test_a_model_of_the_object_is_warned_about_and_one_of_the_call_is_not_traded():
    with pytest.warns(MixParameterWarning, match="'m' cannot be chosen"):
        check_honoured(MODEL, V0_8)
    with pytest.raises(MixUnsupportedError, match="'m' cannot be chosen"):
        check_honoured(CallParameters(model="m", model_is_override=True), UNKNOWN)
    with pytest.raises(MixUnsupportedError, match="in a session that was created with another one"):
        check_honoured(CallParameters(model="m", provider="p", model_is_override=True), NEXT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_honoured(CallParameters(), V0_8)


def test_a_model_that_answers_in_the_place_of_another_is_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_reported("m-20260101", "m")
    with pytest.warns(MixParameterWarning, match="'other' has answered"):
        check_reported("other", "m")


def test_the_key_is_sent_to_the_proxy_and_shown_nowhere():
    model = ChatDouble(api_key="hunter2")
    assert model.request_headers() == {"Authorization": "Bearer hunter2"}
    assert "hunter2" not in repr(model) + str(dumpd(model)) + str(model) + str(model.asdict())
    assert ChatDouble().request_headers() == {}


def test_credentials_of_the_url_are_a_secret():
    model = ChatDouble(server_url="https://ann:hunter%402@mix.example:8443/base")
    assert model.server_url == "https://mix.example:8443/base"
    assert model.request_headers() == {"Authorization": "Basic YW5uOmh1bnRlckAy"}
    assert "hunter" not in repr(model) + str(dumpd(model))
    assert dumpd(model)["kwargs"]["url_credentials"]["id"] == ["MIX_URL_CREDENTIALS"]
    with pytest.raises(ValidationError, match="only one"):
        ChatDouble(server_url="https://ann:hunter2@mix.example", api_key="k")


@pytest.mark.parametrize("wrong", [{"n": 2}, {"model": "a:b", "provider": "c"}, {"timeout": -1}, {"odd": 1}])
def test_errors_do_not_show_the_key(wrong):
    with pytest.raises(ValidationError) as caught:
        ChatDouble(api_key="hunter2", **wrong)
    assert "hunter2" not in str(caught.value)


def test_retries_are_those_of_the_client():
    assert ChatDouble().retry_config() is None
    assert [ChatDouble(max_retries=n).retry_config().max_attempts for n in (0, 2)] == [1, 3]


def test_with_retry_never_repeats_what_the_server_may_have_taken():
    for problem, attempts in ((MixConnectionError("x"), 2), (MixAgentError("x", acted="yes"), 1)):
        for wanted in ({}, {"retry_if_exception_type": (Exception,)}):
            model = ChatDouble()
            model._problems += [problem, MixAgentError("second", acted="yes")]
            with pytest.raises(MixAgentError):
                model.with_retry(wait_exponential_jitter=False, **wanted).invoke("hi")
            assert len(model._problems) == 2 - attempts
    bound = ChatDouble()
    bound._problems += [MixAgentError("x", acted="yes")]
    with pytest.raises(MixAgentError):
        bound.bind(stop=["x"]).with_retry(wait_exponential_jitter=False).invoke("hi")
    assert bound._problems == []


# Serialising and copying


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_it_is_written_and_read_without_its_key(monkeypatch):
    model = ChatDouble(server_url="http://a:1", api_key="hunter2", stop=["x"], title="T", model="p:m")
    written = dumpd(model)
    assert written["kwargs"]["api_key"] == {"lc": 1, "type": "secret", "id": ["MIX_API_KEY"]}
    assert "hunter2" not in dumps(model)
    monkeypatch.setenv("MIX_API_KEY", "hunter2")
    namespace = ChatDouble.get_lc_namespace()
    assert namespace == ChatDouble.__module__.split(".")[:2]
    monkeypatch.setattr(ChatDouble, "get_lc_namespace", classmethod(lambda cls: cls.__module__.split(".")))
    read = load(dumpd(model), allowed_objects=[ChatDouble], valid_namespaces=namespace[:1], secrets_from_env=True)
    assert read == model
    assert read.api_key.get_secret_value() == "hunter2"


def test_copies_are_equal_and_open_nothing_of_the_original():
    model = ChatDouble(server_url="http://a:1", api_key="k", stop=["x"], tags=["t"])
    opened = model.client
    assert model._serialized["type"] == "constructor"
    twins = {
        "pickle": pickle.loads(pickle.dumps(model)),  # noqa: S301  # Our own.
        "copy": copy.copy(model),
        "deepcopy": copy.deepcopy(model),
        "model_copy": model.model_copy(),
        "model_copy deep": model.model_copy(deep=True),
    }
    for how, twin in twins.items():
        assert type(twin) is ChatDouble, how
        assert twin._client is None, how
        assert twin.model_dump() == model.model_dump(), how
        assert twin.model_fields_set == model.model_fields_set, how
        assert twin.client is not opened, how
    assert model.client is opened
    moved = model.model_copy(update={"server_url": "http://b:1"})
    assert moved._client is None
    assert moved._serialized["kwargs"]["server_url"] == "http://b:1"
    assert copy.deepcopy(model).stop is not model.stop
    assert copy.copy(model).stop is model.stop


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, ChatMix.model_copy, lambda m: pickle.loads(pickle.dumps(m))],  # noqa: S301  # Our own.
)
def test_copies_begin_with_private_attributes_of_their_own(copied):
    """Of a subclass too, whose default may be made by a function."""
    model = ChatDouble()
    model._problems.append(MixError("It is down."))
    assert copied(model)._problems == []
    assert model._problems


def test_threads_that_begin_at_once_share_one_client(monkeypatch):
    both = threading.Barrier(2, timeout=10)

    class Slow(client.Mix):
        def __init__(self, **options):
            super().__init__(**options)
            both.wait()

    monkeypatch.setattr(client, "Mix", Slow)
    model = ChatMix(server_url="http://localhost:1")
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: model.client, range(2))
    assert one is other is model.client


AT_ONCE = """
import json, sys, threading
from concurrent.futures import ThreadPoolExecutor
from langchain_mix import ChatMix

sys.setswitchinterval(1e-6)
together = threading.Barrier(8, timeout=20)


def make(number):
    together.wait()
    model = ChatMix(server_url="http://localhost:1", title=str(number), api_key="secret")
    return model, model.client


with ThreadPoolExecutor(8) as pool:
    made = list(pool.map(make, range(8)))
wanted = ChatMix(server_url="http://localhost:1", title="", api_key="secret")
for number, (model, client) in enumerate(made):
    assert model.title == str(number)
    assert model.model_copy(update={"title": ""}).model_dump() == wanted.model_dump()
    assert model._serialized["kwargs"].keys() == wanted._serialized["kwargs"].keys()
    assert model.client is client
print(len({id(client) for _, client in made}))
"""


def test_threads_that_make_the_first_model_of_a_process_at_once_all_have_a_whole_one():
    """A copy of the process that made no model: what a first one builds or loads must not show half of it to others."""
    done = subprocess.run(python(AT_ONCE), capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("8\n", "")
