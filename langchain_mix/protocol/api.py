"""The generations of the Mix API and what each can do, in one table.

Owns: the names of the generations, the capability table, and how a generation is recognised from replies.
Refuses to know: how requests are built (`calls/`) and how they are sent (`client/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, get_args

from langchain_mix.errors import MixConfigurationError, MixUnsupportedError


class ApiVersion(StrEnum):
    """A generation of the Mix API, named after the official Python SDK that goes with it."""

    V0_5 = "0.5"
    """SDK 0.4.6 to 0.5.7: turns are streamed by POST /stream/{id}/message."""
    V0_6 = "0.6"
    """SDK 0.6.0 to 0.6.4: POST messages answers when the turn is over and streams it meanwhile."""
    V0_6_5 = "0.6.5"
    """SDK 0.6.5 and 0.6.6: POST messages answers 202 at once."""
    V0_7 = "0.7"
    """SDK 0.7.x: sub-agents, thinking levels, callbacks. The last one with fork."""
    V0_8 = "0.8"
    """SDK 0.8.x: `tool_use_*` events, `browserMode`, notifications, tokens per message. No fork."""
    NEXT = "next"
    """TypeScript SDK 0.11.4: `modelId` and `provider` on sessions, no preferences."""


ApiName = Literal["auto", "0.5", "0.6", "0.6.5", "0.7", "0.8", "next"]
"""The values that users may pass for `api=`."""

ALL: Final = tuple(ApiVersion)
"""Every generation, oldest first."""

_SESSION_BASE: Final = frozenset({"title", "customSystemPrompt", "promptMode"})
_SESSION_0_7: Final = _SESSION_BASE | {"callbacks", "sessionType", "subagentType"}
_SESSION_0_8: Final = _SESSION_0_7 | {"browserMode", "cdpUrl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Capabilities of a generation. Each field is a rule of the wire.

    Attributes:
        session_fields: Keys that POST /api/sessions decodes; any other key is a 400.
        message_fields: Keys that POST /api/sessions/{id}/messages decodes; any other key is a 400.
        send_waits: POST messages answers 200 when the turn is over (else 202 at once).
        send_streams: A turn started by POST messages is seen on the event stream.
        stream_write: POST /stream/{id}/message exists.
        fork: POST /api/sessions/{id}/fork exists.
        callbacks: Sessions take callbacks and PATCH .../callbacks exists.
        subagents: Sub-agent sessions, `parentToolCallId` on events, `includeSubagents` on listings.
        user_message_created: A turn begins with this event on the stream.
        message_ids: Deltas carry `assistantMessageId`.
        tool_use_events: `tool_use_*` events (else snapshots named `tool`).
        tool_results: Message listings carry the results of tool calls.
        message_usage: Message listings carry tokens, cost and model.
        close_cancels: Closing an event stream of the session cancels its running turn.
        errors_twice: An error that ends a turn is sent twice.
        heartbeat_in_turn: Heartbeats go on while this connection's turn runs.
        browser_mode: POST /api/sessions demands `browserMode`.
        notifications: Notification events and POST /api/notifications/{id}/respond.
        screenshots: GET /api/sessions/{id}/screenshots/{filename}.
        llm_tools: GET /api/tools and /api/tools/credentials-status.
        tools_status: GET /api/tools/status is routed.
        oauth_health: GET /health/auth and POST /internal/auth/refresh-tokens.
        preferences: /api/preferences.
        pascal_tool_names: Tools are named `Bash`, `Grep`, … (else `bash`, `grep`, …).
        title_limit: Characters to which the server cuts titles, or None.
    """

    session_fields: frozenset[str]
    message_fields: frozenset[str]
    send_waits: bool = False
    send_streams: bool = True
    stream_write: bool = False
    fork: bool = True
    callbacks: bool = False
    subagents: bool = False
    user_message_created: bool = False
    message_ids: bool = False
    tool_use_events: bool = False
    tool_results: bool = False
    message_usage: bool = False
    close_cancels: bool = False
    errors_twice: bool = True
    heartbeat_in_turn: bool = True
    browser_mode: bool = False
    notifications: bool = False
    screenshots: bool = False
    llm_tools: bool = False
    tools_status: bool = True
    oauth_health: bool = True
    preferences: bool = True
    pascal_tool_names: bool = False
    title_limit: int | None = None


