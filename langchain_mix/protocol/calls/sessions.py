"""Calls on sessions, without their messages and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from langchain_mix.errors import MixInputError, MixResponseError
from langchain_mix.protocol.api import ALL, UNKNOWN, ApiKnowledge, ApiVersion, having, require, seen_in_session
from langchain_mix.protocol.call import (
    Call,
    demands_browser_mode,
    filled,
    get,
    given,
    names_browser_mode,
    nothing,
    one_of,
    reads,
    strict_body,
    text,
)
from langchain_mix.protocol.models.sessions import (
    BrowserMode,
    Callback,
    CallbackType,
    CancelSessionProcessingResponse,
    ExportSession,
    PromptMode,
    SessionData,
    SessionType,
)

__all__ = [
    "PROMPT_LIMITS",
    "cancel_session",
    "create_session",
    "delete_session",
    "export_session",
    "fork_session",
    "get_session",
    "list_sessions",
    "rewind_session",
    "update_session_callbacks",
]

PROMPT_LIMITS: Final[Mapping[str, int]] = {PromptMode.APPEND: 51_200, PromptMode.REPLACE: 102_400}
"""Bytes of UTF-8 that a custom prompt may have. In the default mode Mix ignores the prompt and its size."""

_NEEDS: Final[Mapping[str, str]] = {
    CallbackType.BASH_SCRIPT: "bash_command",
    CallbackType.SUB_AGENT: "sub_agent_prompt",
    CallbackType.SEND_MESSAGE: "message_content",
}


def list_sessions(detected: ApiKnowledge, *, include_subagents: bool | None = None) -> Call[list[SessionData]]:
    """Lists all sessions, newest first, those of sub-agents too if wanted. Servers before Mix 0.7 have none."""
    asks = include_subagents is not None and detected.supports("subagents") is not False
    query = (("includeSubagents", "true" if include_subagents else "false"),) if asks else ()
    return get(list[SessionData], "api", "sessions", query=query, shows=shown_by_sessions)


def create_session(
    detected: ApiKnowledge,
    *,
    title: str,
    custom_system_prompt: str | None = None,
    prompt_mode: str | None = None,
    callbacks: Sequence[Callback | Mapping[str, Any]] | None = None,
    session_type: str | None = None,
    subagent_type: str | None = None,
    browser_mode: str | None = None,
    cdp_url: str | None = None,
    model_id: str | None = None,
    provider: str | None = None,
) -> Call[SessionData]:
    """Creates a session. None means: not sent.

    Args:
        detected: The generations the server may be. If all demand a browser mode and none is given, it is the local
            one.
        title: Its title, not empty. Mix 0.8 cuts it to 20 characters.
        custom_system_prompt: Its own prompt.
        prompt_mode: See `PromptMode`. Without one a prompt is appended to the agent's own: in the server's own default
            mode it would be ignored without a word.
        callbacks: What it does after tools (Mix 0.7).
        session_type: `main`, the only one that can be created (Mix 0.7).
        subagent_type: Empty; other values belong to sub-agents, which only the server creates (Mix 0.7).
        browser_mode: See `BrowserMode` (Mix 0.8).
        cdp_url: The DevTools URL of a remote browser, for `remote-cdp-websocket` alone (Mix 0.8).
        model_id: Its own model (Mix next).
        provider: The provider of that model (Mix next).

    Raises:
        MixInputError: The server would refuse this, or create another session than the requested one.
        MixUnsupportedError: No generation the server may be knows an argument.
    """
    filled("title", title)
    if custom_system_prompt and prompt_mode is None:
        prompt_mode = PromptMode.APPEND
    _check_prompt(custom_system_prompt, prompt_mode)
    if session_type is not None and session_type != SessionType.MAIN:
        raise MixInputError(f"`session_type` is {session_type!r}; only 'main' sessions can be created.")
    if subagent_type:
        raise MixInputError("`subagent_type` is set, but only the server creates sub-agents.")
    if model_id is not None and not provider:
        raise MixInputError("`model_id` is given without `provider`.", hint="Pass the provider of the model too.")
    if browser_mode is None and cdp_url is None and detected.supports("browser_mode"):
        browser_mode = BrowserMode.LOCAL_BROWSER_SERVICE
    _check_browser(browser_mode, cdp_url)
    fields = {
        "title": title,
        "customSystemPrompt": custom_system_prompt,
        "promptMode": prompt_mode,
        "callbacks": None if callbacks is None else _callback_bodies(callbacks),
        "sessionType": session_type,
        "subagentType": subagent_type,
        "browserMode": browser_mode,
        "cdpUrl": cdp_url,
        "modelId": model_id,
        "provider": provider,
    }
    return Call(
        method="POST",
        segments=("api", "sessions"),
        body=strict_body(detected, "session_fields", {key: _plain(key, value) for key, value in fields.items()}),
        decode=reads(SessionData),
        statuses=(201,),
        shows=shown_by_session,
        refusal_shows=_shown_by_refusal,
    )


def get_session(session_id: str) -> Call[SessionData]:
    """Reads one session."""
    return get(SessionData, "api", "sessions", session_id, shows=shown_by_session)


def delete_session(session_id: str) -> Call[None]:
    """Deletes a session with its messages and private files. Uploaded files stay, as all sessions share them."""
    return Call(
        method="DELETE", segments=("api", "sessions", session_id), decode=nothing, statuses=(204,), idempotent=True
    )


def update_session_callbacks(
    detected: ApiKnowledge, session_id: str, callbacks: Sequence[Callback | Mapping[str, Any]]
) -> Call[SessionData]:
    """Replaces all callbacks of a session; an empty list removes them.

    Raises:
        MixInputError: The server would refuse a callback.
        MixUnsupportedError: No generation the server may be has callbacks.
    """
    needed = require(detected, "callbacks", "Setting callbacks")
    return Call(
        method="PATCH",
        segments=("api", "sessions", session_id, "callbacks"),
        body={"callbacks": _callback_bodies(callbacks)},
        decode=reads(SessionData),
        requires=needed,
        idempotent=True,
        shows=shown_by_session,
    )


def cancel_session(session_id: str) -> Call[CancelSessionProcessingResponse]:
    """Cancels the session's running turn. The answer is the same if there is none, or no such session."""
    return Call(
        method="POST",
        segments=("api", "sessions", session_id, "cancel"),
        decode=reads(CancelSessionProcessingResponse),
        idempotent=True,
    )


