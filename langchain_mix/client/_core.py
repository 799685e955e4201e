"""What both shells share: a call becomes a request, an answer a reply, and what they show of the server is remembered.

Owns: requests, headers, logging, what is known of the server, and the decision what to do after an attempt.
Refuses to know: how anything is sent or waited for (`_sync.py`, `_async.py`).
"""

from __future__ import annotations

import logging
import random
import threading
import time
import weakref
from collections.abc import Generator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx

from langchain_mix import errors, forking
from langchain_mix._version import __version__
from langchain_mix.client._bodies import ACCEPTED_ENCODINGS, Body
from langchain_mix.client._deadlines import left
from langchain_mix.client._failures import too_late
from langchain_mix.client._settings import (
    CONNECT_TIMEOUT,
    DEFAULT_OPTIONS,
    TURN_TIMEOUT,
    CallOptions,
    Settings,
    settings_for,
)
from langchain_mix.client.credentials import HIDDEN, check_headers, secrets_of, shown_body, shown_headers
from langchain_mix.protocol.api import ApiKnowledge, ServerApi
from langchain_mix.protocol.call import Call, Reply, error_from, is_refusal
from langchain_mix.protocol.retry import RETRIED_STATUSES, RetryConfig, next_wait, retry_after

T = TypeVar("T")

Outcome = Reply | errors.MixError
"""How an attempt went."""

_QUEUE_TIMEOUT: Final = 120.0
_SHORTEST: Final = 0.001
_SERVERS: Final = 256
"""Servers of which a client knows more than the URL. To forget one costs its next call a question."""