Feature = Literal[
    "send_waits",
    "send_streams",
    "stream_write",
    "fork",
    "callbacks",
    "subagents",
    "notifications",
    "screenshots",
    "llm_tools",
    "tools_status",
    "oauth_health",
    "preferences",
]
"""Capabilities that a user can ask for and a server may lack."""

CAPABILITIES: Final[Mapping[ApiVersion, Capabilities]] = {
    ApiVersion.V0_5: Capabilities(
        session_fields=_SESSION_BASE,
        message_fields=frozenset({"text", "plan_mode"}),
        send_waits=True,
        send_streams=False,
        stream_write=True,
        close_cancels=True,
        errors_twice=False,
        heartbeat_in_turn=False,
        oauth_health=False,
    ),
    ApiVersion.V0_6: Capabilities(
        session_fields=_SESSION_BASE,
        message_fields=frozenset({"text", "plan_mode"}),
        send_waits=True,
        close_cancels=True,
        errors_twice=False,
        oauth_health=False,
    ),
    ApiVersion.V0_6_5: Capabilities(
        session_fields=_SESSION_BASE,
        message_fields=frozenset({"text", "plan_mode"}),
    ),
    ApiVersion.V0_7: Capabilities(
        session_fields=_SESSION_0_7,
        message_fields=frozenset({"text", "plan_mode", "thinking_level"}),
        callbacks=True,
        subagents=True,
        user_message_created=True,
        message_ids=True,
        llm_tools=True,
        pascal_tool_names=True,
    ),
    ApiVersion.V0_8: Capabilities(
        session_fields=_SESSION_0_8,
        message_fields=frozenset({"text", "plan_mode", "thinking_level", "max_steps"}),
        fork=False,
        callbacks=True,
        subagents=True,
        user_message_created=True,
        message_ids=True,
        tool_use_events=True,
        tool_results=True,
        message_usage=True,
        browser_mode=True,
        notifications=True,
        screenshots=True,
        llm_tools=True,
        tools_status=False,
        pascal_tool_names=True,
        title_limit=20,
    ),
    ApiVersion.NEXT: Capabilities(
        session_fields=_SESSION_0_8 | {"modelId", "provider"},
        message_fields=frozenset({"text", "plan_mode", "thinking_level", "max_steps"}),
        fork=False,
        callbacks=True,
        subagents=True,
        user_message_created=True,
        message_ids=True,
        tool_use_events=True,
        tool_results=True,
        message_usage=True,
        browser_mode=True,
        notifications=True,
        screenshots=True,
        llm_tools=True,
        tools_status=False,
        preferences=False,
        pascal_tool_names=True,
        title_limit=20,
    ),
}


def parse_api(name: str) -> ApiVersion | None:
    """Reads what a user wrote for `api=`.

    Returns:
        The generation, or None for `"auto"`.

    Raises:
        MixConfigurationError: The name is neither.
    """
    if name == "auto":
        return None
    try:
        return ApiVersion(name)
    except ValueError:
        named = ", ".join(repr(n) for n in get_args(ApiName))
        raise MixConfigurationError(f"api={name!r} is not a Mix API generation.", hint=f"Use one of {named}.") from None


