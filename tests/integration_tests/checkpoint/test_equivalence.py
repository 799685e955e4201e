"""MixSaver does what InMemorySaver does, whatever is asked of it, and whoever else writes to the same threads."""

from __future__ import annotations

import asyncio
import json
import subprocess
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from langgraph.checkpoint.memory import InMemorySaver

from langchain_mix import MixEmulator, MixSaver
from langchain_mix.checkpoint.state import StoreSettings
from tests.new_process import python

SMALL = StoreSettings(segment_entries=5, segment_bytes=600, blob_bytes=200, cached_threads=2, backoff=0.001)
"""Settings with which few operations reach all kinds of files."""

THREADS = st.sampled_from(["a", "b"])
SPACES = st.sampled_from(["", "n:1", "n:1|m"])
IDS = st.sampled_from([f"{n:03}" for n in range(12)])
CHANNELS = st.sampled_from(["x", "messages", "__interrupt__", "__resume__", "y"])
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=4),
    st.integers(-(2**63), 2**63),
    st.text(max_size=6),
    st.lists(st.text(max_size=30), max_size=8),
    st.just("long " * 60),
)
STEPS = st.integers(0, 3)


class Savers(RuleBasedStateMachine):
    """Two savers on one server, each another process in effect, against one in memory."""

    server: MixEmulator
    loop: asyncio.AbstractEventLoop

    @initialize()
    def begin(self):
        self.prefix = uuid4().hex
        self.memory = InMemorySaver()
        self.savers = [MixSaver(self.server.url, api="0.8", store=SMALL) for _ in range(2)]
        self.number = 0

    def teardown(self):
        if hasattr(self, "savers"):
            self.a_new_process_sees_the_same()
        for saver in getattr(self, "savers", ()):
            self.loop.run_until_complete(saver.aclose())

    def config(self, thread, ns, checkpoint_id=None):
        given = {"thread_id": self.prefix + thread, "checkpoint_ns": ns}
        return {"configurable": given if checkpoint_id is None else {**given, "checkpoint_id": checkpoint_id}}

    def on(self, which, later, name, *args, **kwargs):
        saver = self.savers[which]
        if not later:
            found = getattr(saver, name)(*args, **kwargs)
            return list(found) if name == "list" else found
        if name == "list":

            async def collect():
                return [one async for one in saver.alist(*args, **kwargs)]

            return self.loop.run_until_complete(collect())
        return self.loop.run_until_complete(getattr(saver, f"a{name}")(*args, **kwargs))

    @rule(
        which=st.integers(0, 1),
        later=st.booleans(),
        thread=THREADS,
        ns=SPACES,
        parent=st.none() | IDS,
        checkpoint_id=IDS,
        values=st.dictionaries(st.sampled_from(["x", "messages", "y"]), VALUES, max_size=3),
        step=STEPS,
    )
    def put(self, *, which, later, thread, ns, parent, checkpoint_id, values, step):
        self.number += 1
        # As in LangGraph, a version stands for one value: what did not change keeps that of the parent.
        before = self.memory.get_tuple(self.config(thread, ns, parent)) if parent is not None else None
        old = before.checkpoint if before is not None else {"channel_values": {}, "channel_versions": {}}
        versions = {**old["channel_versions"]}
        changed = {}
        for name in {*values, *versions}:
            same = name in values and name in old["channel_values"] and values[name] == old["channel_values"][name]
            if not same or type(values[name]) is not type(old["channel_values"][name]):
                versions[name] = changed[name] = f"{self.number:032}.{checkpoint_id}"
        checkpoint = {
            "v": 4,
            "id": checkpoint_id,
            "ts": f"{self.number}",
            "channel_values": values,
            "channel_versions": versions,
            "versions_seen": {"n": {"x": "1"}},
            "updated_channels": sorted(changed),
            "mine": step,
        }
        given = (self.config(thread, ns, parent), checkpoint, {"step": step, "source": "loop"}, changed)
        assert self.on(which, later, "put", *given) == self.memory.put(*given)

    @rule(
        which=st.integers(0, 1),
        later=st.booleans(),
        thread=THREADS,
        ns=SPACES,
        checkpoint_id=IDS,
        writes=st.lists(st.tuples(CHANNELS, VALUES), max_size=4),
        task=st.sampled_from(["t", "u"]),
        path=st.sampled_from(["", "~1", "~2"]),
    )
    def put_writes(self, *, which, later, thread, ns, checkpoint_id, writes, task, path):
        given = (self.config(thread, ns, checkpoint_id), writes, task, path)
        self.on(which, later, "put_writes", *given)
        self.memory.put_writes(*given)

    @rule(which=st.integers(0, 1), later=st.booleans(), thread=THREADS, ns=SPACES, checkpoint_id=st.none() | IDS)
    def get(self, which, later, thread, ns, checkpoint_id):
        config = self.config(thread, ns, checkpoint_id)
        assert self.on(which, later, "get_tuple", config) == self.memory.get_tuple(config)

    @rule(
        which=st.integers(0, 1),
        later=st.booleans(),
        thread=THREADS,
        ns=st.none() | SPACES,
        wanted=st.none() | st.fixed_dictionaries({"step": STEPS}),
        before=st.none() | IDS,
        limit=st.none() | st.integers(0, 3),
    )
    def listing(self, *, which, later, thread, ns, wanted, before, limit):
        config = self.config(thread, ns)
        if ns is None:
            del config["configurable"]["checkpoint_ns"]
            limit = None
        given = {
            "filter": wanted,
            "before": None if before is None else self.config(thread, "", before),
            "limit": limit,
        }
        found = self.on(which, later, "list", config, **given)
        assert sorted(found, key=place) == sorted(self.memory.list(config, **given), key=place)
        ids = [one.config["configurable"]["checkpoint_id"] for one in found]
        assert ids == sorted(ids, reverse=True)

    @rule(which=st.integers(0, 1), later=st.booleans(), thread=THREADS, ns=SPACES, checkpoint_id=IDS)
    def history(self, which, later, thread, ns, checkpoint_id):
        if self.memory.get_tuple(self.config(thread, ns, checkpoint_id)) is None:
            return
        asked = {"config": self.config(thread, ns, checkpoint_id), "channels": ["x", "y"]}
        found = self.on(which, later, "get_delta_channel_history", **asked)
        assert found == self.memory.get_delta_channel_history(**asked)

    @rule(which=st.integers(0, 1), later=st.booleans(), thread=THREADS)
    def delete(self, which, later, thread):
        self.on(which, later, "delete_thread", self.prefix + thread)
        self.memory.delete_thread(self.prefix + thread)

    @rule()
    def a_new_process_sees_the_same(self):
        with MixSaver(self.server.url, api="0.8", store=SMALL) as fresh:
            for thread in "ab":
                config = {"configurable": {"thread_id": self.prefix + thread}}
                mine = sorted(fresh.list(config), key=place)
                assert mine == sorted(self.memory.list(config), key=place)


