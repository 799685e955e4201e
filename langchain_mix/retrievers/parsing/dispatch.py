"""One file read: by its content first, and never failing on it.

Owns: which reader a file gets, and what becomes of failures. Refuses to know: formats (the other modules).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from langchain_mix.retrievers.parsing.encodings import decode
from langchain_mix.retrievers.parsing.json_values import read_json, read_notebook
from langchain_mix.retrievers.parsing.markup import read_html, read_mail
from langchain_mix.retrievers.parsing.office import read_excel, read_powerpoint, read_word
from langchain_mix.retrievers.parsing.packages import check_archive
from langchain_mix.retrievers.parsing.parsed import Kind, Limits, Parsed, Skipped, TextFile
from langchain_mix.retrievers.parsing.text import (
    binary_kind,
    extension_of,
    promised,
    read_csv,
    read_json_lines,
    read_markdown,
    read_text,
    text_kind,
)
from langchain_mix.retrievers.parsing.worker import read_apart

_TEXTS: Final[Mapping[Kind, Callable[[TextFile, Limits], Parsed | Skipped]]] = {
    "text": read_text,
    "markdown": read_markdown,
    "code": partial(read_text, kind="code"),
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_json_lines,
    "html": read_html,
    "notebook": read_notebook,
}
_DOCUMENTS: Final[Mapping[Kind, Callable[[bytes, Limits], Parsed | Skipped]]] = {
    "pdf": lambda data, limits: read_apart("pdf", data, limits),
    "rtf": lambda data, limits: read_apart("rtf", data, limits),
    "word": read_word,
    "excel": read_excel,
    "powerpoint": read_powerpoint,
    "mail": read_mail,
}
_ARCHIVES: Final = frozenset({"word", "excel", "powerpoint"})
_EXTRA: Final = 'needs a parser that is not installed: pip install "langchain-mix[files]"'
_NOT_TEXT: Final[Mapping[Kind, str]] = {
    "image": "is an image, which has no text",
    "audio": "is audio, which has no text",
    "video": "is a video, which has no text",
    "archive": "is an archive; its files are not looked at",
    "binary": "is no text",
    "epub": "is an EPUB book, which is not read; convert it to .html or .pdf",
    "opendocument": "is an OpenDocument file, which is not read; save it as .docx, .xlsx or .pptx",
}
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE: Final = "EncryptedPackage".encode("utf-16-le")


def parse(name: str, data: bytes, limits: Limits) -> Parsed | Skipped:
    """Reads a file: its text and parts, or why there are none. Whatever is in it, this ends and raises nothing.

    The name counts only where the content does not show what the file is.
    """
    if len(data) > limits.max_file_bytes:
        return Skipped(f"has {len(data)} bytes; at most {limits.max_file_bytes} are read (`max_file_bytes`)")
    if not data.strip(b"\0 \t\r\n\f\v"):
        return Skipped("is empty", "empty")
    kind = _kind_of(name, data)
    if kind is None:
        return _guarded(lambda: _text(name, data, limits), promised(name))
    if kind in _DOCUMENTS:
        return _guarded(lambda: _document(kind, data, limits), kind)
    return _not_text(kind, data)


def _kind_of(name: str, data: bytes) -> Kind | None:
    kind = binary_kind(name, data)
    expected = promised(name)
    # The list of contents of an archive is lost if its end is; its name then shows what it was.
    return expected if kind == "archive" and expected in _ARCHIVES else kind


def _document(kind: Kind, data: bytes, limits: Limits) -> Parsed | Skipped:
    if kind in _ARCHIVES and (refusal := check_archive(data, limits, kind)) is not None:
        return refusal
    found = _DOCUMENTS[kind](data, limits)
    return _without_parts(found) if isinstance(found, Parsed) and not found.parts else found


def _without_parts(found: Parsed) -> Skipped:
    """A file that ends before its text begins is cut off; only one that was read to its end has no text."""
    if found.partial:
        return Skipped(
            f"was not read, or in part only, and nothing was found in it: {' '.join(found.partial)}", found.kind
        )
    return Skipped(f"has no text: {found.problems[0]}" if found.problems else "has no text", found.kind)


def _text(name: str, data: bytes, limits: Limits) -> Parsed | Skipped:
    decoded = decode(data, name)
    expected = promised(name)
    if decoded is None:
        return _not_text(expected if expected in _NOT_TEXT and expected is not None else "binary", data)
    kind = text_kind(name, decoded.text)
    problems = [decoded.problem] if decoded.problem else []
    if expected in _DOCUMENTS or expected in _NOT_TEXT:
        problems.append(f"It is named .{extension_of(name)}, but its content is {kind}; it was read as that.")
    found = _TEXTS[kind](TextFile(name, decoded.text, decoded.encoding, tuple(problems)), limits)
    if isinstance(found, Parsed):
        if not found.parts:
            return _without_parts(found)
        return replace(found, encoding=decoded.encoding)
    return found


def _not_text(kind: Kind, data: bytes) -> Skipped:
    if data.startswith(_OLD_OFFICE):
        if _ENCRYPTED_OFFICE in data:
            return Skipped("is encrypted", kind)
        return Skipped("is a document of an old Office; save it as .docx, .xlsx or .pptx", kind)
    return Skipped(_NOT_TEXT[kind], kind)


def _guarded(read: Callable[[], Parsed | Skipped], kind: Kind | None) -> Parsed | Skipped:
    try:
        return read()
    except ImportError:
        return Skipped(_EXTRA, kind)
    except Exception as problem:  # noqa: BLE001  # Parsers raise anything on broken files; it is reported, not lost.
        return Skipped(f"is damaged ({type(problem).__name__}: {str(problem)[:200]})", kind)
