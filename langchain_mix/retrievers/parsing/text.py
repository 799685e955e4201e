"""Files that are text: what kind a file is, and how plain text, code, Markdown and tables are read.

Owns: signatures, extensions, where rows begin and end. Refuses to know: encodings.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from itertools import islice
from typing import Final, NamedTuple
from zipfile import BadZipFile, ZipFile

from langchain_mix.retrievers.parsing.encodings import reads_as_text
from langchain_mix.retrievers.parsing.markup import looks_like_mail
from langchain_mix.retrievers.parsing.parsed import (
    GROUP_CHARS,
    Collector,
    Kind,
    Limits,
    LineIndex,
    Parsed,
    Place,
    Skipped,
    TextFile,
    lines_of,
    may_be_escaped,
)

_SIGNATURES: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF87a", "image"),
    (b"GIF89a", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
    (b"8BPS", "image"),
    (b"\0\0\1\0", "image"),
    (b"ID3", "audio"),
    (b"fLaC", "audio"),
    (b"OggS", "audio"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"FLV\1", "video"),
    (b"\0\0\1\xba", "video"),
    (b"\0\0\1\xb3", "video"),
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ\0", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"Rar!\x1a\x07", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"\x7fELF", "binary"),
    (b"SQLite format 3\0", "binary"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "binary"),
)
_RIFF: Final[Mapping[bytes, Kind]] = {b"WEBP": "image", b"WAVE": "audio", b"AVI ": "video"}
_FTYP: Final[Mapping[bytes, Kind]] = {b"M4A ": "audio", b"M4B ": "audio", b"avif": "image", b"heic": "image"}
_OFFICE: Final[tuple[tuple[str, Kind], ...]] = (("word/", "word"), ("xl/", "excel"), ("ppt/", "powerpoint"))
_PDF: Final = re.compile(rb"[\0\s]*%PDF-[0-9]")
_PDF_OBJECT: Final = re.compile(rb"\d\s+\d+\s+obj\b|\bstartxref\b")
_BEFORE_PDF: Final = 1024
"""Readers of PDF find its signature within so many bytes; only a name that says PDF is believed that much."""

_HTML: Final = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).){0,2000}-->\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)

EXTENSIONS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("md", "markdown", "mdown", "mkd", "mdx", "qmd", "rmd"), "markdown"),
    **dict.fromkeys(("csv", "tsv", "tab", "psv"), "csv"),
    **dict.fromkeys(("json", "geojson", "webmanifest", "har", "jsonld"), "json"),
    **dict.fromkeys(("jsonl", "ndjson"), "jsonl"),
    **dict.fromkeys(("html", "htm", "xhtml"), "html"),
    "ipynb": "notebook",
    **dict.fromkeys(("eml", "mht", "mhtml"), "mail"),
    "rtf": "rtf",
    "epub": "epub",
    **dict.fromkeys(("odt", "ods", "odp", "ott"), "opendocument"),
    "pdf": "pdf",
    **dict.fromkeys(("docx", "docm", "dotx"), "word"),
    **dict.fromkeys(("xlsx", "xlsm", "xltx"), "excel"),
    **dict.fromkeys(("pptx", "pptm", "ppsx"), "powerpoint"),
    **dict.fromkeys(("png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "heic", "avif", "ico"), "image"),
    **dict.fromkeys(("mp3", "wav", "flac", "ogg", "m4a", "aac", "opus"), "audio"),
    **dict.fromkeys(("mp4", "mov", "avi", "mkv", "webm", "mpg", "mpeg", "wmv"), "video"),
    **dict.fromkeys(("zip", "gz", "tgz", "bz2", "xz", "7z", "rar", "tar", "zst"), "archive"),
}  # fmt: skip
"""The kinds that extensions promise."""

LANGUAGES: Final[Mapping[str, str | None]] = {
    "py": "python", "pyi": "python", "js": "js", "mjs": "js", "cjs": "js", "jsx": "js", "ts": "ts", "tsx": "ts",
    "java": "java", "kt": "kotlin", "kts": "kotlin", "c": "c", "h": "c", "cc": "cpp", "cpp": "cpp", "cxx": "cpp",
    "hpp": "cpp", "cs": "csharp", "go": "go", "rs": "rust", "rb": "ruby", "php": "php", "swift": "swift",
    "scala": "scala", "lua": "lua", "hs": "haskell", "ex": "elixir", "exs": "elixir", "ps1": "powershell",
    "sol": "sol", "proto": "proto", "tex": "latex", "rst": "rst", "r": "r", "pl": "perl", "cbl": "cobol",
    **dict.fromkeys(
        ("sh", "bash", "zsh", "sql", "css", "scss", "less", "vue", "svelte", "toml", "yaml", "yml", "ini", "cfg",
         "xml", "svg", "dart", "m", "jl", "clj", "erl", "fs", "vb", "asm", "s", "cmake", "gradle", "tf", "graphql")
    ),
}  # fmt: skip
"""Extensions of code, each with its name in langchain-text-splitters, None if that does not know it."""

_MAIL: Final = frozenset({"eml", "mht", "mhtml"})
_BINARY_ONLY: Final = frozenset(
    {"pdf", "word", "excel", "powerpoint", "opendocument", "epub", "rtf", "mail", "image", "audio", "video", "archive"}
)


def extension_of(name: str) -> str:
    """The extension of a file's name, in lower case and without its dot; empty if there is none."""
    last = name.rpartition("/")[2]
    stem, dot, extension = last.rpartition(".")
    return extension.lower() if dot and stem else ""


