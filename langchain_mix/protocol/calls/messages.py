"""Calls on messages and event streams, and those that answer the agent: permissions and notifications."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from langchain_mix.errors import (
    ErrorResponse,
    ErrorResponseData,
    MixAuthenticationError,
    MixInputError,
    MixNotAServerError,
    MixResponseError,
    RESTError,
)
from langchain_mix.protocol.api import ALL, ApiKnowledge, ApiVersion, having, require
from langchain_mix.protocol.call import Call, Reply, filled, get, given, nothing, one_of, reads, strict_body
from langchain_mix.protocol.call import text as valid_text
from langchain_mix.protocol.models.messages import (
    COMPLETE,
    PROCESSING,
    BackendMessage,
    DenyPermissionResponse,
    GrantPermissionResponse,
    SendMessageResponse,
    StreamMessageResponse,
    ThinkingLevel,
)

__all__ = [
    "deny_permission",
    "event_stream",
    "grant_permission",
    "list_messages",
    "message_history",
    "probe_stream_write",
    "respond_to_notification",
    "send_message",
    "write_stream_message",
]


def send_message(
    detected: ApiKnowledge,
    session_id: str,
    *,
    text: str,
    plan_mode: bool | None = None,
    thinking_level: str | None = None,
    max_steps: int | None = None,
) -> Call[SendMessageResponse]:
    """Sends a message, which starts a turn. None means: not sent.

    A server that runs a turn of this session already starts a second one beside it. A text whose first character after
    spaces is `/` is a slash command to the server.

    Args:
        detected: The generations the server may be.
        session_id: The session.
        text: The message, not empty.
        plan_mode: Whether the agent may only read and plan.
        thinking_level: See `ThinkingLevel` (Mix 0.7).
        max_steps: After how many steps the turn ends with an error (Mix 0.8).

    Returns:
        The call. Its result has status `"processing"` if the turn runs on, else it is the answer. It raises
        `MixAuthenticationError` also where Mix 0.5 and 0.6 say with a 200 that no provider credential works.

    Raises:
        MixInputError: The text is empty or the thinking level unknown.
        MixUnsupportedError: No generation the server may be knows an argument.
    """
    fields = {
        "text": filled("text", text),
        "plan_mode": plan_mode,
        "thinking_level": None if thinking_level is None else one_of("thinking_level", thinking_level, ThinkingLevel),
        "max_steps": max_steps,
    }
    return Call(
        method="POST",
        segments=("api", "sessions", session_id, "messages"),
        body=strict_body(detected, "message_fields", fields),
        decode=_read_sent,
        statuses=(200, 202),
        shows=_shown_by_sent,
        long_poll=detected.supports("send_waits") is not False,
    )


def list_messages(session_id: str) -> Call[list[BackendMessage]]:
    """Lists the messages of a session, oldest first. An unknown session has none."""
    return get(list[BackendMessage], "api", "sessions", session_id, "messages")


def message_history(*, limit: int | None = None, offset: int | None = None) -> Call[list[BackendMessage]]:
    """Lists what users said in all sessions, newest first, 50 by default.

    Raises:
        MixInputError: A number for which the server would silently take its default.
    """
    if limit is not None and limit < 1:
        raise MixInputError(
            f"`limit` is {limit}; it is 1 or more.", hint="Leave it out for the server's default of 50."
        )
    if offset is not None and offset < 0:
        raise MixInputError(f"`offset` is {offset}; it is 0 or more.")
    query = tuple((key, str(value)) for key, value in (("limit", limit), ("offset", offset)) if value is not None)
    return get(list[BackendMessage], "api", "messages", "history", query=query)


def event_stream(session_id: str) -> Call[None]:
    """Opens the event stream of a session. Its body has no end and is read by the caller.

    The server answers 200 for unknown sessions too, with an error as the only event.

    Raises:
        MixInputError: The session id is empty.
    """
    return Call(
        method="GET",
        segments=("stream",),
        query=(("sessionId", filled("session_id", session_id)),),
        decode=nothing,
        idempotent=True,
    )


def write_stream_message(detected: ApiKnowledge, session_id: str, content: str) -> Call[StreamMessageResponse]:
    """Hands a message to the open event streams of a session (Mix 0.5).

    Each open stream runs the message as a turn of its own; with none open it is lost, and the answer is the same.
    A text that starts with `/` is a slash command, one that starts with `!` a shell command that it runs unasked.
    The content is plain text, or a JSON object with `text` and perhaps `plan_mode`.

    Raises:
        MixInputError: The content is empty.
        MixUnsupportedError: No generation the server may be has this.
    """
    require(detected, "stream_write", "Writing to the event stream")
    filled("content", content)
    # Mix 0.5 closes the stream without a word if the content is no JSON.
    inner = content if _is_message(content) else json.dumps({"text": content}, ensure_ascii=False)
    return Call(
        method="POST",
        segments=("stream", session_id, "message"),
        body={"content": inner},
        decode=reads(StreamMessageResponse),
        shows=lambda _: having("stream_write"),
    )


def probe_stream_write(session_id: str) -> Call[bool | None]:
    """Asks whether this server takes messages by its event streams (Mix 0.5), without sending one.

    Returns:
        The call. Mix 0.5 refuses the method of a GET of that path (405), servers without it have no such path (404).
        Its result is None where the refusal says neither.
    """
    return Call(
        method="GET",
        segments=("stream", session_id, "message"),
        decode=lambda _: None,
        recover=_read_probe,
        shows=lambda written: ALL if written is None else having("stream_write", value=written),
        idempotent=True,
    )


def _read_probe(error: MixResponseError) -> bool | None:
    words = error.body.strip()
    if words in {"404 page not found", "Method Not Allowed", "Only POST method allowed"}:
        return words != "404 page not found"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return True
    if error.status_code != HTTPStatus.NOT_FOUND:
        raise error
    # A web page or JSON in the place of the router's text is somebody else's answer, and no evidence.
    return None if isinstance(error, ErrorResponse | MixNotAServerError) or words.startswith("{") else False


def _is_message(content: str) -> bool:
    try:
        parsed: Any = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and isinstance(parsed.get("text"), str)


def _read_sent(reply: Reply) -> SendMessageResponse:
    sent = reads(SendMessageResponse)(reply)
    if sent.lacks_credential:
        words = sent.assistant_response or "The server holds no usable credential of a model provider."
        error = MixAuthenticationError(
            words,
            acted="unknown",
            hint="Store a provider key with `mix.authentication.store_api_key(...)`.",
            data=ErrorResponseData(RESTError(401, words, "unauthorized")),
        )
        error.status_code = reply.status
        error.body = reply.text
        raise error
    if not sent.status:
        sent.status = PROCESSING if reply.status == HTTPStatus.ACCEPTED else COMPLETE
    return sent


def _shown_by_sent(sent: SendMessageResponse) -> tuple[ApiVersion, ...]:
    # Slash commands are answered with 200 in every generation.
    return ALL if sent.is_command else having("send_waits", value=not sent.accepted)


def grant_permission(permission_id: str) -> Call[GrantPermissionResponse]:
    """Lets a tool go on. The first answer counts, and the server denies by itself after 30 seconds.

    The answer is the same for unknown and expired requests.
    """
    return Call(
        method="POST",
        segments=("api", "permissions", permission_id, "grant"),
        decode=reads(GrantPermissionResponse),
        idempotent=True,
    )


def deny_permission(permission_id: str) -> Call[DenyPermissionResponse]:
    """Refuses a tool: the agent is informed, and the turn goes on. See `grant_permission`."""
    return Call(
        method="POST",
        segments=("api", "permissions", permission_id, "deny"),
        decode=reads(DenyPermissionResponse),
        idempotent=True,
    )


def respond_to_notification(
    detected: ApiKnowledge, notification_id: str, response_type: str, value: str | None = None
) -> Call[None]:
    """Answers a notification (Mix 0.8). A second answer, or one after its time, is a 404 of plain text.

    The server does not check the type, which is a `RespondToNotificationType`.

    Raises:
        MixInputError: The type is empty.
        MixUnsupportedError: No generation the server may be has notifications.
    """
    needed = require(detected, "notifications", "Responding to a notification")
    return Call(
        method="POST",
        segments=("api", "notifications", notification_id, "respond"),
        body=given(
            {
                "type": filled("response_type", response_type),
                "value": None if value is None else valid_text("value", value),
            }
        ),
        decode=nothing,
        requires=needed,
        statuses=(204,),
        shows=lambda _: having("notifications"),
    )
