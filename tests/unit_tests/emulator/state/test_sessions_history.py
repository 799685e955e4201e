from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.emulator.state import ApiError, Row, ServerState, ToolCallRecord
from langchain_mix.protocol.api import ApiVersion

FORKING = ["0.5", "0.6", "0.6.5", "0.7"]
ALL = [*FORKING, "0.8", "next"]


def converse(state: ServerState, session: str, texts: str) -> list[str]:
    """Appends a user row for each letter in lower case, an assistant row for each in upper case."""
    return [state.rows.append(session, Row("assistant" if t.isupper() else "user", t)).id for t in texts]


def texts(state: ServerState, session: str) -> str:
    return "".join(row.text for row in state.rows.of(session))


@pytest.mark.parametrize("api", FORKING)
def test_fork_copies_the_first_rows_under_new_ids(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str, clock: Any
) -> None:
    state = make_state(api)
    session = new_session(state)
    ids = converse(state, session, "aBcDeF")
    clock.now += 10
    fork = state.sessions.fork(session, 4, "Branch")
    rows = state.rows.of(fork["id"])
    assert [(r.role, r.text) for r in rows] == [("user", "a"), ("assistant", "B"), ("user", "c"), ("assistant", "D")]
    assert not {r.id for r in rows} & set(ids)
    assert {r.created_at for r in rows} == {int(clock.now)}
    assert fork["title"] == "Branch"
    assert state.sessions.facts(fork["id"]).parent_id == session
    assert (fork.get("parentSessionId"), fork.get("sessionType")) == (
        (session, "forked") if api == "0.7" else (None, None)
    )
    assert texts(state, session) == "aBcDeF"


@pytest.mark.parametrize("api", FORKING)
def test_q22_fork_reply_counts_nothing(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str
) -> None:
    state = make_state(api)
    session = new_session(state)
    converse(state, session, "aBc")
    state.sessions.add_usage(session, prompt_tokens=1, completion_tokens=2, cost=3)
    fork = state.sessions.fork(session, 3, None)
    keys = ("userMessageCount", "assistantMessageCount", "toolCallCount", "promptTokens", "completionTokens", "cost")
    assert [fork[k] for k in keys] == [0, 0, 0, 0, 0, 0]
    assert [state.sessions.get(fork["id"])[k] for k in keys] == [2, 1, 0, 0, 0, 0]
    assert fork["title"] == "Forked Session"


def test_q23_fork_drops_prompt_callbacks_and_files(
    make_state: Callable[..., ServerState], new_session: Callable[..., str]
) -> None:
    state = make_state("0.7")
    callbacks = [{"toolName": "*", "type": "send_message", "messageContent": "m"}]
    session = new_session(state, promptMode="replace", customSystemPrompt="p", callbacks=callbacks)
    (state.files.workspace(session) / "a.txt").write_text("x")
    fork = state.sessions.fork(session, 0, "")["id"]
    facts = state.sessions.facts(fork)
    assert (facts.system_prompt, facts.prompt_mode, facts.callbacks) == ("", "default", [])
    assert list(state.files.workspace(fork).iterdir()) == []


@pytest.mark.parametrize(("index", "copied"), [(0, ""), (1, "a"), (5, "aBcDe"), (99, "aBcDe"), (2**70, "aBcDe")])
def test_fork_boundaries(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], index: int, copied: str
) -> None:
    state = make_state("0.7")
    session = new_session(state)
    converse(state, session, "aBcDe")
    assert texts(state, state.sessions.fork(session, index, None)["id"]) == copied


def test_fork_errors(make_state: Callable[..., ServerState], new_session: Callable[..., str]) -> None:
    state = make_state("0.7")
    session = new_session(state)
    child = state.sessions.create({"title": "c"}, parent=session)["id"]
    for source, index, status, kind in [
        (session, -1, 400, "validation_error"),
        (str(uuid.uuid4()), 1, 500, "internal_error"),
        ("malformed", 1, 500, "internal_error"),
        ("malformed", -1, 400, "validation_error"),
        (child, 0, 500, "internal_error"),
    ]:
        with pytest.raises(ApiError) as caught:
            state.sessions.fork(source, index, None)
        assert (caught.value.status, caught.value.type) == (status, kind)
    assert len(state.sessions.listing(include_subagents=True)) == 2


def test_fork_takes_the_results_along(make_state: Callable[..., ServerState], new_session: Callable[..., str]) -> None:
    state = make_state("0.7")
    session = new_session(state)
    converse(state, session, "a")
    calls = [ToolCallRecord("T1", "Bash", "{}", finished=True)]
    state.rows.append(session, Row("assistant", "B", tool_calls=calls))
    state.rows.append(session, Row("tool", tool_results=[{"call_id": "T1", "name": "Bash", "output": "o"}]))
    converse(state, session, "D")
    roles = [[r.role for r in state.rows.of(state.sessions.fork(session, n, None)["id"])] for n in range(5)]
    assert roles == [
        [],
        ["user"],
        ["user", "assistant", "tool"],
        ["user", "assistant", "tool"],
        ["user", "assistant", "tool", "assistant"],
    ]
    copied = state.rows.of(state.sessions.fork(session, 2, None)["id"])
    assert copied[1].tool_calls == calls
    assert copied[2].tool_results[0]["output"] == "o"


