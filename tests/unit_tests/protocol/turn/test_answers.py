"""Answers, broken streams and spent budgets."""

import pytest

from langchain_mix import errors
from langchain_mix.protocol.turn import signals
from langchain_mix.protocol.turn import updates as up
from langchain_mix.protocol.turn.state import MAX_FRUITLESS, MAX_REOPENS, MAX_UNPROVEN

LOST = errors.MixTimeoutError("no answer", sent="POST /x", acted="unknown")


def rest_error(kind, status, message, acted="no"):
    error = kind(message, acted=acted, data=errors.ErrorResponseData(errors.RESTError(status, message, "t")))
    error.status_code = status
    return error


def test_a_refused_connection_fails_at_once_and_says_that_nothing_was_done(bench):
    server = bench()
    server.connected()
    error = errors.MixConnectionError("refused", acted="no")
    assert server.refused(error) == [signals.Fail(error)]
    assert error.acted == "no"
    assert not server.turn.may_run


@pytest.mark.parametrize(
    "error",
    [
        rest_error(errors.MixAuthenticationError, 401, "⚠️ Authentication required."),
        rest_error(errors.MixNotFoundError, 500, "sql: no rows in result set"),
        rest_error(errors.MixBadRequestError, 400, 'json: unknown field "max_steps"'),
    ],
)
def test_a_refusal_is_the_turns_error(bench, error):
    server = bench()
    server.connected()
    server.refused(error)
    assert server.error is error
    assert error.turn.sent_text == "hi"


def test_an_internal_error_is_told_and_nothing_is_sent_again(bench):
    server = bench()
    server.connected()
    error = rest_error(errors.MixInternalError, 500, "Internal error during sending: x", acted="unknown")
    server.refused(error)
    assert server.error is error
    assert len(server.of(signals.Send)) == 1


def test_a_failed_turn_of_0_6_is_an_agent_error_with_what_was_said(bench, row):
    server = bench(api="0.6").begun()
    server.say("Hel")
    server.rows.append(row("assistant", "M", "Hel", finish="error"))
    server.refused(rest_error(errors.MixInternalError, 500, "Internal error during agent processing: x", "unknown"))
    assert isinstance(server.error, errors.MixAgentError)
    assert server.error.turn.full_text == "Hel"
    assert server.error.status_code == 500


def test_a_lost_answer_goes_on_when_the_stream_has_told_of_the_turn(bench, row):
    server = bench().begun()
    assert server.refused(LOST) == []
    server.rows.append(row("assistant", "M", "a"))
    server.complete("a")
    assert server.result.text == "a"


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8"])
def test_a_lost_answer_goes_on_when_the_stream_tells_of_the_turn_later(bench, row, api):
    server = bench(api=api)
    server.connected()
    server.refused(LOST)
    server.rows.append(row("user", "U", "hi"))
    server.event("user_message_created", messageId="U", content="hi")
    server.say("a")
    server.heartbeat()
    server.heartbeat()
    assert not server.turn.over
    server.rows.append(row("assistant", "M", "a"))
    server.complete("a")
    assert server.result.text == "a"
    assert len(server.of(signals.Send)) == 1


def test_a_lost_answer_without_evidence_is_unknown_after_the_second_doubt(bench, row):
    server = bench()
    server.rows = [row("user", "old", "hi"), row("assistant", "O", "old answer")]  # The same words, earlier.
    server.connected()
    server.refused(LOST)
    assert not server.turn.over
    server.heartbeat()
    assert isinstance(server.error, errors.MixOutcomeUnknown)
    assert server.error.acted == "unknown"
    assert server.error.sent == "POST /x"
    assert server.shown == ""
    assert len(server.of(signals.Send)) == 1


def test_a_lost_answer_and_a_lost_server_is_unknown_and_not_left_running(bench):
    server = bench()
    server.connected()
    server.unreadable = errors.MixConnectionError("refused")
    server.refused(LOST)
    for _ in range(MAX_REOPENS + 1):
        server.dropped()
    assert isinstance(server.error, errors.MixOutcomeUnknown)


def test_an_answer_by_a_proxy_is_a_lost_answer(bench, row):
    server = bench()
    server.connected()
    server.refused(errors.MixDefaultError("502", acted="unknown"))
    assert not server.turn.over
    assert server.of(signals.Reconcile)


@pytest.mark.parametrize("api", ["0.6.5", "0.8"])
def test_a_slash_command_is_answered_at_once(bench, api):
    server = bench(api=api, text="/help", command=True)
    server.connected()
    server.answered(id="cmd-help", role="assistant", userInput="/help", assistantResponse='{"type":"help"}')
    assert server.result.command is True
    assert server.result.text == '{"type":"help"}'
    assert server.of(signals.Reconcile) == []


def test_a_slash_command_of_0_5_is_answered_on_the_stream(bench):
    server = bench(api="0.5", text="/help", command=True)
    server.connected()
    server.accepted()
    server.event("complete", content="the help", done=True)
    assert server.result.command is True
    assert server.result.text == "the help"


