"""Rules that name what a tool may be used for, such as `Write(*.md)`.

Owns: how a rule is written, which parameter of a tool its pattern is about, and whether it allows a request. What a
rule cannot vouch for is not allowed. Refuses to know: policies, and how an answer reaches the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from langchain_mix.errors import MixInputError
from langchain_mix.protocol.events import SSEPermissionEventData
from langchain_mix.protocol.tool_names import CoreToolName, core_tool, same_spelling

_RULE: Final = re.compile(r"\s*(?P<tool>[^\s()*?\[\],]+)\s*(?:\((?P<pattern>.+)\)\s*)?", re.DOTALL)

_Kind = Literal["path", "command", "text", "program"]

_SUBJECTS: Final[Mapping[CoreToolName, tuple[str, _Kind]]] = {
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


def _escapes(kind: _Kind, value: str, pattern: str) -> bool:
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
