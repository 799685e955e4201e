"""What is made of the answer to a file."""

from __future__ import annotations

import httpx

from langchain_mix.client.files import _whole
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import Reply


def test_an_answer_whose_transfer_is_over() -> None:
    """The body was unpacked when it was read; headers that tell otherwise would have it unpacked once more."""
    call = _whole(httpx.URL("http://host:1/base"), calls.download_file("S", "a b.txt", thumb="w100"))
    headers = {"content-type": "text/plain", "content-encoding": "gzip", "content-length": "3", "etag": "7"}
    response = call.result(Reply(200, headers, b"unpacked"))
    assert response.content == b"unpacked"
    assert response.text == "unpacked"
    assert response.headers["etag"] == "7"
    assert response.headers["content-length"] == "8"
    assert str(response.request.url) == "http://host:1/base/api/sessions/S/files/a%20b.txt?thumb=w100"
    assert response.raise_for_status() is response


def test_the_same_call_otherwise() -> None:
    call = calls.download_file("S", "a.txt")
    whole = _whole(httpx.URL("http://host"), call)
    assert (str(whole), whole.idempotent, whole.query) == (str(call), True, ())
