"""A call becomes a request, and what comes back a reply or an error: what both shells share.

Owns: requests, bodies of answers, failures of the HTTP library as errors, logging, what is known of the server, and the
decision about another attempt. Refuses to know: how anything is sent or waited for (`_sync.py`, `_async.py`).

The documentation of Mix has users catch `httpx.ConnectError`, `httpx.TimeoutException` and `httpx.RequestError`,
so the errors of failed requests are those too.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
import weakref
import zlib
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx

from langchain_mix import errors, process_fork
from langchain_mix._version import __version__
from langchain_mix.client._config import (
    DEFAULT_OPTIONS,
    CallOptions,
    Settings,
    settings_for,
)
from langchain_mix.client._timeouts import timeout_of
from langchain_mix.client.credentials import HIDDEN, check_headers, secrets_of, shown_body, shown_headers
from langchain_mix.client.httpclient import proxy_variable
from langchain_mix.protocol.api import ApiKnowledge, ServerApi
from langchain_mix.protocol.call import Call, Reply, error_from, is_refusal, is_unrouted
from langchain_mix.protocol.events import Event, SSECompleteEvent, SSEErrorEvent
from langchain_mix.protocol.retry import RETRIED_STATUSES, RetryConfig, next_wait, retry_after

T = TypeVar("T")

Outcome = Reply | errors.MixError
"""The outcome of one attempt."""

_SERVERS: Final = 256
"""Servers of which a client remembers more than the URL. A forgotten one is only probed again."""

FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
"""Raised by httpx when a request cannot be made, sent or answered."""

_NO_CONNECTION_YET: Final = (httpx.ConnectTimeout, httpx.PoolTimeout)

_ACCEPTED_ENCODINGS: Final = "gzip, deflate"
"""Only encodings of zlib: other libraries decompress a piece as a whole, which can give a thousand times its size."""

_STREAM_HEADERS: Final = {"Accept": "text/event-stream", "Cache-Control": "no-cache, no-transform"}

_TERMINAL_EVENTS: Final = frozenset({SSECompleteEvent, SSEErrorEvent})

_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Attempt:
    """Requests that the call is sent now; to be answered with its reply or its error."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Requests a pause of some seconds."""

    seconds: float


@lru_cache(maxsize=1024)
def _url(base: str, path: str) -> httpx.URL:
    """Parses a URL once: httpx takes a third of the time of a request for it, and few are used again and again."""
    return httpx.URL(base + path)


