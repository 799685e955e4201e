"""Messages as the server lists and answers them, and the answers to permission requests."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from langchain_mix.protocol.models.base import Payload, SnakePayload

PROCESSING = "processing"
"""The status of a message that the server accepted and works on."""

COMPLETE = "complete"
"""The status of a message whose answer is the reply itself. The wire has no word for it."""


class ThinkingLevel(StrEnum):
    """The tokens with which the model may think: 0, 4,000, 10,000 or 31,999. Since Mix 0.7."""

    OFF = "off"
    BASIC = "basic"
    MEDIUM = "medium"
    MAXIMUM = "maximum"


class RespondToNotificationType(StrEnum):
    """The form of the answer to a notification. Since Mix 0.8."""

    ACKNOWLEDGE = "acknowledge"
    TEXT = "text"
    CHOICE = "choice"


class ToolCallData(Payload):
    """A tool call of an assistant message.

    Attributes:
        id: The call's id.
        name: The tool, an open set of names that generations spell differently (compare with `tools.same_tool`).
        input: The arguments, as JSON text.
        type: `tool_use` or empty.
        finished: Whether the arguments are complete, which does not mean that the tool has run.
        result: What the tool gave. Mix before 0.8 never fills it.
        is_error: Whether `result` is an error. Mix before 0.8 never fills it.
        screenshot_urls: Pictures of the browser that the call took (Mix 0.8).
    """

    id: str
    name: str = ""
    input: str = ""
    type: str = ""
    finished: bool = False
    result: str | None = None
    is_error: bool | None = None
    screenshot_urls: list[str] = Field(default_factory=list[str])


class CallbackResultData(SnakePayload):
    """The result of a session's callback after a tool call (Mix 0.7).

    Attributes:
        tool_call_id: The call after which it ran.
        tool_name: The tool of that call.
        callback_name: The callback's own name.
        callback_type: See `CallbackType`.
        stdout: Output of a script.
        stderr: Errors of a script.
        exit_code: Exit code of a script.
        subagent_id: The sub-agent's session.
        subagent_result: The sub-agent's answer.
        success: Whether it went well.
        error: Why it did not.
        exclude_from_context: Whether the model does not see it; documented, but never sent.
    """

    tool_call_id: str = ""
    tool_name: str = ""
    callback_name: str | None = None
    callback_type: str = ""
    stdout: str | None = None
    stderr: str | None = None
    exit_code: int | None = None
    subagent_id: str | None = None
    subagent_result: str | None = None
    success: bool = False
    error: str | None = None
    exclude_from_context: bool | None = None


class BackendMessage(Payload):
    """One stored row of a session: a user's message, one reply of the model, or the results of tools.

    Attributes:
        id: The row's id.
        session_id: The session; empty in direct replies of the server.
        role: `user`, `assistant` or `tool`.
        user_input: The row's text, whatever its role.
        assistant_response: The same text on rows that are not the user's; None if there is none.
        tool_calls: The tools that an assistant row calls.
        callback_results: What callbacks did, on rows of role `tool` (Mix 0.7).
        reasoning: What the model thought.
        reasoning_duration: How long it thought, as sent: servers send seconds, though their documents say milliseconds.
        input_tokens: Tokens read by the model for this row (this and the rest: Mix 0.8.1, absent when 0).
        output_tokens: Tokens written.
        cache_creation_tokens: Tokens put in the provider's cache.
        cache_read_tokens: Tokens read from it.
        cost: Price of this row in US dollars.
        model: The model that wrote it.
    """

    id: str
    session_id: str = ""
    role: str = ""
    user_input: str = ""
    assistant_response: str | None = None
    tool_calls: list[ToolCallData] = Field(default_factory=list[ToolCallData])
    callback_results: list[CallbackResultData] = Field(default_factory=list[CallbackResultData])
    reasoning: str | None = None
    reasoning_duration: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_read_tokens: int | None = None
    cost: float | None = None
    model: str | None = None


class SendMessageResponse(BackendMessage):
    """The answer to a sent message: the finished message, or the bare news that the server works on it.

    Attributes:
        id: The row's id; empty while the turn runs.
        status: `"processing"` while the turn runs, `"complete"` if this is the answer.
    """

    id: str = ""
    status: str = ""

    @property
    def accepted(self) -> bool:
        """True if the turn runs on and this is not its answer yet (Mix 0.6.5 and later)."""
        # Without an id there is no answer, whatever the status is called.
        return self.status == PROCESSING or not self.id

    @property
    def is_command(self) -> bool:
        """True if the text was run as a slash command, which stores no message and starts no turn."""
        return self.id.startswith("cmd-")

    @property
    def lacks_credential(self) -> bool:
        """True if the server only says that no provider credential works (Mix 0.5 and 0.6 say so with a 200)."""
        return self.id == "system-auth-prompt"


class StreamMessageResponse(Payload):
    """The answer to a message written to the event stream (Mix 0.5). It does not show whether anybody was listening.

    Attributes:
        session_id: The session.
        status: `broadcasted`.
    """

    session_id: str = ""
    status: str = ""


class GrantPermissionResponse(SnakePayload):
    """The answer to a grant. It is the same for requests that are unknown, expired or already answered.

    Attributes:
        granted: Whether the server took the grant.
        id: The request.
        message: For people.
        status: `granted`.
    """

    granted: bool = False
    id: str = ""
    message: str = ""
    status: str = ""

    @model_validator(mode="after")
    def _agree(self) -> GrantPermissionResponse:
        # Mix documents {granted} and sends {id, message, status}.
        if "granted" not in self.model_fields_set:
            self.granted = self.status == "granted"
        elif self.granted and not self.status:
            self.status = "granted"
        return self


class DenyPermissionResponse(SnakePayload):
    """The answer to a denial. It is the same for requests that are unknown, expired or already answered.

    Attributes:
        denied: Whether the server took the denial.
        id: The request.
        message: For people.
        status: `denied`.
    """

    denied: bool = False
    id: str = ""
    message: str = ""
    status: str = ""

    @model_validator(mode="after")
    def _agree(self) -> DenyPermissionResponse:
        # Mix documents {denied} and sends {id, message, status}.
        if "denied" not in self.model_fields_set:
            self.denied = self.status == "denied"
        elif self.denied and not self.status:
            self.status = "denied"
        return self
