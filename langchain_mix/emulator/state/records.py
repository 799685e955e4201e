"""The records of a conversation, as they are stored.

Owns: the fields of rows, tool calls and sessions.
Refuses to know: how they are stored (`store.py`) and their wire format (`serializers.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["user", "assistant", "tool"]


@dataclass(slots=True)
class ToolCallRecord:
    """A tool call on an assistant row.

    Attributes:
        name: The tool, spelled as the generation spells it.
        input: The arguments as JSON text.
        result: A result known without a tool row. Listings prefer what the tool row holds.
        screenshot_urls: Pictures the tool took (Mix 0.8).
    """

    id: str
    name: str
    input: str = ""
    type: str = "tool_use"
    finished: bool = False
    result: str | None = None
    is_error: bool = False
    screenshot_urls: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Row:
    """One stored row of a conversation: a user's message, one model reply, or one batch of tool results.

    Attributes:
        role: The speaker; callback results are `tool` rows.
        created_at: Unix seconds, given when the row is appended.
        sequence: Position among all rows ever appended; ascends with time.
        tool_results: The results of a tool row in call order: `call_id`, `name`, `output`, `is_error`.
        callback_results: The results of callbacks, in the wire's snake_case keys (Mix 0.7).
        reasoning_duration: Its duration in seconds.
        redacted_thinking_blocks: Those the provider encrypted.
        finish_reason: Why the reply ended; empty while it grows.
        input_tokens: Tokens read.
        output_tokens: Tokens written.
        cost: In US dollars.
    """

    role: Role
    text: str = ""
    id: str = ""
    session_id: str = ""
    created_at: int = 0
    updated_at: int = 0
    sequence: int = 0
    tool_calls: list[ToolCallRecord] = field(default_factory=list)
    tool_results: list[dict[str, Any]] = field(default_factory=list)
    callback_results: list[dict[str, Any]] = field(default_factory=list)
    reasoning: str = ""
    reasoning_duration: int = 0
    thinking_blocks: list[str] = field(default_factory=list)
    redacted_thinking_blocks: list[str] = field(default_factory=list)
    finish_reason: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """The stored fields of a session, apart from its rows.

    Attributes:
        parent_id: The session it was forked from or works for, or empty.
        parent_tool_call: The Task call that a sub-agent works for, or empty.
        type: `main`, `forked` or `subagent`.
        system_prompt: The custom prompt; empty in mode `default`, which ignores it.
        prompt_mode: The relation of the custom prompt to the built-in one.
        callbacks: The callbacks, in the wire's camelCase keys.
        browser_mode: Which browser its tools drive (Mix 0.8), or empty.
        cdp_url: The address of a remote browser (Mix 0.8), or empty.
        model_id: The model (next), or empty.
        prompt_tokens: Tokens the last model call read.
        completion_tokens: Tokens the last model call wrote.
        cost: In US dollars, of all model calls.
        created_at: Unix seconds.
    """

    id: str
    title: str
    parent_id: str = ""
    parent_tool_call: str = ""
    type: str = "main"
    subagent_type: str = ""
    system_prompt: str = ""
    prompt_mode: str = "default"
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    browser_mode: str = ""
    cdp_url: str = ""
    model_id: str = ""
    provider: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class RowCounts:
    """The number of rows of each role in a session."""

    user: int = 0
    assistant: int = 0
    tool: int = 0
