"""Credentials, preferences, tools, commands, MCP and health over HTTP."""

from __future__ import annotations

import pytest

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
KEY = "sk-ant-" + "x" * 40


@pytest.mark.parametrize("wire", ALL, indirect=True)
def test_health_commands_and_mcp(wire):
    assert wire.http.get("/health").json()["status"] == "ok"
    commands = wire.http.get("/api/commands").json()
    assert [c["name"] for c in commands] == sorted(c["name"] for c in commands)
    assert {c["type"] for c in commands} == {"builtin", "file"}
    assert wire.http.get("/api/commands/help").json()["name"] == "help"
    assert wire.error(wire.http.get("/api/commands/nothing"))[:2] == (404, "not_found")
    assert wire.http.get("/api/mcp").json() == []
    assert wire.http.get("/api/system/info").json()["storageBasePath"].startswith("/")


@pytest.mark.parametrize("wire", ["0.5", "0.8", "next"], indirect=True)
def test_credentials(wire):
    def store(**body):
        return wire.http.post("/api/auth/api-key", json=body)

    assert store(provider="anthropic", api_key=KEY, more=1).json()["status"] == "success"
    assert wire.http.get("/api/auth/status").json()["providers"]["anthropic"]["authenticated"] is True
    assert wire.error(store(provider="anthropic", api_key="short"))[:2] == (400, "INVALID_API_KEY_FORMAT")
    assert wire.error(store(provider="nobody", api_key=KEY))[:2] == (400, "INVALID_PROVIDER")
    assert wire.error(store(api_key=KEY))[:2] == (400, "MISSING_PROVIDER")
    assert wire.error(store(provider="anthropic"))[:2] == (400, "MISSING_API_KEY")
    for body in (b"", b"[]", b"{"):
        assert wire.error(wire.http.post("/api/auth/api-key", content=body))[:2] == (400, "INVALID_JSON")
    for _ in range(2):
        assert wire.http.delete("/api/auth/anthropic").status_code == 200
    assert wire.http.get("/api/auth/validate").status_code == 200
    assert wire.http.post("/api/auth/oauth/anthropic").json()["auth_url"].startswith("https://")
    assert wire.error(wire.http.post("/api/auth/oauth/openai"))[:2] == (400, "OAUTH_NOT_SUPPORTED")
    assert wire.error(wire.http.post("/api/auth/oauth-callback", json={"provider": "anthropic"}))[0] == 400


def test_a_stored_key_opens_the_agent_and_is_never_shown(make):
    wire = make("0.8", auth_required=True)
    session = wire.session()
    assert wire.post(session, "hi").status_code == 401
    wire.http.post("/api/auth/api-key", json={"provider": "anthropic", "api_key": KEY})
    assert wire.post(session, "hi").status_code == 202
    assert KEY not in repr(wire.server.requests)
    wire.server.restart()
    assert all(KEY.encode() not in path.read_bytes() for path in wire.server.data_dir.rglob("*") if path.is_file())


@pytest.mark.parametrize("wire", ["0.5", "0.8"], indirect=True)
def test_preferences(wire):
    defaults = wire.http.post("/api/preferences/reset").json()
    assert defaults["preferred_provider"] == "anthropic"
    changed = wire.http.post("/api/preferences", json={"preferred_provider": "openai", "unknown": 1}).json()
    assert changed["preferred_provider"] == "openai"
    assert wire.http.get("/api/preferences").json()["preferences"]["preferred_provider"] == "openai"
    assert "anthropic" in wire.http.get("/api/preferences/providers").json()
    assert wire.error(wire.http.post("/api/preferences", json={"preferred_provider": "x"}))[1] == "INVALID_PROVIDER"


def test_tools(make):
    assert wire_names(make("0.7")) >= {"Bash", "Task"}
    assert "categories" in make("0.7").http.get("/api/tools/status").json()
    assert "categories" in make("0.8").http.get("/api/tools/credentials-status").json()


def wire_names(wire):
    tools = wire.http.get("/api/tools").json()["tools"]
    assert all(list(tool) == ["name", "description", "parameters", "required"] for tool in tools)
    return {tool["name"] for tool in tools}


@pytest.mark.parametrize("wire", ["0.6.5", "next"], indirect=True)
def test_oauth_health(wire):
    assert wire.http.get("/health/auth").json()["status"] in {"healthy", "degraded", "unhealthy"}
    assert wire.http.post("/internal/auth/refresh-tokens").status_code == 200


def test_q39_what_no_specification_lists(wire):
    assert wire.http.get("/api/v1/tunnel/active").json() == {"active_tunnels": [], "count": 0}
    assert wire.http.get("/doc").headers["content-type"].startswith("text/html")
