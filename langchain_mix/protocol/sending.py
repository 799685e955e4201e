"""Procedures around one message, without a turn on a stream.

Owns: texts that servers would misread, sending a message bare, writing it to streams, and how a finished turn looks as
one message.
Refuses to know: turns while they run (`turn/`) and how calls are sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from langchain_mix.errors import MixError, MixInputError, MixInternalError, MixStreamError
from langchain_mix.protocol import calls
from langchain_mix.protocol.api import ApiKnowledge, ServerApi
from langchain_mix.protocol.call import Call, Flow, ask
from langchain_mix.protocol.events import Event, SSECompleteEvent, SSEErrorEvent
from langchain_mix.protocol.flows import explained
from langchain_mix.protocol.models import (
    COMPLETE,
    SendMessageResponse,
    StreamMessageResponse,
    ToolCallData,
)
from langchain_mix.protocol.turn.errors import agent_error, failed_answer, interrupted
from langchain_mix.protocol.turn.stored_rows import StoredRow, from_messages
from langchain_mix.protocol.turn.updates import ToolCall, TurnResult

GUARD: Final = "Message: "
"""The visible word before a guarded text. A visible one, since what the server trims of invisible ones is not known."""


def guarded(text: str, detected: ApiKnowledge) -> str:
    """Makes a text safe to send as a message.

    Mix takes a text that starts with `/` after spaces for a slash command, in every generation, and Mix 0.5 hands one
    that starts with `!` to a shell, unasked. Such a text gets a word in front of it.
    """
    start = text.lstrip()[:1]
    shell = start == "!" and detected.supports("stream_write") is not False
    return GUARD + text if start == "/" or shell else text


def send_message(call: Call[SendMessageResponse]) -> Flow[SendMessageResponse]:
    """Sends a message and takes the answer as it is; names an argument that the server turns out not to know."""
    return (yield from explained(ask(call), "message_fields"))


def send_and_read(session_id: str, call: Call[SendMessageResponse]) -> Flow[SendMessageResponse]:
    """Sends a message to a server that answers when the turn is over, and reads what the answer leaves out.

    Mix 0.5 answers with the text alone, in the user's name.
    """
    try:
        answer = yield from send_message(call)
    except MixInternalError as error:
        if "agent processing" not in error.error.message:
            raise
        raise failed_answer(error) from None
    answer.role, answer.session_id, answer.status = "assistant", session_id, COMPLETE
    if answer.is_command:
        return answer
    # Mix stores a message as it was sent: of a guarded text, no row holds what the user passed.
    return (yield from _with_rows(answer, answer.user_input or str((call.body or {})["text"])))


def read_ending(session_id: str, text: str, ending: Event | None) -> Flow[SendMessageResponse]:
    """Reads what became of a message, as it was sent, that was written to an open stream (Mix 0.5).

    The ending is the event that ended its turn, or None if the stream ended before.
    """
    if isinstance(ending, SSEErrorEvent):
        raise agent_error(ending.data)
    if not isinstance(ending, SSECompleteEvent):
        raise interrupted(MixStreamError("it was closed while a message was under way on it."))
    answer = SendMessageResponse(
        id=ending.data.message_id,
        session_id=session_id,
        role="assistant",
        user_input=text,
        assistant_response=ending.data.content or None,
        status=COMPLETE,
    )
    return (yield from _with_rows(answer, text)) if answer.id else answer


def _with_rows(answer: SendMessageResponse, text: str) -> Flow[SendMessageResponse]:
    try:
        rows = yield from ask(calls.list_messages(answer.session_id))
    except MixError:
        return answer  # The turn is over and its text is here; only the tools that led to it are not known.
    _, own = from_messages(rows).turn_of("", text)
    if own and own[-1].id == answer.id:
        _fill(answer, own)
    return answer


def write_stream_message(
    server_api: ServerApi, session_id: str, content: str, *, command: bool = False
) -> Flow[StreamMessageResponse]:
    """Hands a message to the open streams of a session (Mix 0.5), or sends it the way that took the place of that.

    The content is plain text, or a JSON object with `text` and perhaps `plan_mode`; the text is guarded, unless it is
    meant as a command.
    """
    if server_api.detected.supports("stream_write") is None:
        yield from ask(calls.probe_stream_write(session_id))
    message = _message_in(content)
    text = message["text"] if command else guarded(message["text"], server_api.detected)
    if server_api.detected.supports("stream_write") is True:
        inner = json.dumps({**message, "text": text}, ensure_ascii=False)
        return (yield from ask(calls.write_stream_message(server_api.detected, session_id, inner)))
    lost = [key for key, value in message.items() if value and key not in {"text", "plan_mode"}]
    if lost:
        raise MixInputError(f"`{lost[0]}` in the content is not taken by this server.", hint="Upload files instead.")
    plan_mode = message.get("plan_mode")
    sent = yield from send_message(calls.send_message(server_api.detected, session_id, text=text, plan_mode=plan_mode))
    return StreamMessageResponse(session_id=sent.session_id or session_id, status=sent.status)


def message_of(result: TurnResult) -> SendMessageResponse:
    """Shows a finished turn as one message: the last text, and the tools and the reasoning of all."""
    usage = result.usage
    name = result.sent_text.split(maxsplit=1)[0].lstrip("/") if result.command and result.sent_text.strip() else ""
    return SendMessageResponse(
        # Mix names the answer of a command after it.
        id=result.message_id or (f"cmd-{name}" if result.command else ""),
        session_id=result.session_id,
        role="assistant",
        user_input=result.sent_text,
        assistant_response=result.text,
        reasoning=_joined(m.thinking for m in result.messages),
        reasoning_duration=round(result.reasoning_duration) or None,
        tool_calls=[_tool_call(c) for c in result.tool_calls],
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        cache_creation_tokens=usage.cache_creation_tokens if usage else None,
        cache_read_tokens=usage.cache_read_tokens if usage else None,
        cost=usage.cost if usage else None,
        model=result.model or None,
        status=COMPLETE,
    )


def _message_in(content: str) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return {"text": content}
    return parsed if isinstance(parsed, dict) and isinstance(parsed.get("text"), str) else {"text": content}


def _fill(answer: SendMessageResponse, rows: list[StoredRow]) -> None:
    answer.assistant_response = answer.assistant_response or rows[-1].text
    answer.reasoning = _joined(r.thinking for r in rows)
    answer.tool_calls = [_tool_call(c) for r in rows for c in r.tool_calls]


def _joined(texts: Iterable[str]) -> str | None:
    return "\n\n".join(t for t in texts if t) or None


def _tool_call(call: ToolCall) -> ToolCallData:
    failed = True if call.is_error or call.status == "failed" else None if call.output is None else False
    return ToolCallData(
        id=call.id,
        name=call.name,
        input=call.input,
        type="tool_use",
        finished=call.status in {"succeeded", "failed"} or call.output is not None,
        result=call.output,
        is_error=failed,
    )
