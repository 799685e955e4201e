"""HTTP by the rules of Go, which differ from those of Python's frameworks.

Owns: path patterns, 404, 405 and the redirect to a cleaned path; JSON, error and text answers; the CORS headers; JSON
as encoding/json decodes it into a struct, in Go's words where it does not; the one file of a form, as `FormFile` reads
it.
Refuses to know: what the handlers do, what the fields of bodies mean, and event streams.
"""

from __future__ import annotations

import asyncio
import html
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, Literal, NoReturn, cast
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from langchain_mix.emulator.state.errors import ApiError, invalid, invalid_json, json_kind
from langchain_mix.emulator.state.serializers import go_json, well_formed
from langchain_mix.protocol.api import Capabilities

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

REST_HEADERS: Final = {"Access-Control-Allow-Headers": "Content-Type, Authorization"}
"""Mix: REST handlers narrow the header that the outer wrapper sets."""


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; its body ends with a newline, as Go's encoder writes it."""
    body = go_json(value) + "\n"
    return Response(body.encode(), status, {**REST_HEADERS, **(headers or {})}, "application/json")


def error_reply(error: ApiError) -> Response:
    """The server's JSON error envelope, keys in its order."""
    return json_reply({"error": {"code": error.status, "message": error.message, "type": error.type}}, error.status)


def text_error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """A plain-text error as Go's `http.Error` writes it."""
    head = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return Response(f"{text}\n".encode(), status, {**head, **(headers or {})})


