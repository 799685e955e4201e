"""The slash commands of a chat, against a server."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from langchain_mix import MixEmulator
from langchain_mix.cli.chat.conversation import ChatOptions, Conversation
from langchain_mix.cli.chat.slash_commands import COMMANDS, Commands
from langchain_mix.client import Mix
from langchain_mix.emulator import HttpError, Script, turn, use
from langchain_mix.errors import MixError, MixInputError, MixUnsupportedError
from langchain_mix.reserved_files import CHECKPOINT_PREFIX


class Chat:
    """A chat whose user answers every question in the same way."""

    def __init__(self, mix, session="", *, agrees=True):
        self.conversation = Conversation(mix, ChatOptions(title="Talk"), session)
        self.out = io.StringIO()
        self.prompts = []
        self.agrees = agrees
        self.commands = Commands(self.conversation, Console(file=self.out, width=200), self)

    def confirm(self, question):
        self.prompts.append(question)
        return self.agrees

    def run(self, line):
        self.out.seek(0)
        self.out.truncate()
        assert self.commands.run(line)
        return self.out.getvalue()

    def say(self, text):
        turn = self.conversation.say(text, permissions=lambda _: False, on_notification=lambda _: None)
        self.conversation.record(turn.run())


@pytest.fixture
def chat(mix, talked):
    return Chat(mix, talked)


def asked(mix, session):
    return [m.user_input for m in mix.messages.list_session(id=session) if m.role == "user"]


def test_help_lists_every_command(chat):
    told = chat.run("/help")
    for usage in COMMANDS:
        assert usage in told
    assert {usage.split()[0] for usage in COMMANDS} | {"/exit"} == set(chat.commands._all)


def test_a_line_without_a_slash_is_a_message(chat):
    assert chat.commands.run("hello /help") is False
    assert chat.commands.run(" /help") is False


def test_an_unknown_command_is_told(chat):
    with pytest.raises(MixInputError, match="/nonsense"):
        chat.commands.run("/nonsense now")


@pytest.mark.parametrize("line", ["/quit", "/exit", "exit", "quit", "Exit"])
def test_quit(chat, line):
    chat.run(line)
    assert chat.commands.over
    assert ("With a space in front it is a message." in chat.out.getvalue()) is not line.startswith("/")


def test_a_word_to_leave_can_be_a_message(chat):
    assert chat.commands.run(" exit") is False
    assert chat.commands.run("exit now") is False


def test_fork_goes_on_in_the_copy(chat, mix, talked):
    told = chat.run("/fork 2")
    copy = chat.conversation.session_id
    assert copy != talked
    assert copy in told
    assert talked in told
    assert asked(mix, copy) == ["What is 1+1?", "What is 2+2?"]
    assert mix.sessions.get(id=copy).title == "Talk"
    chat.run("/fork")
    assert len(asked(mix, chat.conversation.session_id)) == 2
    with pytest.raises(MixInputError, match="no number"):
        chat.run("/fork two")


def test_fork_where_the_server_cannot():
    with MixEmulator(api="0.8") as server, Mix(server_url=server.url) as mix:
        chat = Chat(mix)
        chat.say("What is 1+1?")
        before = chat.conversation.session_id
        with pytest.raises(MixUnsupportedError, match=r"0\.7"):
            chat.run("/fork")
        assert chat.conversation.session_id == before


def test_rewind_asks_and_deletes(chat, mix, talked):
    chat.agrees = False
    assert "Nothing was deleted" in chat.run("/rewind 1")
    assert len(asked(mix, talked)) == 3
    chat.agrees = True
    told = chat.run("/rewind")
    assert "3. What is 3+3?" in told
    assert "1 exchange" in chat.prompts[-1]
    assert asked(mix, talked) == ["What is 1+1?", "What is 2+2?"]
    chat.run("/rewind 1")
    assert asked(mix, talked) == ["What is 1+1?"]
    with pytest.raises(MixInputError, match="to nothing"):
        chat.run("/rewind")
    assert "nothing is deleted" in chat.run("/rewind 1")


def test_rewind_of_a_session_that_changed_after_the_question(chat, mix, talked):
    def confirm(_):
        mix.messages.send(id=talked, text="What is 4+4?")
        return True

    chat.commands._keyboard.confirm = confirm
    with pytest.raises(MixInputError, match="changed meanwhile"):
        chat.run("/rewind")
    assert len(asked(mix, talked)) == 4


def test_session_shows_and_changes(chat, mix, talked):
    told = chat.run("/session")
    assert talked in told
    assert "API 0.7" in told
    other = mix.sessions.create(title="Other").id
    mix.messages.send(id=other, text="What is 5+5?")
    assert "What is 5+5?" in chat.run(f"/session {other[:8]}")
    assert chat.conversation.session_id == other
    with pytest.raises(MixError):
        chat.run("/session 00000000-0000-4000-8000-000000000000")
    assert chat.conversation.session_id == other


def test_new_begins_with_the_next_message(chat, mix, talked):
    chat.run("/new Second talk")
    assert len(mix.sessions.list()) == 1
    with pytest.raises(MixInputError, match="no session yet"):
        chat.run("/session")
    chat.say("What is 1+1?")
    assert mix.sessions.get(id=chat.conversation.session_id).title == "Second talk"
    assert chat.conversation.session_id != talked


def test_upload_and_files(chat, mix, talked, here):
    assert "No file" in chat.run("/files")
    (here / "my notes.txt").write_text("x" * 2000)
    assert "my_notes.txt, 2,000 bytes" in chat.run('/upload "my notes.txt"')
    assert not chat.prompts
    assert "my_notes.txt  2,000 bytes" in chat.run("/files")
    assert "my_notes.txt" in chat.run(r"/upload my\ notes.txt")
    assert "Replace my_notes.txt for all sessions?" in chat.prompts[-1]


def test_upload_never_replaces_a_file_unasked(chat, mix, talked, here):
    (here / "a.txt").write_text("first")
    chat.run("/upload a.txt")
    (here / "a.txt").write_text("second")
    chat.agrees = False
    assert "Nothing was uploaded" in chat.run("/upload a.txt")
    assert mix.files.get_session_file(id=talked, filename="a.txt").content == b"first"
    chat.agrees = True
    chat.run("/upload a.txt")
    assert mix.files.get_session_file(id=talked, filename="a.txt").content == b"second"


@pytest.mark.parametrize(
    ("line", "says"), [("/upload", "Which"), ("/upload gone", "no file"), ("/upload .", "is a directory")]
)
def test_upload_misused(chat, here, line, says):
    with pytest.raises(MixInputError, match=says):
        chat.run(line)


def test_files_of_this_package_are_not_the_users(chat, mix, talked, here):
    name = f"{CHECKPOINT_PREFIX}x"
    mix.files.upload_session_file(id=talked, file={"file_name": name, "content": b"x"})
    assert "No file" in chat.run("/files")
    (here / name).write_text("x")
    with pytest.raises(MixInputError, match="checkpoints"):
        chat.run(f"/upload {name}")


def test_upload_may_begin_a_session(mix, here):
    chat = Chat(mix)
    (here / "a.txt").write_text("x")
    chat.run("/upload a.txt")
    assert chat.conversation.session_id


def test_tools_are_shown_whole():
    output = "\n".join(f"hit {n}" for n in range(50))
    script = Script(turn([use("Grep", {"pattern": "x"}, result=output)], "Done."))
    with MixEmulator(api="0.8", agent=script) as server, Mix(server_url=server.url) as mix:
        chat = Chat(mix)
        assert "no tools" in chat.run("/tools")
        chat.say("Search.")
        told = chat.run("/tools")
    assert "pattern: x" in told
    assert "hit 49" in told


def test_model(chat):
    assert chat.run("/model") == "an emulator, whose own agent answers\n"
    assert "an emulator, whose own agent answers" in chat.conversation.server()
    chat.say("What is 1+1?")
    assert chat.run("/model") == "offline\n"


def test_the_preferred_model_of_a_server_that_is_no_emulator(chat, server):
    body = json.dumps({"status": "ok", "version": "0.7", "environment": "production"})
    server.faults.add(HttpError(match="GET /health", status=200, body=body, count=None))
    assert chat.run("/model") == "claude-sonnet-4-5\n"
    assert chat.conversation.server().endswith(" · model claude-sonnet-4-5")


def test_plan_is_switched(chat, server):
    for line, told, on in (("/plan", "reads", True), ("/plan off", "works", False), ("/plan on", "reads", True)):
        assert told in chat.run(line)
        assert chat.conversation.options.plan_mode is on
    with pytest.raises(MixInputError):
        chat.run("/plan perhaps")
    chat.say("What is 1+1?")
    assert "system-reminder" in asked(chat.conversation.mix, chat.conversation.session_id)[-1]


def test_export(chat, here, talked):
    chat.run("/export")
    assert "## 3. You" in (here / f"session-{talked[:8]}.md").read_text()
    chat.run("/export ./conversation.json")
    assert json.loads((here / "conversation.json").read_text())["session"]["id"] == talked
    (here / "conversation.json").write_text("mine")
    chat.agrees = False
    assert "Nothing was written" in chat.run("/export conversation.json")
    assert (here / "conversation.json").read_text() == "mine"
    chat.agrees = True
    chat.run("/export conversation.json")
    assert (here / "conversation.json").read_text() != "mine"
    with pytest.raises(OSError, match="No such file"):
        chat.run("/export no/such/place.md")


def test_an_attachment_never_replaces_a_file(chat, here):
    (here / "notes.md").write_text("one")
    attached = []
    assert chat.conversation.attach("See @notes.md.", attached.append) == "See [Attached file: notes.md]."
    (here / "notes.md").write_text("two")
    text = chat.conversation.attach("See (@notes.md) and @notes.md", attached.append)
    names = [file.name for file in attached]
    assert text.startswith("See (@notes.md) and [Attached file: notes-")
    assert len(set(names)) == 2
    assert chat.conversation.attach("@notes.md", attached.append)
    assert attached[-1].name == names[-1], "the same content is not uploaded twice"
    read = chat.conversation.mix.files.get_session_file
    contents = [read(id=chat.conversation.current(), filename=name).content for name in names]
    assert contents == [b"one", b"two"]


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("write to me@example.org", "write to me@example.org"),
        ("ask @alice", "ask @alice"),
        (r"see \@notes.md", "see @notes.md"),
        ("@app.route('/')\ndef x(): ...", "@app.route('/')\ndef x(): ..."),
    ],
)
def test_not_every_at_sign_attaches(chat, here, typed, sent):
    (here / "me@example.org").touch()
    assert chat.conversation.attach(typed, lambda _: pytest.fail("nothing is attached")) == sent


@pytest.mark.parametrize("typed", ["see @missing.md", "see @dir/missing", 'see @"my file"'])
def test_a_file_that_is_not_there_is_no_message(chat, here, typed):
    with pytest.raises(MixInputError, match="There is no file"):
        chat.conversation.attach(typed, lambda _: None)


def test_a_directory_is_not_called_missing(chat, here):
    with pytest.raises(MixInputError, match="is a directory"):
        chat.conversation.attach(f"see @{here}", lambda _: None)


def test_a_picture_is_called_one(chat, here):
    (here / "chart.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert chat.conversation.attach("@chart.png", lambda _: None) == "[Attached image: chart.png]"
