"""`langchain-mix chat` in a real terminal."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest

from langchain_mix import MixEmulator
from langchain_mix.client import Mix
from langchain_mix.emulator import Gate, Script, say, think, turn, use
from langchain_mix.emulator.agents.base import Text, Wait

if sys.platform == "win32":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

_spec = importlib.util.spec_from_file_location("pseudo_terminal", Path(__file__).with_name("pseudo_terminal.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

PROMPT = "You:"
WRITE = use("Write", {"file_path": "a.txt", "content": "x"})


@pytest.fixture
def chat(tmp_path):
    """Starts a chat: `with chat(server, ...) as terminal:`; its prompt is there then."""

    @contextlib.contextmanager
    def start(server, *arguments, prompt=PROMPT):
        environment = {"XDG_STATE_HOME": str(tmp_path), "MIX_SERVER_URL": server.url if server else ""}
        with _module.Terminal("chat", *arguments, environment=environment) as terminal:
            if prompt:
                terminal.expect(prompt)
            yield terminal

    return start


def written(server):
    return bool(list(server.data_dir.rglob("a.txt")))


def test_the_first_line_names_server_api_and_model(chat):
    with MixEmulator(api="0.7") as server, chat(server, prompt="") as terminal:
        terminal.expect(f"{server.url} · API ")
        terminal.expect("0.7")
        terminal.expect("an emulator, whose own agent answers")
        terminal.expect(PROMPT)


def test_a_file_is_attached(chat, tmp_path):
    (tmp_path / "my notes.md").write_text("Tea is hot.")
    with MixEmulator(api="0.8", agent=Script("Read.")) as server, chat(server) as terminal:
        terminal.line(f'Read @"{tmp_path}/my notes.md", please')
        terminal.expect("Attached my_notes.md, 11 bytes.")
        terminal.expect("Read.")
        terminal.expect(PROMPT)
        terminal.line("Read @nowhere.md")
        terminal.expect("There is no file nowhere.md.")
        terminal.expect(PROMPT)
        with Mix(server_url=server.url) as mix:
            [session] = mix.sessions.list()
            [row, _] = mix.messages.list_session(id=session.id)
    assert row.user_input == 'Read [Attached file: my_notes.md ("my notes.md")], please'


def test_a_talk(chat):
    script = Script(
        turn(
            [think("Let me look."), *say("I look.\n"), use("Grep", {"pattern": "tea"}, result="r")],
            "# Tea\n\nIt is **hot**.",
        ),
        "You are welcome.",
    )
    with MixEmulator(api="0.8", agent=script) as server, chat(server) as terminal:
        terminal.line("What is tea?")
        for part in (
            "Let me look.",
            "I look.",
            "Grep · done",
            "pattern: tea",
            "It is hot.",
            "What the tools above returned",
            "Grep (pattern: tea) · output",
            " out",
        ):
            terminal.expect(part)
        terminal.expect(PROMPT)
        terminal.line("Thanks")
        terminal.expect("You are welcome.")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        terminal.expect("langchain-mix chat --session ")
        assert terminal.wait() == 0
        assert terminal.plain.count("It is hot.") == 1
        assert terminal.plain.count("You are welcome.") == 1
        with Mix(server_url=server.url) as mix:
            assert len(mix.sessions.list()) == 1


def test_the_emulator_in_the_box(chat):
    with chat(None, "--emulator") as terminal:
        terminal.line("What is 2+2?")
        terminal.expect("2+2 = 4")
        terminal.expect(PROMPT)
        terminal.line("/quit")
        assert terminal.wait() == 0


def test_several_lines_and_what_was_typed_before(chat, server, mix):
    with chat(server) as terminal:
        terminal.type("one\\\rtwo\r")
        terminal.expect(" out")
        terminal.expect(PROMPT)
        terminal.line("/new")
        terminal.expect(PROMPT)
    with chat(server) as terminal:
        terminal.type("\x1b[A\x1b[A\x1b[A")
        terminal.line("")
        terminal.expect(" out")
    assert [m.user_input for m in mix.messages.get_history()] == ["one\ntwo"] * 2


def test_what_is_typed_is_forgotten_if_wanted(chat, server, tmp_path):
    with chat(server, "--no-history") as terminal:
        terminal.line("secret")
        terminal.expect(" out")
    assert not list(tmp_path.iterdir())


def test_a_history_that_cannot_be_kept_is_told(chat, server, tmp_path):
    (tmp_path / "langchain-mix").write_text("in the way")
    with chat(server, prompt="") as terminal:
        terminal.expect("What you type is not remembered")
        terminal.expect(PROMPT)


def test_thinking_is_hidden_if_wanted(chat):
    script = Script(turn([think("Hidden thought."), Text("Said.")]))
    with MixEmulator(api="0.7", agent=script) as server, chat(server, "--no-thinking") as terminal:
        terminal.line("Go.")
        terminal.expect("Said.")
        terminal.expect(" out")
        assert "Hidden thought" not in terminal.plain


def test_a_session_is_resumed(chat, server, talked):
    with chat(server, "--session", "last", prompt="") as terminal:
        terminal.expect("(1 earlier exchange not shown)")
        terminal.expect("What is 2+2?")
        terminal.expect("What is 3+3?")
        terminal.expect(PROMPT)
        terminal.line("What was my first message?")
        terminal.expect("1+1")


def test_ctrl_c_cancels_the_turn_and_another_one_leaves(chat, until_cancelled):
    gate = Gate()
    with MixEmulator(api="0.7", agent=Script(turn([Text("So far"), Wait(gate), Text("never")]), "Again.")) as server:
        with chat(server) as terminal:
            terminal.line("Go.")
            terminal.expect("So far")
            until_cancelled(lambda: terminal.type("\x03"), server)
            terminal.expect("Cancelled.")
            server.wait_idle()
            terminal.expect(PROMPT)
            terminal.line("Once more.")
            terminal.expect("Again.")
            terminal.expect(PROMPT)
            terminal.type("unsent\x03\x03")
            terminal.expect("Go on later: langchain-mix chat --session ")
            assert terminal.wait() == 0
            assert "never" not in terminal.plain
        gate.open()


@pytest.mark.parametrize(("answer", "done"), [("y", True), ("n", False)])
def test_a_permission_is_asked_for(chat, answer, done):
    with MixEmulator(api="0.8", agent=Script(turn([WRITE], "Over."))) as server, chat(server) as terminal:
        terminal.line("Write.")
        terminal.expect("The agent asks to run Write")
        terminal.expect("a.txt")
        terminal.expect("Allow it? [y] yes  [n] no  [a] yes, and always Write in this chat (29 s left)")
        terminal.expect("8")  # The seconds count down.
        terminal.type("x\r")
        assert not written(server)
        terminal.type(answer)
        terminal.expect("Over.")
        terminal.expect(PROMPT)
        assert written(server) is done


def test_what_was_typed_before_a_question_is_no_answer(chat):
    gate = Gate()
    script = Script(turn([Text("Soon."), Wait(gate), WRITE], "Over."))
    with MixEmulator(api="0.8", agent=script) as server, chat(server) as terminal:
        terminal.line("Write.")
        terminal.expect("Soon.")
        terminal.type("y\n")
        terminal.expect("y")  # The terminal has it.
        gate.open()
        terminal.expect("Allow it?")
        terminal.line("n")
        terminal.expect("Over.")
        assert not written(server)


def test_ctrl_c_at_a_question_denies_and_cancels(chat):
    with MixEmulator(api="0.8", agent=Script(turn([WRITE], "Over."), "Again.")) as server, chat(server) as terminal:
        terminal.line("Write.")
        terminal.expect("Allow it?")
        terminal.type("\x03")
        terminal.expect("Cancelled.")
        server.wait_idle()
        assert not written(server)
        terminal.expect(PROMPT)
        terminal.line("Hello")
        terminal.expect("Again.")


def test_permissions_that_are_not_asked(chat):
    script = Script(turn([WRITE], "Over."))
    with MixEmulator(api="0.8", agent=script) as server, chat(server, "--permissions", "allow") as terminal:
        terminal.line("Write.")
        terminal.expect("Allowed: Write")
        terminal.expect("Over.")
        assert written(server)


def test_a_sub_agents_permission_is_asked_for_too(chat):
    task = use("Task", {"description": "Write", "prompt": "Write a.txt", "subagent_type": "general-purpose"})
    gate = Gate()
    script = Script(turn([task], "All done."), subagent=[turn([Text("I wait."), Wait(gate), WRITE], "I wrote.")])
    with MixEmulator(api="0.8", agent=script) as server, chat(server) as terminal:
        terminal.line("Delegate.")
        server.wait_until(lambda: server.streams == 2)  # What was asked before is told to nobody.
        gate.open()
        terminal.expect("The agent asks to run Write")
        terminal.expect("Allow it?")
        terminal.line("y")
        terminal.expect("All done.")
        terminal.expect(PROMPT)
        assert written(server)


def test_a_notification_is_answered(chat):
    ask = use(
        "Notify",
        {"title": "Colour", "message": "Which one?", "response_type": "choice", "choices": ["Red", "Blue"]},
    )
    with MixEmulator(api="0.8", agent=Script(turn([ask], "Over."))) as server, chat(server) as terminal:
        terminal.line("Ask me.")
        terminal.expect("Which one?")
        terminal.expect("2. Blue")
        terminal.expect("Your choice, 1 to 2:")
        terminal.line("2")
        terminal.expect("Over.")
        terminal.expect("Blue")


def test_commands_and_errors_do_not_end_the_talk(chat, server):
    with chat(server) as terminal:
        terminal.line("/session")
        terminal.expect("There is no session yet.")
        terminal.expect(PROMPT)
        terminal.line("/nonsense")
        terminal.expect("There is no command /nonsense.")
        terminal.expect(PROMPT)
        terminal.line("What is 1+1?")
        terminal.expect("1+1 = 2")
        terminal.expect(PROMPT)
        terminal.line("What is 2+2?")
        terminal.expect("2+2 = 4")
        terminal.expect(PROMPT)
        terminal.line("/rewind")
        terminal.expect("Delete 1 exchange?")
        terminal.line("y")
        terminal.expect("Deleted 2 messages")
        terminal.expect(PROMPT)
        server.restart()
        terminal.line("What is 3+3?")
        terminal.expect("3+3 = 6")


def test_a_server_that_is_gone_is_told_before_anything_is_typed(chat):
    with chat(None, "--server", "http://127.0.0.1:1", prompt="") as terminal:
        terminal.expect("Is a Mix server running at")
        assert terminal.wait() == 3
        assert "Traceback" not in terminal.plain


def test_an_answer_taller_than_the_screen_is_shown_whole_and_once(chat):
    lines = [f"Line number {n:03} ends." for n in range(120)]
    with MixEmulator(api="0.7", agent=Script("\n\n".join(lines))) as server, chat(server) as terminal:
        terminal.line("Tell me everything.")
        terminal.expect("Line number 119 ends.")
        terminal.expect(" out")
        shown = [line for line in terminal.shown() if line.startswith("Line number")]
    assert shown == lines


def test_one_message_in_a_terminal(chat):
    with MixEmulator(api="0.8", agent=Script(turn([WRITE], "# Over"))) as server:
        with chat(server, "Write.", prompt="") as terminal:
            terminal.expect("Allow it?")
            terminal.line("y")
            terminal.expect("Over")
            terminal.expect("Session ")
            assert terminal.wait() == 0
        assert written(server)


def test_on_leaving_the_command_names_the_server_that_was_given(chat):
    with (
        MixEmulator(api="0.7", agent=Script("Yes.")) as server,
        chat(None, "-s", server.url, "--api", "0.7") as terminal,
    ):
        terminal.line("Go.")
        terminal.expect("Yes.")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        terminal.expect(f"Go on later: langchain-mix chat -s {server.url} --api 0.7 --session ")
        assert terminal.wait() == 0


def test_nothing_goes_on_in_an_emulator_of_the_chat(chat):
    with chat(None, "--emulator") as terminal:
        terminal.line("What is 1+1?")
        terminal.expect("offline")
        terminal.expect(PROMPT)
        terminal.line("exit")
        terminal.expect("exit leaves, as /quit does. With a space in front it is a message.")
        assert terminal.wait() == 0
        assert "Go on later" not in terminal.plain
