"""Settings of a client and options of single operations and calls, read and checked before anything is sent.

Owns: options and environment variables. Refuses to know: how requests are sent.
"""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypedDict

import httpx

from langchain_mix import errors
from langchain_mix.client.credentials import check_headers, split_url
from langchain_mix.client.types import Unset, given
from langchain_mix.protocol.api import UNKNOWN, ApiKnowledge, parse_api
from langchain_mix.protocol.retry import RetryConfig

DEFAULT_URL: Final = "http://localhost:8088"
"""The address of the server in every example of the Mix documentation."""

CONNECT_TIMEOUT: Final = 5.0
REQUEST_TIMEOUT: Final = 30.0
TURN_TIMEOUT: Final = 660.0
"""Mix cuts every answer after 10 minutes; waiting a minute longer brings nothing."""

ANSWER_LIMIT: Final = TURN_TIMEOUT
"""Seconds that the body of an answer may take, however steadily it comes. Downloads may take any time."""

MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
"""Far more than any listing of Mix; a server may compress a thousandfold what a client has to hold."""

LIVENESS: Final = 100.0
"""Heartbeats come every 45 seconds; after two of them and some more the stream is dead."""

STALL: Final = 660.0
"""Seconds in which a running turn brings nothing but heartbeats, after which it is given up.

Mix: turns that a restart of the server has orphaned look as if they ran for ever, and the server sends heartbeats all
the same. A turn that is alive is not silent for that long: a tool runs for 600 s at most (Bash), and the waits between
attempts at a provider add up to about 610 s.
"""


class RequestOptions(TypedDict, total=False):
    """Options of the requests of one operation; every operation takes these as keyword arguments.

    Attributes:
        retries: When a request is sent again; None for the client's policy. Whatever it says, only requests that do no
            more when sent twice are.
        timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
        http_headers: Headers to add to every request of the operation.
        server_url: The base URL of the server that this one operation talks to; None for the client's. What is learned
            of one server is never believed of another. The client's own headers and the credentials in its URL go to
            its own origin (scheme, host and port) alone: another server gets `http_headers` and the credentials in
            this URL.
    """

    retries: RetryConfig | Unset | None
    timeout_ms: int | None
    http_headers: Mapping[str, str] | None
    server_url: str | None


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Options of one call.

    Attributes:
        retries: The retry policy, or None for the client's.
        timeout_ms: Time without progress after which it fails, in milliseconds, or None for the client's. The head
            of an answer must be there within it.
        http_headers: Headers to add.
        until: When everything must be over, on the monotonic clock in seconds, or None for any time. It holds for all
            attempts, the pauses between them, and answers that trickle.
    """

    retries: RetryConfig | None = None
    timeout_ms: int | None = None
    http_headers: Mapping[str, str] | None = field(default=None, repr=False)
    until: float | None = None

    def overridden_by(self, inner: CallOptions) -> CallOptions:
        """Returns these options of an operation with those of one of its requests, which count more."""
        return CallOptions(
            inner.retries or self.retries,
            inner.timeout_ms if inner.timeout_ms is not None else self.timeout_ms,
            {**(self.http_headers or {}), **(inner.http_headers or {})} or None,
            inner.until if inner.until is not None else self.until,
        )


DEFAULT_OPTIONS: Final = CallOptions()


def read_request_options(options: RequestOptions) -> CallOptions:
    """Reads the keyword arguments of an operation, `server_url` aside.

    Raises:
        TypeError: There is an option that no operation has.
    """
    # Python checks the names of keyword arguments only where they are written out.
    unknown = sorted(options.keys() - RequestOptions.__annotations__.keys())
    if unknown:
        raise TypeError(
            f"unexpected keyword argument {unknown[0]!r}; apart from its own, an operation takes "
            f"{', '.join(RequestOptions.__annotations__)}"
        )
    return CallOptions(given(options.get("retries")), options.get("timeout_ms"), options.get("http_headers"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a client for its server.

    Attributes:
        url: The base URL, without a slash at its end.
        retry: The retry policy.
        timeout: Seconds without progress after which a request fails.
        liveness: Seconds without a byte after which an event stream is dead.
        stall: Seconds of nothing but heartbeats after which a running turn is given up.
        headers: Headers of every request.
        max_reply_bytes: Bytes that an answer may have after decompression, downloads and event streams aside.
        logger: Where requests are logged at DEBUG level.
        detected: The generations the server may be.
        server: The base URL, for messages. It holds no credentials.
    """

    url: httpx.URL
    retry: RetryConfig = field(default_factory=RetryConfig)
    timeout: float = REQUEST_TIMEOUT
    liveness: float = LIVENESS
    stall: float = STALL
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_reply_bytes: int = MAX_REPLY_BYTES
    logger: logging.Logger
    detected: ApiKnowledge = UNKNOWN
    server: str = field(init=False)

    def __post_init__(self) -> None:
        """Writes the base URL out once."""
        object.__setattr__(self, "server", str(self.url).rstrip("/"))


