"""Streams while they are recorded, and as they are replayed."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.testing.cassette_order import CassetteError, Clock, Order, Playback
from langchain_mix.testing.cassette_streams import (
    AsyncRecordedStream,
    Connection,
    RecordedStream,
    ReplayedStream,
    Take,
    events_in,
    is_stream,
)

ONE, TWO, THREE = b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"


class Source(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream of a server: pieces, and errors to raise between them."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.closed = False

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def __aiter__(self):
        for piece in self:
            yield piece

    def close(self):
        self.closed = True

    async def aclose(self):
        self.closed = True


def read_by(shell, stream, count=-1):
    """So many pieces of a stream, all for -1."""
    found = []

    def plain():
        pieces = iter(stream)
        for piece in pieces:
            found.append(piece)
            if len(found) == count:
                pieces.close()
                return

    async def loop():
        pieces = aiter(stream)
        async for piece in pieces:
            found.append(piece)
            if len(found) == count:
                await pieces.aclose()
                return

    try:
        plain() if shell == "sync" else asyncio.run(loop())
    except httpx.HTTPError as problem:
        found.append(problem)
    return found


def recorded(shell, *pieces, count=-1):
    take = Take(Clock(), 0)
    kind = RecordedStream if shell == "sync" else AsyncRecordedStream
    found = read_by(shell, kind(Source(*pieces), take), count)
    return found, take.order(streamed=True)


@pytest.fixture(params=["sync", "async"])
def shell(request):
    return request.param


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"", []),
        (ONE + TWO, [ONE, TWO]),
        (b"id: 1\r\ndata: x\r\n\r\ndata: 2\r\r", [b"id: 1\r\ndata: x\r\n\r\n", b"data: 2\r\r"]),
        (ONE + b"data: cut", [ONE, b"data: cut"]),
        (b"data: a\n", [b"data: a\n"]),
    ],
)
def test_events_in_a_stream(body, events):
    assert events_in(body) == events


@given(st.binary(max_size=60))
def test_nothing_of_a_stream_is_lost(body):
    assert b"".join(events_in(body)) == body


@given(st.lists(st.sampled_from([ONE, TWO, b"data: half"]), max_size=5), st.lists(st.integers(1, 9), max_size=12))
def test_events_come_when_their_last_byte_came(events, sizes):
    body = b"".join(events)
    take = Take(Clock(), 0)
    ends, start = [], 0
    for size in [*sizes, len(body)]:
        piece = body[start : start + size]
        if piece:
            take.received(piece)
            ends.append(start + len(piece))
        start += size
    order = take.order(streamed=True)
    whole = events_in(body)
    assert len(order.events) == len(whole)
    for number, tick in enumerate(order.events):
        last = sum(map(len, whole[: number + 1]))
        assert tick == next(i for i, end in enumerate(ends, 1) if end >= last)


def test_a_recorded_stream_is_handed_on_piece_by_piece(shell):
    found, order = recorded(shell, ONE, TWO + THREE)
    assert found == [ONE, TWO + THREE]
    assert (order.events, order.ending, order.ended) == ((1, 2, 2), "ended", 3)


def test_a_reader_who_leaves(shell):
    found, order = recorded(shell, ONE, TWO, count=1)
    assert found == [ONE]
    assert (order.events, order.ending, order.ended) == ((1,), "left", 0)


def test_a_reader_who_leaves_while_it_waits(shell):
    take = Take(Clock(), 0)
    source = Source(ONE, asyncio.CancelledError())
    kind = RecordedStream if shell == "sync" else AsyncRecordedStream
    with pytest.raises(asyncio.CancelledError):
        read_by(shell, kind(source, take))
    assert take.order(streamed=True).ending == "left waiting"


def test_a_connection_that_breaks(shell):
    found, order = recorded(shell, ONE, httpx.ReadError("gone"))
    assert isinstance(found[1], httpx.ReadError)
    assert (order.ending, order.ended, order.failure) == ("failed", 2, ("ReadError", "gone"))


@pytest.mark.parametrize("touch", [lambda sock: sock.fileno(), lambda sock: sock.shutdown(0)])
def test_a_stream_that_is_shut_down_under_its_reader_was_left_by_it(touch):
    class Real:
        def get_extra_info(self, name):
            return self

        def fileno(self):
            return 7

        def shutdown(self, how):
            self.how = how

    take = Take(Clock(), 0)
    connection = Connection(take.interrupt, Real())
    assert touch(connection.get_extra_info("socket")) in {7, None}
    take.waiting = True
    take.over(httpx.RemoteProtocolError("cut"))
    assert take.order(streamed=True).ending == "left waiting"


async def test_closing_closes_the_real_stream():
    plain, loop = Source(), Source()
    RecordedStream(plain, Take(Clock(), 0)).close()
    await AsyncRecordedStream(loop, Take(Clock(), 0)).aclose()
    assert plain.closed
    assert loop.closed


def replayed(order, body=ONE + TWO, patience=0.01, others=()):
    play = Playback([order, *others], patience)
    play.happened(order.requested, order.answered)
    return play, ReplayedStream(body, order, play, "GET /stream")


def test_a_replay_gives_the_pieces_as_they_came(shell):
    order = Order(requested=1, answered=2, events=(3, 3, 4), ending="ended", ended=5)
    _, stream = replayed(order, ONE + TWO + THREE)
    assert read_by(shell, stream) == [ONE + TWO, THREE]


def test_a_replay_breaks_where_the_connection_broke(shell):
    order = Order(requested=1, answered=2, events=(3, 4), ending="failed", ended=5, failure=("ReadTimeout", "late"))
    _, stream = replayed(order)
    *pieces, problem = read_by(shell, stream)
    assert pieces == [ONE, TWO]
    assert isinstance(problem, httpx.ReadTimeout)
    assert str(problem) == "late"


def test_a_piece_waits_for_the_request_that_came_before_it(shell):
    order = Order(requested=1, answered=2, events=(3, 6), ending="left")
    other = Order(requested=4, answered=5)
    play, stream = replayed(order, others=[other])
    with pytest.raises(CassetteError, match="piece 2 of GET /stream waits"):
        read_by(shell, stream)
    play, stream = replayed(order, others=[other])
    play.happened(4, 5)
    assert read_by(shell, stream, 2) == [ONE, TWO]


def test_reading_on_where_the_reader_left_is_an_error(shell):
    play, stream = replayed(Order(requested=1, answered=2, events=(3, 4), ending="left"))
    with pytest.raises(CassetteError, match="is read on where its recording ends"):
        read_by(shell, stream)
    assert play.problem is not None


def test_a_reader_who_waited_waits_again_until_it_is_shut_down(shell):
    order = Order(requested=1, answered=2, events=(3, 4), ending="left waiting")
    _, stream = replayed(order)
    with pytest.raises(CassetteError, match="the reader of GET /stream, which left it here"):
        read_by(shell, stream)
    _, stream = replayed(order)
    sock = Connection(stream.interrupt).get_extra_info("socket")
    with pytest.raises(OSError, match="no socket"):
        sock.fileno()
    *pieces, problem = read_by(shell, stream)
    assert pieces == [ONE, TWO], "what had arrived is still read"
    assert isinstance(problem, httpx.RemoteProtocolError)


def test_nobody_waits_for_a_stream_that_is_closed():
    order = Order(requested=1, answered=2, events=(3, 4), ending="ended", ended=5)
    other = Order(requested=6, answered=7)
    play, stream = replayed(order, others=[other])
    waiting = play.streams_before(7, "it")
    assert not waiting.ready()
    stream.close()
    assert waiting.ready()


@pytest.mark.parametrize("body", [ONE, ONE + TWO + THREE])
def test_a_body_that_does_not_fit_its_order_is_told_at_once(body):
    with pytest.raises(CassetteError, match=r"the body has \d events, and its x_order has the times of 2"):
        replayed(Order(requested=1, answered=2, events=(3, 4), ending="left"), body)


def test_what_is_a_stream():
    assert is_stream(httpx.Response(200, headers={"content-type": "text/event-stream; charset=utf-8"}))
    assert not is_stream(httpx.Response(200, json={}))


def test_a_replayed_connection_has_nothing_but_the_way_to_end_it():
    connection = Connection(lambda: None)
    assert connection.get_extra_info("ssl_object") is None
