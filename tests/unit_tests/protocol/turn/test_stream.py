"""One rule of the stream per test."""

import pytest

from langchain_mix import errors
from langchain_mix.protocol.turn import signals
from langchain_mix.protocol.turn import updates as up


def test_complete_of_a_subagent_never_ends_the_parent(bench, row):
    server = bench().begun()
    server.event("complete", content="sub", messageId="X", done=True, parentToolCallId="T")
    assert not server.turn.over
    server.rows.append(row("assistant", "M", "parent"))
    server.complete("parent")
    assert server.result.full_text == "parent"


def test_error_of_a_subagent_never_ends_the_parent(bench):
    server = bench().begun()
    server.event("error", error="boom", parentToolCallId="T")
    assert not server.turn.over
    assert server.updates[-1] == up.SubagentUpdate("T", up.Progress("subagent_error", {"error": "boom"}))


def test_what_a_subagent_says_is_never_the_turns_own_text(bench):
    server = bench().begun()
    sub = {"parentToolCallId": "T", "assistantMessageId": "X"}
    assert signals.Watch("T") in server.event(
        "user_message_created", messageId="P", content="task", parentToolCallId="T"
    )
    server.event("thinking", content="hm", **sub)
    server.event("content", content="inner", **sub)
    server.event("tool_use_start", id="N", name="Grep", **sub)
    server.event("tool_execution_start", toolCallId="N", **sub)
    server.event("tool_execution_complete", toolCallId="N", success=True, **sub)
    nested = [u.update for u in server.of(up.SubagentUpdate)]
    assert [type(u).__name__ for u in nested] == [
        "Accepted", "ThinkingDelta", "TextDelta", "ToolCallStarted", "ToolRunning", "ToolFinished",
    ]  # fmt: skip
    assert server.shown == ""
    assert server.turn.partial().tool_calls == []


def test_a_task_is_watched_until_it_is_over(bench):
    server = bench().begun()
    server.event("tool_use_start", id="T", name="Task", assistantMessageId="M")
    server.event("tool_execution_start", toolCallId="T", toolName="")
    assert signals.Unwatch("T") in server.event("tool_execution_complete", toolCallId="T", success=True)
    server.event("tool_use_start", id="B", name="Bash", assistantMessageId="M")
    assert server.event("tool_execution_complete", toolCallId="B", success=True) == [
        signals.Emit(up.ToolFinished("B", "Bash", True, ""))
    ]


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8"])
def test_the_duplicate_of_an_error_is_swallowed_and_not_kept(bench, api):
    server = bench(api=api).begun()
    server.unreadable = None
    first = server.turn.step(signals.Received(_error(server, "boom")))
    assert first == (signals.Reconcile(export=api != "0.8"),)
    assert server.turn.stale_error == "boom"
    assert server.event("error", error="boom") == []  # While the stored messages are being read.
    assert server.turn.stale_error == ""  # The echo has come: the next error of these words is a new one.


def test_an_error_that_comes_once_leaves_its_echo_to_the_next_turn(bench):
    server = bench(api="0.6.5").begun()
    server.event("error", error="boom")
    assert isinstance(server.error, errors.MixAgentError)
    assert server.error.data["error"] == "boom"
    assert server.turn.stale_error == "boom"


def test_a_rejected_key_comes_again_in_other_words(bench):
    server = bench(api="0.7").begun()
    server.event("error", error="401 Unauthorized")
    assert server.turn.stale_error.startswith("⚠️ Authentication required. Please use the /login command")


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8"])
def test_a_stale_error_of_the_turn_before_is_not_charged_to_this_one(bench, row, api):
    server = bench(api=api, stale_error="boom")
    server.connected()
    server.event("error", error="boom")
    assert not server.turn.over
    server.accepted()
    server.rows.append(row("user", "U", "hi"))
    server.event("user_message_created", messageId="U", content="hi")
    server.rows.append(row("assistant", "M", "fine"))
    server.say("fine")
    server.complete("fine")
    assert server.result.full_text == "fine"
    assert server.turn.stale_error == ""


def test_the_same_error_again_is_this_turns_own(bench):
    server = bench(api="0.6.5", stale_error="boom")
    server.connected()
    server.accepted()
    server.event("error", error="boom")
    assert not server.turn.over
    server.event("error", error="boom")
    assert isinstance(server.error, errors.MixAgentError)


