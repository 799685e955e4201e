"""Checks LangChain's standard parameters (temperature, stop, timeout, model), of which Mix servers have few.

Owns: the rule for each parameter, as field and as argument of a call: honoured, refused or warned about, never dropped
silently; how the model of a call can be had of a server. Refuses to know: messages and turns, where stop sequences end
a reply (`reply_parser.py`), when sessions are created and preferences sent (`session_lifecycle.py`).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from langchain_mix.errors import MixConfigurationError, MixInputError, MixUnsupportedError
from langchain_mix.protocol.api import ApiKnowledge, ApiVersion

if TYPE_CHECKING:
    from langchain_mix.chat_models.chat_model import ChatMix

PROVIDER: Final = "mix"

Version = Literal["v0", "v1"]
"""The form of a reply's content, as LangChain's `output_version` names it."""

OnDivergence = Literal["fork", "rewind", "replay", "error"]
"""The reaction when no session is at the position of the conversation."""

UNNAMED_MODEL: Final = "mix-agent"
"""The name in traces where neither the user nor the server names a model."""

_ALIASES: Final[Mapping[str, str]] = {
    "base_url": "server_url",
    "model_name": "model",
    "model_id": "model",
    "request_timeout": "timeout",
    "stop_sequences": "stop",
    "max_completion_tokens": "max_tokens",
}
_SAMPLING: Final = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "max_tokens",
        "reasoning_effort",
        "logit_bias",
        "service_tier",
    }
)
"""Parameters that shape replies but not what they are: ignored with a warning."""
_REFUSED: Final[Mapping[str, str]] = {
    "n": "A Mix turn gives one reply; use `batch` for several.",
    "logprobs": "Mix reports no probabilities.",
    "top_logprobs": "Mix reports no probabilities.",
    "modalities": "A Mix agent replies with text.",
}
"""Parameters that make a reply something else, so that one without them would be wrong."""
_FIXED: Final = frozenset(
    {"server_url", "api_key", "max_retries", "api", "headers", "client", "async_client", "mix", "max_reply_bytes"}
)
_VERSIONS: Final = ("v0", "v1")
_BY_BASE: Final = frozenset({"stream", "ls_structured_output_format", "structured_output_format"})
"""Arguments of a call that LangChain itself reads."""


class MixParameterWarning(UserWarning):
    """A parameter was given that a Mix server does not take; the reply is made without it."""


class MixPermissionWarning(UserWarning):
    """A tool of the agent was denied because nobody said what may run. One for each tool of a model."""


@dataclass(frozen=True, slots=True)
class CallParameters:
    """The parameters of one call.

    Attributes:
        model: None for the server's choice.
        provider: None if nobody said.
        model_is_override: True if the call requests another model than the object does.
        timeout: Seconds, or None for any time.
        rest: Arguments that the caller of `read_call` knows.
    """

    model: str | None = None
    provider: str | None = None
    model_is_override: bool = False
    stop: tuple[str, ...] = ()
    timeout: float | None = None
    rest: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def read_call(
    model: ChatMix, stop: Iterable[str] | None, kwargs: Mapping[str, Any], known: Collection[str] = ()
) -> CallParameters:
    """Reads the arguments of one call. None means: as the object says. Names that are `known` become the `rest`.

    Raises:
        MixInputError: An argument is unknown, or cannot be honoured and would make the reply wrong.
    """
    given = {name: value for name, value in rename_aliases(kwargs, {}).items() if value is not None}
    rest = {name: given.pop(name) for name in list(given) if name in known}
    for name in list(given):
        _check_argument(name, given)
    warn_ignored([name for name in given if name in _SAMPLING], stacklevel=3)
    override = given.get("model")
    chosen, provider = (model.model, model.provider) if override is None else split_model(override)
    return CallParameters(
        model=chosen,
        provider=provider or given.get("provider") or model.provider,
        model_is_override=chosen != model.model,
        stop=stop_texts(model.stop if stop is None else stop),
        timeout=_seconds(given["timeout"]) if "timeout" in given else model.timeout,
        rest=MappingProxyType(rest),
    )


def _check_argument(name: str, given: Mapping[str, Any]) -> None:
    value = given[name]
    if name in _FIXED:
        raise MixInputError(f"`{name}` cannot change from call to call.", hint="Make another ChatMix for it.")
    if name in _REFUSED and not _asks_nothing(name, value):
        raise MixInputError(f"ChatMix takes no `{name}`.", hint=_REFUSED[name])
    if name in {"model", "provider"} and not isinstance(value, str):
        raise MixInputError(f"`{name}` is {type(value).__name__}, not a name.")
    if name not in _SAMPLING | _BY_BASE | _REFUSED.keys() | {"model", "provider", "timeout"}:
        raise MixInputError(
            f"ChatMix does not take `{name}` for a single call.",
            hint="A Mix agent has no such setting; see the fields of ChatMix for what it has.",
        )


def _asks_nothing(name: str, value: Any) -> bool:
    return not value or (name == "n" and value == 1) or (name == "modalities" and value == ["text"])


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise MixInputError(f"`timeout` is {value!r}.", hint="Pass the seconds that the turn may take.")
    return float(value)


def rename_aliases(values: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Gives parameters their own names, and refuses those that a reply would be wrong without.

    `fields` are those of the model; empty for the arguments of a call. Values of a model are without those that are
    ignored with a warning.

    Raises:
        MixInputError: Two names of the same parameter have different values, or one cannot be honoured.
    """
    found = dict(values)
    for alias, name in _ALIASES.items():
        if alias not in found or alias in fields:
            continue
        value = found.pop(alias)
        if found.get(name) is not None and value is not None and found[name] != value:
            raise MixInputError(f"`{alias}` and `{name}` are the same and have different values.")
        if found.get(name) is None:
            found[name] = value
    if fields:
        for name in [n for n in found if n in _REFUSED and n not in fields]:
            if not _asks_nothing(name, found.pop(name)):
                raise MixInputError(f"ChatMix takes no `{name}`.", hint=_REFUSED[name])
        ignored = [n for n in found if n in _SAMPLING and n not in fields]
        warn_ignored([n for n in ignored if found.pop(n) is not None], stacklevel=8)
    return found


