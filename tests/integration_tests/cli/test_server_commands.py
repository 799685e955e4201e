"""`auth`, `files`, `tools` and `preferences`: what a server keeps for all its sessions."""

from __future__ import annotations

import json

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from langchain_mix import MixEmulator, MixSaver
from langchain_mix.client import Mix
from langchain_mix.emulator import HttpError

KEY = "sk-ant-api03-" + "x" * 40


@pytest.fixture
def server():
    with MixEmulator(api="0.8") as emulator:
        yield emulator


@pytest.fixture
def run(cli, server):
    return lambda group, command, *arguments, **given: cli(group, command, "-s", server.url, *arguments, **given)


def test_a_key_is_stored_shown_as_present_and_deleted(run, monkeypatch):
    assert "anthropic\tAnthropic (Claude) ⭐\tmissing" in run("auth", "status").out
    stored = run("auth", "store", "anthropic", typed=KEY + "\n")
    assert stored.code == 0
    assert KEY not in stored.out + stored.err
    assert json.loads(run("auth", "status", "--json").out)["anthropic"]["authenticated"] is True
    refused = run("auth", "delete", "anthropic")
    assert refused.code == 2
    assert "Delete the credential of anthropic? This cannot be undone. Say `--yes`" in refused.err
    assert run("auth", "delete", "anthropic", "--yes").code == 0
    assert json.loads(run("auth", "status", "--json").out)["anthropic"]["authenticated"] is False
    monkeypatch.setenv("MY_KEY", KEY)
    assert run("auth", "store", "anthropic", "--key-env", "MY_KEY").code == 0
    assert json.loads(run("auth", "status", "--json").out)["anthropic"]["authenticated"] is True


def test_a_key_that_is_missing(run, server):
    for arguments, said in ((("--key-env", "NOT_SET"), "NOT_SET is not set"), ((), "Standard input has no key")):
        ran = run("auth", "store", "anthropic", *arguments, typed="")
        assert ran.code == 2
        assert said in ran.err
    assert not [r for r in server.requests if r.method == "POST"]


def test_a_key_is_sent_to_no_provider_that_the_server_lacks(run, server):
    ran = run("auth", "store", "antropic", typed=KEY + "\n")
    assert ran.code == 1
    assert "The server has no provider 'antropic'; nothing was sent. It has anthropic, brave, " in ran.err
    assert run("auth", "delete", "antropic", "--yes").code == 1
    assert {r.method for r in server.requests} == {"GET"}


@pytest.mark.parametrize("api", ["0.5", "0.8"])
def test_a_credential_that_is_not_there_is_not_deleted(cli, api):
    with MixEmulator(api=api) as server:
        for provider, key in (("openai", "sk-" + "x" * 40), ("brave", "x" * 40)):
            ran = cli("auth", "delete", provider, "--yes", "-s", server.url)
            assert ran.code == 1
            assert f"The server has no credential of {provider}; nothing was deleted." in ran.err
            assert not [r for r in server.requests if r.method == "DELETE"]
            assert cli("auth", "store", provider, "-s", server.url, typed=key).code == 0
            assert cli("auth", "delete", provider, "--yes", "-s", server.url).code == 0
            assert cli("auth", "delete", provider, "--yes", "-s", server.url).code == 1
            server.forget_requests()


def test_files_are_deleted(run, server, here):
    for name in ("a.md", "b.md", "c.md"):
        (here / name).write_text(name)
    run("files", "upload", "a.md", "b.md", "c.md")
    refused = run("files", "delete", "a.md")
    assert refused.code == 2
    assert "Delete a.md for all sessions? This cannot be undone. Say `--yes`" in refused.err
    missing = run("files", "delete", "a.md", "no.md", "--yes")
    assert missing.code == 2
    assert "The server has no file no.md; nothing was deleted." in missing.err
    assert not [r for r in server.requests if r.method == "DELETE"]
    assert run("files", "delete", "a.md", "a.md", "--yes").out == "Deleted 1 file.\n"
    server.faults.add(HttpError(match="DELETE .*/b.md", status=500, count=None))
    ran = run("files", "delete", "b.md", "c.md", "--yes", "--json")
    assert ran.code == 1
    assert [one["name"] for one in json.loads(ran.out)] == ["c.md"]
    assert [one["name"] for one in json.loads(run("files", "list", "--json").out)] == ["b.md"]


def test_files_of_checkpoints_are_not_deleted_as_files(run, server):
    with Mix(server_url=server.url) as mix, MixSaver(mix=mix) as saver:
        saver.put({"configurable": {"thread_id": "a", "checkpoint_ns": ""}}, empty_checkpoint(), {}, {})
        [name, *_] = [f.name for f in mix.files.list_session_files(id=mix.sessions.list()[0].id)]
    assert run("files", "delete", name, "--yes").code == 2
    assert not [r for r in server.requests if r.method == "DELETE"]


