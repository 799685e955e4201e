"""Describes the application's tools (`bind_tools`) and their results to a Mix agent in its prompt.

Owns: the protocol's text. Mix has no client tools: the prompt requests calls as a block of text, which
`reply_parser.py` reads, and results are text in the next message. Whether the agent follows is up to its model.
Refuses to know: where this text is sent and how replies are read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import ToolCall, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_mix.chat_models.json_text import write_json
from langchain_mix.chat_models.response_schema import closed
from langchain_mix.errors import MixInputError

MAX_BYTES = 50 * 1024
"""Most bytes that the definitions may have. Mix: an appended prompt holds 51,200 bytes in all."""

_MODES = {"auto": "auto", "none": "none", "any": "any", "required": "any"}
_LARGEST = 3
_CHOICES = {
    "auto": "Call tools where they help; otherwise answer as usual, without the block.",
    "none": "Do not call these tools now.",
    "any": "Every reply must call at least one of these tools.",
}
_PROMPT = """\
<client_tools choice="{choice}" parallel="{parallel}">
The application that you talk to has the tools listed here. They are not among your own tools and you cannot run them: \
you ask for a call in your reply, the application makes it and tells you the result in its next message. Any list of \
client tools that you were given before is void.

<tools>
{tools}
</tools>

A call is asked for with one block, which is the last thing in the reply and begins on a line of its own:

<tool_calls>
[{{"name": "<name of the tool>", "args": {{"<parameter>": <value>}}}}]
</tool_calls>

- The block holds one JSON array with one object per call; `args` fits the tool's parameters. No code fence around it.
- {parallel_rule}
- Nothing follows the block. Results come in the next message, in a block <tool_results>; never write that yourself, \
and never make up a result.
- Once the results suffice, answer in your own words, without a block.
- {choice_rule}
</client_tools>"""

_REMINDER = """\
Your last reply calls none of the application's tools that it has to call: {tools}. Give that reply again as a call, \
with the block <tool_calls> as you were told."""

REMINDER: Final = re.compile("`[^`\\n]+`(?:, `[^`\\n]+`)*".join(re.escape(part) for part in _REMINDER.split("{tools}")))
"""Matches what `reminder` writes, whichever tools it names."""

CALLS_CHECKED: Final = "caller_checks_calls"
"""The argument of a call that leaves it to the caller what is done about a reply that lacks its call."""


def tools_prompt(tools: Sequence[Mapping[str, Any]], tool_choice: str = "auto", *, parallel: bool = True) -> str:
    """Describes to the agent which tools (in OpenAI's format) the application has and how to request calls.

    The text is for the session's prompt, or for the top of a message; empty if there are no tools.

    Raises:
        MixInputError: The tools cannot be described to the agent; see `check_tools`.
    """
    if not tools:
        return ""
    check_tools(tools)
    forced = f"Every reply must call the tool `{tool_choice}`."
    return _PROMPT.format(
        choice=tool_choice,
        parallel="yes" if parallel else "no",
        tools="\n".join(_definition(tool) for tool in tools),
        parallel_rule="Calls that do not need each other's results stand in one block."
        if parallel
        else "Ask for one call at a time: the array holds exactly one object.",
        choice_rule=_CHOICES.get(tool_choice, forced),
    )


def openai_tool(tool: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """Gives a tool in OpenAI's format; a strict one is described as taking the named arguments alone.

    Raises:
        MixInputError: It is no tool.
    """
    try:
        made = convert_to_openai_tool(tool, strict=strict)
    except (TypeError, ValueError) as error:
        raise MixInputError(f"This is no tool: {str(tool)[:200]} ({error})", hint="See `bind_tools`.") from error
    function = made.get("function")
    if not strict or not isinstance(function, Mapping):
        return made
    # LangChain leaves definitions as they are.
    return {**made, "function": {**function, "parameters": closed(function.get("parameters") or {})}}


def check_tools(tools: Sequence[Mapping[str, Any]]) -> None:
    """Refuses tools (in OpenAI's format) that cannot be described to the agent.

    Raises:
        MixInputError: One is no function but a tool that another provider runs; a name is missing, taken, or would
            break the block; or the definitions are larger than 50 KB together.
    """
    names: set[str] = set()
    for tool in tools:
        name = tool_name(tool)
        if name in names:
            raise MixInputError(f"Two tools have the name {name!r}.", hint="Give each tool a name of its own.")
        if name in _MODES or not name.isprintable() or set(name) & set('<>"'):
            raise MixInputError(f"A tool cannot be called {name!r}.", hint="Use letters, digits, '_', '-' and '.'.")
        names.add(name)
    sizes = {tool_name(tool): len(_definition(tool).encode()) for tool in tools}
    if sum(sizes.values()) > MAX_BYTES:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:_LARGEST]
        shown = ", ".join(f"{name} ({sizes[name]:,} bytes)" for name in largest)
        raise MixInputError(
            f"The definitions of the tools have {sum(sizes.values()):,} bytes; Mix's prompts hold {MAX_BYTES:,}.",
            hint=f"Bind fewer tools or shorten their descriptions. The largest: {shown}.",
        )


