from __future__ import annotations

import warnings

from langchain_core.language_models.model_profile import ModelProfile, _warn_unknown_profile_keys

from langchain_mix.chat_models.profile import profile_of


def test_the_profile_has_no_key_that_langchain_would_warn_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_unknown_profile_keys(profile_of("m"))


def test_it_says_what_works_and_no_more():
    profile = profile_of()
    assert "name" not in profile
    assert profile_of("m")["name"] == "m"
    for key in ("text_inputs", "image_inputs", "pdf_inputs", "audio_inputs", "pdf_tool_message", "structured_output"):
        assert profile[key] is True
    for key in ("image_outputs", "temperature", "mid_conversation_system_messages"):
        assert profile[key] is False
    assert not {"max_input_tokens", "max_output_tokens"} & profile.keys()


def test_keys_of_a_newer_langchain_are_left_out(monkeypatch):
    monkeypatch.delitem(ModelProfile.__annotations__, "reasoning_effort_levels")
    assert "reasoning_effort_levels" not in profile_of()


def test_each_profile_is_its_own():
    profile_of()["temperature"] = True
    assert profile_of()["temperature"] is False