def test_files_go_up_and_down(run, server, here):
    assert run("files", "list").out == "name\tbytes\n"
    (here / "notes.md").write_text("Tea is hot.")
    assert run("files", "upload", "notes.md").out == "name\tbytes\nnotes.md\t11\n"
    assert json.loads(run("files", "list", "--json").out)[0]["name"] == "notes.md"
    there = run("files", "download", "notes.md")
    assert there.code == 2
    assert "--force" in there.err
    assert run("files", "download", "notes.md", "-o", "copy.md").code == 0
    assert (here / "copy.md").read_text() == "Tea is hot."
    (here / "sub").mkdir()
    assert run("files", "download", "notes.md", "-o", "sub").code == 0
    assert (here / "sub" / "notes.md").read_text() == "Tea is hot."
    assert run("files", "download", "notes.md", "-o", "-").out == "Tea is hot."


def test_an_upload_replaces_nothing_unasked(run, server, here):
    (here / "notes.md").write_text("one")
    assert run("files", "upload", "notes.md").code == 0
    (here / "notes.md").write_text("two")
    refused = run("files", "upload", "notes.md")
    assert refused.code == 2
    assert "Replace notes.md for all sessions? This cannot be undone. Say `--force`" in refused.err
    assert run("files", "download", "notes.md", "-o", "-").out == "one"
    assert run("files", "upload", "notes.md", "--force", "--json").code == 0
    assert run("files", "download", "notes.md", "-o", "-").out == "two"


def test_a_file_that_cannot_be_uploaded_stops_before_anything_is_sent(run, server, here):
    (here / "notes.md").write_text("one")
    assert run("files", "upload", "notes.md", "missing.md").code == 2
    assert not [r for r in server.requests if r.method == "POST"]


def test_a_session_names_private_files(run, server, here):
    with Mix(server_url=server.url) as mix:
        first = mix.sessions.create(title="A").id
        mix.sessions.create(title="B")
    (server.data_dir / "sessions" / first).mkdir(parents=True, exist_ok=True)
    (server.data_dir / "sessions" / first / "private.md").write_text("mine")
    assert run("files", "download", "private.md", "--session", first[:8], "-o", "-").out == "mine"
    assert run("files", "download", "private.md", "-o", "-").code == 1


@pytest.mark.parametrize("api", ["0.6", "0.7", "0.8"])
def test_tools(cli, api):
    with MixEmulator(api=api) as server:
        listed = cli("tools", "list", "-s", server.url)
        assert (listed.code == 0) is (api != "0.6")
        assert ("\tReads a text file.\n" in listed.out) is (api != "0.6")
        assert "Brave Search\tneeds a key" in cli("tools", "status", "-s", server.url).out
        assert "categories" in json.loads(cli("tools", "status", "-s", server.url, "--json").out)


def test_preferences_are_shown_set_and_reset(run):
    assert "main agent model\tclaude-sonnet-4-5" in run("preferences", "show").out
    nothing = run("preferences", "set")
    assert nothing.code == 2
    models = run("preferences", "show", "--providers").out.split("provider\tmodel\n")[1].splitlines()
    provider, model = next(line.split("\t") for line in models if not line.endswith("claude-sonnet-4-5"))
    assert f"main agent model\t{model}" in run("preferences", "set", "--provider", provider, "--model", model).out
    assert json.loads(run("preferences", "show", "--json").out)["preferences"]["main_agent_model"] == model
    assert run("preferences", "reset").code == 2
    assert run("preferences", "reset", "--yes").code == 0
    assert "main agent model\tclaude-sonnet-4-5" in run("preferences", "show").out


def test_a_server_without_preferences_is_named_in_a_sentence(cli):
    with MixEmulator(api="next") as server:
        ran = cli("preferences", "show", "-s", server.url)
    assert ran.code == 2
    assert "The store of preferences is not available on this Mix server" in ran.err


def test_names_from_the_server_steer_no_terminal(run, server, here):
    (here / "a\x1b[2Jb.md").write_text("x")
    run("files", "upload", "a\x1b[2Jb.md")
    for command in (("files", "list"), ("files", "list", "--json"), ("auth", "status"), ("tools", "list")):
        assert "\x1b" not in run(*command).out


def test_a_directory_is_not_called_missing(run, here):
    assert f"{here} is a directory." in run("files", "upload", here).err
    assert "There is no file missing.md." in run("files", "upload", "missing.md").err


def test_a_reset_without_a_terminal_says_what_would_be_reset(run):
    refused = run("preferences", "reset")
    assert refused.code == 2
    assert "Reset the preferences of all sessions of this server? This cannot be undone. Say `--yes`" in refused.err