def fork_session(
    detected: ApiKnowledge, session_id: str, message_index: int, title: str | None = None
) -> Call[SessionData]:
    """Copies the first rows of a session, those of role `tool` counted, into a new one (Mix before 0.8).

    Prompt, callbacks and files are not copied. All counters of the result are 0, whatever was copied, and the server's
    default title is `Forked Session`.

    Raises:
        MixInputError: The index is negative.
        MixUnsupportedError: No generation the server may be can fork.
    """
    needed = require(detected, "fork", "Forking a session")
    if message_index < 0:
        raise MixInputError(f"`message_index` is {message_index}; it counts the messages to copy, so it is 0 or more.")
    return Call(
        method="POST",
        segments=("api", "sessions", session_id, "fork"),
        body=given({"messageIndex": message_index, "title": None if title is None else text("title", title)}),
        decode=reads(SessionData),
        requires=needed,
        statuses=(201,),
        shows=shown_by_session,
    )


def rewind_session(session_id: str, message_id: str, *, cleanup_media: bool = False) -> Call[SessionData]:
    """Deletes every message after one, of any role; that one and all before it stay.

    Running turns go on and append after it. With `cleanup_media`, younger private files of the session go too.

    Raises:
        MixInputError: The message id is empty.
    """
    return Call(
        method="POST",
        segments=("api", "sessions", session_id, "rewind"),
        # Documents and servers disagree about the default of `cleanupMedia`, so it is always sent.
        body={"messageId": filled("message_id", message_id), "cleanupMedia": cleanup_media},
        decode=reads(SessionData),
        shows=shown_by_session,
    )


