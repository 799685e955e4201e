"""The command line, run as its users run it: as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import httpx
import pytest

from langchain_mix import MixEmulator
from langchain_mix.client import Mix
from tests.new_process import command_line

COMMAND = [sys.executable, "-m", "langchain_mix"]
PLAIN = {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


def run(*arguments):
    command = command_line(*arguments)
    return subprocess.run(command, capture_output=True, text=True, env=PLAIN, timeout=60, check=False)


def test_demo_shows_thinking_tools_answers_and_both_branches():
    ran = run("demo")
    assert ran.returncode == 0, ran.stderr
    told = ran.stdout
    assert "Uploaded sales.csv" in told
    assert "Uploaded report.md" in told
    assert "[thinking]" in told
    assert re.search(r"\[tool\] ReadText .*sales\.csv", told)
    assert re.search(r"-> success: Completed ReadText tool", told)
    assert "North** has the highest total revenue: **20947.4" in told
    assert re.search(r"report\.md:\d+", told)
    original, fork = told.index("favourite region is **North**"), told.index("favourite region is **South**")
    assert original < fork
    assert told.count("was:") == 2, "both branches know what was said before the fork"
    assert not ran.stderr


@pytest.fixture
def served(tmp_path):
    server = subprocess.Popen(
        [*COMMAND, "serve", "--api", "0.7", "--port", "0", "--data", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=PLAIN,
    )
    try:
        line = server.stdout.readline()
        yield server, re.search(r"http://[\w.:]+", line)[0]
    finally:
        server.kill()
        server.communicate()


def test_serve_answers_and_stops_on_ctrl_c(served):
    server, url = served
    assert httpx.get(url + "/health").json()["status"] == "ok"
    with Mix(server_url=url) as mix:
        session = mix.sessions.create(title="T")
        assert "4" in mix.messages.send(id=session.id, text="What is 2+2?").assistant_response
        assert mix.sessions.fork(id=session.id, message_index=1).session_type == "forked"
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=20)
    assert server.returncode == 0, err
    assert "Stopped." in out
    assert "Traceback" not in err


def started(*options):
    """Starts `serve` and gives the process and its address."""
    command = command_line("serve", "--port", "0", *options)
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=PLAIN)
    return server, re.search(r"http://[\w.:]+", server.stdout.readline())[0]


def test_options_of_serve_say_who_may_use_it(tmp_path):
    server, url = started(
        *("--api", "0.6.5", "--data", str(tmp_path), "--require-credentials"),
        *("--allow-host", "mix.example", "--allow-host", "other.example", "--allow-origin", "http://app.example"),
    )
    try:
        assert [
            httpx.get(f"{url}/health", headers={"Host": host}).status_code
            for host in ("mix.example", "other.example:99", "evil.example")
        ] == [200, 200, 403]
        assert [
            httpx.get(f"{url}/health", headers={"Origin": f"http://{page}.example"}).status_code
            for page in ("app", "evil")
        ] == [200, 403]
        session = httpx.post(f"{url}/api/sessions", json={"title": "t"}).json()["id"]
        refused = httpx.post(f"{url}/api/sessions/{session}/messages", json={"text": "hi"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (401, "unauthorized")
    finally:
        server.kill()
        server.communicate()


def test_serve_demo_has_something_to_ask_about():
    command = command_line("serve", "--port", "0", "--demo", "--pace", "500")
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=PLAIN)
    try:
        url = re.search(r"http://[\w.:]+", server.stdout.readline())[0]
        lines = [server.stdout.readline() for _ in range(3)]
        assert f"langchain-mix chat -s {url} --session last" in lines[2]
        with Mix(server_url=url) as mix:
            [session] = mix.sessions.list()
            assert {file.name for file in mix.files.list_session_files(id=session.id)} == {"sales.csv", "report.md"}
            assert "North" in mix.messages.send(id=session.id, text=lines[2].split('"')[1]).assistant_response
    finally:
        server.kill()
        server.communicate()


def test_serve_stops_with_an_open_stream(served):
    server, url = served
    with Mix(server_url=url) as mix:
        session = mix.sessions.create(title="T")
        with mix.streaming.stream_events(session_id=session.id) as stream:
            assert next(stream).event == "connected"
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=20)
    assert server.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["serve", "--api", "9.9"], 2, "9.9"),
        (["serve", "--agent", "nobody", "--port", "0"], 2, "nobody"),
        (["serve", "--port", "99999"], 2, "--port"),
        (["serve", "--port", "0", "--allow-host", "a b"], 2, "a b"),
        (["serve", "--port", "0", "--allow-origin", "app.example"], 2, "app.example"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_misuse_is_told_without_a_traceback(arguments, code, says):
    ran = run(*arguments)
    assert ran.returncode == code
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_taken_port_is_told():
    with MixEmulator() as emulator:
        port = emulator.url.rsplit(":", 1)[1]
        ran = run("serve", "--port", port)
    assert ran.returncode == 2
    assert f"Port {port} is taken" in ran.stderr
    assert "--port 0" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_version():
    from langchain_mix import __version__

    assert run("--version").stdout.strip() == f"langchain-mix {__version__}"


class TestCredentials:
    def test_the_key_of_the_environment_is_sent(self, cli, server, monkeypatch):
        monkeypatch.setenv("MIX_API_KEY", "s3same")
        assert cli("sessions", "list", "-s", server.url).code == 0
        assert {r.headers.get("authorization") for r in server.requests} == {"Bearer s3same"}

    def test_what_the_command_says_goes_first(self, cli, server, monkeypatch):
        monkeypatch.setenv("MIX_API_KEY", "s3same")
        cli("sessions", "list", "-s", server.url, "--header", "authorization: Own x")
        cli("sessions", "list", "-s", server.url.replace("http://", "http://ann:pass@"))
        assert {r.headers.get("authorization") for r in server.requests} == {"Own x", "Basic YW5uOnBhc3M="}

    def test_headers_are_read_from_a_file(self, cli, server, tmp_path):
        (tmp_path / "headers").write_text("X-One: 1\n\nX-Two: two words\n")
        assert cli("sessions", "list", "-s", server.url, "--header", f"@{tmp_path / 'headers'}").code == 0
        assert {(r.headers.get("x-one"), r.headers.get("x-two")) for r in server.requests} == {("1", "two words")}
        assert cli("sessions", "list", "-s", server.url, "--header", f"@{tmp_path / 'missing'}").code == 1

    def test_a_wrong_key_or_url_is_not_shown(self, cli, server, monkeypatch):
        monkeypatch.setenv("MIX_API_KEY", "s3same\n")
        ran = cli("sessions", "list", "-s", server.url)
        assert ran.code == 2
        assert "Authorization" in ran.err
        assert "s3same" not in ran.out + ran.err
        monkeypatch.delenv("MIX_API_KEY")
        for url in ("http://ann:s3/same@host", "http://host/?token=s3same", "ann:s3same@host"):
            ran = cli("sessions", "list", "-s", url)
            assert ran.code == 2
            assert "same" not in ran.out + ran.err
