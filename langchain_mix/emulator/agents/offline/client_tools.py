"""Follows what an application asks for in words: calls of its own tools, and replies in the form of a schema.

Owns: choosing tools, writing calls, and answering from what they gave.
Refuses to know: how the request stands in the conversation (`assignment.py`), how arguments are filled (`schemas.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_mix.emulator.agents.offline import extraction
from langchain_mix.emulator.agents.offline.arithmetic import arithmetic
from langchain_mix.emulator.agents.offline.assignment import Assignment, Given, Tool, assignment_of, plain
from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say, Strategy
from langchain_mix.emulator.agents.offline.facts import facts
from langchain_mix.emulator.agents.offline.files import list_files, search_files
from langchain_mix.emulator.agents.offline.recall import recall
from langchain_mix.emulator.agents.offline.schemas import Source, data_in, filled, fits
from langchain_mix.emulator.agents.offline.summaries import summarise
from langchain_mix.emulator.agents.offline.table_answers import answer_from_tables
from langchain_mix.emulator.agents.offline.words import stem, stems

_KNOWLEDGE: tuple[Strategy, ...] = (recall, arithmetic, facts)
_FILES: tuple[Strategy, ...] = (summarise, list_files, answer_from_tables, search_files)
_ABOUT_FILES = re.compile(
    r"\b(?:files?|documents?|uploads?|uploaded|attachments?|csv|spreadsheet)\b|\w\.(?:md|txt|csv|tsv|json|pdf|py)\b",
    re.IGNORECASE,
)
_CONCEPTS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "add": "add adds adder adding addition sum sums summing plus total",
        "subtract": "subtract subtracts subtraction minus difference",
        "multiply": "multiply multiplies multiplication product times multiplied",
        "divide": "divide divides division quotient divided",
        "weather": "weather forecast temperature rain sunny climate",
        "search": "search searches searching find look lookup google query",
        "joke": "joke jokes setup punchline funny",
        "mail": "mail email mails emails",
        "time": "time clock hour oclock",
    }.items()
}
_SIGNS = {
    "add": r"\d\s*\+\s*\d",
    "subtract": r"\d\s+[-\u2212]\s+\d|\d-\d",
    "multiply": r"\d\s*[*\u00d7x]\s*\d",
    "divide": r"\d\s*[/÷]\s*\d",
}
_GENERIC = frozenset(("get", "my", "the", "tool", "function", "fetch", "run", "do", "make", "a", "an", "of"))
_CLAUSES = re.compile(r"(\s*,?\s+(?:and|then)\s+|\s*[;?!]\s*|\.\s+|,\s+)", re.IGNORECASE)
_NAMED, _IN_NAME, _IN_TEXT, _FITS = 100, 3, 1, 3
_TRIES = 2


@dataclass(frozen=True, slots=True)
class _Call:
    tool: Tool
    arguments: dict[str, Any]

    def is_like(self, given: Given) -> bool:
        return given.name == self.tool.name and given.arguments in (None, self.arguments)


def follow_tools(talk: Conversation) -> Move | None:
    """Calls the application's tools where they fit or must be called, and answers from what they gave."""
    wanted = assignment_of(talk)
    if not wanted.tools or wanted.choice == "none":
        return None
    calls = _due(wanted)
    if calls:
        names = " and ".join(dict.fromkeys(call.tool.name for call in calls))
        return Say(_written(calls), ("The application has tools for this.", f"I ask for {names}."))
    if wanted.given and wanted.form is None:
        return Say(_report(wanted.given), ("The application's tools have given their results.", "I answer from them."))
    return None


def follow_form(talk: Conversation) -> Move | None:
    """Replies in the form of a schema, after looking into files if the request is about them."""
    wanted = assignment_of(talk)
    if wanted.form is None:
        return None
    known: list[Any] = [data_in(given.content) for given in wanted.given if not given.failed]
    answer = _answer(talk, wanted) if not known else Say("\n".join(str(data) for data in known))
    if isinstance(answer, Act):
        return answer
    source = Source(wanted.request, answer.text if answer else "", known)
    value = filled(_named_keys(wanted.form, source), source)
    return Say(json.dumps(value, ensure_ascii=False), ("The reply has to have the form of a schema.", "I fill it in."))


