"""The wire format of stored records, key order included.

Owns: the JSON serializers of sessions and rows per generation, timestamps, and Go's way of writing JSON.
Refuses to know: where the things are stored and which requests ask for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from langchain_mix.emulator.state.store import Row, RowCounts, SessionFacts, ToolCallRecord
from langchain_mix.protocol.api import ApiVersion, Capabilities

DEFAULT_BROWSER: Final = "local-browser-service"
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_ESCAPED: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_TO_ESCAPE: Final = re.compile(f"[{''.join(_ESCAPED)}]")


def well_formed(text: str) -> str:
    """Replaces lone surrogates by U+FFFD, as Go's JSON decoder does."""
    return _SURROGATES.sub("\ufffd", text)


def go_json(value: Any) -> str:
    """Writes JSON as the server does: compact, HTML characters escaped, everything else raw."""
    text = well_formed(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return _TO_ESCAPE.sub(lambda found: _ESCAPED[found[0]], text)


def rfc3339(seconds: int, offset: timedelta) -> str:
    """Writes a time in whole seconds with the server's UTC offset, `Z` for none (Mix)."""
    text = datetime.fromtimestamp(seconds, timezone(offset)).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def number(value: float) -> float:
    """A float as Go writes it: `0`, not `0.0`."""
    return int(value) if float(value).is_integer() else value


def filled(**optional: Any) -> dict[str, Any]:
    """Keeps what is not empty or zero, in order (Go's `omitempty`)."""
    return {key: value for key, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class Serializers:
    """The wire serializers of one generation."""

    api: ApiVersion
    caps: Capabilities
    offset: timedelta

    def time(self, seconds: int) -> str:
        """A timestamp."""
        return rfc3339(seconds, self.offset)

    def session(
        self, facts: SessionFacts, counts: RowCounts, *, first_user_message: str = "", listed: bool = False
    ) -> dict[str, Any]:
        """A SessionData.

        Args:
            facts: The session.
            counts: Its rows; they make the counters (Mix).
            first_user_message: The first message as lists show it.
            listed: True when it is an item of a list, which has no callbacks.
        """
        caps = self.caps
        lineage = filled(parentSessionId=facts.parent_id, parentToolCallId=facts.parent_tool_call)
        kind = {"sessionType": facts.type} | filled(subagentType=facts.subagent_type)
        callbacks = {} if listed or not caps.callbacks else filled(callbacks=facts.callbacks)
        first = filled(firstUserMessage=first_user_message)
        totals = self._totals(facts, counts) | {"createdAt": self.time(facts.created_at)}
        head = {"id": facts.id}
        if caps.browser_mode:
            browser = {"browserMode": facts.browser_mode or DEFAULT_BROWSER} | filled(cdpUrl=facts.cdp_url)
            model = filled(modelId=facts.model_id, provider=facts.provider) if self.api is ApiVersion.NEXT else {}
            return head | lineage | {"title": facts.title} | kind | browser | totals | first | callbacks | model
        body = head | {"title": facts.title} | totals | first
        return body | lineage | kind | callbacks if caps.subagents else body

    def message(self, row: Row, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """A BackendMessage with the results of its calls, by call id. `userInput` is the text of every role."""
        body: dict[str, Any] = {"id": row.id, "sessionId": row.session_id, "role": row.role, "userInput": row.text}
        if row.role != "user":
            body |= filled(assistantResponse=row.text)
        body |= filled(toolCalls=[self._tool_call(call, results.get(call.id)) for call in row.tool_calls])
        if self.caps.callbacks:
            body |= filled(callbackResults=[_callback_result(result) for result in row.callback_results])
        reasoning = row.reasoning or next(iter(row.thinking_blocks), "")
        body |= filled(reasoning=reasoning, reasoningDuration=row.reasoning_duration)
        if self.caps.message_usage and row.role == "assistant":
            body |= filled(
                inputTokens=row.input_tokens,
                outputTokens=row.output_tokens,
                cacheCreationTokens=row.cache_creation_tokens,
                cacheReadTokens=row.cache_read_tokens,
                cost=number(row.cost),
                model=row.model,
            )
        return body

    def export(self, facts: SessionFacts, counts: RowCounts, rows: Iterable[Row]) -> dict[str, Any]:
        """An ExportSession; all its keys are always there."""
        return (
            {"id": facts.id, "title": facts.title}
            | self._totals(facts, counts)
            | {"createdAt": self.time(facts.created_at), "updatedAt": self.time(facts.updated_at)}
            | {"messages": [self._export_message(row) for row in rows]}
        )

    @staticmethod
    def _totals(facts: SessionFacts, counts: RowCounts) -> dict[str, Any]:
        return {
            "userMessageCount": counts.user,
            "assistantMessageCount": counts.assistant,
            "toolCallCount": counts.tool,
            "promptTokens": facts.prompt_tokens,
            "completionTokens": facts.completion_tokens,
            "cost": number(facts.cost),
        }

    def _tool_call(self, call: ToolCallRecord, result: Mapping[str, Any] | None) -> dict[str, Any]:
        body: dict[str, Any] = {"id": call.id, "name": call.name, "input": call.input, "type": call.type}
        body["finished"] = call.finished
        if self.caps.tool_results:
            output, failed = call.result, call.is_error
            if result is not None:
                output, failed = str(result.get("output", "")), bool(result.get("is_error"))
            body |= filled(result=output, isError=failed, screenshotUrls=list(call.screenshot_urls))
        return body

    def _export_message(self, row: Row) -> dict[str, Any]:
        body: dict[str, Any] = {"id": row.id, "role": row.role, "content": row.text}
        body |= filled(
            toolCalls=[self._export_call(call) for call in row.tool_calls],
            reasoning=row.reasoning or next(iter(row.thinking_blocks), ""),
            reasoningDuration=row.reasoning_duration,
            thinkingBlocks=list(row.thinking_blocks),
            redactedThinkingBlocks=list(row.redacted_thinking_blocks),
            model=row.model,
            # Mix: rows that no model wrote are stored as finished with `stop`.
            finishReason=row.finish_reason or ("" if row.role == "assistant" else "stop"),
        )
        return body | {"createdAt": self.time(row.created_at), "updatedAt": self.time(row.updated_at)}

    def _export_call(self, call: ToolCallRecord) -> dict[str, Any]:
        # Mix: an export never joins results, in any generation.
        body: dict[str, Any] = {"id": call.id, "name": call.name, "input": call.input}
        if (parsed := _parsed(call.input)) is not None:
            body["inputJson"] = parsed
        body |= {"type": call.type, "finished": call.finished}
        return body | (filled(screenshotUrls=list(call.screenshot_urls)) if self.caps.tool_results else {})


def raw_parts(row: Row) -> str:
    """The stored parts of a user row as JSON text, which lists show as `firstUserMessage` (Mix 0.5 to 0.7)."""
    return go_json(
        [
            {"type": "text", "data": {"text": row.text}},
            {"type": "finish", "data": {"reason": "stop", "time": 0}},
        ]
    )


def _callback_result(result: Mapping[str, Any]) -> dict[str, Any]:
    body = {"tool_call_id": result.get("tool_call_id", ""), "tool_name": result.get("tool_name", "")}
    body |= filled(callback_name=result.get("callback_name"))
    body["callback_type"] = result.get("callback_type", "")
    details = ("stdout", "stderr", "exit_code", "subagent_id", "subagent_result")
    body |= filled(**{key: result.get(key) for key in details})
    body["success"] = bool(result.get("success"))
    return body | filled(error=result.get("error"))


def _parsed(text: str) -> Any:
    """The value of a JSON text with keys sorted, as a Go map has them; None if the text is no JSON."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        return json.loads(well_formed(json.dumps(value, ensure_ascii=False, sort_keys=True)))
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
