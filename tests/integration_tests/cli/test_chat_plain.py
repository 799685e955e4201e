"""`langchain-mix chat` without a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from langchain_mix import MixEmulator
from langchain_mix.client import Mix
from langchain_mix.emulator import DropEvent, Faults, Gate, HttpError, Script, say, think, turn, use
from langchain_mix.emulator.agents.base import Fail, Text, Wait

PLAIN = {**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def test_a_message_from_the_pipe(cli, server, mix):
    ran = cli("chat", "--server", server.url, typed="What is 2+2?\n")
    assert ran.code == 0
    assert ran.out == "2+2 = **4**\n"
    session = mix.sessions.list()[0]
    assert f"Session {session.id}" in ran.err
    assert session.title == "Chat"
    assert " in, " in ran.err


def test_a_message_from_the_command_line(cli, server, mix):
    ran = cli("chat", "What is 2+2?", "-s", server.url, "--title", "Sum", typed="not read")
    assert ran.out == "2+2 = **4**\n"
    assert mix.sessions.list()[0].title == "Sum"


def test_a_session_goes_on(cli, mix, talked):
    ran = cli("chat", "What was my first message?", "--session", talked[:8], "-s", mix.server_url)
    assert "1+1" in ran.out
    assert [s.id for s in mix.sessions.list()] == [talked]


def test_the_emulator_needs_no_server(cli):
    ran = cli("chat", "What is 2+2?", "--emulator")
    assert ran.code == 0
    assert ran.out == "2+2 = **4**\n"
    assert "(API 0.7)" in ran.err
    assert "(API 0.8)" in cli("chat", "What is 2+2?", "--emulator", "--api", "0.8").err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--emulator", "--server", "http://x"], 2, "two servers"),
        (["hi", "--server", "http://127.0.0.1:1"], 3, "No connection"),
        (["hi", "--server", "nonsense"], 2, "neither http:// nor https://"),
        (["hi", "--emulator", "--session", "00000000-0000-4000-8000-000000000000"], 1, "not found"),
        (["--emulator"], 2, "Standard input is empty"),
        (["hi", "--emulator", "--thinking-level", "huge"], 2, "thinking-level"),
        (["hi", "--emulator", "--header", "nonsense"], 2, "Name: value"),
    ],
)
def test_misuse(cli, arguments, code, says):
    ran = cli("chat", *arguments, typed=" \n")
    assert ran.code == code
    assert says in ran.err
    assert ran.out == ""


def test_options_reach_the_server(cli, server, monkeypatch):
    sent = []
    turn_of = Mix.turn

    def spy(self, session_id, text, **given):
        sent.append(given)
        return turn_of(self, session_id, text, **given)

    monkeypatch.setattr(Mix, "turn", spy)
    with MixEmulator(api="0.8") as newest:
        cli("chat", "hi", "-s", newest.url, "--plan", "--thinking-level", "medium", "--max-steps", "7")
        cli("chat", "hi", "-s", newest.url, "--header", "X-Pass: sesame")
        assert newest.requests[-1].headers["x-pass"] == "sesame"
        with Mix(server_url=newest.url) as mix:
            asked = mix.messages.get_history()
    assert (sent[0]["plan_mode"], sent[0]["thinking_level"], sent[0]["max_steps"]) == (True, "medium", 7)
    assert (sent[1]["plan_mode"], sent[1]["thinking_level"], sent[1]["max_steps"]) == (None, None, None)
    assert sum("system-reminder" in m.user_input for m in asked) == 1
    ran = cli("chat", "hi", "-s", server.url, "--max-steps", "7")
    assert ran.code == 2
    assert "It exists on API 0.8" in ran.err


WRITES = Script(turn([use("Write", {"file_path": "a.txt", "content": "x"})], "Over."), loop=True)


@pytest.mark.parametrize("more", [[], ["--permissions", "ask"]])
def test_nobody_is_there_to_allow_a_tool(cli, more):
    told, done = run_write(cli, *more)
    assert "Denied: Write" in told
    assert "--permissions allow" in told
    assert not done


def test_permissions_as_told(cli):
    told, done = run_write(cli, "--permissions", "allow")
    assert "Allowed: Write" in told
    assert done
    told, done = run_write(cli, "--permissions", "deny")
    assert "Denied: Write" in told
    assert not done


def run_write(cli, *more):
    with MixEmulator(api="0.8", agent=WRITES) as server:
        ran = cli("chat", "Write.", "-s", server.url, *more)
        assert ran.code == 0
        return ran.err, bool(list(server.data_dir.rglob("a.txt")))


def test_the_answer_alone_goes_to_the_output(cli):
    script = Script(turn([think("Hm."), *say("First."), use("Grep", {"pattern": "x"}, result="r")], "Second.\tEnd"))
    with MixEmulator(api="0.8", agent=script) as server:
        ran = cli("chat", "Go.", "-s", server.url)
    assert ran.out == "First.\n\nSecond.\tEnd\n"
    assert "[tool] Grep" in ran.err


def test_lost_pieces_are_told_again(cli):
    script = Script(turn([Text("one "), Text("two "), Text("three")]))
    with MixEmulator(api="0.7", agent=script, faults=Faults(DropEvent("content", nth=2))) as server:
        ran = cli("chat", "Go.", "-s", server.url)
    assert ran.code == 0
    assert ran.out.endswith("one two three\n")


def test_a_turn_that_fails(cli):
    with MixEmulator(api="0.7", agent=Script(turn([Text("Half "), Fail("The model is ill")]))) as server:
        ran = cli("chat", "Go.", "-s", server.url)
    assert ran.code == 1
    assert ran.out == "Half \n"
    assert "The model is ill" in ran.err
    assert "Traceback" not in ran.err


def test_a_message_is_never_sent_twice(cli, server):
    server.faults.add(HttpError(match="POST /api/sessions/[^/]+/messages", status=503, body="busy", before=False))
    cli("chat", "What is 2+2?", "-s", server.url)
    assert sum(r.method == "POST" and r.path.endswith("/messages") for r in server.requests) == 1


def test_a_poor_terminal_still_shows_the_answer(server):
    with MixEmulator(api="0.7", agent=Script("Über — 東京")) as other:
        ran = subprocess.run(
            [sys.executable, "-m", "langchain_mix", "chat", "Go.", "-s", other.url],
            capture_output=True,
            env={**PLAIN, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
            timeout=60,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == b"?ber ? ??\n"


@pytest.fixture
def waiting():
    gate = Gate()
    with MixEmulator(api="0.7", agent=Script(turn([Text("So far.\n"), Wait(gate), Text("Never.")]))) as server:
        yield server
        gate.open()


def test_ctrl_c_cancels_the_turn(waiting, until_cancelled):
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_mix", "chat", "Go.", "-s", waiting.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=PLAIN,
    )
    try:
        assert process.stdout.readline() == "So far.\n"
        until_cancelled(lambda: process.send_signal(signal.SIGINT), waiting)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert "Cancelled." in err
    assert "Traceback" not in err
    assert any(r.path.endswith("/cancel") for r in waiting.requests)
    waiting.wait_idle()


def test_a_message_that_looks_like_a_command_is_a_message(cli, server, mix):
    cli("chat", "-s", server.url, typed="/help me with tea")
    assert [m.user_input for m in mix.messages.get_history()] == ["Message: /help me with tea"]


def test_undecodable_input_is_told(server):
    ran = subprocess.run(
        [sys.executable, "-m", "langchain_mix", "chat", "-s", server.url],
        input=b"\xff\xfe broken",
        capture_output=True,
        env={**PLAIN, "PYTHONUTF8": "1"},
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr
    assert b"utf-8" in ran.stderr


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_message_begins_no_session(cli, server, mix, text):
    ran = cli("chat", text, "-s", server.url)
    assert ran.code == 2
    assert "The message is empty." in ran.err
    assert mix.sessions.list() == []
