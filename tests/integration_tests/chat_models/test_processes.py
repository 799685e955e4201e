"""Several processes that continue one conversation."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, messages_to_dict

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import Gate, SlowReply
from langchain_mix.emulator.agents.base import Text, Wait
from tests.new_process import python

PROGRAM = """
import json, sys
from langchain_core.messages import HumanMessage, messages_from_dict, messages_to_dict
from langchain_mix import ChatMix

model = ChatMix(server_url=sys.argv[1])
with model.client:
    messages = [*messages_from_dict(json.loads(sys.stdin.read())), HumanMessage(sys.argv[2])]
    print(json.dumps(messages_to_dict([*messages, model.invoke(messages)])))
"""


class Echo:
    async def reply(self, request):
        yield Text(" / ".join(line.text for line in request.lines if line.role == "user"))


def in_a_new_process(server, stored, text):
    done = subprocess.run(python(PROGRAM, server.url, text), input=stored, check=True, capture_output=True, text=True)
    return done.stdout


def said(server):
    return [
        [row["userInput"] for row in server.state.rows.messages(s["id"]) if row["role"] == "user"]
        for s in server.state.sessions.listing(include_subagents=True)
    ]


@pytest.mark.parametrize("api", ["0.6", "0.8", pytest.param("0.7", marks=pytest.mark.exhaustive)])
def test_processes_in_turn_share_a_session_and_branches_get_their_own(api):
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        messages = [HumanMessage("one")]
        messages.append(model.invoke(messages))
        stored = json.dumps(messages_to_dict(messages))
        further = in_a_new_process(server, stored, "two")
        assert said(server) == [["one", "two"]]
        branch = json.loads(in_a_new_process(server, stored, "other"))[-1]["data"]["content"]
        assert sorted(map(len, said(server))) in ([1, 2], [2, 2])
        assert ["one", "two"] in said(server)
        assert "two" not in str(branch)
        in_a_new_process(server, further, "three")
        assert ["one", "two", "three"] in said(server)


# At the same instant

RACER = """
import json, sys
from langchain_core.messages import HumanMessage, messages_from_dict, messages_to_dict
from langchain_mix import ChatMix
from langchain_mix.errors import MixError

url, api, policy, text = sys.argv[1:]
model = ChatMix(server_url=url, api=api, on_divergence=policy)
with model.client:
    messages = [*messages_from_dict(json.loads(sys.stdin.readline())), HumanMessage(text)]
    told = {}
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        messages.append(model.invoke(messages))
        print(messages_to_dict(messages[-1:])[0]["data"]["response_metadata"]["mix"]["session_id"], file=sys.stderr)
        sys.stdin.readline()
        messages.append(HumanMessage(text + " again"))
        messages.append(model.invoke(messages))
    except MixError as error:
        told = {"error": type(error).__name__, "acted": error.acted, "held": error.turn.full_text}
    told["replies"] = [{"text": m.text, "mix": m.response_metadata["mix"]} for m in messages[3::2]]
    print(json.dumps(told))
"""
RACERS = ("a", "b", "c")
LIMIT = 60.0


class Held:
    """Answers what the racers ask once all have asked, each message once, in the order in which they came."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.heard = []

    async def reply(self, request):
        asked = [line.text for line in request.lines if line.role == "user"]
        waiting = [text for text in asked if text in RACERS and text not in self.heard]
        # A run reads the session when it starts, so that messages after its own may stand there already.
        mine = waiting[0] if waiting else asked[-1]
        self.heard.append(mine)
        if waiting:
            yield Wait(self.gate)
        for piece in ("re ", mine.rpartition("\n")[2], "."):
            yield Text(piece)


@dataclass
class Race:
    """The outcome: what each process was given, and the rows of all sessions by session."""

    base: str
    told: dict[str, Any]
    rows: dict[str, list[tuple[str, str]]]

    def said(self, text):
        """Returns how often the server holds a message."""
        return sum(row == ("user", text) for rows in self.rows.values() for row in rows)


def rows_of(server):
    listed = {
        s["id"]: server.state.rows.messages(s["id"]) for s in server.state.sessions.listing(include_subagents=True)
    }
    return {
        session: [(row["role"], row["userInput"] or row.get("assistantResponse", "")) for row in rows]
        for session, rows in listed.items()
    }