def _answer(talk: Conversation, wanted: Assignment) -> Move | None:
    strategies = (*_KNOWLEDGE, *_FILES) if _ABOUT_FILES.search(wanted.request) else _KNOWLEDGE
    moves = (strategy(plain(talk)) for strategy in strategies)
    return next((move for move in moves if move is not None), None)


def _named_keys(form: Mapping[str, Any], source: Source) -> Mapping[str, Any]:
    """Gives a form without properties those that the request names: "a JSON with 'setup' and 'punchline' keys"."""
    if form.get("properties") or form.get("type") != "object" or "additionalProperties" in form:
        return form
    keys = (
        [q for q in source.quotations if q.isidentifier()]
        if re.search(r"\bkeys?\b|\bfields?\b", source.request)
        else []
    )
    source.quotations = [q for q in source.quotations if q not in keys]
    keys = keys or ["answer"]
    return {"type": "object", "properties": {key: {"type": "string"} for key in keys}, "required": keys}


def _due(wanted: Assignment) -> list[_Call]:
    """Gives the calls to ask for now."""
    planned = _planned(wanted)
    pending = [call for call in planned if not _is_done(call, wanted.given)]
    if not pending and wanted.choice != "auto":
        pending = [_forced(wanted)]
    return pending if wanted.parallel else pending[:1]


def _is_done(call: _Call, given: Sequence[Given]) -> bool:
    """Tells whether a call has its result, or has failed often enough."""
    alike = [one for one in given if one.name == call.tool.name]
    succeeded = any(call.is_like(one) for one in alike if not one.failed)
    return succeeded or sum(one.failed for one in alike) >= _TRIES


def _planned(wanted: Assignment) -> list[_Call]:
    """Gives the calls that the request wants."""
    tools = [tool for tool in wanted.tools if wanted.choice in ("auto", "any", tool.name)]
    calls: list[_Call] = []
    for clause in _clauses(wanted.request, tools):
        tool = _best(tools, clause)
        if tool is not None and _score(tool, clause) >= _FITS:
            calls += [call for call in _calls(tool, clause, wanted) if call not in calls]
    if not calls and wanted.choice != "auto" and not wanted.given:
        calls = [_forced(wanted)]
    return calls


def _forced(wanted: Assignment) -> _Call:
    """Gives a call where one must be made: of the best tool, or after results of the last that was not called yet."""
    tools = [tool for tool in wanted.tools if wanted.choice in ("any", tool.name)] or list(wanted.tools)
    called = {one.name for one in wanted.given}
    fresh = [tool for tool in tools if tool.name not in called]
    tool = (fresh or tools)[-1] if wanted.given else _best(tools, wanted.request) or tools[0]
    return next(iter(_calls(tool, wanted.request, wanted)))


def _clauses(request: str, tools: Sequence[Tool]) -> list[str]:
    """Cuts a request into parts that each want a call; what wants none goes with the part before it."""
    parts = _CLAUSES.split(request)
    clauses = [parts[0]]
    for mark, part in zip(parts[1::2], parts[2::2], strict=True):
        wants = any(_score(tool, part) >= _FITS for tool in tools)
        if wants and any(_score(tool, clauses[-1]) >= _FITS for tool in tools):
            clauses.append(part)
        else:
            clauses[-1] += mark + part
    return [clause.strip() for clause in clauses if clause.strip()]


def _best(tools: Sequence[Tool], text: str) -> Tool | None:
    return max(tools, key=lambda tool: _score(tool, text), default=None)


def _score(tool: Tool, text: str) -> int:
    """Tells how well a tool fits a text."""
    if _is_named(tool.name, text):
        return _NAMED
    said = stems(text)
    name = {stem(word) for word in extraction.label_words(tool.name)} - _GENERIC
    described = stems(tool.description) - _GENERIC
    score = _IN_NAME * len(said & name) + _IN_TEXT * len((said & described) - name - _COMMON)
    for concept, words in _CONCEPTS.items():
        meant = words & said or (concept in _SIGNS and re.search(_SIGNS[concept], text))
        if meant and words & (name | described):
            score += _FITS + (words & name != frozenset())
    return score


