"""The laws of every turn: connect then send, send once, end once."""

import pytest

from langchain_mix import errors
from langchain_mix.protocol.turn import signals
from langchain_mix.protocol.turn import updates as up

EVERY = ["0.5", "0.6", "0.6.5", "0.7", "0.8", "next"]


@pytest.mark.parametrize("api", [*EVERY, "auto"])
def test_nothing_is_sent_before_the_stream_says_connected(bench, api):
    server = bench(api=api)
    server.heartbeat()
    server.say("x")
    server.event("user_message_created", messageId="F", content="hi")
    server.complete("x")
    assert server.of(signals.Send) == []
    assert not server.turn.may_run
    assert server.connected() == [signals.Send()]
    assert server.turn.may_run


@pytest.mark.parametrize("said", ["no json", "[]", '{"sessionId": 5}', "{}"])
def test_connected_counts_whatever_it_says(bench, said):
    assert bench().event("connected", said) == [signals.Send()]


@pytest.mark.parametrize("api", EVERY)
def test_a_plain_turn_ends_with_its_text(bench, row, api):
    server = bench(api=api).begun()
    server.say("Hel")
    server.say("lo")
    server.rows.append(row("assistant", "M", "Hello"))
    server.complete("Hello")
    assert server.kinds[-2:] == ["TextDelta", "TextDelta"]
    result = server.result
    assert (result.text, result.message_id, result.user_message_id) == ("Hello", "M", "U")
    assert (result.session_id, result.sent_text, result.row_count, result.verified) == ("S", "hi", 2, True)
    assert result.contended is result.command is False


def test_after_the_end_nothing_more_comes(bench, row):
    server = bench().begun()
    server.rows.append(row("assistant", "M", "a"))
    server.complete("a")
    assert server.turn.over
    for signal in (signals.Dropped(errors.MixStreamError("x")), signals.Answered(), signals.Read(), signals.Expired(1)):
        assert server.turn.step(signal) == ()
    assert server.say("b") == []


def test_the_generation_is_learned_on_the_way(bench):
    server = bench(api="auto")
    server.connected()
    server.accepted()
    assert not server.turn.detected.supports("send_waits")
    server.event("user_message_created", messageId="U", content="hi")
    assert server.turn.detected.supports("message_ids") is True
    server.event("tool_use_start", id="T", name="Bash")
    assert server.turn.detected.supports("tool_results") is True


def test_partial_holds_what_is_known_while_the_turn_runs(bench):
    server = bench().begun()
    server.say("Hel")
    partial = server.turn.partial()
    assert (partial.text, partial.user_message_id, partial.verified) == ("Hel", "U", False)
    assert [type(u) for u in server.updates] == [up.Accepted, up.TextDelta]
