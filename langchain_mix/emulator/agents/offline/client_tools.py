"""Follows what an application writes into prompts and messages: tools of its own, and a schema for the reply.

Owns: finding these blocks and the user's own words between them, choosing tools, and answering from their results.
Refuses to know: how arguments and replies are filled (`schema_values.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_mix.emulator.agents.offline.answers import calculate, name_capital, recall
from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Exchange, Move, Say, Strategy
from langchain_mix.emulator.agents.offline.files import (
    STOP_WORDS,
    aggregate_table,
    list_files,
    mentions_files,
    quote_file,
    stem,
    words_of,
)
from langchain_mix.emulator.agents.offline.schema_values import ValueSource, fill, quotations

_KNOWLEDGE: tuple[Strategy, ...] = (recall, calculate, name_capital)
_FILES: tuple[Strategy, ...] = (list_files, aggregate_table, quote_file)

# The blocks that ChatMix writes.

_TOOLS = re.compile(r'<client_tools choice="([^"<>]*)" parallel="(yes|no)">(.*?)</client_tools>', re.DOTALL)
_DEFINITIONS = re.compile(r"<tools>\n(.*?)\n</tools>", re.DOTALL)
_FORMAT = re.compile(r"<response_format>(.*?)</response_format>", re.DOTALL)
_SCHEMA = re.compile(r"<schema>\n(.*?)\n</schema>", re.DOTALL)
_RESULTS = re.compile(r"<tool_results>\n(.*?)\n</tool_results>", re.DOTALL)
_QUOTED = re.compile(r"^\[([^\n]*)\]\n((?:> ?[^\n]*(?:\n|\Z))+)", re.MULTILINE)
_REPLAYED = ("Below is the conversation so far", "Below is how the conversation went on")
_NOW = "\n[Message to answer]\n"
_RENEWED = re.compile(r"\[Instructions from here on[^\n]*\]\n\n(.*?)\n\n\[Message\]\n\n", re.DOTALL)
_RESULT_OF = re.compile(r"(Result|Error) of (?:tool (\"(?:[^\"\\]|\\.)*\")|a tool)")


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A tool that the application has."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A result of one of the application's tools."""

    name: str
    arguments: Mapping[str, Any] | None
    content: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """The newest instructions of the application, the user's last words, and the results since then.

    Attributes:
        choice: `auto`, `any`, `none`, or the name of the tool that must be called.
    """

    tools: tuple[ClientTool, ...]
    choice: str
    parallel: bool
    schema: Mapping[str, Any] | None
    request: str
    results: tuple[ToolResult, ...]

    @property
    def data(self) -> list[Any]:
        """The contents of the results that did not fail, decoded if they are JSON."""
        return [_json(result.content, result.content) for result in self.results if not result.failed]


def _assignment(talk: Conversation) -> Assignment:
    said = [line.text for line in talk.request.lines if line.role == "user"]
    # Renewed instructions replace all that were given before, tools among them.
    renewed = max((number for number, text in enumerate(said) if _RENEWED.match(text)), default=None)
    given = [talk.instructions, *said] if renewed is None else said[renewed:]
    newest_tools = _newest(_TOOLS, given)
    request, results = "", list[ToolResult]()
    for text in said:
        for part in _parts(_strip_blocks(text)):
            if isinstance(part, ToolResult):
                results.append(part)
            elif part.strip():
                request, results = part.strip(), []
    return Assignment(
        tools=tuple(_tools(newest_tools[3])) if newest_tools else (),
        choice=newest_tools[1] if newest_tools else "none",
        parallel=newest_tools is not None and newest_tools[2] == "yes",
        schema=_schema(_newest(_FORMAT, given)),
        request=request,
        results=tuple(results),
    )


def without_setup(talk: Conversation) -> Conversation:
    """Returns the conversation without the blocks, and with a replayed transcript as earlier exchanges."""
    replayed, question = _replayed(_strip_results(talk.question))
    earlier = tuple(Exchange(_replayed(_strip_results(one.user))[1], one.agent) for one in talk.earlier)
    if not question and earlier:
        question = earlier[
            -1
        ].user  # Results alone, of tools that another agent called: what they were called for is open.
    request = replace(talk.request, system_prompt=_strip_blocks(talk.request.system_prompt))
    return replace(talk, question=question, earlier=(*earlier, *replayed), request=request)


def _replayed(text: str) -> tuple[tuple[Exchange, ...], str]:
    """Splits a message into the exchanges of the transcript in it, and the text to answer."""
    if text.startswith(_REPLAYED):
        before, _, now = text.partition(_NOW)
        found = _exchanges(before)
        more, question = _replayed(now.strip())
        return (*found, *more), question
    found = _exchanges(text) if _QUOTED.match(text) else ()
    return (found[:-1], found[-1].user) if found else ((), text)


