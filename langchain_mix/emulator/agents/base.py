"""Agents: an agent reads a conversation and answers with the pieces of one model reply.

Owns: the values that agents and the turn runner exchange, and the names `"offline"` and `"model:…"` of agents.
Refuses to know: sessions, streams, API generations, and how tools are run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of reasoning; one `thinking` event."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer; one `content` event."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A call of one of the server's tools, complete.

    Attributes:
        name: The tool, in the PascalCase spelling (`ReadText`, `Bash`, …); the runner spells it as its generation does.
        input: The arguments.
        id: The call's id; the runner makes one (`toolu_fake_<uuid>`) if it is empty.
        result: A scripted result. None runs the real tool.
        failure: A scripted failure text: the execution fails with it (`success: false`).
        ask: True when permission is required; None leaves it to the tool.
        raw_input: The text on the wire instead of the JSON of `input`, for broken arguments.
        until: The tool runs until this is opened (and forever if it never is, unless cancelled).
        screenshots: Pictures of the browser that a scripted call takes, each a PNG (Mix 0.8).
    """

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    result: str | None = None
    failure: str | None = None
    ask: bool | None = None
    raw_input: str | None = None
    until: Gate | None = None
    screenshots: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and cost of this model reply. `model` names the model that gave it."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float = 0.0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Fail:
    """The model provider fails; the turn ends with this error text.

    Attributes:
        message: The provider's words, as the server would put them on the stream.
        kind: `"rate_limit"` sends the undocumented `rate_limit_error` event before the error, as the server does when
            the provider's text contains that word; `"auth"` is a 401 of the provider.
    """

    message: str
    kind: Literal["provider", "rate_limit", "auth"] = "provider"


@dataclass(frozen=True, slots=True)
class Raw:
    """An event put on the session's streams as it is, for events that no generation knows."""

    event: str
    data: Mapping[str, Any]


