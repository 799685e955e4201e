"""Secrets in what users pass: credentials in URLs, headers, and fields of LangChain objects.

Owns: splitting credentials from a URL, which headers can be sent, which may be shown, keeping fields as secrets where
pydantic checks nothing, and errors without them where it does.
Refuses to know: who sends and keeps them. Nothing here quotes text that cannot be parsed: it may be a secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from langchain_mix.errors import MixConfigurationError

HIDDEN: Final = "<hidden>"
"""The replacement of a secret."""

_HARMLESS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "host",
        "request-id",
        "retry-after",
        "server",
        "transfer-encoding",
        "user-agent",
        "via",
        "x-request-id",
    }
)
"""Headers whose values are no secrets. All others may be: every proxy has names of its own for keys."""

_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]\\%]+)(?::(?P<port>\d{0,5}))?")
_SHOWN_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::\d{0,5})?")
_WITHOUT_SCHEME: Final = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}/?")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LAST_PORT: Final = 65_535
_LEAST_SECRET: Final = 6


def split_url(url: str) -> tuple[str, str]:
    """Takes the user name and the password out of a URL.

    Returns:
        The URL without them, and `user:password`, empty if there is none.

    Raises:
        MixConfigurationError: It is no HTTP address, or a password in it is not percent-encoded, so that a part of it
            would be taken for something else.
    """
    text = url.strip()
    scheme, separator, rest = text.partition("://")
    authority, tail = re.fullmatch(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    user, _, host = authority.rpartition("@")
    read = _HOST.fullmatch(host)
    problem = ""
    if not separator or scheme.lower() not in {"http", "https"}:
        problem = "begins with neither http:// nor https://"
    elif re.search(r"[\s\\]", text) or not text.isprintable():
        problem = "holds white space, a backslash or another character that no URL has"
    elif not host or read is None or int(read["port"] or 0) > _LAST_PORT:
        problem = "has no host or no port that can be read"
    elif "@" in tail:
        problem = "has an @ behind its host"
    elif "?" in tail or "#" in tail:
        problem = "has a query or a fragment"
    if problem:
        raise MixConfigurationError(f"The server URL{_shown(text, host)} {problem}.", hint=_hint(text))
    bare = f"{scheme.lower()}://{host}{tail}"
    name, _, password = user.partition(":")
    return bare, f"{unquote(name)}:{unquote(password)}" if user else ""


def _shown(text: str, host: str) -> str:
    """Returns the part of a URL that certainly holds no secret, quoted, or nothing."""
    if _WITHOUT_SCHEME.fullmatch(text):
        return f" {text!r}"
    scheme, separator, rest = text.partition("://")
    if not separator or "@" in text or not scheme.isalnum() or not _SHOWN_HOST.fullmatch(host):
        return ""
    return f" {f'{scheme}://{host}' + ('…' if rest != host else '')!r}"


def _hint(text: str) -> str:
    form = "Write it like 'http://localhost:8088'."
    if "@" in text:
        return f"{form} In a user name and a password, / is written %2F, ? %3F, # %23, @ %40 and \\ %5C."
    return form


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Checks that headers can be sent.

    Raises:
        MixConfigurationError: One cannot. The error names it, and never has its value.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise MixConfigurationError(
                "A header has a name that cannot be sent.", hint="Names are letters, digits and hyphens."
            )
        problem = ""
        if not isinstance(value, str):
            problem = f"is {type(value).__name__}, not text"
        elif value != value.strip():
            problem = "begins or ends with white space, such as the line break at the end of a file"
        elif not value.isascii() or not (value.isprintable() or value.replace("\t", "").isprintable()):
            problem = "holds line breaks, control characters or letters outside of ASCII"
        if problem:
            raise MixConfigurationError(
                f"The value of the header {name!r} cannot be sent: it {problem}.", hint="Correct it; a key is one word."
            )
    return dict(headers)


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns headers with the values hidden that may be secrets."""
    return {name: value if name.lower() in _HARMLESS else HIDDEN for name, value in headers.items()}


