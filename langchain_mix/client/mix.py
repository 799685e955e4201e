"""`Mix`: one client of one server.

Owns: the object that users have: sub-clients, turns, and the end of connections.
Refuses to know: any single operation (the sub-clients) and how turns are driven (`_sync_turn.py`, `_async_turn.py`).

Everything below it, the HTTP library included, is imported when it is first used: importing `Mix` is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, cast

from langchain_mix import process_fork

if TYPE_CHECKING:
    import logging
    from types import TracebackType

    import httpx

    from langchain_mix.client._async_turn import AsyncTurnStream
    from langchain_mix.client._config import RequestOptions
    from langchain_mix.client._sync_turn import TurnStream
    from langchain_mix.client._turn_calls import NotificationPolicy, PermissionPolicy
    from langchain_mix.client.authentication import Authentication, Health, Internal
    from langchain_mix.client.files import Files
    from langchain_mix.client.messages import Messages
    from langchain_mix.client.permissions import Notifications, Permissions
    from langchain_mix.client.preferences import Preferences
    from langchain_mix.client.sessions import Sessions
    from langchain_mix.client.streaming import Streaming
    from langchain_mix.client.system import System, Tools
    from langchain_mix.client.types import Unset
    from langchain_mix.protocol.api import ApiKnowledge, ApiVersion
    from langchain_mix.protocol.call import Call, Flow
    from langchain_mix.protocol.models import ThinkingLevel
    from langchain_mix.protocol.retry import RetryConfig

T = TypeVar("T")
Init = TypeVar("Init", bound=Callable[..., None])


def _url_first(init: Init) -> Init:
    """Lets the URL be the first positional argument, as the official client of 0.8 has it."""

    @wraps(init)
    def call(self: Any, *given: Any, **named: Any) -> None:
        if given and isinstance(given[0], str):
            order = ("server_url", "client", "async_client", "retry_config", "timeout_ms", "debug_logger")
            twice = [name for name, _ in zip(order, given, strict=False) if name in named]
            if twice or len(given) > len(order):
                raise TypeError(
                    f"Mix() got multiple values for argument {twice[0]!r}" if twice else "too many arguments"
                )
            given, named = (), dict(zip(order, given, strict=False)) | named
        init(self, *given, **named)

    return cast("Init", call)


@process_fork.renew_cached_properties
class Mix:
    """A client of a Mix server, for synchronous and asynchronous code, both at the same time if need be.

    Every operation `op()` has an asynchronous twin `op_async()`. Use it as context manager, sync or async, or call
    `close` or `aclose` at the end. It may be shared between threads and between event loops.

    Attributes:
        server_api: What the server's replies have shown of its API so far, for procedures that `run` carries out.
        perform: Carries out one step of a procedure that requests other steps as well; `run` carries out those that
            request calls alone. It takes a call, or several that go together, and returns the result, or the list of
            results.
        perform_async: Does what `perform` does, asynchronously.
    """

    @_url_first
    def __init__(  # noqa: PLR0917  # The order is the documented one.
        self,
        server_idx: int | str | None = None,
        server_url: str | None = None,
        url_params: Mapping[str, str] | None = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        retry_config: RetryConfig | Unset | None = None,
        timeout_ms: int | None = None,
        debug_logger: logging.Logger | None = None,
        *,
        api: str = "auto",
        headers: Mapping[str, str] | None = None,
        max_reply_bytes: int | None = None,
    ) -> None:
        """Prepares a client; nothing is sent and no connection opened yet.

        Args:
            server_idx: Index into the documented servers, of which there is one; the URL says more. A text here is the
                URL, and `client` and what comes after it may follow by position.
            server_url: The server's base URL. None for the environment variable `MIX_SERVER_URL`, and without that for
                `http://localhost:8088`. A user name and a password in it become a header.
            url_params: Values for `{name}` parts of the URL.
            client: Your own HTTP client for synchronous operations. It is never closed here.
            async_client: Your own HTTP client for asynchronous operations. It is never closed here.
            retry_config: When calls that do no more when sent twice are sent again; None for up to five attempts
                within a minute.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for 30,000. No
                deadline: a body may take longer as long as it comes, 660 s at most (a download any time).
            debug_logger: Where requests are logged, at level DEBUG and without secrets; None for the logger
                `langchain_mix`, which writes to standard error if the environment variable `MIX_DEBUG` is `true`.
            api: The server's API generation: `"0.5"`, `"0.6"`, `"0.6.5"`, `"0.7"`, `"0.8"` or `"next"`. `"auto"` learns
                it from replies that are needed anyway.
            headers: Headers of every request, such as those that a proxy in front of the server demands.
            max_reply_bytes: Bytes that an answer may have after decompression; None for 64 MiB. Downloads of files and
                event streams are not bounded by it.

        Raises:
            MixConfigurationError: The URL is malformed, the generation is unknown, a number is out of range, or a
                client is of another library than httpx. The first operation raises it too, where the environment names
                a proxy (`HTTP_PROXY`, `NO_PROXY`, …) that cannot be used.
        """
        from langchain_mix.client._async import AsyncConnections, AsyncTransport
        from langchain_mix.client._config import read_settings
        from langchain_mix.client._requests import Core
        from langchain_mix.client._sync import SyncConnections, SyncTransport
        from langchain_mix.client.httpclient import check_clients
        from langchain_mix.client.types import given

        check_clients(client, async_client)
        settings = read_settings(
            server_url=server_url,
            url_params=url_params,
            server_idx=cast("int | None", server_idx),
            retry_config=given(retry_config),
            timeout_ms=timeout_ms,
            debug_logger=debug_logger,
            headers=headers,
            api=api,
            max_reply_bytes=max_reply_bytes,
        )
        self._core = Core(settings)
        self.server_api = self._core.server_api
        self._sync = SyncTransport(self._core, SyncConnections(client))
        self._async = AsyncTransport(self._core, AsyncConnections(async_client))
        self.perform = self._sync.perform
        self.perform_async = self._async.perform

    def __repr__(self) -> str:
        """Returns the client with its server's URL."""
        return f"Mix({self.server_url!r})"

    # What is known

    @property
    def server_url(self) -> str:
        """The server's base URL, without credentials and without a slash at its end."""
        return self._core.settings.server

    @property
    def api(self) -> ApiVersion | None:
        """The server's API generation; None while it is not known yet."""
        return self.server_api.detected.version

    @property
    def known(self) -> ApiKnowledge:
        """The API generations the server may be, as far as its replies have shown."""
        return self.server_api.detected

    # Life

    def close(self) -> None:
        """Closes the connections of synchronous operations. The next one opens new ones."""
        self._sync.connections.close()

    async def aclose(self) -> None:
        """Closes the connections of synchronous operations and those of the running event loop."""
        await self._async.connections.close()
        self._sync.connections.close()

    def __enter__(self) -> Self:
        """Keeps the client open until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    async def __aenter__(self) -> Self:
        """Keeps the client open until the block ends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        await self.aclose()

    # Turns

    def turn(
        self,
        session_id: str,
        text: str,
        *,
        plan_mode: bool | None = None,
        thinking_level: ThinkingLevel | str | None = None,
        max_steps: int | None = None,
        command: bool = False,
        timeout: float | None = None,
        permissions: PermissionPolicy = "deny",
        on_notification: NotificationPolicy | None = None,
        multitask_strategy: Literal["reject", "enqueue"] = "reject",
        cost_before: float | None = None,
        rows_before: int | None = None,
        began: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> TurnStream:
        """Sends a message and reports all that happens until its turn is over.

        Nothing is sent before the first update is requested. Leaving early, by `close`, a `with` block or an exception
        in the loop, cancels the turn at the server. A message is sent at most once: if its answer or the stream is
        lost, the stored messages decide what became of it.

        Iterating yields, in the order in which things happen (see `langchain_mix.client.updates`): `Accepted`,
        `ThinkingDelta`, `TextDelta`, `TextRestated`, `ToolCallStarted`, `ToolCallDelta`, `ToolCalled`, `ToolRunning`,
        `ToolFinished`, `ToolOutput`, `PermissionRequested`, `NotificationReceived`, `SubagentUpdate` and `Progress`.
        All `TextDelta` of a message together are its text, each piece exactly once. Should the server have dropped a
        piece from the middle, `TextRestated` has the whole text.

        Args:
            session_id: The session.
            text: The message, not empty. One that looks like a server command is guarded by a word in front of it.
            plan_mode: Whether the agent may only read and plan; None for the server's default, no.
            thinking_level: How much the model may think (Mix 0.7): `off`, `basic`, `medium` or `maximum`.
            max_steps: After how many steps the turn ends with an error (Mix 0.8).
            command: The text is meant as a server command, such as `/help`.
            timeout: Seconds that the turn may take before it is cancelled, waiting for another one included; None for
                any time. A deadline, however the server's answers trickle; only tidying up may take 5 s more, and a
                synchronous policy function as long as it likes. Whatever it is, a turn in which nothing new happens
                for 660 s is cancelled.
            permissions: How the agent's requests to run a tool are answered: `"deny"`, `"allow"`, `"ignore"` to leave
                them to somebody else, or a function that gets the request and returns True, False or None for the same.
                The server denies by itself after 30 s. A function that raises denies, and ends the turn.
            on_notification: A function that gets a notification (Mix 0.8) and returns the answer: a text, a choice,
                `""` to acknowledge, or None to leave it to somebody else. Without it, all are left.
            multitask_strategy: What to do if the session runs another turn of this process: `"reject"` raises
                `MixSessionBusy`, `"enqueue"` waits for it.
            cost_before: The session's cost before the turn in US dollars, if you know it; before Mix 0.8 only the
                difference shows what the turn has cost.
            rows_before: The session's rows before the turn, if you know them: an earlier message with the same words
                is then never taken for this one when an answer was lost.
            began: The moment from which `timeout` counts, in seconds of `time.monotonic()`, where the turn is part of
                something longer; None for now.
            **options: See `RequestOptions`. They hold for every request of the turn; the message is never sent twice.

        Returns:
            The turn, not begun. `run()` runs all of it; `result` is what is known of it.

        Raises:
            MixInputError: An argument is out of range. More are raised by the iteration:
                `MixInputError` (the server would refuse or misread the text), `MixUnsupportedError` (this generation
                does not know an argument), `MixSessionBusy`, `MixNotFoundError` (no such session),
                `MixAuthenticationError` (no provider credential), `MixNetworkError` (no connection), `MixAgentError`
                (the agent failed), `MixTurnCancelled`, `MixTurnTimeout`, `MixTurnInterrupted` (Mix 0.5 and 0.6: the
                stream broke, and that cancels the turn), `MixStreamError` (the stream is lost while the turn goes on),
                `MixOutcomeUnknown` (nothing shows whether the message arrived). `turn` of each is what is
                known.
        """
        from langchain_mix.client._sync_turn import TurnStream
        from langchain_mix.client._turn_calls import TurnRequest

        request = TurnRequest(
            session_id=session_id,
            text=text,
            plan_mode=plan_mode,
            thinking_level=thinking_level,
            max_steps=max_steps,
            command=command,
            timeout=timeout,
            permissions=permissions,
            on_notification=on_notification,
            multitask_strategy=multitask_strategy,
            cost_before=cost_before,
            rows_before=rows_before,
            began=began,
        )
        return TurnStream(self._sync.with_options(options), request)

    def turn_async(
        self,
        session_id: str,
        text: str,
        *,
        plan_mode: bool | None = None,
        thinking_level: ThinkingLevel | str | None = None,
        max_steps: int | None = None,
        command: bool = False,
        timeout: float | None = None,
        permissions: PermissionPolicy = "deny",
        on_notification: NotificationPolicy | None = None,
        multitask_strategy: Literal["reject", "enqueue"] = "reject",
        cost_before: float | None = None,
        rows_before: int | None = None,
        began: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> AsyncTurnStream:
        """Does what `turn` does, asynchronously. Policies may be async functions.

        Returns:
            The turn, not begun: iterate over it with `async for`, or `await` its `run()`.
        """
        from langchain_mix.client._async_turn import AsyncTurnStream
        from langchain_mix.client._turn_calls import TurnRequest

        request = TurnRequest(
            session_id=session_id,
            text=text,
            plan_mode=plan_mode,
            thinking_level=thinking_level,
            max_steps=max_steps,
            command=command,
            timeout=timeout,
            permissions=permissions,
            on_notification=on_notification,
            multitask_strategy=multitask_strategy,
            cost_before=cost_before,
            rows_before=rows_before,
            began=began,
        )
        return AsyncTurnStream(self._async.with_options(options), request)

    def run(self, flow: Flow[T], *, until: float | None = None) -> T:
        """Runs several calls in a row; see `langchain_mix.protocol.call.Flow`.

        Args:
            flow: A generator that yields calls and gets their results.
            until: The moment by which all calls must be over, in seconds of `time.monotonic()`; None for any time.

        Returns:
            What it returns.

        Raises:
            MixError: A call failed and the flow did not expect it.
        """
        from langchain_mix.client._config import CallOptions

        return self._sync.run(flow, CallOptions(until=until))

    async def run_async(self, flow: Flow[T], *, until: float | None = None) -> T:
        """Does what `run` does, asynchronously."""
        from langchain_mix.client._config import CallOptions

        return await self._async.run(flow, CallOptions(until=until))

    def download(self, call: Call[T], write: Callable[[bytes], object]) -> T:
        """Sends a call for the content of a file; see `files.download` for whole files.

        Args:
            call: The call; its result is decoded from the head of the answer.
            write: Called with each piece of the content.

        Returns:
            The result of the call.

        Raises:
            MixError: It failed; what was written by then is not the file.
        """
        return self._sync.download(call, write, None)[0]

    async def download_async(self, call: Call[T], write: Callable[[bytes], object]) -> T:
        """Does what `download` does, asynchronously."""
        return (await self._async.download(call, write, None))[0]

    # Sub-clients

    @cached_property
    def authentication(self) -> Authentication:
        """Credentials of model providers."""
        from langchain_mix.client.authentication import Authentication

        return Authentication(self._sync, self._async)

    @cached_property
    def sessions(self) -> Sessions:
        """Sessions: create, list, fork, rewind, export, delete."""
        from langchain_mix.client.sessions import Sessions

        return Sessions(self._sync, self._async)

    @cached_property
    def messages(self) -> Messages:
        """Messages: send, list, history."""
        from langchain_mix.client.messages import Messages

        return Messages(self._sync, self._async)

    @cached_property
    def files(self) -> Files:
        """Files of sessions: upload, list, read, delete."""
        from langchain_mix.client.files import Files

        return Files(self._sync, self._async)

    @cached_property
    def streaming(self) -> Streaming:
        """Event streams as they are."""
        from langchain_mix.client.streaming import Streaming

        return Streaming(self._sync, self._async)

    @cached_property
    def permissions(self) -> Permissions:
        """Answers to permission requests."""
        from langchain_mix.client.permissions import Permissions

        return Permissions(self._sync, self._async)

    @cached_property
    def notifications(self) -> Notifications:
        """Answers to notifications (Mix 0.8)."""
        from langchain_mix.client.permissions import Notifications

        return Notifications(self._sync, self._async)

    @cached_property
    def preferences(self) -> Preferences:
        """Preferences of the whole server."""
        from langchain_mix.client.preferences import Preferences

        return Preferences(self._sync, self._async)

    @cached_property
    def system(self) -> System:
        """The server about itself."""
        from langchain_mix.client.system import System

        return System(self._sync, self._async)

    @cached_property
    def health(self) -> Health:
        """The state of OAuth tokens; see also `authentication`."""
        from langchain_mix.client.authentication import Health

        return Health(self._sync, self._async)

    @cached_property
    def internal(self) -> Internal:
        """Upkeep of OAuth tokens; see also `authentication`."""
        from langchain_mix.client.authentication import Internal

        return Internal(self._sync, self._async)

    @cached_property
    def tools(self) -> Tools:
        """The server's tools."""
        from langchain_mix.client.system import Tools

        return Tools(self._sync, self._async)
