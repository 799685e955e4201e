"""The emulator: a Mix server with its own socket, thread and data.

Owns: the options of an emulator, its life from start to stop, and what tests may ask it.
Refuses to know: how requests are answered.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from starlette.types import ASGIApp

from langchain_mix import process_fork
from langchain_mix.emulator.access import ANY, AccessGate, AccessRules
from langchain_mix.emulator.activity import Activity, RequestRecord
from langchain_mix.emulator.agents import Agent, FileToolbox, make_agent
from langchain_mix.emulator.app import Api, AppContext, Recorder
from langchain_mix.emulator.faults import FaultGate, Faults
from langchain_mix.emulator.go_http import Mux, cors_headers
from langchain_mix.emulator.permissions import Prompts
from langchain_mix.emulator.routes_messages import MessageRoutes, StreamRoutes
from langchain_mix.emulator.routes_sessions import FileRoutes, SessionRoutes
from langchain_mix.emulator.routes_system import SystemRoutes
from langchain_mix.emulator.runner import TurnRunner
from langchain_mix.emulator.serving import Closer, Serving, Transports, loopback_address, loopback_socket
from langchain_mix.emulator.state import ServerState
from langchain_mix.emulator.streams import EventBroker, StreamConfig
from langchain_mix.protocol.api import ApiVersion

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_WAIT: Final = 10.0
_ELSEWHERE: Final = "The emulator runs in the process that this one was forked from; only its URL is of use here."


class MixEmulator:
    """A Mix server of any generation, on a real socket of this machine, without Mix and without an API key.

    It is for development and tests. It never executes commands. Use it as context manager, sync or async:

        with MixEmulator(api="0.8") as server:
            print(server.url)

    Attributes:
        api: The generation.
        agent: The agent that answers; another one answers from the next start on.
        faults: The faults; may be changed while it runs.
    """

    def __init__(
        self,
        api: str = "0.8",
        agent: str | Agent | BaseChatModel = "offline",
        *,
        faults: Faults | None = None,
        data_dir: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        hosts: Sequence[str] = (),
        origins: Sequence[str] | None = None,
        auth_required: bool = False,
        heartbeat: float = 45.0,
        permission_timeout: float = 30.0,
        queue_size: int = 50,
        stream_limit: float = 600.0,
        delete_wait: float = 10.0,
        utc_offset: timedelta = timedelta(0),
        retitle: bool = False,
    ) -> None:
        """Chooses what the server is like. Nothing runs before `start`.

        Args:
            api: The generation: `0.5`, `0.6`, `0.6.5`, `0.7`, `0.8` or `next`.
            agent: The agent: `"offline"`, `"model:<provider:name>"`, an agent such as `Script`, or a chat model.
            faults: The faults.
            data_dir: The directory of sessions and files; a temporary directory, removed by `stop`, if None.
            host: A loopback address.
            port: The port; 0 takes a free one, which `restart` keeps.
            hosts: Names in the header Host that are answered beside those of loopback, such as that of a proxy; `"*"`
                is every name. Other names get a 403, which stops DNS rebinding.
            origins: Web origins whose pages may send requests, such as `"http://localhost:3000"`; `"*"` is every
                origin. None is every origin, as on the real server, while the agent costs nothing (`"offline"`, a
                script), and no other origin for a chat model or an agent of your own: those pages get a 403.
            auth_required: True when messages need a stored provider credential, as on the real server.
            heartbeat: Seconds between the heartbeats of a stream.
            permission_timeout: Seconds after which a permission is denied.
            queue_size: Events that wait for a slow reader before more are dropped.
            stream_limit: Seconds after which a stream, or an answer that is still awaited, is cut.
            delete_wait: Seconds that deleting a session waits for its turns (Mix 0.8).
            utc_offset: The server's time zone, which its timestamps show.
            retitle: True when a session's first message gives it a new title, as the server's model does.

        Raises:
            ValueError: The generation or the agent does not exist, the host can be reached from elsewhere, or a name or
                an origin is malformed.
        """
        self.api = ApiVersion(api)
        self.agent = make_agent(agent)
        self.faults = faults if faults is not None else Faults()
        self._data_dir = Path(data_dir) if data_dir is not None else None
        self._host = host
        self._port = port
        if origins is None:
            origins = (ANY,) if getattr(self.agent, "costs_nothing", False) else ()
        self._access = AccessRules.parse(hosts, origins)
        self._auth_required = auth_required
        self._heartbeat = heartbeat
        self._permission_timeout = permission_timeout
        self._queue_size = queue_size
        self._stream_limit = stream_limit
        self._delete_wait = delete_wait
        self._utc_offset = utc_offset
        self._retitle = retitle
        self._activity = Activity()
        self._life = threading.RLock()
        self._temporary: Path | None = None
        self._removal: weakref.finalize[..., Any] | None = None
        self._state: ServerState | None = None
        self._serving: Serving | None = None
        process_fork.renew_in_child(self._leave_to_parent)
        loopback_address(host)

    # Life

    def start(self) -> Self:
        """Starts the server and waits until it answers. A running one goes on.

        Raises:
            OSError: The port is taken.
        """
        with self._life:
            if self._serving is None:
                try:
                    self._begin()
                except BaseException:
                    self.stop()
                    raise
        return self

    def stop(self) -> None:
        """Ends all connections and turns at once, and removes a temporary data directory. May be called twice."""
        with self._life:
            try:
                self._end()
            finally:
                if self._removal is not None:
                    self._removal()
                self._temporary = self._removal = None

    def restart(self) -> None:
        """Stops and starts again: same port, same data. All connections break; turns end where they are."""
        with self._life:
            self._end()
            self._begin()
        self._activity.changed("restarts", 1)

    def __enter__(self) -> Self:
        """Starts."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Starts, beside the running loop."""
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops, beside the running loop."""
        await asyncio.to_thread(self.stop)

    @property
    def brain(self) -> Agent:
        """The agent that answers: the earlier name of `agent`."""
        return self.agent

    @brain.setter
    def brain(self, agent: Agent) -> None:
        self.agent = agent

    # What tests read

    @property
    def url(self) -> str:
        """Returns the address of the server.

        Raises:
            RuntimeError: It does not run.
        """
        self._running()
        return self._address()

    @property
    def data_dir(self) -> Path:
        """Returns the directory of sessions and files.

        Raises:
            RuntimeError: They are kept in a temporary directory and it does not run.
        """
        if self._data_dir is not None:
            return self._data_dir
        if self._temporary is None:
            raise RuntimeError("The emulator does not run.")
        return self._temporary

    @property
    def state(self) -> ServerState:
        """Returns the stored state. `restart` opens it again.

        Raises:
            RuntimeError: It does not run.
        """
        self._running()
        if self._state is None:
            raise RuntimeError(_ELSEWHERE)
        return self._state

    @property
    def requests(self) -> list[RequestRecord]:
        """The latest requests, oldest first; those before a restart too. Old ones and credentials are forgotten."""
        return self._activity.requests

    def forget_requests(self) -> None:
        """Empties `requests`."""
        self._activity.forget_requests()

    @property
    def connections(self) -> int:
        """TCP connections that are open now."""
        return self._activity.count("connections")

    @property
    def streams(self) -> int:
        """Event streams that are open now."""
        return self._activity.count("streams")

    @property
    def turns(self) -> int:
        """Turns that run now, those of sub-agents included."""
        return self._activity.count("turns")

    @property
    def restarts(self) -> int:
        """Restarts so far."""
        return self._activity.count("restarts")

    def wait_until(self, condition: Callable[[], bool], timeout: float = _WAIT) -> None:
        """Waits until a condition holds, which is checked whenever a request, a connection, a stream or a turn changes.

        Args:
            condition: The condition, such as `lambda: server.streams == 0`.
            timeout: The longest wait, in seconds.

        Raises:
            TimeoutError: It does not hold by then.
        """
        if self._serving is not None and self._serving.foreign:
            raise RuntimeError(_ELSEWHERE)
        self._activity.wait_until(condition, timeout)

    def wait_idle(self, timeout: float = _WAIT) -> None:
        """Waits until no turn runs.

        Args:
            timeout: The longest wait, in seconds.

        Raises:
            TimeoutError: One still runs.
        """
        self.wait_until(lambda: self.turns == 0, timeout)

    # Parts

    def _address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def _leave_to_parent(self) -> None:
        """Leaves a running server, its data and its temporary directory to the parent in a forked child."""
        self._life = threading.RLock()
        if self._removal is not None:
            self._removal.detach()
            self._removal = None
        # SQLite: a connection must not be used, nor closed, in a child.
        self._inherited, self._state = self._state, None

    def _running(self) -> Serving:
        if self._serving is None:
            raise RuntimeError("The emulator does not run.")
        return self._serving

    def _begin(self) -> None:
        if self._data_dir is None and self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="mix-emulator-"))
            self._removal = weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        sock = loopback_socket(self._host, self._port)
        try:
            self._state = ServerState(
                self.api, self.data_dir, temporary=self._data_dir is None, utc_offset=self._utc_offset
            )
        except BaseException:
            sock.close()
            raise
        self._state.auth_required = self._auth_required
        self._port = sock.getsockname()[1]
        self._state.base_url = self._address()
        self._serving = Serving(sock, Transports(self._activity), self._open)

    def _end(self) -> None:
        if self._serving is not None and self._serving.foreign:
            return
        serving, self._serving = self._serving, None
        state, self._state = self._state, None
        try:
            if serving is not None:
                serving.stop()
        finally:
            if state is not None:
                state.close()

    def _open(self, transports: Transports) -> tuple[ASGIApp, Closer]:
        """Puts the parts together, inside the server's event loop."""
        state = self._state
        if state is None:
            raise RuntimeError("The emulator does not run.")
        broker = EventBroker()
        prompts = Prompts(broker, permission_timeout=self._permission_timeout)
        runner = TurnRunner(
            state=state,
            broker=broker,
            agent=self.agent,
            toolbox=FileToolbox(),
            prompts=prompts,
            activity=self._activity,
            retitle=self._retitle,
        )
        config = StreamConfig(
            broker=broker,
            faults=self.faults,
            activity=self._activity,
            transports=transports,
            heartbeat=self._heartbeat,
            limit=self._stream_limit,
            heartbeat_in_turn=state.caps.heartbeat_in_turn,
            left=runner.cancel if state.caps.close_cancels else _ignore,
        )
        context = AppContext(
            state=state,
            broker=broker,
            config=config,
            runner=runner,
            prompts=prompts,
            limit=self._stream_limit,
            delete_wait=self._delete_wait,
        )
        routes = [
            *SessionRoutes(context).routes(),
            *MessageRoutes(context).routes(),
            *FileRoutes(context).routes(),
            *StreamRoutes(context, self._queue_size).routes(),
            *SystemRoutes(context).routes(),
        ]
        api = Api(Mux(routes), cors_headers(state.caps))
        gate = FaultGate(api, self.faults, transports, self._restart_beside)
        app = Recorder(AccessGate(gate, self._access), self._activity)

        async def close() -> None:
            broker.close()
            await runner.close()

        return app, close

    def _restart_beside(self) -> None:
        """Restarts from within the server, whose own thread cannot wait for its own end."""
        threading.Thread(target=self._restart_if_running, name="mix-emulator-restart", daemon=True).start()

    def _restart_if_running(self) -> None:
        with self._life:
            if self._serving is not None:
                self.restart()


def _ignore(_: str) -> None:
    """From Mix 0.6.5 on, a stream's end changes nothing."""