def test_a_stale_error_is_forgotten_after_a_good_turn(bench, row):
    server = bench(api="0.6.5", stale_error="boom").begun()
    server.rows.append(row("assistant", "M", "a"))
    server.complete("a")
    assert server.turn.stale_error == ""


def test_rate_limit_error_is_progress_and_no_end(bench):
    server = bench().begun()
    server.event(
        "rate_limit_error", error="slow down", type="rate_limit_error", retryAfter=60, attempt=1, maxAttempts=8
    )
    assert not server.turn.over
    (progress,) = server.of(up.Progress)
    assert progress.kind == "rate_limit"
    assert progress.detail["retryAfter"] == 60
    server.event("error", error="LLM API rate limited - maximum retry attempts reached: 8 retries")
    assert "wait before" in server.error.hint


def test_late_deltas_after_complete_are_told_once_by_the_rows(bench, row):
    server = bench().begun()
    server.say("Hel")
    server.rows.append(row("assistant", "M", "Hello"))
    assert server.turn.step(signals.Received(_complete(server, "Hello"))) == (signals.Reconcile(export=False),)
    assert server.say("lo") == []  # It arrives while the rows are read.
    server.step(server.read(export=False))
    assert server.shown == server.result.full_text == "Hello"


def test_the_final_event_tells_the_end_where_rows_cannot_be_read(bench):
    server = bench().begun()
    server.say("Hel")
    server.unreadable = errors.MixTimeoutError("late")
    server.complete("Hello")
    assert server.shown == server.result.full_text == "Hello"
    assert server.result.verified is False


def test_verified_is_false_when_the_rows_do_not_hold_the_turn(bench):
    server = bench().begun()
    server.say("a")
    server.rows.clear()  # Mix: a deleted session lists no messages.
    server.complete("a")
    assert server.result.full_text == "a"
    assert server.result.verified is False


def test_text_missing_in_the_middle_is_restated_and_the_result_is_whole(bench, row):
    server = bench().begun()
    server.say("Hel")
    server.say("world")
    server.rows.append(row("assistant", "M", "Hello world"))
    server.complete("Hello world")
    assert server.of(up.TextRestated) == [up.TextRestated("M", "Hello world")]
    assert server.result.full_text == "Hello world"
    assert server.shown == "Helworld"


def test_lost_indentation_is_a_gap_too(bench, row):
    server = bench().begun()
    server.say("if x:\n")
    server.say("return")
    server.rows.append(row("assistant", "M", "if x:\n    return"))
    server.complete("if x:\n    return")
    assert server.of(up.TextRestated) == [up.TextRestated("M", "if x:\n    return")]


def test_a_lost_complete_is_noticed_at_a_heartbeat(bench, row):
    server = bench().begun()
    server.say("Hel")
    server.rows.append(row("assistant", "M", "Hel", finish=""))
    server.heartbeat()
    assert not server.turn.over
    server.rows[-1] = row("assistant", "M", "Hello")
    server.heartbeat()
    assert server.shown == server.result.full_text == "Hello"


def test_a_stored_cancel_or_failure_is_noticed_at_a_heartbeat(bench, row):
    for finish, kind in (("canceled", errors.MixTurnCancelled), ("error", errors.MixAgentError)):
        server = bench().begun()
        server.rows.append(row("assistant", "M", "Hel", finish=finish))
        server.heartbeat()
        assert isinstance(server.error, kind)
        assert server.error.turn.text == "Hel"


def test_an_unreadable_end_is_looked_up(bench, row):
    server = bench().begun()
    server.rows.append(row("assistant", "M", "a"))
    server.event("complete", "not json")
    assert server.result.full_text == "a"


@pytest.mark.parametrize("text", ["request cancelled by user", "context canceled"])
def test_a_cancelled_turn_keeps_what_was_said(bench, row, text):
    server = bench().begun()
    server.say("Hello wor")
    server.rows.append(row("assistant", "M", "Hello", finish="canceled"))
    server.event("error", error=text)
    assert isinstance(server.error, errors.MixTurnCancelled)
    assert server.error.turn.full_text == "Hello wor"
    assert server.error.turn.verified is True


