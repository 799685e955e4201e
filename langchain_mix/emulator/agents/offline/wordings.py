"""What the offline agent writes into a text field.

Owns: choosing the text by the field's name, jokes included.
Refuses to know: schemas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from langchain_mix.emulator.agents.offline import extraction

ANSWERS = frozenset(
    [
        "answer",
        "response",
        "result",
        "reply",
        "output",
        "summary",
        "explanation",
        "reason",
        "reasoning",
        "justification",
        "final",
        "value",
        "solution",
        "total",
        "sum",
        "conclusion",
    ]
)
_HEADINGS = frozenset(["title", "headline", "heading", "label", "subject", "topic", "keyword"])
_POINT = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_GOOD = re.compile(
    r"\b(?:love[ds]?|like[ds]?|great|good|excellent|amazing|wonderful|happy|best|perfect|awesome)\b", re.IGNORECASE
)
_BAD = re.compile(
    r"\b(?:hate[ds]?|bad|terrible|awful|horrible|sad|worst|poor|broken|angry|disappoint\w*)\b", re.IGNORECASE
)
_JOKES = {
    "cat": ("Why did the cat sit on the computer?", "To keep an eye on the mouse."),
    "bear": ("What do you call a bear with no teeth?", "A gummy bear."),
    "programmer": ("Why do programmers prefer dark mode?", "Because light attracts bugs."),
    "python": ("Why do Python programmers wear glasses?", "Because they can't C."),
    "dog": ("What do you call a dog magician?", "A labracadabrador."),
    "parrot": ("What do you get if you cross a parrot with a centipede?", "A walkie-talkie."),
}
_SAMPLES = (
    "a", "A", "0", "1", "ab", "AB", "12", "abc", "ABC", "123", "A1", "a1", "abcd", "ABCD", "1234", "12345", "123456",
    "AB12", "AB-12", "ABC123", "ABC-123", "abc-123", "AB-1234", "ABC-1234", "12345-6789", "555-1234", "123-456-7890",
    "+1234567890", "1234567890", "#ffffff", "0.0.1", "1.0.0", "v1.0.0", "en", "en-US", "USD", "10:00", "2024-01-01",
    "user@example.com", "https://example.com", "/data", "example.com", "Example", "example",
)  # fmt: skip
_FORMATS = {
    "email": "user@example.com",
    "uri": "https://example.com/",
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "phone": "+1 555 0100",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "binary": "",
    "byte": "",
}
_FORMAT_OF = {
    "email": "email",
    "mail": "email",
    "url": "uri",
    "link": "uri",
    "website": "uri",
    "uuid": "uuid",
    "phone": "phone",
    "telephone": "phone",
}


class Words(Protocol):
    """What texts are taken from."""

    request: str
    answer: str
    quotations: list[str]


def wording(name: str, shape: str, source: Words) -> tuple[str, bool]:
    """Writes the text of a field.

    Args:
        name: The field's name.
        shape: Its format in JSON Schema; empty if it has none.
        source: What to take it from. A quotation that is taken is taken out.

    Returns:
        The text, and whether the conversation tells it.
    """
    said = source.request
    label = set(extraction.label_words(name))
    found = extraction.labelled(said, name) if name else None
    shape = shape or next((_FORMAT_OF[word] for word in sorted(label) if word in _FORMAT_OF), "")
    if shape:
        found = extraction.shaped(said, shape) or (extraction.shaped(found, shape) if found else None)
        return (found, True) if found else (_FORMATS.get(shape, "text"), False)
    if found:
        return found, True
    if point := _pointed(source, label):
        return point, True
    for words, read in _READERS:
        if label & words and (text := read(source, label)):
            return text, True
    if source.quotations:
        return source.quotations.pop(0), True
    return _otherwise(name, source)


def _otherwise(name: str, source: Words) -> tuple[str, bool]:
    subject = extraction.topic(source.request)
    if subject:
        return subject, True
    return (extraction.without_courtesy(source.request) or name or "text"), False


def _setup(source: Words, _label: set[str]) -> str:
    asked = extraction.mentions(source.request, ["joke", "setup"])
    return joke(extraction.topic(source.request))[0] if asked else ""


def _punchline(source: Words, _label: set[str]) -> str:
    asked = extraction.mentions(source.request, ["joke", "punchline"])
    return joke(extraction.topic(source.request))[1] if asked else ""


def _quotation(source: Words, _label: set[str]) -> str:
    return source.quotations.pop(0) if source.quotations else ""


def _person(source: Words, label: set[str]) -> str:
    if source.quotations:
        return source.quotations.pop(0)
    found = extraction.people(source.request)
    if not found:
        return ""
    if "last" in label or "surname" in label:
        return found[0].split()[-1]
    return found[0].split()[0] if "first" in label else found[0]


def _answer(source: Words, label: set[str]) -> str:
    if not source.answer:
        return ""
    brief = {"value", "result", "total", "sum", "solution"} & label
    return point_of(source.answer) if brief else source.answer.replace("**", "")


def _pointed(source: Words, label: set[str]) -> str:
    """The point of the answer, where the question asks for the very thing that the field is called."""
    asked = extraction.mentions(source.request, label)
    return point_of(source.answer) if asked and _POINT.search(source.answer) else ""


def point_of(answer: str) -> str:
    """Gives the part of an answer that is set off in bold, or all of it."""
    match = _POINT.search(answer)
    return match[1] if match else answer


def _whole(source: Words, _label: set[str]) -> str:
    return _quotation(source, _label) or extraction.without_courtesy(source.request)


_READERS: tuple[tuple[frozenset[str], Callable[[Words, set[str]], str]], ...] = (
    (frozenset({"setup"}), _setup),
    (frozenset({"punchline"}), _punchline),
    (frozenset({"joke"}), lambda source, label: f"{_setup(source, label)} {_punchline(source, label)}".strip()),
    (ANSWERS, _answer),
    (extraction.RECIPIENT_WORDS, lambda source, _: extraction.shaped(source.request, "email") or ""),
    (extraction.REMARK_WORDS, lambda source, _: extraction.remark(source.request)),
    (extraction.PLACE_WORDS, lambda source, _: next(iter(extraction.places(source.request)), "")),
    (extraction.PERSON_WORDS, _person),
    (extraction.STYLE_WORDS, lambda source, _: extraction.style(source.request)),
    (extraction.TOPIC_WORDS | _HEADINGS, lambda source, _: extraction.topic(source.request)),
    (extraction.WHOLE_WORDS, _whole),
)


def joke(about: str) -> tuple[str, str]:
    """Tells a joke.

    Args:
        about: Its topic; may be empty.

    Returns:
        The question and the punchline.
    """
    key = about.casefold().removesuffix("s")
    subject = about or "chicken"
    return _JOKES.get(key, (f"Why did the {subject} cross the road?", "To get to the other side!"))


def mood(text: str, options: Sequence[str]) -> str | None:
    """Gives the option that names the mood of a text: positive, negative or neutral."""
    if not any(option.casefold() == "positive" for option in options):
        return None
    good, bad = len(_GOOD.findall(text)), len(_BAD.findall(text))
    wanted = "positive" if good > bad else "negative" if bad > good else "neutral"
    return next((option for option in options if option.casefold() == wanted), None)


def matching(pattern: str, text: str) -> str:
    """Gives a text that matches a pattern: a part of the text that does, or one of the usual ones.

    Args:
        pattern: A regular expression.
        text: Where to look first.

    Returns:
        The text; the pattern's own words where none is known to match.
    """
    bare = pattern.removeprefix("^").removesuffix("$")
    found = re.search(rf"(?<!\w)(?:{bare})(?!\w)", text)
    if found and found[0]:
        return found[0]
    return next((sample for sample in _SAMPLES if re.search(pattern, sample)), bare)
