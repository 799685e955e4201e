"""`ChatMix`: a chat model over a Mix agent server.

Owns: the meeting of LangChain's `BaseChatModel` and Mix: fields, and the methods that LangChain calls.
Refuses to know: what a call means (`request.py`) and how it is carried out (`execution.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import add_ai_message_chunks, add_usage
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool
from pydantic import BaseModel, Field, PrivateAttr, model_validator

from langchain_mix._version import __version__
from langchain_mix.chat_models.alignment import OnDivergence
from langchain_mix.chat_models.content_blocks import PROVIDER, Version, finished
from langchain_mix.chat_models.model_errors import as_model_error
from langchain_mix.chat_models.model_info import approximate_message_tokens, approximate_token_ids, profile_of
from langchain_mix.chat_models.parameters import UNNAMED_MODEL, StandardParameters
from langchain_mix.chat_models.retries import StreamedRun
from langchain_mix.errors import MixError, MixInputError
from langchain_mix.generators import Owned, closed_at_exit
from langchain_mix.pointer import KEY
from langchain_mix.protocol.api import ApiName

if TYPE_CHECKING:
    from langchain_protocol.protocol import MessagesData

    from langchain_mix.chat_models.request import ChatRequest
    from langchain_mix.client import Mix

_RUN: Final = "mix_run"
"""The argument with which `stream` gives the producer of its chunks the run that it belongs to."""
_RUNNING: Final[ContextVar[CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None]] = ContextVar(
    "langchain_mix_running", default=None
)
"""The run of a whole reply, which LangChain may have made of chunks."""


class ChatMix(StandardParameters):
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
        max_cost: US dollars after which a turn is cancelled; it is asked for after each tool, at one request each.
        permissions: How permission requests of tools are answered: `"deny"` (which warns with `MixPermissionWarning`
            where it was not chosen), `"allow"`, `"ignore"` to leave them to
            someone else, a list of tools that may run (`["ReadText", "Write(*.md)"]`), a function of the request that
            returns True, False or None, or `"interrupt"` to ask through LangGraph.
        on_notification: How notifications are answered (Mix 0.8 on): a function that returns the answer, or
            `"interrupt"`; None leaves them to someone else.
        on_divergence: What to do when no session stands where the conversation does: `"fork"` it there (replay where
            the server has no fork), `"replay"` the conversation into a new session, `"rewind"` the session, which
            deletes what came after, or `"error"`.
        multitask_strategy: What to do if the session runs another turn of this process: `"reject"` or `"enqueue"`.
        retention: Whether sessions made for a call are kept at the server or deleted after it.
        emit_tool_runs: Whether the server's tools are told to callbacks as nested runs.
    """

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
    """Off unless asked for: a cached reply stands for a turn that never ran. It points to the session of that turn, in
    which the conversation goes on. Streams and calls in a named session (`session_id`, a thread's) never use the cache.
    """

    _mix: Any = PrivateAttr(default=None)
    _denied: set[str] = PrivateAttr(default=set())  # Pydantic copies it; what copies a model asks for the default.

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
        return profile_of(self.model)

    def get_token_ids(self, text: str) -> list[int]:
        """Estimates the tokens of a text; Mix has no tokenizer. Only their number means anything."""
        return self.custom_get_token_ids(text) if self.custom_get_token_ids else approximate_token_ids(text)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Estimates the tokens of messages; nothing is asked or downloaded for it."""
        return approximate_message_tokens(messages, tools)

    @property
    def client(self) -> Mix:
        """The client that this model uses, for everything that is no chat: files, sessions, preferences."""
        if self.mix is not None:
            return cast("Mix", self.mix)
        if self._mix is None:
            from langchain_mix.client import Mix  # noqa: PLC0415  # The HTTP library is loaded when it is first used.

            self._mix = Mix(
                server_url=self.server_url,
                client=self.http_client,
                async_client=self.http_async_client,
                api=self.api,
                headers=self.request_headers(),
                retry_config=self.retry_config(),
                max_reply_bytes=self.max_reply_bytes,
            )
        client: Mix = self._mix
        return client

    def denied_tools(self) -> set[str]:
        """Returns the tools of whose denial this model has warned; whoever warns of one adds it."""
        return self._denied

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
        opened = self.client
        copied: Any = BaseModel.__copy__(self)
        twin: Self = copied
        twin.cache, twin._mix = False, opened
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
        yield from closed_at_exit(execution.chunks(run))

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
            told = {
                "model_name": metadata.get("model_name"),
                "token_usage": message.usage_metadata,
                "cost": 0.0 if cached else (metadata.get(KEY) or {}).get("cost"),
            }
            result.llm_output = {key: value for key, value in told.items() if value is not None}
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
                self, self.client.server_url, messages, stop, kwargs, version=version or self.content_version()
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
        """Lets the agent ask for calls of your own tools.

        Mix has no client tools: the agent is told of yours in its prompt and asks for calls in its reply, which are
        read from there. Whether it does is up to its model. Its own tools at the server are not affected.

        Args:
            tools: Functions, pydantic classes, LangChain tools, or definitions in OpenAI's form. May be empty.
            tool_choice: `"auto"`, `"any"` (or `"required"`, True), `"none"`, or the name of a tool. Where a call has to
                be made and the agent makes none, it is reminded in the same session, once: what it says then belongs to
                the same reply. Without the call the model raises `MixToolCallMissing`.
            parallel_tool_calls: Whether one reply may ask for several calls.
            strict: True describes the tools as taking the named arguments alone. Mix enforces nothing.
            **kwargs: Bound to the model as well. With a `response_format`, the text of a reply that calls no tool is
                its data alone, as LangChain's agents read it: it comes when the reply is complete, and words around
                it are told as reasoning.

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
            The runnable. A reply that does not fit is told to the agent once.

        Raises:
            ValueError: An argument is unknown, or the schema is missing or of no known kind.
        """
        from langchain_mix.chat_models.structured_output import structured  # noqa: PLC0415  # For few.

        return structured(self, schema, include_raw=include_raw, **kwargs)
