"""Bodies of answers that are read whole: decompressed piece by piece, and never more than is allowed.

Owns: what a body is after decompression, and when it is too large. Refuses to know: how pieces arrive, and downloads of
files and event streams, which are not kept in memory here.

A library that decompresses a piece as a whole gives a thousand times its size at once; zlib is told here how much it
may give. Requests therefore ask for encodings of zlib alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import httpx

from langchain_mix import errors

ACCEPTED_ENCODINGS: Final = "gzip, deflate"
"""For the header `Accept-Encoding`."""

_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS


class Body:
    """The body of one answer. Feed it what arrives, then take it."""

    def __init__(self, headers: Mapping[str, str], limit: int | None, *, sent: str, acted: errors.Acted) -> None:
        """Looks at the head.

        Args:
            headers: Of the answer.
            limit: Bytes that it may have after decompression, or None for any number.
            sent: Method and path of the request.
            acted: Whether the server has acted on the request.

        Raises:
            MixReplyTooLarge: The head says that it is too large.
        """
        self._limit = limit
        self._sent = sent
        self._acted: errors.Acted = acted
        self._size = 0
        self._pieces: list[bytes] = []
        encoding = headers.get("content-encoding", "").strip().lower()
        self._inflater: Any = None  # None for an encoding that was not asked for, too: what arrives is the body.
        if encoding in {"gzip", "x-gzip", "deflate"}:
            self._inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
        length = headers.get("content-length", "")
        if self._inflater is None and length.isascii() and length.isdigit():
            self.check(int(length))
        self._raw = encoding == "deflate"  # Some servers leave the header of zlib out.
        self._fed = False

    def feed(self, data: bytes) -> None:
        """Takes a piece as it arrived.

        Raises:
            MixReplyTooLarge: The body is too large by now.
            DecodingError: It cannot be decompressed.
        """
        if self._inflater is None:
            self._add(data)
            return
        while data:
            try:
                piece = self._inflater.decompress(data, 0 if self._limit is None else self._limit - self._size + 1)
            except zlib.error as problem:
                if not self._raw or self._fed:
                    raise httpx.DecodingError("The answer cannot be decompressed.") from problem
                self._inflater, self._raw = zlib.decompressobj(_RAW), False
                continue
            self._fed = True
            self._add(piece)
            data = self._inflater.unconsumed_tail

    def finish(self) -> bytes:
        """Returns the body.

        Raises:
            DecodingError: Its end is missing.
        """
        if self._inflater is not None and self._fed and not self._inflater.eof:
            raise httpx.DecodingError("The end of the compressed answer is missing.")
        return b"".join(self._pieces)

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        self.check(self._size)
        self._pieces.append(piece)

    def check(self, size: int) -> None:
        """Compares a size with what is allowed.

        Raises:
            MixReplyTooLarge: It is too large.
        """
        if self._limit is not None and size > self._limit:
            self._pieces.clear()
            raise errors.MixReplyTooLarge(
                f"The answer has more than {self._limit:,} bytes.",
                sent=self._sent,
                acted=self._acted,
                hint="Ask for less at a time (`limit`), or allow more: `max_reply_bytes`.",
            )


def whole(response: httpx.Response, body: bytes) -> httpx.Response:
    """Returns an answer with its body, for users: the one that came over the wire has none any more."""
    # As bytes: names of files are not always ASCII.
    headers = [(k, v) for k, v in response.headers.raw if k.lower() not in {b"content-encoding", b"content-length"}]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=body,
        request=response.request,
        extensions={k: v for k, v in response.extensions.items() if k != "network_stream"},
    )
