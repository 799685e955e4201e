"""The helpers of the official client: `query`, `send_with_callbacks`, `StreamingSession`.

Owns: these ways of following a turn. Refuses to know: how a turn runs; they are thin layers over `Mix.turn_async`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, Unpack, cast

from langchain_mix import errors
from langchain_mix.client._config import RequestOptions
from langchain_mix.client._turn_calls import PermissionPolicy, Verdict
from langchain_mix.client.mix import Mix
from langchain_mix.generators import Owned
from langchain_mix.protocol.events import (
    AgentEventData,
    SSECompleteEventData,
    SSEContentEventData,
    SSEErrorEventData,
    SSEPermissionEventData,
    SSEThinkingEventData,
    SSEToolEventData,
    SSEToolExecutionCompleteEventData,
    SSEToolExecutionStartEventData,
    SSEUserMessageCreatedEventData,
)
from langchain_mix.protocol.models import BrowserMode, Callback, PromptMode, SessionData, ThinkingLevel
from langchain_mix.protocol.turn.updates import (
    Accepted,
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCalled,
    ToolFinished,
    ToolOutput,
    ToolRunning,
    TurnResult,
    Update,
)

__all__ = ["StreamEvent", "StreamingSession", "query", "send_with_callbacks"]

TextCallback: TypeAlias = Callable[[str], object]
"""A callback that gets a text; what it returns is awaited if it can be."""

DataCallback: TypeAlias = Callable[[Any], object]
"""A callback that gets the data of an event; what it returns is awaited if it can be."""


@dataclass(slots=True)
class StreamEvent:
    """One thing that happened in a turn.

    Attributes:
        type: `thinking`, `content`, `tool`, `tool_execution_start`, `tool_execution_complete`, `tool_output`,
            `permission`, `notification`, `user_message_created`, `text_restated`, `error`, `complete`, `rate_limit`,
            and whatever newer servers send, under its own name. Text, reasoning and prompts of sub-agents have the
            prefix `subagent_`.
        data: What it says: the data of the server's event of that name, or a mapping for what has no such data.
    """

    type: str
    data: Any

    @property
    def content(self) -> str | None:
        """The piece of the answer, of a `content` event; else None."""
        return self.data.content if self.type == "content" else None

    @property
    def thinking(self) -> str | None:
        """The piece of reasoning, of a `thinking` event; else None."""
        return self.data.content if self.type == "thinking" else None

    @property
    def tool_name(self) -> str | None:
        """The tool, of a `tool` event; else None."""
        return self.data.name if self.type == "tool" else None


def event_of(update: Update) -> StreamEvent | None:  # noqa: C901, PLR0911, PLR0912  # One case per update.
    """Converts an update into the event that the official helpers give.

    Args:
        update: The update.

    Returns:
        The event, or None for arguments of a tool that are still being written; `tool` has them whole.
    """
    match update:
        case SubagentUpdate():
            return _nested(update)
        case ThinkingDelta():
            data: AgentEventData = SSEThinkingEventData(type="thinking", content=update.text)
        case TextDelta() | TextRestated():
            data = SSEContentEventData(type="content", content=update.text)
        case ToolCalled():
            data = SSEToolEventData(type="tool", id=update.id, name=update.name, input=update.input, status="completed")
        case Accepted():
            data = SSEUserMessageCreatedEventData(type="user_message_created", message_id=update.message_id)
        case ToolRunning():
            data = SSEToolExecutionStartEventData(
                type="tool_execution_start", tool_call_id=update.id, tool_name=update.name, progress=update.progress
            )
        case ToolFinished():
            data = SSEToolExecutionCompleteEventData(
                type="tool_execution_complete",
                tool_call_id=update.id,
                tool_name=update.name,
                progress=update.progress,
                success=update.success,
            )
        case ToolOutput():
            return StreamEvent("tool_output", update)
        case PermissionRequested():
            return StreamEvent("permission", update.request)
        case NotificationReceived():
            return StreamEvent("notification", update.notification)
        case Progress(kind="rate_limit" | "subagent_error" | "sign_in_notice"):
            return StreamEvent(update.kind, SSEErrorEventData.model_validate(update.detail))
        case Progress():
            return StreamEvent(update.kind, update.detail)
        case _:
            return None
    if isinstance(update, ThinkingDelta | TextDelta | TextRestated | ToolCalled):
        data.assistant_message_id = update.message_id or None
    return StreamEvent("text_restated" if isinstance(update, TextRestated) else data.type, data)


def _nested(update: SubagentUpdate) -> StreamEvent | None:
    event = event_of(update.update)
    if event is None:
        return None
    if isinstance(event.data, AgentEventData):
        event.data.parent_tool_call_id = update.parent_id
    if event.type in {"content", "thinking", "user_message_created"}:
        event.type = f"subagent_{event.type}"
    return event


def complete_event(result: TurnResult) -> StreamEvent:
    """Makes the last event of a turn that ended well."""
    last = result.messages[-1] if result.messages else None
    data = SSECompleteEventData(
        type="complete",
        content=result.text,
        message_id=result.message_id,
        reasoning=last.thinking if last else "",
        reasoning_duration=result.reasoning_duration,
    )
    return StreamEvent("complete", data)


def error_event(message: str) -> StreamEvent:
    """Makes the last event of a turn that did not end well."""
    return StreamEvent("error", SSEErrorEventData(type="error", error=message))


class TurnOptions(RequestOptions, total=False):
    """Options of `Mix.turn` that the helpers take too, with those of every request: see `RequestOptions`.

    Attributes:
        plan_mode: Whether the agent may only read and plan.
        thinking_level: How much the model may think (Mix 0.7).
        max_steps: After how many steps the turn ends with an error (Mix 0.8).
        timeout: Seconds that the turn may take before it is cancelled.
    """

    plan_mode: bool | None
    thinking_level: ThinkingLevel | str | None
    max_steps: int | None
    timeout: float | None


class SendOptions(TurnOptions, total=False):
    """The options of `send_with_callbacks`. See there."""

    on_thinking: TextCallback | None
    on_content: TextCallback | None
    on_tool: DataCallback | None
    on_tool_execution_start: DataCallback | None
    on_tool_execution_complete: DataCallback | None
    on_error: TextCallback | None
    on_permission: DataCallback | None
    on_complete: Callable[[], object] | None
    on_notification: DataCallback | None


Options = TypeVar("Options", TurnOptions, SendOptions)
Answer = TypeVar("Answer", bool, str)


async def query(
    mix: Mix,
    session_id: str,
    message: str,
    *,
    permissions: PermissionPolicy | None = None,
    **options: Unpack[TurnOptions],
) -> AsyncGenerator[StreamEvent, None]:
    """Sends a message and yields what happens until its turn is over.

    Leaving the loop early cancels the turn.

    Args:
        mix: The client.
        session_id: The session.
        message: The message.
        permissions: How permission requests are answered; see `Mix.turn`. None leaves those that are yielded as
            `permission` events to you, with `mix.permissions.grant_async(id=event.data.id)` for example, and denies
            those of sub-agents, which are not yielded. The server denies after 30 s.
        **options: See `TurnOptions`.

    Yields:
        The events; the last one is `complete` or `error`.

    Raises:
        MixError: The turn did not end well. The `error` event was yielded before.
    """
    policy = permissions if permissions is not None else _left_to_the_reader(session_id)
    async with mix.turn_async(session_id, message, permissions=policy, **options) as turn:
        updates = aiter(turn)
        while True:
            try:
                update = await anext(updates, None)
            except errors.MixError as error:
                yield error_event(error.message)
                raise
            if update is None:
                break
            event = event_of(update)
            if event is not None:
                yield _with_prompt(event, message)
    yield complete_event(turn.result)


async def send_with_callbacks(
    mix: Mix,
    session_id: str,
    message: str,
    *,
    on_thinking: TextCallback | None = None,
    on_content: TextCallback | None = None,
    on_tool: DataCallback | None = None,
    on_tool_execution_start: DataCallback | None = None,
    on_tool_execution_complete: DataCallback | None = None,
    on_error: TextCallback | None = None,
    on_permission: DataCallback | None = None,
    on_complete: Callable[[], object] | None = None,
    on_notification: DataCallback | None = None,
    **options: Unpack[TurnOptions],
) -> None:
    """Sends a message and calls callbacks for all that happens until its turn is over.

    Callbacks may be plain or async functions. One that raises ends the turn, and its exception is raised here. Text and
    reasoning are those of the session's own agent, each piece exactly once; tools of sub-agents are reported too.

    Args:
        mix: The client.
        session_id: The session.
        message: The message.
        on_thinking: Gets each piece of reasoning.
        on_content: Gets each piece of the answer.
        on_tool: Gets each tool call once its arguments are complete: `id`, `name`, `input`.
        on_tool_execution_start: Gets each start of a tool: `tool_call_id`, `tool_name`, `progress`.
        on_tool_execution_complete: Gets each end of a tool, with `success`.
        on_error: Gets the words of the error that ends the turn, which is then not raised.
        on_permission: Gets each permission request, and answers it: by granting or denying it (`mix.permissions`), or
            by returning True or False. Without this callback every request is denied at once.
        on_complete: Called at the end of a turn that ended well.
        on_notification: Gets each notification (Mix 0.8), and answers it: by responding (`mix.notifications`), or by
            returning a text.
        **options: See `TurnOptions`.

    Raises:
        MixTextGap: The server dropped a piece of text that `on_content` should have got; `turn` has the whole text.
        MixError: The turn did not end well otherwise. Neither is raised if there is an `on_error`.
    """
    listeners: Mapping[str, Callable[..., object] | None] = {
        "tool": on_tool,
        "tool_execution_start": on_tool_execution_start,
        "tool_execution_complete": on_tool_execution_complete,
    }
    gap = False
    async with mix.turn_async(
        session_id,
        message,
        permissions="deny" if on_permission is None else _policy(on_permission, bool),
        on_notification=None if on_notification is None else _policy(on_notification, str),
        **options,
    ) as turn:
        updates = aiter(turn)
        while True:
            try:
                update: Update | None = await anext(updates, None)
            except errors.MixError as error:
                return await _fail(error, on_error)
            if update is None:
                break
            gap = gap or isinstance(update, TextRestated)
            event = event_of(update)
            if event is None:
                continue
            if event.type == "thinking":
                await _call(on_thinking, event.data.content)
            elif event.type == "content":
                await _call(on_content, event.data.content)
            else:
                await _call(listeners.get(event.type), event.data)
    if gap and on_content is not None:
        await _fail(_text_gap(turn.result), on_error)
    else:
        await _call(on_complete)
    return None


class StreamingSession:
    """A session that lives as long as an `async with` block, and ways to talk in it.

    Attributes:
        mix: The client.
        title: The session's title.
    """

    def __init__(
        self,
        mix: Mix,
        title: str,
        custom_system_prompt: str | None = None,
        *,
        prompt_mode: PromptMode | str | None = None,
        browser_mode: BrowserMode | str | None = None,
        cdp_url: str | None = None,
        callbacks: Sequence[Callback | Mapping[str, Any]] | None = None,
        delete: bool = True,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Prepares a session; the block creates it.

        Args:
            mix: The client.
            title: The title.
            custom_system_prompt: The session's own prompt.
            prompt_mode: How it is combined with the server's own. None appends it.
            browser_mode: Which browser the session's web tools drive (Mix 0.8).
            cdp_url: The DevTools URL of a remote browser.
            callbacks: What the session does after tools (Mix 0.7).
            delete: Whether the end of the block deletes the session, its messages and its private files.
            **options: See `RequestOptions`; they hold for every request of the block.
        """
        self.mix = mix
        self.title = title
        self._fields: dict[str, Any] = {
            "custom_system_prompt": custom_system_prompt,
            "prompt_mode": prompt_mode,
            "browser_mode": browser_mode,
            "cdp_url": cdp_url,
            "callbacks": callbacks,
        }
        self._delete = delete
        self._options = options
        self._session: SessionData | None = None

    async def __aenter__(self) -> Self:
        """Creates the session."""
        self._session = await self.mix.sessions.create_async(title=self.title, **self._fields, **self._options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deletes the session."""
        if not self._delete:
            return
        try:
            await self.mix.sessions.delete_async(id=self.id, **self._options)
        except errors.MixNotFoundError:
            return  # Somebody else has deleted it.
        except errors.MixError as problem:
            if error is None:
                raise
            error.add_note(f"Also, session {self.id} could not be deleted: {problem}")

    @property
    def id(self) -> str:
        """The session's id.

        Raises:
            MixUsageError: The block has not begun.
        """
        return self.session.id

    @property
    def session(self) -> SessionData:
        """The session as it was created.

        Raises:
            MixUsageError: The block has not begun.
        """
        if self._session is None:
            raise errors.MixUsageError("There is no session yet.", hint="Use `async with StreamingSession(...)`.")
        return self._session

    async def query(
        self, message: str, *, permissions: PermissionPolicy | None = None, **options: Unpack[TurnOptions]
    ) -> AsyncGenerator[StreamEvent, None]:
        """Sends a message and yields what happens; see `query`.

        Args:
            message: The message.
            permissions: How permission requests are answered.
            **options: See `TurnOptions`.

        Yields:
            The events; the last one is `complete` or `error`.

        Raises:
            MixError: The turn did not end well.
        """
        events = query(self.mix, self.id, message, permissions=permissions, **_both(self._options, options))
        async with Owned(events) as owned:
            async for event in owned:
                yield event

    async def send(self, message: str, **options: Unpack[SendOptions]) -> None:
        """Sends a message and calls callbacks for what happens; see `send_with_callbacks`.

        Args:
            message: The message.
            **options: The callbacks, and what is in `TurnOptions`.

        Raises:
            MixError: The turn did not end well, and there is no `on_error`.
        """
        await send_with_callbacks(self.mix, self.id, message, **_both(self._options, options))


def _both(outer: RequestOptions, inner: Options) -> Options:
    return cast("Options", {**outer, **inner})


async def _call(callback: Callable[..., object] | None, *arguments: Any) -> object:
    said = None if callback is None else callback(*arguments)
    return await said if inspect.isawaitable(said) else said


async def _fail(error: errors.MixError, on_error: TextCallback | None) -> None:
    if on_error is None:
        raise error
    await _call(on_error, error.message)


def _text_gap(result: TurnResult) -> errors.MixTextGap:
    error = errors.MixTextGap(
        "The server dropped a piece of the text while it streamed.",
        acted="yes",
        hint="The turn is complete: the whole text is in `.turn`. Do not send the message again.",
    )
    error.turn = result
    return error


def _with_prompt(event: StreamEvent, message: str) -> StreamEvent:
    if event.type == "user_message_created":
        event.data.content = message
    return event


def _left_to_the_reader(session_id: str) -> Callable[[SSEPermissionEventData], Verdict]:
    def policy(request: SSEPermissionEventData) -> Verdict:
        # Nobody would see the request of a sub-agent, which then would wait for half a minute.
        return None if request.session_id == session_id else False

    return policy


def _policy(callback: DataCallback, kind: type[Answer]) -> Callable[[Any], Awaitable[Answer | None]]:
    """Makes a policy of a callback: what it returns is the answer if it is of this kind, and nothing if it is not."""

    async def policy(request: Any) -> Answer | None:
        said = await _call(callback, request)
        return said if isinstance(said, kind) else None

    return policy
