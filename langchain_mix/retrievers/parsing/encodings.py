"""Bytes decoded to text: byte order marks, declarations, UTF-8, and a guess where a file says nothing.

The order is that of WHATWG HTML §13.2.3.2 and XML 1.0 appendix F: a byte order mark wins; then what the file declares;
then UTF-8, which other encodings hardly ever form by chance; last the guess, which is reported as one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from unicodedata import category

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # Before UTF-16, whose mark it begins with.
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE: Final = 64 * 1024
"""Bytes that say whether a file is text at all."""

_DECLARED_WITHIN: Final = 4096
"""Bytes in which declarations are looked for. HTML says 1,024; templates and licences in comments precede some."""

_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_MANY_CONTROLS: Final = 0.02
_ASCII: Final = bytes(range(128))
_SPACES: Final = " \t\n\u3000\u3001\u3002\uff0c"
_FEW_SPACES: Final = 0.01
"""The least share of them in a text; scripts without spaces have full stops and ends of lines."""
_NO_TEXT: Final = frozenset({"Cc", "Cn", "Co", "Cs"})
"""Categories of Unicode: controls, what is not assigned, private use, halves of characters."""
_LINE_SIGNS: Final = "\t\n\v\f\r\x1b"
_FALLBACK: Final = "cp1252"
_LINES_NAMED: Final = 5
"""Lines with bad bytes that are named in the report."""

# Declarations

_XML: Final = re.compile(rb"\s*<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._:-]+)[\"']")
_EBCDIC_XML: Final = b"\x4c\x6f\xa7\x94"
"""`<?xm` in EBCDIC (XML 1.0 appendix F.1)."""
_CSS: Final = re.compile(rb'@charset "([^"\r\n]{1,64})";')
_CODING: Final = re.compile(rb"^[ \t\f]*(?:#|//|;|%|--|/\*|\"|<!--|\.\\\").*?coding[:=][ \t]*([-\w.]+)")
"""PEP 263, with the signs that begin comments in other languages: Emacs and Vim read such a line in all of them."""
_MARKUP: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!--|!doctype\s+html|(?:html|head|meta|title|body)\b)", re.IGNORECASE
)
_COMMENT: Final = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META: Final = re.compile(rb"<meta(?=[\s/])((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(rb"([^\s=/>\"']+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+)))?")
_CHARSET: Final = re.compile(rb"charset\s*=\s*[\"']?\s*([^\s;\"'>\\]+)", re.IGNORECASE)
_HEADERS: Final = re.compile(rb"(?:[A-Za-z][\w-]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n)+\r?\n")
"""Header lines of mail and their end; continued lines begin with a space (RFC 5322 §2.2.3)."""
_GETTEXT: Final = re.compile(rb"^msgid\s+\"\"\s*\r?\nmsgstr\s+\"\"", re.MULTILINE)
_CONTENT_TYPE: Final = re.compile(rb"Content-Type:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE)

_MARKUP_NAMES: Final = (".html", ".htm", ".xhtml", ".shtml")
_PROSE_NAMES: Final = (".md", ".markdown", ".rst", ".csv", ".tsv", ".json", ".jsonl")
"""Formats without comments of code: a line that looks like a declaration is an example there."""

_WEB: Final = {
    **dict.fromkeys(("ascii", "iso8859-1"), "cp1252"),
    "iso8859-9": "cp1254",
    **dict.fromkeys(("iso8859-11", "tis-620"), "cp874"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "ms_kanji"), "cp932"),
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    # A file whose declaration can be read in ASCII is in neither (WHATWG HTML §13.2.3.2).
    **dict.fromkeys(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"), "utf-8"),
}
"""Encodings that are read as another which has all of their characters and more (WHATWG Encoding §4.2)."""
_LABELS: Final = {
    "x-user-defined": "cp1252",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "x-gbk": "gb18030",
    "x-x-big5": "big5hkscs",
    "x-euc-jp": "euc_jp",
    "x-mac-roman": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-ukrainian": "mac_cyrillic",
    "koi8-ru": "koi8_u",
    "koi8": "koi8_r",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "dos-874": "cp874",
    "unicode-1-1-utf-8": "utf-8",
    "x-unicode20utf8": "utf-8",
    "ks_c_5601-1989": "cp949",
    "iso-ir-149": "cp949",
    "windows-949": "cp949",
    "utf8mb4": "utf-8",
    "latin9": "iso8859-15",
    "ansinew": "cp1252",
    "binary": "",
}
"""Labels that Python does not know."""
_NO_CHARSET: Final = frozenset(
    {"idna", "punycode", "unicode_escape", "raw-unicode-escape", "undefined", "mbcs", "oem", "utf-7", "unicode-escape"}
)
"""Codecs of Python that no file is written in."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Bytes as text without a byte order mark, and Python's name of the encoding.

    `problem` says in a sentence what is uncertain about it; it is empty if nothing is.
    """

    text: str
    encoding: str
    problem: str = ""


def decode(data: bytes, name: str = "") -> Decoded | None:
    """Decodes all bytes of a file; None if this is no text in any encoding.

    The extension of its name decides which declarations it can have.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _loosely(data[len(mark) :], encoding)
    if data.startswith(_EBCDIC_XML):
        found = _strictly(data, declared_encoding(data[:_DECLARED_WITHIN].decode("cp037").encode()) or "cp037")
        if found is not None:
            return found
    if b"\0" in data[:_SAMPLE]:
        return _wide(data)  # Before UTF-8: ASCII in UTF-16 is valid UTF-8 as well.
    if not reads_as_text(data):
        return None
    declared = declared_encoding(data, name)
    return _as_declared(data, declared) if declared else _undeclared(data)


