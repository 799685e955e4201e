"""Cassettes of HTTP in which event streams are recorded, and replayed, piece by piece.

Owns: `use_cassette`. Refuses to know: Mix. It works with anything that uses httpx, sync or async.

vcrpy reads a streamed answer to its end before the code under test sees its head. A client that must send a request
while it reads the stream then waits for ever. Here a stream is handed on as it comes, the order of all requests and
pieces is kept with the recording, and a replay keeps to it without a clock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from unittest import mock

import httpx

from langchain_mix.testing.cassette_error import CassetteError
from langchain_mix.testing.cassette_files import read_cassette, write_cassette
from langchain_mix.testing.cassette_tapes import Player, Recorder
from langchain_mix.testing.scrubbing import CASSETTE_URL, HIDDEN, LOCAL, Finding, Scrubber, find_secrets

__all__ = [
    "CASSETTE_URL",
    "HIDDEN",
    "LOCAL",
    "Cassette",
    "CassetteError",
    "Finding",
    "Record",
    "find_secrets",
    "use_cassette",
]

Record: TypeAlias = Literal["none", "once", "all"]
"""Whether to record: `"none"` only replays, `"once"` records if there is no file yet, `"all"` records anew."""

PATIENCE: Final = 5.0
"""Seconds in which something must happen in a replay."""

_OPEN: Final = threading.Lock()


class Cassette:
    """The cassette that is in use.

    Attributes:
        path: Its file.
        about: What is said about it, kept at the top of the file; fill it while you record.
        recording: Whether it is being recorded; else it is replayed.
    """

    def __init__(self, path: Path, deck: Recorder | Player, about: dict[str, Any]) -> None:
        """Made by `use_cassette`."""
        self.path = path
        self.about = about
        self.recording = isinstance(deck, Recorder)
        self._deck = deck

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of the requests so far, in the order in which they were made."""
        return list(self._deck.requests)

    @property
    def unused(self) -> list[tuple[str, str]]:
        """Method and path of what was recorded and not asked for so far."""
        return self._deck.unused


@contextmanager
def use_cassette(
    path: str | PathLike[str],
    *,
    record: Record = "none",
    allow_unused: bool = False,
    patience: float = PATIENCE,
    replacements: Mapping[str, str] | None = None,
    keep_headers: frozenset[str] = frozenset(),
    about: Mapping[str, Any] | None = None,
) -> Iterator[Cassette]:
    """Replays the requests of the block from a cassette, or records them into it.

    All clients of httpx in this process are served, in all threads and event loops; it works around `async` code as
    well. Requests are matched by method, path, query and body; the host does not matter. Each recorded answer is given
    once. Secrets, names of hosts, most headers and local directories are taken out before anything is written.

    A request that no recording answers raises at once, in the request and, should the code have swallowed it, again at
    the end of the block. A replay in which nothing happens for `patience` seconds raises instead of waiting for ever.

    Args:
        path: The cassette, YAML in the format of vcrpy.
        record: See `Record`.
        allow_unused: Whether a replay may leave recorded answers unused.
        patience: Seconds without anything happening after which a replay that waits fails. Nothing waits for a time.
        replacements: Texts to replace in everything that is kept, beside those that look like secrets.
        keep_headers: Headers to keep beside the few that replies are read by, in lower case.
        about: What to say about a new recording, in words that YAML has.

    Yields:
        The cassette.

    Raises:
        CassetteError: There is no cassette, another one is in use, the code asked for something else than was
            recorded, recorded answers were not used, or what was recorded still holds a secret.
    """
    file = Path(path)
    if record not in {"none", "once", "all"}:
        raise CassetteError(f"record={record!r} is 'none', 'once' or 'all'.")
    scrubber = Scrubber(dict(replacements or {}), keep_headers)
    deck: Recorder | Player
    if record == "all" or (record == "once" and not file.exists()):
        deck, said = Recorder(scrubber), dict(about or {})
    else:
        requests, answers, said = read_cassette(file)
        deck = Player(file, requests, answers, scrubber, patience)
    cassette = Cassette(file, deck, said)
    with _patched(deck):
        try:
            yield cassette
        except BaseException as error:
            if isinstance(deck, Player) and deck.problem is not None and error is not deck.problem:
                raise deck.problem from error
            raise
    if isinstance(deck, Recorder):
        write_cassette(file, *deck.recorded(), cassette.about)
    else:
        deck.check(allow_unused=allow_unused)


@contextmanager
def _patched(deck: Recorder | Player) -> Iterator[None]:
    if not _OPEN.acquire(blocking=False):
        raise CassetteError("Another cassette is in use.", hint="One at a time: close it first.")
    try:
        real, real_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

        def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            return deck.handle(request, lambda: real(transport, request))

        async def handle_async(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            return await deck.handle_async(request, lambda: real_async(transport, request))

        with ExitStack() as patches:
            patches.enter_context(mock.patch.object(httpx.HTTPTransport, "handle_request", handle))
            patches.enter_context(mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle_async))
            yield
    finally:
        _OPEN.release()
