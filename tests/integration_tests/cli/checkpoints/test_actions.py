"""`langchain-mix checkpoints`: prune, rewind, copy, repair and delete against a server."""

from __future__ import annotations

import re

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import empty_checkpoint

from langchain_mix import MixEmulator, MixSaver
from langchain_mix.emulator import HttpError


def asked(monkeypatch, work):
    """Somebody says yes, and something happens meanwhile."""
    monkeypatch.setattr("langchain_mix.cli.terminal.typer.confirm", lambda *_, **__: work())


# prune


def test_prune_keeps_the_newest(checkpoints, tools, server, saver):
    compiled = tools.talk(server, saver)
    ran = checkpoints("prune", "a", "--yes")
    assert ran.code == 0, ran.err
    assert "Removed 3 checkpoints of 1 thread." in ran.out
    assert len(tools.ids(saver)) == 1
    assert len(compiled.get_state(tools.thread("a")).values["messages"]) == 3
    assert "Nothing to remove." in checkpoints("prune", "a", "-y").out


def test_prune_keeps_as_many_as_wished(checkpoints, tools, server, saver):
    tools.talk(server, saver)
    newest = tools.ids(saver)[:2]
    assert checkpoints("prune", "a", "--keep-last", "2", "-y").code == 0
    assert tools.ids(saver) == newest
    assert checkpoints("prune", "a", "--keep-last", "0", "-y").code == 2


def test_prune_by_age(checkpoints, tools, saver):
    for number, day in enumerate(("2001-01-01", "2002-02-02", "2999-01-01"), 1):
        checkpoint = {**empty_checkpoint(), "id": str(number), "ts": f"{day}T00:00:00+00:00"}
        saver.put(tools.thread("a"), checkpoint, {}, {})
    ran = checkpoints("prune", "a", "--older-than", "4000w", "-y")
    assert "Nothing to remove." in ran.out
    assert checkpoints("prune", "a", "--older-than", "30d", "-k", "1", "-y").code == 0
    assert tools.ids(saver) == ["3"]
    ran = checkpoints("prune", "a", "--older-than", "old")
    assert ran.code == 2
    assert "30d" in ran.err


def test_prune_dry(on, tools, kept):
    kept.server.forget_requests()
    ran = on(kept.server)("prune", "a", "--dry-run")
    assert ran.code == 0
    assert "a  3 checkpoints" in ran.out
    assert "Nothing was done." in ran.out
    assert tools.changes(kept.server) == []


def test_prune_of_everything(checkpoints, tools, server, saver):
    tools.talk(server, saver, "a")
    tools.talk(server, saver, "b")
    ran = checkpoints("prune", "--all", "--yes")
    assert "Removed 6 checkpoints of 2 threads." in ran.out
    assert len(list(saver.list(None))) == 2
    for arguments in ([], ["a", "--all"]):
        ran = checkpoints("prune", *arguments)
        assert ran.code == 2
        assert "Which threads?" in ran.err


def test_prune_of_a_thread_that_does_not_exist_keeps_all(on, tools, kept):
    ran = on(kept.server)("prune", "a", "none", "--yes")
    assert ran.code == 2
    assert "no thread 'none'" in ran.err
    assert len(tools.ids(kept.saver)) == 4


def test_prune_with_sessions(checkpoints, tools, server, saver):
    compiled = tools.talk(server, saver)
    before = next(s for s in compiled.get_state_history(tools.thread("a")) if s.next == ("chat",))
    (left,) = tools.sessions(server)
    compiled.invoke(None, before.config)
    assert checkpoints("prune", "a", "--dry-run", "--delete-sessions").out.count(left) == 1
    assert left not in checkpoints("prune", "a", "--dry-run").out
    ran = checkpoints("prune", "a", "--delete-sessions", "-y")
    assert ran.code == 0, ran.err
    assert "and 1 session." in ran.out
    assert left not in tools.sessions(server)
    assert len(tools.sessions(server)) == 1


def test_prune_needs_a_yes_and_removes_no_more_than_was_told(
    checkpoints, tools, server, *, saver, a_person, monkeypatch
):
    compiled = tools.talk(server, saver)
    assert checkpoints("prune", "a", typed="n\n").code == 1
    assert len(tools.ids(saver)) == 4
    asked(monkeypatch, lambda: compiled.invoke({"messages": [HumanMessage("What is 2+2?")]}, tools.thread("a")))
    ran = checkpoints("prune", "a")
    assert ran.code == 2
    assert "More would go" in ran.err
    assert len(tools.ids(saver)) == 7