def _exchanges(transcript: str) -> tuple[Exchange, ...]:
    found: list[Exchange] = []
    for speaker, words in _speeches(transcript):
        if speaker.startswith("User"):
            found.append(Exchange(words, ""))
        elif speaker.startswith("Assistant") and found:
            found[-1] = Exchange(found[-1].user, words)
    return tuple(found)


def _newest(pattern: re.Pattern[str], texts: list[str]) -> re.Match[str] | None:
    for text in reversed(texts):
        found = list(pattern.finditer(text))
        if found:
            return found[-1]
    return None


def _tools(block: str) -> Iterator[ClientTool]:
    definitions = _DEFINITIONS.search(block)
    for line in definitions[1].splitlines() if definitions else ():
        tool = _json(line)
        if isinstance(tool, dict):
            parameters = tool.get("parameters")
            parameters = parameters if isinstance(parameters, dict) else {}
            yield ClientTool(str(tool.get("name", "")), str(tool.get("description", "")), parameters)


def _schema(block: re.Match[str] | None) -> Mapping[str, Any] | None:
    schema = _SCHEMA.search(block[1]) if block else None
    found = _json(schema[1]) if schema else None
    return found if isinstance(found, dict) else None


def _strip_blocks(text: str) -> str:
    text = _RENEWED.sub("", text, count=1) if _RENEWED.match(text) else text
    return _FORMAT.sub("", _TOOLS.sub("", text)).strip() if "<" in text else text


def _strip_results(text: str) -> str:
    return _RESULTS.sub("", _strip_blocks(text)).strip() if "<" in text else text


def _parts(text: str) -> Iterator[str | ToolResult]:
    """Yields the user's words in a message and the results of tools, in order; a transcript counts like rows."""
    if text.startswith(_REPLAYED):
        before, _, now = text.partition(_NOW)
        yield from _transcript(before)
        text = now.strip()
    if _QUOTED.match(text):
        yield from _transcript(text)
        return
    at = 0
    for match in _RESULTS.finditer(text):
        yield text[at : match.start()]
        entries = _json(match[1])
        for entry in entries if isinstance(entries, list) else []:
            arguments = entry.get("args")
            arguments = arguments if isinstance(arguments, dict) else None
            failed = entry.get("status") == "error"
            yield ToolResult(str(entry.get("name", "")), arguments, str(entry.get("content", "")), failed)
        at = match.end()
    yield text[at:]


def _transcript(text: str) -> Iterator[str | ToolResult]:
    for speaker, words in _speeches(text):
        result = _RESULT_OF.match(speaker)
        if result:
            yield ToolResult(str(_json(result[2] or '""')), None, words, result[1] == "Error")
        elif speaker.startswith(("User", "Role")):
            yield words


def _speeches(transcript: str) -> Iterator[tuple[str, str]]:
    """Yields who speaks in a transcript, and the words."""
    for match in _QUOTED.finditer(transcript):
        lines = match[2].strip("\n").split("\n")
        yield match[1], "\n".join(line.removeprefix(">").removeprefix(" ") for line in lines)


def _json(text: str, default: Any = None) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # Not written by ChatMix, which writes JSON.
        return default


# Calls.

_GENERIC = frozenset(("get", "set", "my", "the", "tool", "function", "fetch", "run", "do", "make", "a", "an", "of"))
_OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
_OPERATION = re.compile(r"(?<=\d)\s*([-+*/])\s*(?=-?\d)")
_CLAUSES = re.compile(r"(\s*,?\s+(?:and|then)\s+|\s*[;?!]\s*|\.\s+)")
_NAMED, _FITS, _TRIES = 100, 3, 2


@dataclass(frozen=True, slots=True)
class _Call:
    tool: ClientTool
    arguments: dict[str, Any]


def follow_application(talk: Conversation) -> Move | None:
    """Calls the application's tools and fills its schema, where the conversation has these; None where it has not."""
    wanted = _assignment(talk)
    if wanted.tools and wanted.choice != "none":
        if calls := _due(wanted):
            names = " and ".join(dict.fromkeys(call.tool.name for call in calls))
            return Say(_written(calls), ("The application has tools for this.", f"I call {names}."))
        if wanted.results and wanted.schema is None:
            report = "\n".join(map(_reported, wanted.results))
            return Say(report, ("The application's tools have given their results.", "I answer from them."))
    return None if wanted.schema is None else _filled(talk, wanted, wanted.schema)


def _due(wanted: Assignment) -> list[_Call]:
    """Returns the calls to make now: those that the request wants and that have no result yet."""
    tools = [tool for tool in wanted.tools if wanted.choice in ("auto", "any", tool.name)] or list(wanted.tools)
    calls = [call for tool, clause in _clauses(wanted.request, tools) for call in _calls(tool, clause, wanted)]
    pending = [call for call in calls if not _is_done(call, wanted.results)]
    if not pending and wanted.choice != "auto":
        called = {result.name for result in wanted.results}
        best = max(tools, key=lambda tool: (tool.name not in called, _score(tool, wanted.request)))
        pending = _calls(best, wanted.request, wanted)
    return pending if wanted.parallel else pending[:1]