def test_max_steps_says_how_to_go_on(bench):
    server = bench().begun()
    server.event("error", error="maximum iteration limit (3 steps) reached")
    assert isinstance(server.error, errors.MixAgentError)
    assert "max_steps" in server.error.hint
    assert server.error.acted == "yes"


def test_a_sign_in_notice_is_someone_elses_where_the_answer_tells_ours(bench):
    server = bench().begun()
    server.event("error", error="⚠️ Authentication required. Please go to settings and authenticate")
    assert not server.turn.over
    assert server.of(up.Progress)[-1].kind == "sign_in_notice"


def test_on_0_5_the_sign_in_notice_is_the_only_answer_there_is(bench):
    server = bench(api="0.5")
    server.connected()
    server.accepted()
    server.event(
        "error",
        {"error": "⚠️ Authentication required. Please go to settings and authenticate", "type": "authentication_error"},
    )
    assert isinstance(server.error, errors.MixAgentError)
    assert "store_api_key" in server.error.hint


def test_an_unknown_session_is_an_event_and_not_a_status(bench):
    server = bench()
    server.event("error", {"error": "Invalid session ID: S"})
    assert isinstance(server.error, errors.MixNotFoundError)
    assert server.error.acted == "no"
    assert server.of(signals.Send) == []


def test_a_deleted_session_ends_the_turn_and_another_one_does_not(bench):
    server = bench().begun()
    server.event("session_deleted", sessionId="other")
    server.event("session_created", sessionId="S2", title="t")
    assert not server.turn.over
    server.event("session_deleted", sessionId="S")
    assert isinstance(server.error, errors.MixTurnCancelled)
    assert not server.turn.may_run


def test_a_foreign_turn_that_runs_before_ours_is_not_ours(bench, row):
    server = bench()
    server.connected()
    server.say("foreign", "F1")
    server.accepted()
    server.complete("foreign", "F1")
    server.rows = [row("user", "X", "else"), row("assistant", "F1", "foreign")]
    assert server.shown == ""
    server.rows.append(row("user", "U", "hi"))
    server.event("user_message_created", messageId="U", content="hi")
    server.say(" late", "F1")
    server.complete("foreign", "F1")
    assert not server.turn.over
    server.say("ours", "M")
    server.rows.append(row("assistant", "M", "ours"))
    server.complete("ours", "M")
    assert server.result.full_text == server.shown == "ours"
    assert server.result.contended is False


def contended(bench, row):
    """Ours has said M1; another turn begins; both go on."""
    server = bench().begun()
    server.say("one ", "M1")
    server.rows.append(row("assistant", "M1", "one ", calls=[("T1", "Bash", "{}", "o")], finish="tool_use"))
    server.event("user_message_created", messageId="X", content="else")
    server.rows.append(row("user", "X", "else"))
    server.say("foreign", "F")
    server.event("tool_use_start", id="TF", name="Write", assistantMessageId="F")
    server.event("tool_execution_start", toolCallId="TF")
    server.say("two", "M2")
    server.rows += [row("assistant", "F", "foreign"), row("assistant", "M2", "two")]
    return server


def test_a_foreign_turn_beside_ours_leaves_no_word_in_it(bench, row):
    server = contended(bench, row)
    assert server.shown == "one "
    server.rows[-1] = row("assistant", "M2", "tw", finish="")
    server.complete("foreign", "F")
    assert not server.turn.over
    server.complete("foreign", "F")  # Both turns tell every event.
    assert not server.turn.over
    server.rows[-1] = row("assistant", "M2", "two")
    server.complete("two", "M2")
    assert server.result.full_text == server.shown == "one two"
    assert [c.id for c in server.result.tool_calls] == ["T1"]


def test_the_failure_of_a_foreign_turn_is_not_charged_to_ours(bench, row):
    server = contended(bench, row)
    server.rows[-1] = row("assistant", "M2", "two", finish="")
    server.event("error", error="theirs")
    server.event("error", error="theirs")
    assert not server.turn.over
    server.rows[-1] = row("assistant", "M2", "two")
    server.complete("two", "M2")
    assert server.result.full_text == "one two"


def test_a_turn_that_fails_beside_a_foreign_one_still_ends(bench, row):
    server = contended(bench, row)
    server.rows[-1] = row("assistant", "M2", "two", finish="error")
    server.event("error", error="a")
    assert isinstance(server.error, errors.MixAgentError)
    assert server.error.turn.full_text == "one two"


