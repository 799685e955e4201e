"""Answers of the offline agent from the session's files: a listing, a quoted passage, a table's sum or maximum.

The agent sees files through the server's tools alone: it calls Glob, Grep and ReadText, and reads their outputs.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Move, Say, Step

_MENTIONS_FILES = re.compile(r"\b(?:files?|documents?|docs?|uploads?|uploaded|attachments?|folder)\b", re.IGNORECASE)
_LISTS = re.compile(r"\b(?:what|which|list|show)\b[^.?!]{0,40}\bfiles\b(?!\s+(?:say|mention|contain))", re.IGNORECASE)
_READS = re.compile(r"\b(?:read|open|show|print|what(?:'s| is) in|contents? of)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"\?\s*$|\uff1f|^(?:please\s+)?(?:who|what|when|where|why|which|how|find|search|look|describe|read|open|show|"
    r"quote|summari[sz]e)\b",
    re.IGNORECASE,
)
_BINARY = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".mp4", ".mp3", ".wav", ".pdf", ".docx", ".xlsx", ".zip")
_SHOWN_LINES = 40
_SHOWN_PASSAGES = 3
_SHOWN_CHARS = 400


def mentions_files(text: str) -> bool:
    """True when a text speaks of files, or names one."""
    return bool(_MENTIONS_FILES.search(text) or re.search(r"\w\.(?:md|txt|csv|tsv|json|pdf|py)\b", text, re.IGNORECASE))


def list_files(talk: Conversation) -> Move | None:
    """Answers which files there are."""
    if not _LISTS.search(talk.ask) or not talk.can("Glob"):
        return None
    paths = _known_files(talk)
    if paths is None:
        return _look_around("The user asks which files there are.")
    if not paths:
        return Say("There are no files in this session.")
    listed = "\n".join(f"- `{talk.name_of(path)}`" for path in paths)
    return Say(f"There {'is 1 file' if len(paths) == 1 else f'are {len(paths)} files'}:\n\n{listed}")


def quote_file(talk: Conversation) -> Move | None:
    """Answers a question with the passages of a file that fit, and their places."""
    explicit = mentions_files(talk.ask)
    wanted = salient_words(talk.ask)
    if not talk.can("Glob", "Grep", "ReadText") or not wanted or not (explicit or _ASKS.search(talk.ask)):
        return None
    paths = _known_files(talk)
    if paths is None:
        return _look_around("The files of this session may answer this.")
    if not paths:
        return Say("There are no files in this session that I could look into.") if explicit else None
    named = _named_file(talk, paths)
    if named is not None:
        of_name = words_of(talk.name_of(named))
        return _from_file(talk, named, [word for word in wanted if word not in {stem(part) for part in of_name}])
    return _search(talk, paths, wanted)


def _search(talk: Conversation, paths: list[str], wanted: list[str]) -> Move:
    searched = talk.done("Grep")
    if not searched:
        pattern = "(?i)(" + "|".join(re.escape(word) for word in wanted) + ")"
        thoughts = (f"{len(paths)} file{'' if len(paths) == 1 else 's'}.", f"I search for {', '.join(wanted)}.")
        return Act("Grep", {"pattern": pattern}, thoughts=thoughts)
    hits = {path: texts for path, texts in _hits(searched[-1]).items() if path in paths}
    if not hits:
        return Say(
            f"I searched {len(paths)} file{'' if len(paths) == 1 else 's'} for {_listed(wanted)} and found nothing."
        )
    best = min(hits, key=lambda path: (-_matches(" ".join(hits[path]), wanted), path))
    return _from_file(talk, best, wanted)


def _from_file(talk: Conversation, path: str, wanted: list[str]) -> Move:
    name = talk.name_of(path)
    if name.lower().endswith(_BINARY):
        return Say(f"`{name}` is not a text file. I am an offline agent and cannot look into it.")
    text = _read(talk, path)
    if isinstance(text, Act):
        return text
    if text.error:
        return Say(f"I could not read `{name}`: {text.error}")
    if any(_matches(line, wanted) for _, line in text.lines):
        return Say(f"From `{name}`:\n\n{_quotes(text, name, wanted)}", (f"{name} fits best.", "I quote what it says."))
    if wanted and not _READS.search(talk.ask):
        return Say(f"I read `{name}` ({len(text.lines)} lines) and found nothing about {_listed(wanted)}.")
    shown = "\n".join(line for _, line in text.lines[:_SHOWN_LINES])
    more = f"\n\n… and {len(text.lines) - _SHOWN_LINES} more lines." if len(text.lines) > _SHOWN_LINES else ""
    fence = "`" * (3 if "```" not in shown else 5)
    return Say(f"`{name}` ({len(text.lines)} lines):\n\n{fence}\n{shown}\n{fence}{more}")


def _quotes(text: FileText, name: str, wanted: list[str]) -> str:
    """Quotes the best lines of a file. A word counts the more the fewer lines have it."""
    rarity = {word: 1 + sum(_matches(line, [word]) for _, line in text.lines) for word in wanted}
    scores = [sum(1 / rarity[word] + 1 for word in wanted if _matches(line, [word])) for _, line in text.lines]
    strong = [index for index, score in enumerate(scores) if score >= max(scores) * 0.6]
    best = sorted(sorted(strong, key=lambda index: -scores[index])[:_SHOWN_PASSAGES])
    return "\n\n".join(_quote(text, name, index) for index in best)


def _quote(text: FileText, name: str, index: int) -> str:
    first, passage = text.lines[index]
    passage, last = passage.strip(), first
    if passage.startswith("#") or passage.endswith(":"):  # A heading is quoted with the first line under it.
        following = next((line for line in text.lines[index + 1 :] if line[1].strip()), None)
        if following is not None:
            passage, last = f"{passage}\n> {following[1].strip()}", following[0]
    if len(passage) > _SHOWN_CHARS:
        passage = passage[: _SHOWN_CHARS - 1] + "…"
    return f"> {passage}\n\n(`{name}:{_span(first, last)}`)"


def _span(first: int, last: int) -> str:
    return f"{first}" if last == first else f"{first}-{last}"


def _matches(text: str, wanted: Sequence[str]) -> int:
    folded = text.casefold()
    return sum(word in folded for word in wanted)


def _listed(wanted: Sequence[str]) -> str:
    return ", ".join(f"“{word}”" for word in wanted)


# The outputs of Glob, Grep and ReadText, back to paths and numbered lines.

PAGE_LINES = 20_000
_NUMBERED = re.compile(r" *([0-9]+)\|(.*)", re.DOTALL)
_MORE = re.compile(r"\(File has more lines\. Use 'offset' ([0-9]+) to read on\)\Z")
_HIT = re.compile(r"  Line [0-9]+: (.*)")


@dataclass(frozen=True, slots=True)
class FileText:
    """A file as ReadText returned it: numbered lines, from 1, and why it could not be read, if it could not."""

    path: str
    lines: tuple[tuple[int, str], ...]
    error: str = ""


def _known_files(talk: Conversation) -> list[str] | None:
    """Returns the paths that Glob found in this turn; None before Glob was called."""
    globbed = talk.done("Glob")
    if not globbed:
        return None
    found = globbed[-1].result
    return [line for line in found.output.splitlines() if line.startswith("/")] if not found.is_error else []


def _look_around(thought: str) -> Act:
    return Act("Glob", {"pattern": "**/*"}, thoughts=(thought, "I look which files there are."))


def _named_file(talk: Conversation, paths: Sequence[str]) -> str | None:
    """Returns the file whose name the question has; the longest name wins."""
    asked = talk.ask.casefold()
    found: list[tuple[int, str]] = []
    for path in paths:
        name = talk.name_of(path).casefold()
        forms = (name, name.rsplit("/", 1)[-1])
        found += [(len(one), path) for one in forms if re.search(rf"(?<![\w.]){re.escape(one)}(?!\w)", asked)]
    return max(found)[1] if found else None


def _read(talk: Conversation, path: str) -> FileText | Act:
    """Returns a whole file, or the next call of ReadText that it needs."""
    pages = [step for step in talk.done("ReadText") if step.call.input.get("file_path") == path]
    failed = next((step.result.output for step in pages if step.result.is_error or step.denied), "")
    more = _MORE.search(pages[-1].result.output) if pages else None
    if failed or (pages and more is None):
        return FileText(path, tuple(line for page in pages for line in _numbered(page)), failed)
    arguments = {"file_path": path, "offset": int(more[1]) if more else 0, "limit": PAGE_LINES}
    return Act("ReadText", arguments, thoughts=(f"I read {talk.name_of(path)}.",))


def _numbered(page: Step) -> Iterator[tuple[int, str]]:
    if page.result.is_error:
        return
    for line in page.result.output.split("\n"):
        match = _NUMBERED.fullmatch(line)
        if match:
            yield int(match[1]), match[2]


def _hits(searched: Step) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    path = ""
    for line in searched.result.output.split("\n"):
        match = _HIT.fullmatch(line)
        if match and path:
            found.setdefault(path, []).append(match[1])
        elif line.startswith("/") and line.endswith(":"):
            path = line[:-1]
    return found


# Words that are worth searching for.

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]{2}")
_LONG = 4
_STOP_TEXT = """
a about according all also am an and any are as at be because been but by can contain contains could describe did
directory do doc docs document documents does each every explain file files find for from get give had has have he
her here him his how i if in into is it its just know let list look many may me mention mentions more most much
must my need no not now of on one only or other our out over please question read s said same say says search she
should show so some summarise summarize t tell than that the their them then there these they this those to too
upload uploaded uploads use very was we were what when where which while who whom whose why will with would you
your
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())


