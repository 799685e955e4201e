"""Turns calls into HTTP requests and replies into results, and decides about retries: what both shells share.

Owns: requests, logging, what is known of the server, and the retry decision. Refuses to know: how anything is sent or
waited for (`_sync.py`, `_async.py`), how answers are read (`_replies.py`) and what failed (`_failures.py`).
"""

from __future__ import annotations

import logging
import random
import threading
import time
import weakref
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
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
from langchain_mix.client._failures import failure_of, not_sent_in_time, original_of
from langchain_mix.client._replies import Body, Outcome
from langchain_mix.client._timeouts import timeout_of
from langchain_mix.client.credentials import HIDDEN, check_headers, secrets_of, shown_body, shown_headers
from langchain_mix.protocol.api import ApiKnowledge, ServerApi
from langchain_mix.protocol.call import Call, Reply, is_refusal, is_unrouted
from langchain_mix.protocol.retry import RETRIED_STATUSES, RetryConfig, next_wait, retry_after

T = TypeVar("T")

_SERVERS: Final = 256
"""Servers of which a client remembers more than the URL. A forgotten one is only probed again."""

_NO_CONNECTION_YET: Final = (httpx.ConnectTimeout, httpx.PoolTimeout)

_ACCEPTED_ENCODINGS: Final = "gzip, deflate"
"""Only encodings of zlib: other libraries decompress a piece as a whole, which can give a thousand times its size."""

_STREAM_HEADERS: Final = {"Accept": "text/event-stream", "Cache-Control": "no-cache, no-transform"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """Asks the shell to send the call now; the shell sends back its reply or its error."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Asks the shell to wait for some seconds."""

    seconds: float


@lru_cache(maxsize=1024)
def _url(base: str, path: str) -> httpx.URL:
    """Parses a URL once: httpx takes a third of the time of a request for it, and the same few recur."""
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
            assumed: What the turn started from; if it equals `detected`, nothing is learned.
        """
        if len(self.settings.detected) > 1 and detected != assumed:
            with self._lock:
                self.server_api.detected = self.server_api.detected.narrow(detected)

    def sending(self, call: Call[T], options: CallOptions) -> Generator[Attempt | Wait, Outcome | None, T]:
        """Decides how often a call is sent, for both shells.

        Yields:
            `Attempt`, to be answered with the reply or the error, and `Wait`.

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

    def failure(self, call: Call[Any], problem: Exception) -> errors.MixError:
        """Makes the error for what the HTTP library raised over a call."""
        error = failure_of(problem, sent=str(call), idempotent=call.idempotent, server=self.settings.server)
        error.original = original_of(problem)
        return error

    def report_verdict(self, verdict: object) -> None:
        """Logs once that a policy's verdict is none of True, False and None, and so denies."""
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
