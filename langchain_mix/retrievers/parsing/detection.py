"""What a file is.

Owns: signatures, extensions, and which of them is believed: content first, names second.
Refuses to know: how formats are read.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Final
from zipfile import BadZipFile, ZipFile

from langchain_mix.retrievers.parsing.encodings import reads_as_text
from langchain_mix.retrievers.parsing.mail import looks_like_mail
from langchain_mix.retrievers.parsing.parts import Kind

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
"""What extensions promise."""

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
    """What a file's name promises; None if nothing."""
    extension = extension_of(name)
    return EXTENSIONS.get(extension) or ("code" if extension in LANGUAGES else None)


def binary_kind(name: str, data: bytes) -> Kind | None:
    """What a file is by its signature.

    A text may begin like one: `ID3 is a decision tree`, `%PDF- is the signature of`. It is a text if it reads as one.

    Args:
        name: Its name, which decides only where signatures are weak.
        data: Its bytes.

    Returns:
        The kind; None if no signature is known, as with all text.
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
    """Formats whose signature does not stand at the very beginning, or is short."""
    if data.startswith(b"RIFF"):
        return _RIFF.get(data[8:12], "binary")
    if data[4:8] == b"ftyp":
        return _FTYP.get(data[8:12], "video")
    if data.startswith(b"BM") and data[6:10] == b"\0\0\0\0":
        return "image"
    is_mp3 = len(data) > 2 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2  # noqa: PLR2004  # The header of a frame.
    return "audio" if is_mp3 else None


def text_kind(name: str, text: str) -> Kind:
    """What a text is.

    Args:
        name: The file's name.
        text: The beginning of its text is enough.

    Returns:
        The kind. A page of HTML is one whatever its name says, unless that says code.
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
        # The list of contents stands at the end of the file, and is missing in what was cut off.
        return "archive"
    if media_type.startswith(b"application/epub"):
        return "epub"
    if media_type.startswith(b"application/vnd.oasis.opendocument"):
        return "opendocument"
    for prefix, kind in _OFFICE:
        if any(name.startswith(prefix) for name in names):
            return kind
    return "archive"
