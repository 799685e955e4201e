"""Every fault, seen to act on the wire."""

from __future__ import annotations

import socket

import httpx
import pytest

from langchain_mix.emulator import (
    CloseConnection,
    CutStream,
    DelayEvent,
    DropEvent,
    DuplicateEvent,
    Faults,
    FullQueue,
    Gate,
    HttpError,
    HugeEvent,
    InvalidUTF8,
    MissingId,
    RestartAfter,
    Script,
    SlowReply,
    StallStream,
    TailAfterComplete,
    UnknownEvent,
    turn,
)
from langchain_mix.emulator.agents.base import Text, Wait

MESSAGES = "POST /api/sessions/[^/]+/messages"
BROKEN = (httpx.RemoteProtocolError, httpx.ReadError)


def pieces(*texts):
    return Script(turn(tuple(Text(text) for text in texts)), loop=True)


def told(heard):
    return [event.data.get("content", event.name) for event in heard if event.name != "user_message_created"]


def faulty(make, *faults, agent=None):
    wire = make("0.8", agent or pieces("a", "b", "c"), faults=Faults(*faults))
    return wire, wire.session()


def test_drop_event(make):
    fault = DropEvent("content", nth=2)
    wire, session = faulty(make, fault)
    heard = wire.turn(session)
    assert told(heard) == ["a", "c", "abc"]
    assert [event.id for event in heard] == ["2", "3", "4", "5"]
    assert wire.server.faults.times(fault) == 1
    assert told(wire.turn(session)) == ["a", "b", "c", "abc"]


def test_drop_every_complete(make):
    wire, session = faulty(make, DropEvent("complete", count=None))
    stream = wire.open(session)
    for _ in range(2):
        wire.post(session, "go")
        assert told(stream.rest()) == ["a", "b", "c"]


def test_drop_in_one_session_only(make):
    wire = make("0.8", pieces("a"))
    first, second = wire.session(), wire.session()
    wire.server.faults.add(DropEvent("content", session=second, count=None))
    assert told(wire.turn(first)) == ["a", "a"]
    assert told(wire.turn(second)) == ["a"]


def test_delay_event(make):
    gate = Gate()
    wire, session = faulty(make, DelayEvent("content", nth=2, until=gate))
    stream = wire.open(session)
    wire.post(session, "go")
    assert told(stream.turn()) == ["a", "c", "abc"]
    gate.open()
    assert told(stream.until("content")) == ["b"]


def test_a_delayed_event_of_a_closed_stream_is_forgotten(make):
    gate = Gate()
    wire, session = faulty(make, DelayEvent("complete", until=gate))
    stream = wire.open(session)
    wire.post(session, "go")
    stream.rest()
    assert gate._waiting
    wire.server.stop()
    assert gate._waiting == []
    gate.open()


def test_duplicate_event(make):
    wire, session = faulty(make, DuplicateEvent("content", nth=3))
    heard = wire.turn(session)
    assert told(heard) == ["a", "b", "c", "c", "abc"]
    assert len({event.id for event in heard}) == len(heard)


def test_unknown_event(make):
    wire, session = faulty(make, UnknownEvent(before="complete", name="novelty", data={"x": 1}))
    heard = wire.turn(session)
    assert [(e.name, e.data) for e in heard[-2:-1]] == [("novelty", {"x": 1})]


def test_huge_event(make):
    wire, session = faulty(make, HugeEvent(before="content", size=3_000_000))
    heard = wire.turn(session)
    assert len(heard[1].data["padding"]) == 3_000_000
    assert told(heard[2:]) == ["a", "b", "c", "abc"]


@pytest.mark.parametrize("n", [1, 2])
def test_tail_after_complete_q6(make, n):
    wire, session = faulty(make, TailAfterComplete(n=n))
    assert told(wire.turn(session)) == [*["a", "b", "c"][: 3 - n], "abc", *["a", "b", "c"][3 - n :]]
    assert told(wire.turn(session)) == ["a", "b", "c", "abc"]


def test_invalid_utf8(make):
    wire, session = faulty(make, InvalidUTF8("content"))
    stream = wire.open(session)
    wire.post(session, "go")
    assert told(stream.turn()) == ["\ufffd\ufffda", "b", "c", "abc"]
    assert b'"content":"\xff\xfea"' in stream.raw


def test_missing_id(make):
    wire, session = faulty(make, MissingId("content", count=2))
    stream = wire.open(session)
    wire.post(session, "go")
    assert [event.id for event in stream.turn()] == ["2", "2", "2", "5", "6"]


@pytest.mark.parametrize("half", [False, True])
def test_cut_stream_in_a_turn(make, half):
    wire, session = faulty(make, CutStream(3, half=half))
    stream = wire.open(session)
    wire.post(session, "go")
    heard = [stream.next() for _ in range(3)]
    with pytest.raises(BROKEN):
        stream.next()
    assert told(heard) == ["a", "b"]
    assert stream._decoder.pending == half
    wire.server.wait_idle()
    assert wire.rows(session)[-1]["userInput"] == "abc"
    assert told(wire.turn(session)) == ["a", "b", "c", "abc"]