def read_settings(
    *,
    server_url: str | None,
    url_params: Mapping[str, str] | None,
    server_idx: int | None,
    retry_config: RetryConfig | None,
    timeout_ms: int | None,
    debug_logger: logging.Logger | None,
    headers: Mapping[str, str] | None,
    api: str,
    max_reply_bytes: int | None = None,
) -> Settings:
    """Checks the arguments of `Mix`, which are described there, and adds what the environment says.

    Raises:
        MixConfigurationError: Something of it cannot work.
    """
    if server_idx not in {None, 0}:
        raise errors.MixConfigurationError(f"server_idx={server_idx}: there is one documented server, with index 0.")
    if timeout_ms is not None and timeout_ms <= 0:
        raise errors.MixConfigurationError(f"timeout_ms={timeout_ms} must be above 0.")
    if max_reply_bytes is not None and max_reply_bytes <= 0:
        raise errors.MixConfigurationError(f"max_reply_bytes={max_reply_bytes} must be above 0.")
    version = parse_api(api)
    url, credentials = _read_url(server_url or os.environ.get("MIX_SERVER_URL") or DEFAULT_URL, url_params or {})
    return Settings(
        url=url,
        retry=retry_config or RetryConfig(),
        timeout=timeout_ms / 1000 if timeout_ms is not None else REQUEST_TIMEOUT,
        headers=credentials | check_headers(headers or {}),
        logger=debug_logger or default_logger(),
        detected=UNKNOWN if version is None else ApiKnowledge([version]),
        max_reply_bytes=MAX_REPLY_BYTES if max_reply_bytes is None else max_reply_bytes,
    )


def settings_for(settings: Settings, server_url: str) -> Settings:
    """Returns the settings of a client for another server than its own.

    Returns:
        The same settings without what is known of the first server; without its headers too, which may hold secrets,
        unless both have one origin. `settings` itself if this is the same server.

    Raises:
        MixConfigurationError: The URL is malformed.
    """
    url, credentials = _read_url(server_url, {})
    if url == settings.url and not credentials:
        return settings
    headers = settings.headers if _origin(url) == _origin(settings.url) else {}
    return replace(settings, url=url, headers={**headers, **credentials}, detected=UNKNOWN)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _read_url(text: str, params: Mapping[str, str]) -> tuple[httpx.URL, dict[str, str]]:
    """Reads a base URL: without its credentials, and these as headers.

    A header instead of a part of the URL, which would be in every log and error.
    """
    try:
        filled = text.format(**params) if params else text
    except (KeyError, IndexError, ValueError):
        raise errors.MixConfigurationError(
            "The server URL has a part in braces for which `url_params` has no value."
        ) from None
    bare, credentials = split_url(filled)
    try:
        url = httpx.URL(bare.rstrip("/"))
    except httpx.InvalidURL:
        raise errors.MixConfigurationError(
            "The server URL has a host that cannot be read.", hint="Write it like 'http://localhost:8088'."
        ) from None
    if not credentials:
        return url, {}
    return url, {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


def default_logger() -> logging.Logger:
    """Returns the logger of a client that is given none."""
    logger = logging.getLogger("langchain_mix")
    if os.environ.get("MIX_DEBUG", "").lower() in {"1", "true", "yes", "on"}:
        logger.setLevel(logging.DEBUG)
        if not logger.handlers:
            logger.addHandler(logging.StreamHandler())
    return logger