def words_of(text: str) -> list[str]:
    """Returns the words of a text in lower case. Scripts without spaces are cut into pairs of characters."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        pairs = [word[at : at + 2] for at in range(len(word) - 1) if _UNSPACED.fullmatch(word[at : at + 2])]
        found += pairs or [word]
    return found


def stem(word: str) -> str:
    """Returns a word without the ending of an English plural."""
    for ending in ("ies", "es", "s"):
        if len(word) > _LONG and word.endswith(ending) and not word.endswith("ss"):
            return word.removesuffix(ending)
    return word


def salient_words(text: str) -> list[str]:
    """Returns the stems of the words that carry a question, in order, each once."""
    kept = (stem(word) for word in words_of(text) if word not in STOP_WORDS and (len(word) > 1 or word.isdigit()))
    return list(dict.fromkeys(kept))


# Tables.

_TABLES = (".csv", ".tsv")
_HIGHEST = re.compile(r"\b(?:highest|largest|biggest|most|maximum|max)\b", re.IGNORECASE)
_TOTAL = re.compile(r"\b(?:total|sum|add up)\b", re.IGNORECASE)
_CUT = "… (line cut)"


def aggregate_table(talk: Conversation) -> Move | None:
    """Answers the sum or the maximum of a column that the question names, per value of another that it names."""
    highest = bool(_HIGHEST.search(talk.ask))
    if not (highest or _TOTAL.search(talk.ask)) or not talk.can("Glob", "ReadText"):
        return None
    paths = _known_files(talk)
    if paths is None:
        return _look_around("This may be a question about a table.")
    named = _named_file(talk, paths)
    for path in [named] if named is not None else paths:
        if not path.lower().endswith(_TABLES):
            continue
        text = _read(talk, path)
        if isinstance(text, Act):
            return text
        answer = _aggregate(talk, text, highest=highest)
        if answer is not None:
            return answer
    return None


def _aggregate(talk: Conversation, text: FileText, *, highest: bool) -> Move | None:
    name = talk.name_of(text.path)
    if any(line.endswith(_CUT) for _, line in text.lines):
        return Say(f"`{name}` has lines that are too long to be read whole, so I compute nothing from it.")
    rows = _rows(text)
    asked = {stem(word) for word in words_of(talk.ask)}
    columns = [column for column in (rows[0][1] if rows else ()) if {stem(w) for w in words_of(column)} & asked]
    numeric = [column for column in columns if any(_number(cells[column]) is not None for _, cells in rows)]
    if not numeric:
        return None
    label = next((column for column in columns if column not in numeric), None)
    found = _summed(rows, numeric[0], label)
    thoughts = (
        f"{name} has the columns {', '.join(rows[0][1])}.",
        f"I compute over {len(rows)} row{'' if len(rows) == 1 else 's'}.",
    )
    return Say(f"{_result(found, numeric[0], label, highest=highest)}\n\n{_source(rows, numeric[0], name)}", thoughts)


def _rows(text: FileText) -> list[tuple[int, dict[str, str]]]:
    """Returns the rows of a table and the lines where they end; a row of another width than the header is left out."""
    lines = [(number, line) for number, line in text.lines if line.strip()]
    if not lines:
        return []
    delimiter = max(",;\t|", key=lines[0][1].count)
    reader = csv.reader((line + "\n" for _, line in lines), delimiter=delimiter, skipinitialspace=True)
    try:
        records = [(lines[reader.line_num - 1][0], record) for record in reader]
    except csv.Error:
        return []
    header = [name.strip().lstrip("\ufeff") for name in records[0][1]]
    return [(line, dict(zip(header, row, strict=True))) for line, row in records[1:] if len(row) == len(header)]


def _number(cell: str) -> Decimal | None:
    plain = cell.strip("$€£% \u00a0")
    found = re.fullmatch(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?", plain, re.ASCII)
    return Decimal(plain.replace(",", "")) if found else None


def _summed(rows: list[tuple[int, dict[str, str]]], column: str, label: str | None) -> dict[str, list[Decimal]]:
    """Returns the numbers of a column: of each value of the label, or of each line where no label is named."""
    found: dict[str, list[Decimal]] = {}
    for line, cells in rows:
        value = _number(cells[column])
        if value is not None:
            found.setdefault(cells[label].strip() if label is not None else f"line {line}", []).append(value)
    return found


def _result(found: dict[str, list[Decimal]], column: str, label: str | None, *, highest: bool) -> str:
    with localcontext(prec=60):
        sums = {name: sum(values, Decimal()) for name, values in found.items()}
        if not highest and label is None:
            return f"The total {column} is **{_shown(sum(sums.values(), Decimal()))}**."
    if not highest:
        listed = "\n".join(f"| {name} | {_shown(value)} |" for name, value in sums.items())
        return f"The total {column} by {label}:\n\n| {label} | total {column} |\n| --- | --- |\n{listed}"
    best = max(sums.values())
    names = [name for name, value in sums.items() if value == best]
    if label is None:
        return f"The highest {column} is **{_shown(best)}** ({', '.join(names)})."
    total = "total " if any(len(values) > 1 for values in found.values()) else ""
    verb = "has" if len(names) == 1 else "have"
    return f"**{'**, **'.join(names)}** {verb} the highest {total}{column}: **{_shown(best)}**."


def _source(rows: list[tuple[int, dict[str, str]]], column: str, name: str) -> str:
    missing = sum(_number(cells[column]) is None for _, cells in rows)
    rows_were = "row was" if missing == 1 else "rows were"
    left_out = f" {missing} {rows_were} left out: no number in {column}." if missing else ""
    return (
        f"Source: `{name}:{_span(rows[0][0], rows[-1][0])}`, {len(rows)} row{'' if len(rows) == 1 else 's'}.{left_out}"
    )


def _shown(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
