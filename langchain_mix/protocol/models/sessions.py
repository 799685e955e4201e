"""Sessions in every generation, their callbacks, files and exported transcripts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from langchain_mix.protocol.models.base import Payload


class PromptMode(StrEnum):
    """The relation of a session's own prompt to the server's."""

    DEFAULT = "default"
    """The server's prompt alone; a custom prompt is ignored."""
    APPEND = "append"
    """The custom prompt after the server's, up to 51,200 bytes."""
    REPLACE = "replace"
    """The custom prompt instead of the server's, up to 102,400 bytes."""


class BrowserMode(StrEnum):
    """Which browser a session's web tools drive. Since Mix 0.8, where every session has one."""

    ELECTRON_EMBEDDED_BROWSER = "electron-embedded-browser"
    LOCAL_BROWSER_SERVICE = "local-browser-service"
    REMOTE_CDP_WEBSOCKET = "remote-cdp-websocket"
    """A browser elsewhere; needs the `ws://` or `wss://` URL of its DevTools."""


class SessionType(StrEnum):
    """The kind of a session. Only `MAIN` can be created directly; `FORKED` is of Mix 0.7 alone."""

    MAIN = "main"
    FORKED = "forked"
    SUBAGENT = "subagent"


class SubagentType(StrEnum):
    """The kind of sub-agent that a Task starts."""

    GENERAL_PURPOSE = "general-purpose"


class CallbackType(StrEnum):
    """The action of a session after a tool has run. Since Mix 0.7."""

    BASH_SCRIPT = "bash_script"
    SUB_AGENT = "sub_agent"
    SEND_MESSAGE = "send_message"


class Callback(Payload):
    """An action of a session each time a tool has run well (Mix 0.7).

    Attributes:
        tool_name: The tool, or `*` for all.
        type: See `CallbackType`; each type needs the field of its own that is named after it below.
        name: A name for it.
        bash_command: For `bash_script`: the command. It runs on the server.
        bash_timeout: For `bash_script`: milliseconds; the server's default is 120,000.
        sub_agent_prompt: For `sub_agent`: its task.
        sub_agent_type: For `sub_agent`: see `SubagentType`.
        include_full_history: For `sub_agent`: whether it sees the whole conversation.
        message_content: For `send_message`: the message.
        exclude_from_context: Whether the model does not see the result.
    """

    tool_name: str
    type: str
    name: str | None = None
    bash_command: str | None = None
    bash_timeout: int | None = None
    sub_agent_prompt: str | None = None
    sub_agent_type: str | None = None
    include_full_history: bool | None = None
    message_content: str | None = None
    exclude_from_context: bool | None = None


class SessionData(Payload):
    """A session.

    Attributes:
        id: Its id.
        title: Its title, which the server replaces after the first message; not a stable key.
        created_at: When it was created, to the second, in the server's own UTC offset.
        user_message_count: Rows of role `user`.
        assistant_message_count: Rows of role `assistant`, one for each reply of the model.
        tool_call_count: Rows of role `tool`, one for each batch of calls.
        prompt_tokens: Tokens read in the last call of the model.
        completion_tokens: Tokens written in the last call of the model.
        cost: US dollars so far, sub-agents included.
        first_user_message: In listings of Mix before 0.8: the first message's parts as JSON text. Else None.
        session_type: See `SessionType`; None before Mix 0.7.
        parent_session_id: The session it was forked from or is a sub-agent of (Mix 0.7).
        parent_tool_call_id: The Task call that started it (Mix 0.7).
        subagent_type: See `SubagentType`.
        callbacks: What it does after tools; listings leave it out.
        browser_mode: See `BrowserMode`; None before Mix 0.8, empty in the reply to a rewind.
        cdp_url: Where its remote browser is.
        model_id: Its own model (Mix next).
        provider: The provider of that model (Mix next).
    """

    id: str
    title: str = ""
    created_at: datetime | None = None
    user_message_count: int = 0
    assistant_message_count: int = 0
    tool_call_count: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    first_user_message: str | None = None
    session_type: str | None = None
    parent_session_id: str | None = None
    parent_tool_call_id: str | None = None
    subagent_type: str | None = None
    callbacks: list[Callback] = Field(default_factory=list[Callback])
    browser_mode: str | None = None
    cdp_url: str | None = None
    model_id: str | None = None
    provider: str | None = None


