"""Operations that are sent to another server than the client's own."""

from __future__ import annotations

import asyncio
import inspect
import io
import operator
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from langchain_mix.client import Mix, MixConfigurationError, MixError
from langchain_mix.client._config import read_settings
from langchain_mix.client._requests import Core
from langchain_mix.client.httpclient import tls
from langchain_mix.client.types import UNSET
from langchain_mix.client.utils import RetryConfig
from langchain_mix.protocol.api import ApiVersion

OWN, OTHER = "http://user:word@own:1/mix", "http://other:2/base"
SECRETS = {"Authorization": "Bearer own", "X-Proxy": "own"}
GROUPS = {name: part for name, part in vars(Mix).items() if hasattr(part, "attrname")}


def operations() -> list[str]:
    mix = Mix()
    return [
        f"{group}.{name}"
        for group in GROUPS
        for name, _ in inspect.getmembers(getattr(mix, group), inspect.ismethod)
        if not name.startswith("_") and not name.endswith("_async")
    ]


class Servers:
    """Any number of servers that refuse everything, and what they were asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(418, text="no")


def call(mix: Mix, operation: str, *, is_async: bool, **options: Any) -> None:
    """Calls an operation with its least arguments; its refusal is expected."""
    plain = operator.attrgetter(operation)(mix)
    parameters = inspect.signature(plain).parameters.values()
    values: dict[str, Any] = {"message_index": 1, "to": io.BytesIO(), "file": {"file_name": "f", "content": b"1"}}
    needed = {p.name: values.get(p.name, "x") for p in parameters if p.default is p.empty and p.name != "options"}
    if operation.endswith("update_session_callbacks"):
        needed["callbacks"] = []
    if operation.endswith("update_preferences"):
        needed["main_agent_model"] = "m"
    with pytest.raises(MixError, match="418"):
        if is_async:
            asyncio.run(
                getattr(operator.attrgetter(operation.rpartition(".")[0])(mix), f"{plain.__name__}_async")(
                    **needed, **options
                )
            )
        else:
            plain(**needed, **options)


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def mix(servers: Servers) -> Mix:
    transport = httpx.MockTransport(servers)
    return Mix(
        server_url=OWN,
        client=httpx.Client(transport=transport),
        async_client=httpx.AsyncClient(transport=transport),
        headers=SECRETS,
    )


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("operation", operations())
def test_an_operation_is_sent_to_the_server_it_names(
    mix: Mix, servers: Servers, operation: str, is_async: bool
) -> None:
    call(mix, operation, is_async=is_async, server_url=OTHER, http_headers={"X-Own": "1"}, retries=UNSET)
    assert servers.asked
    for request in servers.asked:
        assert str(request.url).startswith(f"{OTHER}/")
        assert request.headers["x-own"] == "1"
        assert not {"authorization", "x-proxy"} & set(request.headers)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, ("http://own:1/mix", "Bearer own", "own")),
        ("http://own:1/mix", ("http://own:1/mix", "Bearer own", "own")),
        ("http://OWN:1/mix/", ("http://own:1/mix", "Bearer own", "own")),
        ("http://own:1/more", ("http://own:1/more", "Bearer own", "own")),
        ("http://a:b@own:1/mix", ("http://own:1/mix", "Basic YTpi", "own")),
        ("http://own/mix", ("http://own/mix", None, None)),
        ("https://own:1/mix", ("https://own:1/mix", None, None)),
        ("http://own.other:1/mix", ("http://own.other:1/mix", None, None)),
        ("http://a:b@other", ("http://other", "Basic YTpi", None)),
    ],
)
def test_secrets_stay_with_their_origin(mix: Mix, servers: Servers, url: str | None, expected: tuple[str, Any]) -> None:
    call(mix, "sessions.list", is_async=False, server_url=url)
    (request,) = servers.asked
    base: Any = str(request.url).removesuffix("/api/sessions")
    assert (base, request.headers.get("authorization"), request.headers.get("x-proxy")) == expected


@pytest.mark.parametrize("url", ["", "other:2", "ftp://other", "http://", "http://other?x=1", "http://[::1"])
def test_a_malformed_url_is_refused(mix: Mix, servers: Servers, url: str) -> None:
    with pytest.raises(MixConfigurationError, match="server URL"):
        mix.sessions.list(server_url=url)
    assert servers.asked == []


def core(api: str = "auto") -> Core:
    options: dict[str, Any] = dict.fromkeys(("url_params", "server_idx", "retry_config", "timeout_ms", "debug_logger"))
    return Core(read_settings(server_url=OWN, headers=SECRETS, api=api, **options))


def test_servers_are_known_apart() -> None:
    own = core(api="0.5")
    other, third = own.for_server(OTHER), own.for_server("http://third")
    assert own.server_api.detected.version == "0.5"
    assert other.server_api.detected.version is None
    other.narrow(other.server_api.detected.narrow([ApiVersion("0.8")]))
    assert own.server_api.detected.version == "0.5"
    assert other.server_api.detected.version == "0.8"
    assert third.server_api.detected.version is None
    assert own.for_server(OTHER) is other
    assert own.for_server("http://own:1/mix") is own.for_server(None) is own


def test_a_client_of_many_servers_forgets_the_oldest() -> None:
    own = core()
    first = own.for_server("http://s0")
    last = [own.for_server(f"http://s{i}") for i in range(1000)][-1]
    assert own.for_server("http://s999") is last
    assert own.for_server("http://s0") is not first
    assert len(own._others) <= 256


@pytest.mark.parametrize("make", [httpx.Client, httpx.AsyncClient])
def test_one_context_serves_every_scheme(make: Callable[..., Any]) -> None:
    """A client of a plain server verifies certificates too: its next call may go to a server behind TLS."""
    make(verify=tls())
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    spoken = tls().wrap_bio(incoming, outgoing, server_hostname="other")
    assert spoken.context.verify_mode is ssl.CERT_REQUIRED
    assert spoken.context.check_hostname
    assert spoken.context.cert_store_stats()["x509_ca"] > 0


class TestThePositionsOfArguments:
    http = httpx.Client()

    @pytest.mark.parametrize(
        "mix",
        [
            Mix("http://other:2/base", http, None, UNSET, 5),  # type: ignore[arg-type]
            Mix("http://other:2/base", http, timeout_ms=5),  # type: ignore[arg-type]
            Mix(0, "http://other:2/base", None, http, None, None, 5),
            Mix(None, "http://{host}/base", {"host": "other:2"}, http, timeout_ms=5, retry_config=UNSET),
        ],
    )
    def test_of_every_release(self, mix: Mix) -> None:
        assert mix.server_url == "http://other:2/base"
        assert mix._sync.connections.call_client() is self.http
        assert mix._core.settings.timeout == 0.005
        assert mix._core.settings.retry == RetryConfig()

    def test_given_twice(self) -> None:
        with pytest.raises(TypeError, match="multiple values for argument 'server_url'"):
            Mix("http://other", server_url="http://third")