def tool_name(tool: Mapping[str, Any]) -> str:
    """Returns the name of a tool in OpenAI's format.

    Raises:
        MixInputError: It is no function of the application.
    """
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(name := function.get("name"), str) or not name:
        raise MixInputError(
            f"This is no function of the application: {str(dict(tool))[:200]}",
            hint="A Mix agent has tools of its own; tools that another provider runs cannot be bound to it.",
        )
    return name


def parameter_names(tool: Mapping[str, Any]) -> frozenset[str]:
    """Returns the names of the parameters of a tool in OpenAI's format."""
    properties = (tool["function"].get("parameters") or {}).get("properties")
    return frozenset(properties) if isinstance(properties, Mapping) else frozenset()


def normalise_choice(tool_choice: Any, tools: Sequence[Mapping[str, Any]]) -> str:
    """Reads `tool_choice` in all the forms that LangChain's integrations take.

    Args:
        tool_choice: A tool's name; `"auto"`, `"any"`, `"required"`, `"none"`; True for any and False or None for auto;
            or the dictionaries of OpenAI (`{"type": "function", "function": {"name": …}}`) and Anthropic
            (`{"type": "tool", "name": …}`, `{"type": "any"}`).
        tools: In OpenAI's format.

    Returns:
        `"auto"`, `"any"`, `"none"` or the name of the tool that must be called.

    Raises:
        MixInputError: It is none of these, names no tool of the list, or demands a call where there is no tool. It is a
            `ValueError`.
    """
    choice = _named_choice(tool_choice)
    names = [tool_name(tool) for tool in tools]
    if isinstance(choice, str) and choice in names:
        return choice
    if not isinstance(choice, str) or choice not in _MODES:
        raise MixInputError(
            f"tool_choice {tool_choice!r} is neither a tool nor a mode.",
            hint=f"Tools: {', '.join(names) or 'none'}. Modes: auto, any, required, none.",
        )
    if _MODES[choice] == "any" and not names:
        raise MixInputError("tool_choice demands a call, but there are no tools.", hint="Bind at least one tool.")
    return _MODES[choice]


def demanded(choice: str, tools: Collection[str]) -> tuple[str, ...]:
    """Returns the tools of which every reply has to call one; none if none has to be called."""
    if choice in tools:
        return (choice,)
    return tuple(tools) if choice == "any" else ()


def reminder(tools: Sequence[str]) -> str:
    """Reminds the agent that its last reply lacks the call of one of these tools that it had to make."""
    return _REMINDER.format(tools=", ".join(f"`{name}`" for name in tools))


def _named_choice(tool_choice: Any) -> Any:
    if tool_choice is None or isinstance(tool_choice, bool):
        return "any" if tool_choice else "auto"
    if isinstance(tool_choice, Mapping):
        kind, function = tool_choice.get("type"), tool_choice.get("function")
        if isinstance(function, Mapping):
            return function.get("name")
        return tool_choice.get("name") if kind in ("tool", "function") else kind
    return tool_choice


def render_tool_results(results: Sequence[ToolMessage], calls: Mapping[str, ToolCall]) -> str:
    """Writes what tools gave for the agent to read, given the calls that they answer, as far as they are known.

    The block is a JSON array with an object per result, with the call's `id`, `name` and (if known) `args`, then
    `status` and `content`. Data that is no text is written as JSON; files have been taken out (`inputs.py`).
    """
    lines = ",\n".join(write_json(_result(message, calls.get(message.tool_call_id))) for message in results)
    return f"<tool_results>\n[{lines}]\n</tool_results>"


def _result(message: ToolMessage, call: ToolCall | None) -> dict[str, Any]:
    arguments = {"args": call["args"]} if call else {}
    return {
        "id": message.tool_call_id,
        "name": message.name or (call["name"] if call else ""),
        **arguments,
        "status": message.status,
        "content": _content(message),
    }


def _content(message: ToolMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part if isinstance(part, str) else _part(part) for part in message.content)


def _part(part: Mapping[Any, Any]) -> str:
    kind = part.get("type")
    if kind in ("text", "text-plain") and isinstance(part.get("text"), str):
        return str(part["text"])
    return write_json(dict(part))


def _definition(tool: Mapping[str, Any]) -> str:
    function = tool["function"]
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    described = {"description": text} if (text := function.get("description")) else {}
    return write_json({"name": function["name"], **described, "parameters": parameters})
