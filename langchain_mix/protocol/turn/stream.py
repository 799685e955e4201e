"""The rules of a turn for the events of its stream.

Owns: one rule per event. Refuses to know: answers to requests (`machine.py`) and stored messages (`reconciliation.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from langchain_mix.protocol import events as ev
from langchain_mix.protocol.api import seen_in_event
from langchain_mix.protocol.tool_calls import same_tool
from langchain_mix.protocol.turn import errors as turn_errors
from langchain_mix.protocol.turn.signals import Ask, Emit, Notify, Reconcile, Send, Unwatch, Watch
from langchain_mix.protocol.turn.state import Delivery, Effects, Phase, State, TextSuppression, Visibility
from langchain_mix.protocol.turn.stored_rows import same_text
from langchain_mix.protocol.turn.updates import (
    Accepted,
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    TextDelta,
    ThinkingDelta,
    Update,
)

_ASK_STORED: Final[Effects] = (Reconcile(export=True),)


def handle_event(state: State, event: ev.Event) -> Effects:
    """Handles an event."""
    kind = type(event)
    if kind not in _PERHAPS_OLD or _is_new(state, event):
        state.activity.progress()
    rule = _RULES.get(kind)
    return rule(state, event) if rule is not None else ()


def _is_new(state: State, event: ev.Event) -> bool:
    """True unless the event would come on a session where nobody works, too. For those of `_PERHAPS_OLD`."""
    if isinstance(event, ev.UnknownEvent):
        # A later server may have a keep-alive event of another name; it says the same each time.
        last, state.activity.unknown = state.activity.unknown, (event.event, event.raw)
        return event.event != "connected" and last != state.activity.unknown
    if isinstance(event, ev.SSEUserMessageCreatedEvent):
        known = event.data.message_id == state.user_id or event.data.message_id in state.others.user_ids
        return bool(event.data.parent_tool_call_id) or not known
    return False


def _nested(parent_id: str, update: Update) -> Effects:
    return (Emit(SubagentUpdate(parent_id, update)),)


def _connected(state: State, _: ev.SSEConnectedEvent | ev.UnknownEvent) -> Effects:
    state.reopens, state.resume_at = 0, ""
    if state.phase is Phase.OPENING:
        state.phase, state.delivery = Phase.RUNNING, Delivery.SENT
        return (Send(),)
    if state.phase is not Phase.RUNNING:
        return ()
    if state.suppression is TextSuppression.NONE:
        state.suppression = TextSuppression.UNTIL_TOOL
    return (Emit(Progress("reopened")), *_ASK_STORED)


def _heartbeat(state: State, _: ev.SSEHeartbeatEvent) -> Effects:
    # A full queue drops events, the last one too (Mix 0.6 on). A heartbeat is when to ask whether that happened.
    return _ASK_STORED if state.phase is Phase.RUNNING else ()


def _thinking(state: State, event: ev.SSEThinkingEvent) -> Effects:
    data = event.data
    if data.parent_tool_call_id:
        return _nested(data.parent_tool_call_id, ThinkingDelta(data.assistant_message_id or "", data.content))
    if not state.is_own(data.assistant_message_id) or state.suppression is not TextSuppression.NONE:
        return ()
    return (Emit(state.accumulator.thinking(data)),)


def _content(state: State, event: ev.SSEContentEvent) -> Effects:
    data = event.data
    if data.parent_tool_call_id:
        return _nested(data.parent_tool_call_id, TextDelta(data.assistant_message_id or "", data.content))
    if not state.is_own(data.assistant_message_id) or state.suppression is not TextSuppression.NONE:
        return ()
    return (Emit(state.accumulator.text(data)),)


def _tool(state: State, event: Any) -> Effects:
    data: ev.AgentEventData = event.data
    state.narrow(seen_in_event(event.event, {}))
    if data.parent_tool_call_id:
        return tuple(Emit(SubagentUpdate(data.parent_tool_call_id, u)) for u in state.accumulator.tool(data))
    if not state.is_own(data.assistant_message_id) or _may_be_foreign(state, data.assistant_message_id):
        return ()
    return tuple(Emit(u) for u in state.accumulator.tool(data))


def _may_be_foreign(state: State, message_id: str | None) -> bool:
    """Returns True if a message that makes tool calls may belong to another turn that runs at the same time."""
    return state.suppression is TextSuppression.UNTIL_END and message_id not in state.accumulator.ids


def _resume(state: State, call_id: str, effects: Effects) -> Effects:
    # After a break: the messages up to the one that made this call are stored, and the next one has not begun. So what
    # is missing can be emitted now, then this, and what follows as it comes.
    if state.suppression is not TextSuppression.UNTIL_TOOL:
        return effects
    state.resume_at, state.held = call_id, effects
    return _ASK_STORED


def _execution_start(state: State, event: ev.SSEToolExecutionStartEvent) -> Effects:
    data = event.data
    if not _own_run(state, data):
        return ()
    update = state.accumulator.running(data)
    if update is None:
        return ()
    if data.parent_tool_call_id:
        return _nested(data.parent_tool_call_id, update)
    return _resume(state, data.tool_call_id, (Emit(update),))


def _own_run(state: State, data: ev.SSEToolExecutionStartEventData | ev.SSEToolExecutionCompleteEventData) -> bool:
    if data.parent_tool_call_id:
        return True
    return state.is_own(None) and (
        state.suppression is not TextSuppression.UNTIL_END or state.accumulator.knows(data.tool_call_id)
    )


def _execution_complete(state: State, event: ev.SSEToolExecutionCompleteEvent) -> Effects:
    data = event.data
    if not _own_run(state, data):
        return ()
    update = state.accumulator.finished(data)
    if update is None:
        return ()
    if data.parent_tool_call_id:
        return _nested(data.parent_tool_call_id, update)
    over: Effects = (Unwatch(update.id),) if same_tool(update.name, "Task") else ()
    return _resume(state, data.tool_call_id, (Emit(update), *over))


def _permission(state: State, event: ev.SSEPermissionEvent) -> Effects:
    # Written past the queue, so it may come before anything else of the turn.
    return (Emit(PermissionRequested(event.data)), Ask(event.data)) if state.sent else ()


def _notification(state: State, event: ev.SSENotificationEvent) -> Effects:
    state.narrow(seen_in_event(event.event, {}))
    return (Emit(NotificationReceived(event.data)), Notify(event.data)) if state.sent else ()


def _user_message(state: State, event: ev.SSEUserMessageCreatedEvent) -> Effects:
    data = event.data
    state.narrow(seen_in_event(event.event, {}))
    if data.parent_tool_call_id:
        # A sub-agent has got its prompt, so that its session exists. Its permission requests reach no other stream.
        return (*_nested(data.parent_tool_call_id, Accepted(data.message_id)), Watch(data.parent_tool_call_id))
    if state.phase is not Phase.RUNNING:
        return ()
    if data.message_id == state.user_id:
        return ()
    others = state.others
    if not state.user_id and same_text(data.content, state.text):
        state.user_id, state.visibility = data.message_id, Visibility.SHOWN
        running = len(others.user_ids) - len(others.ends)
        others.ends.clear()
        if running > 0:
            state.mark_concurrent(running)
        return (Emit(Accepted(data.message_id)),)
    others.user_ids.add(data.message_id)
    if state.user_id:
        state.mark_concurrent(others.concurrent + 1)
    return (Emit(Progress("foreign_turn", {"messageId": data.message_id, "content": data.content})),)


def _complete(state: State, event: ev.SSECompleteEvent) -> Effects:
    data = event.data
    if data.parent_tool_call_id or state.phase is not Phase.RUNNING:
        return ()
    if state.command and not data.message_id:
        state.accumulator.answer(data.content)  # Mix 0.5: a command's answer is no message.
        return state.finish(command=True)
    if not state.is_own(None):
        state.others.ends.add(data.message_id)
        state.candidate = data.message_id  # If it answers this turn's message, the stored messages say so.
        return _ASK_STORED if state.accepted else ()
    if data.message_id in state.others.message_ids:
        state.others.ends.add(data.message_id)
        return ()
    if state.result.contended and not data.message_id:
        return _ASK_STORED  # Anyone's; the stored messages decide.
    state.complete, state.phase = data, Phase.CLOSING
    return (state.final_read(),)


def _error(state: State, event: ev.SSEErrorEvent) -> Effects:
    data = event.data
    if data.parent_tool_call_id:
        return _nested(data.parent_tool_call_id, Progress("subagent_error", {"error": data.error}))
    if state.phase is Phase.OPENING:
        return state.fail(turn_errors.refused_stream(state.session_id, data.error))
    if state.phase is not Phase.RUNNING:
        # Mix 0.6.5 on: every error comes twice.
        state.stale_error = "" if data.error == state.stale_error else state.stale_error
        return ()
    return _running_error(state, data)


def _running_error(state: State, data: ev.SSEErrorEventData) -> Effects:
    if turn_errors.is_sign_in_notice(data.error) and state.detected.supports("stream_write") is not True:
        # Sent to all streams of a session when anyone's message is refused; ours is refused in its own answer.
        return (Emit(Progress("sign_in_notice", {"error": data.error})),)
    if not state.shown and data.error and data.error == state.stale_error:
        state.stale_error = ""
        return ()
    if not state.is_own(None):
        state.others.ends.add("error: " + data.error)
        state.early_error = data.error
        return _ASK_STORED if state.accepted else ()
    if state.result.contended and not state.others.all_ended("error: " + data.error):
        state.early_error = data.error
        return _ASK_STORED
    state.reported_error = data.error
    return state.end_with(turn_errors.agent_error(data))


def _rate_limit(_: State, event: ev.SSERateLimitErrorEvent) -> Effects:
    # Progress, not an end: an `error` follows when the server gives up.
    return (Emit(Progress("rate_limit", event.data.model_dump(by_alias=True, exclude_defaults=True))),)


def _summarize(state: State, event: ev.SSESummarizeEvent) -> Effects:
    return (Emit(Progress("summarize", event.data.model_dump(by_alias=True))),) if state.sent else ()


def _session_deleted(state: State, event: ev.SSESessionDeletedEvent) -> Effects:
    if event.data.session_id != state.session_id:
        return ()
    return state.fail(turn_errors.session_deleted(state.session_id))


def _unknown(state: State, event: ev.UnknownEvent) -> Effects:
    if event.event == "connected":
        return _connected(state, event)  # Its data do not matter.
    if event.event in {"complete", "error"}:
        # It ends a turn, but cannot be read: the stored messages can.
        return _ASK_STORED if state.phase is Phase.RUNNING else ()
    return (Emit(Progress(event.event, {"data": event.data, "raw": event.raw, "reason": event.reason})),)


_PERHAPS_OLD: Final = frozenset(
    {
        ev.SSEHeartbeatEvent,
        ev.SSEConnectedEvent,
        ev.SSESessionCreatedEvent,
        ev.SSESessionDeletedEvent,
        ev.SSEUserMessageCreatedEvent,
        ev.UnknownEvent,
    }
)
"""Events that may come though no turn runs. Mix cuts every stream after ten minutes, so `connected` comes again."""

_RULES: Final[Mapping[type, Callable[[State, Any], Effects]]] = {
    ev.SSEConnectedEvent: _connected,
    ev.SSEHeartbeatEvent: _heartbeat,
    ev.SSEThinkingEvent: _thinking,
    ev.SSEContentEvent: _content,
    ev.SSEToolEvent: _tool,
    ev.SSEToolParameterDeltaEvent: _tool,
    ev.SSEToolUseStartEvent: _tool,
    ev.SSEToolUseParameterDeltaEvent: _tool,
    ev.SSEToolUseParameterStreamingCompleteEvent: _tool,
    ev.SSEToolExecutionStartEvent: _execution_start,
    ev.SSEToolExecutionCompleteEvent: _execution_complete,
    ev.SSEPermissionEvent: _permission,
    ev.SSENotificationEvent: _notification,
    ev.SSEUserMessageCreatedEvent: _user_message,
    ev.SSECompleteEvent: _complete,
    ev.SSEErrorEvent: _error,
    ev.SSERateLimitErrorEvent: _rate_limit,
    ev.SSESummarizeEvent: _summarize,
    ev.SSESessionDeletedEvent: _session_deleted,
    ev.UnknownEvent: _unknown,
}
