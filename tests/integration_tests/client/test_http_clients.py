"""What the environment says of proxies and certificates is an error of this package that names the variable."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from langchain_mix import ChatMix, Mix, MixEmulator
from langchain_mix.client import httpclient
from langchain_mix.emulator import Script
from langchain_mix.errors import MixConfigurationError, MixConnectionError

PASSWORD = "hunter2"  # A test's.


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def server() -> Iterator[MixEmulator]:
    with MixEmulator(api="0.8", agent=Script(default="Hello.")) as server:
        yield server


def failure(server: MixEmulator, *, asynchronous: bool) -> MixConfigurationError:
    with Mix(server_url=server.url) as mix, pytest.raises(MixConfigurationError) as caught:
        if asynchronous:
            asyncio.run(mix.sessions.list_async())
        else:
            mix.sessions.list()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return caught.value


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("NO_PROXY", "localhost,::1/128", "'::1/128'"),
        ("no_proxy", "fe80::/10", "'fe80::/10'"),
        ("NO_PROXY", "127.0.0.1,[::1]", "'[::1]'"),
        ("NO_PROXY", "localhost\n192.168.1.1", r"'localhost\n192.168.1.1'"),
        ("no_proxy", f"ada:{PASSWORD}@[::1", "an entry that"),
        ("ALL_PROXY", f"socks5://ada:{PASSWORD}@127.0.0.1:9", "SOCKS"),
        ("HTTP_PROXY", f"ftp://ada:{PASSWORD}@x:1", "'ftp'"),
        ("https_proxy", f"http://ada:{PASSWORD}@[::1", "no proxy that can be used"),
        ("all_proxy", f"http://ada:{PASSWORD}@x:port", "no proxy that can be used"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(server, monkeypatch, name, value, shown, asynchronous) -> None:  # noqa: PLR0917
    if "socks" in value:
        monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    monkeypatch.setenv(name, value)
    error = failure(server, asynchronous=asynchronous)
    assert name in error.message
    assert shown in error.message
    assert PASSWORD not in str(error)


def test_chat_models_say_it_too(server, monkeypatch) -> None:
    monkeypatch.setenv("NO_PROXY", "::1/128")
    with pytest.raises(MixConfigurationError, match="NO_PROXY"):
        ChatMix(server_url=server.url).invoke("Hi")


@pytest.mark.parametrize("value", ["localhost,127.0.0.1,::1", "*", "10.0.0.0/8,.example.org, localhost ", "[::1", ""])
def test_what_httpx_reads_is_left_to_it(server, monkeypatch, value) -> None:
    monkeypatch.setenv("NO_PROXY", value)
    try:
        httpx.Client().close()
    except httpx.InvalidURL:
        assert "NO_PROXY" in str(failure(server, asynchronous=False))
    else:
        with Mix(server_url=server.url) as mix:
            mix.sessions.list()


def test_certificates_that_cannot_be_read_are_named_where_they_are_needed(server, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(httpclient, "_trusting", httpclient._trusting.__wrapped__)
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for value in (broken, tmp_path / "missing.pem"):
        monkeypatch.setenv("SSL_CERT_FILE", str(value))
        with Mix(server_url=server.url) as mix:
            mix.sessions.list()  # Without TLS nobody needs them.
        with Mix(server_url=server.url.replace("http:", "https:")) as mix:
            with pytest.raises(MixConfigurationError, match="SSL_CERT_FILE"):
                mix.sessions.list()
            with pytest.raises(MixConfigurationError, match="SSL_CERT_FILE"):
                asyncio.run(_alist(mix))


async def _alist(mix: Mix) -> Any:
    try:
        return await mix.sessions.list_async()
    finally:
        await mix.aclose()


class Wrapper:
    """A client around another one, as the documentation of Mix shows it."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.sent = 0

    def build_request(self, *args: Any, **kwargs: Any) -> httpx.Request:
        return self.client.build_request(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> httpx.Response:
        self.sent += 1
        return self.client.send(*args, **kwargs)


class Foreign:
    """A client of another library, whose requests are its own."""

    def build_request(self, method: str, url: str) -> object:
        return (method, url)

    def send(self, request: object) -> object:
        return request


class TestOwnClients:
    def test_a_wrapper_is_used(self, server) -> None:
        with httpx.Client() as client:
            wrapper: Any = Wrapper(client)
            Mix(server_url=server.url, client=wrapper).sessions.list()
            assert wrapper.sent == 1

    @pytest.mark.parametrize("wrong", [Foreign(), httpx.AsyncClient(), "http://proxy", object()])
    def test_another_kind_is_refused_with_its_name(self, wrong: Any) -> None:
        with pytest.raises(MixConfigurationError, match=f"`client` is a .*{type(wrong).__name__}.*httpx.Client"):
            Mix(client=wrong)

    def test_a_synchronous_client_is_no_asynchronous_one(self) -> None:
        for wrong in (httpx.Client(), Wrapper(httpx.Client())):
            with pytest.raises(MixConfigurationError, match=r"`async_client`.*httpx\.AsyncClient"):
                Mix(async_client=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_that_does_not_answer_is_named(server, monkeypatch, name, asynchronous) -> None:
    monkeypatch.setenv(name, f"http://ada:{PASSWORD}@127.0.0.1:1")
    with Mix(server_url=server.url) as mix, pytest.raises(MixConnectionError, match=f"{name} names a proxy") as caught:
        if asynchronous:
            asyncio.run(mix.sessions.create_async(title="t"))
        else:
            mix.sessions.create(title="t")
    assert PASSWORD not in str(caught.value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Mix(server_url="http://127.0.0.1:1") as mix, pytest.raises(MixConnectionError) as caught:
        mix.sessions.create(title="t")
    assert "a proxy" not in str(caught.value)
