"""LangChain's standard parameters on a server that has few of them.

Owns: the rule for each parameter, as field and as argument of a call: honoured, refused or warned about, never dropped
without a word; what serialising and copying a model keeps.
Refuses to know: messages and turns, where stop sequences end a reply (`reply_parser.py`), how a model is got
(`session_setup.py`).
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from langchain_core.utils import from_env, secret_from_env
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from langchain_mix.chat_models.model_errors import RetryIf, may_retry, retry_rule
from langchain_mix.chat_models.reply_parser import stop_texts
from langchain_mix.client.credentials import check_headers, split_url
from langchain_mix.client.secret_fields import SecretFields
from langchain_mix.errors import MixConfigurationError, MixInputError
from langchain_mix.protocol.retry import RetryConfig

if TYPE_CHECKING:
    from langchain_core.runnables.retry import ExponentialJitterParams

    from langchain_mix.chat_models.content_blocks import Version

UNNAMED_MODEL: Final = "mix-agent"
"""What traces show where neither the user nor the server names a model."""

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
"""What shapes replies but not what they are: ignored with a warning."""
_REFUSED: Final[Mapping[str, str]] = {
    "n": "A Mix turn gives one reply; use `batch` for several.",
    "logprobs": "Mix tells no probabilities.",
    "top_logprobs": "Mix tells no probabilities.",
    "modalities": "A Mix agent replies with text.",
}
"""What makes a reply something else, so that one without it would be wrong."""
_FIXED: Final = frozenset(
    {"server_url", "api_key", "max_retries", "api", "headers", "client", "async_client", "mix", "max_reply_bytes"}
)
_VERSIONS: Final = ("v0", "v1")
_BY_BASE: Final = frozenset({"stream", "ls_structured_output_format", "structured_output_format"})
"""What LangChain itself reads from the arguments of a call."""


class MixParameterWarning(UserWarning):
    """A parameter was given that a Mix server does not take; the reply is made without it."""


class MixPermissionWarning(UserWarning):
    """A tool of the agent was denied because nobody said what may run. One for each tool of a model."""


@dataclass(frozen=True, slots=True)
class CallParameters:
    """What one call asks for.

    Attributes:
        model: The model, or None for the server's choice.
        provider: Its provider, or None if nobody said.
        model_is_override: The call asks for another model than the object does.
        stop: Texts at which the reply ends.
        timeout: Seconds that the turn may take, or None for any time.
        rest: Arguments that the caller of `read_call` knows.
    """

    model: str | None = None
    provider: str | None = None
    model_is_override: bool = False
    stop: tuple[str, ...] = ()
    timeout: float | None = None
    rest: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class StandardParameters(SecretFields, BaseChatModel):
    """The fields that chat models have in common.

    Attributes:
        server_url: The server's base URL (also `base_url`); the environment variable `MIX_SERVER_URL`, then port 8088
            of this machine stand in. A user name and a password in it are kept as a secret.
        api_key: For a proxy in front of the server, to which it is sent as `Authorization: Bearer …`; Mix itself asks
            for none. The environment variable `MIX_API_KEY` stands in.
        headers: Headers of every request, such as those that a proxy in front of the server demands. Their values are
            kept as secrets; serialized, they are the secret `MIX_HEADERS`, a JSON object.
        http_client: Your own `httpx.Client` for synchronous calls, given as `client=`; for certificates and proxies of
            your own. It is never closed here.
        http_async_client: Your own `httpx.AsyncClient` for asynchronous calls, given as `async_client=`.
        mix: A client of your own in the place of all of these and of `api` and `max_retries`. It is never closed here.
        model: The model of the sessions (also `model_name`), as `"name"` or `"provider:name"`. A server of the
            generation "next" honours it for each session. Older ones know one model for the whole server: it is set
            there if `set_preferences` allows it, else a warning says that the server's own is used. `"default"` is
            the server's own.
        provider: The model provider, which the generation "next" demands along with a model.
        set_preferences: Whether `model` and `max_tokens` may be written to the preferences of an older server. They
            hold for all of its users and all of its sessions.
        timeout: Seconds a call may take, from preparing its session to the end of its turn (also `request_timeout`);
            None for any time. A deadline, however the server's answers trickle: the turn is cancelled then, and tidying
            up takes 10 s more at most.
        max_retries: How often a request that does no more when sent twice is sent again; None for the client's policy,
            0 for never. A message is never sent twice.
        max_reply_bytes: Bytes that an answer of the server may have after decompression, event streams and files aside;
            None for 64 MiB.
        stop: Texts at which a reply ends (also `stop_sequences`). They are looked for here, and the turn is cancelled
            when one comes up; it is not part of the reply.
        streaming: Whether `invoke` streams inside; None for only where somebody listens.
        output_version: The form of `message.content`. `"v0"`: a `str` when the reply is nothing but text, else a list
            of content blocks. `"v1"`: always a list of standard content blocks. None for the environment variable
            `LC_OUTPUT_VERSION`, and without it for LangChain's default, `"v0"`. `message.text` and
            `message.content_blocks` do not depend on it.
        temperature: Mix has no such setting; giving it warns.
        max_tokens: Mix has no limit per session, and none is imitated: tokens are counted at the server, and an agent
            cut off in the middle leaves its work half done. Giving it warns, unless `set_preferences` sends it along
            with `model`.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        populate_by_name=True,
        extra="forbid",
        hide_input_in_errors=True,  # The input of a wrong object has its key.
    )

    server_url: str | None = Field(default_factory=from_env("MIX_SERVER_URL", default=None))
    api_key: SecretStr | None = Field(default_factory=secret_from_env("MIX_API_KEY", default=None))
    url_credentials: SecretStr | None = None
    """`user:password` for a proxy in front of the server; taken from `server_url` if it has them."""
    headers: Mapping[str, SecretStr] | None = None
    http_client: Any = Field(default=None, alias="client", exclude=True, repr=False)
    http_async_client: Any = Field(default=None, alias="async_client", exclude=True, repr=False)
    mix: Any = Field(default=None, exclude=True, repr=False)
    model: str | None = None
    provider: str | None = None
    set_preferences: bool = False
    timeout: float | None = Field(default=None, gt=0)
    max_retries: int | None = Field(default=None, ge=0)
    max_reply_bytes: int | None = Field(default=None, ge=1)
    stop: list[str] | None = None
    streaming: bool | None = None
    output_version: str | None = Field(default_factory=lambda: _output_version(None))
    temperature: float | None = None
    max_tokens: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _read_names(cls, values: Any) -> Any:
        return _renamed(values, cls.model_fields) if isinstance(values, Mapping) else values

    @field_validator("headers", mode="before")
    @classmethod
    def _read_headers(cls, value: Any) -> Any:
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        return json.loads(value) if isinstance(value, str) else value  # The secret of a serialized model.

    @field_validator("stop", mode="before")
    @classmethod
    def _read_stop(cls, value: Any) -> Any:
        return None if value is None else list(stop_texts(value))

    @field_validator("output_version", mode="before")
    @classmethod
    def _read_output_version(cls, value: Any) -> Any:
        return _output_version(value)

    @model_validator(mode="after")
    def _settle_model_and_credentials(self) -> Self:
        if self.model is not None:
            name, provider = split_model(self.model)
            if provider and self.provider and provider != self.provider:
                raise MixConfigurationError(f"model={self.model!r} contradicts provider={self.provider!r}.")
            self.model, self.provider = name, self.provider or provider
        if self.server_url:
            url, credentials = split_url(self.server_url)
            if credentials:
                self.server_url, self.url_credentials = url, SecretStr(credentials)
        if self.api_key and self.url_credentials:
            raise MixConfigurationError(
                "There are both an API key and a user name in the server's URL.", hint="A request carries only one."
            )
        if self.api_key is not None:
            check_headers({"Authorization": self.api_key.get_secret_value()})
        check_headers(self.request_headers())
        if self.mix is not None:
            self._take_client()
        elif self.http_client is not None or self.http_async_client is not None:
            from langchain_mix.client.httpclient import check_clients  # noqa: PLC0415  # Loads the HTTP library.

            check_clients(self.http_client, self.http_async_client)
        return self

    def _take_client(self) -> None:
        """Checks the client that the user brings against the options that it stands for."""
        from langchain_mix.client import Mix  # noqa: PLC0415  # Loads the HTTP library.

        if not isinstance(self.mix, Mix):
            raise MixConfigurationError(f"`mix` is {type(self.mix).__name__}, not a client of this package (`Mix`).")
        names = (
            "api_key",
            "url_credentials",
            "headers",
            "http_client",
            "http_async_client",
            "max_retries",
            "max_reply_bytes",
        )
        given = [name.removeprefix("http_") for name in names if name in self.model_fields_set and getattr(self, name)]
        if getattr(self, "api", "auto") != "auto":
            given.append("api")
        if (
            "server_url" in self.model_fields_set
            and (self.server_url or self.mix.server_url).rstrip("/") != self.mix.server_url
        ):
            given.append("server_url")
        if given:
            raise MixConfigurationError(
                f"`mix` is a client that is set up already; {', '.join(given)} would be ignored.",
                hint="Set it up so, or leave `mix` out.",
            )
        self.server_url, self.api_key = self.mix.server_url, None

    @model_validator(mode="after")
    def _warn_of_what_mix_lacks(self) -> Self:
        sent = self.set_preferences and self.model is not None
        names = [n for n in ("temperature", "max_tokens") if getattr(self, n) is not None]
        _warn([n for n in names if not (n == "max_tokens" and sent)], stacklevel=6)
        return self

    def content_version(self) -> Version:
        """Returns the form of `message.content` in replies."""
        return "v1" if self.output_version == "v1" else "v0"

    def request_headers(self) -> dict[str, str]:
        """The headers that every request to the server carries. Those that the user names stand in for the others."""
        named = {name: value.get_secret_value() for name, value in (self.headers or {}).items()}
        if any(name.lower() == "authorization" for name in named):
            return named
        if self.api_key is not None:
            return {"Authorization": f"Bearer {self.api_key.get_secret_value()}", **named}
        if self.url_credentials is not None:
            import base64  # noqa: PLC0415  # Needed by few.

            pair = base64.b64encode(self.url_credentials.get_secret_value().encode()).decode()
            return {"Authorization": f"Basic {pair}", **named}
        return named

    def retry_config(self) -> RetryConfig | None:
        """How often the client sends again what does no more when sent twice; None for its own policy."""
        return None if self.max_retries is None else RetryConfig(max_attempts=self.max_retries + 1)

    def with_retry(
        self,
        *,
        retry_if_exception_type: RetryIf = may_retry,
        wait_exponential_jitter: bool = True,
        exponential_jitter_params: ExponentialJitterParams | None = None,
        stop_after_attempt: int = 3,
    ) -> Runnable[Any, Any]:
        """Retries calls that failed, but none whose message the server may have taken.

        Args:
            retry_if_exception_type: What to retry: exception types, or a function of the exception. Without it, errors
                that LangChain calls retryable.
            wait_exponential_jitter: Whether waits vary at random.
            exponential_jitter_params: How waits grow.
            stop_after_attempt: Attempts in all.

        Returns:
            The runnable that retries.
        """
        return super().with_retry(
            retry_if_exception_type=retry_rule(retry_if_exception_type),
            wait_exponential_jitter=wait_exponential_jitter,
            exponential_jitter_params=exponential_jitter_params,
            stop_after_attempt=stop_after_attempt,
        )

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Returns True: what `dumpd(model)` writes can be read again.

        By `load(dumpd(model), allowed_objects=[ChatMix], valid_namespaces=["langchain_mix"])`: LangChain reads objects
        of other packages only if they are named. With `secrets_from_env=True` the key is read from `MIX_API_KEY`.
        """
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where `load` finds it: the package, not the module inside."""
        return cls.__module__.split(".")[:2]

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The fields that are written as the names of environment variables."""
        return {"api_key": "MIX_API_KEY", "url_credentials": "MIX_URL_CREDENTIALS", "headers": "MIX_HEADERS"}

    def __getstate__(self) -> dict[Any, Any]:
        """Pickles without clients: connections stay where they are.

        Raises:
            MixConfigurationError: There is a client of the user's, which cannot be pickled.
        """
        if self._clients():
            raise MixConfigurationError(
                "A ChatMix with a client of yours (`mix=`, `client=`, `async_client=`) cannot be pickled.",
                hint="Give it `server_url=` and `headers=` instead.",
            )
        return _without_clients(self, super().__getstate__())

    def _clients(self) -> list[Any]:
        """Returns the clients that the user brought."""
        return [c for c in (self.mix, self.http_client, self.http_async_client) if c is not None]

    def __copy__(self) -> Self:
        """Copies without clients of its own: the copy may be given another server. Those of the user are shared."""
        copied = super().__copy__()
        copied.__setstate__(_without_clients(self, super(StandardParameters, copied).__getstate__()))
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copies without clients of its own. Those of the user, which have connections, are shared."""
        bare = type(self).__new__(type(self))
        bare.__setstate__(_without_clients(self, super().__getstate__()))
        shared = {id(client): client for client in self._clients()}
        return super(StandardParameters, bare).__deepcopy__({**(memo or {}), **shared})