def promised(name: str) -> Kind | None:
    """Returns the kind that a file's name promises; None if none."""
    extension = extension_of(name)
    return EXTENSIONS.get(extension) or ("code" if extension in LANGUAGES else None)


def binary_kind(name: str, data: bytes) -> Kind | None:
    """Returns the kind of a file by its signature; None if no signature is known, as with all text.

    A text may begin like one: `ID3 is a decision tree`, `%PDF- is the signature of`. It is a text if it reads as one.
    The name decides only where signatures are weak.
    """
    if extension_of(name) == "pdf" and b"%PDF-" in data[:_BEFORE_PDF]:
        return "pdf"
    if _PDF.match(data[:64]) and (_PDF_OBJECT.search(data) or not reads_as_text(data)):
        return "pdf"
    if data.startswith(b"{\\rtf"):
        return "rtf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")) and not reads_as_text(data):
        return _zip_kind(data)
    if extension_of(name) in _MAIL or (promised(name) is None and looks_like_mail(data)):
        return "mail"
    signed: Kind | None = next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), None)
    signed = signed or _container_kind(data)
    return None if signed is not None and reads_as_text(data) else signed


def _container_kind(data: bytes) -> Kind | None:
    """Formats whose signature is not at the very beginning, or is short."""
    if data.startswith(b"RIFF"):
        return _RIFF.get(data[8:12], "binary")
    if data[4:8] == b"ftyp":
        return _FTYP.get(data[8:12], "video")
    if data.startswith(b"BM") and data[6:10] == b"\0\0\0\0":
        return "image"
    is_mp3 = len(data) > 2 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2  # noqa: PLR2004  # The header of a frame.
    return "audio" if is_mp3 else None


def text_kind(name: str, text: str) -> Kind:
    """Returns the kind of a text by its name and its beginning.

    A page of HTML is one whatever its name says, unless that says code.
    """
    kind = promised(name)
    if kind == "code":
        return kind
    if _HTML.match(text[:4096]):
        return "html"
    return "text" if kind is None or kind in _BINARY_ONLY else kind


def _zip_kind(data: bytes) -> Kind:
    try:
        with ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
            # OpenDocument and EPUB name themselves in their first member.
            media_type = archive.open("mimetype").read(100) if "mimetype" in names else b""
    except (BadZipFile, ValueError, NotImplementedError, OSError, OverflowError, RuntimeError, EOFError, zlib.error):
        # The list of contents is at the end of the file, and is missing in what was cut off.
        return "archive"
    if media_type.startswith(b"application/epub"):
        return "epub"
    if media_type.startswith(b"application/vnd.oasis.opendocument"):
        return "opendocument"
    for prefix, kind in _OFFICE:
        if any(name.startswith(prefix) for name in names):
            return kind
    return "archive"


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


