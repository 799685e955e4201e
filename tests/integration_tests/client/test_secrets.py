"""No secret of a request stands in a log, an error or a pickle, whatever the other side does."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import Any

import httpx
import pytest

from langchain_mix import MixEmulator
from langchain_mix.client import Mix
from langchain_mix.emulator import HttpError, Script
from langchain_mix.errors import MixConfigurationError, MixError, MixNetworkError
from langchain_mix.protocol.retry import NO_RETRIES

SECRET = "hunter2-s3cret"  # A test's.


@pytest.fixture
def log(caplog: Any) -> Any:
    caplog.set_level(logging.DEBUG, "langchain_mix")
    return caplog


@pytest.mark.parametrize("name", ["CF-Access-Client-Secret", "Api-Key", "PRIVATE-TOKEN", "X-Of-Tomorrow"])
def test_the_log_hides_headers_bodies_and_credentials(log, name) -> None:
    with MixEmulator(api="0.8", agent=Script(default="Hello.")) as server:
        url = server.url.replace("http://", f"http://ann:{SECRET}@")
        with Mix(server_url=url, headers={name: SECRET}) as mix:
            session = mix.sessions.create(
                title=SECRET, browser_mode="remote-cdp-websocket", cdp_url=f"ws://x/?token={SECRET}"
            )
            mix.sessions.list(http_headers={"X-Once": SECRET})
            mix.authentication.store_api_key(api_key=f"sk-ant-{SECRET * 4}", provider="anthropic")
            mix.turn(session.id, SECRET).run()
    assert "-> POST /api/sessions" in log.text
    assert "user-agent" in log.text
    assert SECRET not in log.text


class Failing(httpx.BaseTransport):
    """Fails with an exception that quotes what was sent, as several of httpx's do."""

    def __init__(self, kind: type[httpx.HTTPError]) -> None:
        self.kind = kind

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise self.kind(f"Illegal header value {request.headers['x-key']!r}", request=request)


@pytest.mark.parametrize(
    "kind",
    [
        httpx.LocalProtocolError,
        httpx.RemoteProtocolError,
        httpx.UnsupportedProtocol,
        httpx.ProxyError,
        httpx.DecodingError,
        httpx.TooManyRedirects,
        httpx.ReadTimeout,
        httpx.PoolTimeout,
    ],
)
def test_words_of_foreign_exceptions_are_not_quoted(kind) -> None:
    with httpx.Client(transport=Failing(kind)) as client, pytest.raises(MixError) as caught:
        Mix(client=client, headers={"X-Key": SECRET}, retry_config=NO_RETRIES).sessions.list()
    assert SECRET not in str(caught.value) + repr(caught.value)
    if not issubclass(kind, httpx.TimeoutException):  # What they really say is known; retries look at them.
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET.encode() not in pickle.dumps(caught.value)


def test_what_the_system_says_of_a_connection_is_told() -> None:
    mix = Mix(server_url="http://127.0.0.1:1", headers={"X-Key": SECRET}, retry_config=NO_RETRIES)
    with mix, pytest.raises(MixNetworkError, match="refused") as caught:
        mix.sessions.list()
    assert SECRET.encode() not in pickle.dumps(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # Our own.
    assert again.message == caught.value.message


def test_a_proxy_that_echoes_the_key_does_not_bring_it_into_errors() -> None:
    with MixEmulator(api="0.8") as server:
        server.faults.add(HttpError(status=403, body=f"Bearer {SECRET} may not do this", count=9))
        mix = Mix(server_url=server.url, headers={"Authorization": f"Bearer {SECRET}"})
        with mix, pytest.raises(MixError, match="<hidden> may not do this") as caught:
            mix.sessions.list()
    assert SECRET not in str(caught.value) + repr(caught.value) + caught.value.body


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_header_of_one_operation_is_checked_too(asynchronous) -> None:
    async with Mix(server_url="http://127.0.0.1:1") as mix:
        with pytest.raises(MixConfigurationError, match="'X-Key'") as caught:
            if asynchronous:
                await mix.sessions.list_async(http_headers={"X-Key": f"{SECRET}\n"})
            else:
                mix.sessions.list(http_headers={"X-Key": f"{SECRET}\n"})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("own", [True, False], ids=["of the client", "of the call"])
def test_a_proxy_that_echoes_a_header_gives_it_to_no_error(own) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        key = request.headers["x-key"]
        return httpx.Response(400, headers={"x-was": f"key {key}"}, text=f"bad {key}")

    headers = {"X-Key": SECRET}
    http = httpx.Client(transport=httpx.MockTransport(echo))
    mix = Mix(server_url="http://mix.example", client=http, headers=headers if own else None)
    with pytest.raises(MixError) as caught:
        mix.sessions.list(http_headers=None if own else headers)
    error: Any = caught.value
    assert SECRET not in f"{error} {error.body} {error.headers} {error!r}"
    assert error.headers["x-was"] == "key <hidden>"
