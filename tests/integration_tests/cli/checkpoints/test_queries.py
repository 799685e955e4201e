"""`langchain-mix checkpoints`: list, tree, show and report against a server."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Send

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.client import Mix
from tests.in_turn import in_turn
from tests.new_process import command_line

SCRIPTS = [
    "ⓉⓗⓡⒺⒶⒹ \u202e",
    "-",
    *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("a", "日本 / б", "../x y", "👩‍👩‍👧")),
]


@dataclass
class Own:
    text: str


# list


def test_threads_with_their_newest_checkpoints(checkpoints, tools, server, saver):
    tools.talk(server, saver, "a")
    tools.talk(server, saver, "b", answer=False)
    head, first, second = (line.split("\t") for line in checkpoints("list").out.splitlines())
    cells = dict(zip(head, first, strict=True))
    assert (cells["thread"], cells["step"], cells["source"], cells["next"]) == ("b", "1", "loop", "ask")
    assert (cells["checkpoint"], cells["pending"], cells["messages"]) == (tools.ids(saver, "b")[0], "1", "2")
    assert cells["session"] == saver.session_of(tools.thread("b")).session_id
    assert int(cells["bytes"]) > 100
    assert cells["created"].startswith("20")
    assert second[0] == "a"
    assert len(checkpoints("list", "--limit", "1").out.splitlines()) == 2
    listed = json.loads(checkpoints("list", "--json").out)
    assert [one["thread_id"] for one in listed] == ["b", "a"]
    assert listed[0]["position"]["server"] == server.url


def test_checkpoints_of_a_thread(on, tools, kept):
    checkpoints = on(kept.server)
    _, *lines = checkpoints("list", "a").out.splitlines()
    assert [line.split("\t")[1] for line in lines] == tools.ids(kept.saver)
    told = [tuple(line.split("\t")[5].split()) for line in lines]
    assert told == [state.next for state in kept.graph.get_state_history(tools.thread("a"))]
    assert len(checkpoints("list", "a", "-n", "2").out.splitlines()) == 3


def test_what_runs_next_when_nodes_are_sent_to(checkpoints, saver):
    builder = StateGraph(MessagesState).add_node("many", lambda _: {}).add_node("one", lambda _: {})
    builder.add_edge(START, "many").add_conditional_edges("many", lambda state: [Send("one", state)] * 2, ["one"])
    builder.compile(checkpointer=saver).invoke({"messages": []}, {"configurable": {"thread_id": "a"}})
    listed = json.loads(checkpoints("list", "a", "--json").out)
    assert [one["next"] for one in listed] == [[], ["one"], ["many"], ["__start__"]]


def test_listing_constructs_no_message(on, kept, monkeypatch):
    monkeypatch.setattr("langchain_core.messages.BaseMessage.__init__", None)
    for arguments in (["list"], ["list", "a"], ["tree", "a"], ["report"]):
        assert on(kept.server)(*arguments).code == 0


def test_looking_makes_no_session_and_changes_nothing(checkpoints, server):
    ran = [checkpoints(*arguments) for arguments in (["list"], ["report"], ["list", "a"], ["tree", "a"], ["show", "a"])]
    assert [one.code for one in ran] == [0, 0, 2, 2, 2]
    assert "no thread 'a'" in ran[4].err
    assert server.state.sessions.listing(include_subagents=True) == []


def test_looking_changes_nothing(on, tools, kept):
    kept.server.forget_requests()
    for arguments in (["list"], ["report"], ["list", "a"], ["tree", "a"], ["show", "a"]):
        assert on(kept.server)(*arguments).code == 0
    assert tools.changes(kept.server) == []


def test_files_are_read_through_any_session(checkpoints, server, tools):
    with Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="Other").id
    with MixSaver(server.url, session_id=session) as saver:
        tools.talk(server, saver)
    assert "a\t" in checkpoints("list").out
    assert all(one["title"] != "langchain-mix state" for one in server.state.sessions.listing(include_subagents=True))


@pytest.mark.parametrize("name", SCRIPTS)
def test_thread_ids_of_any_script(checkpoints, tools, saver, name):
    saver.put(tools.thread(name), {**empty_checkpoint(), "id": "1"}, {"source": "input", "step": 0}, {})
    assert [one["thread_id"] for one in json.loads(checkpoints("list", "--json").out)] == [name]
    for command in ("list", "tree", "show", "report"):
        ran = checkpoints(command, "--json", "--", name)
        assert ran.code == 0, ran.err
    assert "\u202e" not in checkpoints("list").out
    assert checkpoints("delete", "--yes", "--", name).code == 0
    assert list(saver.list(None)) == []


def test_a_damaged_thread_does_not_hide_the_others(checkpoints, tools, server, saver):
    tools.talk(server, saver, "a")
    before = set(tools.files(server))
    tools.talk(server, saver, "b")
    for name, path in tools.files(server).items():
        if name not in before and "-l" in name:
            path.write_bytes(b"LCMIX1\nnonsense")
    ran = checkpoints("list")
    assert ran.code == 1
    assert [line.split("\t")[0] for line in ran.out.splitlines()[1:]] == ["a"]
    assert "does not match its checksum" in ran.err
    assert "checkpoints repair" in ran.err
    ran = checkpoints("report")
    assert ran.code == 0
    assert "does not match its checksum" in ran.out


# tree


def branched(tools, server, saver):
    compiled = tools.talk(server, saver, texts=["What is 1+1?"])
    older = next(s for s in compiled.get_state_history(tools.thread("a")) if s.next == ("chat",))
    compiled.invoke(None, older.config)
    return older.config["configurable"]["checkpoint_id"]


def test_the_tree(checkpoints, tools, server, saver):
    left = branched(tools, server, saver)
    lines = checkpoints("tree", "a").out.splitlines()
    for line, plain in zip(lines, str(saver.branches("a")).splitlines(), strict=True):
        assert line.startswith(plain), "a line for each checkpoint, as the saver draws it"
    assert any(line.endswith("  human: What is 1+1?") for line in lines)
    assert sum("  [chat] ai: " in line for line in lines) == 2
    told = json.loads(checkpoints("tree", "a", "--json").out)
    assert told["latest"] == tools.ids(saver)[0]
    assert {node["node"] for node in told["nodes"]} == {"", "chat", "ask"}
    assert "human: What is 1+1?" in {node["message"] for node in told["nodes"]}
    (branch,) = [node for node in told["nodes"] if node["is_branch"]]
    assert branch["parent_id"] == left
    sessions = {node["position"]["session_id"] for node in told["nodes"] if node["position"]}
    assert sessions == tools.sessions(server)


def test_the_end_of_an_id_names_a_checkpoint_as_notebooks_show_it(on, tools, kept):
    checkpoints = on(kept.server)
    newest, *_, oldest = tools.ids(kept.saver)
    for whole in (newest, oldest):
        for typed in (whole[-8:], f"…{whole[-8:]}", whole[:-1], whole):
            assert checkpoints("show", "a", typed).out.startswith(whole)
    assert checkpoints("show", "a", "…").code == 2


def test_the_tree_of_a_subgraph(checkpoints, tools, server, saver):
    model = ChatMix(server_url=server.url)
    inner = StateGraph(MessagesState).add_node("chat", lambda s: {"messages": [model.invoke(s["messages"])]})
    builder = StateGraph(MessagesState).add_node("inner", inner.add_edge(START, "chat").compile(checkpointer=True))
    builder.add_edge(START, "inner").compile(checkpointer=saver).invoke(
        {"messages": [HumanMessage("What is 1+1?")]}, tools.thread("a")
    )
    told = json.loads(checkpoints("tree", "a", "--ns", "inner", "--json").out)
    assert told["ns"] == "inner"
    assert [node["checkpoint_id"] for node in told["nodes"]] == [
        n.checkpoint_id for n in saver.branches("a", "inner").nodes
    ]
    assert "= **2**" in checkpoints("show", "a", "--ns", "inner").out
    ran = checkpoints("tree", "a", "--ns", "none")
    assert ran.code == 2
    assert "no namespace 'none'" in ran.err
    assert checkpoints("show", "a", "--ns", "none").code == 2


# show


def test_show_the_newest_and_any_other(checkpoints, tools, server, saver):
    tools.talk(server, saver, answer=False)
    told = checkpoints("show", "a").out
    assert "human: What is 1+1?" in told
    assert "ai: 1+1 = **2**" in told
    assert "next: ask" in told
    assert "waiting: __interrupt__" in told
    assert "go on?" in told
    oldest = tools.ids(saver)[-1]
    assert checkpoints("show", "a", oldest).out.splitlines()[0] == oldest
    data = json.loads(checkpoints("show", "a", "last", "--json").out)
    assert [m["type"] for m in data["values"]["messages"]] == ["human", "ai"]
    assert data["writes"][0]["value"][0]["value"] == "go on?"
    assert data["metadata"]["step"] == 1


def test_a_checkpoint_is_named_by_its_beginning(checkpoints, tools, saver):
    for name in ("abc1", "abc2", "abc22"):
        saver.put(tools.thread("a"), {**empty_checkpoint(), "id": name}, {}, {})
    assert checkpoints("show", "a", "abc1").out.startswith("abc1\n")
    assert checkpoints("show", "a", "abc2").out.startswith("abc2\n")
    for named, says in (("abc", "3 checkpoints begin"), ("x", "No checkpoint's id begins")):
        ran = checkpoints("show", "a", named)
        assert ran.code == 2
        assert says in ran.err
    ran = checkpoints("show", "a", "00000000-0000-6000-8000-000000000000")
    assert ran.code == 2
    assert "no checkpoint" in ran.err


def test_long_values_are_cut_unless_all_is_wanted(checkpoints, tools, saver):
    values = {"text": "x" * 1000 + "end", "messages": [HumanMessage(f"number {n}") for n in range(20)]}
    checkpoint = {**empty_checkpoint(), "channel_values": values, "channel_versions": {"text": "1", "messages": "1"}}
    saver.put(tools.thread("a"), checkpoint, {}, checkpoint["channel_versions"])
    told = checkpoints("show", "a").out
    assert "xxx…" in told
    assert "end" not in told
    assert "8 earlier messages not shown" in told
    assert "number 7\n" not in told
    told = checkpoints("show", "a", "--full").out
    assert "xend" in told
    assert "number 0\n" in told


def test_types_of_ones_own_are_told_as_plain_data(checkpoints, tools, server):
    with MixSaver(server.url, allowed_types=[Own]) as saver:
        checkpoint = {**empty_checkpoint(), "channel_values": {"own": Own("mine")}, "channel_versions": {"own": "1"}}
        saver.put(tools.thread("a"), checkpoint, {}, {"own": "1"})
    ran = checkpoints("show", "a")
    assert ran.code == 0
    assert "mine" in ran.out
    assert "as plain data" in ran.err
    assert ran.err.count("Own") == 1


# report


def test_report(checkpoints, tools, server, saver):
    tools.talk(server, saver, "a")
    tools.talk(server, saver, "b")
    counted = saver.report()
    told = json.loads(checkpoints("report", "--json").out)
    assert (told["files"], told["bytes"], told["checkpoints"]) == (counted.files, counted.bytes, counted.checkpoints)
    assert {one["thread_id"] for one in told["threads"]} == {"a", "b"}
    (line,) = checkpoints("report", "a").out.splitlines()[1:]
    assert line.split("\t")[:2] == ["a", "4"]
    assert checkpoints("report", "none").code == 2


# The key


def test_the_key_of_langgraph_is_used_where_something_is_encrypted(on, tools, kept_locked, monkeypatch):
    checkpoints = on(kept_locked.server)
    ran = checkpoints("list")
    assert ran.code == 2
    assert "encrypted" in ran.err
    assert "LANGGRAPH_AES_KEY" in ran.err
    monkeypatch.setenv("LANGGRAPH_AES_KEY", tools.key)
    for arguments in (["list"], ["list", "a"], ["tree", "a"], ["show", "a"], ["report"]):
        ran = checkpoints(*arguments)
        assert ran.code == 0, ran.err
        assert tools.key not in ran.out + ran.err
    assert "1+1 = **2**" in checkpoints("show", "a").out


def test_another_variable_may_have_the_key(on, tools, kept_locked, monkeypatch):
    checkpoints = on(kept_locked.server)
    monkeypatch.setenv("OURS", tools.key)
    assert checkpoints("show", "a", "--aes-key-env", "OURS").code == 0
    ran = checkpoints("show", "a", "--aes-key-env", "THEIRS")
    assert ran.code == 2
    assert "THEIRS is not set" in ran.err
    ran = checkpoints("show", "a", "--aes-key-env", "")
    assert ran.code == 2
    assert "'a' is encrypted" in ran.err


@pytest.mark.parametrize(
    "case",
    in_turn(
        [
            pytest.param(["list"], id="list"),
            pytest.param(["show", "a"], id="show"),
            pytest.param(["delete", "a", "--yes"], id="delete"),
            pytest.param(["repair", "--yes"], id="repair"),
        ],
        [
            pytest.param(("short", "has 5 bytes"), id="short"),
            pytest.param(("fedcba9876543210", "not the one"), id="another"),
        ],
    ),
)
def test_a_wrong_key_does_nothing_and_is_not_told(on, tools, kept_locked, monkeypatch, case):
    command, (key, says) = case
    server = kept_locked.server
    monkeypatch.setenv("LANGGRAPH_AES_KEY", key)
    before = {name: path.read_bytes() for name, path in tools.files(server).items()}
    ran = on(server)(*command)
    assert ran.code == 2
    assert says in ran.err
    assert key not in ran.err
    assert {name: path.read_bytes() for name, path in tools.files(server).items()} == before


def test_plain_and_encrypted_threads_on_one_server(checkpoints, tools, server, *, saver, locked, monkeypatch):
    tools.talk(server, saver, "plain")
    monkeypatch.setenv("LANGGRAPH_AES_KEY", tools.key)
    assert checkpoints("show", "plain").code == 0  # It looks at the one that is named.
    ran = checkpoints("list")
    assert ran.code == 1
    assert [line.split("\t")[0] for line in ran.out.splitlines()[1:]] == ["a"]
    assert "is not encrypted" in ran.err
    ran = checkpoints("list", "--aes-key-env", "")
    assert ran.code == 1
    assert [line.split("\t")[0] for line in ran.out.splitlines()[1:]] == ["plain"]
    ran = checkpoints("prune", "a", "plain", "--yes")
    assert ran.code == 2
    assert "'plain' is not encrypted" in ran.err


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.6.5", "0.7", "next"])
def test_on_every_generation(cli, tools, api):
    with MixEmulator(api=api) as server, MixSaver(server.url) as saver:
        tools.talk(server, saver)
        for arguments in (["list"], ["list", "a"], ["tree", "a"], ["show", "a"], ["report"]):
            ran = cli("checkpoints", *arguments, "-s", server.url)
            assert ran.code == 0, ran.err
            assert "a" in ran.out
        assert cli("checkpoints", "delete", "a", "-y", "-s", server.url).code == 0


@pytest.mark.parametrize(
    "command",
    ["list", "prune", *(pytest.param(c, marks=pytest.mark.exhaustive) for c in ("tree", "show", "report", "delete"))],
)
def test_a_thread_id_that_is_no_text(server, command):
    program = command_line("checkpoints", command, os.fsdecode(b"\xff"), "-s", server.url)
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "no valid text" in ran.stderr
    assert "Traceback" not in ran.stderr
