"""The framing, against a reader written line by line from the WHATWG text."""

from __future__ import annotations

import itertools
import re
import tracemalloc
from collections import deque
from typing import Any

import pytest
from hypothesis import example
from hypothesis import strategies as st

from langchain_mix.errors import MixStreamError
from langchain_mix.protocol import sse
from langchain_mix.protocol.sse import ServerSentEvent, SSEDecoder, encode

MiB = 1 << 20

# Pieces of which anything a server or a proxy could send is made.
BYTES = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"\n\n", b"data", b"data:", b"data: ", b"event: x", b"event", b"id: 7", b"id", b"id: a\0b",
         b"retry: 30", b"retry: -3", b"retry: 1x", b"retry: ", b":", b": note", b" ", b"  a", b"\xef\xbb\xbf", b"\xef",
         b"\xbb\xbf", "é€𐍈".encode(), "𐍈".encode()[:2], b"\xff", b"\0", b"DATA: x", "\u2028\x85\x0b".encode(), b"other: x",
         # Whole events as Mix sends them, and their lines.
         b"event: e\ndata: d\n\n", b"id: 8\nevent: e\ndata: d\nretry: 30\n\n", b"id: 9\n", b"event: f\n", b"data: g\n",
         b"retry: 123456789012345678\n", b"retry: 40\n"]
    ),
    max_size=40,
).map(b"".join)  # fmt: skip


def by_the_standard(body: bytes) -> list[ServerSentEvent]:
    """WHATWG HTML 9.2.6, in its own order and words; `retry` belongs to the event in whose lines it stands."""
    text = body.decode("utf-8", errors="replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", text)[:-1]  # What follows the last line end is an incomplete line.
    events: list[ServerSentEvent] = []
    data = event_type = last_event_id = ""
    retry = None
    for line in lines:
        if line == "":
            if data != "":
                events.append(ServerSentEvent(event_type or "message", data[:-1], last_event_id, retry))
            data, event_type, retry = "", "", None
        elif line.startswith(":"):
            continue
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event_type = value
            elif field == "data":
                data += value + "\n"
            elif field == "id" and "\0" not in value:
                last_event_id = value
            elif field == "retry" and re.fullmatch("[0-9]+", value):
                retry = int(value)
    return events


def decoded(body: bytes, cuts: list[int]) -> list[ServerSentEvent]:
    decoder = SSEDecoder(ServerSentEvent.decode)
    ends = [0, *sorted({c % (len(body) + 1) for c in cuts}), len(body)]
    return [e for a, b in itertools.pairwise(ends) for e in decoder.feed(body[a:b])]


def test_it_reads_what_the_standard_says(tried: Any) -> None:
    @tried(80, body=BYTES)
    @example(b"\xef\xbb\xbfdata: a\n\n")
    @example(b"data\n\n")
    @example(b"data:\ndata\n\n")
    @example(b"id: 1\n\ndata: a\r\rid\ndata: b\r\n\r\n")
    @example(b"id: 1\nevent: e\ndata: a\nretry: 5\n\nevent: f\ndata: \n\nid: \nevent:  g\ndata: \xff\n\n")
    @example(b"id: a\0b\nevent: e\ndata: a\n\nretry: 7\nevent: e\ndata: a\n\ndata: b\nevent: e\ndata: a\n\n")
    def _(body: bytes) -> None:
        assert SSEDecoder(ServerSentEvent.decode).feed(body) == by_the_standard(body)


def test_chunk_boundaries_change_nothing(tried: Any) -> None:
    @tried(80, body=BYTES, cuts=st.lists(st.integers(0, 300), max_size=12))
    @example(b"\xef\xbb\xbfdata: \xe2\x82\xac\r\n\r\n", list(range(20)))
    @example(b"retry: 7\nevent: e\ndata: a\n\n", [9])
    @example(b"event: f\ndata: a\n\n", [9])
    def _(body: bytes, cuts: list[int]) -> None:
        assert decoded(body, cuts) == by_the_standard(body)


EVERYTHING = (
    b"\xef\xbb\xbfid: 1\r\nevent: x\r\ndata: \xe2\x82\xac\r\ndata:  b\rdata: c\n\r\n"
    b": note\r\nid: 2\0\ndata\r\r\nid\rretry: 5\r\ndata: d\r\n\r\n"
)


@pytest.mark.parametrize("size", range(1, 6))
def test_a_stream_of_everything_may_be_cut_anywhere(size: int) -> None:
    told = [
        ServerSentEvent("x", "€\n b\nc", "1"),
        ServerSentEvent("message", "", "1"),
        ServerSentEvent("message", "d", "", 5),
    ]
    assert by_the_standard(EVERYTHING) == told
    assert decoded(EVERYTHING, list(range(0, len(EVERYTHING), size))) == told
    for at in range(len(EVERYTHING)):
        assert decoded(EVERYTHING, [at, at + size]) == told


LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12)
EVENTS = st.builds(
    ServerSentEvent,
    event=LINE.filter(bool),
    data=st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=20),
    id=LINE,
    retry=st.none() | st.integers(0, 10**15),
)


def test_what_is_written_is_read_back(tried: Any) -> None:
    @tried(25, event=EVENTS)
    def _(event: ServerSentEvent) -> None:
        assert SSEDecoder(ServerSentEvent.decode).feed(encode(event)) == [event]


