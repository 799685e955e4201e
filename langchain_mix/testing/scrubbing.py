"""Scrubs what must not be in a cassette: keys and tokens, names of machines and of home directories.

Owns: taking them out of requests and answers, and finding those that are left.
Refuses to know: files. The same rules are applied to what is recorded and to requests to a recording, so that a
request whose secret was taken out still finds its answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

HIDDEN: Final = "REDACTED"
"""Replaces a secret."""
CASSETTE_URL: Final = "http://mix.invalid"
"""The server in all cassettes: its real address is of no interest."""
LOCAL: Final = "/local"
"""Replaces a directory of the recording machine."""

_SECRET_KEY: Final = re.compile(
    "(?:token|password|passwd|secret|authorization|credential|cookie|(?:api|access|private|secret|subscription)key)$"
)
"""Endings of the names of secrets, without hyphens: proxies have many, such as `X-Amz-Security-Token`."""
_SHAPES: Final[Mapping[str, re.Pattern[str]]] = {
    "an API key": re.compile(r"\b(?:sk|pk|rk|gsk|hf|xai|glpat|gh[pousr]|github_pat)[-_][A-Za-z0-9_\-]{16,}"),
    "a Google API key": re.compile(r"\bAIza[\w-]{30,}"),
    "an AWS key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a Slack token": re.compile(r"\bxox[abprs]-[\w-]{10,}"),
    "a bearer token": re.compile(r"(?i)\bBearer\s+(?!REDACTED)[\w.~+/=-]{8,}"),
    "a user name and a password": re.compile(r"(?i)(?<=\bAuthorization: )Basic\s+(?!REDACTED)[\w+/=]{8,}"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    "a private key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    "a password in a URL": re.compile(r"(?<=://)(?!REDACTED)[^\s/@:\"'\\]+:[^\s/@\"'\\]+(?=@)"),
}
_PLACES: Final[Mapping[str, re.Pattern[str]]] = {
    "a home directory": re.compile(
        r"(?<![\w.])(?:/home/|/Users/)[\w.-]+|(?<![\w.])/root(?=/)|[A-Za-z]:(?:\\+|/)Users(?:\\+|/)[\w.-]+"
    ),
    "a temporary directory": re.compile(r"(?:/private)?/var/folders/[\w/+-]+|(?<![\w.])(?:/private)?/tmp/[\w.-]+"),
    "an address of this machine": re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0):\d+"),
}
_KEPT_OF_REQUESTS: Final = frozenset({"accept", "content-type"})
_KEPT_OF_ANSWERS: Final = frozenset(
    {"content-type", "content-disposition", "content-length", "retry-after", "location", "allow"}
)
_BOUNDARY: Final = re.compile(r"boundary=\"?([^\";]+)\"?")
_FIXED_BOUNDARY: Final = "cassette-boundary"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks as if it should not be in a cassette: its line, from 1, and its beginning."""

    what: str
    where: int
    shown: str


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Takes out what must not be kept.

    Attributes:
        replacements: Texts of your own to replace: a directory of the server, a name of a machine.
        keep_headers: Headers to keep in addition to those that replies are read by; all others are dropped.
    """

    replacements: Mapping[str, str]
    keep_headers: frozenset[str] = frozenset()

    def text(self, text: str) -> str:
        """Takes it out of a text."""
        for known in sorted(self.replacements, key=len, reverse=True):
            text = text.replace(known, self.replacements[known])
        for shape in _SHAPES.values():
            text = shape.sub(HIDDEN, text)
        text = _PLACES["a home directory"].sub(LOCAL, text)
        text = _PLACES["a temporary directory"].sub(LOCAL, text)
        return _PLACES["an address of this machine"].sub(CASSETTE_URL, text)

    def body(self, body: bytes | str | None) -> bytes | None:
        """Takes it out of a body; bytes that are no text are left as they are."""
        if body is None:
            return None
        raw = body.encode() if isinstance(body, str) else body
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return raw
        return self.text(_without_values(text)).encode()

    def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[Any, ...]:
        """Takes it out of a request, and out of a form the boundary that differs each time.

        Returns:
            Method, URL, body and headers.
        """
        kept = {k.lower(): v for k, v in headers.items() if k.lower() in _KEPT_OF_REQUESTS | self.keep_headers}
        boundary = _BOUNDARY.search(kept.get("content-type", ""))
        if boundary and body is not None:
            kept["content-type"] = kept["content-type"].replace(boundary[1], _FIXED_BOUNDARY)
            body = body.replace(boundary[1].encode(), _FIXED_BOUNDARY.encode())
        there = urlsplit(url)
        query = re.sub(r"([^&=]+)=([^&]*)", lambda m: f"{m[1]}={HIDDEN}" if _is_secret(m[1]) else m[0], there.query)
        here = urlsplit(CASSETTE_URL)
        shown = urlunsplit((here.scheme, here.netloc, self.text(there.path), self.text(query), ""))
        return method, shown, self.body(body), {k: self.text(v) for k, v in kept.items()}

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Takes it out of an answer as vcrpy keeps it; gives a new one."""
        body = self.body(answer["body"]["string"]) or b""
        headers = {}
        for name, values in answer["headers"].items():
            if name.lower() in _KEPT_OF_ANSWERS | self.keep_headers:
                headers[name.lower()] = [self.text(value) for value in values]
        if "content-length" in headers:
            headers["content-length"] = [str(len(body))]
        return {**answer, "headers": headers, "body": {"string": body}}


def find_secrets(text: str) -> list[Finding]:
    """Looks for what should not be in a cassette.

    Args:
        text: All of the cassette, or anything else.

    Returns:
        What was found, first things first; an empty list is good.
    """
    found = [
        Finding(what, text.count("\n", 0, match.start()) + 1, match[0][:12])
        for what, shape in ({**_SHAPES, **_PLACES}).items()
        for match in shape.finditer(text)
    ]
    found += [
        Finding(f"the value of {match[1]!r}", text.count("\n", 0, match.start()) + 1, match[2][:4])
        for match in _secret_values(text)
    ]
    found += [
        Finding(f"the header {match[1]!r}", text.count("\n", 0, match.start()) + 1, "")
        for match in re.finditer(r"(?im)^\s*(authorization|cookie|\w+(?:-\w+)+):", text)
        if _is_secret(match[1])
    ]
    return sorted(found, key=lambda finding: finding.where)


# The value is looked at, not taken: it may hold JSON that has keys of its own.
_VALUE: Final = re.compile(r"""\\*"([\w-]{3,40})\\*"\s*:\s*(?=\\*"((?:[^"\\]|\\[^"])+)\\*\")""")


def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(re.sub(r"[\W_]", "", key).lower()) is not None


def _secret_values(text: str) -> list[re.Match[str]]:
    return [match for match in _VALUE.finditer(text) if _is_secret(match[1]) and match[2] != HIDDEN]


def _without_values(text: str) -> str:
    """Takes the values of secret keys out of JSON, whether it is all of the text or only a part."""
    if not _secret_values(text):
        return text
    with suppress(ValueError):  # JSON may be only a part of it, as in an event stream.
        text = json.dumps(_hidden(json.loads(text)), ensure_ascii=False)
    for match in reversed(_secret_values(text)):
        start, end = match.span(2)
        text = text[:start] + HIDDEN + text[end:]
    return text


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: HIDDEN if isinstance(v, str) and v and _is_secret(k) else _hidden(v) for k, v in value.items()}
    return [_hidden(item) for item in value] if isinstance(value, list) else value
