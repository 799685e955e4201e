"""A bare HTTP client of the emulator: raw httpx and the project's own SSE decoder, nothing else."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from langchain_mix.emulator import MixEmulator
from langchain_mix.protocol.sse import ServerSentEvent, SSEDecoder

ENDS = ("complete", "error")


@dataclass
class Heard:
    """An event as a client hears it."""

    name: str
    data: dict[str, Any]
    id: str
    retry: int | None

    def __repr__(self) -> str:
        return f"{self.name}{json.dumps(self.data, ensure_ascii=False)}"


class Stream:
    """An open event stream."""

    def __init__(self, response: httpx.Response, wire: Wire, session: str) -> None:
        self.response = response
        self.wire = wire
        self.session = session
        self.raw = b""
        self._decoder = SSEDecoder(ServerSentEvent.decode)
        self._chunks = response.iter_raw()
        self._ready: list[ServerSentEvent] = []

    def next(self) -> Heard:
        """The next event; `EOFError` at the end of the stream."""
        while not self._ready:
            try:
                chunk = next(self._chunks)
            except StopIteration:
                raise EOFError from None
            self.raw += chunk
            self._ready = self._decoder.feed(chunk)
        event = self._ready.pop(0)
        return Heard(event.event, json.loads(event.data), event.id, event.retry)

    def until(self, *names: str) -> list[Heard]:
        """Events up to and with the first of these names."""
        heard = [self.next()]
        while heard[-1].name not in names:
            heard.append(self.next())
        return heard

    def turn(self) -> list[Heard]:
        """Events up to the end of a turn of the main agent."""
        heard = [self.next()]
        while heard[-1].name not in ENDS or "parentToolCallId" in heard[-1].data:
            heard.append(self.next())
        return heard

    def rest(self) -> list[Heard]:
        """All that is still under way: a session made now is announced behind it."""
        self.wire.server.wait_idle()
        marker = self.wire.session("marker")
        heard: list[Heard] = []
        while True:
            event = self.next()
            if event.name == "session_created" and event.data["sessionId"] == marker:
                return heard
            heard.append(event)


@dataclass
class Wire:
    """A server and a client of it."""

    server: MixEmulator
    http: httpx.Client
    pool: ThreadPoolExecutor
    stack: ExitStack = field(repr=False)

    @property
    def api(self) -> str:
        return str(self.server.api)

    @staticmethod
    def error(reply: httpx.Response) -> tuple[int, str, str]:
        """Status, type and message of a JSON error, whose form is checked."""
        assert reply.headers["content-type"] == "application/json"
        assert reply.text.endswith("}}\n")
        body = reply.json()["error"]
        assert list(body) == ["code", "message", "type"]
        assert body["code"] == reply.status_code
        return reply.status_code, body["type"], body["message"]

    def session(self, title: str = "test", **body: Any) -> str:
        if self.api in {"0.8", "next"}:
            body.setdefault("browserMode", "local-browser-service")
        reply = self.http.post("/api/sessions", json={"title": title, **body})
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    def open(self, session: str) -> Stream:
        response = self.stack.enter_context(self.http.stream("GET", "/stream", params={"sessionId": session}))
        stream = Stream(response, self, session)
        assert stream.next().name == "connected"
        return stream

    def post(self, session: str, text: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/api/sessions/{session}/messages", json={"text": text, **body})

    def start(self, session: str, text: str, **body: Any) -> Future[httpx.Response]:
        """Has a turn streamed, in the way of the generation."""
        if self.api == "0.5":
            content = json.dumps({"text": text, **body})
            return self.pool.submit(self.http.post, f"/stream/{session}/message", json={"content": content})
        return self.pool.submit(self.post, session, text, **body)

    def turn(self, session: str, text: str = "go", **body: Any) -> list[Heard]:
        """Runs a turn and gives all that its stream heard."""
        stream = self.open(session)
        answer = self.start(session, text, **body)
        heard = stream.turn()
        assert answer.result(10).status_code in {200, 202}, answer.result().text
        heard += stream.rest()
        stream.response.close()
        return heard

    def rows(self, session: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.http.get(f"/api/sessions/{session}/messages").json()
        return rows

    def get(self, session: str) -> dict[str, Any]:
        facts: dict[str, Any] = self.http.get(f"/api/sessions/{session}").json()
        return facts


Make = Callable[..., Wire]


@pytest.fixture(scope="session")
def plain() -> ssl.SSLContext:
    """Certificates for clients of a server without TLS: none. Reading the machine's takes longer than most tests."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def make(plain: ssl.SSLContext) -> Iterator[Make]:
    """Starts servers; all are stopped after the test."""
    with ExitStack() as stack:

        def start(api: str = "0.8", agent: Any = "offline", **options: Any) -> Wire:
            server = stack.enter_context(MixEmulator(api, agent, **options))
            limits = httpx.Limits(max_connections=None)
            client = httpx.Client(base_url=server.url, timeout=10, limits=limits, verify=plain)
            http = stack.enter_context(client)
            pool = stack.enter_context(_pool())
            return Wire(server, http, pool, stack)

        yield start


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(16)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def wire(make: Make, request: pytest.FixtureRequest) -> Wire:
    """A server of the generation that the test is parametrised with, else of Mix 0.8."""
    return make(getattr(request, "param", "0.8"))
