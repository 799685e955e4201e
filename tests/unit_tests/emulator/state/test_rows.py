from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from langchain_mix.emulator.state import ApiError, Row, ServerState, ToolCallRecord
from langchain_mix.protocol.api import ALL

FULL = Row(
    "assistant",
    "text 😀 \x00",
    tool_calls=[ToolCallRecord("c", "Bash", "{}", "tool_use", True, "r", True, ["u"])],
    tool_results=[{"call_id": "c", "name": "Bash", "output": "o", "is_error": False}],
    callback_results=[{"tool_call_id": "c", "success": True}],
    reasoning="why",
    reasoning_duration=3,
    thinking_blocks=["t"],
    redacted_thinking_blocks=["r"],
    finish_reason="end_turn",
    model="m",
    input_tokens=1,
    output_tokens=2,
    cache_creation_tokens=3,
    cache_read_tokens=4,
    cost=0.125,
)


def test_a_row_comes_back_as_it_was(state: ServerState, new_session: Callable[..., str], clock: Any) -> None:
    session = new_session(state)
    stored = state.rows.append(session, FULL)
    assert stored is FULL
    assert (stored.session_id, stored.created_at, stored.updated_at) == (session, int(clock.now), int(clock.now))
    assert uuid.UUID(stored.id).version == 4
    assert state.rows.of(session) == [FULL]


def test_an_update_changes_the_content_alone(state: ServerState, new_session: Callable[..., str], clock: Any) -> None:
    session = new_session(state)
    row = state.rows.append(session, Row("assistant"))
    made = row.created_at
    clock.now += 5
    row.text, row.finish_reason, row.created_at = "done", "end_turn", 7
    state.rows.update(row)
    (found,) = state.rows.of(session)
    assert (found.text, found.finish_reason, found.id) == ("done", "end_turn", row.id)
    assert (found.created_at, found.updated_at) == (made, made + 5)


def test_lone_surrogates_are_stored_as_replacement_characters(
    state: ServerState, new_session: Callable[..., str]
) -> None:
    session = new_session(state, title="a\ud800")
    state.rows.append(session, Row("user", "b\udfff"))
    assert state.sessions.get(session)["title"] == "a\ufffd"
    assert state.rows.messages(session)[0]["userInput"] == "b\ufffd"


def test_no_row_without_a_session(state: ServerState, new_session: Callable[..., str]) -> None:
    row = Row("user", "hi")
    with pytest.raises(ApiError) as caught:
        state.rows.append(str(uuid.uuid4()), row)
    assert (caught.value.status, caught.value.type) == (500, "internal_error")
    assert row.id == ""
    assert state.rows.history(10, 0) == []


@pytest.mark.parametrize("api", ALL)
def test_q40_messages_of_an_unknown_or_deleted_session_are_an_empty_list(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str
) -> None:
    state = make_state(api)
    assert state.rows.messages("nothing") == []
    session = new_session(state)
    state.rows.append(session, Row("user", "hi"))
    state.delete_session(session)
    assert state.rows.messages(session) == []
    assert state.rows.of(session) == []
    assert state.rows.history(10, 0) == []


@pytest.mark.parametrize("api", ALL)
def test_the_typical_tool_turn(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str
) -> None:
    state = make_state(api)
    session = new_session(state)
    state.rows.append(session, Row("user", "list files"))
    state.rows.append(
        session,
        Row("assistant", "Let me look", tool_calls=[ToolCallRecord("T1", "Bash", "{}", finished=True)]),
    )
    state.rows.append(session, Row("tool", tool_results=[{"call_id": "T1", "name": "Bash", "output": "a.txt"}]))
    state.rows.append(session, Row("assistant", "Done."))
    user, looks, tool, done = state.rows.messages(session)
    assert (user["userInput"], "assistantResponse" in user) == ("list files", False)
    assert (tool["role"], tool["userInput"], "assistantResponse" in tool) == ("tool", "", False)
    assert (done["userInput"], done["assistantResponse"]) == ("Done.", "Done.")
    assert looks["toolCalls"][0].get("result") == ("a.txt" if state.caps.tool_results else None)
    counters = state.sessions.get(session)
    assert [counters[k] for k in ("userMessageCount", "assistantMessageCount", "toolCallCount")] == [1, 2, 1]


def test_results_are_joined_in_call_order_from_the_nearest_following_row(
    state: ServerState, new_session: Callable[..., str]
) -> None:
    session = new_session(state)
    for turn in ("first", "second"):
        calls = [ToolCallRecord("T1", "Bash"), ToolCallRecord("T2", "Grep"), ToolCallRecord("T3", "Glob")]
        state.rows.append(session, Row("assistant", tool_calls=calls))
        results = [
            {"call_id": "T1", "output": f"{turn} one", "is_error": False},
            {"call_id": "T2", "output": f"{turn} two", "is_error": True},
        ]
        state.rows.append(session, Row("tool", tool_results=results))
    shown = [m["toolCalls"] for m in state.rows.messages(session) if "toolCalls" in m]
    assert [[c.get("result") for c in calls] for calls in shown] == [
        ["first one", "first two", None],
        ["second one", "second two", None],
    ]
    assert [c.get("isError") for c in shown[0]] == [None, True, None]


def test_history_spans_sessions_newest_first(state: ServerState, new_session: Callable[..., str], clock: Any) -> None:
    first, second = new_session(state), new_session(state)
    for index, session in enumerate([first, second, first]):
        clock.now += 1
        state.rows.append(session, Row("user", f"u{index}"))
        state.rows.append(session, Row("assistant", f"a{index}"))
    assert [m["userInput"] for m in state.rows.history(50, 0)] == ["u2", "u1", "u0"]
    assert [m["sessionId"] for m in state.rows.history(50, 0)] == [first, second, first]
    assert [m["userInput"] for m in state.rows.history(1, 0)] == ["u2"]
    assert [m["userInput"] for m in state.rows.history(1, 1)] == ["u1"]
    assert state.rows.history(5, 3) == []


def test_q31_rows_of_one_second_keep_their_order(state: ServerState, new_session: Callable[..., str]) -> None:
    session = new_session(state)
    for index in range(20):
        state.rows.append(session, Row("user", str(index)))
    assert [m["userInput"] for m in state.rows.messages(session)] == [str(i) for i in range(20)]


def test_rows_of_concurrent_threads_are_all_there_and_isolated(
    state: ServerState, new_session: Callable[..., str]
) -> None:
    sessions = [new_session(state) for _ in range(4)]

    def write(worker: int) -> None:
        for index in range(25):
            row = state.rows.append(sessions[worker % 4], Row("user", f"{worker}:{index}"))
            row.text += "!"
            state.rows.update(row)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    for number, session in enumerate(sessions):
        rows = state.rows.of(session)
        assert sorted(r.text for r in rows) == sorted(f"{w}:{i}!" for w in (number, number + 4) for i in range(25))
        assert [r.sequence for r in rows] == sorted(r.sequence for r in rows)
        for worker in (number, number + 4):
            own = [r.text for r in rows if r.text.startswith(f"{worker}:")]
            assert own == [f"{worker}:{i}!" for i in range(25)]
    assert len({r.id for s in sessions for r in state.rows.of(s)}) == 200
