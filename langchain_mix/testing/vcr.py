"""Cassettes of HTTP in which event streams are recorded, and replayed, piece by piece.

Owns: `use_cassette`, which recorded answer a request gets, what is recorded of one, and how a cassette looks as a file:
vcrpy's own format, in UTF-8 and readable. vcrpy reads these files, too: our data is in keys of its own, `x_order` in an
answer and `x_about` at the top. Refuses to know: Mix. It works with anything that uses httpx, sync or async.

vcrpy reads a streamed answer to its end before the code under test sees its head. A client that must send a request
while it reads the stream then waits for ever. Here a stream is handed on as it comes, the order of all requests and
pieces is kept with the recording, and a replay keeps to it without a clock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, Literal, TypeAlias
from unittest import mock
from urllib.parse import urlsplit

import httpx
import yaml  # type: ignore[import-untyped]  # Its types are a package of their own, for one call.
from vcr.cassette import Cassette as VcrCassette  # type: ignore[import-untyped]  # vcrpy has no types.
from vcr.matchers import body, method, path, query  # type: ignore[import-untyped]  # The same.
from vcr.record_mode import RecordMode  # type: ignore[import-untyped]  # The same.
from vcr.request import Request  # type: ignore[import-untyped]  # The same.
from vcr.serialize import deserialize, serialize  # type: ignore[import-untyped]  # The same.

from langchain_mix.testing.cassette_order import CassetteError, Clock, Order, Playback
from langchain_mix.testing.cassette_streams import (
    AsyncRecordedStream,
    Connection,
    RecordedStream,
    ReplayedStream,
    Take,
    is_stream,
)
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
"""True when to record: `"none"` only replays, `"once"` records if there is no file yet, `"all"` records again."""

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
        """Method and path of recorded answers that were not requested so far."""
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
        replacements: Texts to replace in everything that is kept, in addition to those that look like secrets.
        keep_headers: Headers to keep in addition to the few that replies are read by, in lower case.
        about: What to say about a new recording, in words that YAML has.

    Yields:
        The cassette.

    Raises:
        CassetteError: There is no cassette, another one is in use, the code requested something else than was
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


_MATCHED: Final = (method, path, query, body)


def _name(request: Any) -> tuple[str, str]:
    return str(request.method), urlsplit(str(request.uri)).path


def _scrubbed(scrubber: Scrubber, request: httpx.Request) -> Any:
    content = request.content
    return request_of(*scrubber.request(request.method, str(request.url), request.headers, content))


class Recorder:
    """Notes requests and answers on their way. Safe to share between threads and event loops."""

    def __init__(self, scrubber: Scrubber) -> None:
        """Begins with nothing."""
        self._scrubber = scrubber
        self._clock = Clock()
        self._taken: list[tuple[Any, Take, dict[str, Any], bool]] = []
        self.requests: list[tuple[str, str]] = []
        self.unused: list[tuple[str, str]] = []

    def handle(self, request: httpx.Request, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Sends a request of synchronous code."""
        request.read()
        kept, take = self._begin(request)
        response = send()
        content: bytes | None = None
        stream = response.stream
        if not isinstance(stream, httpx.SyncByteStream):
            raise TypeError("A synchronous transport answers with a synchronous stream.")
        if is_stream(response):
            response.stream = RecordedStream(stream, take)
        else:
            try:
                content = response.read()
            finally:
                stream.close()
            response = _whole(response)
        self._answered(kept, take, response, content)
        return response

    async def handle_async(
        self, request: httpx.Request, send: Callable[[], Awaitable[httpx.Response]]
    ) -> httpx.Response:
        """Sends a request of asynchronous code."""
        await request.aread()
        kept, take = self._begin(request)
        response = await send()
        content: bytes | None = None
        stream = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError("An asynchronous transport answers with an asynchronous stream.")
        if is_stream(response):
            response.stream = AsyncRecordedStream(stream, take)
        else:
            try:
                content = await response.aread()
            finally:
                await stream.aclose()
            response = _whole(response)
        self._answered(kept, take, response, content)
        return response

    def _begin(self, request: httpx.Request) -> tuple[Any, Take]:
        request.headers["accept-encoding"] = "identity"  # What is compressed can be neither read nor scrubbed.
        kept = _scrubbed(self._scrubber, request)
        self.requests.append(_name(kept))
        return kept, Take(self._clock, self._clock.tick())

    def _answered(self, kept: Any, take: Take, response: httpx.Response, content: bytes | None) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise CassetteError(f"{' '.join(_name(kept))}: the answer is compressed, though that was not requested.")
        take.answered = self._clock.tick()
        if content is None:
            real = response.extensions.get("network_stream")
            response.extensions["network_stream"] = Connection(take.interrupt, real)
        headers: dict[str, list[str]] = {}
        for name, value in response.headers.multi_items():
            headers.setdefault(name, []).append(value)
        answer = {
            "status": {"code": response.status_code, "message": response.reason_phrase},
            "headers": headers,
            "body": {"string": content or b""},
        }
        self._taken.append((kept, take, answer, content is None))

    def recorded(self) -> tuple[list[Any], list[dict[str, Any]]]:
        """The requests and the answer of each, in the order in which the requests were made."""
        taken = sorted(self._taken, key=lambda one: one[1].requested)
        answers = []
        for _, take, answer, streamed in taken:
            whole = {**answer, "body": {"string": take.body}} if streamed else answer
            scrubbed = self._scrubber.answer(whole)
            answers.append({**scrubbed, "x_order": take.order(streamed=streamed).to_yaml()})
        return [kept for kept, *_ in taken], answers