def test_events_in_a_row_keep_apart(tried: Any) -> None:
    @tried(25, events=st.lists(EVENTS, max_size=5))
    def _(events: list[ServerSentEvent]) -> None:
        read = SSEDecoder(ServerSentEvent.decode).feed(b"".join(map(encode, events)))
        assert [(e.event, e.data, e.retry) for e in read] == [(e.event, e.data, e.retry) for e in events]


def test_it_writes_what_mix_writes() -> None:
    wire = encode(ServerSentEvent("content", '{"a":1}', "7", 30_000))
    assert wire == b'id: 7\nevent: content\ndata: {"a":1}\nretry: 30000\n\n'
    assert encode(ServerSentEvent("x", "a\r\nb\rc")) == b"event: x\ndata: a\ndata: b\ndata: c\n\n"


@pytest.mark.parametrize("event", [ServerSentEvent("a\nb"), ServerSentEvent(id="a\rb"), ServerSentEvent(id="a\0")])
def test_what_no_reader_could_get_back_is_not_written(event: ServerSentEvent) -> None:
    with pytest.raises(ValueError, match="single lines"):
        encode(event)


def test_a_retry_of_thousands_of_digits_is_no_time() -> None:
    (event,) = SSEDecoder(ServerSentEvent.decode).feed(b"retry: " + b"1" * 5000 + b"\ndata: x\n\n")
    assert event.retry is None


@pytest.mark.parametrize(
    ("body", "pending"),
    [
        (b"", False),
        (b"data: a\n\n", False),
        (b"data: a\n", True),
        (b"data: a", True),
        (b"event: x\n", True),
        (b"\n", False),
    ],
)
def test_pending_tells_of_an_unfinished_event(body: bytes, pending: bool) -> None:
    decoder = SSEDecoder(ServerSentEvent.decode)
    decoder.feed(body)
    assert decoder.pending is pending


@pytest.mark.parametrize(
    "body", [b"data: " + b"x" * 2000, b"data: xxxxxxxxx\n" * 200, b"data\n" * 2000, b"x" * 2000, b"data:\n" * 2000]
)
@pytest.mark.parametrize("size", [7, 100])
def test_an_endless_event_is_refused(body: bytes, size: int) -> None:
    decoder = SSEDecoder(ServerSentEvent.decode, max_event_bytes=1000)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    with pytest.raises(MixStreamError, match="1000 bytes"):
        deque(map(decoder.feed, chunks))


@pytest.mark.parametrize("size", [999, 1000])
def test_an_event_in_the_form_of_mix_has_the_same_limit(size: int) -> None:
    decoder = SSEDecoder(ServerSentEvent.decode, max_event_bytes=1000)
    body = b"id: 1\nevent: e\ndata: " + b"x" * size + b"\nretry: 5\n\n"
    if size == 1000:
        with pytest.raises(MixStreamError, match="1000 bytes"):
            decoder.feed(body)
    else:
        assert decoder.feed(body) == [ServerSentEvent("e", "x" * size, "1", 5)]


def test_events_of_mix_are_read_in_one_step_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the event that a chunk ends in the middle of is read line by line: it would cost half as much again."""
    lines = 0
    read = SSEDecoder._read

    def counting(decoder: SSEDecoder[ServerSentEvent], complete: list[bytes]) -> list[ServerSentEvent]:
        nonlocal lines
        lines += len(complete)
        return read(decoder, complete)

    monkeypatch.setattr(SSEDecoder, "_read", counting)
    body = b"".join(encode(ServerSentEvent("content", "word", str(n), 30_000)) for n in range(1000))
    cuts = list(range(0, len(body), 1001))
    assert len(decoded(body, cuts)) == 1000
    assert lines <= 6 * len(cuts)


def test_many_events_together_are_not_an_endless_one() -> None:
    decoder = SSEDecoder(ServerSentEvent.decode, max_event_bytes=100)
    assert len(decoder.feed((b"data: " + b"x" * 90 + b"\n\n") * 50)) == 50


def _peak(chunks: list[bytes]) -> tuple[int, int]:
    decoder = SSEDecoder(ServerSentEvent.decode)
    tracemalloc.start()
    try:
        count = sum(len(decoder.feed(chunk)) for chunk in chunks)
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bounded_by_the_largest_event() -> None:
    size = 16 * MiB
    body = b"data: " + b"x" * size + b"\n\n"
    count, peak = _peak([body[at : at + 4096] for at in range(0, len(body), 4096)])
    assert count == 1
    assert peak < 4.2 * size


@pytest.mark.parametrize("chunks", [500, pytest.param(2500, marks=pytest.mark.exhaustive)])
def test_memory_of_many_small_events_is_small(chunks: int) -> None:
    chunk = encode(ServerSentEvent("content", '{"type":"content","content":"Hel"}', "7", 30_000)) * 40
    count, peak = _peak([chunk] * chunks)
    assert count == 40 * chunks
    assert peak < MiB // 4


def test_the_work_is_linear_in_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts the bytes that are looked at once the pieces of a long line are put together: each once."""
    looked_at = 0
    held = SSEDecoder._hold

    def counting(decoder: SSEDecoder, piece: bytes) -> None:
        nonlocal looked_at
        looked_at += len(piece)
        held(decoder, piece)

    monkeypatch.setattr(sse.SSEDecoder, "_hold", counting)
    body = b"data: " + b"x" * MiB
    decoder = SSEDecoder(ServerSentEvent.decode)
    for at in range(0, len(body), 64):
        decoder.feed(body[at : at + 64])
    (event,) = decoder.feed(b"\n\n")
    assert len(event.data) == MiB
    assert looked_at == len(body)