def test_nobody_is_there_to_ask(on, tools, kept):
    oldest = tools.ids(kept.saver)[-1]
    for arguments in (["prune", "a"], ["rewind", "a", oldest], ["delete", "a"]):
        ran = on(kept.server)(*arguments)
        assert ran.code == 2
        assert "--yes" in ran.err
    assert len(tools.ids(kept.saver)) == 4


def test_a_thread_that_fails_does_not_keep_the_others(checkpoints, tools, server, saver, monkeypatch):
    tools.talk(server, saver, "a")
    tools.talk(server, saver, "b")
    from langchain_mix.checkpoint.file_backend import FileBackend
    from langchain_mix.errors import MixStoreContended

    revise = FileBackend.revise

    def contended(self, thread_id, decide):
        if thread_id == "a":
            raise MixStoreContended("Others were faster.")
        return revise(self, thread_id, decide)

    monkeypatch.setattr(FileBackend, "revise", contended)
    ran = checkpoints("prune", "a", "b", "-y")
    assert ran.code == 1
    assert "Others were faster." in ran.err
    assert "Removed 3 checkpoints of 1 thread." in ran.out
    assert (len(tools.ids(saver, "a")), len(tools.ids(saver, "b"))) == (4, 1)


# rewind


def two_turns(tools, server, saver):
    """A thread with two turns, and the checkpoint after the first."""
    compiled = tools.talk(server, saver, texts=["What is 1+1?", "What is 2+2?"])
    states = list(compiled.get_state_history(tools.thread("a")))
    state = next(s for s in states if len(s.values.get("messages", ())) == 2)
    return state.config["configurable"]["checkpoint_id"]


def test_rewind(checkpoints, tools, server, saver):
    target = two_turns(tools, server, saver)
    (session,) = tools.sessions(server)
    server.forget_requests()
    ran = checkpoints("rewind", "a", target, "--dry-run")
    assert ran.code == 0
    assert "Would take" in ran.out
    assert tools.changes(server) == []
    ran = checkpoints("rewind", "a", target, "--yes")
    assert ran.code == 0, ran.err
    assert tools.ids(saver)[0] == target
    assert len(server.state.rows.messages(session)) == 2
    assert "Removed 5 checkpoints and 2 messages." in ran.out
    assert "already" in checkpoints("rewind", "a", "last", "--dry-run").out


def test_rewind_to_what_is_not_there(on, tools, kept):
    for arguments, says in (
        (["a", "x"], "No checkpoint's id begins"),
        (["a", "00000000-0000-6000-8000-000000000000"], "no checkpoint"),
        (["none", "last"], "no thread 'none'"),
    ):
        ran = on(kept.server)("rewind", *arguments, "-y")
        assert ran.code == 2
        assert says in ran.err
    assert len(tools.ids(kept.saver)) == 4


def test_rewind_of_a_thread_that_changed_after_the_question(
    checkpoints, tools, server, *, saver, a_person, monkeypatch
):
    compiled = tools.talk(server, saver)
    oldest = tools.ids(saver)[-1]
    asked(monkeypatch, lambda: compiled.invoke({"messages": [HumanMessage("What is 2+2?")]}, tools.thread("a")))
    ran = checkpoints("rewind", "a", oldest)
    assert ran.code == 2
    assert "has changed meanwhile" in ran.err
    assert len(tools.ids(saver)) == 7


def test_a_rewind_that_fails_between_says_what_is_left(checkpoints, tools, server, saver):
    target = two_turns(tools, server, saver)
    server.faults.add(HttpError(match="POST .*/rewind", status=500, count=None))
    ran = checkpoints("rewind", "a", target, "-y")
    assert ran.code == 1
    assert "make the same rewind again" in ran.err
    assert tools.ids(saver)[0] == target


# copy


@pytest.mark.parametrize(("api", "says"), [("0.7", "was forked as"), ("0.8", "was not forked")])
def test_copy(cli, tools, api, says):
    with MixEmulator(api=api) as server, MixSaver(server.url) as saver:
        tools.talk(server, saver)
        ran = cli("checkpoints", "copy", "a", "б", "-s", server.url)
        assert ran.code == 0, ran.err
        assert "Copied 4 checkpoints." in ran.out
        assert says in ran.out
        assert tools.ids(saver, "б") == tools.ids(saver, "a")
        ran = cli("checkpoints", "copy", "a", "б", "-s", server.url)
        assert ran.code == 2
        assert "holds checkpoints already" in ran.err
        ran = cli("checkpoints", "copy", "none", "new", "-s", server.url)
        assert ran.code == 2
        assert "no thread 'none'" in ran.err


