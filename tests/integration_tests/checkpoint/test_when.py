"""What happens to threads when something happens to them: the cases that the documentation tells of."""

from __future__ import annotations

import re

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.graph import START, MessagesState, StateGraph

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.checkpoint.state import StoreSettings
from langchain_mix.emulator import HttpError
from langchain_mix.errors import MixCheckpointDamaged, MixError
from langchain_mix.reserved_files import is_reserved
from tests.in_turn import in_turn

A = {"configurable": {"thread_id": "a"}}
UPLOAD = "POST .*/files/upload"


def put(saver, step):
    checkpoint = {**empty_checkpoint(), "id": str(uuid6(clock_seq=-1))}
    checkpoint["channel_values"] = {"x": step}
    checkpoint["channel_versions"] = {"x": str(step)}
    saver.put(A, checkpoint, {"step": step}, {"x": str(step)})


def steps(saver):
    return [one.metadata["step"] for one in saver.list(A)]


def files(server):
    return {p.name: p for p in server.data_dir.rglob("*") if p.is_file() and is_reserved(p.name)}


def chat(server, saver):
    model = ChatMix(server_url=server.url)
    builder = StateGraph(MessagesState).add_node("chat", lambda s: {"messages": [model.invoke(s["messages"])]})
    return builder.add_edge(START, "chat").compile(checkpointer=saver)


def say(graph, text):
    return graph.invoke({"messages": [HumanMessage(text)]}, A)["messages"]


@pytest.mark.parametrize("written", [False, True], ids=["nothing written", "written"])
def test_a_full_disk_is_reported_and_what_was_stored_stays(written):
    with MixEmulator(api="0.8") as server, MixSaver(server.url) as saver:
        put(saver, 1)
        put(saver, 2)
        server.faults.add(HttpError(UPLOAD, status=500, before=not written, count=None))
        with pytest.raises(MixError):
            put(saver, 3)
        assert [one for one in steps(saver) if one != 3] == [2, 1]
        server.faults.clear()
        put(saver, 4)
        assert [one for one in steps(saver) if one != 3] == [4, 2, 1]


@pytest.mark.parametrize(("before", "after"), [("0.5", "0.7"), ("0.7", "0.8"), ("0.8", "next"), ("0.8", "0.7")])
def test_a_thread_goes_on_when_the_server_was_replaced(tmp_path, before, after):
    with MixEmulator(api=before, data_dir=tmp_path) as server, MixSaver(server.url) as saver:
        say(chat(server, saver), "What is 1+1?")
    with MixEmulator(api=after, data_dir=tmp_path) as server, MixSaver(server.url) as saver:
        messages = say(chat(server, saver), "What is 2+2?")
        assert [m.text for m in messages[:2]] == ["What is 1+1?", "1+1 = **2**"]
        assert len(messages) == 4
        assert len(list(saver.list(A))) == 6


def manifests(server):
    """The files that hold what a thread is."""
    return {name: path.read_bytes() for name, path in files(server).items() if re.search(r"-l\d+-[01]$", name)}


def test_files_of_a_later_form_are_refused_and_left_alone():
    with MixEmulator(api="0.8") as server:
        with MixSaver(server.url) as saver:
            put(saver, 1)
            put(saver, 2)
        for path in files(server).values():
            path.write_bytes(path.read_bytes().replace(b"LCMIX1", b"LCMIX2", 1))
        before = manifests(server)
        with MixSaver(server.url, store=StoreSettings(reread_pause=0.001)) as saver:
            for work in (lambda: saver.get_tuple(A), lambda: put(saver, 3), lambda: saver.prune(["a"])):
                with pytest.raises(MixCheckpointDamaged, match="langchain-mix-ckpt-"):
                    work()
        assert manifests(server) == before


@pytest.mark.parametrize("case", in_turn(["the same process", "another one"], [300_000, 10]))
def test_a_thread_that_is_deleted_while_a_graph_runs_holds_what_comes_after(case):
    who, size = case
    with MixEmulator(api="0.8") as server, MixSaver(server.url) as saver, MixSaver(server.url) as other:

        def delete(_):
            (saver if who == "the same process" else other).delete_thread("a")
            return {}

        builder = StateGraph(MessagesState).add_node("one", lambda _: {}).add_node("delete", delete)
        builder.add_node("last", lambda _: {"messages": [HumanMessage("last")]})
        builder.add_edge(START, "one").add_edge("one", "delete").add_edge("delete", "last")
        graph = builder.compile(checkpointer=saver)
        before = graph.invoke({"messages": [HumanMessage("x" * size)]}, A, durability="sync")["messages"]
        for reader in (saver, other):
            found = list(reader.list(A))
            assert [one.metadata["step"] for one in found] == [3, 2]
            assert found[0].checkpoint["channel_values"]["messages"] == before
        assert [m.text for m in graph.invoke({"messages": []}, A)["messages"]] == ["x" * size, "last", "last"]
