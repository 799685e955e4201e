"""What a turn tells while it runs, for those who follow it with `Mix.turn`.

Owns: this import path. Refuses to know: how a turn runs.
"""

from __future__ import annotations

from langchain_mix.protocol.turn.updates import (
    Accepted,
    Message,
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolCalled,
    ToolCallStarted,
    ToolFinished,
    ToolOutput,
    ToolRunning,
    TurnResult,
    Update,
    Usage,
)

__all__ = [
    "Accepted",
    "Message",
    "NotificationReceived",
    "PermissionRequested",
    "Progress",
    "SubagentUpdate",
    "TextDelta",
    "TextRestated",
    "ThinkingDelta",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallStarted",
    "ToolCalled",
    "ToolFinished",
    "ToolOutput",
    "ToolRunning",
    "TurnResult",
    "Update",
    "Usage",
]