def _clauses(request: str, tools: Sequence[ClientTool]) -> list[tuple[ClientTool, str]]:
    """Returns the parts of a request that a tool fits; a part that no tool fits belongs to the part before it."""
    parts = _CLAUSES.split(request)
    found: list[tuple[ClientTool, str]] = []
    start = ""
    for mark, part in zip(["", *parts[1::2]], parts[::2], strict=True):
        tool = max(tools, key=lambda tool: _score(tool, part))
        if _score(tool, part) >= _FITS:
            found.append((tool, start + part))
            start = ""
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + mark + part)
        else:
            start += mark + part + " "
    return found


def _is_done(call: _Call, results: Sequence[ToolResult]) -> bool:
    """True when a call has its result, or has failed often enough."""
    alike = [result for result in results if result.name == call.tool.name]
    succeeded = any(not result.failed and result.arguments in (None, call.arguments) for result in alike)
    return succeeded or sum(result.failed for result in alike) >= _TRIES


def _score(tool: ClientTool, text: str) -> int:
    """Returns how well a tool fits a text: words of its name count more than words of its description."""
    if re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", text) and not tool.name.isalpha():
        return _NAMED
    said = {stem(word) for word in words_of(_OPERATION.sub(lambda m: f" {_OPERATORS[m[1]]} ", text))}
    name = {stem(word) for word in words_of(tool.name.replace("_", " "))} - _GENERIC
    described = {stem(word) for word in words_of(tool.description)} - STOP_WORDS - name
    return 3 * sum(_is_said(word, said) for word in name) + len(described & said)


def _is_said(word: str, said: set[str]) -> bool:
    """True when a word was said, or one that it begins with: "adder" for "add"."""
    return any(word.startswith(one) and (len(one) >= _FITS or one == word) for one in said)


def _calls(tool: ClientTool, text: str, wanted: Assignment) -> list[_Call]:
    """Returns the call of a tool, or one for each of several names that its only required text could be."""
    schema = {"type": "object", **tool.parameters}
    plain = " ".join(word for word in text.split() if word.strip("?.,!") != tool.name)
    source = ValueSource(plain, data=wanted.data)
    required = schema.get("required", ())
    things = source.quotations or source.names
    is_text = len(required) == 1 and schema.get("properties", {}).get(required[0], {}).get("type") == "string"
    if is_text and len(things) > 1 and " and " in plain:
        return [_Call(tool, {required[0]: thing}) for thing in things]
    arguments = fill(schema, source)
    return [_Call(tool, arguments if isinstance(arguments, dict) else {})]


def _written(calls: Sequence[_Call]) -> str:
    entries = ",\n ".join(json.dumps({"name": c.tool.name, "args": c.arguments}, ensure_ascii=False) for c in calls)
    return f"<tool_calls>\n[{entries}]\n</tool_calls>"


def _reported(result: ToolResult) -> str:
    data = _json(result.content, result.content)
    if isinstance(data, dict) and len(data) == 1:
        data = next(iter(data.values()))
    shown = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    arguments = ", ".join(f"{name}: {value}" for name, value in (result.arguments or {}).items())
    about = f"`{result.name}`" + (f" ({arguments})" if arguments else "")
    if result.failed:
        return f"{about} failed: {shown}"
    return f"According to {about}: {shown if '**' in shown else f'**{shown}**'}"


# Structured output.


def _filled(talk: Conversation, wanted: Assignment, schema: Mapping[str, Any]) -> Move:
    """Replies with data that fits a schema, after looking into files if the request mentions them."""
    answer: Move | None = None
    if not wanted.data:
        strategies = (*_KNOWLEDGE, *_FILES) if mentions_files(wanted.request) else _KNOWLEDGE
        plain = without_setup(talk)
        answer = next((move for strategy in strategies if (move := strategy(plain)) is not None), None)
    if isinstance(answer, Act):
        return answer
    source = ValueSource(wanted.request, answer.text if answer else "", wanted.data)
    value = fill(_with_keys(schema, wanted.request), source)
    return Say(json.dumps(value, ensure_ascii=False), ("The reply must fit a schema.", "I fill it in."))


def _with_keys(schema: Mapping[str, Any], request: str) -> Mapping[str, Any]:
    """Gives an object without properties those that the request names: "a JSON with 'setup' and 'punchline' keys"."""
    if schema.get("properties") or schema.get("type") != "object" or "additionalProperties" in schema:
        return schema
    named = [text for text in quotations(request) if text.isidentifier()] if "key" in request else []
    keys = named or ["answer"]
    return {"type": "object", "properties": {key: {"type": "string"} for key in keys}, "required": keys}