_SHOWN_FIELDS: Final = frozenset(
    {
        "browserMode",
        "excludeFromContext",
        "format",
        "maxSteps",
        "mode",
        "model",
        "planMode",
        "promptMode",
        "provider",
        "sessionType",
        "thinkingLevel",
        "type",
    }
)
"""Fields of request bodies whose texts choose something and hold nothing of the user's."""


def shown_body(body: Any, field: str = "") -> Any:
    """Returns a request body as a log may show it: texts are given by their lengths, as any may hold a secret.

    Args:
        body: JSON values.
        field: The name of the field that holds the body.
    """
    if isinstance(body, Mapping):
        return {key: shown_body(value, str(key)) for key, value in body.items()}
    if isinstance(body, list | tuple):
        return [shown_body(value, field) for value in body]
    if isinstance(body, str) and field not in _SHOWN_FIELDS:
        return f"<{len(body)} characters>"
    return body


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """Returns the parts of headers that may be secrets, those of fewer than 6 characters aside."""
    values = [value for name, value in headers.items() if name.lower() not in _HARMLESS]
    words = [word for value in values for word in (value, value.rpartition(" ")[2], *_basic(value))]
    return [word for word in words if len(word) >= _LEAST_SECRET]


def _basic(value: str) -> list[str]:
    """Returns user and password, and the password, of a header for Basic authentication."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        pair = base64.b64decode(rest).decode()
    except ValueError:
        return []
    return [pair, pair.partition(":")[2]]


class SecretFields(BaseModel):
    """Base of objects with the fields `server_url`, `api_key`, `url_credentials` and perhaps `headers`."""

    if not TYPE_CHECKING:  # For type checkers, the fields are the parameters.

        def __init__(self, **fields: Any) -> None:
            """Reads the fields.

            Raises:
                ValidationError: One has a wrong value, which is not in the error: it may be a key.
            """
            try:
                super().__init__(**fields)
            except ValidationError as error:
                problem = _without_inputs(error)
            else:
                return
            raise problem  # Outside of the handler, so that it does not carry the other one as its context.

        def __setattr__(self, name: str, value: Any) -> None:
            """Sets a field; what may be a secret is kept as one, as at construction."""
            for field, kept in _kept_secret({name: value}).items():
                super().__setattr__(field, kept)

        @classmethod
        def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
            """Creates an object of values that are not checked; those that may be secrets are kept as such."""
            return super().model_construct(_fields_set, **_kept_secret(values))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copies, with other values; those that may be secrets are kept as such, as at construction."""
        return super().model_copy(update=_kept_secret(update or {}), deep=deep)


def _kept_secret(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values of fields, not checked, with those as secrets that may be some.

    A user name and a password in `server_url` become `url_credentials`; those of another URL go.

    Raises:
        MixConfigurationError: The URL cannot be read.
    """
    kept = dict(values)
    for name in ("api_key", "url_credentials"):
        if isinstance(kept.get(name), str):
            kept[name] = SecretStr(kept[name])
    if isinstance(kept.get("headers"), Mapping):
        kept["headers"] = {k: SecretStr(v) if isinstance(v, str) else v for k, v in kept["headers"].items()}
    if isinstance(kept.get("server_url"), str) and kept["server_url"]:
        kept["server_url"], credentials = split_url(kept["server_url"])
        kept.setdefault("url_credentials", SecretStr(credentials) if credentials else None)
    return kept


def _without_inputs(error: ValidationError) -> ValidationError:
    """Returns an error of pydantic without the values, which it keeps for `errors()` and `json()`."""
    lines: list[InitErrorDetails] = []
    for line in error.errors(include_url=False, include_input=False):
        # Its type and words are pydantic's own, and literal there.
        kind = PydanticCustomError(line["type"], line["msg"], line.get("ctx"))  # pyright: ignore[reportArgumentType]
        lines.append({"type": kind, "loc": line["loc"], "input": HIDDEN})
    return ValidationError.from_exception_data(error.title, lines, hide_input=True)