def _output_version(value: Any) -> str | None:
    """Reads the form of content that is wanted, from the environment if nothing is said.

    Raises:
        MixConfigurationError: There is no such form.
    """
    if value is None:
        # Other providers have forms of their own, such as "responses/v1", which may stand there for them.
        named = os.environ.get("LC_OUTPUT_VERSION")
        return named if named in _VERSIONS else None
    if value not in _VERSIONS:
        raise MixConfigurationError(f"There is no output_version={value!r}.", hint='It is "v0", "v1" or None.')
    return str(value)


def _without_clients(model: BaseChatModel, state: dict[Any, Any]) -> dict[Any, Any]:
    """Private attributes hold what was opened for this object; a copy begins with none of it."""
    fields = {key: value for key, value in state["__dict__"].items() if key in type(model).model_fields}
    private = {key: value.get_default() for key, value in type(model).__private_attributes__.items()}
    return {**state, "__dict__": fields, "__pydantic_private__": private or None}


def read_call(
    model: StandardParameters, stop: Iterable[str] | None, kwargs: Mapping[str, Any], known: Collection[str] = ()
) -> CallParameters:
    """Reads the arguments of one call. None means: as the object says.

    Args:
        model: The object that is called.
        stop: What LangChain passes for `stop`.
        kwargs: The other arguments.
        known: Names that the caller understands by itself.

    Returns:
        What the call asks for.

    Raises:
        MixInputError: An argument is unknown, or cannot be honoured and would make the reply wrong.
    """
    given = {name: value for name, value in _renamed(kwargs, {}).items() if value is not None}
    rest = {name: given.pop(name) for name in list(given) if name in known}
    for name in list(given):
        _check_argument(name, given)
    _warn([name for name in given if name in _SAMPLING], stacklevel=3)
    asked = given.get("model")
    chosen, provider = (model.model, model.provider) if asked is None else split_model(asked)
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


def _renamed(values: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Gives parameters their own names, and refuses those that a reply would be wrong without."""
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
        _warn([n for n in ignored if found.pop(n) is not None], stacklevel=7)
    return found


def _warn(names: Collection[str], *, stacklevel: int) -> None:
    if names:
        listed = ", ".join(f"`{name}`" for name in sorted(names))
        warnings.warn(
            f"A Mix agent takes no {listed}; replies are made without. Models and limits are settings of the server.",
            MixParameterWarning,
            stacklevel=stacklevel,
        )


def split_model(model: str) -> tuple[str | None, str | None]:
    """Splits `provider:name`. Names that have a colon of their own keep it: their part before it has a slash.

    Args:
        model: As the user wrote it; `default` for the server's own.

    Returns:
        The name and the provider; None for the server's own.
    """
    name: str = model.strip()
    provider, colon, rest = name.partition(":")
    named = bool(colon) and provider.replace("-", "").replace("_", "").isalnum()
    name = rest if named else name
    return (None if name in {"", "default"} else name), (provider if named else None)