def warn_ignored(names: Collection[str], *, stacklevel: int) -> None:
    """Warns of ignored parameters, if there are any; the user's own code is `stacklevel` frames away."""
    if names:
        listed = ", ".join(f"`{name}`" for name in sorted(names))
        warnings.warn(
            f"A Mix agent takes no {listed}; replies are made without. Models and limits are settings of the server.",
            MixParameterWarning,
            stacklevel=stacklevel,
        )


def stop_texts(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Reads what users pass as `stop`; returns each text once.

    Raises:
        MixInputError: One is empty or no text.
    """
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else list(value)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise MixInputError(f"`stop` has {text!r}.", hint="Stop sequences are texts that are not empty.")
    return tuple(dict.fromkeys(texts))


def read_output_version(value: Any) -> str | None:
    """Reads the form of content that is wanted, from the environment if nothing is said.

    Raises:
        MixConfigurationError: There is no such form.
    """
    if value is None:
        # Other providers have forms of their own, such as "responses/v1", which may be there for them.
        named = os.environ.get("LC_OUTPUT_VERSION")
        return named if named in _VERSIONS else None
    if value not in _VERSIONS:
        raise MixConfigurationError(f"There is no output_version={value!r}.", hint='It is "v0", "v1" or None.')
    return str(value)


def split_model(model: str) -> tuple[str | None, str | None]:
    """Splits `provider:name` into name and provider, either of which may be None; `default` is the server's own.

    Names that have a colon of their own keep it: their part before it has a slash.
    """
    name: str = model.strip()
    provider, colon, rest = name.partition(":")
    named = bool(colon) and provider.replace("-", "").replace("_", "").isalnum()
    name = rest if named else name
    return (None if name in {"", "default"} else name), (provider if named else None)


def session_model(call: CallParameters, detected: ApiKnowledge) -> dict[str, str] | None:
    """Returns the fields of a new session that give it the model of a call; None where they would be refused.

    A server that turns out not to know them refuses with `MixUnsupportedError` and has done nothing.
    """
    if call.model is None or call.provider is None or ApiVersion.NEXT not in detected:
        return None
    return {"model_id": call.model, "provider": call.provider}


def model_preferences(call: CallParameters, detected: ApiKnowledge, max_tokens: int | None) -> dict[str, Any] | None:
    """Returns the preferences of a server, which all its users share, that choose the model; None if it has none."""
    if call.model is None or detected.supports("preferences") is False:
        return None
    wanted = {
        "main_agent_model": call.model,
        "main_agent_max_tokens": max_tokens,
        "preferred_provider": call.provider,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def provider_missing(call: CallParameters) -> MixInputError:
    """Returns the error for a model without its provider, which servers of the generation "next" demand."""
    return MixInputError(
        f"Mix of this generation needs the provider of model {call.model!r}.",
        hint=f"Pass provider='anthropic', for example, or model='anthropic:{call.model}'.",
    )


def check_honoured(call: CallParameters, detected: ApiKnowledge) -> None:
    """Reports that another model answers than the requested one. Call it before the message is sent.

    A model of the object is warned about: `init_chat_model` gives one to every object. One that was requested in
    this very call is not traded for another.

    Raises:
        MixUnsupportedError: The call requests another model than the object does.
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


def check_reported(reported: str, requested: str) -> None:
    """Warns if the server says that another model has answered than the session or the preferences were given."""
    # Providers add dates and paths to the names of their models.
    if requested.lower() not in reported.lower() and reported.lower() not in requested.lower():
        warnings.warn(
            f"Model {requested!r} was requested, and {reported!r} has answered.", MixParameterWarning, stacklevel=2
        )
