"""What LangGraph relies on and its suite does not check."""

from __future__ import annotations

import asyncio
import copy
import threading
from dataclasses import dataclass
from typing import Annotated, TypedDict
from uuid import UUID, uuid4

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from langchain_mix import MixEmulator, MixSaver
from langchain_mix.checkpoint import MixSerdeWarning
from langchain_mix.errors import MixInputError, MixUnsupportedError

A = {"configurable": {"thread_id": "a"}}


@pytest.fixture
def any_saver(sync_saver):
    with sync_saver() as saver:
        yield saver


@pytest.fixture(scope="module")
def module_server():
    with MixEmulator(api="0.8") as server:
        yield server


@pytest.fixture
def mix_saver(module_server):
    with MixSaver(module_server.url) as saver:
        yield saver


@pytest.fixture
def thread():
    return {"configurable": {"thread_id": str(uuid4())}}


def made(values=None, **given):
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = dict(values or {})
    checkpoint["channel_versions"] = {name: f"{n + 1:032}.{uuid4().int}" for n, name in enumerate(values or {})}
    return {**checkpoint, "id": str(uuid6(clock_seq=-1)), **given}


def put(saver, config, values=None, metadata=None, **given):
    checkpoint = made(values, **given)
    return saver.put(config, checkpoint, metadata or {"source": "loop", "step": 1}, checkpoint["channel_versions"])


def test_configs_may_lack_namespace_and_id(any_saver):
    first = put(any_saver, A, {"x": 1})
    assert first["configurable"].keys() == {"thread_id", "checkpoint_ns", "checkpoint_id"}
    spare = {"configurable": {"thread_id": "a", "checkpoint_ns": None, "checkpoint_id": None}}
    second = put(
        any_saver, {"configurable": {"thread_id": "a", "checkpoint_id": first["configurable"]["checkpoint_id"]}}
    )
    for config in (A, spare, {"configurable": {**second["configurable"], "more": 1}}):
        found = any_saver.get_tuple(config)
        assert found.config == second
        assert found.parent_config == first
    found = any_saver.get_tuple(
        {"configurable": {"thread_id": "a", "checkpoint_id": first["configurable"]["checkpoint_id"]}}
    )
    assert found.config == first
    assert found.parent_config is None
    any_saver.put_writes(found.config, [("x", 1)], "t")
    assert any_saver.get_tuple(first).pending_writes == [("t", "x", 1)]


def test_writes_come_in_the_order_of_their_tasks(any_saver):
    config = put(any_saver, A)
    any_saver.put_writes(config, [("x", "b1"), ("x", "b2")], "b", "~2")
    any_saver.put_writes(config, [("x", "c")], "c", "~1")
    any_saver.put_writes(config, [("x", "z")], "z")
    any_saver.put_writes(config, [("x", "a")], "a", "~10")
    assert [v for _, _, v in any_saver.get_tuple(config).pending_writes] == ["z", "c", "a", "b1", "b2"]
    assert [v for _, _, v in next(iter(any_saver.list(config))).pending_writes] == ["z", "c", "a", "b1", "b2"]


def test_ordinary_writes_stand_and_special_ones_are_replaced(any_saver):
    config = put(any_saver, A)
    for number in (1, 2):
        any_saver.put_writes(config, [("x", number)], "t")
        any_saver.put_writes(config, [("__interrupt__", f"no. {number}")], "t")
    assert any_saver.get_tuple(config).pending_writes == [("t", "__interrupt__", "no. 2"), ("t", "x", 1)]


def test_special_writes_are_replaced_in_any_company(mix_saver, thread):
    config = put(mix_saver, thread)
    mix_saver.put_writes(config, [("x", 1), ("__interrupt__", "no. 1")], "t")
    mix_saver.put_writes(config, [("x", 2), ("__interrupt__", "no. 2"), ("y", 3)], "t")
    assert mix_saver.get_tuple(config).pending_writes == [("t", "__interrupt__", "no. 2"), ("t", "x", 1), ("t", "y", 3)]


def test_writes_may_come_before_their_checkpoint(any_saver):
    checkpoint = made({"x": 1})
    here = {"configurable": {"thread_id": "a", "checkpoint_ns": "", "checkpoint_id": checkpoint["id"]}}
    any_saver.put_writes(here, [("x", 2)], "t")
    assert any_saver.get_tuple(A) is None
    assert list(any_saver.list(A)) == []
    any_saver.put(A, checkpoint, {"step": -2}, checkpoint["channel_versions"])
    found = any_saver.get_tuple(A)
    assert found.pending_writes == [("t", "x", 2)]
    assert found.metadata == {"step": -2}


