from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from langchain_mix.emulator.agents import Fail, Line, Request, Result, Text, Thinking, ToolUse, Usage
from langchain_mix.emulator.agents.model import BASE_PROMPT, ModelAgent, messages_of


class ToolModel(BaseChatModel):
    """Plays chunks, remembers what it was asked and which tools were bound."""

    replies: Any
    asked: Any = Field(default_factory=list)
    bound: Any = Field(default_factory=list)
    closed: Any = None
    error: Any = None

    @property
    def _llm_type(self) -> str:
        return "tool-model"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        self.bound.extend(tools)
        return self.bind(tools=tools)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("unused"))])

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        self.asked.append(messages)
        try:
            for chunk in next(self.replies):
                yield ChatGenerationChunk(message=chunk)
            if self.error is not None:
                raise self.error
        finally:
            if self.closed is not None:
                self.closed.set()


def asked(request: Request, *lines: Line, **changes: Any) -> Request:
    return replace(request, lines=lines or (Line("user", "hi"),), **changes)


async def test_a_fake_model_streams_its_words(request_: Request) -> None:
    agent = ModelAgent(GenericFakeChatModel(messages=iter([AIMessage("hello there you")])))
    pieces = [p async for p in agent.reply(asked(request_))]
    texts = [p.text for p in pieces if isinstance(p, Text)]
    assert "".join(texts) == "hello there you"
    assert len(texts) > 1


async def test_tools_thinking_and_usage(desk) -> None:
    (desk.request.uploads / "a.txt").write_text("the answer is 42")
    model = ToolModel(
        replies=iter(
            [
                [
                    AIMessageChunk(content=[{"type": "reasoning", "reasoning": "look", "index": 0}]),
                    AIMessageChunk("Reading. "),
                    AIMessageChunk(
                        "",
                        tool_call_chunks=[
                            {"name": "ReadText", "args": '{"file_', "id": "c1", "index": 0, "type": "tool_call_chunk"}
                        ],
                    ),
                    AIMessageChunk(
                        "",
                        tool_call_chunks=[
                            {"name": None, "args": 'path": "a.txt"}', "id": None, "index": 0, "type": "tool_call_chunk"}
                        ],
                    ),
                    AIMessageChunk(
                        "",
                        usage_metadata={
                            "input_tokens": 7,
                            "output_tokens": 3,
                            "total_tokens": 10,
                            "input_token_details": {"cache_read": 2},
                        },
                    ),
                ],
                [AIMessageChunk("It is 42.")],
            ]
        )
    )
    assert await desk.say(ModelAgent(model), "what is the answer?") == "It is 42."
    assert desk.used[0].name == "ReadText"
    assert "42" in desk.lines[2].results[0].output
    assert desk.lines[1].text == "Reading. "
    names = [tool["function"]["name"] for tool in model.bound]
    assert {"ReadText", "Task", "Bash"} <= set(names)
    bash = model.bound[names.index("Bash")]["function"]
    assert bash["description"].endswith("refuses every command.")
    assert bash["parameters"]["required"] == ["command"]
    assert bash["parameters"]["properties"]["command"]["type"] == "string"
    second = model.asked[1]
    assert [type(m) for m in second] == [SystemMessage, HumanMessage, AIMessage, ToolMessage]
    assert second[3].tool_call_id == second[2].tool_calls[0]["id"]


async def test_pieces_of_one_reply(request_: Request) -> None:
    chunks = [
        AIMessageChunk(content=[{"type": "reasoning", "reasoning": "hm", "index": 0}]),
        AIMessageChunk("x", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
        AIMessageChunk(
            "", tool_call_chunks=[{"name": "Bash", "args": "{broken", "id": "c", "index": 0, "type": "tool_call_chunk"}]
        ),
    ]
    pieces = [p async for p in ModelAgent(ToolModel(replies=iter([chunks]))).reply(asked(request_))]
    assert Thinking("hm") in pieces
    assert Text("x") in pieces
    assert Usage(input_tokens=1, output_tokens=2) in pieces
    calls = [p for p in pieces if isinstance(p, ToolUse)]
    assert calls == [ToolUse(name="Bash", id="c", raw_input="{broken")] or calls[0].input == {}
    off = ModelAgent(ToolModel(replies=iter([chunks]))).reply(asked(request_, thinking_level="off"))
    assert not [p async for p in off if isinstance(p, Thinking)]


class RateLimitError(Exception):
    status_code = 429


class AuthenticationError(Exception):
    status_code = 401


@pytest.mark.parametrize(
    ("error", "kind"),
    [(RateLimitError("slow"), "rate_limit"), (AuthenticationError("key"), "auth"), (RuntimeError("boom"), "provider")],
)
async def test_a_failing_provider_becomes_fail(request_: Request, error: Exception, kind: str) -> None:
    model = ToolModel(replies=iter([[AIMessageChunk("par")]]), error=error)
    pieces = [p async for p in ModelAgent(model).reply(asked(request_))]
    assert pieces == [Text("par"), Fail(f"failed to process events: {error}", kind)]


async def test_closing_closes_the_model(request_: Request) -> None:
    model = ToolModel(replies=iter([[AIMessageChunk("a"), AIMessageChunk("b")]]))
    model.closed = asyncio.Event()
    stream = ModelAgent(model).reply(asked(request_))
    assert await anext(stream) == Text("a")
    assert not model.closed.is_set()
    await stream.aclose()
    await asyncio.wait_for(model.closed.wait(), 5)


def test_every_call_has_an_answer(request_: Request) -> None:
    call = ToolUse(name="Bash", id="1", input={"command": "x"})
    lost = ToolUse(name="Bash", id="2")
    request = asked(
        request_,
        Line("user", "a"),
        Line("assistant", ""),
        Line("user", "b"),
        Line("assistant", "", (call, lost)),
        Line("tool", results=(Result("1", "Bash", "no", is_error=True),)),
        Line("user", "c"),
    )
    kinds = [type(m) for m in messages_of(request)]
    assert kinds == [SystemMessage, HumanMessage, HumanMessage, AIMessage, ToolMessage, ToolMessage, HumanMessage]
    tools = [m for m in messages_of(request) if isinstance(m, ToolMessage)]
    assert [(t.tool_call_id, t.status) for t in tools] == [("1", "error"), ("2", "error")]


@pytest.mark.parametrize(
    ("prompt_mode", "expected"), [("default", BASE_PROMPT), ("replace", "P"), ("append", f"{BASE_PROMPT}\n\nP")]
)
def test_prompt_modes(request_: Request, prompt_mode: str, expected: str) -> None:
    first = next(messages_of(asked(request_, system_prompt="P", prompt_mode=prompt_mode)))
    assert first.content == expected