def export_session(session_id: str) -> Call[ExportSession]:
    """Reads the whole transcript of a session."""
    return get(ExportSession, "api", "sessions", session_id, "export")


def _shown_by_refusal(error: MixResponseError) -> tuple[ApiVersion, ...]:
    # Other unknown fields show less: within one generation the later releases know more of them.
    if names_browser_mode(error.body):
        return having("browser_mode", value=demands_browser_mode(error.body))
    return ALL


def _plain(key: str, value: Any) -> Any:
    return text(to_snake(key), value) if isinstance(value, str) else value


def _check_prompt(prompt: str | None, mode: str | None) -> None:
    if mode is not None:
        one_of("prompt_mode", mode, PromptMode)
    size = len(text("custom_system_prompt", prompt or "").encode())
    limit = PROMPT_LIMITS.get(mode or "")
    if limit is not None and size > limit:
        raise MixInputError(
            f"`custom_system_prompt` has {size:,} bytes; with prompt mode {str(mode)!r} it may have {limit:,}.",
            hint="Shorten it; what the agent needs only sometimes can go into a file of the session.",
        )


def _check_browser(mode: str | None, cdp_url: str | None) -> None:
    # Mix 0.8 refuses each of these.
    if mode == "":
        raise MixInputError("`browser_mode` is empty.", hint=f"Use one of {[str(m) for m in BrowserMode]}.")
    if mode == BrowserMode.REMOTE_CDP_WEBSOCKET:
        if not (cdp_url or "").startswith(("ws://", "wss://")):
            raise MixInputError(
                f"Browser mode {str(mode)!r} needs a `cdp_url` that starts with ws:// or wss://.",
                hint="Pass the WebSocket URL of the browser's DevTools.",
            )
    elif cdp_url is not None:
        raise MixInputError(
            f"`cdp_url` goes only with browser mode {str(BrowserMode.REMOTE_CDP_WEBSOCKET)!r}.",
            hint="Pass that `browser_mode`, or leave `cdp_url` out.",
        )


def _callback_bodies(callbacks: Iterable[Callback | Mapping[str, Any]]) -> list[dict[str, Any]]:
    # A server creates the session before it looks at its callbacks, so a bad one would leave an orphan behind.
    return [_callback_body(f"callbacks[{index}]", callback) for index, callback in enumerate(callbacks)]


def _callback_body(name: str, callback: Callback | Mapping[str, Any]) -> dict[str, Any]:
    try:
        checked = Callback.model_validate(callback)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        raise MixInputError(f"`{name}` is no callback: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    filled(f"{name}.tool_name", checked.tool_name)
    needed = _NEEDS[one_of(f"{name}.type", checked.type, CallbackType)]
    filled(f"{name}.{needed}", getattr(checked, needed) or "")
    if checked.exclude_from_context and needed == "message_content":
        raise MixInputError(
            f"`{name}` sends a message, which cannot be excluded from the context.",
            hint="Leave `exclude_from_context` out.",
        )
    body = checked.model_dump(by_alias=True, exclude_none=True)
    return {key: _plain(f"{name}.{key}", value) for key, value in body.items()}


def shown_by_session(session: SessionData) -> tuple[ApiVersion, ...]:
    """Returns the generations that would describe this session so."""
    return seen_in_session(dict.fromkeys(session.wire_keys()))


def shown_by_sessions(sessions: Iterable[SessionData]) -> Iterable[ApiVersion]:
    """Returns the generations that would list these sessions so; an empty listing shows nothing."""
    possible = UNKNOWN
    for session in sessions:
        possible = possible.narrow(shown_by_session(session))
    return possible