def test_a_copy_of_an_encrypted_thread_is_encrypted(checkpoints, tools, server, locked, monkeypatch):
    monkeypatch.setenv("LANGGRAPH_AES_KEY", tools.key)
    assert checkpoints("copy", "a", "b").code == 0
    assert len(tools.ids(locked, "b")) == 4
    # Not a part of it: three bytes are found in the noise of a cipher now and then.
    assert not [name for name, path in tools.files(server).items() if b"What is 1+1" in path.read_bytes()]


# repair


def tear(tools, server):
    """Tears the newer slot of the only thread."""
    newest = max(
        (p for name, p in tools.files(server).items() if re.search(r"-l\d+-\d$", name)),
        key=lambda p: p.stat().st_mtime_ns,
    )
    newest.write_bytes(newest.read_bytes()[:-5])
    return newest.name


def test_repair(checkpoints, tools, server, saver):
    assert "Nothing is damaged." in checkpoints("repair").out
    tools.talk(server, saver)
    torn = tear(tools, server)
    before = {name: path.read_bytes() for name, path in tools.files(server).items()}
    for arguments in (["--dry-run"], ["a", "--dry-run"]):
        ran = checkpoints("repair", *arguments)
        assert ran.code == 0
        assert f"Lost: {torn}" in ran.out
    assert checkpoints("repair").code == 2  # Nobody is there to ask.
    assert {name: path.read_bytes() for name, path in tools.files(server).items()} == before
    ran = checkpoints("repair", "a", "--yes")
    assert ran.code == 0, ran.err
    assert "Done: 1 step." in ran.out
    assert checkpoints("list", "a").code == 0
    assert torn in tools.files(server)


def test_repair_of_one_thread_leaves_the_others(checkpoints, tools, server, saver):
    tools.talk(server, saver)
    tear(tools, server)
    assert "Nothing is damaged." in checkpoints("repair", "other", "-y").out
    assert "Lost" in checkpoints("repair", "--dry-run").out


def test_repair_deletes_orphans_only_if_asked(checkpoints, tools, server, saver):
    tools.talk(server, saver)
    torn = tear(tools, server)
    checkpoints("repair", "-y")
    assert "Nothing is damaged." in checkpoints("repair", "-y").out
    assert torn in tools.files(server)
    ran = checkpoints("repair", "--orphans", "-y")
    assert ran.code == 0
    assert torn not in tools.files(server)
    assert checkpoints("list", "a").code == 0


def test_files_that_cannot_be_deleted_are_told(checkpoints, tools, server, saver):
    tools.talk(server, saver)
    torn = tear(tools, server)
    checkpoints("repair", "-y")
    server.faults.add(HttpError(match="DELETE .*", status=500, count=None))
    ran = checkpoints("repair", "--orphans", "-y")
    assert ran.code == 1
    assert f"{torn} could not be deleted" in ran.err


# delete


def test_delete(checkpoints, tools, server, saver):
    tools.talk(server, saver, "a")
    tools.talk(server, saver, "b")
    ran = checkpoints("delete", "a", "--yes")
    assert ran.code == 0, ran.err
    assert "a  (4 checkpoints)" in ran.out
    assert tools.ids(saver, "a") == []
    assert len(tools.ids(saver, "b")) == 4
    assert len(tools.sessions(server)) == 2
    ran = checkpoints("delete", "a", "--yes")
    assert ran.code == 2
    assert "no thread 'a'" in ran.err


def test_delete_with_sessions(checkpoints, tools, server, saver):
    tools.talk(server, saver, "a")
    (session,) = tools.sessions(server)
    ran = checkpoints("delete", "a", "--delete-sessions", "--yes")
    assert "Deleted the thread and 1 session." in ran.out
    assert session in ran.out
    assert tools.sessions(server) == set()


def test_delete_asks_a_person(checkpoints, tools, server, saver, a_person):
    tools.talk(server, saver)
    assert checkpoints("delete", "a", typed="n\n").code == 1
    assert len(tools.ids(saver)) == 4
    assert checkpoints("delete", "a", typed="y\n").code == 0
    assert tools.ids(saver) == []


def test_a_damaged_thread_can_be_deleted(checkpoints, tools, server, saver):
    tools.talk(server, saver)
    tear(tools, server)
    ran = checkpoints("delete", "a", "-y")
    assert ran.code == 0, ran.err
    assert "damaged" in ran.out
    assert checkpoints("list").out.splitlines()[1:] == []


def test_delete_of_an_encrypted_thread(checkpoints, tools, server, locked, monkeypatch):
    assert checkpoints("delete", "a", "-y").code == 2
    assert len(tools.ids(locked)) == 4
    monkeypatch.setenv("LANGGRAPH_AES_KEY", tools.key)
    assert checkpoints("delete", "a", "-y").code == 0
    assert tools.ids(locked) == []