def codec_of(data: bytes, name: str = "") -> str:
    """Returns Python's codec for the bytes, their byte order mark included; `utf-8` for what is no text."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    found = decode(data, name)
    if found is None:
        return "utf-8"
    marked = any(data.startswith(mark) for mark, _ in _MARKS)
    return found.encoding.rpartition("-")[0] if marked else found.encoding


# Declarations


def declared_encoding(data: bytes, name: str = "") -> str:
    """Returns the codec of the encoding that a file declares in its own words; empty if it declares none."""
    return next(
        (codec for label in _labels(data[:_DECLARED_WITHIN], name.lower()) if (codec := codec_named(label))), ""
    )


def codec_named(label: str) -> str:
    """Returns the codec for a label that a file declares, by the rules of the web; empty if there is none."""
    label = label.strip().lower()
    label = _LABELS.get(label, label)
    if label.endswith(("-unix", "-dos", "-mac")):  # Emacs writes the kind of line ends behind the name.
        label = label.rpartition("-")[0]
    try:
        codec = codecs.lookup(label).name
        b"".decode(codec)  # Refuses what is no encoding of text, such as base64.
    except (LookupError, ValueError, UnicodeError):
        return ""
    return "" if codec in _NO_CHARSET else _WEB.get(codec, codec)


def _labels(head: bytes, name: str) -> Iterator[str]:
    """Returns the labels that are declared, in the order in which they are believed."""
    for pattern in (_XML, _CSS):
        if found := pattern.match(head):
            yield _label(found[1])
    if name.endswith(_MARKUP_NAMES) or _MARKUP.match(head):
        yield from _in_meta(head)
    if _GETTEXT.search(head) or name.endswith((".po", ".pot")):
        yield from _in_content_type(head)
    if headers := _HEADERS.match(head):
        yield from _in_content_type(headers[0])
    if not name.endswith(_PROSE_NAMES):
        for line in head.splitlines()[:2]:
            if found := _CODING.match(line):
                yield _label(found[1])


def _in_meta(head: bytes) -> Iterator[str]:
    for found in _META.finditer(_COMMENT.sub(b"", head)):
        attributes = {a[1].lower(): a[2] or a[3] or a[4] or b"" for a in reversed([*_ATTRIBUTE.finditer(found[1])])}
        if b"charset" in attributes:
            yield _label(attributes[b"charset"])
        elif attributes.get(b"http-equiv", b"").strip().lower() == b"content-type":
            charset = _CHARSET.search(attributes.get(b"content", b""))
            yield _label(charset[1]) if charset else ""


def _in_content_type(head: bytes) -> Iterator[str]:
    for header in _CONTENT_TYPE.finditer(head):
        if charset := _CHARSET.search(header[0]):
            yield _label(charset[1])


def _label(raw: bytes) -> str:
    return raw.decode("ascii", "replace")


def _as_declared(data: bytes, codec: str) -> Decoded:
    """Decodes with what is declared, unless the bytes themselves refute it."""
    if codec == "utf-8":
        return _strictly(data, codec) or _mostly_utf_8(data) or _refuted(data, codec)
    found = _strictly(data, codec)
    # Bytes that form UTF-8 throughout were never written in an encoding of one byte for each character.
    single = found is not None and len(found.text) == len(data)
    if (single or found is None) and not data.isascii() and (unicode := _strictly(data, "utf-8")) is not None:
        return Decoded(unicode.text, "utf-8", f"It declares {codec}, but its bytes are UTF-8; it was read as that.")
    if found is not None:
        return found
    loose = _loosely(data, codec)
    bad = loose.text.count("\ufffd")
    return loose if bad * 2 <= len(data.translate(None, _ASCII)) else _refuted(data, codec)


def _refuted(data: bytes, codec: str) -> Decoded:
    found = _undeclared(data)
    return Decoded(found.text, found.encoding, f"It declares {codec}, which it is not in. {found.problem}".rstrip())


# Unicode


def _strictly(data: bytes, encoding: str) -> Decoded | None:
    try:
        text = data.decode(encoding)
    except (UnicodeError, LookupError):
        return None
    return Decoded(text, encoding)


def _loosely(data: bytes, encoding: str) -> Decoded:
    """Decodes what can be, and reports what cannot."""
    if (found := _strictly(data, encoding)) is not None:
        return found
    if encoding == "utf-8":
        return _with_bad_bytes(data)
    text = data.decode(encoding, errors="replace")
    count = text.count("\ufffd")
    where = _named_lines(text, "\ufffd")
    return Decoded(text, encoding, f"{count} characters ({where}) could not be decoded as {encoding}; {_SHOWN}.")


_SHOWN: Final = "they show as U+FFFD"
_ESCAPED_BYTE: Final = re.compile("[\udc80-\udcff]")


def _with_bad_bytes(data: bytes) -> Decoded:
    count = len(data) - len(data.decode("utf-8", "ignore").encode())
    where = _named_lines(data.decode("utf-8", "surrogateescape"), _ESCAPED_BYTE.pattern)
    what = "1 byte" if count == 1 else f"{count} bytes"
    problem = f"{what} ({where}) could not be decoded as utf-8; {_SHOWN}."
    return Decoded(data.decode("utf-8", "replace"), "utf-8", problem)


def _named_lines(text: str, pattern: str) -> str:
    """Names the first lines that have a match."""
    lines: list[int] = []
    line, index = 1, 0
    for found in re.finditer(pattern, text):
        line += text.count("\n", index, found.start())
        index = found.start()
        if not lines or lines[-1] != line:
            lines.append(line)
        if len(lines) > _LINES_NAMED:
            break
    named = ", ".join(map(str, lines[:_LINES_NAMED]))
    return f"line{'s' if len(lines) > 1 else ''} {named}{' and more' if len(lines) > _LINES_NAMED else ''}"


def _mostly_utf_8(data: bytes) -> Decoded | None:
    """UTF-8 in which a few bytes are bad: most of what is not ASCII forms whole characters, or only the end is cut."""
    good = data.decode("utf-8", "ignore").encode()
    bad = len(data) - len(good)
    whole = len(good.translate(None, _ASCII))
    if whole and bad * 2 <= whole:
        return _with_bad_bytes(data)
    cut_at_end = 1 < bad < 4 and not whole and data[: len(data) - bad].isascii()  # noqa: PLR2004  # The longest has 4.
    return _with_bad_bytes(data) if cut_at_end and _is_begun(data[-bad:]) else None


def _is_begun(tail: bytes) -> bool:
    """True when the last bytes begin a character of UTF-8 that was cut off."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(tail)
    except UnicodeDecodeError:
        return False
    return bool(decoder.getstate()[0])


