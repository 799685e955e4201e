"""HTML and mail: their text under its headings."""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Generator, Iterator
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import islice
from typing import Final, Literal, NamedTuple

from langchain_mix.retrievers.parsing.encodings import codec_named, decode
from langchain_mix.retrievers.parsing.parsed import Collector, Limits, LineIndex, Parsed, Place, TextFile

_NAME: Final = re.compile(r"[a-zA-Z][^\s/>]*")
_TAG_PART: Final = re.compile(r">|=\s*([\"'])")
_RAW: Final = frozenset({"script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp"})
_RAW_ENDS: Final = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW}


class Token(NamedTuple):
    """A piece of markup and the index at which it begins.

    `value` is the text with its entities, or the tag's name in lower case; `attributes` is the text behind that.
    """

    kind: Literal["text", "start", "end"]
    value: str
    start: int
    attributes: str = ""


def tokens_of(html: str) -> Iterator[Token]:
    """Cuts HTML, or a piece of it, into texts and tags; comments and declarations are left out.

    What the standard drops at an early end, such as a tag that is never closed, is dropped here too.
    """
    index = 0
    while index < len(html):
        mark = html.find("<", index)
        if mark != index:
            mark = len(html) if mark < 0 else mark
            yield Token("text", html[index:mark], index)
            index = mark
        elif html.startswith("<!--", index):
            index = _behind(html, "-->", index + 4)
        elif html.startswith("<![CDATA[", index) and (end := html.find("]]>", index)) > 0:
            # In XHTML, SVG and MathML this is text.
            yield Token("text", html[index + 9 : end].replace("&", "&amp;"), index)
            index = end + 3
        elif html.startswith(("<!", "<?"), index):
            index = _behind(html, ">", index + 2)
        elif name := _NAME.match(html, index + 1):
            end = _tag_end(html, name.end())
            if end:
                token = Token("start", name[0].lower(), index, html[name.end() : end - 1])
                yield token
                end = yield from _raw(html, token.value, end)
            index = end or len(html)
        elif html.startswith("</", index):
            name = _NAME.match(html, index + 2)
            end = _tag_end(html, name.end()) if name else _behind(html, ">", index + 2)
            if name and end:
                yield Token("end", name[0].lower(), index)
            index = end or len(html)
        else:
            yield Token("text", "<", index)
            index += 1


def _raw(html: str, name: str, index: int) -> Generator[Token, None, int]:
    """Reads raw text up to the end of its element. Returns the index at which to go on."""
    if name not in _RAW:
        return index
    found = _RAW_ENDS[name].search(html, index)
    end = found.start() if found else len(html)
    if end > index:
        yield Token("text", html[index:end], index)
    return end


def _tag_end(html: str, index: int) -> int:
    """Returns the end of a tag; 0 if it has none. A `>` in a quoted value ends none."""
    while part := _TAG_PART.search(html, index):
        if part[1] is None:
            return part.end()
        close = html.find(part[1], part.end())
        if close < 0:
            return 0
        index = close + 1
    return 0


def _behind(html: str, mark: str, index: int) -> int:
    found = html.find(mark, index)
    return len(html) if found < 0 else found + len(mark)


