"""`langchain-mix checkpoints`: the options that all its commands share."""

from __future__ import annotations

import pytest

COMMANDS = {
    "list": [],
    "tree": ["a"],
    "show": ["a"],
    "report": [],
    "prune": ["a", "-y"],
    "rewind": ["a", "last", "-y"],
    "copy": ["a", "b"],
    "repair": ["-y"],
    "delete": ["a", "-y"],
}
# One place gives the options to all of them: one that reads and one that writes say whether it does.
ALL = pytest.mark.parametrize(
    "command",
    [c if c in {"list", "prune"} else pytest.param(c, marks=pytest.mark.exhaustive) for c in COMMANDS],
)


@ALL
def test_server_headers_and_api_reach_the_client(cli, server, saver, tools, command):
    tools.talk(server, saver)
    server.forget_requests()
    given = ["checkpoints", command, *COMMANDS[command]]
    assert cli(*given, "--server", server.url, "--header", "X-Pass: open sesame", "--api", "0.8").code == 0
    assert {r.headers.get("x-pass") for r in server.requests} == {"open sesame"}
    ran = cli(*given, "-s", server.url, "--api", "9")
    assert ran.code == 2
    assert "'0.8'" in ran.err
    assert cli(*given, "-s", "http://127.0.0.1:1").code == 3


@ALL
def test_the_key_may_be_in_any_variable(checkpoints, tools, locked, monkeypatch, command):
    monkeypatch.setenv("OURS", tools.key)
    assert checkpoints(command, *COMMANDS[command]).code == 2
    ran = checkpoints(command, *COMMANDS[command], "--aes-key-env", "OURS")
    assert ran.code == 0, ran.err
    assert tools.key not in ran.out + ran.err
