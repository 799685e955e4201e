"""The few facts the agent knows by heart, so that the documentation's examples get sensible answers.

Owns: some countries and some topics, and questions that lean on the one before ("What about Italy?").
Refuses to know: anything in the user's files; a question that names files is not answered from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from langchain_mix.emulator.agents.offline.conversation import Conversation, Move, Say

Topic = Literal["capital", "population"]


@dataclass(frozen=True, slots=True)
class Country:
    """A country.

    Attributes:
        name: As a sentence has it.
        capital: Its capital.
        millions: Inhabitants, in millions, about 2023.
        aliases: Other words for it, lower case.
    """

    name: str
    capital: str
    millions: int
    aliases: tuple[str, ...] = ()


COUNTRIES = (
    Country("France", "Paris", 68),
    Country("Italy", "Rome", 59),
    Country("Germany", "Berlin", 84),
    Country("Spain", "Madrid", 48),
    Country("Portugal", "Lisbon", 10),
    Country("Poland", "Warsaw", 37),
    Country("the United Kingdom", "London", 68, ("uk", "britain", "england", "united kingdom")),
    Country("the United States", "Washington, D.C.", 335, ("usa", "united states", "america")),
    Country("Canada", "Ottawa", 40),
    Country("Mexico", "Mexico City", 128),
    Country("Brazil", "Brasília", 212),
    Country("Japan", "Tokyo", 124),
    Country("China", "Beijing", 1410),
    Country("India", "New Delhi", 1430),
    Country("Australia", "Canberra", 27),
    Country("Egypt", "Cairo", 113),
    Country("Kenya", "Nairobi", 55),
)
TOPICS = {
    "python": (
        "Python is a high-level, general-purpose programming language, first released in 1991 by Guido van Rossum. It "
        "favours readable code, is dynamically typed, and has a large standard library; it is widely used for "
        "scripting, web services, data analysis and machine learning."
    ),
    "rust": (
        "Rust is a compiled systems programming language that guarantees memory safety without a garbage collector, by "
        "tracking ownership and borrowing at compile time. Its first stable release came out in 2015."
    ),
    "javascript": (
        "JavaScript is the programming language of web browsers, created by Brendan Eich in 1995; with Node.js it also "
        "runs on servers."
    ),
    "langchain": (
        "LangChain is an open-source framework for applications built on language models: chat models, tools, "
        "retrievers and agents behind common interfaces."
    ),
    "langgraph": "LangGraph is a library for stateful agents as graphs, with checkpoints, interrupts and time travel.",
}
_FILES = re.compile(
    r"\b(?:files?|documents?|uploads?|uploaded|attachments?|csv|table|spreadsheet|column)\b|\w\.\w{2,4}\b",
    re.IGNORECASE,
)
_COMPARES = re.compile(r"\b(larger|bigger|more|higher|greater|smaller|fewer|less|lower)\b", re.IGNORECASE)
_TWO = 2  # What it takes to compare.
_BILLION = 1000
_LESS = ("smaller", "fewer", "less", "lower")
_FOLLOWS = re.compile(r"^\s*(?:and\s+|what about\s+|how about\s+|and what about\s+)", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:tell me (?:more |something )?about|what is|what's|explain|describe)\s+([\w+#.]+)", re.IGNORECASE
)


def facts(talk: Conversation) -> Move | None:
    """Answers questions about countries and topics that it knows."""
    ask = talk.ask
    if _FILES.search(ask):
        return None
    return _countries(talk, ask) or _topic(ask)


def _countries(talk: Conversation, ask: str) -> Move | None:
    topic: Topic | None = _topic_of(ask)
    if topic == "population" and _COMPARES.search(ask):
        return _compare(talk, ask)
    named = mentioned(ask)
    if topic is None and named and _FOLLOWS.match(ask):
        topic = _topic_before(talk)
    if topic is None:
        return None
    if not named and re.search(r"\b(?:its|their|there)\b", ask, re.IGNORECASE):
        named = [c for e in talk.earlier for c in mentioned(e.user)][-1:]
    if not named:
        return None
    thoughts = (f"The user asks for the {topic}.", f"It is about {' and '.join(c.name for c in named)}.")
    return Say("\n".join(_sentence(country, topic) for country in named), thoughts)


def _topic_before(talk: Conversation) -> Topic | None:
    for exchange in reversed(talk.earlier):
        topic = _topic_of(exchange.user)
        if topic is not None:
            return topic
    return None


def _compare(talk: Conversation, ask: str) -> Move | None:
    named = mentioned(ask)
    if len(named) < _TWO:
        before = [c for e in talk.earlier for c in mentioned(e.user)]
        named = list(dict.fromkeys([*reversed(before), *named]))[:2][::-1]
    if len(named) < _TWO:
        return None
    less = any(word.casefold() in _LESS for word in _COMPARES.findall(ask))
    ordered = sorted(named, key=lambda c: c.millions, reverse=not less)
    best, others = ordered[0], ordered[1:]
    sizes = ", ".join(f"{c.name} about {_people(c.millions)}" for c in others)
    text = f"{_capitalised(best.name)} has the {'smaller' if less else 'larger'} population: about "
    thoughts = ("The user compares populations.", f"The countries are {', '.join(c.name for c in named)}.")
    return Say(f"{text}{_people(best.millions)}, {sizes}.", thoughts)


def mentioned(text: str) -> list[Country]:
    """Gives the countries that a text names, in order."""
    found: list[tuple[int, Country]] = []
    for country in COUNTRIES:
        names = "|".join(re.escape(n) for n in (country.name.removeprefix("the "), *country.aliases))
        match = re.search(rf"\b(?:{names})\b", text, re.IGNORECASE)
        if match:
            found.append((match.start(), country))
    return [country for _, country in sorted(found, key=lambda pair: pair[0])]


def _topic_of(text: str) -> Topic | None:
    if re.search(r"\bcapital\b", text, re.IGNORECASE):
        return "capital"
    return "population" if re.search(r"\bpopulation|\bhow many people\b|\binhabitants\b", text, re.IGNORECASE) else None


def _topic(ask: str) -> Move | None:
    about = _ABOUT.search(ask)
    text = TOPICS.get(about[1].casefold().rstrip(".?!")) if about else None
    return Say(text, ("The user wants to know about a topic.", "I know a little about it.")) if text else None


def _sentence(country: Country, topic: Topic) -> str:
    if topic == "capital":
        return f"The capital of {country.name} is **{country.capital}**."
    return f"{_capitalised(country.name)} has about **{_people(country.millions)}** inhabitants."


def _people(millions: int) -> str:
    return f"{millions / _BILLION:.2f} billion" if millions >= _BILLION else f"{millions} million"


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
