"""Which model answers, on servers that choose it by themselves.

Owns: the ways to get a model on each generation of the server, and what is said when there is none.
Refuses to know: how requests are sent.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from langchain_mix.chat_models.parameters import UNNAMED_MODEL, CallParameters, MixParameterWarning
from langchain_mix.errors import MixInputError, MixUnsupportedError
from langchain_mix.protocol.api import ApiKnowledge, ApiVersion

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Route:
    """One way to get the model.

    Attributes:
        by: `"session"`: create the session with these fields. A server that does not know them refuses with
            `MixUnsupportedError` and has done nothing; the next route is tried then. `"preferences"`: update the
            server's preferences with these fields before the message. `"server"`: the server's own model answers.
        fields: Arguments of `Mix.sessions.create` or `Mix.preferences.update`.
    """

    by: Literal["session", "preferences", "server"]
    fields: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


def routes_to_model(
    call: CallParameters, detected: ApiKnowledge, *, set_preferences: bool = False, max_tokens: int | None = None
) -> tuple[Route, ...]:
    """Tells how the model of a call can be had, the best way first.

    Args:
        call: What the call asks for.
        detected: The generations the server may be.
        set_preferences: Whether preferences, which all users of a server share, may be changed.
        max_tokens: Tokens that the model may write, for the preferences alone.

    Returns:
        At least one route. With the last one, `server`, the request is not honoured unless no model was asked for: see
        `not_honoured`.

    Raises:
        MixInputError: The server demands a provider along with the model and there is none.
    """
    if call.model is None:
        return (Route("server"),)
    if call.provider is None and detected.version is ApiVersion.NEXT:
        raise provider_missing(call)
    routes: list[Route] = []
    if ApiVersion.NEXT in detected and call.provider is not None:
        routes.append(Route("session", MappingProxyType({"model_id": call.model, "provider": call.provider})))
    if set_preferences and detected.supports("preferences") is not False:
        wanted = {
            "main_agent_model": call.model,
            "main_agent_max_tokens": max_tokens,
            "preferred_provider": call.provider,
        }
        routes.append(Route("preferences", MappingProxyType({k: v for k, v in wanted.items() if v is not None})))
    return (*routes, Route("server"))


def provider_missing(call: CallParameters) -> MixInputError:
    """Returns the error for a model without its provider, which servers of the generation "next" demand."""
    return MixInputError(
        f"Mix of this generation needs the provider of model {call.model!r}.",
        hint=f"Pass provider='anthropic', for example, or model='anthropic:{call.model}'.",
    )


def not_honoured(call: CallParameters, detected: ApiKnowledge) -> None:
    """Reports that another model answers than the one that was asked for. Call it before the message is sent.

    A model of the object is warned about: `init_chat_model` gives one to every object. One that was asked for in
    this very call is not traded for another.

    Args:
        call: What the call asks for.
        detected: The generations the server may be.

    Raises:
        MixUnsupportedError: The call asks for another model than the object does.
    """
    if call.model is None:
        return
    if detected.version is ApiVersion.NEXT:
        problem = f"Model {call.model!r} cannot be chosen in a session that was created with another one."
        instead = "The session's own is used."
        hint = "Mix fixes a session's model when it creates the session: ask in a new conversation."
    else:
        problem = f"Model {call.model!r} cannot be chosen on this Mix server: it has one model for all sessions."
        instead = "The server's own is used."
        hint = (
            "Servers of API next take it with `provider`; on older ones `set_preferences=True` lets ChatMix set it for "
            "all users, or choose it in the server's preferences."
        )
    if call.model_is_override:
        raise MixUnsupportedError(problem, hint=hint)
    warnings.warn(f"{problem} {instead} {hint}", MixParameterWarning, stacklevel=2)


def model_told(reported: str, call: CallParameters, *, honoured: bool) -> str:
    """The name for `response_metadata["model_name"]`.

    Args:
        reported: The model that the server says has answered (Mix 0.8), or empty.
        call: What the call asks for.
        honoured: Whether the session or the preferences were given that model.

    Returns:
        What the server says; else what it was told to use; else a name that says that nobody knows.
    """
    if reported:
        if honoured and call.model and not _same(reported, call.model):
            warnings.warn(
                f"Model {call.model!r} was asked for, and {reported!r} has answered.", MixParameterWarning, stacklevel=2
            )
        return reported
    return call.model if honoured and call.model else UNNAMED_MODEL


def _same(reported: str, asked: str) -> bool:
    """Providers add dates and paths to the names of their models."""
    return asked.lower() in reported.lower() or reported.lower() in asked.lower()
