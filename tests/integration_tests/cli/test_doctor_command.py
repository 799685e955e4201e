"""`langchain-mix doctor` against servers that are well, and others."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from langchain_mix import MixEmulator
from langchain_mix.client import Mix
from langchain_mix.emulator import CutStream, Faults, Gate, HttpError, SlowReply, StallStream

KEY = "sk-ant-" + "x" * 40


def examine(cli, url, *more):
    ran = cli("doctor", "--json", "--server", url, *more)
    data = json.loads(ran.out)
    assert ran.code == (0 if data["ok"] else 1)
    found = {}
    for check in data["checks"]:
        if check["check"] != "versions":
            assert check["check"] not in found
            found[check["check"]] = check
    return found, data, ran


@pytest.fixture
def held():
    gate = Gate()
    yield gate
    gate.open()


def with_session(server):
    with Mix(server_url=server.url) as mix:
        return mix.sessions.create(title="T").id


def test_a_server_that_is_well(cli, server):
    session = with_session(server)
    found, data, _ = examine(cli, server.url)
    assert data["ok"] is True
    assert data["server"] == server.url
    assert {n: c["status"] for n, c in found.items() if n != "proxy"} == {
        "reachable": "ok",
        "mix server": "ok",
        "session": "ok",
        "generation": "ok",
        "credentials": "note",
        "tokens": "ok",
        "streaming": "ok",
        "uploads": "ok",
    }
    assert "API 0.7" in found["generation"]["detail"]
    assert found["streaming"]["milliseconds"] < 1000
    assert session


def test_it_keeps_nothing(cli, server):
    session = with_session(server)
    server.forget_requests()
    found, _, _ = examine(cli, server.url)
    assert [r.method for r in server.requests if r.method != "GET"] == ["POST", "DELETE"]
    assert "created with the default options" in found["session"]["detail"]
    assert found["session"]["detail"].endswith("deleted again.")
    server.wait_until(lambda: server.streams == 0)
    with Mix(server_url=server.url) as mix:
        assert [s.id for s in mix.sessions.list()] == [session]


def test_it_only_reads_if_so_wanted(cli, server):
    session = with_session(server)
    server.forget_requests()
    found, data, _ = examine(cli, server.url, "--read-only")
    assert data["ok"] is True
    assert {r.method for r in server.requests} == {"GET"}
    assert found["session"]["status"] == "skipped"
    assert "not known" in found["session"]["detail"]
    assert session in str(next(r for r in server.requests if r.path == "/stream"))


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_creates_no_session_is_a_problem(cli, server, status):
    words = "Validation error for field 'colour': colour is required"
    body = json.dumps({"error": {"code": status, "message": words, "type": "validation_error"}})
    server.faults.add(HttpError(match="POST /api/sessions", status=status, body=body, count=None))
    found, data, ran = examine(cli, server.url)
    assert (data["ok"], ran.code) == (False, 1)
    assert found["session"]["status"] == "problem"
    assert words in found["session"]["detail"]
    assert found["streaming"]["status"] == "skipped"


@pytest.mark.parametrize("lost", [True, False])
def test_a_session_that_may_be_left_over_is_named(cli, server, lost):
    match = "POST /api/sessions" if lost else "DELETE /api/sessions/.*"
    server.faults.add(HttpError(match=match, status=500, body="no", before=False, count=None))
    found, _, _ = examine(cli, server.url)
    assert found["session"]["status"] == "problem"
    if lost:
        assert "'langchain-mix check'" in found["session"]["detail"]
    else:
        deleted = next(r for r in server.requests if r.method == "DELETE")
        assert deleted.path.rpartition("/")[2] in found["session"]["hint"]


def test_the_named_generation_is_the_one_that_is_tried(cli):
    with MixEmulator(api="0.8") as server:
        assert examine(cli, server.url, "--api", "0.8")[0]["session"]["status"] == "ok"
        posts = [r.status for r in server.requests if r.method == "POST"]
        assert posts == [201]
        found, _, _ = examine(cli, server.url, "--api", "0.7")
        assert found["session"]["status"] == "problem"
        assert "api=" in found["session"]["hint"]


def test_for_people(cli, server):
    ran = cli("doctor", "-s", server.url)
    assert ran.code == 0
    assert "No problem found." in ran.out
    ran = cli("doctor", "-s", server.url, "--read-only")
    assert "No problem found (3 skipped)." in ran.out
    assert "There is no session" in ran.out


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.6.5", "0.7", "0.8", "next"])
@pytest.mark.parametrize("talked", [True, False])
def test_the_generation_is_found_by_reading(cli, api, talked):
    with MixEmulator(api=api) as server:
        if talked:
            with_session(server)
        found, data, _ = examine(cli, server.url, "--read-only")
        assert {r.method for r in server.requests if not talked} <= {"GET"}
    generation = found["generation"]
    if talked or api not in {"0.5", "0.6"}:
        assert f"API {api}," in generation["detail"]
        assert generation["status"] == "ok", "one generation is left"
    else:
        assert "API 0.5 or 0.6," in generation["detail"]
    assert data["ok"] is True
    if talked:
        assert found["streaming"]["status"] == ("skipped" if api in {"0.5", "0.6"} else "ok")


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.6.5", "0.7", "0.8", "next"])
def test_its_own_session_shows_more(cli, api):
    with MixEmulator(api=api) as server:
        found, data, _ = examine(cli, server.url)
        assert server.state.sessions.listing(include_subagents=True) == []
    assert data["ok"] is True
    assert f"API {api}," in found["generation"]["detail"]
    assert {found[name]["status"] for name in ("session", "streaming", "uploads")} == {"ok"}


def test_a_wrong_api_is_a_problem(cli, server):
    with_session(server)
    found, _, _ = examine(cli, server.url, "--api", "0.8")
    assert found["generation"]["status"] == "problem"
    assert "You say API 0.8" in found["generation"]["detail"]
    assert examine(cli, server.url, "--api", "0.7")[0]["generation"]["status"] == "ok"
    assert cli("doctor", "-s", server.url, "--api", "7").code == 2


# Credentials


def test_credentials_are_told_but_never_shown(cli, server):
    with Mix(server_url=server.url) as mix:
        mix.authentication.store_api_key(provider="anthropic", api_key=KEY)
    found, _, ran = examine(cli, server.url)
    assert found["credentials"]["status"] == "ok"
    assert "Anthropic" in found["credentials"]["detail"]
    assert KEY not in ran.out + ran.err


def test_a_real_server_needs_one(cli, server):
    health = json.dumps({"status": "ok", "version": "1", "environment": "production"})
    server.faults.add(HttpError(match="GET /health", status=200, body=health, count=None))
    found, data, _ = examine(cli, server.url)
    assert data["ok"] is False
    assert found["credentials"]["status"] == "problem"
    assert "langchain-mix auth store PROVIDER" in found["credentials"]["hint"]


def test_the_preferred_provider_needs_its_own(cli, server):
    with Mix(server_url=server.url) as mix:
        mix.authentication.store_api_key(provider="anthropic", api_key=KEY)
        mix.preferences.update_preferences(preferred_provider="openai")
    found, _, _ = examine(cli, server.url)
    assert found["credentials"]["status"] == "problem"
    assert "openai, has none" in found["credentials"]["detail"]


def test_expired_tokens(cli, server):
    body = {
        "status": "unhealthy",
        "providers": {"anthropic": {"provider": "anthropic", "status": "expired_no_refresh"}},
    }
    server.faults.add(HttpError(match="GET /health/auth", status=200, body=json.dumps(body), count=None))
    found, _, _ = examine(cli, server.url)
    assert found["tokens"]["status"] == "problem"
    assert "anthropic: expired_no_refresh" in found["tokens"]["detail"]


# Streaming


def test_events_that_are_held_back(cli, server, held):
    with_session(server)
    server.faults.add(StallStream(after=0, on="stream", gate=held, count=None))
    found, _, _ = examine(cli, server.url, "--timeout", "0.4")
    assert found["streaming"]["status"] == "problem"
    assert "not `connected` within 0.4 s" in found["streaming"]["detail"]
    assert "proxy_buffering off" in found["streaming"]["hint"]


def test_a_head_that_is_held_back(cli, server, held):
    with_session(server)
    server.faults.add(SlowReply(match="GET /stream", gate=held, count=None))
    found, _, _ = examine(cli, server.url, "--timeout", "0.4")
    assert found["streaming"]["status"] == "problem"


def test_a_session_can_be_chosen(cli, server):
    first = with_session(server)
    with_session(server)
    examine(cli, server.url, "--session", first[:8])
    streams = [r for r in server.requests if r.path == "/stream"]
    assert first in str(streams[-1])
    assert cli("doctor", "-s", server.url, "--session", "zzzz").code == 2


def test_a_heartbeat_is_waited_for_if_wanted(cli):
    with MixEmulator(api="0.7", heartbeat=0.1) as server:
        with_session(server)
        assert "heartbeat" not in examine(cli, server.url)[0]["streaming"]["detail"]
        found, _, _ = examine(cli, server.url, "--heartbeat", "10")
    assert found["streaming"]["status"] == "ok"
    assert "A heartbeat came after 0." in found["streaming"]["detail"]


def test_no_heartbeat_in_time(cli, server):
    with_session(server)
    found, _, _ = examine(cli, server.url, "--heartbeat", "0.3")
    assert found["streaming"]["status"] == "problem"
    assert "no heartbeat within 0.3 s" in found["streaming"]["detail"]
    assert "every 45 s" in found["streaming"]["hint"]


def test_a_quiet_stream_that_is_cut(cli):
    with MixEmulator(api="0.7", heartbeat=0.2, faults=Faults(CutStream(after=1, on="stream", count=None))) as server:
        with_session(server)
        found, _, _ = examine(cli, server.url, "--heartbeat", "10")
    assert found["streaming"]["status"] == "problem"
    assert "broke after" in found["streaming"]["detail"]
    assert "60 s of silence" in found["streaming"]["hint"]


def test_a_session_that_the_stream_does_not_know(cli, server):
    with_session(server)
    found, _, _ = examine(cli, server.url, "--session", "00000000-0000-4000-8000-000000000000")
    assert found["streaming"]["status"] == "problem"
    assert "Invalid session ID" in found["streaming"]["detail"]


def test_uploads_that_cannot_be_listed(cli, server):
    with_session(server)
    server.faults.add(HttpError(match="GET /api/sessions/[^/]+/files", status=500, body="no", count=None))
    assert examine(cli, server.url)[0]["uploads"]["status"] == "problem"


# No Mix server


def test_nobody_there(cli):
    found, data, _ = examine(cli, "http://127.0.0.1:1")
    assert data["ok"] is False
    assert found["reachable"]["status"] == "problem"
    assert "langchain-mix serve" in found["reachable"]["hint"]
    assert {found[n]["status"] for n in ("generation", "credentials", "tokens", "streaming", "uploads")} == {"skipped"}


class WebPage(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!doctype html><p>Welcome"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_somebody_else_there(cli):
    with ThreadingHTTPServer(("127.0.0.1", 0), WebPage) as other:
        thread = threading.Thread(target=other.serve_forever, daemon=True)
        thread.start()
        found, _, _ = examine(cli, f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
        thread.join()
    assert found["reachable"]["status"] == "problem"
    assert "not as a Mix server" in found["reachable"]["detail"]


@pytest.mark.timeout(60)
def test_a_server_that_does_not_answer(cli, server, held):
    server.faults.add(SlowReply(match="GET /health", gate=held, count=None))
    found, _, _ = examine(cli, server.url, "--timeout", "0.3")
    assert "No answer in time" in found["reachable"]["detail"]


def test_the_header_goes_with_every_question(cli, server):
    with_session(server)
    server.forget_requests()
    examine(cli, server.url, "--header", "X-Pass: sesame")
    assert {r.headers.get("x-pass") for r in server.requests} == {"sesame"}


def test_misuse(cli):
    assert cli("doctor", "--timeout", "never").code == 2
    assert cli("doctor", "--server", "nonsense").code == 2
