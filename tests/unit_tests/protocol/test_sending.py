"""Procedures around one message: no text is a command by accident, which calls they make, what comes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_mix import errors
from langchain_mix.protocol import calls, sending
from langchain_mix.protocol.api import ALL, UNKNOWN, ApiKnowledge, ApiVersion, ServerApi
from langchain_mix.protocol.call import Call
from langchain_mix.protocol.models import BackendMessage, SendMessageResponse
from langchain_mix.protocol.sending import GUARD, guarded
from langchain_mix.protocol.turn.updates import Message, ToolCall, TurnResult, Usage

V0_5, V0_8 = ApiKnowledge([ApiVersion.V0_5]), ApiKnowledge([ApiVersion.V0_8])


def play(flow: Any, *answers: Any) -> tuple[list[Any], Any]:
    """Runs a flow with these answers; gives its calls and its result."""
    made = [next(flow)]
    for answer in answers:
        try:
            made.append(flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer))
        except StopIteration as done:
            return made, done.value
    raise AssertionError(f"It asks for more: {made[-1]}")


def bad_request(message: str) -> errors.MixBadRequestError:
    data = errors.ErrorResponseData(errors.RESTError(400, message, "validation_error"))
    return errors.MixBadRequestError(message, sent="POST /x", data=data)


def failure(message: str) -> errors.MixInternalError:
    data = errors.ErrorResponseData(errors.RESTError(500, message, "internal_error"))
    return errors.MixInternalError(message, sent="POST /x", acted="unknown", data=data)


def say(text: str, detected: ApiKnowledge = V0_5, **fields: Any) -> Call[SendMessageResponse]:
    return calls.send_message(detected, "S", text=text, **fields)


def test_an_answer_is_taken_as_it_is() -> None:
    answer, call = SendMessageResponse(status="processing"), say("Hi")
    assert play(sending.send_message(call), answer) == ([call], answer)


def test_a_field_that_the_server_does_not_know() -> None:
    refusal = bad_request("Validation error for field 'body': json: unknown field \"max_steps\"")
    with pytest.raises(errors.MixUnsupportedError, match="`max_steps`") as caught:
        play(sending.send_message(say("Hi", UNKNOWN, max_steps=3)), refusal)
    assert caught.value.hint == "It exists on API 0.8, next."
    with pytest.raises(errors.MixBadRequestError, match="text is required"):
        play(sending.send_message(say("Hi")), bad_request("text is required"))
    with pytest.raises(errors.MixBadRequestError, match="nobody knows"):
        play(sending.send_message(say("Hi")), bad_request('nobody knows: json: unknown field "x"'))


ROWS = [
    {"id": "U", "role": "user", "userInput": "Hi"},
    {
        "id": "A1",
        "role": "assistant",
        "userInput": "Wait",
        "reasoning": "Hm.",
        "toolCalls": [{"id": "T", "name": "glob"}],
    },
    {"id": "R", "role": "tool", "userInput": ""},
    {"id": "A2", "role": "assistant", "userInput": "Done", "reasoning": "Ah."},
]


def test_an_answer_is_filled_from_the_stored_rows() -> None:
    answer = SendMessageResponse(id="A2", role="user", user_input="Hi", assistant_response="Done")
    rows = [BackendMessage.model_validate(row) for row in ROWS]
    made, result = play(sending.send_and_read("S", say("Hi")), answer, rows)
    assert [str(c) for c in made] == ["POST /api/sessions/S/messages", "GET /api/sessions/S/messages"]
    assert (result.role, result.session_id, result.status) == ("assistant", "S", "complete")
    assert (result.assistant_response, result.reasoning) == ("Done", "Hm.\n\nAh.")
    assert [c.name for c in result.tool_calls] == ["glob"]


def test_an_answer_without_its_text_gets_it_from_the_rows() -> None:
    answer = SendMessageResponse(id="A2", role="user", user_input="Hi")
    rows = [BackendMessage.model_validate(row) for row in ROWS]
    _, result = play(sending.send_and_read("S", say("Hi")), answer, rows)
    assert result.assistant_response == "Done"


@pytest.mark.parametrize("text", ["/x", "!ls"])
def test_the_rows_of_a_guarded_text_are_found_though_the_answer_does_not_repeat_it(text: str) -> None:
    # Mix stores a message as it was sent, with the word in front of it: the text that a user passed is in no row.
    sent = guarded(text, V0_5)
    rows = [BackendMessage.model_validate(row) for row in [{**ROWS[0], "userInput": sent}, *ROWS[1:]]]
    for repeated in ("", sent):
        answer = SendMessageResponse(id="A2", role="user", user_input=repeated, assistant_response="Done")
        _, result = play(sending.send_and_read("S", say(sent)), answer, rows)
        assert [c.name for c in result.tool_calls] == ["glob"]


@pytest.mark.parametrize("read", [[], errors.MixConnectionError("gone")])
def test_an_answer_stands_if_the_rows_cannot_be_had(read: Any) -> None:
    answer = SendMessageResponse(id="A2", user_input="Hi", assistant_response="Done")
    _, result = play(sending.send_and_read("S", say("Hi")), answer, read)
    assert (result.assistant_response, result.tool_calls) == ("Done", [])


def test_rows_of_another_turn_fill_nothing() -> None:
    answer = SendMessageResponse(id="A9", user_input="Hi", assistant_response="Mine")
    rows = [BackendMessage.model_validate(row) for row in ROWS]
    _, result = play(sending.send_and_read("S", say("Hi")), answer, rows)
    assert (result.assistant_response, result.tool_calls, result.reasoning) == ("Mine", [], None)


def test_a_command_leaves_no_rows_to_read() -> None:
    answer = SendMessageResponse(id="cmd-help", assistant_response="{}")
    made, result = play(sending.send_and_read("S", say("/help")), answer)
    assert len(made) == 1
    assert result.is_command


def test_a_failed_turn_is_the_agents_fault() -> None:
    with pytest.raises(errors.MixAgentError, match="out of luck"):
        play(
            sending.send_and_read("S", say("Hi")),
            failure("Internal error during agent processing: out of luck"),
        )
    with pytest.raises(errors.MixInternalError, match="database"):
        play(sending.send_and_read("S", say("Hi")), failure("database is locked"))


@pytest.mark.parametrize(
    ("content", "command", "inner"),
    [
        ("Hi", False, '{"text": "Hi"}'),
        ("!ls", False, '{"text": "Message: !ls"}'),
        ("!ls", True, '{"text": "!ls"}'),
        ('{"text": "/x", "plan_mode": true}', False, '{"text": "Message: /x", "plan_mode": true}'),
        ('{"text": "é", "media": ["a.png"]}', False, '{"text": "é", "media": ["a.png"]}'),
        ('{"content": 1}', False, '{"text": "{\\"content\\": 1}"}'),
        ("[1]", False, '{"text": "[1]"}'),
    ],
)
def test_writing_to_a_stream(content: str, command: bool, inner: str) -> None:
    flow = sending.write_stream_message(ServerApi(V0_5), "S", content, command=command)
    call = next(flow)
    assert (str(call), call.body) == ("POST /stream/S/message", {"content": inner})


def test_writing_where_there_is_nothing_to_write_to() -> None:
    flow = sending.write_stream_message(ServerApi(V0_8), "S", '{"text": "!ls", "plan_mode": true, "media": []}')
    [call], result = play(flow, SendMessageResponse(session_id="S", status="processing"))
    assert (str(call), call.body) == ("POST /api/sessions/S/messages", {"text": "!ls", "plan_mode": True})
    assert (result.session_id, result.status) == ("S", "processing")
    with pytest.raises(errors.MixInputError, match="`apps`"):
        next(sending.write_stream_message(ServerApi(V0_8), "S", '{"text": "Hi", "apps": ["x"]}'))


def test_writing_to_an_unknown_server_asks_first() -> None:
    server_api = ServerApi()
    flow = sending.write_stream_message(server_api, "S", "Hi")
    assert str(next(flow)) == "GET /stream/S/message"
    server_api.detected = V0_5
    assert str(flow.send(True)) == "POST /stream/S/message"


def test_a_turn_as_one_message() -> None:
    call = ToolCall(id="T", name="Glob", input="{}", status="succeeded", output="a", is_error=False)
    failed = ToolCall(id="F", name="Grep", input="{}", status="failed")
    result = TurnResult(
        session_id="S",
        sent_text="Hi",
        messages=[
            Message(id="A1", text="Wait", thinking="Hm.", tool_calls=[call, failed]),
            Message(id="A2", text="Done"),
        ],
        usage=Usage(input_tokens=1, output_tokens=2, cache_creation_tokens=3, cache_read_tokens=4, cost=0.5),
        model="m",
        reasoning_duration=1.6,
    )
    message = sending.message_of(result)
    assert message.model_dump(exclude={"tool_calls"}) == {
        "id": "A2", "session_id": "S", "role": "assistant", "user_input": "Hi", "assistant_response": "Done",
        "callback_results": [], "reasoning": "Hm.", "reasoning_duration": 2, "input_tokens": 1, "output_tokens": 2,
        "cache_creation_tokens": 3, "cache_read_tokens": 4, "cost": 0.5, "model": "m", "status": "complete",
    }  # fmt: skip
    assert [(c.name, c.result, c.is_error, c.finished) for c in message.tool_calls] == [
        ("Glob", "a", False, True),
        ("Grep", None, True, True),
    ]


def test_a_turn_of_which_little_is_known() -> None:
    message = sending.message_of(
        TurnResult(session_id="S", sent_text="  /help me", messages=[Message(text="{}")], command=True)
    )
    assert (message.id, message.is_command, message.assistant_response) == ("cmd-help", True, "{}")
    assert (message.input_tokens, message.model, message.reasoning, message.reasoning_duration) == (
        None,
        None,
        None,
        None,
    )


# What Go's strings.TrimSpace takes away, the most that a server may trim.
GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


@given(space=st.text(GO_SPACE, max_size=4), text=st.text(max_size=10), version=st.sampled_from(ALL))
@example("", "/help", ApiVersion.V0_8)
@example(" \n", "/etc/x.txt please read", ApiVersion.V0_5)
def test_no_message_begins_with_a_slash_after_what_a_server_trims(space: str, text: str, version: ApiVersion) -> None:
    sent = guarded(space + text, ApiKnowledge([version]))
    assert not sent.strip(GO_SPACE).startswith("/")
    assert sent in {space + text, GUARD + space + text}


@pytest.mark.parametrize("text", ["", "hello", "a/b", "5/3", "Hi!", "\\/x", "."])
def test_other_texts_go_out_as_they_are(text: str) -> None:
    assert guarded(text, UNKNOWN) == text


@pytest.mark.parametrize("text", ["!ls", " !rm -rf /", "\n!x"])
def test_a_shell_escape_is_guarded_where_a_shell_may_listen(text: str) -> None:
    assert guarded(text, ApiKnowledge([ApiVersion.V0_5])) == GUARD + text
    assert guarded(text, UNKNOWN) == GUARD + text
    assert guarded(text, ApiKnowledge([ApiVersion.V0_6, ApiVersion.V0_8])) == text
