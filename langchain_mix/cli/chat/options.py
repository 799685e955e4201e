"""What a user chose for a chat.

Owns: those values. Refuses to know: how they are typed (`command.py`) and what comes of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Permissions = Literal["ask", "deny", "allow"]


@dataclass(slots=True, kw_only=True)
class ChatOptions:
    """How to chat.

    Attributes:
        title: Title of sessions that the chat begins.
        permissions: How the agent's requests to run a tool are answered.
        plan_mode: Whether the agent may only read and plan.
        thinking_level: How much the model may think, or None for the server's default (Mix 0.7).
        max_steps: After how many steps a turn ends with an error, or None (Mix 0.8).
        show_thinking: Whether thinking is shown.
        history: Whether what is typed is remembered in a file.
    """

    title: str = "Chat"
    permissions: Permissions = "ask"
    plan_mode: bool = False
    thinking_level: str | None = None
    max_steps: int | None = None
    show_thinking: bool = True
    history: bool = True