class CancelSessionProcessingResponse(Payload):
    """The answer to a cancel. It says the same whether or not a turn was running.

    Attributes:
        cancelled: Whether the server took the cancel.
        session_id: The session.
        status: `cancelled`.
    """

    cancelled: bool = False
    session_id: str = ""
    status: str = ""

    @model_validator(mode="after")
    def _agree(self) -> CancelSessionProcessingResponse:
        # Mix documents {cancelled} and sends {sessionId, status}.
        if "cancelled" not in self.model_fields_set:
            self.cancelled = self.status == "cancelled"
        elif self.cancelled and not self.status:
            self.status = "cancelled"
        return self


class ExportToolCall(Payload):
    """A tool call in a transcript.

    Attributes:
        id: The call's id.
        name: The tool.
        input: The arguments, as JSON text.
        input_json: The arguments, parsed; None if they are no valid JSON.
        type: `tool_use` or empty.
        finished: Whether the arguments are complete.
        result: Documented, but no server fills it in transcripts; message listings of Mix 0.8 do.
        is_error: Whether `result` is an error (before Mix 0.8).
        metadata: Details of the result (before Mix 0.8).
        screenshot_urls: Pictures of the browser that the call took (Mix 0.8).
    """

    id: str
    name: str = ""
    input: str = ""
    input_json: Any = None
    type: str = ""
    finished: bool = False
    result: str | None = None
    is_error: bool | None = None
    metadata: str | None = None
    screenshot_urls: list[str] = Field(default_factory=list[str])


class ExportMessage(Payload):
    """A message in a transcript.

    Attributes:
        id: The row's id.
        role: `user`, `assistant` or `tool`.
        content: Its text; empty on rows of role `tool`.
        tool_calls: The tools it calls.
        reasoning: What the model thought.
        reasoning_duration: How long it thought, as sent: servers send seconds, though their documents say milliseconds.
        thinking_blocks: What the model thought, block by block.
        redacted_thinking_blocks: Thoughts that the provider sent only encrypted.
        model: The model that wrote it.
        finish_reason: `end_turn`, `max_tokens`, `tool_use`, `canceled`, `error`, `permission_denied`, `unknown`,
            `stop`.
        created_at: When it was stored, to the second, in the server's own UTC offset.
        updated_at: When it was last changed.
    """

    id: str
    role: str = ""
    content: str = ""
    tool_calls: list[ExportToolCall] = Field(default_factory=list[ExportToolCall])
    reasoning: str | None = None
    reasoning_duration: int | None = None
    thinking_blocks: list[str] = Field(default_factory=list[str])
    redacted_thinking_blocks: list[str] = Field(default_factory=list[str])
    model: str | None = None
    finish_reason: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def user_input(self) -> str:
        """The text of a user's message, else empty. Transcripts name no speaker's text on the wire."""
        return self.content if self.role == "user" else ""

    @property
    def assistant_response(self) -> str:
        """The text of any other message, else empty."""
        return "" if self.role == "user" else self.content


class ExportSession(Payload):
    """The transcript of a session. Its counters mean what those of `SessionData` mean.

    Attributes:
        id: The session's id.
        title: Its title.
        user_message_count: Rows of role `user`.
        assistant_message_count: Rows of role `assistant`.
        tool_call_count: Rows of role `tool`.
        prompt_tokens: Tokens read in the last call of the model.
        completion_tokens: Tokens written in it.
        cost: US dollars so far.
        created_at: When the session was created.
        updated_at: When it last changed.
        messages: All rows, oldest first.
    """

    id: str
    title: str = ""
    user_message_count: int = 0
    assistant_message_count: int = 0
    tool_call_count: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    messages: list[ExportMessage] = Field(default_factory=list[ExportMessage])


class FileInfo(Payload):
    """An uploaded file. All sessions of a server share their uploads.

    Attributes:
        name: Its name on the server, which may differ from the one sent; may contain `/`.
        original_name: The name that was sent; only some servers list it.
        size: Bytes.
        modified: Unix time of the last change, or 0 where the server does not know.
        is_dir: Whether it is a directory.
        url: Where the server believes it can be read: absolute, not percent-encoded, and wrong behind some proxies.
            Empty on servers before Mix 0.5.3.
    """

    name: str
    original_name: str | None = None
    size: int = 0
    modified: int = 0
    is_dir: bool = False
    url: str = ""
