from __future__ import annotations

import warnings

import pytest

from langchain_mix.chat_models.model_choice import Route, model_told, not_honoured, routes_to_model
from langchain_mix.chat_models.parameters import UNNAMED_MODEL, CallParameters, MixParameterWarning
from langchain_mix.errors import MixInputError, MixUnsupportedError
from langchain_mix.protocol.api import ALL, UNKNOWN, ApiKnowledge, ApiVersion

NEXT, V0_8 = ApiKnowledge([ApiVersion.NEXT]), ApiKnowledge([ApiVersion.V0_8])
MODEL = CallParameters(model="m", provider="p")
BARE = CallParameters(model="m")
SESSION = Route("session", {"model_id": "m", "provider": "p"})


def test_without_a_model_the_server_chooses():
    for detected in (UNKNOWN, NEXT, V0_8):
        assert routes_to_model(CallParameters(provider="p"), detected, set_preferences=True) == (Route("server"),)


def test_sessions_have_models_on_the_next_generation():
    assert routes_to_model(MODEL, NEXT, set_preferences=True) == (SESSION, Route("server"))


def test_the_next_generation_demands_a_provider():
    with pytest.raises(MixInputError, match="provider"):
        routes_to_model(BARE, NEXT)


def test_older_servers_have_preferences_that_are_only_changed_if_that_is_allowed():
    for version in ALL[:-1]:
        detected = ApiKnowledge([version])
        assert routes_to_model(MODEL, detected) == (Route("server"),)
        fields = {"main_agent_model": "m", "main_agent_max_tokens": 5, "preferred_provider": "p"}
        assert routes_to_model(MODEL, detected, set_preferences=True, max_tokens=5)[0] == Route("preferences", fields)
        assert routes_to_model(BARE, detected, set_preferences=True)[0].fields == {"main_agent_model": "m"}


def test_an_unknown_server_is_asked_for_a_session_first():
    assert [r.by for r in routes_to_model(MODEL, UNKNOWN, set_preferences=True)] == ["session", "preferences", "server"]
    assert [r.by for r in routes_to_model(BARE, UNKNOWN)] == ["server"]


def test_a_model_of_the_object_is_warned_about_and_one_of_the_call_is_not_traded():
    with pytest.warns(MixParameterWarning, match="'m' cannot be chosen"):
        not_honoured(MODEL, V0_8)
    with pytest.raises(MixUnsupportedError, match="'m' cannot be chosen"):
        not_honoured(CallParameters(model="m", model_is_override=True), UNKNOWN)
    with pytest.raises(MixUnsupportedError, match="in a session that was created with another one"):
        not_honoured(CallParameters(model="m", provider="p", model_is_override=True), NEXT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        not_honoured(CallParameters(), V0_8)


def test_what_the_server_says_is_told():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model_told("m-20260101", MODEL, honoured=True) == "m-20260101"
        assert model_told("other", MODEL, honoured=False) == "other"
        assert model_told("", MODEL, honoured=True) == "m"
        assert model_told("", MODEL, honoured=False) == UNNAMED_MODEL
        assert model_told("", CallParameters(), honoured=True) == UNNAMED_MODEL
    with pytest.warns(MixParameterWarning, match="'other' has answered"):
        assert model_told("other", MODEL, honoured=True) == "other"