def test_cut_stream_counts_each_turn_from_its_start(make):
    wire, session = faulty(make)
    stream = wire.open(session)
    wire.post(session, "go")
    stream.turn()
    wire.server.faults.add(CutStream(1))
    wire.post(session, "go")
    assert stream.next().name == "user_message_created"
    with pytest.raises(BROKEN):
        stream.next()


def test_cut_stream_before_anything(make):
    wire, session = faulty(make, CutStream(0, on="stream"))
    with pytest.raises(BROKEN), wire.http.stream("GET", "/stream", params={"sessionId": session}) as reply:
        next(reply.iter_raw())


@pytest.mark.parametrize("api", ["0.5", "0.6"])
def test_a_cut_stream_cancels_the_turn_on_old_servers_q10(make, api):
    wire = make(api, Script(turn((Text("a"), Text("b"), Wait(Gate())))), faults=Faults(CutStream(1)))
    session = wire.session()
    stream = wire.open(session)
    wire.start(session, "go")
    with pytest.raises(BROKEN):
        stream.turn()
    wire.server.wait_idle()
    exported = wire.http.get(f"/api/sessions/{session}/export").json()["messages"]
    assert exported[1]["finishReason"] == "canceled"


def test_stall_stream(make):
    gate = Gate()
    wire, session = faulty(make, StallStream(2, gate=gate))
    stream = wire.open(session)
    wire.post(session, "go")
    assert told([stream.next(), stream.next()]) == ["a"]
    wire.server.wait_idle()
    gate.open()
    assert told(stream.turn()) == ["b", "c", "abc"]


def test_full_queue_q5(make):
    gate = Gate()
    full = FullQueue(1)
    wire, session = faulty(make, StallStream(2, gate=gate), full)
    stream = wire.open(session)
    wire.post(session, "go")
    wire.server.wait_idle()
    # The stream has `b` in hand, `c` fills the queue, `complete` finds no room.
    assert wire.server.faults.times(full) == 1
    wire.server.faults.clear()
    gate.open()
    assert told(stream.rest()) == ["a", "b", "c"]


def test_http_error_before(make):
    fault = HttpError(MESSAGES, 503, "busy", headers=(("Retry-After", "7"),))
    wire, session = faulty(make, fault)
    reply = wire.post(session, "go")
    assert (reply.status_code, reply.text, reply.headers["retry-after"]) == (503, "busy", "7")
    assert wire.rows(session) == []
    assert wire.server.requests[-2].status == 503
    assert wire.post(session, "go").status_code == 202


def test_http_error_after(make):
    wire, session = faulty(make, HttpError(MESSAGES, 502, "<html>", "text/html", before=False))
    reply = wire.post(session, "go")
    assert (reply.status_code, reply.headers["content-type"]) == (502, "text/html")
    wire.server.wait_idle()
    assert len(wire.rows(session)) == 2


@pytest.mark.parametrize("before", [True, False])
def test_close_connection(make, before):
    wire, session = faulty(make, CloseConnection(MESSAGES, before=before))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)) as broken:
        wire.post(session, "go")
    assert broken.value
    assert wire.server.requests[-1].json == {"text": "go"}
    wire.server.wait_idle()
    assert len(wire.rows(session)) == (0 if before else 2)


def test_close_connection_is_a_reset(make):
    wire, _ = faulty(make, CloseConnection("/health"))
    host, port = wire.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_the_connection_of_a_request_through_a_proxy_is_reset_too(make):
    wire, _ = faulty(make, CloseConnection("/health"))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        wire.http.get("/health", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=3)


def test_slow_reply(make):
    gate = Gate()
    wire, session = faulty(make, SlowReply(MESSAGES, gate=gate))
    stream = wire.open(session)
    answer = wire.pool.submit(wire.post, session, "go")
    assert told(stream.turn()) == ["a", "b", "c", "abc"]
    assert not answer.done()
    gate.open()
    assert answer.result(5).status_code == 202


def test_restart_after(make, plain):
    wire, session = faulty(make, RestartAfter(2, match="GET /api/sessions"))
    assert wire.http.get("/api/sessions").status_code == 200
    assert wire.server.restarts == 0
    assert wire.http.get("/api/sessions").status_code == 200
    wire.server.wait_until(lambda: wire.server.restarts == 1)
    with httpx.Client(base_url=wire.server.url, verify=plain) as fresh:
        assert fresh.get(f"/api/sessions/{session}").status_code == 200
        assert fresh.get("/api/sessions").status_code == 200
    assert wire.server.restarts == 1


def test_faults_can_be_added_removed_and_awaited_while_it_runs(make):
    wire, session = faulty(make)
    fault = wire.server.faults.add(HttpError("/health", 500, count=None))
    assert wire.http.get("/health").status_code == 500
    wire.server.faults.wait_for(fault)
    wire.server.faults.remove(fault)
    assert wire.http.get("/health").status_code == 200
    with pytest.raises(TimeoutError):
        wire.server.faults.wait_for(fault, times=2, timeout=0)
    assert session


def test_a_match_without_method_means_every_method(make):
    wire, session = faulty(make, HttpError("/api/sessions/[^/]+", 500, count=None))
    assert wire.http.get(f"/api/sessions/{session}").status_code == 500
    assert wire.http.delete(f"/api/sessions/{session}").status_code == 500
    assert wire.http.get(f"/api/sessions/{session}/messages").status_code == 200