class ApiKnowledge(frozenset[ApiVersion]):
    """The generations a server may still be, narrowed by what its replies show.

    A reply that rules out everything known so far means that the server was replaced: then only its evidence counts.
    """

    __slots__ = ()

    def narrow(self, possible: Iterable[ApiVersion]) -> ApiKnowledge:
        """Keeps the generations that are also in `possible`; starts over from `possible` if none is."""
        evidence = ApiKnowledge(possible)
        return ApiKnowledge(self & evidence) or evidence

    @property
    def version(self) -> ApiVersion | None:
        """The generation, once only one is left."""
        return next(iter(self)) if len(self) == 1 else None

    @property
    def newest(self) -> ApiVersion:
        """The newest generation that is still possible."""
        return max(self, key=ALL.index)

    def supports(self, field: str) -> bool | None:
        """Returns the value of a boolean capability if every generation left agrees on it, else None."""
        values = {bool(getattr(CAPABILITIES[v], field)) for v in self}
        return values.pop() if len(values) == 1 else None


UNKNOWN: Final = ApiKnowledge(ALL)
"""The knowledge of a server before its first reply."""


class ServerApi:
    """The API of one server, as far as its replies have shown it. All who talk to that server share one.

    Attributes:
        detected: The generations the server may be. Replies narrow them, also while a procedure runs.
    """

    __slots__ = ("detected",)

    def __init__(self, detected: ApiKnowledge = UNKNOWN) -> None:
        """Begins with what is known before the first reply."""
        self.detected = detected


def since(oldest: ApiVersion) -> tuple[ApiVersion, ...]:
    """Returns every generation from `oldest` on."""
    return ALL[ALL.index(oldest) :]


def before(newest: ApiVersion) -> tuple[ApiVersion, ...]:
    """Returns every generation older than `newest`."""
    return ALL[: ALL.index(newest)]


def having(field: str, *, value: bool = True) -> tuple[ApiVersion, ...]:
    """Returns the generations whose boolean capability `field` has this value."""
    return tuple(v for v in ALL if bool(getattr(CAPABILITIES[v], field)) is value)


def seen_in_session(payload: Mapping[str, object]) -> tuple[ApiVersion, ...]:
    """Returns the generations that would describe a session with these wire keys.

    Mix 0.7 added `sessionType`, Mix 0.8 `browserMode`, the next one `modelId` and `provider` (both omitted when empty,
    so their absence shows nothing).
    """
    if "modelId" in payload or "provider" in payload:
        return (ApiVersion.NEXT,)
    if "browserMode" in payload:
        return since(ApiVersion.V0_8)
    if "sessionType" in payload:
        return (ApiVersion.V0_7,)
    return before(ApiVersion.V0_7)


_EVENTS_0_8: Final = frozenset(
    {"tool_use_start", "tool_use_parameter_delta", "tool_use_parameter_streaming_complete", "notification"}
)


def seen_in_event(name: str, payload: Mapping[str, object]) -> tuple[ApiVersion, ...]:
    """Returns the generations that send such an event with these wire keys; all of them if it shows nothing."""
    if name in _EVENTS_0_8:
        return since(ApiVersion.V0_8)
    if name == "tool":
        return before(ApiVersion.V0_8)
    if name == "user_message_created" or "assistantMessageId" in payload:
        return since(ApiVersion.V0_7)
    return ALL


@dataclass(frozen=True, slots=True)
class Requirement:
    """A capability that an operation needs; `what` is the operation, as the user knows it."""

    feature: Feature
    what: str


def require(detected: Iterable[ApiVersion], feature: Feature, what: str) -> Requirement:
    """Refuses an operation that no generation the server may be can do.

    Args:
        detected: The generations the server may be.
        feature: The capability that the operation needs.
        what: The operation, as the user knows it.

    Returns:
        The same, for servers of which it is not known yet whether they can.

    Raises:
        MixUnsupportedError: None of them has it. Nothing was sent.
    """
    able = having(feature)
    detected = frozenset(detected)
    if detected.isdisjoint(able):
        raise MixUnsupportedError(
            f"{what} is not available on this Mix server (API {', '.join(v for v in ALL if v in detected)}).",
            hint=f"It exists on API {', '.join(able)}." if able else "",
        )
    return Requirement(feature, what)
