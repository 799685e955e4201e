"""Summaries of files.

Owns: choosing the sentences that stand for a text.
Refuses to know: what a language model would write; every sentence is the file's own.
"""

from __future__ import annotations

import re
from collections import Counter

from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say
from langchain_mix.emulator.agents.offline.files import ABOUT_FILES, MEDIA, named_file
from langchain_mix.emulator.agents.offline.observations import FileText, known_files, look_around, read_whole
from langchain_mix.emulator.agents.offline.table import TABLES, Table
from langchain_mix.emulator.agents.offline.words import STOP_WORDS, words

SUMMARISES = re.compile(r"\b(?:summari[sz]e|summary|sum up|overview|tl;?dr|gist|key points)\b", re.IGNORECASE)
_FILE_NAME = re.compile(r"[\w-]\.\w{1,5}\b")
_SENTENCE = re.compile(r"[^.!?\u3002\uff01\uff1f]+(?:[.!?\u3002\uff01\uff1f]+|$)")
_SENTENCES = 4
_HEADINGS = 12
_SHOWN_CHARS = 300


def summarise(talk: Conversation) -> Move | None:
    """Summarises the file that is named, or the only one there is."""
    if not SUMMARISES.search(talk.ask) or not (talk.can("Glob") and talk.can("ReadText")):
        return None
    text = wanted_text(talk)
    if not isinstance(text, FileText):
        return text
    return Say(
        summary(text, talk.name_of(text.path)), ("The user wants a summary.", "I choose the weightiest sentences.")
    )


def wanted_text(talk: Conversation) -> FileText | Act | Say | None:
    """Gives the file that shall be summarised, the next step towards it, or why there is none."""
    paths = known_files(talk)
    if paths is None:
        return look_around("The user wants a summary.", "I look which files there are.")
    readable = [path for path in paths if not path.lower().endswith(MEDIA)]
    path = named_file(talk.ask, paths, talk) or (readable[0] if len(readable) == 1 else None)
    if path is None:
        if not (ABOUT_FILES.search(talk.ask) or _FILE_NAME.search(talk.ask)):
            return None
        listed = "\n".join(f"- `{talk.name_of(p)}`" for p in paths) or "There are no files in this session."
        return Say(f"I do not know which file to summarise.\n\n{listed}")
    text = read_whole(talk, path)
    if isinstance(text, FileText) and text.error:
        return Say(f"I could not read `{talk.name_of(path)}`: {text.error}")
    return text


def summary(text: FileText, name: str) -> str:
    """Writes a summary.

    Args:
        text: The whole file.
        name: For the reader.

    Returns:
        Markdown, with the place of every sentence.
    """
    whole = "\n".join(line.text for line in text.lines)
    counted = f"`{name}`: {len(text.lines)} lines, {len(whole.split())} words."
    if name.lower().endswith(TABLES):
        return f"{counted}\n\n{_of_table(text)}"
    headings = [line.text.lstrip("# ").strip() for line in text.lines if line.text.startswith("#")][:_HEADINGS]
    parts = [counted]
    if headings:
        parts.append("Sections: " + ", ".join(f"*{heading}*" for heading in headings) + ".")
    parts.extend(f"- {sentence} (`{name}:{number}`)" for number, sentence in _weightiest(text))
    return "\n\n".join(parts[:2]) + ("\n\n" if parts[2:] else "") + "\n".join(parts[2:])


def _weightiest(text: FileText) -> list[tuple[int, str]]:
    sentences = [
        (line.number, match[0].strip())
        for line in text.lines
        if not line.text.startswith("#")
        for match in _SENTENCE.finditer(line.text)
        if match[0].strip(" .-*>|")
    ]
    counts = Counter(word for _, sentence in sentences for word in set(words(sentence)) if word not in STOP_WORDS)

    def weight(sentence: str) -> float:
        found = set(words(sentence)) - STOP_WORDS
        return sum(counts[word] for word in found) / (len(found) + 3)

    best = sorted(enumerate(sentences), key=lambda pair: (-weight(pair[1][1]), pair[0]))[:_SENTENCES]
    return [(number, sentence[:_SHOWN_CHARS]) for _, (number, sentence) in sorted(best)]


def _of_table(text: FileText) -> str:
    table = Table.parse([(line.number, line.text) for line in text.lines])
    if table is None:
        return "It holds no table that I can read."
    lines = [f"A table of {len(table.rows)} rows with the columns:", ""]
    for column in table.columns:
        values = [value for row in table.rows if (value := table.number(row, column)) is not None]
        if table.is_numeric(column) and values:
            lines.append(f"- **{column}**: from {min(values)} to {max(values)}")
        else:
            lines.append(f"- **{column}**: {len({row.cells[column] for row in table.rows})} different values")
    return "\n".join(lines)
