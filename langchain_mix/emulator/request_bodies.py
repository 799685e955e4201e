"""Request bodies: JSON as Go's encoding/json decodes it into a struct, and the one file of a multipart form.

Owns: which JSON a body may be, Go's words for what it may not be, and reading a form as Go's `FormFile` does.
Refuses to know: what the fields mean and whether their values are allowed.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, Literal, NoReturn, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from langchain_mix.emulator.state.errors import ApiError, invalid, invalid_json, json_kind
from langchain_mix.emulator.state.serializers import well_formed

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

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
