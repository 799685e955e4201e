"""What the stored messages decide."""

import pytest

from langchain_mix import errors
from langchain_mix.protocol.turn import signals
from langchain_mix.protocol.turn import updates as up


def test_tool_outputs_come_from_the_rows_on_0_8(bench, row):
    server = bench().begun()
    server.event("tool_use_start", id="T", name="Bash", assistantMessageId="M1")
    server.event("tool_use_parameter_streaming_complete", id="T", name="Bash", input="{}", assistantMessageId="M1")
    server.event("tool_execution_start", toolCallId="T")
    server.event("tool_execution_complete", toolCallId="T", success=True)
    server.rows += [row("assistant", "M1", calls=[("T", "Bash", "{}", "made")], finish="tool_use"), row("tool", "R")]
    server.rows.append(row("assistant", "M2", "Done."))
    server.complete("Done.", "M2")
    assert server.of(up.ToolOutput) == [up.ToolOutput("T", "made", False)]
    (call,) = server.result.tool_calls
    assert (call.output, call.status, call.input, call.name) == ("made", "succeeded", "{}", "Bash")
    assert [m.id for m in server.result.messages] == ["M1", "M2"]


def test_usage_adds_up_what_the_rows_of_this_turn_tell(bench, row):
    server = bench(api="0.8")
    server.rows = [row("user", "old", "x"), row("assistant", "O", "y", tokens=(100, 100, 9.0))]
    server.begun()
    server.rows.append(row("assistant", "M1", "a", calls=[("T", "Bash", "{}", "o")], tokens=(10, 1, 0.5)))
    server.rows.append(row("assistant", "M", "b", tokens=(20, 2, 0.25)))
    server.complete("b")
    usage = server.result.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cost, usage.whole_turn) == (30, 3, 0.75, True)
    assert server.result.model == "m"


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.6.5", "0.7"])
def test_before_0_8_usage_is_that_of_the_last_call_and_the_cost_is_the_difference(bench, row, api):
    server = bench(api=api, cost_before=1.0, cost=1.5).begun()
    server.rows.append(row("assistant", "M1", "a", calls=[("T", "bash", "{}", "")], finish="tool_use"))
    server.rows.append(row("assistant", "M", "b"))
    server.complete("b")
    usage = server.result.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cost, usage.whole_turn) == (7, 9, 0.5, False)
    assert server.of(signals.Reconcile)[-1] == signals.Reconcile(export=True)


def test_an_unknown_cost_before_leaves_the_cost_open(bench, row):
    server = bench(api="0.7", cost=1.5).begun()
    server.rows.append(row("assistant", "M", "b"))
    server.complete("b")
    assert server.result.usage.cost is None
    assert server.result.usage.whole_turn is True


def test_a_message_of_which_nothing_was_seen_is_told_whole(bench, row):
    server = bench().begun()
    server.rows.append(row("assistant", "M1", "one", thinking="hm", calls=[("T", "Bash", '{"a":1}', "o")]))
    server.rows.append(row("assistant", "M2", "two"))
    server.complete("two", "M2")
    assert server.of(up.TextDelta) == [up.TextDelta("M1", "one"), up.TextDelta("M2", "two")]
    assert server.of(up.ThinkingDelta) == [up.ThinkingDelta("M1", "hm")]
    assert server.of(up.ToolCalled) == [up.ToolCalled("T", "Bash", '{"a":1}', "M1")]
    assert server.shown == server.result.full_text


def test_the_rows_of_a_later_turn_are_not_this_ones(bench, row):
    server = bench().begun()
    server.say("a")
    server.rows += [row("assistant", "M", "a"), row("user", "X", "next"), row("assistant", "N", "foreign")]
    server.complete("a")
    assert server.result.full_text == server.shown == "a"


def test_rows_that_cannot_be_read_are_asked_for_again(bench, row):
    server = bench().begun()
    server.unreadable = errors.MixTimeoutError("late")
    server.heartbeat()
    assert not server.turn.over
    server.unreadable = None
    server.rows.append(row("assistant", "M", "a"))
    server.heartbeat()
    assert server.result.text == "a"