def test_an_answer_of_0_6_ends_the_turn_without_complete(bench, row):
    server = bench(api="0.6").begun()
    server.say("Hel")
    server.rows.append(row("assistant", "M", "Hello"))
    server.answered(id="M", role="user", userInput="hi", assistantResponse="Hello")
    assert server.shown == server.result.full_text == "Hello"
    assert server.say("lo") == []


def test_the_answer_of_0_6_alone_tells_the_end_where_rows_cannot_be_read(bench):
    server = bench(api="0.6").begun()
    server.say("Hel")
    server.unreadable = errors.MixTimeoutError("late")
    server.answered(id="M", role="user", userInput="hi", assistantResponse="Hello")
    assert server.shown == server.result.full_text == "Hello"


def test_a_complete_without_an_id_names_the_last_message(bench, row):
    server = bench(api="0.5").begun()
    server.say("Hello")
    server.rows.append(row("assistant", "M", "Hello"))
    server.event("complete", content="Hello", done=True)
    assert server.result.full_text == server.shown == "Hello"
    assert server.result.message_id == "M"


@pytest.mark.parametrize("api", ["0.5", "0.6"])
def test_a_break_interrupts_the_turn_with_its_partial_where_it_cancels(bench, row, api):
    server = bench(api=api).begun()
    server.say("Hel")
    server.rows.append(row("assistant", "M", "Hello", finish="canceled"))
    server.dropped()
    assert isinstance(server.error, errors.MixTurnInterrupted)
    assert server.error.turn.full_text == server.shown == "Hello"
    assert server.of(signals.Reopen) == []


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8"])
def test_a_broken_stream_is_reopened_and_never_sent_again(bench, row, api):
    server = bench(api=api).begun()
    server.say("Hel")
    assert server.dropped() == [signals.Reopen(1)]
    server.rows.append(row("assistant", "M", "Hello w", finish=""))
    told = server.connected()
    assert signals.Send() not in told
    assert up.Progress("reopened") in server.updates
    server.say("orld")  # The piece between was lost with the old stream, so this one is held back.
    assert server.shown == "Hel"
    server.rows[-1] = row("assistant", "M", "Hello world")
    server.complete("Hello world")
    assert server.shown == server.result.full_text == "Hello world"
    assert server.of(up.TextRestated) == []
    assert len(server.of(signals.Send)) == 1


def broken_in_tools(bench, row, api):
    """M1 calls T1; the stream breaks while M1 is written."""
    server = bench(api=api).begun()
    server.say("one ", "M1")
    server.dropped()
    server.rows.append(row("assistant", "M1", "one two", finish=""))
    server.connected()
    server.rows[-1] = row("assistant", "M1", "one two", calls=[("T1", "Bash", "{}", "")], finish="tool_use")
    return server


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8"])
def test_after_a_break_text_is_told_on_from_the_first_tool_that_runs(bench, row, api):
    server = broken_in_tools(bench, row, api)
    server.event("tool_execution_start", toolCallId="T1", progress="Executing Bash tool")
    assert server.shown == "one two"
    assert server.kinds.index("ToolRunning") > server.kinds.index("TextDelta")
    assert isinstance(server.updates[-1], up.ToolRunning)
    server.say("three", "M2")
    assert server.shown == "one twothree"


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8"])
def test_rows_that_are_ahead_of_a_reopened_stream_are_not_told_twice(bench, row, api):
    server = broken_in_tools(bench, row, api)
    ahead = row("assistant", "M2", "three", calls=[("T2", "Bash", "{}", "")], finish="tool_use")
    server.rows += [row("tool", "R1"), ahead]
    server.event("tool_execution_start", toolCallId="T1")
    server.say("three", "M2")
    server.event("tool_execution_start", toolCallId="T2")
    server.rows.append(row("assistant", "M3", "end"))
    server.say("end", "M3")
    server.complete("end", "M3")
    assert server.shown == server.result.full_text == "one twothreeend"


def test_a_break_after_a_tool_ran_does_not_tell_the_next_message_from_its_middle(bench, row):
    server = bench(api="0.6.5").begun()
    server.say("one", "M1")
    server.event("tool", id="T1", name="Bash", status="completed", input="{}")
    server.event("tool_execution_start", toolCallId="T1")
    server.event("tool_execution_complete", toolCallId="T1", success=True)
    first = row("assistant", "M1", "one", calls=[("T1", "Bash", "{}", "")], finish="tool_use")
    server.rows += [first, row("assistant", "M2", "begi", finish="")]
    server.dropped()
    server.connected()
    server.say("nning", "M2")
    assert server.shown == "one"
    server.rows[-1] = row("assistant", "M2", "beginning")
    server.complete("beginning", "M2")
    assert server.shown == server.result.full_text == "onebeginning"
    assert server.of(up.TextRestated) == []


def test_a_turn_that_ended_in_a_break_is_found_ended(bench, row):
    server = bench().begun()
    server.say("Hel")
    server.dropped()
    server.rows.append(row("assistant", "M", "Hello"))
    server.connected()
    assert server.shown == server.result.full_text == "Hello"


