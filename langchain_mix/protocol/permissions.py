"""Answers to what the agent asks: rules that are written beforehand, and decisions of people when a graph pauses.

Owns: how a rule such as `Write(*.md)` is written, which parameter of a tool its pattern is about, and whether it allows
a request; the forms in which an approval, a refusal or a text may be given, and the words for what is none of them.
Refuses to know: policies, how a graph pauses, and how an answer reaches the server.

What a rule cannot vouch for is not allowed. Nothing is guessed of a decision: a value of another form is an error, so
that neither a slip of the pen runs a tool nor an unknown form of a user interface counts as a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from langchain_mix.errors import MixInputError, MixResumeError
from langchain_mix.protocol.events import SSEPermissionEventData
from langchain_mix.protocol.tool_calls import CoreToolName, core_tool, same_spelling

# Rules

_RULE: Final = re.compile(r"\s*(?P<tool>[^\s()*?\[\],]+)\s*(?:\((?P<pattern>.+)\)\s*)?", re.DOTALL)

_SubjectKind = Literal["path", "command", "text", "program"]

_SUBJECTS: Final[Mapping[CoreToolName, tuple[str, _SubjectKind]]] = {
    CoreToolName.BASH: ("command", "command"),
    CoreToolName.READ_TEXT: ("file_path", "path"),
    CoreToolName.READ_MEDIA: ("file_path", "path"),
    CoreToolName.WRITE: ("file_path", "path"),
    CoreToolName.EDIT: ("file_path", "path"),
    CoreToolName.GLOB: ("path", "path"),
    CoreToolName.GREP: ("path", "path"),
    CoreToolName.SEARCH: ("query", "text"),
    CoreToolName.PYTHON_EXECUTION: ("code", "program"),
}
"""The subject of a rule's pattern, by the documented parameters of the tool (`tools.py`). Others are not known."""
_ALSO_PATHS: Final = ("pattern", "include")
"""Glob and Grep look where these lead, too."""