def place(found):
    given = found.config["configurable"]
    return given["checkpoint_id"], given["checkpoint_ns"]


@pytest.mark.parametrize("examples", [3, pytest.param(40, marks=pytest.mark.exhaustive)])
def test_it_does_what_the_one_in_memory_does(examples):
    loop = asyncio.new_event_loop()
    try:
        with MixEmulator(api="0.8") as server:
            case = type("Case", (Savers,), {"server": server, "loop": loop}).TestCase
            case.settings = settings(
                max_examples=examples,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )
            case().runTest()
    finally:
        loop.close()


PROGRAM = """
import json, sys
from langchain_mix import MixSaver
from langchain_mix.checkpoint.state import StoreSettings

url, name, count = sys.argv[1:]
with MixSaver(url, api="0.8", store=StoreSettings(segment_entries=5, attempts=60)) as saver:
    for step in range(int(count)):
        checkpoint = {"v": 4, "id": f"{step:03}-{name}", "ts": "", "channel_values": {"x": name * 50},
                      "channel_versions": {"x": f"{step}.{name}"}, "versions_seen": {}, "updated_channels": None}
        config = saver.put({"configurable": {"thread_id": "a"}}, checkpoint, {"step": step, "by": name}, {})
        saver.put_writes(config, [("x", step)], name)
    mine = saver.list({"configurable": {"thread_id": "a"}}, filter={"by": name})
    print(json.dumps([t.metadata["step"] for t in mine]))
"""


@pytest.mark.parametrize("count", [8, pytest.param(40, marks=pytest.mark.exhaustive)])
def test_processes_write_to_one_thread_at_once(count):
    names = ["p", "q"]
    with MixEmulator(api="0.8") as server:
        running = [
            subprocess.Popen(python(PROGRAM, server.url, name, str(count)), stdout=subprocess.PIPE, text=True)
            for name in names
        ]
        told = [json.loads(process.communicate(timeout=100)[0]) for process in running]
        assert [process.returncode for process in running] == [0, 0]
        assert told == [list(reversed(range(count)))] * 2
        with MixSaver(server.url) as saver:
            found = list(saver.list({"configurable": {"thread_id": "a"}}))
            assert len(found) == 2 * count
            for one in found:
                name, step = one.metadata["by"], one.metadata["step"]
                assert one.checkpoint["channel_values"] == {"x": name * 50}
                assert one.pending_writes == [(name, "x", step)]