@pytest.mark.parametrize("value", [None, b"", b"\0\xff", bytearray(b"x"), "", 0, [], {"a": None}, {1: (2,)}])
def test_values_of_all_kinds(mix_saver, thread, value):
    config = put(mix_saver, thread, {"x": value, "y": 1})
    mix_saver.put_writes(config, [("x", value)], "t")
    found = mix_saver.get_tuple(thread)
    plain = {1: [2]} if value == {1: (2,)} else value
    assert found.checkpoint["channel_values"] == {"x": plain, "y": 1}
    assert found.pending_writes == [("t", "x", plain)]


def test_unknown_keys_and_versions_without_value_stay(mix_saver, thread):
    versions = {"x": "1.5", "gone": 3, "delta": "2"}
    config = put(mix_saver, thread, {"x": 1}, {"step": 3, "own": {"a": [1]}}, channel_versions=versions, more={"b": 1})
    found = mix_saver.get_tuple(config)
    assert found.checkpoint["channel_versions"] == versions
    assert found.checkpoint["more"] == {"b": 1}
    assert found.checkpoint["channel_values"] == {"x": 1}
    assert found.metadata == {"step": 3, "own": {"a": [1]}}


def test_metadata_of_the_config_is_kept_as_langgraph_does(mix_saver, thread):
    config = {**thread, "metadata": {"run_id": "r", "nul": "a\0b", "deep": {"x": 1}}}
    config["configurable"] = {**thread["configurable"], "user": "u", "__hidden": 1}
    put(mix_saver, config, metadata={"source": "input"})
    assert mix_saver.get_tuple(thread).metadata == {"source": "input", "run_id": "r", "nul": "ab", "user": "u"}


def test_the_greatest_id_is_the_newest_whatever_the_order(any_saver):
    ids = sorted(str(uuid6(clock_seq=-1)) for _ in range(4))
    for one in (ids[2], ids[0], ids[3], ids[1]):
        put(any_saver, A, id=one)
    assert any_saver.get_tuple(A).config["configurable"]["checkpoint_id"] == ids[3]
    assert [t.config["configurable"]["checkpoint_id"] for t in any_saver.list(A)] == ids[::-1]


def test_a_checkpoint_put_again_is_replaced(mix_saver, thread):
    checkpoint = made({"x": 1})
    mix_saver.put(thread, checkpoint, {"step": 1}, checkpoint["channel_versions"])
    mix_saver.put(thread, {**checkpoint, "channel_values": {"x": 2}}, {"step": 2}, checkpoint["channel_versions"])
    (found,) = mix_saver.list(thread)
    assert (found.checkpoint["channel_values"], found.metadata) == ({"x": 2}, {"step": 2})


