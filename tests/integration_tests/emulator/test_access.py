"""Who may use a server: names, web pages, and other users of the machine."""

from __future__ import annotations

import os
import stat

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_mix.emulator import MixEmulator, Script
from langchain_mix.emulator.agents.base import Text

EVIL = {"Origin": "http://evil.example"}


class Paid:
    """An agent that may cost money."""

    def __init__(self):
        self.asked = 0

    async def reply(self, request):
        self.asked += 1
        yield Text("expensive")


@pytest.mark.parametrize("api", ["0.5", "0.7", "0.8"])
def test_a_foreign_page_cannot_start_a_turn_that_costs(make, api):
    agent = Paid()
    wire = make(api, agent)
    session = wire.session()
    url = f"/api/sessions/{session}/messages"
    plain = {"Content-Type": "text/plain"}  # What a page may send without a preflight.
    attempts = [
        wire.http.post(url, content='{"text":"spend"}', headers=EVIL | plain),
        wire.http.post(url, content='{"text":"spend"}', headers={"Origin": "null"} | plain),
        wire.http.post(url, content='{"text":"spend"}', headers={"Sec-Fetch-Site": "cross-site"} | plain),
        wire.http.post(
            f"/stream/{session}/message", content='{"content":"{\\"text\\":\\"hi\\"}"}', headers=EVIL | plain
        ),
        wire.http.post("/api/sessions", content='{"title":"mine"}', headers=EVIL | plain),
        wire.http.get("/api/sessions", headers=EVIL),
        wire.http.options(url, headers=EVIL | {"Access-Control-Request-Method": "POST"}),
    ]
    for reply in attempts:
        assert wire.error(reply)[:2] == (403, "forbidden")
        assert "access-control-allow-origin" not in reply.headers
    wire.server.wait_idle()
    assert (agent.asked, wire.rows(session)) == (0, [])
    wire.turn(session, "from a program")
    assert agent.asked == 1
    same = wire.http.post(url, json={"text": "from an own page"}, headers={"Origin": wire.server.url})
    assert same.status_code in {200, 202}


def test_a_chat_model_costs_and_origins_can_be_allowed(make):
    wire = make("0.8", FakeListChatModel(responses=["ok"]), origins=["http://app.example"])
    assert wire.http.get("/health", headers=EVIL).status_code == 403
    reply = wire.http.get("/health", headers={"Origin": "http://app.example"})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "*")
    assert make("0.8", Paid(), origins="*").http.get("/health", headers=EVIL).status_code == 200


@pytest.mark.parametrize("agent", ["offline", Script("ok")])
def test_agents_that_cost_nothing_are_open_to_pages_as_the_real_server_is(make, agent):
    wire = make("0.8", agent)
    reply = wire.http.get("/health", headers=EVIL)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "*")
    assert make("0.8", agent, origins=()).http.get("/health", headers=EVIL).status_code == 403


@pytest.mark.parametrize("path", ["/health", "/api/sessions", "/stream?sessionId=x", "/nothing", "//double"])
def test_other_names_are_refused_before_anything_is_done(make, path):
    wire = make("0.8")
    for method in ("GET", "OPTIONS", "DELETE"):
        reply = wire.http.request(method, path, headers={"Host": f"evil.example:{wire.http.base_url.port}"})
        assert wire.error(reply)[:2] == (403, "forbidden")
        assert "'evil.example:" in reply.json()["error"]["message"]
    assert [record.status for record in wire.server.requests] == [403] * 3


@pytest.mark.parametrize("options", [{"hosts": ["a b"]}, {"origins": ["app"]}])
def test_malformed_options_are_errors(options):
    with pytest.raises(ValueError, match="no "):
        MixEmulator(**options)


@pytest.mark.skipif(os.name == "nt", reason="no modes")
def test_other_users_of_the_machine_see_nothing(make, tmp_path):
    def mode(path):
        return stat.S_IMODE(path.stat().st_mode)

    old = os.umask(0)
    try:
        data = tmp_path / "data"
        (data / "uploads").mkdir(parents=True)
        data.chmod(0o755)
        (data / "mix.sqlite3").touch(mode=0o644)
        wire = make("0.8", data_dir=data)
        session = wire.session()
        wire.http.post(f"/api/sessions/{session}/files/upload", files={"file": ("a.txt", b"x")})
        wire.turn(session)
        made = [path for path in data.rglob("*") if path.is_file() or path.is_dir()]
        assert {path.name for path in made} >= {"mix.sqlite3", "mix.sqlite3-wal", "a.txt", session}
        assert {mode(path) for path in [data, *made] if path.is_dir()} == {0o700}
        assert {mode(path) for path in made if path.is_file()} == {0o600}
    finally:
        os.umask(old)