_NO_CONNECTION_YET: Final = (httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Send the call now and answer with its reply or its error."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait this many seconds."""

    seconds: float


class Core:
    """A client's settings and what it has learned of its server. Safe to share between threads and event loops."""

    def __init__(self, settings: Settings) -> None:
        """Starts with what the settings say of the server."""
        self.settings = settings
        self.server_api = ServerApi(settings.detected)
        self._lock = threading.Lock()
        self._others: dict[str, Core] = {}
        self._listening: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        forking.renew_in_child(self._renew)

    def _renew(self) -> None:
        # What was learned of the server holds in a child too; the streams are those of the parent.
        self._lock, self._listening = threading.Lock(), weakref.WeakKeyDictionary()

    def of_server(self, server_url: str | None) -> Core:
        """Returns the core of the server at this URL: this client's settings, and knowledge of that server's own.

        Args:
            server_url: The base URL; None for this client's server.

        Returns:
            The core, the same one for the same URL, so that what one call has learned of it serves the next.

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

    def listen(self, session_id: str, stream: Any) -> None:
        """Remembers an event stream that a user has opened."""
        with self._lock:
            self._listening[stream] = session_id

    def listening(self, session_id: str) -> list[Any]:
        """Returns the event streams of a session that users of this client hold open, in this process.

        Mix 0.5: each of them runs a message that is written to the session's streams as a turn of its own.
        """
        with self._lock:
            streams = list(self._listening.items())
        return [s for s, held in streams if held == session_id and not s.response.is_closed]

    def narrow(self, detected: ApiKnowledge, assumed: ApiKnowledge | None = None) -> None:
        """Takes what was seen of the server, unless that is what was assumed. What a user has said of it stays."""
        if len(self.settings.detected) > 1 and detected != assumed:
            with self._lock:
                self.server_api.detected = self.server_api.detected.narrow(detected)

    def sending(self, call: Call[T], options: CallOptions) -> Generator[Attempt | Wait, Outcome | None, T]:
        """Decides how often a call is sent: the same for both shells.

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
            raise too_late(str(call))
        while True:
            outcome = yield Attempt()
            attempt += 1
            wait = None
            if outcome is not None and _is_worth_another(call, outcome, policy):
                wait = next_wait(
                    policy,
                    attempt=attempt,
                    elapsed=time.monotonic() - started,
                    asked=retry_after(outcome.headers, time.time()),
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
            MixError: It is one, or stands for one.
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
            if call.refusal_shows is not None:
                self.narrow(ApiKnowledge(call.refusal_shows(error)))
            raise
        if call.shows is not None:
            self.narrow(ApiKnowledge(call.shows(result)))
        return result

    def _hide_own_secrets(self, error: errors.MixResponseError, options: CallOptions) -> None:
        """Takes out of an error what a proxy echoes of the credentials that it was sent."""
        for secret in secrets_of(self.settings.headers) + secrets_of(options.http_headers or {}):
            error.headers = {name: value.replace(secret, HIDDEN) for name, value in error.headers.items()}
            if secret in error.body or secret in error.message:
                error.message = error.message.replace(secret, HIDDEN)
                error.body = error.body.replace(secret, HIDDEN)
                error.args = (error.message, *error.args[1:])

    def request(self, client: httpx.Client | httpx.AsyncClient, call: Call[Any], options: CallOptions) -> httpx.Request:
        """Makes the request for a call.

        Raises:
            MixConfigurationError: Its headers or its URL cannot be sent.
        """
        headers = {
            "User-Agent": f"langchain-mix/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED_ENCODINGS,
            **self.settings.headers,
            **dict(call.headers),
        }
        headers |= check_headers(options.http_headers or {})
        seconds = options.timeout_ms / 1000 if options.timeout_ms is not None else self.settings.timeout
        if call.patient and options.timeout_ms is None:
            seconds = max(seconds, TURN_TIMEOUT)
        if options.until is not None:
            seconds = min(seconds, max(options.until - time.monotonic(), _SHORTEST))
        payload: dict[str, Any] = {}
        if call.upload is not None:
            part = call.upload
            payload["files"] = {"file": (part.name, part.content, part.content_type)}
        elif call.body is not None:
            payload["json"] = call.body
        try:
            return client.build_request(
                call.method,
                str(self.settings.url) + call.path,
                params=dict(call.query) or None,
                headers=headers,
                timeout=httpx.Timeout(
                    seconds, connect=min(CONNECT_TIMEOUT, seconds), pool=self._queue(seconds, options)
                ),
                **payload,
            )
        except (httpx.InvalidURL, ValueError, TypeError) as problem:
            # What it says may quote what it could not read.
            raise errors.MixConfigurationError(
                f"{call} cannot be sent: its URL or its body is nothing that HTTP takes ({type(problem).__name__})."
            ) from None

    def stream_request(
        self,
        client: httpx.Client | httpx.AsyncClient,
        call: Call[Any],
        options: CallOptions,
    ) -> httpx.Request:
        """Makes the request that opens an event stream."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache, no-transform"}
        return self.request(client, call, replace(options, http_headers=headers | dict(options.http_headers or {})))

    def stay(self, request: httpx.Request, liveness: float | None) -> float:
        """Lets a stream whose head has arrived be silent for longer; the head itself comes at once or not at all.

        The HTTP library looks into this mapping again when the body is read.

        Returns:
            Seconds without a byte after which the stream is dead.
        """
        seconds: float = liveness or self.settings.liveness
        request.extensions["timeout"]["read"] = seconds
        return seconds

    @staticmethod
    def is_stream(response: httpx.Response) -> bool:
        """Whether an answer is an event stream, by its head."""
        return response.status_code == HTTPStatus.OK and "event-stream" in response.headers.get("content-type", "")

    @staticmethod
    def _queue(seconds: float, options: CallOptions) -> float:
        """How long a call may wait for one of the connections; a crowd waits longer than a server may take."""
        wait = seconds if options.timeout_ms is not None else max(seconds, _QUEUE_TIMEOUT)
        time_left = left(options.until)
        return wait if time_left is None else min(wait, max(time_left, _SHORTEST))

    @staticmethod
    def refused_stream(call: Call[Any], reply: Reply) -> Outcome:
        """What an answer that is no event stream means: an error at once, or a reply that may be worth another try."""
        if reply.status != HTTPStatus.OK:
            return reply
        error = error_from(call, reply)
        kind = reply.headers.get("content-type") or "nothing"
        error.message = f"The server answered with {kind}, not with events."
        return error

    @staticmethod
    def size_of(response: httpx.Response) -> int | None:
        """The size of a body that is still to be read, in bytes, if the server tells it."""
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
        """Returns what reads the body of an answer. A file may be of any size, all else may not.

        Raises:
            MixReplyTooLarge: It says that it is too large.
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
    """Reads an answer whose body has arrived."""
    return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)


def head_of(response: httpx.Response) -> Reply:
    """Reads an answer whose body goes elsewhere."""
    return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, b"")