def test_listings(kind, any_saver):
    configs = []
    for step in range(6):
        name = f"{'ab'[step % 2]}{uuid4()}" if step < 2 else configs[step % 2]["configurable"]["thread_id"]
        base = {"configurable": {"thread_id": name, "checkpoint_ns": "n" if step == 5 else ""}}
        configs.append(put(any_saver, base, metadata={"source": "loop", "step": step, "half": step // 3}))

    def steps(config, **given):
        found = [one.metadata["step"] for one in any_saver.list(config, **given)]
        # The one in memory gives namespace by namespace.
        return sorted(found, reverse=True) if kind == "memory" and not given.get("limit") else found

    a = {"configurable": {"thread_id": configs[0]["configurable"]["thread_id"]}}
    b = {"configurable": {"thread_id": configs[1]["configurable"]["thread_id"]}}
    assert steps(None) == [5, 4, 3, 2, 1, 0]
    assert steps(None, filter={"half": 0}) == [2, 1, 0]
    if kind != "memory":
        assert steps(None, limit=4) == [5, 4, 3, 2]
        assert steps(None, filter={"half": 0}, limit=2) == [2, 1]
    assert steps(None, before=configs[3]) == [2, 1, 0]
    assert steps(a) == [4, 2, 0]
    assert steps(a, before=configs[4], limit=1) == [2]
    assert steps(a, before=b) == [4, 2, 0]
    assert steps(b) == [5, 3, 1]
    assert steps({"configurable": {**b["configurable"], "checkpoint_ns": "n"}}) == [5]
    assert steps({"configurable": {**b["configurable"], "checkpoint_ns": ""}}) == [3, 1]
    assert steps(configs[3]) == [3]
    assert steps(configs[3], filter={"half": 0}) == []
    assert steps(configs[3], before=configs[3]) == []
    assert steps(a, limit=0) == []
    assert steps({"configurable": {"thread_id": "none"}}) == []


def test_a_checkpoint_is_found_in_any_namespace(mix_saver, thread):
    config = put(mix_saver, {"configurable": {**thread["configurable"], "checkpoint_ns": "n"}})
    anywhere = {"configurable": {**thread["configurable"], "checkpoint_id": config["configurable"]["checkpoint_id"]}}
    assert [one.config for one in mix_saver.list(anywhere)] == [config]


async def test_listings_may_be_left_early(mix_saver, thread):
    for step in range(3):
        put(mix_saver, thread, metadata={"step": step})
    assert next(mix_saver.list(thread)).metadata == {"step": 2}
    async for one in mix_saver.alist(thread):
        assert one.metadata == {"step": 2}
        break
    await mix_saver.aclose()


@pytest.mark.parametrize(
    "thread_id",
    ["x" * 10_000, "🙂", "/../..", "a/b?c#d%2F", "nul\0", " ", "ä", "a\u0308", "A", 7, UUID(int=3), "line\nbreak"],
    ids=range(12),
)
def test_thread_ids_of_any_length_and_script(mix_saver, thread_id):
    config = {"configurable": {"thread_id": thread_id, "checkpoint_ns": "n" * 3000}}
    put(mix_saver, config, metadata={"mine": str(thread_id)})
    put(mix_saver, {"configurable": {"thread_id": str(thread_id).lower() + "~", "checkpoint_ns": "n" * 3000}})
    assert [one.metadata for one in mix_saver.list(config)] == [{"mine": str(thread_id).replace("\0", "")}]
    assert mix_saver.get_tuple(config).config["configurable"]["thread_id"] == str(thread_id)
    mix_saver.delete_thread(thread_id)
    assert mix_saver.get_tuple(config) is None


def test_what_makes_no_sense_is_refused(mix_saver, thread):
    for config in ({}, {"configurable": {}}, {"configurable": {"thread_id": "\ud800"}}):
        with pytest.raises(MixInputError):
            mix_saver.get_tuple(config)
    with pytest.raises(MixInputError, match="names none"):
        mix_saver.put_writes(thread, [("x", 1)], "t")
    with pytest.raises(MixInputError, match="cannot be serialised"):
        put(mix_saver, thread, {"x": object()})
    assert mix_saver.get_tuple(thread) is None


def test_versions_of_branches_differ(mix_saver):
    first = mix_saver.get_next_version(None, None)
    assert first < mix_saver.get_next_version(first, None)
    assert mix_saver.get_next_version(first, None) != mix_saver.get_next_version(first, None)
    assert mix_saver.get_next_version(7, None).startswith(f"{8:032}.")
    assert MixSaver(storage=BaseCheckpointSaver()).get_next_version(7, None) == 8


def test_threads_of_one_process_write_at_once(mix_saver, thread):
    problems = []

    def work(name):
        try:
            for step in range(5):
                config = put(mix_saver, thread, {"x": name}, {"step": step, "by": name})
                mix_saver.put_writes(config, [("x", step)], name)
        except Exception as problem:
            problems.append(problem)

    workers = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert problems == []
    found = list(mix_saver.list(thread))
    assert len(found) == 30
    assert all(one.checkpoint["channel_values"] == {"x": one.metadata["by"]} for one in found)
    assert all(one.pending_writes == [(one.metadata["by"], "x", one.metadata["step"])] for one in found)


async def test_tasks_and_threads_write_at_once(mix_saver, thread):
    async def work(name):
        for step in range(4):
            checkpoint = made({"x": name})
            given = (thread, checkpoint, {"step": step}, checkpoint["channel_versions"])
            if name % 2:
                await asyncio.to_thread(mix_saver.put, *given)
            else:
                await mix_saver.aput(*given)

    await asyncio.gather(*map(work, range(6)))
    assert len([one async for one in mix_saver.alist(thread)]) == 24
    await mix_saver.aclose()


async def test_synchronous_methods_work_on_the_thread_of_a_loop(mix_saver, thread):
    config = put(mix_saver, thread, {"x": 1})
    mix_saver.put_writes(config, [("x", 2)], "t")
    assert mix_saver.get_tuple(thread).pending_writes == [("t", "x", 2)]
    assert (await mix_saver.aget_tuple(thread)).checkpoint["channel_values"] == {"x": 1}
    assert len(list(mix_saver.list(thread))) == 1
    await mix_saver.aclose()


@pytest.mark.parametrize(
    "bad", [{"id": 7}, {"id": ""}, {"id": None}, {"channel_values": {5: 1}}, {"id": "\ud800"}], ids=str
)
def test_what_could_not_be_read_again_is_not_stored(mix_saver, thread, bad):
    good = put(mix_saver, thread, {"x": 1})
    with pytest.raises(MixInputError) as raised:
        put(mix_saver, thread, **bad)
    assert raised.value.acted == "no"
    with pytest.raises(MixInputError):
        mix_saver.put_writes(good, [("x", 1)], 7)
    with pytest.raises(MixInputError):
        mix_saver.put_writes(good, [(7, 1)], "t")
    assert [one.config for one in mix_saver.list(thread)] == [good]
    with MixSaver(mix_saver.mix.server_url) as other:
        assert other.get_tuple(thread).config == good


# DeltaChannel


def extend(value, writes):
    return [*(value or []), *(item for write in writes for item in write)]


def loop(saver, frequency):
    channel = DeltaChannel(extend, list, snapshot_frequency=frequency)
    State = TypedDict("State", {"log": Annotated[list, channel], "last": str})  # noqa: UP013  # Made at run time.

    def step(state):
        return {"log": [f"n{len(state['log'])}"], "last": state["log"][-1]}

    def beside(state):
        return {"log": [f"q{len(state['log'])}"]}

    builder = StateGraph(State).add_node("p", step).add_node("q", beside)
    return builder.add_edge(START, "p").add_edge(START, "q").compile(checkpointer=saver)


@pytest.mark.parametrize(
    ("frequency", "turns"),
    [(7, 12), (1000, 6), *(pytest.param(*long, marks=pytest.mark.exhaustive) for long in ((7, 150), (1000, 30)))],
)
def test_channels_that_store_only_what_was_written(module_server, mix_saver, thread, frequency, turns):
    graph, plain = loop(mix_saver, frequency), loop(InMemorySaver(), frequency)
    for turn in range(turns):
        given = {"log": [f"u{turn}"], "last": ""}
        state = graph.invoke(given, thread, durability="sync")
        assert state == plain.invoke(given, A)
    states = list(mix_saver.list(thread, limit=30))
    for number, found in enumerate(states[::5]):
        # Walking from checkpoint to checkpoint for a channel that none has goes through the whole thread.
        asked = {"config": found.config, "channels": ["log", "last", *["none"] * (not number)]}
        walked = BaseCheckpointSaver.get_delta_channel_history(mix_saver, **asked)
        assert mix_saver.get_delta_channel_history(**asked) == walked
    module_server.forget_requests()
    other = MixSaver(module_server.url)
    assert loop(other, frequency).get_state(thread).values == state
    assert len(module_server.requests) < 40
    other.close()
    # A branch takes only what is on its own path.
    middle = states[12].config
    graph.update_state(middle, {"log": ["branch"]}, as_node="p")
    assert graph.get_state(thread).values["log"] == [*graph.get_state(middle).values["log"], "branch"]
    # Pruning keeps what the newest one needs, and only that.
    values = graph.get_state(thread).values
    mix_saver.prune([thread["configurable"]["thread_id"]])
    assert graph.get_state(thread).values == values
    mix_saver.copy_thread(thread["configurable"]["thread_id"], copied := str(uuid4()))
    assert graph.get_state({"configurable": {"thread_id": copied}}).values == values


async def test_the_history_of_channels_asynchronously(mix_saver, thread):
    graph = loop(mix_saver, 5)
    for turn in range(8):
        graph.invoke({"log": [f"u{turn}"], "last": ""}, thread)
    asked = {"config": thread, "channels": ["log"]}
    assert await mix_saver.aget_delta_channel_history(**asked) == mix_saver.get_delta_channel_history(**asked)
    assert await mix_saver.aget_delta_channel_history(config=thread, channels=[]) == {}
    await mix_saver.aclose()


# Types


@dataclass
class Mine:
    word: str


def test_types_of_ones_own_have_to_be_allowed(module_server, thread):
    with MixSaver(module_server.url) as strict, MixSaver(module_server.url, allowed_types=[Mine]) as allowing:
        put(strict, thread, {"x": Mine("w")})
        with pytest.warns(MixSerdeWarning, match="Mine"):
            assert strict.get_tuple(thread).checkpoint["channel_values"] == {"x": {"word": "w"}}
        assert allowing.get_tuple(thread).checkpoint["channel_values"] == {"x": Mine("w")}
        derived = strict.with_allowlist([(Mine.__module__, "Mine")])
        assert derived.get_tuple(thread).checkpoint["channel_values"] == {"x": Mine("w")}
        # What is copied and pruned was never made an object, so that no type is lost.
        strict.copy_thread(thread["configurable"]["thread_id"], copied := str(uuid4()))
        strict.prune([copied])
        assert allowing.get({"configurable": {"thread_id": copied}})["channel_values"] == {"x": Mine("w")}


def test_the_saver_underneath_has_to_have_what_is_requested(tmp_path):
    from langgraph.checkpoint.sqlite import SqliteSaver

    with SqliteSaver.from_conn_string(str(tmp_path / "x")) as sqlite:
        saver = MixSaver(storage=sqlite)
        with pytest.raises(MixUnsupportedError, match="aget_tuple"):
            asyncio.run(saver.aget_tuple(A))
        for use in (saver.report, saver.repair):
            with pytest.raises(MixUnsupportedError, match="another saver"):
                use()
        assert copy.copy(saver).get_tuple(A) is None
