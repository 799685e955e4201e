"""A process that is killed while it stores: the next one reads the state before or after, never a part."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from langchain_mix import MixEmulator, MixSaver
from langchain_mix.emulator.agents.base import Gate
from langchain_mix.emulator.faults import SlowReply

A = {"configurable": {"thread_id": "a"}}

PROGRAM = """
import sys
from langchain_mix import MixSaver

url, what, warm = sys.argv[1:]
saver = MixSaver(url, api="0.8", store={"window_entries": 3}, max_retries=0)
config = {"configurable": {"thread_id": "a", "checkpoint_ns": "", "checkpoint_id": "1"}}

def checkpoint(name):
    return {"v": 4, "id": name, "ts": name, "channel_values": {"x": name, "y": name * 3},
            "channel_versions": {"x": name, "y": name}, "versions_seen": {}, "updated_channels": None}

if warm == "warm":
    saver.put_writes(config, [("w", "warm")], "warm")
print("ready", flush=True)
sys.stdin.readline()
if what == "put":
    saver.put(config, checkpoint("2"), {"step": 2}, {"x": "2", "y": "2"})
else:
    saver.put_writes(config, [("x", "one"), ("y", "two")], "t")
print("done", flush=True)
"""


def checkpoint(name):
    return {
        "v": 4,
        "id": name,
        "ts": name,
        "channel_values": {"x": name, "y": name * 3},
        "channel_versions": {"x": name, "y": name},
        "versions_seen": {},
        "updated_channels": None,
    }


def state(url):
    """What a new process reads."""
    with MixSaver(url, api="0.8", store={"window_entries": 3}) as saver:
        found = [
            (t.config["configurable"]["checkpoint_id"], t.checkpoint["channel_values"], t.metadata)
            for t in saver.list(A)
        ]
        writes = saver.get_tuple({"configurable": {"thread_id": "a", "checkpoint_id": "1"}}).pending_writes
        return found, [w for w in writes if w[0] == "t"]


class Reached(Gate):
    """A gate that nothing passes, and that tells when something has come to it."""

    def __init__(self):
        super().__init__()
        self.something_happened = threading.Event()
        self.came = False

    async def passed(self):
        self.came = True
        self.something_happened.set()
        await super().passed()


class Nth(SlowReply):
    """Holds the answer to one request that changes something, once the server has acted on it."""

    def matches(self, method, path):
        if method == "GET":
            return False
        self.seen.append(path)
        return len(self.seen) == self.nth


def held(nth):
    fault = Nth(gate=Reached())
    object.__setattr__(fault, "nth", nth)
    object.__setattr__(fault, "seen", [])
    return fault


def wait_for(fault, process):
    """Waits until the server has acted on the request; tells whether the process got to its end without one."""

    def read():
        process.stdout.readline()
        fault.gate.something_happened.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert fault.gate.something_happened.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    reader.join()
    return not fault.gate.came


@pytest.mark.parametrize("warm", ["warm", "cold"])
@pytest.mark.parametrize("what", ["put", "put_writes"])
def test_a_killed_writer_leaves_the_state_before_or_after(what, warm):
    outcomes = []
    nth = 0
    while True:
        nth += 1
        with MixEmulator(api="0.8") as server:
            with MixSaver(server.url, api="0.8", store={"window_entries": 3}) as saver:
                saver.put(A, checkpoint("1"), {"step": 1}, {"x": "1", "y": "1"})
            before = state(server.url)
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, server.url, what, warm],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            with process:
                assert process.stdout.readline() == "ready\n"
                # What was acted on by the n-th request is all that the server ever hears of it.
                fault = server.faults.add(held(nth))
                process.stdin.write("\n")
                process.stdin.flush()
                over = wait_for(fault, process)
            fault.gate.open()
            server.faults.clear()
            after = state(server.url)
            if what == "put":
                whole = ([("2", {"x": "2", "y": "222"}, {"step": 2}), *before[0]], before[1])
            else:
                whole = (before[0], [("t", "x", "one"), ("t", "y", "two")])
            assert after in (before, whole)
            outcomes.append(after == whole)
            # Others go on writing.
            with MixSaver(server.url, api="0.8", store={"window_entries": 3}) as saver:
                saver.put(A, checkpoint("3"), {"step": 3}, {"x": "3", "y": "3"})
            assert len(state(server.url)[0]) == len(after[0]) + 1
            if over:
                break
    # The last upload of an operation is the one that counts, and no other.
    assert outcomes == [False] * (nth - 2) + [True, True]
    assert nth >= (2 if warm == "warm" else 4)