def read_as_text(source: TextFile, limits: Limits, kind: Kind, problem: str) -> Parsed | Skipped:
    """Reads what is no file of its kind as one part, and reports the problem that shows it."""
    return read_text(replace(source, problems=(*source.problems, f"{problem}; it was read as text.")), limits, kind)


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
    """Yields the begin and end of sections, and the headings above them, their own included."""
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
    """Index, level and title of each heading outside blocks of code."""
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


_DELIMITERS: Final = (",", ";", "\t", "|")
_BY_EXTENSION: Final = {"tsv": "\t", "tab": "\t", "psv": "|"}
_LOOKED_AT: Final = 20
_LONGEST_HEADER: Final = 2000


class _Row(NamedTuple):
    """The span of a row of a table, or of several rows in a group."""

    start: int
    end: int
    first_line: int
    last_line: int
    first_row: int
    last_row: int


def read_csv(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads a table, a part for each group of rows.

    The first row is the header, and the context of all parts but the first, which has it in its text.
    """
    found = Collector(limits, source)
    delimiter = _BY_EXTENSION.get(extension_of(source.name)) or _delimiter_of(found.text)
    with found.bounded():
        try:
            _collect(found, _rows(found, delimiter), header=True)
        except csv.Error as problem:
            return read_as_text(source, limits, "csv", f"It is no table that can be read ({problem})")
    return found.parsed("csv")


def read_json_lines(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads records of which each has a line of its own, a part for each group of them."""
    found = Collector(limits, source)
    lines = enumerate(lines_of(found.text), 1)
    with found.bounded():
        rows = (_Row(start, start + len(line), number, number, number, number) for number, (start, line) in lines)
        _collect(found, rows, header=False)
    return replace(found.parsed("jsonl"), escaped=may_be_escaped(found.text))


def _collect(found: Collector, rows: Iterable[_Row], *, header: bool) -> None:
    """Adds rows, neighbours together up to `GROUP_CHARS`. None but those of one group are held."""
    head = ""
    group: _Row | None = None
    for row in rows:
        if header and row.first_row == 1:
            head = found.text[row.start : row.end].rstrip("\r\n")
        if group is not None and row.end - group.start <= GROUP_CHARS:
            group = group._replace(end=row.end, last_line=row.last_line, last_row=row.last_row)
            continue
        if group is not None:
            _add(found, group, head)
        group = row
    if group is not None:
        _add(found, group, head)


def _add(found: Collector, rows: _Row, head: str) -> None:
    place = Place(start_line=rows.first_line, end_line=rows.last_line, start_row=rows.first_row, end_row=rows.last_row)
    found.span(rows.start, rows.end, place, head if rows.first_row > 1 and len(head) <= _LONGEST_HEADER else "")


def _rows(found: Collector, delimiter: str) -> Iterator[_Row]:
    """The rows of a table; one may have several lines if a field is quoted."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for start, line in lines_of(found.text):
            end = start + len(line)
            yield line

    begin, line = 0, 0
    reader = csv.reader(lines(), delimiter=delimiter)  # Takes a line only when it needs one.
    for number, _ in enumerate(reader, 1):
        if number % 1000 == 0:
            found.check_time()
        yield _Row(begin, end, line + 1, reader.line_num, number, number)
        begin, line = end, reader.line_num


def _delimiter_of(text: str) -> str:
    """The delimiter under which the first rows have the same number of columns, the more the better."""
    lines = [line for _, line in islice(lines_of(text), _LOOKED_AT)]
    return max(_DELIMITERS, key=lambda delimiter: _columns(lines, delimiter))


def _columns(lines: Iterable[str], delimiter: str) -> tuple[bool, int]:
    try:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return False, 0
    alike = bool(counts) and counts[0] > 1 and all(count == counts[0] for count in counts[:-1])
    return alike, counts[0] if counts else 0
