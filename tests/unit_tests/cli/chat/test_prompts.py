"""What the agent asks is put to people; silence is never a yes."""

from __future__ import annotations

import contextlib
import io
import threading

import pytest
from rich.console import Console

from langchain_mix.cli.chat.prompts import PromptHandler, notification_panel, permission_panel
from langchain_mix.errors import MixTurnCancelled
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData

REQUEST = SSEPermissionEventData(
    id="p",
    tool_name="Bash",
    action="execute",
    description="Execute command: rm -rf build",
    path="/work",
    params={"command": "rm -rf build\necho ok", "timeout": 0},
)


class View:
    def __init__(self):
        self.pauses = 0

    @contextlib.contextmanager
    def paused(self):
        self.pauses += 1
        yield


def asking(*answers, policy="ask", seconds=20.0):
    given = iter(answers)
    asked, freshness = [], []

    def ask(question, left, *, fresh, keys=""):
        asked.append((question, left))
        freshness.append(fresh)
        answer = next(given)
        if isinstance(answer, type):
            raise answer
        return answer

    out = io.StringIO()
    view = View()
    prompts = PromptHandler(Console(file=out, width=120), view, policy, ask, seconds=seconds)
    prompts.freshness = freshness
    return prompts, asked, out, view


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [(["y"], True), (["YES "], True), (["n"], False), (["no"], False), (["", "maybe", "y"], True), ([None], None)],
)
def test_a_permission_takes_a_clear_answer(answers, verdict):
    prompts, asked, out, view = asking(*answers)
    assert prompts.permission(REQUEST) is verdict
    assert len(asked) == len(answers)
    assert prompts.freshness == [True] + [False] * (len(answers) - 1), "answers after a wrong one are not forgotten"
    assert view.pauses == 1
    assert ("the server denies it" in out.getvalue()) is (verdict is None)


def test_all_that_is_asked_is_shown():
    long = SSEPermissionEventData(id="p", tool_name="Write", params={"content": "line\n" * 100 + "the end"})
    out = io.StringIO()
    Console(file=out, width=100).print(permission_panel(REQUEST))
    Console(file=out, width=100).print(permission_panel(long))
    for part in ("Bash", "Execute command", "rm -rf build", "/work", "echo ok", "timeout: 0", "Write", "the end"):
        assert part in out.getvalue()


def shown(request):
    out = io.StringIO()
    Console(file=out, width=100).print(permission_panel(request))
    return out.getvalue()


def test_a_path_is_shown_once_and_changes_as_a_diff():
    write = SSEPermissionEventData(
        id="p",
        tool_name="Write",
        action="write",
        description="Create file /work/notes.md",
        path="/work",
        params={"file_path": "/work/notes.md", "diff": "@@ -0,0 +1 @@\n+Order kettles"},
    )
    assert shown(write).count("/work") == 1
    assert "│ +Order kettles" in shown(write)
    assert "Action" not in shown(write)


@pytest.mark.parametrize("path", ["/work", "/work/notes.md.old", "notes.md"])
def test_a_path_that_differs_from_the_description_is_shown(path):
    described = SSEPermissionEventData(
        id="p", tool_name="Write", description="Create file /work/notes.md", params={"file_path": path}
    )
    assert f"file_path: {path}" in shown(described)


def test_one_key_answers_a_permission():
    pressed = []

    def ask(_question, _left, *, fresh, keys=""):
        pressed.append(keys)
        return "n"

    assert PromptHandler(Console(file=io.StringIO()), View(), "ask", ask).permission(REQUEST) is False
    assert pressed == ["yna"]


def test_always_is_for_this_tool_alone():
    prompts, asked, out, _ = asking("a", "n")
    assert prompts.permission(REQUEST) is True
    assert prompts.permission(REQUEST) is True
    assert len(asked) == 1
    assert "Allowed: Bash" in out.getvalue()
    assert prompts.permission(REQUEST.model_copy(update={"tool_name": "Write"})) is False
    assert len(asked) == 2