def reads_as_text(data: bytes) -> bool:
    """Returns whether bytes have what texts have: no NUL, and hardly any controls but those of lines."""
    sample = data[:_SAMPLE]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return b"\0" not in data and controls <= len(sample) * _MANY_CONTROLS


def _wide(data: bytes) -> Decoded | None:
    """UTF-16 or UTF-32 without a mark: only in the right order of bytes does it have spaces and ends of lines."""
    best, share = None, _FEW_SPACES
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        found = _strictly(data, encoding)
        if found is None or not _is_legible(sample := found.text[:_SAMPLE]):
            continue
        spaces = sum(map(sample.count, _SPACES)) / len(sample)
        ascii_only = sample.isascii()  # One word alone has no spaces.
        if ascii_only or spaces >= share:
            best, share = found, 1.0 if ascii_only else spaces
    return best


def _is_legible(text: str) -> bool:
    """True when all characters are some that texts have, which noise has not for long."""
    return not any(category(character) in _NO_TEXT and character not in _LINE_SIGNS for character in set(text))


# Guesses

_SHIFTED: Final = re.compile(rb"\x1b\$(?:[@BAD(]|\)C)")
_WORD: Final = re.compile(r"[^\W\d_]+(?:[^\s!-~\u2010-\u201f\u2026\ufffd]+[^\W\d_]+)*")
"""Letters, and signs that are no punctuation in between: what a letter looks like in the wrong encoding."""
_LATIN: Final = re.compile(r"[A-Za-z]")
_FOREIGN: Final = re.compile(r"[^\x00-\u024f\u0300-\u036f\u1e00-\u1eff\u2000-\u22ff]")
_SIGN_IN_WORD: Final = re.compile(
    r"(?<=[^\W\d_])[^\w\s\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0e31-\u0e4e\xad\xb7\u00b4\u3000-\u30ff\uff00-\uffef](?=[^\W\d_])"
)
_NO_SIGN_OF_TEXT: Final = re.compile(
    r"[\x80-\x9f\xa4]|[\xbc-\xbe](?=[^\W\d_])|(?<!\S)[\u201e\xa2-\xa4](?=[^\W\d_]+\s)|[\u2500-\u259f](?=[^\W\d_])"
)
"""Controls, the general sign of currency, fractions before letters, quotation marks that nothing closes."""
_RARE: Final = 0.6
_RARE_AND_SCARCE: Final = 0.1
_PRIORS: Final = {"cp1252": 1.25, "iso8859-15": 1.2} | dict.fromkeys(
    ("cp1250", "iso8859-2", "cp1251", "koi8-r", "koi8-u", "iso8859-5", "cp866", "cp1253", "iso8859-7", "cp1254",
     "cp1255", "iso8859-8", "cp1256", "iso8859-6", "cp1257", "iso8859-13", "cp1258", "cp874", "cp932", "euc_jp",
     "gb18030", "big5hkscs", "cp949"),
    1.0,
)  # fmt: skip
"""The frequency of encodings, where all else is equal; those that are not named count `_RARE`."""
_FEW_LETTERS: Final = 6
"""With fewer letters that are not ASCII there is little to go by, and what is met often counts more."""
_LOOKED_AT: Final = 16 * 1024
"""Bytes that the guess is made from; more make it no better."""


