"""A process that is killed while it stores: the next one reads the state before or after, never a part."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import pytest

from langchain_mix import MixEmulator, MixSaver
from langchain_mix.checkpoint.state import StoreSettings
from tests.earlier_names import as_an_earlier_version
from tests.new_process import python

SMALL = StoreSettings(segment_entries=1)
"""Every write moves the active segment into a file of its own, which must be there before what refers to it."""

FORKS = """
import json, os, sys
import httpx
from langchain_mix import MixSaver
from langchain_mix.checkpoint.state import StoreSettings

client = httpx.Client()
MixSaver(client=client, api="0.8").close()

def checkpoint(name):
    return {"v": 4, "id": name, "ts": name, "channel_values": {"x": name, "y": name * 3},
            "channel_versions": {"x": name, "y": name}, "versions_seen": {}, "updated_channels": None}

def work(url, thread, what, warm):
    saver = MixSaver(
        url, api="0.8", store=StoreSettings(segment_entries=1), max_retries=0, client=client
    )
    config = {"configurable": {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": "1"}}
    if warm:
        saver.put_writes(config, [("w", "warm")], "warm")
    saver.mix.system.get_health()  # From here on requests count.
    if what != "put_writes":
        saver.put(config, checkpoint("2"), {"step": 2}, {"x": "2", "y": "2"})
    else:
        saver.put_writes(config, [("x", "one"), ("y", "two")], "t")

for line in sys.stdin:
    child = os.fork()
    if not child:
        os.write(1, b"%d\\n" % os.getpid())
        work(*json.loads(line))
        os.write(1, b"done\\n")
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b"gone\\n")
"""
"""A process that forks one for each line it reads: starting Python for each would take most of the time."""


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


class Between(ThreadingHTTPServer):
    """Stands between a client and the server, and holds the nth request after the one for `/health`."""

    daemon_threads = True

    def __init__(self, url):
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = urlsplit(url).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()

    def hold(self, nth, when):
        """Holds a request, before the server has it or when the server has acted on it."""
        self.nth, self.when, self.number = nth, when, None
        self.asked, self.methods, self.over = None, [], threading.Event()
        self.happened = threading.Event()

    def passes(self, asked):
        with self.lock:
            if asked[1] == "/health":
                self.number = 0
            elif self.number is not None:
                self.number += 1
                self.methods.append(asked[0])
                if self.number == self.nth:
                    self.asked = asked
        if self.asked is not asked:
            return self.ask(asked)
        if self.when == "after":
            self.ask(asked)
        self.happened.set()
        self.over.wait(30)
        return None

    def ask(self, asked):
        behind = http.client.HTTPConnection(self.behind)
        try:
            behind.request(*asked)
            answer = behind.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            behind.close()


class Passing(BaseHTTPRequestHandler):
    """Passes requests on."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def pass_on(self):
        assert "chunked" not in self.headers.get("Transfer-Encoding", "")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        answer = self.server.passes((self.command, self.path, body, given))
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = pass_on  # noqa: N815  # The names that `http.server` calls.

    def log_message(self, *given):
        """Tells nobody."""


@pytest.fixture(scope="module")
def server():
    with MixEmulator(api="0.8") as server:
        yield server


@pytest.fixture(scope="module")
def between(server):
    with Between(server.url) as between:
        thread = threading.Thread(target=between.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield between
        between.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def forks():
    with subprocess.Popen(python(FORKS), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def killed(between, forks, *job):
    """Has a process do something and kills it at the request that is held; tells whether it got that far."""
    forks.stdin.write(json.dumps([between.url, *job]) + "\n")
    forks.stdin.flush()
    told = [forks.stdout.readline()]

    def read():
        while told[-1] != "gone\n":
            told.append(forks.stdout.readline())
            assert told[-1], "the process that forks is gone"
            between.happened.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert between.happened.wait(30)
    reached = between.asked is not None
    if reached:
        os.kill(int(told[0]), signal.SIGKILL)
    reader.join(30)
    assert ("done\n" in told) is not reached, told
    between.over.set()
    return reached


def state(saver, thread):
    """What a new process reads."""
    found = [
        (t.config["configurable"]["checkpoint_id"], t.checkpoint["channel_values"], t.metadata)
        for t in saver.list({"configurable": {"thread_id": thread}})
    ]
    first = saver.get_tuple({"configurable": {"thread_id": thread, "checkpoint_id": "1"}})
    newest = saver.get_tuple({"configurable": {"thread_id": thread}})
    assert newest.config["configurable"]["checkpoint_id"] == found[0][0]
    return found, [write for write in first.pending_writes if write[0] == "t"]


@pytest.fixture(scope="module")
def new_process(server):
    """A saver that remembers nothing. Making an HTTP client takes longer than all else, so that they share one."""
    with httpx.Client() as client:
        yield lambda: MixSaver(server.url, api="0.8", store=SMALL, client=client)


KILLED = [("put", True), ("put", False), ("put_writes", True), ("put_writes", False), ("move", False)]
USUAL = [
    ("put", True, "before", 1),
    ("put", False, "after", 3),
    ("put_writes", True, "after", 1),
    ("move", False, "after", 7),
]
"""What runs by default: each operation, each age of its writer, and each moment. Of many requests every third or seventh
is tried; in `unit_tests/checkpoint` processes end at each of them."""

ALL = [(what, warm, "before", 1) for what, warm in KILLED]
"""At each request, which then arrives late: what the server holds before that is what the request before has left."""


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=f"{case[0]}-{'warm' if case[1] else 'cold'}-{case[2]}-{case[3]}",
            marks=[] if case in USUAL else pytest.mark.exhaustive,
        )
        for case in dict.fromkeys((*USUAL, *ALL))
    ],
)
def test_a_killed_writer_leaves_the_state_before_or_after(new_process, between, forks, case):
    """It is killed at its requests, which the server has not got, has acted on, or gets when the process is gone."""
    what, warm, when, every = case
    outcomes = {}
    nth, reached = 1 - every, True
    while reached:
        nth += every
        thread = f"{what} {warm} {when} {every} {nth}"
        config = {"configurable": {"thread_id": thread}}
        stores = as_an_earlier_version() if what == "move" else nullcontext()
        with stores, new_process() as saver:
            saver.put(config, checkpoint("1"), {"step": 1}, {"x": "1", "y": "1"})
            before = state(saver, thread)
        if what != "put_writes":
            whole = ([("2", {"x": "2", "y": "222"}, {"step": 2}), *before[0]], before[1])
        else:
            whole = (before[0], [("t", "x", "one"), ("t", "y", "two")])
        between.hold(nth, when)
        reached = killed(between, forks, thread, what, warm)
        with new_process() as saver:
            after = state(saver, thread)
            assert after in (before, whole)
            outcomes[nth] = between.asked[0] if reached else "", after == whole
            if reached and when == "before":
                between.ask(between.asked)  # It arrives late.
                late = state(saver, thread)
                assert late in (before, whole)
                assert late == whole or after == before, "what was read is gone"
                after = late
            # Others go on writing.
            saver.put(config, checkpoint("3"), {"step": 3}, {"x": "3", "y": "3"})
        with new_process() as saver:
            found, writes = state(saver, thread)
            assert (found[1:], writes) == after
            assert found[0][0] == "3"
    # The last upload of an operation is the one that counts, and no other.
    methods = between.methods  # Of the last one, which came to its end.
    last = max(n for n, method in enumerate(methods, 1) if method == "POST")
    counts = last if when == "after" else last + 1
    assert {n: there for n, (_, there) in outcomes.items()} == {n: n >= counts for n in outcomes}
    assert [method for method, _ in outcomes.values()] == [*methods[::every], ""]
    assert methods.count("POST") >= (2 if warm else 4)
    assert "GET" in methods
