"""A request as a value, and the reply to it.

Owns: what a request is, the checks on its arguments, how ids become path segments, and how a reply becomes a result or
an error. Refuses to know: which endpoints exist (`calls/`) and how requests travel (`client/`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, lru_cache
from http import HTTPStatus
from typing import IO, Any, Final, Generic, Literal, TypeAlias, TypeVar, cast
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_snake

from langchain_mix import errors
from langchain_mix.errors import MixInputError, MixUnsupportedError
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiKnowledge, ApiVersion, Requirement

T = TypeVar("T")
E = TypeVar("E", bound=errors.MixError)

_BROKEN: Final = HTTPStatus.INTERNAL_SERVER_ERROR
"""The first of the statuses with which a server says that it failed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole answer to a call.

    Attributes:
        status: The HTTP status.
        headers: The headers, names in lower case.
        body: The body as received.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 show as U+FFFD."""
        return self.body.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file on its way to the server.

    Attributes:
        name: The name to send; the server may change it.
        content: The bytes, or an open binary file that is read while it is sent.
        content_type: Its media type.
    """

    name: str
    content: bytes | IO[bytes]
    content_type: str = "application/octet-stream"


_LOCATION: Final = re.compile(
    r"(?P<origin>(?:https?:)?//(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?=[/?#]|\Z))?"
    r"(?P<path>[A-Za-z0-9/._~%+-]{0,200})(?P<rest>[?#].*)?"
)
"""A redirect's target: never with a user name and a password, and with no path that is no plain one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request, not yet sent.

    Attributes:
        method: The HTTP method.
        segments: The path, one unencoded segment each.
        decode: Turns a successful reply into the result.
        query: Query parameters, in order.
        headers: Headers that belong to the request, such as conditions.
        body: What is sent as JSON, or None for no body.
        upload: The file that is sent as multipart form, or None.
        idempotent: Whether sending it twice does no more than sending it once. Only such calls are ever retried.
        statuses: The statuses that mean success.
        shows: What a result shows of the server's generation.
        recover: Turns a refusal that is a result after all into that result, and raises any other.
        refusal_shows: What a refusal shows of the server's generation.
        long_poll: The server may take as long as a whole turn to answer.
        secret: The body holds a credential and is never logged.
        is_file: A success is the content of a file, which may be of any size.
        requires: The capability without which a server has no such endpoint; None for those that all have.
    """

    method: str
    segments: tuple[str, ...]
    decode: Callable[[Reply], T]
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    upload: FilePart | None = None
    idempotent: bool = False
    statuses: tuple[int, ...] = (200,)
    shows: Callable[[T], Iterable[ApiVersion]] | None = None
    recover: Callable[[errors.MixResponseError], T] | None = None
    refusal_shows: Callable[[errors.MixResponseError], Iterable[ApiVersion]] | None = None
    long_poll: bool = False
    secret: bool = False
    is_file: bool = False
    requires: Requirement | None = None
    path: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Encodes the path once."""
        object.__setattr__(self, "path", "/" + "/".join(map(encode_segment, self.segments)))

    def __str__(self) -> str:
        """Returns method and path, as errors and logs show it."""
        return f"{self.method} {self.path}"

    def result(self, reply: Reply) -> T:
        """Reads the reply.

        Raises:
            ErrorResponse: The server refused or failed, in its own words; the subclass shows the status.
            MixDefaultError: The same without the server's JSON.
            ResponseValidationError: The server said yes, but in a form that cannot be read.
        """
        if reply.status in self.statuses:
            return self.decode(reply)
        error = error_from(self, reply)
        if self.recover is None:
            raise error
        return self.recover(error)


@dataclass(frozen=True, slots=True)
class Together:
    """Calls that need not wait for each other.

    Attributes:
        calls: The calls. Their results come back in this order.
    """

    calls: tuple[Call[Any], ...]


Flow: TypeAlias = Generator[Call[Any] | Together, Any, T]
"""Several calls in a row, and a result. A shell sends each yielded call and gives back its result or its error."""


def ask(call: Call[T]) -> Flow[T]:
    """Makes one call a step of a flow: `yield from` this gives its result."""
    result: T = yield call
    return result


def together(calls: Iterable[Call[T]]) -> Flow[list[T]]:
    """Makes several calls one step of a flow.

    The asynchronous shell sends them at the same time, the synchronous one in order. When one fails the others are
    cancelled or not sent, and its error is the step's. Only calls without effects should be sent this way.

    Returns:
        The flow; its result has theirs, in the order of the calls.
    """
    group = Together(tuple(calls))
    if not group.calls:
        return []
    results: list[T] = yield group
    return results


@lru_cache(maxsize=4096)
def encode_segment(segment: str) -> str:
    """Makes one path segment of an id or a file name; nothing in it can lead to another path.

    Args:
        segment: The id or the name as it is.

    Returns:
        The segment, percent-encoded; `.` and `..` too, which servers and proxies would otherwise resolve.

    Raises:
        MixInputError: It is empty, which would address another resource, or no valid text.
    """
    if not segment:
        raise errors.MixInputError("An id or a name in the path of a request is empty.", hint="Pass the id itself.")
    try:
        encoded = quote(segment, safe="")
    except UnicodeEncodeError:
        raise errors.MixInputError(f"{segment!r} is no valid text (lone surrogate).") from None
    return encoded.replace(".", "%2E") if not segment.strip(".") else encoded


def json_as(adapter: TypeAdapter[T]) -> Callable[[Reply], T]:
    """Makes a decoder that validates the JSON body with `adapter` and raises `ResponseValidationError`."""

    def decode(reply: Reply) -> T:
        try:
            # Invalid UTF-8 is shown as U+FFFD rather than refused: one odd byte in a text must not cost the reply.
            return adapter.validate_json(reply.text)
        except ValidationError as problem:
            if _is_page(reply):
                raise _page(reply) from None
            first = problem.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            raise _describe(
                errors.ResponseValidationError(
                    f"The server answered {reply.status} with a body this client cannot read: {where}: {first['msg']}.",
                    acted="yes",
                    hint="The whole body is in `.body`. If the server is newer than this client, update langchain-mix.",
                ),
                reply,
            ) from None

    return decode


def nothing(_: Reply) -> None:
    """Decodes replies without content."""


def content(reply: Reply) -> bytes:
    """Decodes replies whose body is the result."""
    return reply.body


def head(reply: Reply) -> Reply:
    """Decodes replies whose body goes elsewhere: the status and the headers are the result."""
    return reply


def error_from(call: Call[Any], reply: Reply) -> errors.MixResponseError:
    """Returns the error for an unsuccessful reply.

    Returns:
        An `ErrorResponse` (by status one of its subclasses) for the server's JSON errors, else a `MixDefaultError`.
    """
    if (data := _envelope(reply)) is not None:
        kind, hint = _kind_of(data.error, reply.status)
        refused = kind is not errors.MixInternalError or names_browser_mode(reply.text)
        acted: errors.Acted = "no" if call.idempotent or refused else "unknown"
        if acted == "unknown":
            hint = hint or "Read the server's state before you send it again."
        error: errors.MixResponseError = kind(data.error.message, sent=str(call), acted=acted, hint=hint, data=data)
        return _describe(error, reply)
    refused = HTTPStatus.MULTIPLE_CHOICES <= reply.status < _BROKEN or _refuses_in_plain_text(reply)
    refused = refused or names_browser_mode(reply.text)
    acted = "no" if call.idempotent or refused else "unknown"
    if _is_page(reply):
        error = _page(reply)
        error.sent, error.acted = str(call), acted
    else:
        words = " ".join(reply.text.split())[:200] or "an empty body"
        hint = "This server has no such operation; its generation may lack it." if is_unrouted(reply) else ""
        if reply.status < HTTPStatus.BAD_REQUEST:
            hint = "Check the URL: a redirect or an unexpected success is no answer of a Mix server."
        if target := _location(reply):
            words = f"a redirect to {target}"
        error = errors.MixDefaultError(
            f"The server answered {reply.status}: {words}", sent=str(call), acted=acted, hint=hint
        )
    return _describe(error, reply)


def _location(reply: Reply) -> str:
    """Returns where a redirect leads, without what may be a secret in it; empty if it is none."""
    text = reply.headers.get("location", "")
    if not text or not HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
        return ""
    match = _LOCATION.fullmatch(text)
    if match is None:
        return "an address that cannot be read"
    return f"{match['origin'] or ''}{match['path']}" + ("?…" if match["rest"] else "")


def _is_page(reply: Reply) -> bool:
    start = reply.text.lstrip()[:9].lower()
    return "html" in reply.headers.get("content-type", "") or start.startswith(("<!doctype", "<html"))


def _page(reply: Reply) -> errors.MixNotAServerError:
    error = errors.MixNotAServerError(
        f"A web page came back with status {reply.status}, not an answer of a Mix server.",
        acted="unknown",
        hint="Check the URL and whether there is a proxy in between.",
    )
    return _describe(error, reply)


def is_unrouted(reply: Reply | errors.MixError) -> bool:
    """Returns True for the router's own answer to a path or a method that has no route, whatever its status.

    Mix answers requests for a missing resource in JSON instead.
    """
    text = reply.text if isinstance(reply, Reply) else reply.body
    return text.strip() in _UNROUTED and not isinstance(reply, errors.MixNotAServerError)


def is_refusal(reply: Reply) -> bool:
    """Returns True when the body of an unsuccessful reply says that the request was refused, whatever the status.

    Such a request was not carried out, and sending it again would be refused again.
    """
    data = _envelope(reply)
    if data is not None:
        return _kind_by_words(data.error) not in {None, errors.MixInternalError}
    return _refuses_in_plain_text(reply)


def _refuses_in_plain_text(reply: Reply) -> bool:
    return is_unrouted(reply) or reply.text.strip() in _PLAIN_REFUSALS


def _envelope(reply: Reply) -> errors.ErrorResponseData | None:
    try:
        payload = json.loads(reply.text)
    except (ValueError, RecursionError):
        return None
    inner = payload.get("error") if isinstance(payload, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("message"), str):
        return None
    code = inner.get("code")
    return errors.ErrorResponseData(
        errors.RESTError(code if isinstance(code, int) else reply.status, inner["message"], str(inner.get("type", "")))
    )


def _kind_of(error: errors.RESTError, status: int) -> tuple[type[errors.ErrorResponse], str]:
    kind = _kind_by_words(error) or _KIND_BY_STATUS.get(status)
    if kind is None:
        kind = errors.MixBadRequestError if status < _BROKEN else errors.MixInternalError
    if kind is errors.MixAuthenticationError:
        return kind, "Store a provider key with `mix.authentication.store_api_key(...)`."
    if "json: unknown field" in error.message:
        return kind, "The server is older than this field; pass `api=` the server's generation."
    if demands_browser_mode(error.message):
        return kind, "This server is of API 0.8 or later: pass `browser_mode`, or leave `api=` out."
    return kind, ""


def _kind_by_words(error: errors.RESTError) -> type[errors.ErrorResponse] | None:
    """Returns the kind that the body names. Statuses differ between servers for the same refusal; the words do not."""
    if "no rows in result set" in error.message and "agent processing" not in error.message:
        return errors.MixNotFoundError  # Mix 0.6.5 and 0.8 report an unknown session as a failure of SQL.
    if error.type in _KIND_BY_TYPE:
        return _KIND_BY_TYPE[error.type]
    if _REFUSING_TYPE.search(error.type):
        return errors.MixBadRequestError
    if _FAILING_TYPE.search(error.type):
        return errors.MixInternalError
    return next((kind for pattern, kind in _KIND_BY_PATTERN if pattern.search(error.message)), None)


def names_browser_mode(text: str) -> bool:
    """Returns True when a refusal, however a proxy has wrapped or reworded it, names the field `browserMode`.

    Nothing but the creation of a session has it, and it is checked before anything is created.
    """
    return _BROWSER_MODE.search(text) is not None


def demands_browser_mode(text: str) -> bool:
    """Returns True for the refusal of a session without a valid `browserMode` (Mix 0.8: status 400).

    Servers before Mix 0.8 name the field too, as one that they do not know.
    """
    return names_browser_mode(text) and "unknown field" not in text


def _describe(error: E, reply: Reply) -> E:
    error.status_code = reply.status
    error.headers = {k: "<hidden>" if k in _HIDDEN else v for k, v in reply.headers.items()}
    error.body = reply.text
    return error


_BROWSER_MODE: Final = re.compile(r"browser[_ -]?mode", re.IGNORECASE)
_UNROUTED: Final = frozenset({"404 page not found", "Method Not Allowed"})
_PLAIN_REFUSALS: Final = frozenset(
    {
        "Cannot serve directory",
        "Invalid JSON in request body",
        "Invalid filename",
        "Method not allowed",
        "Missing content parameter",
        "Notification not found or already responded",
        "Only POST method allowed",
        "Thumbnails only supported for video and image files",
    }
)
"""Mix: refusals of single handlers that are no JSON."""

_KIND_BY_TYPE: Final[Mapping[str, type[errors.ErrorResponse]]] = {
    "validation_error": errors.MixBadRequestError,
    "bad_request": errors.MixBadRequestError,
    "not_found": errors.MixNotFoundError,
    "unauthorized": errors.MixAuthenticationError,
    "internal_error": errors.MixInternalError,
}
# Mix: credentials, preferences and tools name their errors in capitals; the set is open.
_REFUSING_TYPE: Final = re.compile(r"^(INVALID|MISSING|METHOD_NOT)_|_NOT_SUPPORTED$|^OAUTH_ERROR$")
_FAILING_TYPE: Final = re.compile(r"^[A-Z_]+_(ERROR|UNAVAILABLE)$")
_KIND_BY_PATTERN: Final[tuple[tuple[re.Pattern[str], type[errors.ErrorResponse]], ...]] = (
    (re.compile(r"^Validation error for field '"), errors.MixBadRequestError),
    (re.compile(r"^Internal error during "), errors.MixInternalError),
    (re.compile(r"^\w+ with ID '.*' not found$|^Command '.*' not found\. ", re.DOTALL), errors.MixNotFoundError),
)
"""For types outside of the documented set."""

_KIND_BY_STATUS: Final[Mapping[int, type[errors.ErrorResponse]]] = {
    HTTPStatus.NOT_FOUND: errors.MixNotFoundError,
    HTTPStatus.UNAUTHORIZED: errors.MixAuthenticationError,
}
_HIDDEN: Final = frozenset({"set-cookie", "authorization", "proxy-authorization", "x-api-key"})


def reads(kind: type[T]) -> Callable[[Reply], T]:
    """Gives the decoder of a JSON body; it raises `ResponseValidationError`."""
    key: Any = kind
    return cast("Callable[[Reply], T]", _decoder(key))


def get(
    kind: type[T],
    *segments: str,
    query: tuple[tuple[str, str], ...] = (),
    shows: Callable[[T], Iterable[ApiVersion]] | None = None,
    requires: Requirement | None = None,
) -> Call[T]:
    """Makes a call that only reads: a GET, answered in JSON, that may be sent again. See `reads` and `Call`."""
    return Call(
        method="GET",
        segments=segments,
        query=query,
        decode=reads(kind),
        idempotent=True,
        shows=shows,
        requires=requires,
    )


@cache
def _decoder(kind: Any) -> Callable[[Reply], Any]:
    # Building a validator costs milliseconds, so that importing this package builds none.
    return json_as(TypeAdapter(kind))


def text(name: str, value: str) -> str:
    """Checks a text that may be empty.

    Raises:
        MixInputError: It cannot be sent as UTF-8.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MixInputError(f"`{name}` is no valid text: it has a lone surrogate.", hint="Decode it again.") from None
    return str(value)  # A member of a str-enum becomes its plain value.