def race(api, policy):
    """Processes that read the position of the session before any of them has sent its message, and then all send it."""
    agent, read = Held(), Gate()
    with MixEmulator(api=api, agent=agent, heartbeat=0.1) as server, ExitStack() as stack:
        model = ChatMix(server_url=server.url, api=api)
        messages = [HumanMessage("one")]
        messages.append(model.invoke(messages))
        stored = json.dumps(messages_to_dict(messages))
        racers = {}
        for text in RACERS:
            command = python(RACER, server.url, api, policy, text)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            racers[text] = racer = stack.enter_context(subprocess.Popen(command, text=True, **pipes))
            stack.callback(racer.kill)
            racer.stdin.write(stored + "\n")
            racer.stdin.flush()
        for racer in racers.values():
            assert racer.stdout.readline() == "ready\n"
        reading = server.faults.add(SlowReply("GET /api/sessions/[^/]+/messages", gate=read, count=len(RACERS)))
        server.forget_requests()
        for racer in racers.values():
            racer.stdin.write("go\n")
            racer.stdin.flush()
        server.faults.wait_for(reading, len(RACERS), LIMIT)
        read.open()
        server.wait_until(lambda: sum(r.method == "POST" for r in server.requests) >= len(RACERS), LIMIT)
        agent.gate.open()
        for racer in racers.values():  # Each has its reply, or its error.
            racer.stderr.readline()
        told = {text: json.loads(racer.communicate("go on\n", LIMIT)[0]) for text, racer in racers.items()}
        base = messages[-1].response_metadata["mix"]["session_id"]
        return Race(base, told, rows_of(server))


# Mix 0.5 writes a message once for each stream that is open in the session: there the rows are the server's doing.


RACED = ["0.6", "0.8", *(pytest.param(api, marks=pytest.mark.exhaustive) for api in ("0.6.5", "0.7"))]


@pytest.mark.parametrize("api", RACED)
def test_processes_at_the_same_instant_lose_and_repeat_nothing_and_the_losers_go_elsewhere(api):
    ran = race(api, "fork")
    held = ran.rows[ran.base]
    for text in RACERS:
        assert ran.said(text) == 1, "a message is lost or was sent twice"
        assert ("assistant", f"re {text}.") in held, "a reply is lost"
        assert "error" not in ran.told[text]
    assert held[:2] == [("user", "one"), ("assistant", "re one.")]
    firsts = {text: told["replies"][0] for text, told in ran.told.items()}
    first = held[2][1]
    losers = {text for text, reply in firsts.items() if not reply["mix"]["digest"]}
    assert losers == set(RACERS) - {first}, "a pointer proves what is not so, or the first proves nothing"
    for text, told in ran.told.items():
        second = told["replies"][1]
        went_elsewhere = second["mix"]["session_id"] != ran.base
        assert went_elsewhere is (text in losers), "the next turn of a loser is not on a history of others"
        assert told["replies"][0]["text"] == f"re {text}.", "another's text is in the reply"
        assert second["text"] == f"re {text} again."
        if went_elsewhere:
            (question,) = [said for role, said in ran.rows[second["mix"]["session_id"]] if f"{text} again" in said][:1]
            others = set(RACERS) - {text}
            assert not [other for other in others if f"> {other}\n" in question], "another's message is in the talk"


@pytest.mark.parametrize("api", ["0.8", *(pytest.param(api, marks=pytest.mark.exhaustive) for api in ("0.6", "0.7"))])
def test_processes_at_the_same_instant_are_told_where_that_was_asked_for(api):
    ran = race(api, "error")
    held = ran.rows[ran.base]
    assert set(ran.rows) == {ran.base}
    first = held[2][1]
    for text, told in ran.told.items():
        assert ran.said(text) == 1
        assert told["error"] == "ChatMixHistoryDiverged"
        # The first goes on at its assumed position, and is refused then.
        assert len(told["replies"]) == (text == first)
        assert ran.said(f"{text} again") == (told["acted"] == "yes" and text == first)
