"""Several processes that continue one conversation."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from langchain_core.messages import HumanMessage, messages_to_dict

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator.agents.base import Text

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
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.url, text], input=stored, check=True, capture_output=True, text=True
    )
    return done.stdout


def said(server):
    return [
        [row["userInput"] for row in server.world.list_messages(s["id"]) if row["role"] == "user"]
        for s in server.world.list_sessions(include_subagents=True)
    ]


@pytest.mark.parametrize("api", ["0.6", "0.7", "0.8"])
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
