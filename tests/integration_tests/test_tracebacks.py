"""A failure of the network is told once: the error says all that the HTTP library said."""

from __future__ import annotations

import asyncio
import pickle
import socket
import traceback
from io import BytesIO

import httpx
import pytest

from langchain_mix import ChatMix, MixRetriever, MixSaver
from langchain_mix.client import Mix
from langchain_mix.errors import MixNetworkError
from langchain_mix.protocol.retry import NO_RETRIES

CONFIG = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
ENTRIES = {
    "invoke": lambda model, mix: model.invoke("x"),
    "stream": lambda model, mix: list(model.stream("x")),
    "ainvoke": lambda model, mix: asyncio.run(model.ainvoke("x")),
    "operation": lambda model, mix: mix.sessions.get(id="x"),
    "async operation": lambda model, mix: asyncio.run(mix.sessions.get_async(id="x")),
    "turn": lambda model, mix: mix.turn("x", "y").run(),
    "async turn": lambda model, mix: asyncio.run(mix.turn_async("x", "y").run()),
    "events": lambda model, mix: mix.streaming.stream_events(session_id="x"),
    "download": lambda model, mix: mix.files.download(id="x", filename="f", to=BytesIO()),
    "saver": lambda model, mix: MixSaver(mix=mix).get_tuple(CONFIG),
    "async saver": lambda model, mix: asyncio.run(MixSaver(mix=mix).aget_tuple(CONFIG)),
    "retriever": lambda model, mix: MixRetriever(mix=mix, session_id="x").invoke("q"),
    "async retriever": lambda model, mix: asyncio.run(MixRetriever(mix=mix, session_id="x").ainvoke("q")),
}


@pytest.fixture(scope="module")
def nowhere():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_refused_connection_has_one_short_traceback(entry, nowhere):
    model = ChatMix(server_url=nowhere, max_retries=0)
    with Mix(server_url=nowhere, retry_config=NO_RETRIES) as mix, pytest.raises(MixNetworkError) as caught:
        ENTRIES[entry](model, mix)
    told = "".join(traceback.format_exception(caught.value))
    assert told.count("Traceback (most recent call last)") == 1, told
    assert "httpcore" not in told
    assert "refused" in str(caught.value) or "attempts failed" in str(caught.value)
    assert isinstance(caught.value.original, httpx.ConnectError)
    assert pickle.loads(pickle.dumps(caught.value)).original is None  # noqa: S301  # Its own.
