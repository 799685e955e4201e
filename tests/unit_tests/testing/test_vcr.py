"""Which recorded answer a request gets."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from vcr.cassette import Cassette as VcrCassette
from vcr.matchers import body, method, path, query
from vcr.record_mode import RecordMode
from vcr.request import Request

from langchain_mix.testing.cassette_order import CassetteError
from langchain_mix.testing.scrubbing import CASSETTE_URL, Scrubber
from langchain_mix.testing.vcr import Player, Recorder, request_of

SCRUBBER = Scrubber({})


def kept(verb="GET", where="/a", content=None):
    headers = {"content-type": "application/json"} if content else {}
    return request_of(verb, CASSETTE_URL + where, content, headers)


def answer(text, order=None):
    whole = {"status": {"code": 201, "message": "Made"}, "headers": {"x": ["1", "2"]}, "body": {"string": text}}
    return whole | ({"x_order": order} if order else {})


def player(*interactions, patience=0.01):
    return Player(Path("one.yaml"), [q for q, _ in interactions], [a for _, a in interactions], SCRUBBER, patience)


def ask(deck, verb="GET", where="/a", **more):
    return deck.handle(httpx.Request(verb, f"https://elsewhere.example:9{where}", **more), lambda: None)


def test_an_answer_is_given_as_recorded():
    response = ask(player((kept(), answer(b"hello"))))
    assert (response.status_code, response.reason_phrase, response.read()) == (201, "Made", b"hello")
    assert response.headers.get_list("x") == ["1", "2"]


def test_the_same_request_gets_its_answers_in_turn_and_then_an_error():
    deck = player((kept(), answer(b"one")), (kept(), answer(b"two")))
    assert [ask(deck).read(), ask(deck).read()] == [b"one", b"two"]
    with pytest.raises(CassetteError, match="All 2 recorded answers were given already"):
        ask(deck)


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        ({"verb": "DELETE"}, "method"),
        ({"where": "/b"}, "path"),
        ({"where": "/a?x=1"}, "query"),
        ({"verb": "POST", "where": "/c", "json": {"a": 2}}, "body"),
    ],
)
def test_requests_are_matched_by_method_path_query_and_body(asked, differs):
    deck = player((kept(), answer(b"")), (kept("POST", "/c", b'{"a":1}'), answer(b"")))
    with pytest.raises(CassetteError, match=rf"one\.yaml has no answer for .*differs in: {differs}\."):
        ask(deck, **asked)


def test_json_bodies_match_whatever_their_spelling():
    deck = player((kept("POST", "/c", b'{"a": 1, "b": 2}'), answer(b"fine")))
    assert (
        ask(deck, "POST", "/c", content=b'{"b":2,"a":1}', headers={"content-type": "application/json"}).read()
        == b"fine"
    )


def test_after_an_error_every_request_fails_with_it():
    deck = player((kept(), answer(b"")))
    with pytest.raises(CassetteError) as first:
        ask(deck, where="/nothing")
    with pytest.raises(CassetteError) as second:
        ask(deck)
    assert second.value is first.value
    with pytest.raises(CassetteError):
        deck.check(allow_unused=True)


def test_what_was_not_used_is_told_unless_that_is_allowed():
    deck = player((kept(), answer(b"")), (kept("POST", "/b"), answer(b"")))
    ask(deck)
    assert deck.unused == [("POST", "/b")]
    with pytest.raises(CassetteError, match="1 recorded answers were not used: POST /b"):
        deck.check(allow_unused=False)
    deck.check(allow_unused=True)


def test_an_answer_waits_for_the_pieces_of_streams_before_it():
    stream = answer(b"data: 1\n\n", {"requested": 1, "answered": 2, "events": [3], "ending": "left"})
    late = answer(b"done", {"requested": 4, "answered": 5})
    deck = player((kept(where="/s"), stream), (kept(), late))
    ask(deck, where="/s")
    with pytest.raises(CassetteError, match="the answer of GET /a waits"):
        ask(deck)
    deck = player((kept(where="/s"), stream), (kept(), late))
    assert next(iter(ask(deck, where="/s").stream)) == b"data: 1\n\n"
    assert ask(deck).read() == b"done"


async def test_a_cancelled_request_holds_nobody_up():
    import asyncio

    stream = answer(b"data: 1\n\ndata: 2\n\n", {"requested": 1, "answered": 2, "events": [3, 6], "ending": "left"})
    late = answer(b"done", {"requested": 4, "answered": 5})
    deck = player((kept(where="/s"), stream), (kept(), late), patience=5.0)
    opened = await deck.handle_async(httpx.Request("GET", "http://x/s"), lambda: None)
    waiting = asyncio.create_task(deck.handle_async(httpx.Request("GET", "http://x/a"), lambda: None))
    while deck.unused:
        await asyncio.to_thread(lambda: None)
    waiting.cancel()
    await asyncio.wait([waiting])
    pieces = aiter(opened.stream)
    assert [await anext(pieces), await anext(pieces)] == [b"data: 1\n\n", b"data: 2\n\n"]


def test_a_cassette_of_vcrpy_is_replayed_at_once():
    headers = {"content-type": ["text/event-stream"]}
    stock = {"status": {"code": 200, "message": ""}, "headers": headers, "body": {"string": b"data: 1\n\n"}}
    assert ask(player((kept(), stock))).read() == b"data: 1\n\n"


def test_a_compressed_answer_is_refused():
    recorder = Recorder(SCRUBBER)
    zipped = httpx.Response(200, headers={"content-encoding": "deflate"}, stream=httpx.ByteStream(b""))
    request = httpx.Request("GET", "http://x/a", headers={"accept-encoding": "gzip"})
    with pytest.raises(CassetteError, match="compressed"):
        recorder.handle(request, lambda: zipped)
    assert request.headers["accept-encoding"] == "identity"


def test_a_request_that_fails_is_not_recorded():
    recorder = Recorder(SCRUBBER)

    def refuse():
        raise httpx.ConnectError("nobody there")

    with pytest.raises(httpx.ConnectError):
        recorder.handle(httpx.Request("GET", "http://x/a"), refuse)
    assert recorder.recorded() == ([], [])


class TestNamesOfVcrpy:
    """What this package uses of vcrpy, and how it must behave."""

    def test_record_mode(self):
        assert RecordMode.NONE == "none"

    @pytest.mark.parametrize("matcher", [method, path, query, body])
    def test_matchers(self, matcher):
        one = Request("GET", "http://h/x?b=1", b"x", {})
        other = Request("PUT", "http://h/y?b=2", b"y", {})
        matcher(one, one)
        with pytest.raises(AssertionError):
            matcher(one, other)

    def test_cassette(self):
        tape = VcrCassette("none.yaml", record_mode=RecordMode.NONE, match_on=(method, path))
        request = Request("GET", "http://h/x", None, {})
        tape.append(request, {"body": {"string": b""}})
        assert not tape.can_play_response_for(request)
        tape.rewound = True
        assert tape.can_play_response_for(request)
        assert tape.play_response(request) == {"body": {"string": b""}}
        assert not tape.can_play_response_for(request)
        assert tape.play_counts[0] == 1
        assert tape.play_counts[1] == 0
        assert len(tape.responses_of(request)) == len(tape.requests) == 1
        near = tape.find_requests_with_most_matches(Request("GET", "http://h/y", None, {}))
        assert near[0][1] == ["method"]
        assert near[0][2][0][0] == "path"
