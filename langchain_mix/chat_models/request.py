"""Parses the arguments of one call of the model into a value: messages, options, tools, response format.

Owns: what `ChatMix`'s fields, the arguments of a call and the configuration around it mean together.
Refuses to know: sessions and turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables.config import ensure_config
from pydantic import TypeAdapter, ValidationError

from langchain_mix.chat_models.history import digest, kind_of, system_text
from langchain_mix.chat_models.inputs import standard_messages
from langchain_mix.chat_models.parameters import CallParameters, OnDivergence, Version, read_call
from langchain_mix.chat_models.process_state import REPLY_CACHE, THREAD_SESSIONS, TaskSlot
from langchain_mix.chat_models.reply_parser import DATA_ONLY
from langchain_mix.chat_models.response_schema import ResponseSchema
from langchain_mix.chat_models.session_lifecycle import SessionRequest
from langchain_mix.chat_models.structured_output import response_prompt, response_schema
from langchain_mix.chat_models.tool_prompt import (
    CALLS_CHECKED,
    demanded,
    normalise_choice,
    openai_tool,
    parameter_names,
    reminder,
    tool_name,
    tools_prompt,
)
from langchain_mix.errors import MixInputError
from langchain_mix.pointer import read_pointer

if TYPE_CHECKING:
    from langchain_mix.chat_models.chat_model import ChatMix


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Fields of `ChatMix` as they hold for one call, which may set each of them otherwise; see `ChatMix`."""

    session_id: str | None
    system_prompt: str | None
    title: str | None
    plan_mode: bool
    thinking_level: str | None
    max_steps: int | None
    max_cost: float | None
    permissions: Any
    on_notification: Any
    on_divergence: OnDivergence
    multitask_strategy: str
    retention: str
    emit_tool_runs: bool