@dataclass(slots=True)
class Gate:
    """A gate that a test opens. Agents wait at it without blocking the server's loop, so no test ever sleeps.

    `reached` is set when the first waiter has arrived.
    """

    _open: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _waiting: list[Callable[[], None]] = field(default_factory=list, repr=False, compare=False)

    def open(self) -> None:
        """Lets everyone through, now and later. May be called from any thread."""
        with self._lock:
            self._open.set()
            waiting, self._waiting = self._waiting, []
            # Inside the lock, so that a `forget` that has returned means that its callback will not be called.
            for callback in waiting:
                callback()

    @property
    def is_open(self) -> bool:
        """True when the gate is open."""
        return self._open.is_set()

    def when_open(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Has a callback called once, by the thread that opens the gate, or at once if it is open.

        Args:
            callback: It must not wait and must not use this gate.

        Returns:
            A function that forgets the callback if it has not been called yet.
        """
        with self._lock:
            self.reached.set()
            if not self._open.is_set():
                self._waiting.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._waiting:
                self._waiting.remove(callback)

    async def passed(self) -> None:
        """Waits until the gate is open without blocking the event loop. May be cancelled."""
        loop = asyncio.get_running_loop()
        through: asyncio.Future[None] = loop.create_future()

        def let_through() -> None:
            if not through.done():
                through.set_result(None)

        def opened() -> None:
            loop.call_soon_threadsafe(let_through)

        forget = self.when_open(opened)
        try:
            await through
        finally:
            forget()


@dataclass(frozen=True, slots=True)
class Wait:
    """The reply goes on once this gate is open."""

    gate: Gate


Piece = Thinking | Text | ToolUse | Usage | Fail | Raw | Wait


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a tool call."""

    call_id: str
    name: str
    output: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the conversation, as a model sees it.

    Attributes:
        role: The speaker.
        text: The text; of a user row with everything that the server appended.
        calls: The tools an assistant row called.
        results: The results that a tool row holds, in call order.
    """

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolUse, ...] = ()
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The input of one model reply.

    Attributes:
        session_id: The session.
        lines: The whole conversation, oldest first; the last is a user row or a tool row.
        tools: Names (PascalCase) of the tools that may be called in this turn.
        system_prompt: The session's custom prompt, or empty.
        prompt_mode: The relation of the custom prompt to the built-in one.
        thinking_level: `off`, `basic`, `medium`, `maximum`, or None.
        plan_mode: True when only read-only tools are allowed.
        workspace: The session's private directory.
        uploads: The directory of uploaded files, shared by all sessions.
        is_subagent: True for the sub-agent of a Task call.
    """

    session_id: str
    lines: tuple[Line, ...]
    tools: tuple[str, ...]
    system_prompt: str = ""
    prompt_mode: str = "default"
    thinking_level: str | None = None
    plan_mode: bool = False
    workspace: Path
    uploads: Path
    is_subagent: bool = False


class Agent(Protocol):
    """Answers for the agent.

    An agent whose replies cost nothing has the attribute `costs_nothing = True`. Pages of other origins may not use a
    server with any other agent, unless their origins are named.
    """

    def reply(self, request: Request) -> AsyncIterator[Piece]:
        """Gives one model reply.

        The runner runs the tools that the pieces call, all in parallel, and asks again with their results, until a
        reply calls none. Closing the iterator means that the turn was cancelled.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request for permission, in the fields of the wire's `permission` event."""

    description: str
    action: str
    path: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a tool. `is_error` marks an error *result*; a tool that breaks raises instead."""

    output: str
    is_error: bool = False


class Toolbox(Protocol):
    """The server's tools."""

    def asks(self, name: str, arguments: Mapping[str, Any], request: Request) -> Ask | None:
        """Returns the permission that this call needs, if any."""
        ...

    async def run(self, name: str, arguments: Mapping[str, Any], request: Request) -> Outcome:
        """Runs a tool inside the request's directories. Unknown names give `Tool not found: <name>` as error result."""
        ...


CHOICES = (
    'choose "offline", "model:<provider:name>" such as "model:openai:gpt-4o-mini", an agent (an object with `reply`) '
    "or a LangChain chat model"
)


def make_agent(spec: str | Agent | BaseChatModel) -> Agent:
    """Makes the agent that a setting names.

    Args:
        spec: `"offline"`; `"model:<provider:name>"` for any model that LangChain can make; an agent; a chat model.

    Returns:
        The agent.

    Raises:
        ValueError: If the setting names none.
        ImportError: If `"model:…"` is requested and `langchain` or the provider's package is missing.
    """
    if isinstance(spec, str):
        return _named(spec)
    if callable(getattr(spec, "reply", None)):
        return cast("Agent", spec)
    if callable(getattr(spec, "astream", None)):
        return _modelled(spec)
    raise ValueError(f"no agent: {type(spec).__name__}; {CHOICES}")


def _named(spec: str) -> Agent:
    if spec == "offline":
        from langchain_mix.emulator.agents.offline import OfflineAgent  # noqa: PLC0415

        return OfflineAgent()
    kind, _, name = spec.partition(":")
    if kind != "model" or not name.strip():
        raise ValueError(f"unknown agent {spec!r}; {CHOICES}")
    try:
        from langchain.chat_models import init_chat_model  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "An agent 'model:…' needs LangChain: pip install 'langchain-mix[agents]', and the package of the provider"
        ) from error
    return _modelled(init_chat_model(name.strip()))


def _modelled(model: object) -> Agent:
    from langchain_core.language_models import BaseChatModel as ChatModel  # noqa: PLC0415

    if not isinstance(model, ChatModel):
        raise ValueError(f"no chat model: {type(model).__name__}; {CHOICES}")  # noqa: TRY004  One error for all specs.
    from langchain_mix.emulator.agents.model import ModelAgent  # noqa: PLC0415

    return ModelAgent(model)
