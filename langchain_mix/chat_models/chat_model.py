"""`ChatMix`: a chat model over a Mix agent server.

Owns: the meeting of LangChain's `BaseChatModel` and Mix's sessions. Refuses to know: what messages become
(`prompt.py`), what replies become (`content.py`) and how a turn is run (`client/`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from langchain_mix import errors
from langchain_mix.chat_models.content import PROVIDER, ReplyWriter
from langchain_mix.chat_models.prompt import Prompt, prompt_of
from langchain_mix.pointer import Pointer
from langchain_mix.protocol.api import ApiName
from langchain_mix.protocol.turn.updates import TurnResult

if TYPE_CHECKING:
    from langchain_mix.client import Mix

_DEFAULT_TITLE = "LangChain"


class ChatMix(BaseChatModel):
    """A Mix agent as a chat model.

    The agent runs at the server, with its own tools: what it thinks, which tools it uses and what it says arrive as
    content blocks. Each call gets a session of its own.

    Example:
        ```python
        from langchain_mix import ChatMix

        model = ChatMix(server_url="http://localhost:8088")
        for chunk in model.stream("Which files are there?"):
            print(chunk.text, end="", flush=True)
        ```

    Attributes:
        server_url: The server's base URL; the environment variable `MIX_SERVER_URL`, then port 8088 of this machine
            stand in.
        api: The server's generation, or `"auto"` to learn it from its replies.
        system_prompt: Added to the session's prompt, before the system messages of a call.
        prompt_mode: `"append"` puts the prompt after the agent's own (50 KB at most), `"replace"` in its
            place (100 KB).
        title: Title of the sessions. Servers may change it.
        plan_mode: Whether the agent may only read and plan.
        thinking_level: `"off"`, `"basic"`, `"medium"` or `"maximum"` (Mix 0.7 on).
        max_steps: Model calls after which a turn ends with an error (Mix 0.8 on).
        permissions: How permission requests of tools are answered: `"deny"`, `"allow"`, `"ignore"` to leave them to
            someone else, or a function of the request that returns True, False or None.
        timeout: Seconds a turn may take; None for any time. It is cancelled then.
        retention: Whether a call's session is kept at the server or deleted after it.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True, extra="forbid")

    server_url: str | None = None
    api: ApiName = "auto"
    system_prompt: str | None = None
    prompt_mode: Literal["append", "replace"] = "append"
    title: str = _DEFAULT_TITLE
    plan_mode: bool = False
    thinking_level: Literal["off", "basic", "medium", "maximum"] | None = None
    max_steps: int | None = Field(default=None, ge=1)
    permissions: Any = "deny"
    timeout: float | None = Field(default=None, gt=0)
    retention: Literal["keep", "delete"] = "keep"
    cache: Any = Field(default=False, exclude=True)
    """Off unless asked for: a cached reply would stand for a turn that never ran."""

    _mix: Mix | None = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "mix-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "server_url": self.server_url,
            "plan_mode": self.plan_mode,
            "thinking_level": self.thinking_level,
            "max_steps": self.max_steps,
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        return params

    @property
    def client(self) -> Mix:
        """The client that this model uses, for everything that is no chat: files, sessions, preferences."""
        if self._mix is None:
            from langchain_mix.client import Mix  # noqa: PLC0415  # The HTTP library is loaded when it is first used.

            self._mix = Mix(server_url=self.server_url, api=self.api)
        return self._mix

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        writer = ReplyWriter()
        chunks = list(self._chunks(writer, _checked(messages, stop, kwargs)))
        return _whole(writer, chunks)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        writer = ReplyWriter()
        chunks = [chunk async for chunk in self._achunks(writer, _checked(messages, stop, kwargs))]
        return _whole(writer, chunks)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._chunks(ReplyWriter(shown=True), _checked(messages, stop, kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(self._achunks(ReplyWriter(shown=True), _checked(messages, stop, kwargs))) as chunks:
            async for chunk in chunks:
                yield chunk

    def _chunks(self, writer: ReplyWriter, prompt: Prompt) -> Iterator[ChatGenerationChunk]:
        mix = self.client
        session = mix.sessions.create(**self._session_fields(prompt))
        try:
            with mix.turn(session.id, prompt.text, **self._turn_options()) as turn:
                for update in turn:
                    chunk = writer.write(update)
                    if chunk is not None:
                        yield chunk
                yield writer.last(turn.result, _pointer(mix, turn.result))
        finally:
            if self.retention == "delete":
                with suppress(errors.MixNotFoundError):
                    mix.sessions.delete(id=session.id)

    async def _achunks(self, writer: ReplyWriter, prompt: Prompt) -> AsyncGenerator[ChatGenerationChunk, None]:
        mix = self.client
        session = await mix.sessions.create_async(**self._session_fields(prompt))
        try:
            async with mix.turn_async(session.id, prompt.text, **self._turn_options()) as turn:
                async for update in turn:
                    chunk = writer.write(update)
                    if chunk is not None:
                        yield chunk
                yield writer.last(turn.result, _pointer(mix, turn.result))
        finally:
            if self.retention == "delete":
                with suppress(errors.MixNotFoundError):
                    await mix.sessions.delete_async(id=session.id)

    def _session_fields(self, prompt: Prompt) -> dict[str, Any]:
        system = "\n\n".join(part for part in (self.system_prompt, prompt.system) if part)
        fields: dict[str, Any] = {"title": self.title}
        if system:
            fields |= {"custom_system_prompt": system, "prompt_mode": self.prompt_mode}
        return fields

    def _turn_options(self) -> dict[str, Any]:
        return {
            # Servers that do not know an option refuse it, so that only what was asked for is sent.
            "plan_mode": self.plan_mode or None,
            "thinking_level": self.thinking_level,
            "max_steps": self.max_steps,
            "permissions": self.permissions,
            "timeout": self.timeout,
            "cost_before": 0.0,
        }


def _checked(messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Prompt:
    if stop or kwargs:
        names = ", ".join(["stop"] * bool(stop) + sorted(kwargs))
        raise errors.MixInputError(
            f"ChatMix does not take {names} for a single call.",
            hint="A Mix agent has no such setting; see the fields of ChatMix for what it has.",
        )
    return prompt_of(messages)


def _pointer(mix: Mix, result: TurnResult) -> Pointer:
    return Pointer(
        server=mix.server_url,
        session_id=result.session_id,
        message_id=result.message_id,
        user_message_id=result.user_message_id,
        row_count=result.row_count,
    )


def _whole(writer: ReplyWriter, chunks: list[ChatGenerationChunk]) -> ChatResult:
    pieces = [c.message for c in chunks if isinstance(c.message, AIMessageChunk)]
    message = message_chunk_to_message(add_ai_message_chunks(pieces[0], *pieces[1:]))
    if isinstance(message, AIMessage):
        writer.mend(message)
    return ChatResult(generations=[ChatGeneration(message=message)])
