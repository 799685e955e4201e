"""How replies are read, and what they show of the server's generation.

Owns: decoders by result type, made once and only when first needed.
Refuses to know: endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

from langchain_mix.protocol.api import UNKNOWN, ApiVersion, seen_in_session
from langchain_mix.protocol.call import Reply, json_as
from langchain_mix.protocol.models.sessions import SessionData

T = TypeVar("T")


def reads(kind: type[T]) -> Callable[[Reply], T]:
    """Gives the decoder of a JSON body.

    Args:
        kind: What the body holds: a payload, or a list or map of payloads.

    Returns:
        The decoder; it raises `ResponseValidationError`.
    """
    key: Any = kind
    return cast("Callable[[Reply], T]", _decoder(key))


@cache
def _decoder(kind: Any) -> Callable[[Reply], Any]:
    # Building a validator costs milliseconds, so that importing this package builds none.
    return json_as(TypeAdapter(kind))


def shown_by_session(session: SessionData) -> tuple[ApiVersion, ...]:
    """Tells which generations would describe this session so."""
    return seen_in_session(dict.fromkeys(session.wire_keys()))


def shown_by_sessions(sessions: Iterable[SessionData]) -> Iterable[ApiVersion]:
    """Tells which generations would list these sessions so; an empty listing shows nothing."""
    possible = UNKNOWN
    for session in sessions:
        possible = possible.narrow(shown_by_session(session))
    return possible