def test_a_turn_that_fails_without_a_row_beside_one_that_fails_still_ends(bench, row):
    server = bench().begun()
    server.event("user_message_created", messageId="X", content="else")
    server.rows.append(row("user", "X", "else"))
    server.event("error", error="a")
    assert not server.turn.over
    server.event("error", error="b")
    assert isinstance(server.error, errors.MixAgentError)
    assert server.error.turn.full_text == ""


def test_a_contended_turn_whose_ends_are_lost_ends_at_a_heartbeat(bench, row):
    server = contended(bench, row)
    server.complete("two", "M2")
    server.heartbeat()
    assert server.result.full_text == "one two"


def test_an_error_before_anything_of_ours_decides_only_when_it_stays_alone(bench, row):
    server = bench(api="0.8")
    server.connected()
    server.accepted()
    server.rows.append(row("user", "U", "hi"))
    server.event("error", error="boom")
    assert not server.turn.over
    server.event("error", error="boom")
    assert isinstance(server.error, errors.MixAgentError)
    assert "boom" in server.error.message


def test_an_early_error_is_forgotten_when_the_turn_begins_after_it(bench, row):
    server = bench(api="0.8")
    server.connected()
    server.event("error", error="boom")
    server.accepted()
    server.rows.append(row("user", "U", "hi"))
    server.event("user_message_created", messageId="U", content="hi")
    for _ in range(3):
        server.heartbeat()
    assert not server.turn.over


def test_a_lost_announcement_leaves_the_text_to_the_rows(bench, row):
    server = bench(api="0.7")
    server.connected()
    server.accepted()
    server.say("Hel", "M")
    server.rows = [row("user", "U", "hi"), row("assistant", "M", "Hello")]
    server.complete("Hello", "M")
    assert server.shown == server.result.full_text == "Hello"
    assert server.result.user_message_id == "U"


def test_plan_mode_texts_are_recognised(bench):
    server = bench(api="0.8")
    server.connected()
    server.event("user_message_created", messageId="U", content="hi\n\n<system-reminder>\nPlan.\n</system-reminder>")
    assert server.of(up.Accepted) == [up.Accepted("U")]


def test_a_longer_foreign_text_that_begins_alike_is_not_ours(bench):
    server = bench(api="0.8")
    server.connected()
    server.event("user_message_created", messageId="X", content="hi\nthere, somebody else")
    assert server.of(up.Accepted) == []
    server.event("user_message_created", messageId="U", content="hi")
    assert server.of(up.Accepted) == [up.Accepted("U")]


def test_permissions_are_asked_for_and_never_before_the_message_was_sent(bench):
    server = bench()
    assert server.event("permission", id="P0", toolName="Bash") == []
    server.connected()
    told = server.event("permission", id="P", toolName="Bash", params={"command": "make"})
    assert [type(e) for e in told] == [signals.Emit, signals.Ask]
    assert told[1].request.id == "P"
    assert told[1].request.params == {"command": "make"}


def test_notifications_are_told_and_answered(bench):
    server = bench().begun()
    told = server.event("notification", id="N", message="?", responseType="choice", choices=["a"])
    assert [type(e) for e in told] == [signals.Emit, signals.Notify]


def test_summaries_are_progress(bench):
    server = bench(api="0.6").begun()
    server.event("summarize", progress="half", done=False)
    assert server.of(up.Progress)[-1].kind == "summarize"


def test_unknown_events_are_progress_before_and_during_a_turn(bench):
    server = bench()
    server.event("brand_new", {"a": 1})
    server.connected()
    server.event("brand_new", "text")
    assert [p.kind for p in server.of(up.Progress)] == ["brand_new", "brand_new"]
    assert server.of(up.Progress)[1].detail["raw"] == "text"


def _error(server, text):
    return _parsed("error", {"error": text})


def _complete(server, text):
    return _parsed("complete", {"type": "complete", "content": text, "messageId": "M", "done": True})


def _parsed(name, data):
    import json

    from langchain_mix.protocol.events import parse_event
    from langchain_mix.protocol.sse import ServerSentEvent

    return parse_event(ServerSentEvent(name, json.dumps(data)))