@pytest.mark.parametrize(("policy", "verdict"), [("allow", True), ("deny", False)])
def test_a_fixed_policy_asks_nobody_and_tells(policy, verdict):
    prompts, asked, out, _ = asking(policy=policy)
    assert prompts.permission(REQUEST) is verdict
    assert not asked
    assert "Bash: Execute command: rm -rf build" in out.getvalue()


def test_without_anybody_to_ask_it_is_denied_and_told():
    out = io.StringIO()
    prompts = PromptHandler(Console(file=out, width=200), View(), "ask")
    assert prompts.permission(REQUEST) is False
    assert "Denied: Bash" in out.getvalue()
    assert "--permissions allow" in out.getvalue()


@pytest.mark.parametrize("key", [KeyboardInterrupt, EOFError])
def test_leaving_a_question_ends_the_turn(key):
    prompts, _, _, _ = asking(key)
    with pytest.raises(MixTurnCancelled):
        prompts.permission(REQUEST)
    prompts, _, _, _ = asking(key)
    with pytest.raises(MixTurnCancelled):
        prompts.notification(SSENotificationEventData(id="n", response_type="text"))


def test_an_answer_that_is_not_understood_is_told_how_to_answer():
    prompts, _, out, _ = asking("sure", "y")
    assert prompts.permission(REQUEST) is True
    assert "Press y, n or a." in out.getvalue()
    prompts, _, out, _ = asking("y")
    prompts.permission(REQUEST)
    assert "Press y" not in out.getvalue()


def test_a_wrong_answer_does_not_buy_time(monkeypatch):
    times = iter([0.0, 0.0, 12.0, 25.0])
    monkeypatch.setattr("langchain_mix.cli.chat.prompts.time.monotonic", lambda: next(times))
    prompts, asked, _, _ = asking("what?", "hm?", "y")
    assert prompts.permission(REQUEST) is None
    assert [left for _, left in asked] == [20.0, 8.0]


@pytest.mark.parametrize(
    ("kind", "answers", "said"),
    [
        ("acknowledge", [""], ""),
        ("acknowledge", [None], None),
        ("text", ["my words"], "my words"),
        ("choice", ["2"], "Blue"),
        ("choice", ["9", "rED"], "Red"),
        ("choice", [None], None),
    ],
)
def test_notifications(kind, answers, said):
    choices = ["Red", "Blue"] if kind == "choice" else None
    note = SSENotificationEventData(id="n", title="T", message="M", response_type=kind, choices=choices, timeout=60)
    prompts, asked, out, _ = asking(*answers)
    assert prompts.notification(note) == said
    assert all(50 < left <= 60 for _, left in asked)
    assert "M" in out.getvalue()


def test_a_notification_without_a_terminal_is_reported_and_not_answered():
    out = io.StringIO()
    note = SSENotificationEventData(id="n", title="T", message="M", response_type="text")
    assert PromptHandler(Console(file=out), View(), "allow").notification(note) is None
    assert "M" in out.getvalue()
    assert "no terminal" in out.getvalue()


def test_a_notification_is_harmless():
    out = io.StringIO()
    Console(file=out).print(notification_panel(SSENotificationEventData(title="\x1b[2J", message="\x1b]0;x\x07")))
    assert "\x1b" not in out.getvalue()


def test_two_questions_are_never_asked_at_once():
    asked, may_answer, order = threading.Event(), threading.Event(), []

    def ask(_question, _left, *, fresh, keys=""):
        name = threading.current_thread().name
        order.append(f"{name} asks")
        asked.set()
        assert may_answer.wait(5)
        order.append(f"{name} answered")
        return "y"

    prompts = PromptHandler(Console(file=io.StringIO()), View(), "ask", ask)
    first = threading.Thread(target=prompts.permission, args=(REQUEST,), name="first")
    second = threading.Thread(target=prompts.permission, args=(REQUEST,), name="second")
    first.start()
    assert asked.wait(5)
    second.start()
    second.join(0.1)  # As long as the first waits, the second is not asked.
    assert order == ["first asks"]
    may_answer.set()
    first.join(5)
    second.join(5)
    assert order == ["first asks", "first answered", "second asks", "second answered"]