def _undeclared(data: bytes) -> Decoded:
    if data.isascii():
        shifted = _SHIFTED.search(data)
        found = _strictly(data, "iso2022_kr" if shifted[0].endswith(b")C") else "iso2022_jp_2") if shifted else None
        return found or Decoded(data.decode("ascii"), "utf-8")
    return _strictly(data, "utf-8") or _mostly_utf_8(data) or _guessed(data)


def _guessed(data: bytes) -> Decoded:
    """Legacy encodings look alike; the guess is reported as one."""
    for encoding in (*_candidates(_sample(data)), _FALLBACK):
        if (found := _strictly(data, encoding)) is not None:
            note = f"The file does not declare its encoding; it was read as {encoding}."
            return Decoded(found.text, encoding, note)
    return _loosely(data, _FALLBACK)


def _candidates(sample: bytes) -> list[str]:
    """Returns encodings, the likeliest first: the library's opinion, weighed by how the text would look."""
    from chardet import detect_all  # noqa: PLC0415  # Takes long to load, and few files need it.

    weighed: dict[str, float] = {}
    scarce = len(sample.translate(None, _ASCII)) < _FEW_LETTERS
    for guess in detect_all(sample, ignore_threshold=True, compat_names=False):
        codec = codec_named(guess["encoding"] or "")
        if not codec or codec.startswith("utf-"):  # Without a NUL byte it is no UTF-16, and UTF-8 was refuted.
            continue
        if (found := _strictly(sample, codec)) is None:
            continue
        prior = _PRIORS.get(codec, _RARE_AND_SCARCE if scarce else _RARE)
        weight = guess["confidence"] * prior * _plausibility(found.text)
        weighed[codec] = max(weighed.get(codec, 0.0), weight)
    return sorted(weighed, key=lambda codec: -weighed[codec])


def _plausibility(text: str) -> float:
    """Returns how much a text looks like one, from 0 to 1: words are in one script, and capitals begin them."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    bad = sum(map(_is_odd, words)) + 3 * len(_NO_SIGN_OF_TEXT.findall(text))
    return 1 - min(bad / max(len(words), 1), 0.98)


def _is_odd(word: str) -> bool:
    if _LATIN.search(word) and _FOREIGN.search(word):
        return True
    capital_within = any(a.islower() and b.isupper() and not b.isascii() for a, b in pairwise(word))
    return capital_within or bool(_SIGN_IN_WORD.search(word))


def _sample(data: bytes) -> bytes:
    """Returns the lines that are not ASCII, as many as are looked at; a line without end is cut."""
    lines: list[bytes] = []
    size = 0
    for found in _BEYOND_ASCII.finditer(data):
        piece = found[0] if len(found[0]) <= _LOOKED_AT else _around_letters(found[0])
        lines.append(piece)
        size += len(piece)
        if size >= _LOOKED_AT:
            break
    return b"\n".join(lines)


_BEYOND_ASCII: Final = re.compile(rb"[^\n\x80-\xff]*+[\x80-\xff][^\n]*+")


def _around_letters(line: bytes) -> bytes:
    """A part of a long line that has the most of it; it begins behind an ASCII byte, so that no character is cut."""
    first = re.search(rb"[\x80-\xff]", line)
    start = max((first.start() if first else 0) - _LOOKED_AT // 2, 0)
    piece = line[start : start + _LOOKED_AT]
    cut = max(piece.rfind(b" "), piece.rfind(b">"), piece.rfind(b","))
    return piece[:cut] if cut > len(piece) // 2 else piece
