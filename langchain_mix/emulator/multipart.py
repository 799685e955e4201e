"""The one file of a multipart body, streamed to disk.

Owns: reading `multipart/form-data` as Go's `FormFile` does, in little memory.
Refuses to know: where the file goes.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from langchain_mix.emulator.state.errors import invalid

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_IN_MEMORY: Final = 1 << 20
_PART: Final = b"file"


@dataclass(slots=True)
class FilePart:
    """The file that was sent.

    Attributes:
        filename: Its name as sent.
        content: Its bytes, at their beginning.
    """

    filename: str
    content: BinaryIO


@asynccontextmanager
async def file_part(request: Request) -> AsyncIterator[FilePart]:
    """Reads the part `file` of a request's body.

    Args:
        request: The request; its body has not been read.

    Yields:
        The file, which is gone afterwards.

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
    """What the parser has found so far."""

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