class Core:
    """A client's settings and what it has learned of its server. Safe to share between threads and event loops.

    Attributes:
        settings: The settings.
        server_api: The server's API as far as its replies have shown it.
    """

    def __init__(self, settings: Settings) -> None:
        """Starts with what the settings say of the server."""
        self.settings = settings
        self.server_api = ServerApi(settings.detected)
        self._lock = threading.Lock()
        self._others: dict[str, Core] = {}
        self._open_streams: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._has_reported_verdict = False
        process_fork.renew_in_child(self._renew)

    def _renew(self) -> None:
        # What was learned of the server holds in a child too; the streams are those of the parent.
        self._lock, self._open_streams = threading.Lock(), weakref.WeakKeyDictionary()

    def for_server(self, server_url: str | None) -> Core:
        """Returns the core for the server at this URL: this client's settings, and knowledge of that server's own.

        Args:
            server_url: The base URL; None for this client's server.

        Returns:
            The core, the same one for the same URL, so that the next call knows what one has learned.

        Raises:
            MixConfigurationError: The URL is malformed.
        """
        if server_url is None:
            return self
        with self._lock:
            if server_url in self._others:
                return self._others[server_url]
            settings = settings_for(self.settings, server_url)
            core = self if settings is self.settings else Core(settings)
            while len(self._others) >= _SERVERS:
                del self._others[next(iter(self._others))]
            self._others[server_url] = core
            return core

    def register_stream(self, session_id: str, stream: Any) -> None:
        """Remembers an event stream that a user has opened."""
        with self._lock:
            self._open_streams[stream] = session_id

    def open_streams(self, session_id: str) -> list[Any]:
        """Returns the event streams of a session that users of this client hold open, in this process.

        Mix 0.5: each of them runs a message that is written to the session's streams as a turn of its own.
        """
        with self._lock:
            streams = list(self._open_streams.items())
        return [s for s, held in streams if held == session_id and not s.response.is_closed]

    def narrow(self, detected: ApiKnowledge, assumed: ApiKnowledge | None = None) -> None:
        """Narrows the API down to what a reply or a turn has shown, unless the user named the generation.

        Args:
            detected: The generations that the server may be according to it.
            assumed: What it was based on; nothing is learned from the same.
        """
        if len(self.settings.detected) > 1 and detected != assumed:
            with self._lock:
                self.server_api.detected = self.server_api.detected.narrow(detected)

    def sending(self, call: Call[T], options: CallOptions) -> Generator[Attempt | Wait, Outcome | None, T]:
        """Decides how often a call is sent, for both shells.

        Args:
            call: The call.
            options: How this one is sent.

        Yields:
            `Attempt`, to be answered with the reply or the error, and `Wait`.

        Returns:
            The result.

        Raises:
            MixError: The last attempt failed, or the only one of a call that must not be sent twice.
            MixTimeoutError: The time allowed was over before the first attempt; nothing was sent.
        """
        policy = options.retries or self.settings.retry
        started, attempt = time.monotonic(), 0
        if _is_over(options.until, 0.0):
            raise not_sent_in_time(str(call))
        while True:
            outcome = yield Attempt()
            attempt += 1
            wait = None
            if outcome is not None and _is_worth_another(call, outcome, policy):
                wait = next_wait(
                    policy,
                    attempt=attempt,
                    elapsed=time.monotonic() - started,
                    requested=retry_after(outcome.headers, time.time()),
                    chance=random.random(),  # noqa: S311  # Jitter is no secret.
                )
            if wait is None or _is_over(options.until, wait):
                return self.result(call, outcome, options)
            self.settings.logger.debug("%s failed (attempt %d); again in %.2f s", call, attempt, wait)
            yield Wait(wait)

    def result(
        self, call: Call[T], outcome: Reply | errors.MixError | None, options: CallOptions = DEFAULT_OPTIONS
    ) -> T:
        """Reads the outcome of the last attempt and remembers what it shows of the server.

        Raises:
            MixError: The outcome is an error, or a reply that means one.
        """
        if isinstance(outcome, errors.MixError):
            raise outcome
        if outcome is None:
            raise AssertionError("An attempt is answered with its outcome.")
        try:
            result = call.result(outcome)
        except errors.MixResponseError as error:
            error.sent = error.sent or str(call)  # A decoder does not know whose reply it reads.
            self._hide_own_secrets(error, options)
            self._mention_path(error)
            if call.refusal_shows is not None:
                self.narrow(ApiKnowledge(call.refusal_shows(error)))
            raise
        if call.shows is not None:
            self.narrow(ApiKnowledge(call.shows(result)))
        return result

    def report_verdict(self, verdict: object) -> None:
        """Logs a policy's verdict that is neither yes, no nor nothing, and so is a no; once, as it may be every one."""
        if not (verdict is None or isinstance(verdict, bool)) and not self._has_reported_verdict:
            self._has_reported_verdict = True
            self.settings.logger.warning(
                "The permission policy returned %.80s, which denies: a verdict is True, False or None.", repr(verdict)
            )

    def _mention_path(self, error: errors.MixResponseError) -> None:
        """Says first in the error for a missing route that the path of the server's URL may be too much."""
        root = self.settings.server.removesuffix(urlsplit(self.settings.server).path)
        if is_unrouted(error) and root != self.settings.server:
            error.hint = (
                f"Leave the path out of the URL: {root}. With a proxy that needs it, the generation may lack this."
            )

    def _hide_own_secrets(self, error: errors.MixResponseError, options: CallOptions) -> None:
        """Takes out of an error what a proxy echoes of the credentials that it was sent."""
        for secret in secrets_of(self.settings.headers) + secrets_of(options.http_headers or {}):
            error.headers = {name: value.replace(secret, HIDDEN) for name, value in error.headers.items()}
            if secret in error.body or secret in error.message:
                error.message = error.message.replace(secret, HIDDEN)
                error.body = error.body.replace(secret, HIDDEN)
                error.args = (error.message, *error.args[1:])

    def request(
        self, client: httpx.Client | httpx.AsyncClient, call: Call[Any], options: CallOptions, *, stream: bool = False
    ) -> httpx.Request:
        """Makes the request for a call.

        Args:
            client: The HTTP client that will send it.
            call: The call.
            options: How this one is sent.
            stream: True for a call that opens an event stream.

        Returns:
            The request.

        Raises:
            MixConfigurationError: Its headers or its URL cannot be sent.
        """
        headers = {
            "User-Agent": f"langchain-mix/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": _ACCEPTED_ENCODINGS,
            **self.settings.headers,
            **dict(call.headers),
        }
        if stream:
            headers |= _STREAM_HEADERS
        if options.http_headers:
            headers |= check_headers(options.http_headers)
        payload: dict[str, Any] = {}
        if call.upload is not None:
            part = call.upload
            payload["files"] = {"file": (part.name, part.content, part.content_type)}
        elif call.body is not None:
            payload["json"] = call.body
        try:
            request = client.build_request(
                call.method,
                _url(self.settings.server, call.path),
                params=dict(call.query) or None,
                headers=headers,
                timeout=timeout_of(call, options, self.settings.timeout),
                **payload,
            )
            if call.upload is not None and isinstance(call.upload.content, bytes):
                request.read()  # One piece instead of three: each is a system call, and wakes the server.
        except (httpx.InvalidURL, ValueError, TypeError) as problem:
            # What it says may quote what it could not read.
            raise errors.MixConfigurationError(
                f"{call} cannot be sent: its URL or its body is nothing that HTTP takes ({type(problem).__name__})."
            ) from None
        return request

    def extend_read_timeout(self, request: httpx.Request, liveness: float | None) -> float:
        """Allows a stream whose head has arrived to be silent for longer; the head itself comes at once or not at all.

        httpx reads this mapping again when it reads the body.

        Returns:
            Seconds without a byte after which the stream is dead.
        """
        seconds: float = liveness or self.settings.liveness
        request.extensions["timeout"]["read"] = seconds
        return seconds

    @staticmethod
    def is_stream(response: httpx.Response) -> bool:
        """Returns True if the head of an answer says that it is an event stream."""
        return response.status_code == HTTPStatus.OK and "event-stream" in response.headers.get("content-type", "")

    @staticmethod
    def refused_stream(call: Call[Any], reply: Reply) -> Outcome:
        """Reads an answer that is no event stream: an error, or a reply that may be worth another attempt."""
        if reply.status != HTTPStatus.OK:
            return reply
        error = error_from(call, reply)
        kind = reply.headers.get("content-type") or "nothing"
        error.message = f"The server answered with {kind}, not with events."
        return error

    @staticmethod
    def size_of(response: httpx.Response) -> int | None:
        """Returns the size in bytes of a body that is still to be read; None if the head does not say it."""
        length = response.headers.get("content-length", "")
        plain = not response.headers.get("content-encoding")
        return int(length) if plain and length.isascii() and length.isdigit() else None

    def log_request(self, call: Call[Any], request: httpx.Request) -> None:
        """Logs a request without its secrets: only values that are known to be harmless."""
        if not self.settings.logger.isEnabledFor(logging.DEBUG):
            return
        shown = shown_headers(request.headers)
        body: Any = HIDDEN if call.secret else shown_body(call.body)
        if call.upload is not None:
            body = f"<file {call.upload.name!r}>"
        self.settings.logger.debug("-> %s %s headers=%s body=%s", call, dict(call.query), shown, body)

    def body_of(self, call: Call[Any], response: httpx.Response) -> Body:
        """Makes the reader of an answer's body. A file may be of any size, all else may not.

        Raises:
            MixReplyTooLarge: The head says that it is too large.
        """
        success = response.status_code in call.statuses
        limit = None if success and call.is_file else self.settings.max_reply_bytes
        acted: errors.Acted = "no" if call.idempotent else "yes" if success else "unknown"
        return Body(response.headers, limit, sent=str(call), acted=acted)

    def log_reply(self, call: Call[Any], reply: Reply) -> None:
        """Logs a reply: status and size, never the body."""
        self.settings.logger.debug("<- %s %d, %d bytes", call, reply.status, len(reply.body))


