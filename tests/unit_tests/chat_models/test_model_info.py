from __future__ import annotations

import base64
import warnings

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models.model_profile import ModelProfile, _warn_unknown_profile_keys
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, trim_messages
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.tools import tool

from langchain_mix.chat_models.model_info import (
    TOKENS_PER_FILE,
    TOKENS_PER_MESSAGE,
    approximate_message_tokens,
    approximate_token_ids,
    approximate_tokens,
    profile_of,
)


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


@given(st.text())
def test_ids_are_as_many_as_tokens_and_bounded_by_the_bytes(text):
    tokens = approximate_tokens(text)
    assert len(approximate_token_ids(text)) == tokens
    assert len(text) / 4 <= tokens <= len(text) + 1


def test_texts_count_by_their_bytes():
    assert approximate_tokens("") == 0
    assert approximate_tokens("a") == 1
    assert approximate_tokens("abcde") == 2
    assert approximate_tokens("你好世界") == 3
    assert approximate_tokens("\ud800") == 1


def test_english_counts_nearly_as_langchain_counts_it():
    messages = [HumanMessage("word " * 400), AIMessage("reply " * 100)]
    assert abs(approximate_message_tokens(messages) - count_tokens_approximately(messages)) <= 6


def test_files_count_as_their_names():
    data = base64.b64encode(b"x" * 90_000).decode()
    for block in (
        {"type": "file", "base64": data, "mime_type": "application/pdf"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}},
    ):
        assert approximate_message_tokens([HumanMessage([block])]) == TOKENS_PER_FILE + TOKENS_PER_MESSAGE


def test_reasoning_is_not_sent_and_calls_count_once():
    empty = approximate_message_tokens([AIMessage("")])
    thinking = AIMessage([{"type": "reasoning", "reasoning": "x" * 900}, {"type": "thinking", "thinking": "x" * 900}])
    assert approximate_message_tokens([thinking]) == empty
    calls = [{"type": "tool_call", "id": "1", "name": "search", "args": {"q": "y" * 400}}]
    once = approximate_message_tokens([AIMessage("", tool_calls=calls)])
    block = {"type": "tool_use", "id": "1", "name": "search", "input": {"q": "y" * 400}}
    assert 100 < once == approximate_message_tokens([AIMessage([block], tool_calls=calls)]) < 120
    result = {"type": "server_tool_result", "tool_call_id": "1", "status": "success", "output": "z" * 400}
    assert approximate_message_tokens([AIMessage([result])]) > 100


def test_names_ids_and_tools_count():
    assert approximate_message_tokens([ToolMessage("", tool_call_id="x" * 40)]) == 10 + TOKENS_PER_MESSAGE
    assert approximate_message_tokens([HumanMessage("", name="x" * 40)]) == 10 + TOKENS_PER_MESSAGE

    @tool
    def search(query: str) -> str:
        """Searches for a query."""
        return query

    for form in (search, {"title": "search", "description": "d", "type": "object", "properties": {}}):
        assert approximate_message_tokens([], [form]) > 10


@given(st.lists(st.text(max_size=30), max_size=5))
def test_the_estimate_of_several_messages_is_the_sum(texts):
    messages = [HumanMessage(t) for t in texts]
    assert approximate_message_tokens(messages) == sum(approximate_message_tokens([m]) for m in messages)


def test_messages_can_be_trimmed_with_it():
    messages = [HumanMessage("a" * 400), AIMessage("b" * 400), HumanMessage("c" * 40)]
    kept = trim_messages(messages, max_tokens=20, token_counter=approximate_message_tokens, strategy="last")
    assert kept == messages[-1:]
