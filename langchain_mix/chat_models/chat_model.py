"""`ChatMix`: a chat model over a Mix agent server.

Owns: the meeting of LangChain's `BaseChatModel` and Mix: fields, and the methods that LangChain calls.
Refuses to know: what a call means (`request.py`) and how it is carried out (`execution.py`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import add_ai_message_chunks, add_usage
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from langchain_mix._version import __version__
from langchain_mix.chat_models.model_errors import RetryIf, as_model_error, may_retry, retry_rule
from langchain_mix.chat_models.parameters import (
    PROVIDER,
    UNNAMED_MODEL,
    OnDivergence,
    Version,
    read_output_version,
    rename_aliases,
    split_model,
    stop_texts,
    warn_ignored,
)
from langchain_mix.chat_models.retries import StreamedRun
from langchain_mix.client.credentials import SecretFields, check_headers, split_url
from langchain_mix.errors import MixConfigurationError, MixError, MixInputError
from langchain_mix.generators import Owned, closed_at_exit
from langchain_mix.pointer import KEY
from langchain_mix.protocol.api import ApiName
from langchain_mix.protocol.retry import RetryConfig

if TYPE_CHECKING:
    from langchain_core.runnables.retry import ExponentialJitterParams
    from langchain_core.tools import BaseTool
    from langchain_protocol.protocol import MessagesData

    from langchain_mix.chat_models.request import ChatRequest
    from langchain_mix.client import Mix

_RUN: Final = "mix_run"
"""The argument with which `stream` gives the producer of its chunks the run that it belongs to."""
_RUNNING: Final[ContextVar[CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None]] = ContextVar(
    "langchain_mix_running", default=None
)
"""The run of a whole reply, which LangChain may have made of chunks."""


class ChatMix(SecretFields, BaseChatModel):
    """A Mix agent as a chat model.

    The agent runs at the server, with its own tools: what it thinks, which tools it uses and what it says arrive as
    content blocks. A conversation goes on in the session that holds it: each reply carries a pointer to its place, and
    a conversation that was edited, trimmed or branched gets a session of its own, by fork where the server has it.

    Example:
        ```python
        from langchain_mix import ChatMix

        model = ChatMix(server_url="http://localhost:8088")
        for chunk in model.stream("Which files are there?"):
            print(chunk.text, end="", flush=True)
        ```

    Attributes:
        server_url: The server's base URL (also `base_url`); the environment variable `MIX_SERVER_URL`, then port 8088
            of this machine are the defaults. A user name and a password in it are kept as a secret.
        api_key: For a proxy in front of the server, to which it is sent as `Authorization: Bearer …`; Mix itself asks
            for none. Default: the environment variable `MIX_API_KEY`.
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
        api: The server's generation, or `"auto"` to learn it from its replies.
        session_id: The session to use, whatever the messages say; also `configurable["mix_session_id"]`.
        session_per_thread: Whether each `configurable["thread_id"]` has a session of its own in this process.
        system_prompt: Added to the session's prompt, before the system messages of a call.
        prompt_mode: `"append"` puts the prompt after the agent's own (50 KB at most), `"replace"` in its place
            (100 KB).
        title: Title of new sessions; None for the beginning of the first human message. Servers may change it.
        plan_mode: Whether the agent may only read and plan.
        thinking_level: `"off"`, `"basic"`, `"medium"` or `"maximum"` (Mix 0.7 on).
        max_steps: Model calls after which a turn ends with an error (Mix 0.8 on).
        max_cost: US dollars after which a turn is cancelled; the cost is read after each tool, at one request each.
        permissions: How permission requests of tools are answered: `"deny"` (which warns with `MixPermissionWarning`
            where it was not chosen), `"allow"`, `"ignore"` to leave them to
            someone else, a list of tools that may run (`["ReadText", "Write(*.md)"]`), a function of the request that
            returns True, False or None, or `"interrupt"` to ask through LangGraph.
        on_notification: How notifications are answered (Mix 0.8 on): a function that returns the answer, or
            `"interrupt"`; None leaves them to someone else.
        on_divergence: The reaction when no session is at the position of the conversation: `"fork"` (replay where
            the server has no fork), `"replay"` the conversation into a new session, `"rewind"` the session, which
            deletes what came after, or `"error"`.
        multitask_strategy: What to do if the session runs another turn of this process: `"reject"` or `"enqueue"`.
        retention: Whether sessions made for a call are kept at the server or deleted after it.
        emit_tool_runs: Whether the server's tools are reported to callbacks as nested runs.
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
    output_version: str | None = Field(default_factory=lambda: read_output_version(None))
    temperature: float | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    api: ApiName = "auto"
    session_id: str | None = None
    session_per_thread: bool = False
    system_prompt: str | None = None
    prompt_mode: Literal["append", "replace"] = "append"
    title: str | None = None
    plan_mode: bool = False
    thinking_level: Literal["off", "basic", "medium", "maximum"] | None = None
    max_steps: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, ge=0)
    permissions: Any = "deny"
    on_notification: Any = None
    on_divergence: OnDivergence = "fork"
    multitask_strategy: Literal["reject", "enqueue"] = "reject"
    retention: Literal["keep", "delete"] = "keep"
    emit_tool_runs: bool = True
    cache: Any = Field(default=False, exclude=True)
    """Off unless requested: a cached reply represents a turn that never ran. It points to the session of that turn, in
    which the conversation goes on. Streams and calls in a named session (`session_id`, a thread's) never use the cache.
    """

    # Pydantic copies these defaults; what copies a model calls them.
    _own: dict[str, Any] = PrivateAttr(default={})
    """The client of this object, once there is one: threads that begin at once must not open two."""
    _denied: set[str] = PrivateAttr(default=set())

    if not TYPE_CHECKING:  # For type checkers, the fields are the parameters.

        def __init__(self, **fields: Any) -> None:
            """Creates the model. Nothing is sent before its first call.

            Raises:
                MixInputError: A policy is none of those there are. Pydantic would hide the error in one of its own.
                ValidationError: Another field has a wrong value.
            """
            super().__init__(**fields)
            if self.permissions != "deny" or self.on_notification is not None:
                from langchain_mix.chat_models.permissions import Approvals  # noqa: PLC0415  # Loads models of events.

                Approvals(self.permissions, self.on_notification)

    @model_validator(mode="before")
    @classmethod
    def _read_names(cls, values: Any) -> Any:
        return rename_aliases(values, cls.model_fields) if isinstance(values, Mapping) else values

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
        return read_output_version(value)

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
        """Checks the client that the user brings against the options that it represents."""
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
        if self.api != "auto":
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
        warn_ignored([n for n in names if not (n == "max_tokens" and sent)], stacklevel=7)
        return self

    @model_validator(mode="after")
    def _note_version_of_langchain_mix(self) -> Self:
        self._add_version("langchain-mix", __version__)
        return self

    # What LangChain asks about the model

    @property
    def _llm_type(self) -> str:
        return "mix-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("server_url", "model", "api", "session_id", "plan_mode", "thinking_level", "max_steps", "stop")
        return {name: getattr(self, name) for name in names}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        params.setdefault("ls_model_name", self.model or UNNAMED_MODEL)
        if stops := stop or self.stop:
            params["ls_stop"] = stops
        return params

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        params: dict[str, Any] = super()._get_invocation_params(stop=stop, **kwargs)
        params.pop(_RUN, None)
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        from langchain_mix.chat_models.model_info import profile_of  # noqa: PLC0415  # Loaded when it is first used.

        return profile_of(split_model(self.model)[0] if self.model else None)  # It is not split yet.

    def get_token_ids(self, text: str) -> list[int]:
        """Estimates the tokens of a text; Mix has no tokenizer. Only their number means anything."""
        from langchain_mix.chat_models.model_info import approximate_token_ids  # noqa: PLC0415  # Loaded when it is first used.

        return self.custom_get_token_ids(text) if self.custom_get_token_ids else approximate_token_ids(text)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Estimates the tokens of messages; no request is made for it."""
        from langchain_mix.chat_models.model_info import approximate_message_tokens  # noqa: PLC0415  # Loaded when it is first used.

        return approximate_message_tokens(messages, tools)

    @property
    def client(self) -> Mix:
        """The client that this model uses, for everything that is no chat: files, sessions, preferences."""
        if self.mix is not None:
            return cast("Mix", self.mix)
        client: Mix | None = self._own.get("client")
        if client is None:
            from langchain_mix.client import Mix  # noqa: PLC0415  # The HTTP library is loaded when it is first used.

            made = Mix(
                server_url=self.server_url,
                client=self.http_client,
                async_client=self.http_async_client,
                api=self.api,
                headers=self.request_headers(),
                retry_config=self.retry_config(),
                max_reply_bytes=self.max_reply_bytes,
            )
            client = cast("Mix", self._own.setdefault("client", made))  # One that is not kept has opened nothing.
        return client

    def content_version(self) -> Version:
        """Returns the form of `message.content` in replies."""
        return "v1" if self.output_version == "v1" else "v0"

    def request_headers(self) -> dict[str, str]:
        """Returns the headers of every request to the server. Those that the user names replace the others."""
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
        """Returns how often the client repeats idempotent requests; None for its own policy."""
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

    # Serialising and copying

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Returns True: what `dumpd(model)` writes can be read again.

        By `load(dumpd(model), allowed_objects=[ChatMix], valid_namespaces=["langchain_mix"])`: LangChain reads objects
        of other packages only if they are named. With `secrets_from_env=True` the key is read from `MIX_API_KEY`.
        """
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Returns the namespace in which `load` finds it: the package, not the module inside."""
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
        copied.__setstate__(_without_clients(self, super(ChatMix, copied).__getstate__()))
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copies without clients of its own. Those of the user, which have connections, are shared."""
        bare = type(self).__new__(type(self))
        bare.__setstate__(_without_clients(self, super().__getstate__()))
        shared = {id(client): client for client in self._clients()}
        return super(ChatMix, bare).__deepcopy__({**(memo or {}), **shared})

    # Calls

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002  # LangChain's name.
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answers; see `BaseChatModel.invoke`. `config["configurable"]["mix_session_id"]` names the session."""
        kwargs.pop(_RUN, None)
        return super().invoke(input, config, stop=stop, **self._lifted(config, kwargs))

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002  # LangChain's name.
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Does what `invoke` does, asynchronously."""
        kwargs.pop(_RUN, None)
        return await super().ainvoke(input, config, stop=stop, **self._lifted(config, kwargs))

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002  # LangChain's name.
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Answers piece by piece; see `BaseChatModel.stream`."""
        config = ensure_config(config)
        manager = CallbackManager.configure(config.get("callbacks"), verbose=self.verbose)
        kwargs[_RUN] = StreamedRun(manager, self.callbacks)
        config["callbacks"] = manager
        yield from super().stream(input, config, stop=stop, **self._lifted(config, kwargs))

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002  # LangChain's name.
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Does what `stream` does, asynchronously."""
        config = ensure_config(config)
        manager = AsyncCallbackManager.configure(config.get("callbacks"), verbose=self.verbose)
        kwargs[_RUN] = StreamedRun(manager, self.callbacks)
        config["callbacks"] = manager
        answer = super().astream(input, config, stop=stop, **self._lifted(config, kwargs))
        async with Owned(answer) as chunks:  # What is left early is cancelled now, not when it is collected.
            async for chunk in chunks:
                yield chunk

    def _generate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # LangChain may stream inside; its own merging leaves indices in a message, or another form of content.
        token = _RUNNING.set(run_manager)
        try:
            generate = super(ChatMix, self._without_cache_in_sessions(kwargs))._generate_with_cache
            return self._described(self._finished(generate(messages, stop, run_manager, **kwargs)))
        finally:
            _RUNNING.reset(token)

    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        token = _RUNNING.set(run_manager)
        try:
            generate = super(ChatMix, self._without_cache_in_sessions(kwargs))._agenerate_with_cache
            return self._described(self._finished(await generate(messages, stop, run_manager, **kwargs)))
        finally:
            _RUNNING.reset(token)

    def _without_cache_in_sessions(self, kwargs: dict[str, Any]) -> Self:
        """Returns the model; without its cache for a call in a named session, whose content is part of the question."""
        if self.cache is False:
            return self
        from langchain_mix.chat_models.request import names_session  # noqa: PLC0415  # Loads the client.

        if not names_session(self, kwargs):
            return self
        copied: Any = BaseModel.__copy__(self)  # Shares the client.
        twin: Self = copied
        twin.cache = False
        return twin

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        from langchain_mix.chat_models.execution import TurnExecution  # noqa: PLC0415  # Loads the client.

        execution = TurnExecution(self.client, self._request(messages, stop, kwargs), streaming=False)
        chunks = list(execution.chunks(run_manager))
        return self._whole(execution.whole_reply(chunks))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        from langchain_mix.chat_models.execution import AsyncTurnExecution  # noqa: PLC0415  # Loads the client.

        execution = AsyncTurnExecution(self.client, self._request(messages, stop, kwargs), streaming=False)
        chunks = [chunk async for chunk in execution.chunks(run_manager)]
        return self._whole(execution.whole_reply(chunks))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        from langchain_mix.chat_models.execution import TurnExecution  # noqa: PLC0415  # Loads the client.

        streamed = kwargs.pop(_RUN, None)
        running = streamed.run() if isinstance(streamed, StreamedRun) else _RUNNING.get()
        run = run_manager or (running if isinstance(running, CallbackManagerForLLMRun) else None)
        execution = TurnExecution(self.client, self._request(messages, stop, kwargs), streaming=True)
        return closed_at_exit(execution.chunks(run))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        from langchain_mix.chat_models.execution import AsyncTurnExecution  # noqa: PLC0415  # Loads the client.

        streamed = kwargs.pop(_RUN, None)
        running = streamed.async_run() if isinstance(streamed, StreamedRun) else _RUNNING.get()
        run = run_manager or (running if isinstance(running, AsyncCallbackManagerForLLMRun) else None)
        execution = AsyncTurnExecution(self.client, self._request(messages, stop, kwargs), streaming=True)
        async with Owned(execution.chunks(run)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _stream_chat_model_events(
        self,
        messages: list[BaseMessage],
        *,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[MessagesData]:
        from langchain_mix.chat_models.execution import TurnExecution  # noqa: PLC0415  # Loads the client.
        from langchain_mix.chat_models.protocol_events import ProtocolWriter  # noqa: PLC0415  # For v3 alone.

        events = ProtocolWriter(run_manager.run_id if run_manager else None)
        question = self._request(messages, stop, kwargs, version="v1")
        for chunk in closed_at_exit(TurnExecution(self.client, question, streaming=True).chunks(run_manager)):
            yield from events.write(chunk)

    async def _astream_chat_model_events(
        self,
        messages: list[BaseMessage],
        *,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[MessagesData]:
        from langchain_mix.chat_models.execution import AsyncTurnExecution  # noqa: PLC0415  # Loads the client.
        from langchain_mix.chat_models.protocol_events import ProtocolWriter  # noqa: PLC0415  # For v3 alone.

        events = ProtocolWriter(run_manager.run_id if run_manager else None)
        question = self._request(messages, stop, kwargs, version="v1")
        async with Owned(AsyncTurnExecution(self.client, question, streaming=True).chunks(run_manager)) as chunks:
            async for chunk in chunks:
                for event in events.write(chunk):
                    yield event

    def _lifted(self, config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        """LangChain does not show a model the configuration of its own call, only that of the run around it."""
        configurable = (config or {}).get("configurable") or {}
        names = ("mix_session_id", "thread_id") if self.session_per_thread else ("mix_session_id",)
        return {**{k: configurable[k] for k in names if configurable.get(k)}, **kwargs}

    def _whole(self, chunks: Sequence[ChatGenerationChunk]) -> ChatResult:
        pieces = [c.message for c in chunks if isinstance(c.message, AIMessageChunk)]
        message = message_chunk_to_message(add_ai_message_chunks(pieces[0], *pieces[1:]))
        return self._finished(ChatResult(generations=[ChatGeneration(message=message)]))

    def _finished(self, result: ChatResult) -> ChatResult:
        from langchain_mix.chat_models.content_blocks import finished  # noqa: PLC0415  # Loaded when it is first used.

        for generation in result.generations:
            if isinstance(generation.message, AIMessage):
                generation.message = finished(generation.message, self.content_version())
        return result

    @staticmethod
    def _described(result: ChatResult) -> ChatResult:
        """Adds what callbacks read of a whole reply beside its message."""
        message = result.generations[0].message
        if isinstance(message, AIMessage):
            metadata = message.response_metadata
            cached = "total_cost" in (message.usage_metadata or {})  # LangChain marks replies of a cache by it.
            described = {
                "model_name": metadata.get("model_name"),
                "token_usage": message.usage_metadata,
                "cost": 0.0 if cached else (metadata.get(KEY) or {}).get("cost"),
            }
            result.llm_output = {key: value for key, value in described.items() if value is not None}
        return result

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        outputs = [output for output in llm_outputs if output]
        combined = {key: value for output in outputs for key, value in output.items() if key == "model_name"}
        usages = [output["token_usage"] for output in outputs if "token_usage" in output]
        costs = [output["cost"] for output in outputs if "cost" in output]
        return {
            **combined,
            **({"token_usage": reduce(add_usage, usages)} if usages else {}),
            **({"cost": sum(costs)} if costs else {}),
        }

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        *,
        version: Version | None = None,
    ) -> ChatRequest:
        from langchain_mix.chat_models.request import parse_request  # noqa: PLC0415  # Loads the client.

        try:
            return parse_request(
                self,
                self.client.server_url,
                messages,
                stop,
                kwargs,
                version=version or self.content_version(),
                denied=self._denied,
            )
        except MixError as error:
            raise as_model_error(error) from error.__cause__

    # Tools and structured output

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        parallel_tool_calls: bool = True,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Lets the agent request calls of your own tools.

        Mix has no client tools: yours are described in its prompt, and the agent requests calls in its reply, which are
        read from there. Whether it does is up to its model. Its own tools at the server are not affected.

        Args:
            tools: Functions, pydantic classes, LangChain tools, or definitions in OpenAI's form. May be empty.
            tool_choice: `"auto"`, `"any"` (or `"required"`, True), `"none"`, or the name of a tool. Where a call has to
                be made and the agent makes none, it is reminded in the same session, once: what it says then belongs to
                the same reply. Without the call the model raises `MixToolCallMissing`.
            parallel_tool_calls: Whether one reply may request several calls.
            strict: True describes the tools as taking the named arguments alone. Mix enforces nothing.
            **kwargs: Bound to the model as well. With a `response_format`, the text of a reply that calls no tool is
                its data alone, as LangChain's agents read it: it comes when the reply is complete, and words around
                it are emitted as reasoning.

        Returns:
            The model with the tools.

        Raises:
            MixInputError: The choice names none of them. A tool that cannot be described is refused when the model is
                called.
        """
        from langchain_mix.chat_models.reply_parser import DATA_ONLY  # noqa: PLC0415  # For few.
        from langchain_mix.chat_models.tool_prompt import normalise_choice, openai_tool  # noqa: PLC0415  # For few.

        if kwargs.get("response_format") is not None:
            kwargs[DATA_ONLY] = True
        formatted = [openai_tool(tool, strict=strict) for tool in tools]
        if formatted:
            kwargs |= {
                "tools": formatted,
                "tool_choice": normalise_choice(tool_choice, formatted),
                "parallel_tool_calls": parallel_tool_calls,
            }
        return self.bind(**kwargs)

    def as_tool(
        self,
        args_schema: type[BaseModel] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
    ) -> BaseTool:
        """Makes the Mix agent a tool of another agent: one text in, the text of the answer out.

        The calls of a thread go on in one session: each ToolMessage carries its part of the conversation as artifact.
        Outside of a graph with a checkpointer, this process remembers the session of each `thread_id`. Calls side by
        side begin where the thread stood, each in a session of its own if need be. `permissions="interrupt"` pauses
        the calling graph.

        Args:
            args_schema: Not taken.
            name: The tool's name; None for the model's, or "mix".
            description: What the calling agent reads of it; None for a general one.
            arg_types: Not taken.

        Returns:
            The tool.

        Raises:
            MixInputError: A schema of arguments is given: a Mix agent takes words.
        """
        from langchain_mix.chat_models.agent_tool import agent_tool  # noqa: PLC0415  # For few.

        if args_schema is not None or arg_types is not None:
            raise MixInputError(
                "A Mix agent as a tool takes one text, and no other arguments.",
                hint="Write a tool that makes the text of its arguments and calls the model.",
            )
        return agent_tool(self, name or self.name or "mix", description)

    def with_structured_output(
        self, schema: dict[str, Any] | type | None = None, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Makes replies structured output: values of a schema. See `chat_models.structured_output.structured`.

        Args:
            schema: A pydantic class, a dataclass, a TypedDict, JSON Schema, or an OpenAI function.
            include_raw: Whether the message and a parsing error are part of the output.
            **kwargs: `method` (`"json_schema"`, `"json_mode"`, `"function_calling"`) and `strict`.

        Returns:
            The runnable. A reply that does not fit is sent back to the agent once, with the error.

        Raises:
            ValueError: An argument is unknown, or the schema is missing or of no known kind.
        """
        from langchain_mix.chat_models.structured_output import structured  # noqa: PLC0415  # For few.

        return structured(self, schema, include_raw=include_raw, **kwargs)


def _without_clients(model: BaseChatModel, state: dict[Any, Any]) -> dict[Any, Any]:
    """Private attributes hold what was opened for this object; a copy begins with none of it."""
    fields = {key: value for key, value in state["__dict__"].items() if key in type(model).model_fields}
    attributes = type(model).__private_attributes__.items()
    # Not `get_default` for all: from pydantic 2.14 on, it calls no factory.
    makers: dict[str, Any] = {key: value.default_factory or value.get_default for key, value in attributes}
    private = {key: make() for key, make in makers.items()}
    return {**state, "__dict__": fields, "__pydantic_private__": private or None}
