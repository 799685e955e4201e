"""Starting, stopping, restarting, and many at once."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import httpx
import pytest

from langchain_mix.emulator import Gate, MixEmulator, Script, turn
from langchain_mix.emulator.agents.base import Text, Wait
from langchain_mix.emulator.serving import loopback_socket


def emulator_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("mix-emulator")]


def test_stop_leaves_nothing_behind(plain):
    gate = Gate()
    server = MixEmulator("0.8", Script(turn((Text("a"), Wait(gate))))).start()
    data = server.data_dir
    body = {"title": "t", "browserMode": "local-browser-service"}
    with httpx.Client(base_url=server.url, verify=plain) as http:
        session = http.post("/api/sessions", json=body).json()["id"]
        with http.stream("GET", "/stream", params={"sessionId": session}) as stream:
            chunks = stream.iter_raw()
            next(chunks)
            http.post(f"/api/sessions/{session}/messages", json={"text": "go"})
            assert gate.reached.wait(5)
            assert (server.streams, server.turns, server.connections) == (1, 1, 2)
            assert emulator_threads()
            server.stop()
            assert (server.streams, server.turns, server.connections) == (0, 0, 0)
            with pytest.raises(httpx.HTTPError):
                for _ in chunks:
                    pass
    assert emulator_threads() == []
    assert not data.exists()
    server.stop()
    gate.open()
    with pytest.raises(RuntimeError, match="does not run"):
        server.url  # noqa: B018


def test_restart_keeps_port_and_state_and_breaks_connections(make, plain, tmp_path):
    wire = make("0.8", Script("one", "two"), data_dir=tmp_path)
    session = wire.session("kept")
    wire.turn(session)
    wire.http.post(f"/api/sessions/{session}/files/upload", files={"file": ("a.txt", b"kept")})
    rows, url = wire.rows(session), wire.server.url
    stream = wire.open(session)
    wire.server.restart()
    with pytest.raises(httpx.HTTPError):
        stream.next()
    assert wire.server.url == url
    with httpx.Client(base_url=url, verify=plain) as http:
        assert http.get(f"/api/sessions/{session}/messages").json() == rows
        assert http.get(f"/api/sessions/{session}/files/a.txt").content == b"kept"
    assert wire.server.restarts == 1


def test_a_second_life_on_the_same_data(plain, tmp_path):
    body = {"title": "kept", "browserMode": "local-browser-service"}
    with MixEmulator(data_dir=tmp_path) as server:
        session = httpx.post(f"{server.url}/api/sessions", json=body, verify=plain).json()["id"]
    assert Path(tmp_path).exists()
    with MixEmulator(data_dir=tmp_path) as server:
        assert httpx.get(f"{server.url}/api/sessions/{session}", verify=plain).json()["title"] == "kept"


def test_only_a_given_directory_is_written_for_good(tmp_path):
    def logs(server):
        return [path.name for path in server.data_dir.glob("*-wal")]

    with MixEmulator(data_dir=tmp_path) as lasting, MixEmulator() as temporary:
        assert (logs(lasting), logs(temporary)) == (["mix.sqlite3-wal"], [])


def test_a_turn_that_a_restart_ends_is_stored_as_cancelled(make, plain):
    gate = Gate()
    wire = make("0.8", Script(turn((Text("half"), Wait(gate)))))
    session = wire.session()
    wire.post(session, "go")
    assert gate.reached.wait(5)
    wire.server.restart()
    exported = httpx.get(f"{wire.server.url}/api/sessions/{session}/export", verify=plain).json()["messages"]
    assert [(row["content"], row["finishReason"]) for row in exported] == [("go", "stop"), ("half", "canceled")]


async def test_async_with(plain):
    async with MixEmulator() as server, httpx.AsyncClient(base_url=server.url, verify=plain) as http:
        assert (await http.get("/health")).json()["status"] == "ok"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::"])
def test_it_serves_this_machine_only(host):
    with pytest.raises(ValueError, match="this machine only"):
        MixEmulator(host=host)


def test_it_serves_ipv6_too(plain):
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    with MixEmulator(host="::1") as server:
        assert httpx.get(f"{server.url}/health", verify=plain).status_code == 200


@pytest.mark.parametrize(("options", "words"), [({"api": "0.9"}, "0.9"), ({"agent": "nobody"}, "nobody")])
def test_bad_options_are_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        MixEmulator(**options)


def test_a_start_that_fails_raises_and_leaves_nothing(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            MixEmulator(port=taken.getsockname()[1]).start()
    blocked = tmp_path / "file"
    blocked.write_text("no directory")
    with pytest.raises(OSError, match="exists"):
        MixEmulator(data_dir=blocked).start()
    assert emulator_threads() == []


def test_the_listening_socket_says_that_it_is_tcp_so_that_nothing_waits_40_ms():
    with loopback_socket("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_many_sessions_at_once(make, count):
    text = "word " * 20
    wire = make("0.8", Script(text, loop=True))
    sessions = [wire.session(str(number)) for number in range(count)]
    streams = [wire.open(session) for session in sessions]
    assert wire.server.streams == count
    assert all(reply == 202 for reply in wire.pool.map(lambda one: wire.post(one, "go").status_code, sessions))
    for session, stream in zip(sessions, streams, strict=True):
        heard = stream.turn()
        assert "".join(e.data["content"] for e in heard if e.name == "content") == text
        assert [row["userInput"] for row in wire.rows(session)] == ["go", text]
    for stream in streams:
        stream.response.close()
    wire.server.wait_until(lambda: wire.server.streams == 0)


def test_waiting_for_what_does_not_come_says_what_there_is(wire):
    with pytest.raises(TimeoutError, match="0 streams"):
        wire.server.wait_until(lambda: wire.server.streams == 1, timeout=0.01)


def test_another_agent_answers_from_the_next_start_on(plain):
    with MixEmulator(agent=Script("first")) as server:
        server.agent = Script("second")
        assert server.brain is server.agent
        server.restart()
        session = server.state.sessions.create({"title": "t", "browserMode": "local-browser-service"})["id"]
        httpx.post(f"{server.url}/api/sessions/{session}/messages", json={"text": "hi"}, verify=plain)
        server.wait_until(lambda: server.state.rows.of(session)[-1:] != [] and server.turns == 0)
        assert server.state.rows.of(session)[-1].text == "second"
        server.brain = Script("third")
        assert server.agent is server.brain