def test_a_session_that_is_gone_ends_the_turn(bench):
    server = bench().begun()
    data = errors.ErrorResponseData(errors.RESTError(404, "Session with ID 'S' not found", "not_found"))
    server.unreadable = errors.MixNotFoundError("gone", data=data)
    server.heartbeat()
    assert isinstance(server.error, errors.MixNotFoundError)


def test_a_read_that_fails_after_an_error_still_tells_the_error(bench):
    server = bench().begun()
    server.say("Hel")
    server.unreadable = errors.MixTimeoutError("late")
    server.event("error", error="boom")
    assert isinstance(server.error, errors.MixAgentError)
    assert server.error.turn.full_text == "Hel"
    assert server.error.turn.verified is False


def test_an_earlier_turn_with_the_same_words_is_not_taken_for_this_one(bench, row):
    server = bench(api="0.6.5", text="go on")
    server.rows = [row("user", "U0", "go on"), row("assistant", "M0", "Earlier.")]
    server.connected()
    server.accepted()
    server.heartbeat()
    assert server.result is None
    server.rows += [row("user", "U1", "go on"), row("assistant", "M1", "Now.")]
    server.heartbeat()
    server.heartbeat()
    assert server.result.full_text == "Now."
    assert server.result.user_message_id == "U1"


def test_rows_known_before_the_turn_are_never_its_own(bench, row):
    server = bench(api="0.6.5", text="go on", rows_before=2)
    server.rows = [row("user", "U0", "go on"), row("assistant", "M0", "Earlier.")]
    server.connected()
    server.accepted()
    server.heartbeat()
    server.heartbeat()
    assert server.result is None
    server.rows += [row("user", "U1", "go on"), row("assistant", "M1", "Now.")]
    server.heartbeat()
    assert server.result.full_text == "Now."


def test_a_user_row_of_a_callback_does_not_end_the_turn(bench, row):
    server = bench(api="0.8").begun()
    server.say("One. ", "M1")
    server.say("Two.", "M2")
    server.rows += [
        row("assistant", "M1", "One. "),
        row("user", "C", "from a callback"),
        row("assistant", "M2", "Two."),
    ]
    server.complete("Two.", "M2")
    assert server.result.full_text == "One. Two."
    assert [m.id for m in server.result.messages] == ["M1", "M2"]


def test_a_turn_that_was_over_before_the_break_is_not_interrupted(bench, row):
    server = bench(api="0.6").begun()
    server.say("Do")
    server.rows.append(row("assistant", "M", "Done."))
    server.dropped()
    assert server.error is None
    assert server.result.full_text == "Done."


def test_counters_stand_in_where_0_8_tells_no_tokens(bench, row):
    server = bench(api="0.8", cost_before=1.0, cost=1.5).begun()
    server.rows.append(row("assistant", "M", "b"))
    server.complete("b")
    assert server.of(signals.Reconcile) == [signals.Reconcile(export=False), signals.Reconcile(export=True)]
    assert (server.result.usage.input_tokens, server.result.usage.cost) == (7, 0.5)


def test_a_tool_whose_end_was_lost_has_ended_if_its_output_is_stored(bench, row):
    server = bench().begun()
    server.event("tool_use_parameter_streaming_complete", id="T", name="Bash", input="{}", assistantMessageId="M1")
    server.event("tool_execution_start", toolCallId="T")
    server.rows += [row("assistant", "M1", calls=[("T", "Bash", "{}", "made")]), row("assistant", "M", "Done.")]
    server.complete("Done.")
    assert server.of(up.ToolFinished) == [up.ToolFinished("T", "Bash", True, "")]
    assert server.result.tool_calls[0].status == "succeeded"


def test_a_silence_longer_than_any_tool_cancels_the_turn(bench, row):
    server = bench().begun()
    server.step(signals.Expired(660.0, quiet=True))
    assert server.of(signals.Cancel)
    assert isinstance(server.error, errors.MixTurnTimeout)
    assert "Nothing happened" in str(server.error)
