"""`langchain-mix sessions` against a server."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from langchain_mix import MixEmulator
from langchain_mix.client import Mix
from langchain_mix.emulator import HttpError
from tests.new_process import command_line


def sent(server, method="POST"):
    return [(r.method, r.path) for r in server.requests if r.method == method]


# Which session


def test_the_newest_and_the_beginning_of_an_id_will_do(cli, server, mix, talked):
    newest = mix.sessions.create(title="Newer").id
    assert newest in cli("sessions", "show", "last", "--server", server.url).out
    assert talked in cli("sessions", "show", talked[:8].upper(), "-s", server.url).out


@pytest.mark.parametrize(
    ("named", "says"), [("abc", "too short"), ("zzzz", "No session's id begins"), ("last", "no session yet")]
)
def test_a_session_that_nobody_means(cli, server, named, says):
    ran = cli("sessions", "show", named, "-s", server.url)
    assert ran.code == 2
    assert says in ran.err


def test_an_unknown_id_is_told_by_every_command(cli, server):
    unknown = "00000000-0000-4000-8000-000000000000"
    for command in ("show", "export", "fork", "rewind", "delete"):
        ran = cli("sessions", command, unknown, "-s", server.url)
        assert ran.code == 1, command
        assert "not found" in ran.err


# list


def test_list_for_programs(cli, server, mix, talked):
    mix.sessions.create(title="Other")
    lines = cli("sessions", "list", "--server", server.url).out.splitlines()
    assert len(lines) == 3
    assert lines[2].split("\t")[:5] == [talked, "Sums", "main", "3", "3"]
    listed = json.loads(cli("sessions", "list", "--json", "-s", server.url).out)
    assert {s["title"] for s in listed} == {"Sums", "Other"}
    assert "userMessageCount" in listed[0]
    assert len(cli("sessions", "list", "--limit", "1", "-s", server.url).out.splitlines()) == 2


@pytest.mark.parametrize(("api", "text"), [("0.6", "One\\nand two"), ("0.8", "")])
def test_list_shows_the_text_of_the_first_message(cli, api, text):
    with MixEmulator(api=api) as server, Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="T").id
        mix.turn(session, "One\nand two").run()
        row = cli("sessions", "list", "-s", server.url).out.splitlines()[1].split("\t")
        assert "data" not in row[-1]
        assert ("One" in row[-1] and "and two" in row[-1]) == bool(text)


def test_list_shows_sub_agents_only_if_asked(cli, server):
    cli("sessions", "list", "-s", server.url)
    cli("sessions", "list", "--subagents", "-s", server.url)
    listed = [r for r in server.requests if r.path == "/api/sessions"]
    assert ["includeSubagents=true" in str(r) for r in listed] == [False, True]


def test_header_and_api_reach_the_client(cli, server):
    ran = cli("sessions", "list", "-s", server.url, "--header", "X-Pass: open sesame", "--api", "0.7")
    assert ran.code == 0
    assert server.requests[-1].headers["x-pass"] == "open sesame"
    ran = cli("sessions", "list", "-s", server.url, "--api", "9")
    assert ran.code == 2
    assert "'0.8'" in ran.err


# show


def test_show(cli, server, talked):
    told = cli("sessions", "show", talked, "-s", server.url).out
    assert "Sums" in told
    for answer in ("2", "4", "6"):
        assert f"= {answer}" in told
    last = cli("sessions", "show", talked, "--last", "1", "-s", server.url).out
    assert "What is 3+3?" in last
    assert "What is 2+2?" not in last
    data = json.loads(cli("sessions", "show", talked, "--json", "-s", server.url).out)
    assert [m["userInput"] for m in data["messages"] if m["role"] == "user"][0] == "What is 1+1?"


# export


def test_export_to_the_output_and_to_a_file(cli, server, talked, here):
    markdown = cli("sessions", "export", talked, "-s", server.url).out
    assert "## 3. You" in markdown
    ran = cli("sessions", "export", talked, "--output", "talk.md", "-s", server.url)
    assert ran.code == 0
    assert (here / "talk.md").read_text() == markdown
    cli("sessions", "export", talked, "--format", "json", "-o", "talk.json", "-s", server.url)
    assert len(json.loads((here / "talk.json").read_text())["messages"]) == 6


def test_export_to_standard_output_by_its_usual_name(cli, server, talked, here):
    assert "## 3. You" in cli("sessions", "export", talked, "-o", "-", "-s", server.url).out
    assert not list(here.iterdir())


def test_export_never_replaces_a_file_unasked(cli, server, talked, here):
    (here / "talk.md").write_text("mine")
    ran = cli("sessions", "export", talked, "-o", "talk.md", "-s", server.url)
    assert ran.code == 2
    assert "--force" in ran.err
    assert (here / "talk.md").read_text() == "mine"
    assert cli("sessions", "export", talked, "-o", "talk.md", "--force", "-s", server.url).code == 0
    assert "Sums" in (here / "talk.md").read_text()


def test_export_of_everything(cli, server, mix, talked, here):
    other = mix.sessions.create(title="Other").id
    (here / "backup").mkdir()
    ran = cli("sessions", "export", "--all", "-o", "backup", "-s", server.url)
    assert ran.code == 0, ran.err
    assert {p.name for p in (here / "backup").iterdir()} == {f"session-{i}.md" for i in (talked, other)}
    assert "Wrote 2 sessions" in ran.err


@pytest.mark.parametrize(
    "case",
    [
        (["--all"], 2, "need a directory"),
        ([], 2, "Which sessions?"),
        (["last", "--all"], 2, "Which sessions?"),
        (["last", "-o", "no/such/place.md"], 1, "No such file or directory"),
    ],
)
def test_export_misused(cli, mix, talked, here, case):
    arguments, code, says = case
    mix.sessions.create(title="Other")
    ran = cli("sessions", "export", *arguments, "-s", mix.server_url)
    assert ran.code == code
    assert says in ran.err
    assert "Traceback" not in ran.err


# fork


def test_fork_writes_the_new_id_alone(cli, server, mix, talked):
    ran = cli("sessions", "fork", talked, "--turns", "2", "--title", "Branch", "-s", server.url)
    assert ran.code == 0
    forked = mix.sessions.get(id=ran.out.strip())
    assert forked.title == "Branch"
    assert forked.user_message_count == 2
    every = cli("sessions", "fork", talked, "-s", server.url).out.strip()
    assert mix.sessions.get(id=every).user_message_count == 3
    fewer = cli("sessions", "fork", talked, "-t", "-1", "-s", server.url).out.strip()
    assert mix.sessions.get(id=fewer).user_message_count == 2


def test_fork_dry(cli, server, talked):
    server.forget_requests()
    ran = cli("sessions", "fork", talked, "--turns", "1", "--dry-run", "-s", server.url)
    assert "Would copy 2 messages of 6" in ran.out
    assert not sent(server)


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_fork_where_the_server_cannot(cli, dry):
    with MixEmulator(api="0.8") as server, Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="T")
        mix.messages.send(id=session.id, text="What is 1+1?")
        ran = cli("sessions", "fork", session.id, *dry, "-s", server.url)
    assert ran.code == 2
    assert "It exists on API 0.5" in ran.err


# rewind


def test_rewind_dry(cli, server, mix, talked):
    ran = cli("sessions", "rewind", talked, "--turns", "1", "--dry-run", "-s", server.url)
    assert ran.code == 0
    assert "Would delete 4 messages" in ran.out
    assert "2. What is 2+2?" in ran.out
    assert len(mix.messages.list_session(id=talked)) == 6


def test_rewind_needs_a_yes(cli, server, mix, talked):
    ran = cli("sessions", "rewind", talked, "-s", server.url, typed="y\n")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert len(mix.messages.list_session(id=talked)) == 6
    ran = cli("sessions", "rewind", talked, "--yes", "-s", server.url)
    assert ran.code == 0
    assert [m.user_input for m in mix.messages.list_session(id=talked) if m.role == "user"] == [
        "What is 1+1?",
        "What is 2+2?",
    ]


def test_rewind_says_what_becomes_of_private_files(cli, server, talked, monkeypatch):
    asked = []
    from langchain_mix.client.sessions import Sessions

    rewind = Sessions.rewind_session
    monkeypatch.setattr(
        Sessions, "rewind_session", lambda self, **given: asked.append(given["cleanup_media"]) or rewind(self, **given)
    )
    cli("sessions", "rewind", talked, "-y", "-s", server.url)
    cli("sessions", "rewind", talked, "-y", "--cleanup-media", "-s", server.url)
    assert asked == [False, True]


@pytest.mark.parametrize("case", [("3", 0, ""), ("0", 2, "to nothing"), ("9", 2, "3 exchanges, so 9 cannot be kept")])
def test_rewind_to_the_limits(cli, mix, talked, case):
    turns, code, says = case
    ran = cli("sessions", "rewind", talked, "--turns", turns, "-y", "-s", mix.server_url)
    assert ran.code == code
    assert says in ran.err
    assert len(mix.messages.list_session(id=talked)) == 6


def test_rewind_of_a_session_that_changed_after_the_question(cli, server, mix, talked, monkeypatch):
    monkeypatch.setattr("langchain_mix.cli.terminal.is_interactive", lambda: True)

    def agree(*_, **__):
        mix.messages.send(id=talked, text="What is 4+4?")

    monkeypatch.setattr("langchain_mix.cli.terminal.typer.confirm", agree)
    ran = cli("sessions", "rewind", talked, "-s", server.url)
    assert ran.code == 2
    assert "has changed meanwhile" in ran.err
    assert len(mix.messages.list_session(id=talked)) == 8


# delete


def test_delete_needs_a_yes(cli, server, mix, talked):
    assert cli("sessions", "delete", talked, "-s", server.url).code == 2
    mix.sessions.get(id=talked)
    other = mix.sessions.create(title="Other").id
    ran = cli("sessions", "delete", talked, other, talked, "--yes", "-s", server.url)
    assert ran.code == 0, ran.err
    assert "Deleted 2 sessions." in ran.out
    assert mix.sessions.list() == []


def test_delete_asks_a_person(cli, server, mix, talked, monkeypatch):
    monkeypatch.setattr("langchain_mix.cli.terminal.is_interactive", lambda: True)
    ran = cli("sessions", "delete", talked, "-s", server.url, typed="n\n")
    assert ran.code == 1
    assert "(3 exchanges)" in ran.out
    mix.sessions.get(id=talked)
    assert cli("sessions", "delete", talked, "-s", server.url, typed="y\n").code == 0
    assert mix.sessions.list() == []


def test_one_that_fails_does_not_keep_the_others(cli, server, mix, talked):
    other = mix.sessions.create(title="Other").id
    server.faults.add(HttpError(match=f"DELETE /api/sessions/{talked}", status=400, body="{}", count=None))
    ran = cli("sessions", "delete", talked, other, "-y", "-s", server.url)
    assert ran.code == 1
    assert "Deleted 1 session." in ran.out
    assert [s.id for s in mix.sessions.list()] == [talked]


def test_an_unknown_one_keeps_all(cli, server, mix, talked):
    assert cli("sessions", "delete", talked, "00000000-0000-4000-8000-000000000000", "-y", "-s", server.url).code == 1
    mix.sessions.get(id=talked)


# Failures


def test_no_server(cli):
    ran = cli("sessions", "list", "--server", "http://127.0.0.1:1")
    assert ran.code == 3
    assert "Is a Mix server running" in ran.err


def test_a_wrong_url(cli):
    ran = cli("sessions", "list", "--server", "localhost:8088")
    assert ran.code == 2
    assert "http://localhost:8088" in ran.err


def test_a_reader_that_has_left_is_no_error(server, mix, talked):
    long = mix.sessions.create(title="Long").id
    mix.messages.send(id=long, text="x" * 300_000)  # More than a pipe holds.
    command = command_line("sessions", "export", long, "-s", server.url)
    # Without a buffer Python does not notice: it takes the part that the pipe took for all.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as process:
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read()
    assert said == b""
    assert process.returncode == 1


def test_completion_offers_sessions_and_is_silent_without_a_server(server, mix, talked):
    from langchain_mix.cli.sessions import complete_session

    class Context:
        params = {"server": server.url}  # noqa: RUF012

    assert complete_session(Context, talked[:3]) == [(talked, "Sums")]
    assert complete_session(Context, "zz") == []
    Context.params = {"server": "http://127.0.0.1:1"}
    assert complete_session(Context, "") == []