class Player:
    """Gives recorded answers. Safe to share between threads and event loops."""

    def __init__(
        self, file: Path, requests: list[Any], answers: list[dict[str, Any]], scrubber: Scrubber, patience: float
    ) -> None:
        """Takes a recording.

        Raises:
            CassetteError: What it says about its order makes no sense.
        """
        self._file = file
        self._scrubber = scrubber
        self._lock = threading.Lock()
        orders = [Order.from_yaml(answer["x_order"]) for answer in answers if "x_order" in answer]
        self._playback = Playback(orders, patience)
        self._tape = VcrCassette(str(file), record_mode=RecordMode.NONE, match_on=_MATCHED)
        for kept, answer in zip(requests, answers, strict=True):
            kept.body = kept.body or b""  # Other libraries' requests without a body were recorded with None.
            self._tape.append(kept, answer)
        self._tape.rewound = True
        self.requests: list[tuple[str, str]] = []

    @property
    def problem(self) -> CassetteError | None:
        """Returns what went wrong, if anything did."""
        return self._playback.problem

    @property
    def unused(self) -> list[tuple[str, str]]:
        """Returns method and path of answers that were not requested."""
        played = self._tape.play_counts
        return [_name(kept) for number, kept in enumerate(self._tape.requests) if not played[number]]

    def check(self, *, allow_unused: bool) -> None:
        """Looks at the whole of a replay that is over.

        Raises:
            CassetteError: Something went wrong, or answers were not used.
        """
        if self.problem is not None:
            raise self.problem
        if self.unused and not allow_unused:
            listed = ", ".join(" ".join(one) for one in self.unused)
            raise CassetteError(
                f"{self._file.name}: {len(self.unused)} recorded answers were not used: {listed}.",
                hint="The code makes fewer requests than it did. Record again, or pass `allow_unused=True`.",
            )

    def handle(self, request: httpx.Request, _: Callable[[], httpx.Response]) -> httpx.Response:
        """Answers synchronous code."""
        request.read()
        name, answer, order = self._found(request)
        if order is not None:
            self._playback.wait(self._playback.streams_before(order.answered, f"the answer of {name}"))
        return self._answer(name, answer, order)

    async def handle_async(self, request: httpx.Request, _: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Answers asynchronous code."""
        await request.aread()
        name, answer, order = self._found(request)
        if order is not None:
            before = self._playback.streams_before(order.answered, f"the answer of {name}")
            try:
                await self._playback.wait_async(before)
            except asyncio.CancelledError:
                self._playback.happened(order.answered, *order.of_stream)  # It is not awaited any longer.
                raise
        return self._answer(name, answer, order)

    def _found(self, request: httpx.Request) -> tuple[str, dict[str, Any], Order | None]:
        if self.problem is not None:
            raise self.problem
        wanted = _scrubbed(self._scrubber, request)
        name = " ".join(_name(wanted))
        with self._lock:
            self.requests.append(_name(wanted))
            if not self._tape.can_play_response_for(wanted):
                self._playback.fail(self._unanswered(name, wanted))
            answer: dict[str, Any] = self._tape.play_response(wanted)
        order = Order.from_yaml(answer["x_order"]) if "x_order" in answer else None
        if order is not None:
            self._playback.happened(order.requested)
        return name, answer, order

    def _unanswered(self, name: str, wanted: Any) -> CassetteError:
        nearest = self._tape.find_requests_with_most_matches(wanted)
        why = "It holds nothing like it."
        if nearest:
            kept, _, failed = nearest[0]
            differs = ", ".join(part for part, _ in failed)
            why = f"The nearest is {' '.join(_name(kept))}, which differs in: {differs}."
            if not differs:
                why = f"All {len(self._tape.responses_of(wanted))} recorded answers were given already."
        return CassetteError(
            f"{self._file.name} has no answer for {name}. {why}",
            sent=name,
            hint="The code requests something else than when this was recorded. Record it again if that is right.",
        )

    def _answer(self, name: str, answer: dict[str, Any], order: Order | None) -> httpx.Response:
        status, content = answer["status"], answer["body"]["string"]
        headers = [(key, value) for key, values in answer["headers"].items() for value in values]
        extensions: dict[str, Any] = {"http_version": b"HTTP/1.1"}
        if status.get("message"):
            extensions["reason_phrase"] = status["message"].encode("ascii", "replace")
        stream: Any = httpx.ByteStream(content)
        if order is not None:
            if order.ending is not None:
                stream = ReplayedStream(content, order, self._playback, name)
                extensions["network_stream"] = Connection(stream.interrupt)
            self._playback.happened(order.answered)
        return httpx.Response(status["code"], headers=headers, stream=stream, extensions=extensions)


def _whole(response: httpx.Response) -> httpx.Response:
    """The answer with a body that can be read again by its reader."""
    return httpx.Response(
        response.status_code,
        headers=response.headers,
        stream=httpx.ByteStream(response.content),
        extensions=response.extensions,
    )


# Files

_WIDE: Final = 1 << 20
_OTHER_BREAKS: Final = frozenset("\r\x85\u2028\u2029")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # The one in C is not always there.


def read_cassette(path: Path) -> tuple[list[Any], list[dict[str, Any]], dict[str, Any]]:
    """Reads a cassette: the requests, the answers, and what is said about all of it.

    Raises:
        CassetteError: There is none, or it is none.
    """
    if not path.is_file():
        raise CassetteError(
            f"There is no cassette at {path}.", hint='Record it: use_cassette(..., record="once"), with a server.'
        )
    try:
        whole = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506  # Both are safe ones.
        requests, answers = deserialize("", _Loaded(whole))
        about = dict(whole.get("x_about", {}))
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as problem:
        raise CassetteError(f"{path} is no cassette: {problem}", hint="Record it again.") from problem
    return requests, answers, about


def write_cassette(
    path: Path, requests: Sequence[Any], answers: Sequence[dict[str, Any]], about: Mapping[str, Any]
) -> None:
    """Writes a cassette, all of it or nothing; a file that is there is replaced.

    Raises:
        CassetteError: It holds what looks like a secret. Nothing is written.
    """
    head = _dumped({"x_about": dict(about)}) if about else ""
    text = head + serialize({"requests": requests, "responses": answers}, _Readable)
    found = find_secrets(text)
    if found:
        listed = "; ".join(f"{one.what} ({one.shown}…) in line {one.where}" for one in found[:5])
        raise CassetteError(
            f"{path} was not written: it would hold {listed}.", hint="Name the text in `replacements=`."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as file:
        file.write(text)


@contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    with NamedTemporaryFile("w", encoding="utf-8", newline="\n", dir=path.parent, suffix=".new", delete=False) as file:
        new = Path(file.name)
        try:
            yield file
        except BaseException:
            new.unlink()
            raise
    new.chmod(0o644)
    new.replace(path)


def request_of(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
    """A request as vcrpy has it."""
    return Request(method, url, body, dict(headers))


class _Loaded:
    """A serializer, as vcrpy wants one to read with, of what was read already."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def deserialize(self, _: str) -> Any:
        return self._whole


class _Readable:
    """A serializer, as vcrpy wants one to write with: texts of several lines are blocks, numbers in one line."""

    @staticmethod
    def serialize(cassette: Mapping[str, Any]) -> str:
        return _dumped(dict(cassette))


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # Without types it is Any.
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML says which parameters it takes.
        """Whatever comes twice is written twice."""
        return True


def _text(dumper: Any, text: str) -> Any:
    # A block keeps no line breaks but this one.
    style = '"' if _OTHER_BREAKS.intersection(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: Any, items: list[Any]) -> Any:
    numbers = bool(items) and all(type(item) is int for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=numbers)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def _dumped(value: dict[str, Any]) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDE))
