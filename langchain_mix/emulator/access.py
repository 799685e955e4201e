"""Access to the server: the names it answers to, and the web pages that may use it.

Owns: the rules for the headers Host, Origin and Sec-Fetch-Site. A Mix server has no such rules: it answers every name
and lets every page read its answers. The emulator differs, because it runs on machines where people browse.

- It answers only names of loopback and those in `hosts`. Otherwise any web site could let its own name point here
  (DNS rebinding) and be the same origin.
- If each turn costs money, as with the agent `model:…`, only its own pages and those of `origins` may send
  requests. CORS does not do that: it hides answers from a page, but simple requests are carried out all the same.

Refuses to know: routes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from langchain_mix.emulator.go_http import error_reply
from langchain_mix.emulator.state import ApiError

ANY: Final = "*"
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORTS: Final[Mapping[str, str]] = {"http": "80", "https": "443"}
_FOREIGN: Final = frozenset({"cross-site", "same-site"})


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Which requests are answered.

    Attributes:
        hosts: Names in the Host header that are answered beside those of loopback; `*` is every name.
        origins: Origins whose pages may send requests beside the server's own; `*` is every origin.
    """

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def parse(cls, hosts: Iterable[str], origins: Iterable[str]) -> AccessRules:
        """Reads host names, with or without a port, and origins such as `http://localhost:3000`.

        Raises:
            ValueError: One of them is no name or no origin.
        """
        names = frozenset(_valid(host, _name_of, "host name", "mix.example") for host in _listed(hosts))
        places = frozenset(_valid(one, _origin_of, "origin", "http://localhost:3000") for one in _listed(origins))
        return cls(names, places)

    def refusal(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Returns why a request is refused, or None; names of headers are in lower case."""
        host = headers.get("host")
        if host is not None and not self._answers(host):
            return (
                f"The emulator does not answer to the name {host!r}, only to names of this machine. "
                "Name it with `--allow-host` or `MixEmulator(hosts=[...])`."
            )
        origin = headers.get("origin")
        if ANY in self.origins:
            return None
        if origin is None:
            # Browsers leave the origin out of a few requests, but say where they come from.
            foreign = method not in {"GET", "HEAD"} and headers.get("sec-fetch-site") in _FOREIGN
        else:
            place = _origin_of(origin)
            foreign = place is None or not (place in self.origins or _is_own(place, host or ""))
        if foreign:
            return (
                f"Pages of {origin or 'another origin'!r} may not use this emulator, because its turns may cost money. "
                "Name the origin with `--allow-origin` or `MixEmulator(origins=[...])`."
            )
        return None

    def _answers(self, host: str) -> bool:
        name = _name_of(host)
        return ANY in self.hosts or (name is not None and (name in self.hosts or _is_loopback(name)))


@dataclass(frozen=True, slots=True)
class AccessGate:
    """An ASGI app that lets requests through to another if the rules allow."""

    app: ASGIApp
    rules: AccessRules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; refusals carry no CORS headers, so that no page reads them."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        reason = self.rules.refusal(scope["method"], headers)
        app = self.app if reason is None else error_reply(ApiError(403, "forbidden", reason))
        await app(scope, receive, send)


def _listed(given: Iterable[str]) -> Iterable[str]:
    """Takes a single text for a list of one."""
    return [given] if isinstance(given, str) else given


def _valid(given: str, read: Callable[[str], str | None], what: str, example: str) -> str:
    if (value := ANY if given == ANY else read(given)) is None:
        raise ValueError(f"no {what}: {given!r}; write it as in `{example}`")
    return value


def _name_of(host: str) -> str | None:
    """Returns the name in a Host header in lower case, without port and final dot; None if it is none."""
    match = _HOST.fullmatch(host)
    return match[1].strip("[]").lower().removesuffix(".") or None if match else None


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _origin_of(origin: str) -> str | None:
    """Returns an origin in lower case with its port; None for `null` and what is no origin of a web page."""
    scheme, separator, place = origin.lower().partition("://")
    match = _HOST.fullmatch(place)
    if not separator or match is None or scheme not in _DEFAULT_PORTS:
        return None
    return f"{scheme}://{match[1]}:{match[2] or _DEFAULT_PORTS[scheme]}"


def _is_own(place: str, host: str) -> bool:
    """Returns True when an origin is that of the server itself, whatever TLS proxy is in between."""
    scheme, _, own = place.partition("://")
    match = _HOST.fullmatch(host.lower())
    return match is not None and own == f"{match[1]}:{match[2] or _DEFAULT_PORTS[scheme]}"