FIELDS: Final = frozenset(one.name for one in fields(ModelOptions))
"""Fields of `ChatMix` that a single call may set otherwise."""
TOOL_ARGUMENTS: Final = frozenset(
    {"tools", "tool_choice", "parallel_tool_calls", "strict", "response_format", DATA_ONLY, CALLS_CHECKED}
)
SESSION_KEY: Final = "mix_session_id"
"""The key of a runnable's `configurable` that names the session, and the argument of a call that does."""
THREAD_KEY: Final = "mix_thread_id"
"""The argument of a call that has it run in the session of a thread, whatever `session_per_thread` is."""
_NO_ARGUMENTS: Final[Mapping[str, Any]] = MappingProxyType({})
_ARGUMENTS: Final = FIELDS | TOOL_ARGUMENTS | {SESSION_KEY, THREAD_KEY, "thread_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTools:
    """The application's tools and the response format of a call.

    Attributes:
        names: The tools that may be called; none with the choice "none".
        demanded: Those of which one has to be called.
        data: The schema of the reply's data, if its text is to be nothing else.
    """

    prompts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    demanded: tuple[str, ...] = ()
    parameters: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    data: ResponseSchema | None = None


_NO_TOOLS: Final = ClientTools()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One call of the model.

    Attributes:
        timeout: Seconds the call may take.
        demanded: The tools of which the reply has to call one; none if it need not, or if the caller checks that.
        thread: The server and the thread that has a session of its own there, if there is one.
        slot: The position of the call in a graph's task, if it runs in one.
        denied: The tools of whose denial the user was warned; None if somebody chose to deny them.
    """

    session: SessionRequest
    options: ModelOptions
    timeout: float | None
    stops: tuple[str, ...] = ()
    tools: ClientTools = _NO_TOOLS
    demanded: tuple[str, ...] = ()
    version: Version = "v0"
    thread: tuple[str, str] | None = None
    slot: TaskSlot | None = field(default=None, compare=False)
    denied: set[str] | None = field(default=None, compare=False)

    def lacks_call(self, called: Sequence[str]) -> bool:
        """Returns whether a reply that calls these tools lacks the call that it had to make."""
        return _lacks_call(called, self.demanded)

    def mark(self) -> str:
        """Returns a hash of messages and options."""
        return _mark(self.session, self.options)


def parse_request(
    model: ChatMix,
    server: str,
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
    *,
    version: Version = "v0",
    denied: set[str] | None = None,
) -> ChatRequest:
    """Reads a call of the model; `denied` are the tools of whose denial it has warned, to which more are added.

    Raises:
        MixInputError: An argument is unknown or cannot be honoured.
    """
    if kwargs or stop is not None or model.stop:
        parameters = read_call(model, stop, kwargs, _ARGUMENTS)
    else:  # As the object says.
        parameters = CallParameters(
            model=model.model, provider=model.provider, timeout=model.timeout, rest=_NO_ARGUMENTS
        )
    rest = parameters.rest
    if not all(type(message.content) is str for message in messages):
        messages = standard_messages(messages)
    options = ModelOptions(**{name: _option(model, name, rest) for name in FIELDS})
    # A plain call has neither tools nor a format, and nothing of them is built.
    tools = _NO_TOOLS if rest.keys().isdisjoint(TOOL_ARGUMENTS) else _read_tools(rest)
    pinned, thread_id = _named_session(model, rest)
    thread = None
    if pinned is None and thread_id:
        thread = (server, str(thread_id))
        pinned = THREAD_SESSIONS.get(thread)
    setup = [options.system_prompt or "", system_text(messages), *tools.prompts]
    session = SessionRequest(
        messages=messages,
        setup="\n\n".join(part for part in setup if part),
        server=server,
        reminder=_reminder(messages, server, tools.demanded),
        pinned=pinned,
        on_divergence=options.on_divergence,
        title=options.title,
        prompt_mode=model.prompt_mode,
        parameters=parameters,
        set_preferences=model.set_preferences,
        max_tokens=model.max_tokens,
    )
    return ChatRequest(
        session=session,
        options=options,
        timeout=parameters.timeout,
        stops=parameters.stop,
        tools=tools,
        demanded=() if rest.get(CALLS_CHECKED) else tools.demanded,
        version=version,
        thread=thread,
        denied=None if "permissions" in model.model_fields_set or "permissions" in rest else denied,
        slot=REPLY_CACHE.slot(lambda: _mark(session, options)),
    )


def _read_tools(given: Mapping[str, Any]) -> ClientTools:
    """Reads tools and response format. Who binds tools by `bind` gives them as `bind_tools` takes them."""
    tools = [openai_tool(tool, strict=given.get("strict")) for tool in given.get("tools") or ()]
    choice = normalise_choice(given.get("tool_choice"), tools)
    names = tuple(tool_name(tool) for tool in tools)
    response_format = given.get("response_format")
    return ClientTools(
        prompts=(
            tools_prompt(tools, choice, parallel=given.get("parallel_tool_calls", True)),
            response_prompt(response_format),
        ),
        names=() if choice == "none" else names,
        demanded=demanded(choice, names),
        parameters={tool_name(tool): parameter_names(tool) for tool in tools},
        data=response_schema(response_format) if given.get(DATA_ONLY) else None,
    )


def names_session(model: ChatMix, kwargs: Mapping[str, Any]) -> bool:
    """Returns whether a call with these arguments runs in a session that is named, by its id or by a thread."""
    return any(_named_session(model, kwargs))


def _named_session(model: ChatMix, given: Mapping[str, Any]) -> tuple[str | None, Any]:
    """Returns the session that a call names, and the thread that has one of its own; None for what it names not."""
    configurable = ensure_config().get("configurable", {})
    session = given.get(SESSION_KEY) or configurable.get(SESSION_KEY) or given.get("session_id") or model.session_id
    if model.session_per_thread:
        return session, given.get("thread_id") or configurable.get("thread_id")
    return session, given.get(THREAD_KEY)


def _lacks_call(called: Sequence[str], wanted: Sequence[str]) -> bool:
    return bool(wanted) and not any(name in wanted for name in called)


def _reminder(messages: Sequence[BaseMessage], server: str, wanted: Sequence[str]) -> str:
    """Returns what to send if the conversation ends with an answer of ours that lacks the call it had to make.

    Sending the last question again would have it answered twice; the session is sent what its answer lacks instead.
    """
    if not wanted:
        return ""
    last = next((m for m in reversed(messages) if kind_of(m) != "system"), None)
    if not isinstance(last, AIMessage) or not _lacks_call([call["name"] for call in last.tool_calls], wanted):
        return ""
    pointer = read_pointer(last.response_metadata)
    ours = pointer is not None and pointer.server.rstrip("/") == server.rstrip("/")
    return reminder(wanted) if ours else ""


def _option(model: ChatMix, name: str, given: Mapping[str, Any]) -> Any:
    """Returns a field as it holds for a call; the call's own value is checked as that of the object was."""
    if name not in given:
        return getattr(model, name)
    try:
        return _checker(type(model), name).validate_python(given[name])
    except ValidationError as error:
        raise MixInputError(f"`{name}` is {given[name]!r}: {error.errors()[0]['msg']}.") from error


@cache
def _checker(model: type[ChatMix], name: str) -> TypeAdapter[Any]:
    field_info: Any = model.model_fields[name]
    form: Any = Annotated[field_info.annotation, field_info]
    return TypeAdapter(form)


def _mark(session: SessionRequest, options: ModelOptions) -> str:
    """Returns a hash of messages and options."""
    named = ((name, getattr(options, name)) for name in sorted(FIELDS))
    conditions = [(name, value) for name, value in named if isinstance(value, str | int | float | bool | None)]
    model = [session.parameters.provider, session.parameters.model]
    parts = [digest(session.messages), session.setup, session.server, session.pinned, model, conditions]
    return blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
