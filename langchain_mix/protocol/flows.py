"""Procedures of several calls.

Owns: what to ask a server, in which order, and what its refusals mean. Refuses to know: how calls are sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar

from pydantic.alias_generators import to_snake

from langchain_mix.errors import (
    MixBadRequestError,
    MixDefaultError,
    MixError,
    MixResponseError,
    MixUnsupportedError,
)
from langchain_mix.protocol import calls
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiKnowledge, ApiVersion, ServerApi, having
from langchain_mix.protocol.call import Call, Flow, ask, demands_browser_mode, is_unrouted, names_browser_mode
from langchain_mix.protocol.models import SessionData

P = ParamSpec("P")
T = TypeVar("T")

_INVALID: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
"""Statuses with which a body is refused before anything is done."""

_UNKNOWN_FIELD: Final = re.compile(r'json: unknown field "([^"]+)"')


def create_session(server_api: ServerApi, **fields: Any) -> Flow[SessionData]:
    """Creates a session on a server of any generation.

    Mix 0.8 requires a browser mode, which older servers refuse. While the generation is not known, or if the server
    was replaced by one of another generation, the first request may be refused; nothing was created then, and the
    refusal shows which form the server takes.
    """
    first = calls.create_session(server_api.detected, **fields)
    try:
        return (yield from ask(first))
    except MixResponseError as refusal:
        second = _other_form(server_api.detected, first, refusal, fields)
        if second is None:
            raise
        try:
            return (yield from ask(second))
        except MixResponseError:
            if names_browser_mode(refusal.body):
                raise
        raise  # The other form was a guess; the first refusal says what is wrong.


def _other_form(
    detected: ApiKnowledge, first: Call[SessionData], refusal: MixResponseError, fields: Mapping[str, Any]
) -> Call[SessionData] | None:
    """Returns the creation of a session in the form of the other generations, where a refusal may be due to the form.

    Args:
        detected: What is known of the server now; narrowed by the refusal, unless the user named the generation.
        first: What was refused.
        refusal: The refusal. If it does not name the field, in whatever words, it may still be about it.
        fields: As in `calls.create_session`.

    Returns:
        The call, or None if there is no other form, or the server may have created the session.
    """
    unknown = detected.supports("browser_mode") is None
    if names_browser_mode(refusal.body):
        if unknown:
            detected = detected.narrow(having("browser_mode", value=demands_browser_mode(refusal.body)))
    elif unknown and refusal.status_code in _INVALID and "browserMode" not in (first.body or {}):
        detected = detected.narrow(having("browser_mode"))
    else:
        return None
    second = calls.create_session(detected, **fields)
    return None if second.body == first.body else second


def learn_turns(server_api: ServerApi, session_id: str) -> Flow[None]:
    """Learns how this server runs a turn: no call if that is known, at most two, once per server.

    Returns:
        The flow; none of its calls changes anything.
    """
    if server_api.detected.supports("user_message_created") is None:
        yield from ask(calls.get_session(session_id))
    if server_api.detected.supports("stream_write") is None:
        yield from ask(calls.probe_stream_write(session_id))


def start_session(server_api: ServerApi, **fields: Any) -> Flow[SessionData]:
    """Creates a session; names an argument that the server turns out not to know."""
    return (yield from explained(create_session(server_api, **fields), "session_fields"))


def offered(
    server_api: ServerApi, build: Callable[Concatenate[ApiKnowledge, P], Call[T]], *args: P.args, **kwargs: P.kwargs
) -> Flow[T]:
    """Sends a call that some generations have no route for, and distinguishes that from other refusals.

    The arguments are those of the builder, which is one of `calls`.
    """
    call = build(server_api.detected, *args, **kwargs)
    try:
        return (yield from ask(call))
    except MixDefaultError as refusal:
        needed = call.requires
        if needed is None or not is_unrouted(refusal):
            raise
        try:
            # A wrong base URL is answered the same way. Only a Mix server lists sessions, and they show its generation.
            yield from ask(calls.list_sessions(server_api.detected))
        except MixError:
            raise refusal from None
        if server_api.detected.supports(needed.feature) is True:
            raise
        raise MixUnsupportedError(
            f"{needed.what} is not available on this Mix server.",
            sent=str(call),
            hint=f"It exists on API {_names(having(needed.feature))}.",
        ) from refusal


def explained(flow: Flow[T], accepts: Literal["session_fields", "message_fields"]) -> Flow[T]:
    """Runs a flow and names the generations that know a field which the server refused; it has done nothing then."""
    try:
        return (yield from flow)
    except MixBadRequestError as refusal:
        field = _UNKNOWN_FIELD.search(refusal.error.message)
        able = [v for v in ALL if field is not None and field[1] in getattr(CAPABILITIES[v], accepts)]
        if field is None or not able:
            raise
        raise MixUnsupportedError(
            f"`{to_snake(field[1])}` is not available on this Mix server.",
            sent=refusal.sent,
            hint=f"It exists on API {_names(able)}.",
        ) from refusal


def _names(versions: Iterable[ApiVersion]) -> str:
    return ", ".join(versions)