def _is_worth_another(call: Call[Any], outcome: Outcome, policy: RetryConfig) -> bool:
    if not call.idempotent:
        # What got no connection in time was not sent; a busy moment of this process passes.
        unsent = isinstance(outcome, errors.MixError) and isinstance(outcome.original, _NO_CONNECTION_YET)
        return policy.retry_connection_errors and unsent
    if isinstance(outcome, errors.MixError):
        return policy.retry_connection_errors and isinstance(outcome, errors.MixNetworkError)
    return outcome.status in RETRIED_STATUSES and not is_refusal(outcome)


def _is_over(until: float | None, wait: float) -> bool:
    return until is not None and time.monotonic() + wait >= until


def reply_of(response: httpx.Response, body: bytes) -> Reply:
    """Makes the reply of an answer whose body has arrived."""
    return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)


def head_of(response: httpx.Response) -> Reply:
    """Makes the reply of an answer whose body is read elsewhere."""
    return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, b"")


class Body:
    """Decompresses the body of one answer piece by piece and keeps it within a limit. Feed it, then `finish`.

    zlib takes a limit for what it returns, so that a small answer cannot fill the memory.
    """

    def __init__(self, headers: Mapping[str, str], limit: int | None, *, sent: str, acted: errors.Acted) -> None:
        """Reads the head.

        Args:
            headers: Those of the answer.
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
        self._inflater: Any = None  # None also for an encoding that was not requested: what arrives is the body.
        if encoding in {"gzip", "x-gzip", "deflate"}:
            self._inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
        length = headers.get("content-length", "")
        if self._inflater is None and length.isascii() and length.isdigit():
            self.check(int(length))
        self._raw = encoding == "deflate"  # Some servers leave the header of zlib out.
        self._fed = False

    def feed(self, data: bytes) -> None:
        """Adds a piece as it arrived.

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
        """Compares a size with the limit.

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


def with_body(response: httpx.Response, body: bytes) -> httpx.Response:
    """Returns an answer with its body, for users: that of the one that came over the wire was consumed."""
    # As bytes: names of files are not always ASCII.
    headers = [(k, v) for k, v in response.headers.raw if k.lower() not in {b"content-encoding", b"content-length"}]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=body,
        request=response.request,
        extensions={k: v for k, v in response.extensions.items() if k != "network_stream"},
    )


class EventBuffer:
    """Keeps what was read of an event stream until its own reader gets it; a sender may have needed it first.

    Attributes:
        events: The events that the reader of the stream has not got yet.
        terminal_events: The events that ended a turn, since the stream is shared.
        shared: True once a sender waits for events as well as the reader.
        connected: True once the server has said something.
        ended: True once the stream has ended.
    """

    def __init__(self) -> None:
        """Starts before the first event."""
        self.events: deque[Event] = deque()
        self.terminal_events: list[Event] = []
        self.shared = self.connected = self.ended = False

    def add(self, events: list[Event]) -> bool:
        """Adds the events of one piece; returns False if there are none."""
        if not events:
            return False
        self.connected = True
        self.events.extend(events)
        if self.shared:
            self.terminal_events += [event for event in events if type(event) in _TERMINAL_EVENTS]
        return True

    def abandon(self) -> None:
        """Ends at once: the events belong to another process."""
        self.events.clear()
        self.ended = True


class ConnectError(errors.MixConnectionError, httpx.ConnectError):
    """No connection to the server; nothing was sent."""


class ConnectionLost(errors.MixConnectionError, httpx.TransportError):
    """The connection broke while the request was under way."""


class RequestTimeout(errors.MixTimeoutError, httpx.TimeoutException):
    """The server did not answer in time."""


class BrokenStream(errors.MixStreamError, httpx.TransportError):
    """An event stream broke."""


class InvalidUrl(errors.MixConfigurationError, httpx.RequestError):
    """The URL cannot be requested."""


_KNOWN_WORDS: Final = frozenset(
    {
        "Server disconnected without sending a response.",
        "Server disconnected",
        "peer closed connection without sending complete message body (incomplete chunked read)",
        "timed out",
        "The read operation timed out",
        "The write operation timed out",
    }
)
_NO_TLS: Final = re.compile("WRONG_VERSION_NUMBER|wrong version number|record layer failure", re.IGNORECASE)
"""OpenSSL's words for an answer in plain HTTP."""
_PROXY_STATUS: Final = re.compile(r"\d{3}")


