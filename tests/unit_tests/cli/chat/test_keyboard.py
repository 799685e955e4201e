"""What people type, without a terminal: keys through a pipe."""

from __future__ import annotations

import gc
import stat

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from langchain_mix.cli.chat.keyboard import Keyboard, history_file


@pytest.fixture
def keys():
    with create_pipe_input() as pipe:
        yield pipe


def typed(keys, text, **options):
    keys.send_text(text)
    return Keyboard({"/help": "Help", "/upload PATH": "Upload"}, keys=keys, screen=DummyOutput(), **options)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("hello\r", "hello"),
        ("helo\x1b[Dl\r", "hello"),
        ("one\\\rtwo\r", "one\ntwo"),
        ("one\x1b\rtwo\r", "one\ntwo"),
        ("\x1b[200~pasted\nlines\x1b[201~\r", "pasted\nlines"),
        ("unwanted\x03hello\r", "hello"),
    ],
)
def test_reading_a_message(keys, text, read):
    assert typed(keys, text).read("You: ") == read


@pytest.mark.parametrize(("key", "leaves"), [("\x03", KeyboardInterrupt), ("\x04", EOFError)])
def test_leaving_on_an_empty_line(keys, key, leaves):
    with pytest.raises(leaves):
        typed(keys, key).read("You: ")


@pytest.mark.parametrize("seconds", [None, 5.0])
@pytest.mark.parametrize(("key", "leaves"), [("\x03", KeyboardInterrupt), ("\x04", EOFError)])
def test_leaving_a_question_leaves_no_traceback_behind(keys, key, leaves, seconds, caplog):
    with pytest.raises(leaves):
        typed(keys, key).ask("Allow? ", seconds, fresh=False)
    gc.collect()  # A task whose exception nobody has seen tells of it when it is collected.
    assert not caplog.records


def test_messages_are_remembered_for_their_owner_alone(keys, tmp_path):
    path = tmp_path / "state" / "chat-history"
    assert typed(keys, "first\r", history=path).read("") == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert typed(keys, "\x1b[A\r", history=path).read("") == "first"


def test_without_a_file_nothing_is_remembered_elsewhere(keys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    typed(keys, "secret\r").read("")
    assert not list(tmp_path.iterdir())
    assert history_file().is_relative_to(tmp_path)


def test_a_question_that_is_not_answered_in_time(keys):
    assert typed(keys, "").ask("Allow? ", 0.05) is None


def test_a_question_is_answered(keys):
    with pytest.MonkeyPatch.context() as patch:
        # A pipe hands over at once what a terminal would have been told to forget.
        patch.setattr("langchain_mix.cli.chat.keyboard._forget_typed", lambda _: None)
        assert typed(keys, "y\r").ask("Allow? ", 5) == "y"
        assert typed(keys, "o\rY").confirm("Sure?") is True, "other keys are no answers"
        assert typed(keys, "n").confirm("Sure?") is False
        assert typed(keys, "a").ask("Allow? ", 5, keys="yna") == "a", "one key, without Enter"
        assert typed(keys, "x\ra").ask("Allow? ", 5, keys="yna") == "a", "Enter answers nothing"
        assert typed(keys, "\x1b[200~y\x1b[201~n").ask("Allow? ", 5, keys="yna") == "n", "what is pasted is no answer"
        assert typed(keys, "\x03").confirm("Sure?") is False


def completions(keys, text):
    completer = typed(keys, "")._session.completer
    return [c.text for c in completer.get_completions(Document(text, len(text)), CompleteEvent())]


def test_commands_and_paths_are_completed(keys, tmp_path):
    (tmp_path / "report.md").touch()
    assert completions(keys, "/") == ["/help", "/upload"]
    assert completions(keys, "/up") == ["/upload"]
    assert completions(keys, f"/upload {tmp_path}/rep") == ["ort.md"]
    assert completions(keys, "hello /") == []