_SHELL: Final = re.compile(r"[;&|`$<>(){}\n\r\\]")
_HIDDEN_DOTS: Final = re.compile(r"(?:^|[\s/='\"])\.[?*\[]")
"""A shell may make `..` of it."""
_ABSOLUTE: Final = re.compile(r"[/\\~]|[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """A permitted use of a tool.

    Attributes:
        tool: The tool, in any generation's spelling.
        pattern: What the tool must act on, with `*`, `?` and `[…]`; None for anything.
    """

    tool: str
    pattern: str | None = None

    def allows(self, request: SSEPermissionEventData) -> bool:
        """Returns True if the rule allows what the agent wants to do."""
        if not same_spelling(self.tool, request.tool_name):
            return False
        return self.pattern is None or _is_within(self.pattern, request)


def parse_rule(text: str) -> PermissionRule:
    """Reads a rule: the name of a tool, or a name and a pattern in parentheses.

    Raises:
        MixInputError: It is neither, or has a pattern for a tool of which no parameter is known, which allows nothing.
    """
    found = _RULE.fullmatch(text)
    pattern = found["pattern"] or "" if found is not None else ""
    blank = found is not None and found["pattern"] is not None and not pattern.strip()
    if found is None or blank or pattern.count("(") != pattern.count(")"):
        raise MixInputError(
            f"permissions: {text!r} is no rule.",
            hint='A rule is the name of a tool, or one with a pattern of what it acts on: "ReadText", "Write(*.md)".',
        )
    if pattern and core_tool(found["tool"]) not in _SUBJECTS:
        raise MixInputError(
            f"permissions: {text!r} is no rule, as {found['tool']} takes no pattern.",
            hint=f"These take one: {', '.join(_SUBJECTS)}. Of other tools a rule is the name alone.",
        )
    return PermissionRule(found["tool"], found["pattern"])


def _is_within(pattern: str, request: SSEPermissionEventData) -> bool:
    tool = core_tool(request.tool_name)
    if tool is None or tool not in _SUBJECTS:
        return False  # Nobody knows which parameter says what this tool acts on.
    name, kind = _SUBJECTS[tool]
    parameters = request.params if isinstance(request.params, Mapping) else {}
    value = parameters.get(name)
    if not isinstance(value, str) or not value or _is_given_twice(name, parameters):
        return False
    if kind == "path" and not all(_stays(parameters.get(other)) for other in _ALSO_PATHS):
        return False
    # A pattern says what is acted on, not what else a shell or a path may be talked into.
    return value == pattern or (not _escapes(kind, value, pattern) and fnmatchcase(value, pattern))


def _is_given_twice(name: str, parameters: Mapping[str, Any]) -> bool:
    """Returns True for a parameter in two cases: Go reads names of JSON fields in any case, and the last one counts."""
    return any(str(key) != name and str(key).casefold() == name for key in parameters)


def _stays(other: Any) -> bool:
    if other is None:
        return True
    # Braces and classes can expand to the two dots, as in `{..,a}/*` and `[.][.]/*`.
    return isinstance(other, str) and not re.search(r"\.\.|\[[^]]*\.", other) and not _ABSOLUTE.match(other.lstrip("{"))


def _escapes(kind: _SubjectKind, value: str, pattern: str) -> bool:
    match kind:
        case "path":
            remote = "://" in value and "://" not in pattern
            return remote or _climbs(value) or not value.isprintable()
        case "command":
            bare = value.replace('"', "").replace("'", "")
            if not value.isprintable():
                return True
            return _SHELL.search(value) is not None or _HIDDEN_DOTS.search(value) is not None or _climbs(bare)
        case "text":
            return False
        case "program":
            return True  # No pattern can say what a program does.


def _climbs(path: str) -> bool:
    return ".." in (part.strip() for part in re.split(r"[/\\\s=:]", path))


# Decisions

YES: Final = frozenset({"yes", "y", "true", "approve", "approved", "accept", "allow"})
"""Words of an approval, in lower case."""
NO: Final = frozenset({"no", "n", "false", "reject", "rejected", "ignore", "deny"})
"""Words of a refusal, in lower case."""

_KINDS: Final[Mapping[str, Literal["approve", "reject", "edit", "respond"]]] = {
    "approve": "approve",  # LangChain's human-in-the-loop middleware: approve, reject, edit, respond.
    "accept": "approve",  # Agent Inbox: accept, ignore, edit, response.
    "reject": "reject",
    "ignore": "reject",
    "edit": "edit",
    "respond": "respond",
    "response": "respond",
}
_SHOWN: Final = 120
_PERMISSION_FORMS: Final = (
    'True or False; "yes", "no", "approve" or "reject"; {"decisions": [{"type": "approve"}]} or "reject" in it; '
    '[{"type": "accept"}] or "ignore" in it.'
)
_ANSWER_FORMS: Final = (
    'A text; {"decisions": [{"type": "respond", "message": "…"}]}; [{"type": "response", "args": "…"}]; to acknowledge '
    'it, True, {"decisions": [{"type": "approve"}]} or [{"type": "accept"}].'
)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision.

    Attributes:
        kind: What is to be done. Only approvals and refusals say something of a tool of the server.
        text: The words that go with it; empty if there are none.
        args: The arguments that the tool is to have; None for those that were shown.
    """

    kind: Literal["approve", "reject", "edit", "respond"]
    text: str = ""
    args: Mapping[str, Any] | None = None


def word_of_decision(text: str) -> bool | None:
    """Returns whether a word approves; None if it is no word of a decision. Case and white space do not matter."""
    word = text.strip().lower()
    return True if word in YES else False if word in NO else None


def read_permission(value: Any, args: Mapping[str, Any] | None = None) -> Decision:
    """Reads what a graph was resumed with after a permission request.

    Args:
        value: The resume value.
        args: The arguments of the tool as they were shown; an edit that leaves them as they are is an approval.

    Raises:
        MixResumeError: It is neither. The server runs its tools as the agent requested, or not at all: it takes neither
            other arguments nor an answer in the place of a tool's result.
    """
    decision = _decision(value)
    if decision is None:
        raise _not_understood(value, "a decision about a permission request", _PERMISSION_FORMS)
    if decision.args is not None and decision.args != args:
        raise _impossible(value, "The server runs its tool as shown or not at all: the arguments cannot be edited.")
    if decision.kind == "edit":
        if decision.args is None:
            raise _not_understood(value, "a decision about a permission request", _PERMISSION_FORMS)
        return Decision("approve", decision.text)
    if decision.kind == "respond":
        raise _impossible(value, "The server takes no answer in the place of a tool's result.")
    return decision


def read_answer(value: Any, choices: list[str] | None = None) -> str:
    """Reads what a graph was resumed with after a notification.

    Args:
        value: The resume value.
        choices: The answers among which to choose; None if any text is one.

    Returns:
        The answer; empty to acknowledge the notification, which is also what a refusal does: Mix 0.8 knows none.

    Raises:
        MixResumeError: It is no answer, or none of the choices.
    """
    decision = Decision("respond", value) if isinstance(value, str) else _decision(value)
    if decision is None or decision.kind == "edit":
        raise _not_understood(value, "an answer to the agent's notification", _ANSWER_FORMS)
    if decision.kind != "respond":
        return ""
    if not choices:
        return decision.text
    for choice in choices:
        if choice.strip().casefold() == decision.text.strip().casefold():
            return choice
    raise _not_understood(value, "one of the choices", f"One of {', '.join(map(repr, choices))}.")


def _decision(value: Any) -> Decision | None:
    """Reads a decision; None for what is none, or more than one."""
    if isinstance(value, Mapping) and "decisions" in value:
        value = value["decisions"]
        if not isinstance(value, list | tuple):
            return None
    if isinstance(value, list | tuple):
        if len(value) != 1 or not isinstance(value[0], Mapping):
            return None
        value = value[0]
    if isinstance(value, str):
        said = word_of_decision(value)
        return None if said is None else Decision("approve" if said else "reject")
    if isinstance(value, bool):
        return Decision("approve" if value else "reject")
    return _typed(value) if isinstance(value, Mapping) else None


def _typed(value: Mapping[Any, Any]) -> Decision | None:
    name = value.get("type")
    kind = _KINDS.get(name.strip().lower()) if isinstance(name, str) else None
    if kind is None:
        return None
    given = value.get("args")
    text = next((value[key] for key in ("message", "text", "response") if value.get(key) is not None), None)
    if kind in {"respond", "reject"}:
        text = given if text is None else text  # Agent Inbox gives the words as `args`.
        if isinstance(text, str):
            return Decision(kind, text)
        return Decision(kind) if kind == "reject" and text is None else None
    action = value.get("edited_action", given)
    if isinstance(action, Mapping) and isinstance(action.get("args"), Mapping) and action.keys() & {"name", "action"}:
        action = action["args"]
    if action is not None and not isinstance(action, Mapping):
        return None
    return Decision(kind, text if isinstance(text, str) else "", action)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _not_understood(value: Any, wanted: str, forms: str) -> MixResumeError:
    return MixResumeError(
        f"The graph was resumed with {_shown(value)}, which is not {wanted}.",
        hint=f"Nothing was run and the graph is still paused; resume it with one of: {forms}",
    )


def _impossible(value: Any, why: str) -> MixResumeError:
    return MixResumeError(
        f"The graph was resumed with {_shown(value)}, which cannot be honoured. {why}",
        hint=f"Nothing was run and the graph is still paused; resume it with one of: {_PERMISSION_FORMS}",
    )


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _one(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": 1}


PERMISSION_SCHEMA: Final[dict[str, Any]] = {
    "title": "Decision",
    "description": "Whether the agent's tool may run.",
    "anyOf": [
        _object(decisions=_one(_object(type={"enum": ["approve", "reject"]}))),
        {"type": "boolean"},
        {"enum": ["approve", "reject", "yes", "no"]},
        _one(_object(type={"enum": ["accept", "ignore"]})),
    ],
}
"""JSON Schema of the documented forms of a decision, for user interfaces."""

ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "title": "Answer",
    "description": "The answer to the agent's notification, or its acknowledgement.",
    "anyOf": [
        {"type": "string"},
        _object(decisions=_one(_object(type={"const": "respond"}, message={"type": "string"}))),
        _object(decisions=_one(_object(type={"const": "approve"}))),
        {"const": True},
        _one(_object(type={"const": "response"}, args={"type": "string"})),
        _one(_object(type={"const": "accept"})),
    ],
}
"""JSON Schema of the documented forms of an answer, for user interfaces."""
