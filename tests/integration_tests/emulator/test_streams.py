"""Event streams: head, bytes, ids, heartbeats, fan-out, drops, ends."""

from __future__ import annotations

import socket

import httpx
import pytest

from langchain_mix.emulator import Faults, FullQueue, Gate, Script, StallStream, turn
from langchain_mix.emulator.agents.base import Raw, Text, ToolUse, Wait

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")


@pytest.mark.parametrize("wire", ALL, indirect=True)
def test_the_head_and_the_first_event(wire):
    session = wire.session()
    stream = wire.open(session)
    assert stream.response.status_code == 200
    headers = stream.response.headers
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-cache"
    assert headers["connection"] == "keep-alive"
    assert headers["access-control-allow-headers"] == "Cache-Control"
    assert headers["transfer-encoding"] == "chunked"
    assert stream.raw == f'id: 1\nevent: connected\ndata: {{"sessionId":"{session}"}}\nretry: 30000\n\n'.encode()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_any_method_opens_a_stream_and_none_without_a_session(wire, method):
    session = wire.session()
    with wire.http.stream(method, "/stream", params={"sessionId": session}) as reply:
        assert reply.status_code == 200
    reply = wire.http.request(method, "/stream", params={"sessionId": ""})
    assert (reply.status_code, reply.content) == (400, b"")
    assert reply.headers["content-type"] == "text/event-stream"


