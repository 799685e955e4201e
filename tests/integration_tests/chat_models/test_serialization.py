"""Copies and written forms of ChatMix work, and no secret is in any of them."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import re
import traceback

import pytest
from langchain_core.load import dumpd, dumps, load
from langchain_core.tracers import BaseTracer

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import Faults, HttpError, Script
from langchain_mix.errors import MixError
from tests.in_turn import in_turn

KEY, PASSWORD = "k3y-of-the-proxy", "s3cret-of-ada"
COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),  # noqa: S301  # Our own.
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda model: model.model_copy(),
    "model_copy deep": lambda model: model.model_copy(deep=True),
    "load": lambda model: load(dumpd(model), allowed_objects=[ChatMix], valid_namespaces=["langchain_mix"], secrets_from_env=True),
}  # fmt: skip
LOADS = pytest.mark.filterwarnings("ignore:The function `load` is in beta")


class Traces(BaseTracer):
    """Keeps what a tracer is given."""

    def __init__(self):
        super().__init__()
        self.runs = []

    def _persist_run(self, run):
        self.runs.append(run)


@LOADS
def test_the_documentation_says_how_a_model_is_loaded():
    told = re.search(r"`(load\(dumpd\(model\).*?\))`", ChatMix.is_lc_serializable.__doc__, re.DOTALL)[1]
    model = ChatMix(server_url="http://localhost:1", system_prompt="P", max_steps=3)
    assert eval(told, {"load": load, "dumpd": dumpd, "ChatMix": ChatMix, "model": model}) == model  # noqa: S307  # Our own.


@LOADS
@pytest.mark.parametrize("scenario", in_turn(sorted(COPIES), [True, False]))
async def test_a_copy_answers_like_its_original(scenario, monkeypatch):
    how, used = scenario
    monkeypatch.setenv("MIX_API_KEY", KEY)
    agent = Script(default="Hello.")
    with MixEmulator(agent=agent) as server:
        model = ChatMix(server_url=server.url, api_key=KEY, system_prompt="P", stop=["x"], max_retries=2)
        if used:
            model.invoke("Hi")
            await model.ainvoke("Hi")
        twin = COPIES[how](model)
        assert twin.model_dump() == model.model_dump()
        assert twin.client is not model.client
        assert (await twin.ainvoke("Hi")).text == twin.invoke("Hi").text == "Hello."
        assert {r.headers.get("authorization") for r in server.requests} == {f"Bearer {KEY}"}
    assert {request.system_prompt for request in agent.requests} == {"P"}


def test_a_copy_with_other_fields_uses_them():
    with MixEmulator(agent=Script(default="One.")) as one, MixEmulator(agent=Script(default="Two.")) as two:
        model = ChatMix(server_url=one.url)
        assert model.invoke("Hi").text == "One."
        assert model.model_copy(update={"server_url": two.url}).invoke("Hi").text == "Two."
        assert model.invoke("Hi").text == "One."


def test_a_chain_is_pickled_with_its_tools_and_forms():
    agent = Script(default='{"name": "Ada"}')
    schema = {"title": "P", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    with MixEmulator(agent=agent) as server:
        chain = pickle.loads(pickle.dumps(ChatMix(server_url=server.url).with_structured_output(schema)))  # noqa: S301
        assert chain.invoke("Who?") == {"name": "Ada"}
        chain.bound.bound.client.close()


def test_what_is_written_is_json_and_names_the_secrets():
    written = dumpd(ChatMix(server_url="http://localhost:1", api_key=KEY, thinking_level="basic"))
    assert written["type"] == "constructor"
    assert written["id"] == ["langchain_mix", "chat_models", "ChatMix"]
    assert written["kwargs"]["api_key"] == {"lc": 1, "type": "secret", "id": ["MIX_API_KEY"]}
    assert written["kwargs"]["thinking_level"] == "basic"
    assert json.loads(json.dumps(written)) == written


@LOADS
def test_nothing_reads_it_that_was_not_told_to():
    written = dumpd(ChatMix(server_url="http://localhost:1"))
    with pytest.raises(ValueError, match="allowed"):
        load(written, allowed_objects=[], valid_namespaces=["langchain_mix"])


def shown_by(model):
    """All that shows an object."""
    yield from (repr(model), str(model), f"{model!r}", dumps(model), str(model._identifying_params), repr(model.client))
    yield str(model.model_dump())
    yield str(model.model_dump_json())
    yield str(model._get_ls_params())
    yield str(model._get_llm_string())
    yield repr(model.bind(stop=["x"]))
    yield repr(model.with_structured_output({"title": "P", "type": "object"}).bound)


@pytest.mark.parametrize("as_password", [False, True])
def test_no_secret_is_shown(as_password, caplog):
    secret = PASSWORD if as_password else KEY
    with MixEmulator(agent=Script(default="Hello.")) as server, caplog.at_level(logging.DEBUG):
        model = _guarded(server.url, as_password)
        traces = Traces()
        reply = model.invoke("Hi", {"callbacks": [traces]})
        shown = [*shown_by(model), str(reply), dumps(reply), *(str(run.__dict__) for run in traces.runs)]
    assert traces.runs
    assert not [text for text in shown if secret in text]
    assert secret not in caplog.text


FAULTS = [
    pytest.param(HttpError(status=401, body="no", count=99), id="401"),
    pytest.param(HttpError(status=503, count=99), id="503"),
    pytest.param(HttpError(status=200, body="<html>", count=99), id="a web page"),
]


@pytest.mark.parametrize("scenario", in_turn(FAULTS, [False, True]))
def test_no_secret_is_in_errors(scenario):
    fault, as_password = scenario
    secret = PASSWORD if as_password else KEY
    with MixEmulator(faults=Faults(fault)) as server:
        model, traces = _guarded(server.url, as_password), Traces()
        with pytest.raises(MixError) as caught:
            model.invoke("Hi", {"callbacks": [traces]})
        told = "".join(traceback.format_exception(caught.value))
        told += str(caught.value.__dict__) + repr(caught.value) + "".join(str(run.__dict__) for run in traces.runs)
        assert secret not in told
        assert secret.encode() not in pickle.dumps(caught.value)


def test_a_server_that_is_not_there_shows_no_secret():
    model = _guarded("http://127.0.0.1:1", True)
    with pytest.raises(MixError) as caught:
        model.invoke("Hi")
    assert PASSWORD not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)


def _guarded(url, as_password):
    fields = {"api": "0.8", "max_retries": 0}
    if as_password:
        return ChatMix(server_url=url.replace("http://", f"http://ada:{PASSWORD}@"), **fields)
    return ChatMix(server_url=url, api_key=KEY, **fields)


def test_wrong_fields_do_not_show_the_key():
    with pytest.raises(ValueError, match="api_keys") as caught:
        ChatMix(server_url="http://localhost:1", api_keys=KEY)
    assert KEY not in str(caught.value)
    with pytest.raises(ValueError, match="max_steps") as caught:
        ChatMix(server_url="http://localhost:1", api_key=KEY, max_steps=0)
    assert KEY not in str(caught.value)
