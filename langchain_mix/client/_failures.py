"""Turns exceptions of httpx into errors of this package; makes those for what a forked process inherited.

Owns: whose fault a failure is, whether the server acted, and what may be quoted of it. Refuses to know: what is done
about it.

The documentation of Mix has users catch `httpx.ConnectError`, `httpx.TimeoutException` and `httpx.RequestError`,
so the errors of failed requests are those too.
"""

from __future__ import annotations

import re
from typing import Any, Final

import httpx

from langchain_mix import errors
from langchain_mix.client.httpclient import proxy_variable

FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
"""Raised by httpx when a request cannot be made, sent or answered."""


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

    The server is named by its base URL without credentials. The caller sets the error's `original` and its cause.
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
    """True where httpx cannot parse a Location, which it does even when redirects are not followed.

    The URL of a request is read when the request is made, before any of this.
    """
    invalid = isinstance(problem, httpx.RemoteProtocolError) and str(problem).startswith("Invalid URL in location")
    return invalid or isinstance(problem, httpx.InvalidURL)


def not_sent_in_time(sent: str) -> errors.MixTimeoutError:
    """Makes the error for a request for which no time was left."""
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
    """Makes the error for a user's HTTP client, named by its option, that was used before the process was forked."""
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
