"""A call of the model, read: what is asked, and under which conditions.

Owns: what `ChatMix`'s fields, the arguments of a call and the configuration around it mean together.
Refuses to know: sessions and turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables.config import ensure_config
from pydantic import TypeAdapter, ValidationError

from langchain_mix.chat_models.content_blocks import ReplyWriter, Version
from langchain_mix.chat_models.history import digest, kind_of, system_text
from langchain_mix.chat_models.inputs import standard_messages
from langchain_mix.chat_models.parameters import read_call
from langchain_mix.chat_models.permissions import Approvals
from langchain_mix.chat_models.process_state import REPLIES, THREADS, Place
from langchain_mix.chat_models.reply_parser import DATA_ONLY, speech_for
from langchain_mix.chat_models.response_schema import ResponseSchema
from langchain_mix.chat_models.session_setup import Asked
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


FIELDS: Final = frozenset(
    {
        "session_id",
        "system_prompt",
        "title",
        "plan_mode",
        "thinking_level",
        "max_steps",
        "max_cost",
        "permissions",
        "on_notification",
        "on_divergence",
        "multitask_strategy",
        "retention",
        "emit_tool_runs",
    }
)
"""Fields of `ChatMix` that a single call may set otherwise."""
TOOL_ARGUMENTS: Final = frozenset(
    {"tools", "tool_choice", "parallel_tool_calls", "strict", "response_format", DATA_ONLY, CALLS_CHECKED}
)
SESSION_KEY: Final = "mix_session_id"
"""The key of a runnable's `configurable` that names the session, and the argument of a call that does."""
THREAD_KEY: Final = "mix_thread_id"
"""The argument of a call that has it run in the session of a thread, whatever `session_per_thread` is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One call of the model.

    Attributes:
        asked: The conversation and what it needs.
        options: Fields of the model, as they hold for this call.
        timeout: Seconds the turn may take.
        stops: Texts at which the reply ends.
        tools: Names of the application's tools that it may call.
        demanded: Those of which it has to call one; none if it need not, or if the caller sees to that.
        parameters: The names of the parameters of each of these tools.
        data: The schema of the reply's data, if its text is to be nothing else.
        version: The form of the reply's content.
        thread: The thread that has a session of its own, if there is one.
        place: Where the call stands in a graph's task, if it runs in one.
        denied: The tools of whose denial the user was warned, if nobody chose to deny them.
    """

    asked: Asked
    options: Mapping[str, Any]
    timeout: float | None
    stops: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    demanded: tuple[str, ...] = ()
    parameters: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    data: ResponseSchema | None = None
    version: Version = "v0"
    thread: tuple[str, str] | None = None
    place: Place | None = field(default=None, compare=False)
    denied: set[str] | None = field(default=None, compare=False)

    def lacks_call(self, called: Sequence[str]) -> bool:
        """Returns whether a reply that calls these tools lacks the call that it had to make."""
        return _lacks_call(called, self.demanded)

    def mark(self) -> str:
        """Returns a hash of what is asked: messages and options."""
        return _mark(self.asked, self.options)

    def writer(self) -> ReplyWriter:
        """A writer for the reply."""
        return ReplyWriter(speech_for(self.stops, self.tools, self.data, self.parameters), self.version)

    def approvals(self) -> Approvals:
        """The policies of this call."""
        return Approvals(self.options["permissions"], self.options["on_notification"], self.place)

    def turn_options(self, approvals: Approvals) -> dict[str, Any]:
        """Options of the turn. Servers that do not know one refuse it, so that only what was asked for is sent."""
        return {
            "plan_mode": self.options["plan_mode"] or None,
            "thinking_level": self.options["thinking_level"],
            "max_steps": self.options["max_steps"],
            "multitask_strategy": self.options["multitask_strategy"],
            "timeout": self.timeout,
            "permissions": approvals.for_permissions,
            "on_notification": approvals.for_notifications,
        }


def read_question(
    model: ChatMix, server: str, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
) -> Question:
    """Reads a call.

    Args:
        model: The model.
        server: The server's base URL.
        messages: The conversation.
        stop: What LangChain passes for `stop`.
        kwargs: The other arguments.

    Returns:
        The question.

    Raises:
        MixInputError: An argument is unknown or cannot be honoured.
    """
    parameters = read_call(model, stop, kwargs, FIELDS | TOOL_ARGUMENTS | {SESSION_KEY, THREAD_KEY, "thread_id"})
    rest = parameters.rest
    messages = standard_messages(messages)
    options = {name: _option(model, name, rest) for name in FIELDS}
    # Those who bind tools by `bind` give them as `bind_tools` takes them.
    tools = [openai_tool(tool, strict=rest.get("strict")) for tool in rest.get("tools") or ()]
    choice = normalise_choice(rest.get("tool_choice"), tools)
    names = tuple(tool_name(tool) for tool in tools)
    wanted = demanded(choice, names)
    setup = [
        options["system_prompt"] or "",
        system_text(messages),
        tools_prompt(tools, choice, parallel=rest.get("parallel_tool_calls", True)),
        response_prompt(rest.get("response_format")),
    ]
    pinned, thread_id = _named_session(model, rest)
    thread = None
    if pinned is None and thread_id:
        thread = (server, str(thread_id))
        pinned = THREADS.get(thread)
    asked = Asked(
        messages=messages,
        setup="\n\n".join(part for part in setup if part),
        server=server,
        reminder=_reminder(messages, server, wanted),
        pinned=pinned,
        on_divergence=options["on_divergence"],
        title=options["title"],
        prompt_mode=model.prompt_mode,
        parameters=parameters,
        set_preferences=model.set_preferences,
        max_tokens=model.max_tokens,
    )
    return Question(
        asked=asked,
        options=options,
        timeout=parameters.timeout,
        stops=parameters.stop,
        tools=() if choice == "none" else names,
        demanded=() if rest.get(CALLS_CHECKED) else wanted,
        parameters={tool_name(tool): parameter_names(tool) for tool in tools},
        data=response_schema(rest.get("response_format")) if rest.get(DATA_ONLY) else None,
        thread=thread,
        denied=None if "permissions" in model.model_fields_set or "permissions" in rest else model.denied_tools(),
        place=REPLIES.place(lambda: _mark(asked, options)),
    )


def names_session(model: ChatMix, kwargs: Mapping[str, Any]) -> bool:
    """Returns whether a call runs in a session that is named, by its id or by a thread.

    Args:
        model: The model.
        kwargs: The arguments of the call.
    """
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
    """What to say if the conversation ends with an answer of ours that lacks the call it had to make; else nothing.

    Sending the last question again would have it answered twice; a session is told what its answer lacks instead.
    """
    last = next((m for m in reversed(messages) if kind_of(m) != "system"), None)
    if not isinstance(last, AIMessage) or not _lacks_call([call["name"] for call in last.tool_calls], wanted):
        return ""
    pointer = read_pointer(last.response_metadata)
    ours = pointer is not None and pointer.server.rstrip("/") == server.rstrip("/")
    return reminder(wanted) if ours else ""


def _option(model: ChatMix, name: str, given: Mapping[str, Any]) -> Any:
    """A field as it holds for a call, whose own value is checked as that of the object was."""
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


def _mark(asked: Asked, options: Mapping[str, Any]) -> str:
    """A hash of what is asked."""
    conditions = {k: v for k, v in options.items() if isinstance(v, str | int | float | bool | None)}
    model = [asked.parameters.provider, asked.parameters.model]
    told = [digest(asked.messages), asked.setup, asked.server, asked.pinned, model, sorted(conditions.items())]
    return blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
