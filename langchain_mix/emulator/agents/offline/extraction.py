"""Values in the user's words: numbers, names, places, topics, dates.

Owns: finding them in a sentence, and which kind of value a parameter's name asks for.
Refuses to know: schemas and tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from ipaddress import IPv4Address

from langchain_mix.emulator.agents.offline.words import STOP_WORDS, words

_NUMBER = re.compile(
    r"(?<![\w.,/-])[-\u2212]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]*[A-Za-z_])|(?<=[A-Za-z(=+*/^-])\d+(?:\.\d+)?"
)
_SPELLED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_QUOTED = re.compile(
    r"[\"\u201c\u201e]([^\"\u201d\u201c]+)[\"\u201d\u201c]|(?<!\w)['\u2018]([^'\u2019\n]+)['\u2019](?!\w)|`([^`\n]+)`|「([^」]+)」|«([^»]+)»"
)
_CAPITAL = r"(?:[A-Z\u00c0-\u00de][\w.'\u2019-]*\w|[A-Z])"
_NAME = re.compile(rf"{_CAPITAL}(?:\s+(?:(?:de|da|van|von|of|the|la|du)\s+)?{_CAPITAL})*(?:,\s[A-Z]{{2}}\b)?")
_NAMED = re.compile(
    r"\b(?:named|called|name is|name's|i am|i'm)\s+([^\W\d_][\w.'\u2019-]*(?:\s+[A-Z][\w.'\u2019-]*)*)", re.IGNORECASE
)
_PLACED = r"\b(?:in|at|for|near|around|from|to|of)\s+"
_PLACES = re.compile(rf"{_PLACED}((?:{_NAME.pattern}|,\s|\s*(?:,\s*)?(?:and|or|&)\s+)+)")
_PLAIN_PLACE = re.compile(
    rf"{_PLACED}(?:the\s+)?([\w .'\u2019-]+?)(?=\s+(?:today|tomorrow|now|right|this|on|and|please)\b|[?.!,;]|$)"
)
_LISTED = re.compile(r"\s*,?\s*\b(?:and|or)\b\s+|\s*&\s*|,\s*(?![A-Z]{2}\b(?!\w))")
_ABOUT = re.compile(
    r"\b(?:about|on the topic of|regarding|concerning)\s+(?:an?\s+|the\s+|my\s+)?([^\n.,;:!?]+?)"
    r"(?=\s+(?:with|in|for|that|and|using|please|include|including|but)\b|[\n.,;:!?]|$)",
    re.IGNORECASE,
)
_STYLES = (
    re.compile(r"\bstyle of (?:an?\s+)?([\w-]+)", re.IGNORECASE),
    re.compile(r"\b([\w-]+)[ -]style\b", re.IGNORECASE),
    re.compile(r"\blike an?\s+([\w-]+)", re.IGNORECASE),
    re.compile(rf"\b(?:a|an|the)\s+({_CAPITAL})\b"),
)
_REMARK = re.compile(r"\s[-\u2013\u2014]\s+(.+)$|:\s+(.+)$", re.DOTALL)
_SHAPES = {
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "uri": re.compile(r"\bhttps?://[a-zA-Z\d][a-zA-Z\d.-]*(?::\d{1,4})?(?:/[^\s<>\"'()\[\]]*)?"),
    "date-time": re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
    "date": re.compile(r"\b\d{4}-\d\d-\d\d\b"),
    "time": re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b"),
    "uuid": re.compile(r"\b[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}\b", re.IGNORECASE),
    "phone": re.compile(r"(?<!\w)\+?\(?\d[\d ()./-]{5,}\d"),
    "ipv4": re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
}
_VERB_TEXT = """
create add compute calculate extract generate give tell write send use using call make find search get book list
translate classify analyse analyze convert set update delete multiply subtract divide sum apply hello hi
"""
_VERBS = frozenset(_VERB_TEXT.split())
_COURTESY = re.compile(
    r"^(?:please|can you|could you|would you)\s+|\b(?:use|using|call) (?:the|your|a) tools?\b[,.:]?\s*|\bplease\b",
    re.IGNORECASE,
)
RECIPIENT_WORDS = frozenset(("to", "cc", "bcc", "recipient", "sender"))
PLACE_WORDS = frozenset(
    ("location", "city", "place", "country", "town", "region", "address", "where", "destination", "origin", "state")
)
PERSON_WORDS = frozenset(
    (
        "name",
        "person",
        "customer",
        "user",
        "author",
        "recipient",
        "contact",
        "who",
        "employee",
        "first",
        "last",
        "surname",
    )
)
TOPIC_WORDS = frozenset(("topic", "subject", "theme", "animal", "about"))
STYLE_WORDS = frozenset(("style", "tone", "manner", "voice", "genre"))
REMARK_WORDS = frozenset(("description", "details", "note", "comment", "body", "remark"))
WHOLE_WORDS = frozenset(
    (
        "query",
        "question",
        "text",
        "input",
        "prompt",
        "request",
        "message",
        "content",
        "task",
        "instruction",
        "q",
        "search",
    )
)


def numbers(text: str) -> list[float]:
    """Gives the numbers of a text in order; `2-3` is a two and a three."""
    found = [(match.start(), _value(match[0])) for match in _NUMBER.finditer(text)]
    for value, word in enumerate(_SPELLED):
        found += [(m.start(), float(value)) for m in re.finditer(rf"\b{word}\b", text, re.IGNORECASE) if word != "one"]
    return [value for _, value in sorted(found)]


def number_named(text: str, label: str) -> float | None:
    """Finds the number that a text gives a name to: "age 30", "age: 30", "30 people"."""
    name = _flexible(label)
    after = re.search(
        rf"\b{name}s?\b\W{{0,3}}(?:(?:is|of|was|to|equals|at)\s+)?(-?\d[\d,]*(?:\.\d+)?)", text, re.IGNORECASE
    )
    before = re.search(rf"(?<![\w.])(-?\d[\d,]*(?:\.\d+)?)\s+{name}s?\b", text, re.IGNORECASE)
    found = after or before
    return _value(found[1]) if found else None


def _value(text: str) -> float:
    return float(text.replace(",", "").replace("\u2212", "-"))


def quotations(text: str) -> list[str]:
    """Gives what stands in quotation marks, in order."""
    return [next(group for group in match.groups() if group) for match in _QUOTED.finditer(text)]


def labelled(text: str, label: str) -> str | None:
    """Finds the text that is given a name to: "title: Dune", "title = Dune", "the title is Dune"."""
    name = _flexible(label)
    match = re.search(
        rf"\b{name}\b[\"'`]?\s*(?::|=|\bis\b)\s*([^\n,;]+?)(?=[\n,;]|\.\s|\.?$|\s+and\s)", text, re.IGNORECASE
    )
    value = match[1].strip().strip("\"'`\u201c\u201d") if match else ""
    return value if value and "?" not in value else None


def shaped(text: str, shape: str) -> str | None:
    """Finds a text of a JSON Schema format."""
    pattern = _SHAPES.get(shape)
    found = (match[0].rstrip(".,") for match in pattern.finditer(text)) if pattern else ()
    return next((text for text in found if _exists(shape, text)), None)


def _exists(shape: str, text: str) -> bool:
    """Tells whether what looks like a date, a time or an address is one."""
    reads = {"date": date.fromisoformat, "time": time.fromisoformat, "date-time": datetime.fromisoformat}
    try:
        reads.get(shape, IPv4Address if shape == "ipv4" else str)(text)
    except ValueError:
        return False
    return True


def places(text: str) -> list[str]:
    """Gives the places of a list: "in Paris and London", "in San Francisco, CA"."""
    found = [name for match in _PLACES.finditer(text) for name in _items(match[1])]
    if found:
        return list(dict.fromkeys(found))
    return [match[1].strip() for match in _PLAIN_PLACE.finditer(text) if match[1].strip()][-1:]


def _items(listed: str) -> list[str]:
    listed = listed.strip(" ,")
    # One comma alone does not make a list: "Paris, France".
    parts = _LISTED.split(listed) if re.search(r"\b(?:and|or)\b|&|,.*,", listed) else [listed]
    return [part.strip(" ,.?!") for part in parts if part and part.strip(" ,.?!")]


def people(text: str) -> list[str]:
    """Gives the names in a text: those that are called names first, then words in capitals."""
    named = [match[1] for match in _NAMED.finditer(text)]
    capital = [m[0] for m in _NAME.finditer(text) if not _is_common(m[0])]
    return list(dict.fromkeys([*named, *capital]))


def _is_common(name: str) -> bool:
    first = name.split(maxsplit=1)[0].casefold().partition("'")[0]
    return first in STOP_WORDS or first in _VERBS


def topic(text: str) -> str:
    """Gives what a request is about; empty if it does not say."""
    match = _ABOUT.search(text)
    return match[1].strip() if match else ""


def style(text: str) -> str:
    """Gives the style that a request names; empty if it names none."""
    for pattern in _STYLES:
        for match in pattern.finditer(text):
            if not _is_common(match[1]):
                return match[1]
    return ""


def remark(text: str) -> str:
    """Gives what follows a dash or a colon; empty if nothing does."""
    match = _REMARK.search(text)
    return (match[1] or match[2]).strip() if match else ""


def without_courtesy(text: str) -> str:
    """Takes out what is said to the agent and not to a tool."""
    return " ".join(_COURTESY.sub("", text).split())


def listed(text: str, label: str) -> list[str]:
    """Gives a list that is given a name to, or that follows a colon."""
    name = _flexible(label)
    match = re.search(rf"\b{name}\b\s*(?::|=|\bare\b|\bis\b)\s*([^\n.;?!]+)", text, re.IGNORECASE)
    match = match or re.search(r":\s*([^\n.;?!]+)", text)
    return (
        [part.strip("\"'` ") for part in re.split(r",\s*(?:and\s+)?|\s+and\s+", match[1]) if part.strip()]
        if match
        else []
    )


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Gives the "name: value" pairs of a text."""
    for match in re.finditer(r"([\w-]+)\s*[:=]\s*([^\s,;]+)", text):
        yield match[1], match[2].strip("\"'.")


def mentions(text: str, phrases: Iterable[str]) -> str | None:
    """Gives the phrase that a text mentions first."""
    found = [
        (match.start(), phrase)
        for phrase in phrases
        if phrase and (match := re.search(rf"(?<!\w){_flexible(phrase)}(?!\w)", text, re.IGNORECASE))
    ]
    return min(found)[1] if found else None


def label_words(name: str) -> list[str]:
    """Cuts a parameter's name into words: `customerName`, `customer_name`."""
    return words(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " "))


def _flexible(label: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    return r"[\s_-]".join(re.escape(part) for part in re.split(r"[\s_-]+", spaced) if part) or r"(?!)"