def test_the_exact_bytes_of_events(make):
    wire = make("0.8", Script(turn((Text("<ü>"),))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    stream.turn()
    user, assistant = wire.rows(session)
    assert stream.raw.decode().split("\n\n")[1:] == [
        (
            "id: 2\nevent: user_message_created\n"
            f'data: {{"type":"user_message_created","messageId":"{user["id"]}","content":"go"}}\nretry: 30000'
        ),
        (
            "id: 3\nevent: content\n"
            f'data: {{"type":"content","content":"\\u003cü\\u003e","assistantMessageId":"{assistant["id"]}"}}\nretry: 30000'
        ),
        (
            "id: 4\nevent: complete\n"
            f'data: {{"type":"complete","content":"\\u003cü\\u003e","messageId":"{assistant["id"]}","done":true}}\nretry: 30000'
        ),
        "",
    ]


def test_heartbeats(make):
    wire = make("0.8", heartbeat=0.02)
    stream = wire.open(wire.session())
    first, second = stream.next(), stream.next()
    assert (first.name, first.data, first.retry, first.id) == ("heartbeat", {"type": "ping"}, 45000, "2")
    assert (second.name, second.id) == ("heartbeat", "3")


@pytest.mark.parametrize("api", ["0.5", "0.6"])
def test_only_0_5_has_no_heartbeats_while_its_stream_runs_a_turn(make, api):
    gate = Gate()
    wire = make(api, Script(turn((Text("a"), Wait(gate), Text("b")))), heartbeat=0.05)
    session, idle = wire.session(), wire.session()
    stream, other = wire.open(session), wire.open(idle)
    wire.start(session, "go")
    stream.until("content")
    assert gate.reached.wait(5)
    for _ in range(3):
        other.until("heartbeat")
    gate.open()
    heard = [event.name for event in stream.until("complete")]
    assert ("heartbeat" in heard) == (api == "0.6")


def test_ids_are_counted_per_connection_and_nothing_is_replayed(make):
    wire = make("0.8", Script("one", "two"))
    session = wire.session()
    wire.turn(session)
    with wire.http.stream("GET", "/stream", params={"sessionId": session}, headers={"Last-Event-ID": "2"}) as reply:
        first = next(reply.iter_raw())
        assert first.startswith(b"id: 1\nevent: connected\n")
    stream = wire.open(session)
    wire.post(session, "again")
    assert [event.id for event in stream.turn()] == ["2", "3", "4"]


@pytest.mark.parametrize("api", ["0.6", "0.6.5", "0.7", "0.8", "next"])
def test_all_connections_of_a_session_receive_a_turn_and_no_others(make, api):
    wire = make(api, Script("hello"))
    session = wire.session()
    first, second, other = wire.open(session), wire.open(session), wire.open(wire.session())
    first.until("session_created")
    second.until("session_created")
    wire.start(session, "go")
    assert [e.data for e in first.turn()] == [e.data for e in second.turn()]
    assert other.rest() == []


def test_on_0_5_only_the_stream_that_runs_a_turn_receives_it_q12(make):
    wire = make("0.5", Script("hello"))
    session = wire.session()
    first, second = wire.open(session), wire.open(session)
    wire.start(session, "go")
    ends = {stream.turn()[-1].data["messageId"] for stream in (first, second)}
    assert len(ends) == 2
    wire.server.wait_idle()
    assert [row["role"] for row in wire.rows(session)].count("user") == 2


@pytest.mark.parametrize("api", ["0.5", "0.6"])
def test_q10_closing_any_stream_cancels_the_turn(make, api):
    gate = Gate()
    wire = make(api, Script(turn((Text("half"), Wait(gate)))))
    session = wire.session()
    running = wire.open(session)
    other = running if api == "0.5" else wire.open(session)
    wire.start(session, "go")
    running.until("content")
    assert gate.reached.wait(5)
    other.response.close()
    wire.server.wait_idle()
    exported = wire.http.get(f"/api/sessions/{session}/export").json()["messages"]
    assert exported[1]["finishReason"] == "canceled"


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8", "next"])
def test_closing_a_stream_does_not_end_the_turn(make, api):
    gate = Gate()
    wire = make(api, Script(turn((Text("half"), Wait(gate), Text(" whole")))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    stream.until("content")
    stream.response.close()
    wire.server.wait_until(lambda: wire.server.streams == 0)
    gate.open()
    wire.server.wait_idle()
    assert wire.rows(session)[-1]["userInput"] == "half whole"


@pytest.mark.parametrize("words", [600, pytest.param(3000, marks=pytest.mark.exhaustive)])
def test_a_fast_reader_misses_nothing_of_a_long_turn(make, words):
    text = "".join(f"{number} " for number in range(words))
    wire = make("0.8", Script(text))
    heard = wire.turn(wire.session())
    assert "".join(e.data["content"] for e in heard if e.name == "content") == text


def test_q5_a_slow_reader_misses_what_its_queue_has_no_room_for(make):
    """Nothing is simulated: the reader does not read, the socket fills up, and events are dropped, `complete` too."""
    padding = tuple(Raw("padding", {"type": "padding", "x": "x" * 60_000}) for _ in range(150))
    wire = make("0.8", Script(turn((*padding, Text("the end")))))
    session = wire.session()
    host, port = wire.server.url.removeprefix("http://").split(":")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        slow.sendall(f"GET /stream?sessionId={session} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b"200 OK" in slow.recv(200)
        wire.post(session, "go")
        wire.server.wait_idle()
        slow.settimeout(5)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # From now on it is quick.
        heard = bytearray()
        # A heartbeat-free stream says nothing more once its queue is empty, so the end is a session made now.
        marker = None
        while marker is None or marker.encode() not in heard[-100_000:]:
            heard += slow.recv(1 << 20)
            if marker is None and len(heard) > 50 * 60_000:
                marker = wire.session("marker")
        assert 50 < heard.count(b"event: padding") < 150
        assert b"event: complete" not in heard
    assert wire.rows(session)[-1]["userInput"] == "the end"


def test_permissions_bypass_the_queue_and_overtake_it(make):
    gate = Gate()
    script = Script(turn((Text("a"), Text("b"), Text("c"), ToolUse(name="Glob", id="T", result="", ask=True))))
    wire = make("0.8", script, faults=Faults(StallStream(2, gate=gate), FullQueue(1)))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    wire.server.wait_until(lambda: wire.server.turns == 1)
    assert gate.reached.wait(5)
    wire.server.faults.wait_for(wire.server.faults.of(FullQueue)[0], times=3)
    gate.open()
    heard = [event.name for event in stream.until("permission")]
    assert heard[:2] == ["user_message_created", "content"]
    assert "tool_execution_start" not in heard


def test_q11_a_stream_is_cut_after_its_time_mid_turn(make):
    wire = make("0.8", Script(turn((Text("a"), Wait(Gate())))), stream_limit=0.2)
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    with pytest.raises(httpx.RemoteProtocolError):
        stream.until("complete")
    assert wire.server.turns == 1


@pytest.mark.parametrize("api", ["0.5", "0.6"])
def test_q11_a_synchronous_answer_is_cut_after_its_time_and_its_turn_cancelled(make, api):
    wire = make(api, Script(turn((Text("a"), Wait(Gate())))), stream_limit=0.1)
    session = wire.session()
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        wire.post(session, "go")
    wire.server.wait_idle()
    exported = wire.http.get(f"/api/sessions/{session}/export").json()["messages"]
    assert exported[1]["finishReason"] == "canceled"


def test_q33_sessions_made_before_the_first_stream_are_not_announced(wire):
    wire.session("early")
    stream = wire.open(wire.session())
    late = wire.session("late")
    event = stream.next()
    assert (event.name, event.data["sessionId"], event.data["title"]) == ("session_created", late, "late")


def test_a_stream_stays_open_after_its_session_is_deleted(wire):
    session = wire.session()
    stream = wire.open(session)
    wire.http.delete(f"/api/sessions/{session}")
    assert stream.next().name == "session_deleted"
    assert stream.rest() == []