def test_a_stream_that_never_opens_is_given_up_and_nothing_was_sent(bench):
    server = bench()
    refused = errors.MixConnectionError("refused", acted="no")
    attempts = []
    while not server.turn.over:
        attempts += server.dropped(refused)
    assert attempts[:-1] == [signals.Reopen(n) for n in range(1, MAX_REOPENS + 1)]
    assert server.error is refused
    assert server.of(signals.Send) == []


def test_a_stream_that_cannot_be_had_back_leaves_the_turn_to_the_server(bench):
    server = bench().begun()
    while not server.turn.over:
        server.dropped()
    assert isinstance(server.error, errors.MixStreamError)
    assert server.error.acted == "yes"
    assert "Do not send it again" in server.error.hint
    assert len(server.of(signals.Reopen)) == MAX_REOPENS


def test_reopening_counts_from_one_again_once_it_brought_something_new(bench):
    server = bench().begun()
    server.dropped()
    server.dropped()
    server.connected()
    server.heartbeat()
    assert server.dropped() == [signals.Reopen(3)]
    server.connected()
    server.say("x")
    assert server.dropped() == [signals.Reopen(1)]


def test_rows_that_grow_between_two_streams_are_new(bench, row):
    server = bench().begun()
    server.heartbeat()
    for n in range(3):
        server.dropped()
        server.rows.append(row("assistant", f"M{n}", "text", finish="tool_use", calls=[(f"T{n}", "Bash", "{}", "")]))
        server.connected()
        assert server.dropped() == [signals.Reopen(1)]
        server.connected()


@pytest.mark.parametrize("again", ["keep-alive", "user_message_created"])
def test_what_comes_again_and_again_is_not_new(bench, again):
    """A keep-alive event of a later server, and what a server sends again on each stream."""
    server = bench("0.8").begun("U")
    body = {"messageId": "U", "content": "hi"} if again == "user_message_created" else {"a": 1}
    server.event(again, **body)
    for attempt in (1, 2, 3):
        assert server.dropped() == [signals.Reopen(attempt)]
        server.connected()
        server.event(again, **body)


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8", "next"])
def test_a_stream_that_is_cut_again_and_again_ends_the_turn(bench, api):
    """Each one opens, so that no count of failed attempts ends it; a shell may also lose its clock."""
    server = bench(api).begun()
    while not server.turn.over:
        server.dropped()
        server.connected()
    assert isinstance(server.error, errors.MixStreamError)
    assert server.error.acted == "yes"
    assert len(server.of(signals.Reopen)) == MAX_FRUITLESS


@pytest.mark.parametrize("answer", ["taken", "lost"])
@pytest.mark.parametrize("reads", ["without it", "failing"])
@pytest.mark.parametrize("sign", ["connected", "heartbeat"])
def test_a_message_that_nothing_proves_is_given_up(bench, answer, reads, sign):
    server = bench("0.8")
    server.connected()
    if reads == "failing":
        server.unreadable = errors.MixDefaultError("500")
    if answer == "taken":
        server.accepted()
    else:
        server.refused(errors.MixTimeoutError("No answer in time.", acted="unknown"))
    for _ in range(MAX_UNPROVEN + 1):
        if sign == "connected":
            server.dropped()
        server.event(sign, {"sessionId": "S"})
    assert isinstance(server.error, errors.MixOutcomeUnknown), repr(server.error)
    assert server.error.acted == "unknown"
    assert "before sending it again" in server.error.hint
    assert len(server.of(signals.Send)) == 1


def test_a_turn_that_shows_itself_is_never_unproven(bench):
    """Its words were changed on the way into the store, so that they are not recognised; its text comes all the same."""
    server = bench("0.6.5")
    server.connected()
    server.accepted()
    server.say("x")
    for _ in range(3 * MAX_UNPROVEN):
        server.heartbeat()
    assert not server.turn.over


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("taken", [False, True])
def test_a_time_that_is_over_says_whether_the_server_may_have_acted(bench, quiet, taken):
    server = bench("0.8")
    server.connected()
    if taken:
        server.accepted()
    server.step(signals.Expired(3.0, quiet=quiet))
    assert isinstance(server.error, errors.MixTurnTimeout)
    assert server.error.acted == ("yes" if taken else "unknown")
    assert len(server.of(signals.Cancel)) == 1


def test_a_refused_stream_is_not_knocked_at_again(bench):
    server = bench()
    error = errors.MixDefaultError("400")
    assert server.dropped(error) == [signals.Fail(error)]


def test_a_budget_spent_before_sending_sends_nothing(bench):
    server = bench()
    server.step(signals.Expired(2.5))
    assert isinstance(server.error, errors.MixTurnTimeout)
    assert server.error.acted == "no"
    assert "2.5 s" in server.error.message
    assert server.of(signals.Send) == server.of(signals.Cancel) == []


def test_a_budget_spent_while_it_runs_cancels_and_keeps_the_partial(bench, row):
    server = bench().begun()
    server.say("Hel")
    server.rows.append(row("assistant", "M", "Hello", finish="canceled"))
    told = server.step(signals.Expired(1))
    assert told[0] == signals.Cancel()
    assert isinstance(server.error, errors.MixTurnTimeout)
    assert server.error.acted == "yes"
    assert server.error.turn.full_text == "Hello"
