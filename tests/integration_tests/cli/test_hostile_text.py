"""A server that says what steers terminals, and every command that shows what servers say."""

from __future__ import annotations

import json
import re

import pytest
from langgraph.graph import START, MessagesState, StateGraph

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.client import Mix
from langchain_mix.emulator import HttpError
from langchain_mix.notebook import transcript
from langchain_mix.testing import Script, turn, use

EVIL = "x\x1b]0;owned\x07\x1b[2J\x9b31m\x85\u202eevil\u2066\u200f\u061c\x08y"
HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
STYLES = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[hl]|2?K|1?A|[0-9]*G)")
"""What rich sends itself: styles, the cursor, lines that are drawn again."""


def harm(text):
    return HARMFUL.findall(STYLES.sub("", text).replace("\r", ""))


@pytest.fixture(params=[False, True], ids=["pipe", "terminal"])
def terminal(request, cli, monkeypatch):
    if request.param:
        monkeypatch.setenv("FORCE_COLOR", "1")
    return request.param


@pytest.fixture
def hostile():
    answer = turn([use(f"B{EVIL}", {f"k{EVIL}": EVIL}, result=EVIL, ask=False)], f"{EVIL}\n\n```\n{EVIL}\n```")
    with MixEmulator(api="0.8", agent=Script(answer, answer, loop=True)) as server:
        yield server


def test_no_command_passes_it_on(cli, hostile, terminal, tmp_path):
    with Mix(server_url=hostile.url) as mix, MixSaver(server_url=hostile.url) as saver:
        session = mix.sessions.create(title=f"T{EVIL}").id
        mix.turn(session, f"Say {EVIL}").run()
        model = ChatMix(server_url=hostile.url)
        builder = StateGraph(MessagesState).add_node("a", lambda s: {"messages": [model.invoke(s["messages"])]})
        graph = builder.add_edge(START, "a").compile(checkpointer=saver)
        graph.invoke({"messages": f"Go {EVIL}"}, {"configurable": {"thread_id": "t"}})
        assert not harm(str(transcript(session, mix)))
    at = ("--server", hostile.url)
    commands = [
        ("sessions", "list"),
        ("sessions", "list", "--json"),
        ("sessions", "show", session),
        ("sessions", "export", session, "--format", "json"),
        ("checkpoints", "list", "--json"),
        ("checkpoints", "tree", "t"),
        ("checkpoints", "tree", "t", "--json"),
        ("checkpoints", "show", "t", "last"),
        ("checkpoints", "show", "t", "last", "--json"),
        *([("sessions", "export", session), ("chat", "Hi")] if terminal else []),
    ]
    for command in commands:
        ran = cli(*command, *at)
        assert ran.code == 0, (command, ran.err)
        assert not harm(ran.out + ran.err), command
        if "--json" in command or "json" in command:
            json.loads(ran.out)
    exported = json.loads(cli("sessions", "export", session, "--format", "json", *at).out)
    assert EVIL in exported["messages"][0]["userInput"], "JSON loses nothing"
    if not terminal:
        assert EVIL in cli("sessions", "export", session, *at).out, "what goes into a file is what was said"


def test_errors_and_findings_do_not_either(cli, hostile, terminal):
    hostile.faults.add(HttpError("GET /api/sessions", 500, json.dumps({"error": {"message": EVIL}}), count=None))
    hostile.faults.add(HttpError("POST /api/sessions", 500, EVIL, count=None))
    for command in (("sessions", "list"), ("doctor",), ("doctor", "--json"), ("chat", "Hi")):
        ran = cli(*command, "--server", hostile.url)
        assert not harm(ran.out + ran.err), command