def filled(name: str, value: str) -> str:
    """Checks a text that must not be empty.

    Raises:
        MixInputError: It is empty, or cannot be sent as UTF-8.
    """
    if not value:
        raise MixInputError(f"`{name}` is empty.", hint=f"Give `{name}` a value; the server refuses an empty one.")
    return text(name, value)


def one_of(name: str, value: str, allowed: type[StrEnum]) -> str:
    """Checks a choice that the server refuses unless it knows it.

    Returns:
        The choice as the wire spells it.

    Raises:
        MixInputError: The server knows no such choice.
    """
    choices = [str(choice) for choice in allowed]
    if value not in choices:
        raise MixInputError(f"`{name}` is {value!r}, which the server refuses.", hint=f"Use one of {choices}.")
    return str(value)


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps the fields that the user gave: those that are not None."""
    return {key: value for key, value in fields.items() if value is not None}


def strict_body(
    detected: ApiKnowledge, accepts: Literal["session_fields", "message_fields"], fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Makes a body for an endpoint that refuses keys it does not know.

    Args:
        detected: The generations the server may be.
        accepts: The capability that lists the keys.
        fields: Wire keys and values; None ones were not given.

    Returns:
        The body: what was given and nothing else.

    Raises:
        MixUnsupportedError: No generation the server may be knows a key that was given.
    """
    body = given(fields)
    for key in body:
        able = [version for version in ALL if key in getattr(CAPABILITIES[version], accepts)]
        if detected.isdisjoint(able):
            here = ", ".join(version for version in ALL if version in detected)
            raise MixUnsupportedError(
                f"`{to_snake(key)}` is not available on this Mix server (API {here}).",
                hint=f"It exists on API {', '.join(able)}.",
            )
    return body