def failure_of(problem: Exception, *, sent: str, idempotent: bool, server: str) -> errors.MixError:
    """Makes the error for what httpx raised while a request was sent or its answer read.

    Args:
        problem: The exception.
        sent: Method and path of the request.
        idempotent: Whether the request may be sent again without harm.
        server: The server's base URL, without credentials.

    Returns:
        The error, still without its cause.
    """
    words = quotable_words(problem)
    again = "It can be sent again." if idempotent else "Read the server's state before you send it again."
    error: errors.MixError
    if _is_bad_redirect(problem):
        return errors.MixDefaultError(
            "The server answered with a redirect to an address (Location) that cannot be read.",
            sent=sent,
            acted="no",
            hint="Check the URL: a redirect is no answer of a Mix server.",
        )
    if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        hint = f"Is a Mix server running at {server}? `langchain-mix serve` starts one for development."
        if proxy := proxy_variable(server):
            hint = f"{proxy} names a proxy for it: is that running? Or add the host to no_proxy. {hint}"
        if server.startswith("https://") and _NO_TLS.search(words):
            hint = f"It does not speak TLS; try http://{server.removeprefix('https://')}"
        error = ConnectError(f"No connection to {server}: {words}", sent=sent, hint=hint)
    elif isinstance(problem, httpx.TimeoutException):
        error = RequestTimeout(f"No answer in time: {words}", sent=sent, acted="unknown", hint=again)
    elif isinstance(problem, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        error = InvalidUrl(f"The request cannot be made: {words}.", sent=sent, hint="Check the URL and the headers.")
    elif isinstance(problem, httpx.DecodingError | httpx.TooManyRedirects):
        error = errors.MixNotAServerError(f"The answer cannot be read: {words}", sent=sent, acted="unknown", hint=again)
    else:
        error = ConnectionLost(f"The connection broke: {words}", sent=sent, acted="unknown", hint=again)
    if isinstance(problem, httpx.RequestError) and isinstance(error, httpx.RequestError):
        error.request = _request_of(problem)
    return error


def _is_bad_redirect(problem: Exception) -> bool:
    """True where httpx cannot read a Location, which it does though no redirect is followed.

    The URL of a request is read when the request is made, before any of this.
    """
    invalid = isinstance(problem, httpx.RemoteProtocolError) and str(problem).startswith("Invalid URL in location")
    return invalid or isinstance(problem, httpx.InvalidURL)


def not_sent_in_time(sent: str) -> errors.MixTimeoutError:
    """Makes the error for a request for which no time was left.

    Args:
        sent: Method and path of the request.
    """
    return RequestTimeout("The time allowed was over before this was sent.", sent=sent, acted="no")


def broken_stream(problem: BaseException | None, *, sent: str) -> errors.MixStreamError:
    """Makes the error for an event stream that ended or broke."""
    if problem is None:
        return BrokenStream("The server closed the event stream.", sent=sent)
    if isinstance(problem, httpx.TimeoutException):
        return BrokenStream("Nothing came on the event stream for too long, not even a heartbeat.", sent=sent)
    return BrokenStream(f"The event stream broke: {quotable_words(problem)}", sent=sent)


def original_of(problem: BaseException) -> BaseException | None:
    """Returns the exception that an error keeps as its original; None if it quotes what may be a secret."""
    harmless = isinstance(problem, httpx.TimeoutException | TimeoutError) or quotable_words(problem) == str(problem)
    return problem if harmless else None


def quotable_words(problem: BaseException) -> str:
    """Returns the words of a foreign exception if they are the operating system's or httpx's own, else its type.

    Others quote what they could not read, which may be a key, a password or a reply that echoes one.
    """
    text = str(problem)
    if text in _KNOWN_WORDS or (text and isinstance(problem, httpx.ConnectError | httpx.ReadError | httpx.WriteError)):
        return text
    status = _PROXY_STATUS.match(text) if isinstance(problem, httpx.ProxyError) else None
    return f"the proxy answered {status[0]}" if status else type(problem).__name__


def inherited_stream(sent: str) -> errors.MixStreamError:
    """Makes the error for an event stream that is read on in a forked process."""
    return BrokenStream(
        "The event stream was opened by the process that this one was forked from, which reads it on.",
        sent=sent,
        hint="Open a stream in this process.",
    )


def inherited_client(name: str) -> errors.MixConfigurationError:
    """Makes the error for a user's HTTP client that was used before the process was forked.

    Args:
        name: The option that passed it.
    """
    return errors.MixConfigurationError(
        f"The HTTP client passed as `{name}` was used before this process was forked: both processes would read the "
        "same connections.",
        hint=f"Make it, and what it is passed to, in the forked process (gunicorn: `post_fork`; Celery: "
        f"`worker_process_init`), or leave `{name}` out: connections of this package start afresh after a fork.",
    )


def inherited_turn() -> errors.MixUsageError:
    """Makes the error for a turn that is read on in a forked process."""
    return errors.MixUsageError(
        "The turn was begun by the process that this one was forked from, which goes on with it.",
        hint="Begin turns of this process in this process.",
    )


def _request_of(problem: httpx.RequestError) -> Any:
    try:
        return problem.request
    except RuntimeError:  # httpx: the exception was raised before there was a request.
        return None