_HIDDEN: Final = frozenset({"script", "style", "template", "iframe", "noembed", "noframes"})
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "desc", "details", "dialog",
     "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "foreignobject", "form", "h1", "h2", "h3",
     "h4", "h5", "h6", "head", "header", "hgroup", "hr", "html", "legend", "li", "listing", "main", "marquee", "menu",
     "menuitem", "nav", "object", "ol", "optgroup", "option", "p", "plaintext", "pre", "rtc", "search", "section",
     "select", "summary", "table", "tbody", "text", "textarea", "tfoot", "thead", "title", "tr", "ul", "xmp"}
)  # fmt: skip
"""Elements that have lines of their own, those of SVG included."""
_APART: Final = frozenset(
    {"a", "audio", "button", "canvas", "data", "datalist", "embed", "input", "label", "meter", "output", "progress",
     "rp", "rt", "svg", "textpath", "tspan", "video", "math", "mfrac", "mi", "mn", "mo", "mover", "mroot", "ms",
     "msqrt", "mtd", "mtext", "munder"}
)  # fmt: skip
"""Elements that are apart on a line: what one begins with is not the end of the word before it. Of links that is
so between two of a kind only: within a text, a link may be a part of a word."""
_APART_AMONG_EACH_OTHER: Final = frozenset({"a", "tspan", "data"})
_CELLS: Final = frozenset({"td", "th"})
_VALUE: Final = re.compile(r"""(?:^|\s)value\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_NO_VALUE: Final = re.compile(
    r"""(?:^|\s)type\s*=\s*["']?(?:hidden|password|checkbox|radio|file|image|color|range)\b""", re.IGNORECASE
)
_HEADING: Final = re.compile(r"h([1-6])")
_ALT: Final = re.compile(r"""(?:^|\s)alt\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+")


def read_html(source: TextFile, limits: Limits) -> Parsed:
    """Reads HTML, a part for each section under a heading; lines are those of the file."""
    found = Collector(limits)
    found.problems += source.problems
    reader = _Reader(found, source.text)
    with found.bounded():
        for number, token in enumerate(tokens_of(source.text)):
            if number % 1000 == 0:
                found.check_time()
            reader.take(token)
        reader.end_section()
    return found.parsed("html")


class _Reader:
    """Takes tokens and adds sections."""

    def __init__(self, found: Collector, text: str) -> None:
        self._found = found
        self._lines = LineIndex(text)
        self._hidden: str = ""
        self._hidden_depth = 0
        self._preformatted = 0
        self._blocks: list[str] = []
        self._inline: list[str] = []
        self._line_has_text = False
        self._headings: list[tuple[int, str]] = []
        self._first = self._last = 0
        self._heading_from: int | None = None
        self._closed = ""  # The element that has just ended, as long as no text followed.

    def take(self, token: Token) -> None:
        if self._hidden:
            self._skip(token)
        elif token.kind == "text":
            self._text(token)
        elif token.kind == "start":
            self._start(token)
        else:
            self._end(token)

    def _skip(self, token: Token) -> None:
        if token.value == self._hidden and token.kind != "text":
            self._hidden_depth += 1 if token.kind == "start" else -1
            if not self._hidden_depth:
                self._hidden = ""

    def _text(self, token: Token) -> None:
        self._closed = ""
        text = html.unescape(token.value)
        if text.strip():
            if not self._line_has_text and not self._blocks:
                self._first = token.start
            self._line_has_text = True
            self._last = token.start + len(token.value.rstrip()) - 1
        self._inline.append(text)

    def _start(self, token: Token) -> None:
        if token.value in _HIDDEN:
            self._hidden, self._hidden_depth = token.value, 1
        elif heading := _HEADING.fullmatch(token.value):
            self.end_section()
            level = int(heading[1])
            self._headings = [(other, text) for other, text in self._headings if other < level]
            self._heading_from = level
        elif token.value in _BLOCKS:
            self._break()
            self._preformatted += token.value == "pre"
        elif token.value in _CELLS:
            self._inline += [" | "] if self._line_has_text else []
        elif token.value in _APART:
            self._set_apart(token)
        elif token.value == "img" and (alt := _ALT.search(token.attributes)):
            self._text(Token("text", f" {alt[1] or alt[2] or ''} ", token.start))

    def _end(self, token: Token) -> None:
        if _HEADING.fullmatch(token.value) and self._heading_from is not None:
            level, self._heading_from = self._heading_from, None
            self._break()
            title = " ".join(self._blocks).strip()
            self._headings += [(level, title)] if title else []
        elif token.value in _BLOCKS:
            self._break()
            self._preformatted -= token.value == "pre" and self._preformatted > 0
        elif token.value in _APART and token.value not in _APART_AMONG_EACH_OTHER:
            self._inline.append(" ")
        self._closed = token.value

    def _set_apart(self, token: Token) -> None:
        if token.value not in _APART_AMONG_EACH_OTHER or self._closed == token.value:
            self._inline.append(" ")
        if token.value == "input" and not _NO_VALUE.search(token.attributes):
            value = _VALUE.search(token.attributes)
            self._text(Token("text", f"{value[1] or value[2] or value[3] or ''} " if value else "", token.start))

    def _break(self) -> None:
        """Ends a line: white space means nothing in it, except where it is preformatted."""
        text, self._inline, self._line_has_text = "".join(self._inline), [], False
        line = text.strip("\n") if self._preformatted else _SPACE.sub(" ", text).strip()
        if line.strip():
            self._blocks.append(line)

    def end_section(self) -> None:
        """Adds what came since the last heading began."""
        self._break()
        self._heading_from = None
        if self._blocks:
            place = Place(
                start_line=self._lines.line_of(self._first),
                end_line=self._lines.line_of(self._last),
                headings=tuple(text for _, text in self._headings),
            )
            text, self._blocks = "\n".join(self._blocks), []
            self._found.add(text, place)


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
