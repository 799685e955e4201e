"""The values that Mix documents for its choices, for users to pass in.

What a server sends back is an open world, so payload fields are plain `str` and compare equal.
"""

from __future__ import annotations

from enum import StrEnum


class Provider(StrEnum):
    """Providers of models, or of a tool's data; all of them take an API key."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    OPENROUTER = "openrouter"
    GEMINI = "gemini"
    BRAVE = "brave"


class PromptMode(StrEnum):
    """The relation of a session's own prompt to the server's."""

    DEFAULT = "default"
    """The server's prompt alone; a custom prompt is ignored."""
    APPEND = "append"
    """The custom prompt after the server's, up to 51,200 bytes."""
    REPLACE = "replace"
    """The custom prompt instead of the server's, up to 102,400 bytes."""


class ThinkingLevel(StrEnum):
    """The tokens with which the model may think: 0, 4,000, 10,000 or 31,999. Since Mix 0.7."""

    OFF = "off"
    BASIC = "basic"
    MEDIUM = "medium"
    MAXIMUM = "maximum"


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


class ReasoningEffort(StrEnum):
    """The effort with which an agent's model reasons, as a preference of the whole server."""

    NONE = ""
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class RespondToNotificationType(StrEnum):
    """The form of the answer to a notification. Since Mix 0.8."""

    ACKNOWLEDGE = "acknowledge"
    TEXT = "text"
    CHOICE = "choice"
