"""What happens in a turn besides its reply, as custom events.

Owns: their names and data, and who gets them: callbacks as `on_custom_event`, and in a LangGraph graph the stream
writer (`stream_mode="custom"`), which callbacks do not reach.
Refuses to know: what happens because of them; permission requests are answered elsewhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun

from langchain_mix.chat_models.tool_runs import async_manager_of, manager_of
from langchain_mix.protocol.turn.updates import (
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    Update,
)

PERMISSION: Final = "mix_permission"
"""A tool asks whether it may run. The data has the fields of `SSEPermissionEventData`."""
NOTIFICATION: Final = "mix_notification"
"""The agent tells or asks the user something. The data has the fields of `SSENotificationEventData`."""
PROGRESS: Final = "mix_progress"
"""Anything else: `kind` (`rate_limit`, `reopened`, `foreign_turn`, …) and `detail`, as in the update `Progress`."""

_HEARD = frozenset({PermissionRequested, NotificationReceived, Progress, SubagentUpdate})


@dataclass(frozen=True, slots=True)
class CustomEvent:
    """A custom event.

    Attributes:
        name: `mix_permission`, `mix_notification` or `mix_progress`.
        data: JSON values. Of a sub-agent's event, `parent_tool_call_id` is its Task call.
    """

    name: str
    data: dict[str, Any]

    def written(self) -> dict[str, Any]:
        """The event as it goes to a graph's stream writer, told apart from other writers' data by its only key."""
        return {"mix": {**self.data, "event": self.name.removeprefix("mix_")}}


def custom_event_of(update: Update) -> CustomEvent | None:
    """Shows an update as a custom event.

    Args:
        update: What the turn tells.

    Returns:
        The event, or None if the update is part of the reply or of a tool's run.
    """
    match update:
        case PermissionRequested():
            event = CustomEvent(PERMISSION, update.request.model_dump(mode="json", exclude_none=True))
        case NotificationReceived():
            event = CustomEvent(NOTIFICATION, update.notification.model_dump(mode="json", exclude_none=True))
        case Progress():
            # Details hold what the server sent as it came, so that they are JSON but for what nobody foresaw.
            event = CustomEvent(
                PROGRESS, {"kind": update.kind, "detail": json.loads(json.dumps(dict(update.detail), default=str))}
            )
        case SubagentUpdate():
            inner = custom_event_of(update.update)
            return CustomEvent(inner.name, {**inner.data, "parent_tool_call_id": update.parent_id}) if inner else None
        case _:
            return None
    event.data.pop("type", None)  # The wire's name of the event, which `name` replaces.
    return event


class CustomEvents:
    """Tells of one turn's events, in sync code."""

    def __init__(self, run_manager: CallbackManagerForLLMRun | None = None) -> None:
        """Finds whom to tell, once: the model's run, else the run around it, and the graph around it, if any.

        Args:
            run_manager: The model's run, where the caller of the producer gives it.
        """
        self._manager = manager_of(run_manager)
        self._write = _graph_writer()

    def hear(self, update: Update) -> None:
        """Tells of an update if it is an event.

        Args:
            update: What the turn tells.
        """
        if type(update) not in _HEARD or (event := custom_event_of(update)) is None:
            return
        if self._manager is not None:
            # Not `run_manager.on_custom_event`: that is a handler's hook, inherited, and tells nobody.
            self._manager.on_custom_event(event.name, event.data, run_id=self._manager.parent_run_id)
        if self._write is not None:
            self._write(event.written())


class AsyncCustomEvents:
    """`CustomEvents` for async code."""

    def __init__(self, run_manager: AsyncCallbackManagerForLLMRun | None = None) -> None:
        """Finds whom to tell, once: the model's run, else the run around it, and the graph around it, if any.

        Args:
            run_manager: The model's run, where the caller of the producer gives it.
        """
        self._manager = async_manager_of(run_manager)
        self._write = _graph_writer()

    async def hear(self, update: Update) -> None:
        """Tells of an update if it is an event.

        Args:
            update: What the turn tells.
        """
        if type(update) not in _HEARD or (event := custom_event_of(update)) is None:
            return
        if self._manager is not None:
            await self._manager.on_custom_event(event.name, event.data, run_id=self._manager.parent_run_id)
        if self._write is not None:
            self._write(event.written())


def _graph_writer() -> Callable[[Any], None] | None:
    """The stream writer of the LangGraph graph around this, if there is one. Loads nothing: a graph has loaded it."""
    langgraph = sys.modules.get("langgraph.config")
    if langgraph is None:
        return None
    try:
        writer: Callable[[Any], None] = langgraph.get_stream_writer()
    except (RuntimeError, KeyError):
        return None  # No run is around this, or one that is no graph's.
    return writer