def empty(status: int, headers: dict[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(b"", status, {**REST_HEADERS, **(headers or {})})


def cors_headers(caps: Capabilities) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that the outer wrapper puts on all answers. Mix 0.8 added PATCH, a generation after it was routed."""
    methods = b"GET, POST, PUT, PATCH, DELETE, OPTIONS" if caps.browser_mode else b"GET, POST, PUT, DELETE, OPTIONS"
    return (
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", b"Content-Type, Authorization, X-Requested-With"),
        (b"access-control-max-age", b"86400"),
    )


Handler = Callable[[Request], Awaitable[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Route:
    """A pattern and what answers there.

    Attributes:
        method: The method, or `""` for every method.
        pattern: The path; a segment in braces takes one percent-encoded segment.
        handler: Gives the answer. Its request has the decoded segments in `path_params`.
    """

    method: str
    pattern: str
    handler: Handler

    def takes(self, method: str) -> bool:
        """True when the method is served. Go serves HEAD wherever it serves GET."""
        return self.method in {"", method} or (self.method == "GET" and method == "HEAD")

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Returns the wildcards, or None if the decoded segments are those of another path."""
        wanted = self.pattern.split("/")
        if len(wanted) != len(segments):
            return None
        found: dict[str, str] = {}
        for pattern, segment in zip(wanted, segments, strict=True):
            if pattern.startswith("{"):
                if not segment:
                    return None
                found[pattern.strip("{}")] = segment
            elif pattern != segment:
                return None
        return found


@dataclass(frozen=True, slots=True)
class Mux:
    """A set of routes; patterns without wildcards win over those with."""

    routes: Sequence[Route]

    async def answer(self, request: Request) -> ASGIApp:
        """Finds and runs the handler of a request, whose `path_params` are set here; else Go's 404, 405 or 301."""
        path: str = request.scope["raw_path"].decode("latin-1")
        if (clean := clean_path(path)) != path:
            return _redirect(request, clean)
        segments = [unquote(segment, errors="replace") for segment in path.split("/")]
        fitting = [(route, found) for route in self.routes if (found := route.match(segments)) is not None]
        fitting.sort(key=lambda pair: len(pair[1]))
        for route, found in fitting:
            if route.takes(request.method):
                request.scope["path_params"] = found
                return await route.handler(request)
        if not fitting:
            return text_error(404, "404 page not found")
        allowed = {
            name
            for route, _ in fitting
            for name in ([route.method, "HEAD"] if route.method == "GET" else [route.method])
        }
        return text_error(405, "Method Not Allowed", {"Allow": ", ".join(sorted(allowed))})


def clean_path(path: str) -> str:
    """The path without `.` and `..` segments and without doubled slashes; a final slash stays. Escapes are kept."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    clean = "/" + "/".join(kept)
    return clean + "/" if kept and path.endswith("/") else clean


def _redirect(request: Request, path: str) -> Response:
    query = request.url.query
    target = f"{path}?{query}" if query else path
    headers = {"Location": target}
    if request.method not in {"GET", "HEAD"}:
        return Response(b"", 301, headers)
    body = f'<a href="{html.escape(target)}">Moved Permanently</a>.\n\n'
    return Response(body.encode(), 301, headers, "text/html; charset=utf-8")


GoType = Literal["string", "int", "bool", "slice"]
_SPACE: Final = " \t\r\n"
_GO_NAMES: Final[Mapping[GoType, str]] = {
    "string": "string",
    "int": "int",
    "bool": "bool",
    "slice": "[]json.RawMessage",
}


@dataclass(frozen=True, slots=True)
class Body:
    """The Go struct that a handler decodes into.

    Attributes:
        name: Its name, as error texts show it.
        fields: Its JSON keys and their types.
        strict: True when unknown keys are refused (`DisallowUnknownFields`).
    """

    name: str
    fields: Mapping[str, GoType]
    strict: bool = True

    def decode(self, raw: bytes) -> dict[str, Any]:
        """Decodes a request body. Data after the first JSON value is ignored, and so is the content type.

        Returns:
            The fields that the body sets, under the struct's own spelling of their keys. A null sets nothing.

        Raises:
            ApiError: 400 about the field `body`, with Go's text.
        """
        value = first_value(raw)
        if value is None:
            return {}
        if not isinstance(value, dict):
            _refuse(f"json: cannot unmarshal {json_kind(value)} into Go value of type api.{self.name}")
        found: dict[str, Any] = {}
        for key, item in value.items():
            field = self._field(key)
            if field is None:
                if self.strict:
                    _refuse(f'json: unknown field "{key}"')
            elif item is not None:
                found[field] = self._checked(field, item)
        return found

    def _field(self, key: str) -> str | None:
        """Go prefers the exact key and takes one that differs in case alone."""
        if key in self.fields:
            return key
        return next((field for field in self.fields if field.casefold() == key.casefold()), None)

    def _checked(self, field: str, item: Any) -> Any:
        go_type = self.fields[field]
        if not _fits(item, go_type):
            shown = f"number {item}" if go_type == "int" and json_kind(item) == "number" else json_kind(item)
            name = f"{self.name}.{field}"
            _refuse(f"json: cannot unmarshal {shown} into Go struct field {name} of type {_GO_NAMES[go_type]}")
        return item


def first_value(raw: bytes) -> Any:
    """Reads the first JSON value of a body; invalid UTF-8 and lone surrogates become U+FFFD.

    Raises:
        ApiError: 400 about the field `body`: there is none, or it is not JSON.
    """
    text = raw.decode(errors="replace").lstrip(_SPACE)
    if not text:
        _refuse("EOF")
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text)
    except json.JSONDecodeError as error:
        _refuse(_go_syntax_error(text, error))
    except (ValueError, RecursionError) as error:
        _refuse(str(error) if isinstance(error, ValueError) else "exceeded max depth")
    return _whole(value)


def _refuse(text: str) -> NoReturn:
    raise invalid("body", text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _go_syntax_error(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text.rstrip(_SPACE)) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    where = {
        "Expecting ',' delimiter": "after object key:value pair or array element",
        "Expecting ':' delimiter": "after object key",
        "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
        "Invalid control character at": "in string literal",
    }.get(error.msg, "looking for beginning of value")
    return f"invalid character {text[error.pos]!r} {where}"


def _fits(item: Any, go_type: GoType) -> bool:
    match go_type:
        case "string":
            return isinstance(item, str)
        case "int":
            return isinstance(item, int) and not isinstance(item, bool) and -(2**63) <= item < 2**63
        case "bool":
            return isinstance(item, bool)
        case "slice":
            return isinstance(item, list)


def _whole(value: Any) -> Any:
    """The value with every lone surrogate replaced by U+FFFD, as Go does; nothing stored or sent can hold one."""
    if isinstance(value, str):
        return value if value.isascii() else well_formed(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def lenient_object(raw: bytes) -> dict[str, Any]:
    """Reads the body of a handler that takes any object and ignores what it does not know.

    Raises:
        ApiError: 400 `INVALID_JSON`.
    """
    try:
        value = first_value(raw)
    except ApiError as error:
        raise invalid_json() from error
    if not isinstance(value, dict):
        raise invalid_json()
    return value


_IN_MEMORY: Final = 1 << 20
_PART: Final = b"file"


@dataclass(slots=True)
class FilePart:
    """The file that was sent, at its beginning, and its name as sent."""

    filename: str
    content: BinaryIO


@asynccontextmanager
async def file_part(request: Request) -> AsyncIterator[FilePart]:
    """Reads the part `file` of a request whose body has not been read; the file is gone afterwards.

    Raises:
        ApiError: 400 about `form`, the body is no form or ends too early; about `file`, it has no such part.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise invalid("form", "request Content-Type isn't multipart/form-data")
    boundary = options.get(b"boundary")
    if not boundary:
        raise invalid("form", "no multipart boundary param in Content-Type")
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as content:
        reader = _Reader()
        try:
            parser = MultipartParser(boundary, reader.callbacks())
            async for chunk in request.stream():
                parser.write(chunk)
                await _store(content, reader.taken())
        except FormParserError as error:
            raise invalid("form", f"multipart: {error}") from error
        if not reader.complete:
            raise invalid("form", "multipart: NextPart: EOF")
        if reader.filename is None:
            raise invalid("file", "http: no such file")
        content.seek(0)
        yield FilePart(reader.filename, cast("BinaryIO", content))


async def _store(content: IO[bytes], data: bytes) -> None:
    if not data:
        return
    if content.tell() + len(data) > _IN_MEMORY:
        await asyncio.to_thread(content.write, data)
    else:
        content.write(data)


@dataclass(slots=True)
class _Reader:
    """Collects what the parser has found so far."""

    filename: str | None = None
    complete: bool = False
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _wanted: bool = False
    _data: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._add,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_end": self._end,
        }

    def taken(self) -> bytes:
        """The bytes of the file since the last call."""
        data = bytes(self._data)
        self._data.clear()
        return data

    def _begin(self) -> None:
        self._wanted = False

    def _add(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self._data += data[start:end]

    def _header(self) -> None:
        name, value = bytes(self._name).lower(), bytes(self._value)
        self._name.clear()
        self._value.clear()
        if name != b"content-disposition":
            return
        _, options = parse_options_header(value)
        # Go takes the first file of that name; a part without a file name is a mere value.
        if options.get(b"name") == _PART and b"filename" in options and self.filename is None:
            self.filename = options[b"filename"].decode(errors="replace")
            self._wanted = True

    def _end(self) -> None:
        self.complete = True