def test_fork_leaves_a_row_that_holds_no_results(
    make_state: Callable[..., ServerState], new_session: Callable[..., str]
) -> None:
    state = make_state("0.7")
    session = new_session(state)
    state.rows.append(session, Row("assistant", tool_calls=[ToolCallRecord("T1", "Bash")]))
    state.rows.append(session, Row("tool", tool_results=[{"call_id": "other", "output": "o"}]))
    assert len(state.rows.of(state.sessions.fork(session, 1, None)["id"])) == 1


def test_a_fork_is_a_session_of_its_own(
    make_state: Callable[..., ServerState], new_session: Callable[..., str]
) -> None:
    state = make_state("0.7")
    session = new_session(state)
    converse(state, session, "aB")
    fork = state.sessions.fork(session, 2, None)["id"]
    converse(state, fork, "xY")
    converse(state, session, "c")
    state.delete_session(session)
    assert texts(state, fork) == "aBxY"


@pytest.mark.parametrize("api", ALL)
def test_rewind_keeps_everything_up_to_the_message(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str
) -> None:
    state = make_state(api)
    session, other = new_session(state, "Title"), new_session(state)
    ids = converse(state, session, "aBcDeF")
    converse(state, other, "xY")
    state.sessions.add_usage(session, prompt_tokens=7, completion_tokens=8, cost=0.5)
    assert state.rewind(session, ids[5], cleanup_media=False)["assistantMessageCount"] == 3
    body = state.rewind(session, ids[3], cleanup_media=False)
    assert texts(state, session) == "aBcD"
    assert (body["userMessageCount"], body["assistantMessageCount"]) == (2, 2)
    assert (body["promptTokens"], body["completionTokens"], body["cost"], body["title"]) == (7, 8, 0.5, "Title")
    state.rewind(session, ids[0], cleanup_media=False)
    assert texts(state, session) == "a"
    assert texts(state, other) == "xY"


@pytest.mark.parametrize("api", ALL)
def test_rewind_errors(make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str) -> None:
    state = make_state(api)
    session, other = new_session(state), new_session(state)
    ids = converse(state, session, "aB")
    (foreign,) = converse(state, other, "x")
    for target, message, status, words in [
        (session, "", 400, "messageId"),
        (str(uuid.uuid4()), ids[0], 404, "Session with ID"),
        (session, str(uuid.uuid4()), 404, "Message with ID"),
        (session, foreign, 404, f"Message with ID '{foreign}' not found"),
    ]:
        with pytest.raises(ApiError, match=words) as caught:
            state.rewind(target, message, cleanup_media=True)
        assert caught.value.status == status
    assert texts(state, session) == "aB"


def test_q24_rewind_reply_lacks_the_browser(make_state: Callable[..., ServerState]) -> None:
    state = make_state("0.8")
    body = {
        "title": "t",
        "browserMode": "remote-cdp-websocket",
        "cdpUrl": "ws://b",
        "callbacks": [{"toolName": "*", "type": "send_message", "messageContent": "m"}],
    }
    session = state.sessions.create(body)["id"]
    (first,) = converse(state, session, "a")
    reply = state.rewind(session, first, cleanup_media=False)
    assert reply["browserMode"] == ""
    assert not {"cdpUrl", "callbacks"} & set(reply)
    later = state.sessions.get(session)
    assert (later["browserMode"], later["cdpUrl"], len(later["callbacks"])) == ("remote-cdp-websocket", "ws://b", 1)


def test_q24_older_rewind_replies_are_complete(
    make_state: Callable[..., ServerState], new_session: Callable[..., str]
) -> None:
    state = make_state("0.7")
    session = new_session(state, callbacks=[{"toolName": "*", "type": "send_message", "messageContent": "m"}])
    (first,) = converse(state, session, "a")
    reply = state.rewind(session, first, cleanup_media=False)
    assert reply == state.sessions.get(session)
    assert len(reply["callbacks"]) == 1


def test_q25_a_row_written_after_a_rewind_is_appended_and_an_old_one_stays_away(
    state: ServerState, new_session: Callable[..., str]
) -> None:
    session = new_session(state)
    first, *_ = converse(state, session, "a")
    running = state.rows.append(session, Row("assistant", "B"))
    state.rewind(session, first, cleanup_media=False)
    running.text = "Bb"
    state.rows.update(running)
    converse(state, session, "C")
    assert texts(state, session) == "aC"


