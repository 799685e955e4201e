"""Questions about the session's files: what is there, what a file says, which passage answers.

Owns: choosing the file and the passages, and quoting them with their places.
Refuses to know: sums over tables, and what to do when no file helps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say
from langchain_mix.emulator.agents.offline.observations import (
    FileText,
    NumberedLine,
    file_text,
    hits,
    known_files,
    look_around,
    read_whole,
)
from langchain_mix.emulator.agents.offline.words import salient, stem, words
from langchain_mix.emulator.agents.tools.patterns import literal_source

ABOUT_FILES = re.compile(r"\b(?:files?|documents?|docs?|uploads?|uploaded|attachments?|folder)\b", re.IGNORECASE)
_LISTS = re.compile(
    r"\b(?:what|which|list|show|any|how many)\b[^.?!]{0,40}\b(?:files|documents|uploads|"
    r"attachments)\b(?!\s+(?:say|mention|contain))",
    re.IGNORECASE,
)
_READS = re.compile(r"\b(?:read|open|show|print|cat|display|what(?:'s| is) in|contents? of)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"\?\s*$|\uff1f|^(?:please\s+)?(?:who|what|when|where|why|which|how|is|are|was|were|do|does|did|"
    r"can|could|should|find|"
    r"search|look|explain|describe|tell|list|show|give|read|open|quote|compare|according)\b",
    re.IGNORECASE,
)
MEDIA = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".mp4",
    ".mp3",
    ".wav",
    ".mov",
    ".pdf",
    ".docx",
    ".xlsx",
    ".pptx",
    ".zip",
)
_SHOWN_LINES = 40
_SHOWN_PASSAGES = 3
_SHOWN_CHARS = 400


def named_file(text: str, paths: Sequence[str], talk: Conversation) -> str | None:
    """Finds the file that a text names, with or without its ending; the longest name wins.

    Args:
        text: What the user wrote.
        paths: What Glob found.
        talk: Knows the directories.

    Returns:
        The path, or None.
    """
    lower = text.casefold()
    found: list[tuple[int, str]] = []
    for path in paths:
        name = talk.name_of(path).casefold()
        short = name.rsplit("/", 1)[-1]
        forms = (f for f in (name, short) if re.search(rf"(?<![\w.]){re.escape(f)}(?![\w])", lower))
        found.extend((len(form) * 2 + 1, path) for form in forms)
        base = short.rsplit(".", 1)[0]
        if len(base) > 2 and re.search(rf"\b(?:the|in|of|from|my)\s+{re.escape(base)}\b", lower):  # noqa: PLR2004
            found.append((len(base), path))
    return max(found, default=(0, None), key=lambda pair: pair[0])[1]


def list_files(talk: Conversation) -> Move | None:
    """Answers which files there are."""
    if not _LISTS.search(talk.ask) or not talk.can("Glob"):
        return None
    paths = known_files(talk)
    if paths is None:
        return look_around("The user asks which files there are.", "I list them with Glob.")
    if not paths:
        return Say("There are no files in this session.")
    listed = "\n".join(f"- `{talk.name_of(path)}`" for path in paths)
    return Say(f"There {'is 1 file' if len(paths) == 1 else f'are {len(paths)} files'}:\n\n{listed}")


def search_files(talk: Conversation) -> Move | None:
    """Answers a question from the files, with quotes; None if there are none or the question is no question."""
    explicit = bool(ABOUT_FILES.search(talk.ask))
    wanted = salient(talk.ask)
    if not (talk.can("Glob") and talk.can("Grep") and talk.can("ReadText")) or not wanted:
        return None
    if not (explicit or _ASKS.search(talk.ask)):
        return None
    paths = known_files(talk)
    if paths is None:
        return look_around("The files of this session may answer this.", "I look which files there are.")
    if not paths:
        return Say("There are no files in this session that I could look into.") if explicit else None
    named = named_file(talk.ask, paths, talk)
    if named is not None:
        return _from_file(talk, named, [word for word in wanted if word not in _name_stems(talk, named)])
    return _searched(talk, paths, wanted)


def _name_stems(talk: Conversation, path: str) -> set[str]:
    return {stem(word) for word in words(talk.name_of(path))}


def _searched(talk: Conversation, paths: list[str], wanted: list[str]) -> Move:
    searched = talk.done("Grep")
    if not searched:
        pattern = "(?i)(" + "|".join(literal_source(word) for word in wanted) + ")"
        return Act(
            "Grep", {"pattern": pattern}, thoughts=(f"{len(paths)} file(s).", f"I search for {', '.join(wanted)}.")
        )
    found = {path: lines for path, lines in hits(searched[-1].result.output).items() if path in paths}
    ranked = sorted(found, key=lambda path: (-_score(found[path], wanted), path))
    for path in ranked:
        text = file_text(talk, path)
        if text is None or text.next_offset is not None:
            return _read(talk, path)
        if not text.error:
            return _answer(talk, text, wanted)
    searched_for = f"{len(paths)} file(s) for {_listed(wanted)}"
    return Say(f"I searched {searched_for} and found nothing, so I cannot answer this from the files.")


def _read(talk: Conversation, path: str) -> Act:
    step = read_whole(talk, path)
    return step if isinstance(step, Act) else Act("ReadText", {"file_path": path})


def _from_file(talk: Conversation, path: str, wanted: list[str]) -> Move:
    name = talk.name_of(path)
    if name.lower().endswith(MEDIA):
        return Say(f"`{name}` is not a text file. I am an offline agent and cannot look into it.")
    text = read_whole(talk, path)
    if isinstance(text, Act):
        return text
    if text.error:
        return Say(f"I could not read `{name}`: {text.error}")
    if wanted and any(_matches(line.text, wanted) for line in text.lines):
        return _answer(talk, text, wanted)
    if wanted and not _READS.search(talk.ask):
        return Say(f"I read `{name}` ({len(text.lines)} lines) and found nothing about {_listed(wanted)}.")
    shown = "\n".join(line.text for line in text.lines[:_SHOWN_LINES])
    more = f"\n\n… and {len(text.lines) - _SHOWN_LINES} more lines." if len(text.lines) > _SHOWN_LINES else ""
    fence = "`" * (3 if "```" not in shown else 5)
    return Say(f"`{name}` ({len(text.lines)} lines):\n\n{fence}\n{shown}\n{fence}{more}")


def _answer(talk: Conversation, text: FileText, wanted: list[str]) -> Move:
    """Quotes the best lines of a file; a heading counts for the first line under it."""
    name = talk.name_of(text.path)
    rarity = {word: 1 + sum(_matches(line.text, [word]) > 0 for line in text.lines) for word in wanted}
    scored = [
        (sum(1 / rarity[word] + 1 for word in wanted if _matches(line.text, [word])), line) for line in text.lines
    ]
    best = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: (-pair[0], pair[1].number))
    if not best:
        return Say(f"I read `{name}` ({len(text.lines)} lines) and found nothing about {_listed(wanted)}.")
    strong = [line for score, line in best if score >= best[0][0] * 0.6][:_SHOWN_PASSAGES]
    quotes = "\n\n".join(_quote(name, line, text) for line in sorted(strong, key=lambda line: line.number))
    return Say(f"From `{name}`:\n\n{quotes}", (f"{name} fits best.", "I quote what it says."))


def _quote(name: str, line: NumberedLine, text: FileText) -> str:
    passage, last = line.text.strip(), line.number
    if passage.startswith("#") or passage.endswith(":"):
        following = next((n for n in text.lines if n.number > line.number and n.text.strip()), None)
        if following is not None:
            passage, last = f"{passage}\n> {following.text.strip()}", following.number
    if len(passage) > _SHOWN_CHARS:
        passage = passage[: _SHOWN_CHARS - 1] + "…"
    span = f"{line.number}" if last == line.number else f"{line.number}-{last}"
    return f"> {passage}\n\n(`{name}:{span}`)"


def _score(lines: list[NumberedLine], wanted: list[str]) -> float:
    together = {word for line in lines for word in wanted if _matches(line.text, [word])}
    best = max(_matches(line.text, wanted) for line in lines)
    return len(together) * 2 + best


def _matches(text: str, wanted: Sequence[str]) -> int:
    folded = text.casefold()
    return sum(word in folded for word in wanted)


def _listed(wanted: Sequence[str]) -> str:
    return ", ".join(f"“{word}”" for word in wanted)
