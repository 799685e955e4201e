"""What an application asks of the agent in words: tools of its own, and the form of the reply.

Owns: finding the blocks in prompts and messages, the user's own words between them, and what the tools gave.
Refuses to know: which tool fits and how a form is filled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from langchain_mix.emulator.agents.offline.conversation import Conversation, Exchange
from langchain_mix.emulator.agents.offline.persona import instructions

_TOOLS = re.compile(r'<client_tools choice="([^"<>]*)" parallel="(yes|no)">(.*?)</client_tools>', re.DOTALL)
_DEFINITIONS = re.compile(r"<tools>\n(.*?)\n</tools>", re.DOTALL)
_FORM = re.compile(r"<response_format>(.*?)</response_format>", re.DOTALL)
_SCHEMA = re.compile(r"<schema>\n(.*?)\n</schema>", re.DOTALL)
_RESULTS = re.compile(r"<tool_results>\n(.*?)\n</tool_results>", re.DOTALL)
_QUOTED = re.compile(r"^\[([^\n]*)\]\n((?:> ?[^\n]*(?:\n|\Z))+)", re.MULTILINE)
_TOLD = ("Below is the conversation so far", "Below is how the conversation went on")
_NOW = "\n[Message to answer]\n"
_RESULT_OF = re.compile(r"(Result|Error) of (?:tool (\"(?:[^\"\\]|\\.)*\")|a tool)")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the application has."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """What a tool of the application gave."""

    name: str
    arguments: Mapping[str, Any] | None
    content: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is wanted now.

    Attributes:
        tools: The application's tools.
        choice: `auto`, `any`, `none`, or the name of the tool that must be called.
        parallel: Whether one reply may ask for several calls.
        form: The JSON Schema of the reply, if it has to have one.
        request: The user's last words.
        given: What tools gave since then, in order.
    """

    tools: tuple[Tool, ...]
    choice: str
    parallel: bool
    form: Mapping[str, Any] | None
    request: str
    given: tuple[Given, ...]


def assignment_of(talk: Conversation) -> Assignment:
    """Reads what is wanted; of blocks of one kind the newest holds."""
    said = [line.text for line in talk.request.lines if line.role == "user"]
    told = [instructions(talk), *said]
    choice, parallel, tools = _tools(told)
    request, given = "", list[Given]()
    for text in said:
        for piece in _pieces(_without_setup(text)):
            if isinstance(piece, Given):
                given.append(piece)
            elif piece.strip():
                request, given = piece.strip(), []
    return Assignment(tools, choice, parallel, _form(told), request, tuple(given))


def plain(talk: Conversation) -> Conversation:
    """Gives the conversation without the blocks, for strategies that know nothing of them."""
    cleaned = tuple(Exchange(_spoken(exchange.user), exchange.agent) for exchange in talk.earlier)
    prompt = _without_setup(talk.request.system_prompt)
    return replace(
        talk, question=_spoken(talk.question), earlier=cleaned, request=replace(talk.request, system_prompt=prompt)
    )


def _tools(told: list[str]) -> tuple[str, bool, tuple[Tool, ...]]:
    newest = _newest(_TOOLS, told)
    if newest is None:
        return "none", False, ()
    definitions = _DEFINITIONS.search(newest[3])
    lines = definitions[1].splitlines() if definitions else []
    tools = tuple(_tool(found) for line in lines if isinstance(found := _json(line), dict))
    return newest[1], newest[2] == "yes", tools


def _tool(found: Mapping[str, Any]) -> Tool:
    parameters = found.get("parameters")
    return Tool(
        str(found.get("name", "")),
        str(found.get("description", "")),
        parameters if isinstance(parameters, dict) else {},
    )


def _form(told: list[str]) -> Mapping[str, Any] | None:
    newest = _newest(_FORM, told)
    schema = _SCHEMA.search(newest[1]) if newest else None
    found = _json(schema[1]) if schema else None
    return found if isinstance(found, dict) else None


def _newest(pattern: re.Pattern[str], told: list[str]) -> re.Match[str] | None:
    for text in reversed(told):
        found = list(pattern.finditer(text))
        if found:
            return found[-1]
    return None


def _without_setup(text: str) -> str:
    return _FORM.sub("", _TOOLS.sub("", text)).strip() if "<" in text else text


def _spoken(text: str) -> str:
    return _RESULTS.sub("", _without_setup(text)).strip() if "<" in text else text


def _pieces(text: str) -> Iterator[str | Given]:
    """The user's words in a message and what tools gave, in order. A transcript is read like what it tells."""
    if text.startswith(_TOLD):
        before, _, now = text.partition(_NOW)
        yield from _transcript(before)
        text = now.strip()
    if _QUOTED.match(text):
        yield from _transcript(text)
        return
    at = 0
    for match in _RESULTS.finditer(text):
        yield text[at : match.start()]
        yield from _results(match[1])
        at = match.end()
    yield text[at:]


def _transcript(text: str) -> Iterator[str | Given]:
    for match in _QUOTED.finditer(text):
        words = "\n".join(line.removeprefix(">").removeprefix(" ") for line in match[2].strip("\n").split("\n"))
        result = _RESULT_OF.match(match[1])
        if result:
            yield Given(str(_json(result[2] or '""')), None, words, result[1] == "Error")
        elif match[1].startswith(("User", "Role")):
            yield words


def _results(block: str) -> Iterator[Given]:
    found = _json(block)
    for entry in found if isinstance(found, list) else []:
        arguments = entry.get("args")
        yield Given(
            str(entry.get("name", "")),
            arguments if isinstance(arguments, dict) else None,
            str(entry.get("content", "")),
            entry.get("status") == "error",
        )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # Not written by the protocol, which writes JSON; nothing to follow.
        return None
