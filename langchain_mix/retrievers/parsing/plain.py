"""Plain text, code and Markdown.

Owns: sections of Markdown, and what is no text for readers. Refuses to know: how text is cut to size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector, TextFile
from langchain_mix.retrievers.parsing.detection import LANGUAGES, extension_of
from langchain_mix.retrievers.parsing.lines import LineIndex, lines_of
from langchain_mix.retrievers.parsing.parts import Kind, Parsed, Place, Skipped

_ATX: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_SETEXT: Final = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_NO_PARAGRAPH: Final = re.compile(r" {0,3}(?:[-*+>|]|\d+[.)]\s|$)| {4}")


def read_text(source: TextFile, limits: Limits, kind: Kind = "text") -> Parsed | Skipped:
    """Reads text or code as one part."""
    longest = max((len(line) for _, line in lines_of(source.text)), default=0)
    if longest > limits.max_line_chars:
        return Skipped(f"has a line of {longest} characters; at most {limits.max_line_chars} (`max_line_chars`)", kind)
    found = Collector(limits, source)
    with found.bounded():
        found.span(0, len(found.text), _lines(LineIndex(found.text), 0, len(found.text)))
    return found.parsed(kind, language=LANGUAGES.get(extension_of(source.name)) if kind == "code" else None)


def read_code(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads code as one part, and tells its language."""
    return read_text(source, limits, "code")


def read_markdown(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads Markdown, a part for each section."""
    whole = read_text(source, limits, "markdown")
    if isinstance(whole, Skipped):
        return whole
    found = Collector(limits, source)
    lines = LineIndex(found.text)
    with found.bounded():
        for start, end, headings in _sections(found.text):
            found.span(start, end, _lines(lines, start, end, headings))
    return found.parsed("markdown")


def _lines(lines: LineIndex, start: int, end: int, headings: tuple[str, ...] = ()) -> Place:
    return Place(start_line=lines.line_of(start), end_line=lines.line_of(max(end - 1, start)), headings=headings)


def _sections(text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Where sections begin and end, and the headings above them, their own included."""
    above: list[tuple[int, str]] = []
    start = 0
    for index, level, title in _headings(text):
        if index > start:
            yield start, index, tuple(heading for _, heading in above)
        start = index
        above = [(other, heading) for other, heading in above if other < level]
        if title:
            above.append((level, title))
    yield start, len(text), tuple(heading for _, heading in above)


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Index, level and title of each heading that does not stand in a block of code."""
    fence = ""
    before: tuple[int, str] | None = None
    for index, line in lines_of(text):
        bare = line.rstrip("\r\n")
        mark = _FENCE.match(bare)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) and not bare.strip(" `~") else fence
            continue
        if mark:
            fence, before = mark[1], None
        elif heading := _ATX.match(bare):
            yield index, len(heading[1]), _title(heading[2] or "")
            before = None
        elif before is not None and (rule := _SETEXT.match(bare)):
            yield before[0], 1 if rule[1][0] == "=" else 2, before[1]
            before = None
        else:
            # Only a paragraph of one line is taken for a heading that is underlined; a list or a table is none.
            before = None if _NO_PARAGRAPH.match(bare) else (index, bare.strip())


def _title(text: str) -> str:
    """The words of a heading, without the signs that may close it."""
    title = text.strip(" \t")
    bare = title.rstrip("#")
    return bare.rstrip(" \t") if not bare or bare[-1] in " \t" else title


# RTF

_RTF_LEFT_OUT: Final = (
    (re.compile(r"\\(?:header|footer)[lrf]?\b"), "Headers and footers were not read."),
    (re.compile(r"\\(?:footnote|annotation)\b"), "Footnotes and comments were not read."),
    (re.compile(r"\\(?:pict|object)\b"), "Pictures and embedded files were not read."),
)


def read_rtf(data: bytes, found: Collector) -> Skipped | None:
    """Reads RTF as one part, in a worker.

    Args:
        data: Its bytes.
        found: Where its text is collected.

    Returns:
        None, for it is read.

    Raises:
        ImportError: striprtf is not installed.
        Exception: The file is damaged.
    """
    from striprtf.striprtf import rtf_to_text  # noqa: PLC0415  # An extra.

    source = data.decode("latin-1")  # What is not ASCII is escaped, or in the code page that the file names.
    with found.bounded():
        found.add(str(rtf_to_text(source, errors="replace")), Place())  # type: ignore[no-untyped-call]
        for pattern, what in _RTF_LEFT_OUT:
            if pattern.search(source):
                found.leave_out(what)
    return None
