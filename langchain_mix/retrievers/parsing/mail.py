"""Mail and web archives (`.eml`, `.mhtml`): headers and bodies decoded, attachments named.

Headers are read by the standard library. Bodies are cut at their boundaries here: its parser holds every line of a body
as an object of its own, which takes many times the body's size.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import islice
from typing import Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector, TextFile
from langchain_mix.retrievers.parsing.encodings import codec_named, decode
from langchain_mix.retrievers.parsing.html_text import read_html
from langchain_mix.retrievers.parsing.parts import Parsed, Place

_SHOWN: Final = ("From", "To", "Cc", "Date", "Subject")
_END_OF_HEADERS: Final = re.compile(rb"\r?\n\r?\n|\r\r")
_LONGEST_HEADERS: Final = 1024 * 1024
_ALTERNATIVES: Final = 20
_IS_MAIL: Final = re.compile(
    rb"(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?(?:MIME-Version|Message-ID|Received):", re.IGNORECASE
)


def looks_like_mail(data: bytes) -> bool:
    """Returns whether bytes begin with headers that only mail has."""
    return bool(_IS_MAIL.match(data[:8192]))


def read_mail(data: bytes, limits: Limits) -> Parsed:
    """Reads a message: its headers are a part, and each of its bodies. Attachments are named in the report."""
    found = Collector(limits)
    with found.bounded():
        _read(data, found, 0)
    return found.parsed("mail")


def _read(data: bytes, found: Collector, depth: int) -> None:
    message, body = _split(data)
    shown = [f"{name}: {_header(value)}" for name in _SHOWN for value in message.get_all(name, [])]
    found.add("\n".join(shown), Place(part="headers"))
    _take(message, body, found, depth)


def _split(data: bytes) -> tuple[Message, bytes]:
    """Headers and body of a message or of a part of one."""
    if data.startswith((b"\n", b"\r\n")):
        return Message(), data.lstrip(b"\r\n")
    end = _END_OF_HEADERS.search(data)
    head = data[: end.start() if end else len(data)][:_LONGEST_HEADERS]
    return BytesHeaderParser().parsebytes(head), data[end.end() :] if end else b""


def _take(message: Message, body: bytes, found: Collector, depth: int) -> None:
    """Adds what a part has: its own text, or that of the parts in it."""
    found.check_time()
    if depth > found.limits.max_depth:
        found.leave_out(f"Parts nested deeper than {found.limits.max_depth} levels were not read (`max_depth`).")
        return
    kind = message.get_content_type()
    name = _file_name(message)
    boundary = message.get_boundary()
    if kind.startswith("multipart/") and boundary:
        parts = map(_split, _pieces(body, boundary.encode("ascii", "replace")))
        for part, content in _chosen([*islice(parts, _ALTERNATIVES)]) if kind == "multipart/alternative" else parts:
            _take(part, content, found, depth + 1)
    elif kind == "message/rfc822":
        _read(_decoded(message, body), found, depth + 1)
    elif message.get_content_disposition() == "attachment" or not kind.startswith("text/"):
        found.leave_out(f"The attachment {name or 'without a name'!r} ({kind}) was not read.")
    else:
        _add_text(message, _decoded(message, body), kind, found)


def _add_text(message: Message, content: bytes, kind: str, found: Collector) -> None:
    label = message.get_param("charset")
    codec = codec_named(label) if isinstance(label, str) else ""
    text = _text(content, codec, found)
    if kind == "text/html":
        page = read_html(TextFile("body.html", text, "utf-8"), found.limits)
        for part in page.parts:
            found.add(part.text, Place(headings=part.place.headings, part="body"))
        for problem in page.problems:
            found.leave_out(problem)
    else:
        found.add(text.replace("\r\n", "\n"), Place(part="body"))


def _text(content: bytes, codec: str, found: Collector) -> str:
    if codec:
        text = content.decode(codec, "replace")
        if bad := text.count("\ufffd"):
            found.problems.append(f"{bad} characters could not be decoded as {codec}; they show as U+FFFD.")
        return text
    decoded = decode(content)
    if decoded is None:
        found.leave_out("A body that is no text was not read.")
        return ""
    found.problems += [decoded.problem] if decoded.problem else []
    return decoded.text


def _chosen(parts: list[tuple[Message, bytes]]) -> list[tuple[Message, bytes]]:
    """Of alternatives the plain text, else the last, which is the best (RFC 2046 §5.1.4)."""
    plain = [part for part in parts if part[0].get_content_type() == "text/plain" and part[1].strip()]
    return plain[:1] or parts[-1:]


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """The parts between the boundaries; one that is never closed goes to the end."""
    start = -1
    for mark in re.finditer(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)", body):
        if start >= 0:
            yield body[start : mark.start()]
        start = -1 if mark[1] else mark.end()
        if mark[1]:
            return
    if start >= 0:
        yield body[start:]


def _decoded(message: Message, body: bytes) -> bytes:
    encoding = str(message.get("Content-Transfer-Encoding", "")).strip().lower()
    try:
        if encoding == "base64":
            letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
            return binascii.a2b_base64(letters[: len(letters) // 4 * 4] + _padded(letters))
        return binascii.a2b_qp(body) if encoding == "quoted-printable" else body
    except binascii.Error:
        return body


def _padded(letters: bytes) -> bytes:
    rest = letters[len(letters) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _header(value: object) -> str:
    """A header with its encoded words decoded (RFC 2047)."""
    folded = re.sub(r"\r?\n[ \t]+", " ", str(value))
    try:
        return str(make_header(decode_header(folded)))
    except (LookupError, UnicodeError, ValueError, MessageError, binascii.Error):
        return folded


def _file_name(message: Message) -> str:
    return _header(message.get_filename() or "")