def _is_named(name: str, text: str) -> bool:
    """Tells whether a text names a tool. A tool that is called by a common word has to be called a tool."""
    exact = rf"(?<!\w){re.escape(name)}(?!\w)"
    if not name.isalpha() or not (name.islower() or name.istitle()):
        return re.search(exact, text, re.IGNORECASE) is not None
    return re.search(rf"`{re.escape(name)}`|{exact}(?:\(|\s+(?:tool|function)\b)", text) is not None


_COMMON = stems(
    "a an the of in at to for from with and or that this is are it its by on two one value number input takes use"
)


def _calls(tool: Tool, text: str, wanted: Assignment) -> Iterator[_Call]:
    """Gives the calls of one tool that a text wants: one, or one for each thing that it lists."""
    known: list[Any] = [data_in(given.content) for given in wanted.given if not given.failed]
    written = [_as_written(tool, match[1]) for match in re.finditer(rf"\b{re.escape(tool.name)}\s*\(([^()]*)\)", text)]
    if written:
        yield from (_Call(tool, _completed(tool, arguments, text, known)) for arguments in written)
        return
    required = list(tool.parameters.get("required", ()))
    things = _things(required, tool, text)
    each: list[dict[str, Any]] = [{required[0]: thing} for thing in things] or [{}]
    yield from (_Call(tool, _completed(tool, given, text, known)) for given in each)


def _things(required: Sequence[str], tool: Tool, text: str) -> list[str]:
    """Gives the values of a tool's only parameter where the text lists several."""
    if len(required) != 1 or tool.parameters.get("properties", {}).get(required[0], {}).get("type") != "string":
        return []
    if set(extraction.label_words(required[0])) & extraction.PLACE_WORDS:
        found = extraction.places(text)
    else:
        found = extraction.quotations(text)
    return found if len(found) > 1 else []


def _completed(tool: Tool, given: Mapping[str, Any], text: str, known: list[Any]) -> dict[str, Any]:
    """Adds what is missing to the arguments that are known."""
    schema = {"type": "object", **tool.parameters}
    properties = schema.get("properties", {})
    rest = {
        **schema,
        "properties": {name: part for name, part in properties.items() if name not in given},
        "required": [name for name in schema.get("required", ()) if name not in given],
    }
    source = Source(text, known=known)
    if given:
        source.numbers = [n for n in source.numbers if n not in given.values()]
    found = filled(rest, source)
    return {
        name: given[name] if name in given else found[name] for name in properties if name in given or name in found
    }


def _as_written(tool: Tool, listed: str) -> dict[str, Any]:
    """Reads `f(3)`, `f(a=1, b="x")` and `f("x", 2)`."""
    names = list(tool.parameters.get("properties", {}))
    found: dict[str, Any] = {}
    for index, part in enumerate(re.findall(r"(?:\"[^\"]*\"|'[^']*'|\[[^\]]*\]|[^,])+", listed)):
        name, equals, value = part.partition("=")
        name = name.strip() if equals and name.strip() in names else names[index] if index < len(names) else ""
        literal = _literal(value if equals else part)
        if name and fits(literal, tool.parameters["properties"][name]):
            found[name] = literal
    return found


def _literal(text: str) -> Any:
    text = text.strip()
    try:
        return json.loads(text)
    except ValueError:
        return text.strip("\"'")


def _written(calls: Sequence[_Call]) -> str:
    entries = ",\n ".join(json.dumps({"name": c.tool.name, "args": c.arguments}, ensure_ascii=False) for c in calls)
    return f"<tool_calls>\n[{entries}]\n</tool_calls>"


def _report(given: Sequence[Given]) -> str:
    return "\n".join(_sentence(one) for one in given)


def _sentence(one: Given) -> str:
    data = data_in(one.content)
    if isinstance(data, dict) and len(data) == 1:
        data = next(iter(data.values()))
    shown = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    arguments = ", ".join(f"{k}: {v}" for k, v in (one.arguments or {}).items())
    about = f" ({arguments})" if arguments else ""
    return f"`{one.name}`{about} failed: {shown}" if one.failed else f"According to `{one.name}`{about}: **{shown}**"