@pytest.mark.parametrize(
    "case",
    [
        # Kept message at t, first deleted one at t+10: the rules differ in which of the two counts.
        ("0.7", 0, {"t+1", "t+10", "t+11"}),
        ("0.8", 0, {"t+11"}),
        ("0.7", 1, {"t+11"}),
        ("0.8", 1, {"t+11"}),
    ],
)
def test_q26_cleanup_compares_whole_seconds(
    make_state: Callable[..., ServerState],
    new_session: Callable[..., str],
    clock: Any,
    case: tuple[str, int, set[str]],
) -> None:
    api, target, gone = case
    state = make_state(api)
    session = new_session(state)
    start = int(clock.now)
    ids = converse(state, session, "a")
    clock.now += 10
    ids += converse(state, session, "B")
    private = state.files.workspace(session)
    (private / "sub").mkdir()
    ages = {"t-1": -1.0, "t": 0.9, "t+1": 1.0, "t+10": 10.9, "t+11": 11.0}
    files = {name: private / name for name in ages} | {
        "inner": private / "sub" / "late",
        "up": state.files.uploads / "late",
    }
    for name, path in files.items():
        path.write_text(name)
        os.utime(path, (start + ages.get(name, 99), start + ages.get(name, 99)))
    (private / "link").symlink_to(files["up"])
    os.utime(private / "link", (start + 99, start + 99), follow_symlinks=False)
    os.utime(private / "sub", (start + 99, start + 99))
    state.rewind(session, ids[target], cleanup_media=False)
    assert all(path.exists() for path in files.values())
    if target == 0:
        clock.now = start + 10
        converse(state, session, "B")
    state.rewind(session, ids[target], cleanup_media=True)
    assert {name for name, path in files.items() if not path.exists()} == gone
    assert (private / "link").is_symlink()


def test_export_is_a_transcript(state: ServerState, new_session: Callable[..., str], clock: Any) -> None:
    session = new_session(state, "Story")
    converse(state, session, "a")
    clock.now += 5
    calls = [ToolCallRecord("T1", "Bash", '{"command": "ls"}', finished=True)]
    state.rows.append(session, Row("assistant", "B", tool_calls=calls, finish_reason="tool_use", model="m"))
    state.rows.append(session, Row("tool", tool_results=[{"call_id": "T1", "output": "o"}]))
    export = state.sessions.export(session)
    assert (export["title"], export["userMessageCount"], export["toolCallCount"]) == ("Story", 1, 1)
    assert (export["createdAt"], export["updatedAt"]) == ("2025-10-09T08:53:20Z", "2025-10-09T08:53:25Z")
    user, assistant, tool = export["messages"]
    assert [m["role"] for m in (user, assistant, tool)] == ["user", "assistant", "tool"]
    assert assistant["toolCalls"][0]["inputJson"] == {"command": "ls"}
    assert (user["content"], assistant["finishReason"], tool["content"]) == ("a", "tool_use", "")
    json.dumps(export)
    with pytest.raises(ApiError) as caught:
        state.sessions.export("unknown")
    assert (caught.value.status, caught.value.type) == (404, "not_found")


# Forks and rewinds against a list of lists. A tool row stands for the results of the row before it.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("call"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("fork"), st.integers(0, 9), st.integers(0, 12)),
        st.tuples(st.just("rewind"), st.integers(0, 9), st.integers(0, 12)),
        st.tuples(st.just("delete"), st.integers(0, 9), st.just(0)),
    ),
    max_size=30,
)


@pytest.mark.parametrize("examples", [20, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_any_forks_and_rewinds_agree_with_plain_lists(examples: int) -> None:
    settings(max_examples=examples, deadline=None)(given(STEPS)(_agree_with_plain_lists))()


def _agree_with_plain_lists(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        state = ServerState(ApiVersion.V0_7, Path(directory), temporary=True)
        first = state.sessions.create({"title": "t"})["id"]
        model: dict[str, list[tuple[str, str]]] = {first: []}
        counter = 0
        for action, which, number in steps:
            if not model:
                break
            session = list(model)[which % len(model)]
            rows = model[session]
            if action == "say":
                counter += 1
                state.rows.append(session, Row("user", f"u{counter}"))
                rows.append(("user", f"u{counter}"))
            elif action == "call":
                counter += 1
                call = ToolCallRecord(f"c{counter}", "Bash")
                state.rows.append(session, Row("assistant", f"c{counter}", tool_calls=[call]))
                state.rows.append(session, Row("tool", tool_results=[{"call_id": call.id, "output": "o"}]))
                rows += [("assistant", f"c{counter}"), ("tool", "")]
            elif action == "fork":
                end = number + (0 < number < len(rows) and rows[number][0] == "tool")
                model[state.sessions.fork(session, number, None)["id"]] = rows[:end]
            elif action == "rewind" and rows:
                index = number % len(rows)
                state.rewind(session, state.rows.of(session)[index].id, cleanup_media=False)
                del rows[index + 1 :]
            elif action == "delete":
                state.delete_session(session)
                del model[session]
        assert {s["id"] for s in state.sessions.listing(include_subagents=True)} == set(model)
        for session, rows in model.items():
            assert [(m["role"], m["userInput"]) for m in state.rows.messages(session)] == rows
        every = [row.id for session in model for row in state.rows.of(session)]
        assert len(every) == len(set(every))
        state.close()
