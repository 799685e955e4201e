"""A batch of tool calls: run in parallel, reported while they run, stored in call order, followed by callbacks.

Owns: permissions and notifications of tools, sub-agents, execution events, the tool row, and the rows of callbacks.
Refuses to know: how a turn goes on afterwards, and what single tools do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_mix.emulator.agents.base import Ask, Outcome, Request, Toolbox, ToolUse
from langchain_mix.emulator.events import Call
from langchain_mix.emulator.permissions import Notice, Prompts
from langchain_mix.emulator.state import Row, ServerState
from langchain_mix.emulator.state.catalogue import available, canonical
from langchain_mix.emulator.state.serializers import well_formed
from langchain_mix.emulator.turns import Turn, arguments

NOT_EXECUTED: Final = "The emulator never executes scripts. A Mix server would have run: "
DENIED: Final = (
    "The user doesn't want to proceed with this tool use. The tool was not run and nothing was changed. "
    "Ask the user how to go on."
)
_NOTICE_EXPIRED: Final = "Notification request timed out - user did not respond in time"
_log = logging.getLogger(__name__)

SubAgent = Callable[[Turn, str, str, str], Awaitable[tuple[str, str, str | None]]]
"""Has a sub-agent of a turn follow a prompt: turn, title, call id, prompt; gives session id, last words, error."""


class ToolFailed(Exception):
    """A tool broke, or was not allowed: no error *result* but none at all.

    Attributes:
        cause: The reason, as the execution event reports it.
        output: The result that is stored nevertheless. Mix stores an empty one, except for a denial.
    """

    def __init__(self, cause: str, output: str = "") -> None:
        """Says why."""
        super().__init__(cause)
        self.cause = cause
        self.output = output


@dataclass(frozen=True, slots=True)
class ToolRunner:
    """Runs the tools of all turns."""

    state: ServerState
    toolbox: Toolbox
    prompts: Prompts
    follow: SubAgent

    async def run(self, turn: Turn, uses: list[ToolUse], calls: list[Call]) -> None:
        """Runs the calls of one model reply in parallel and stores their results in call order."""
        pairs = list(zip(uses, calls, strict=True))
        outcomes = await asyncio.gather(*(self._one(turn, use, call) for use, call in pairs))
        self._keep_screenshots(turn, uses)
        results = [
            {"call_id": call.id, "name": call.name, "output": well_formed(outcome.output), "is_error": outcome.is_error}
            for call, outcome in zip(calls, outcomes, strict=True)
        ]
        self.state.rows.append(turn.session_id, Row(role="tool", tool_results=results))
        await self._run_callbacks(turn, results)

    def _keep_screenshots(self, turn: Turn, uses: list[ToolUse]) -> None:
        row = turn.live
        if row is None or not self.state.caps.screenshots or not any(use.screenshots for use in uses):
            return
        for record, use in zip(row.tool_calls, uses, strict=True):
            record.screenshot_urls = [self.state.save_screenshot(turn.session_id, png) for png in use.screenshots]
        self.state.rows.update(row)

    async def _one(self, turn: Turn, use: ToolUse, call: Call) -> Outcome:
        tools = available(turn.encoder.api, plan_mode=turn.turn_request.plan_mode, is_subagent=turn.is_subagent)
        scripted = use.result is not None or use.failure is not None
        if not scripted and canonical(use.name) not in tools:
            # Mix: an unknown tool has no execution events at all.
            return Outcome(f"Tool not found: {call.name}", is_error=True)
        began = time.monotonic()
        await turn.emit(turn.encoder.execution_start(call))
        cause: str | None = None
        try:
            outcome = await self._execute(turn, use, call)
        except ToolFailed as failed:
            cause, outcome = failed.cause, Outcome(failed.output)
        except Exception as error:  # noqa: BLE001  A tool that breaks is reported, and the turn goes on.
            _log.exception("Tool %s of session %s broke.", call.name, turn.session_id)
            cause, outcome = str(error) or type(error).__name__, Outcome("")
        await turn.emit(turn.encoder.execution_complete(call, time.monotonic() - began, cause))
        return outcome

    async def _execute(self, turn: Turn, use: ToolUse, call: Call) -> Outcome:
        given = arguments(call.input)
        request = turn.request()
        await self._permit(turn, use, call, given, request)
        if use.until is not None:
            await use.until.passed()
        if use.failure is not None:
            raise ToolFailed(use.failure)
        if use.result is not None:
            return Outcome(use.result)
        match canonical(use.name):
            case "Task":
                return await self._delegate(turn, call.id, given)
            case "Notify":
                return await self._notify(turn, given)
            case name:
                return await self.toolbox.run(name, given, request)

    async def _permit(self, turn: Turn, use: ToolUse, call: Call, given: Mapping[str, Any], request: Request) -> None:
        if use.ask is False:
            return
        ask = self.toolbox.asks(canonical(use.name), given, request)
        if ask is None and use.ask:
            title = f"Use tool {call.name}"
            ask = Ask(description=title, action=title, path=str(request.workspace), params=given)
        if ask is not None and not await self.prompts.ask_permission(turn.session_id, call.name, ask):
            raise ToolFailed("permission denied", DENIED)

    async def _delegate(self, turn: Turn, call_id: str, given: Mapping[str, Any]) -> Outcome:
        title = f"Subagent: {given.get('description') or 'task'}"
        _, text, error = await self.follow(turn, title, call_id, str(given.get("prompt") or ""))
        if error is not None:
            raise ToolFailed(error)
        return Outcome(text)

    async def _notify(self, turn: Turn, given: Mapping[str, Any]) -> Outcome:
        try:
            notice = Notice.parse(given)
        except ValueError as error:
            return Outcome(f"Error: {error}", is_error=True)
        response = await self.prompts.notify(turn.session_id, notice)
        if response is None:
            return Outcome(_NOTICE_EXPIRED, is_error=True)
        return Outcome(f"User response: {response.get('value') or response.get('type', '')}")

    async def _run_callbacks(self, turn: Turn, results: Sequence[Mapping[str, Any]]) -> None:
        """Runs the callbacks that follow on a stored tool row. Error results have none."""
        if not self.state.caps.callbacks:
            return
        # Read again: a PATCH during the turn counts.
        callbacks = self.state.sessions.facts(turn.session_id).callbacks
        for result in results:
            for callback in callbacks:
                if not result["is_error"] and _follows(callback, str(result["name"])):
                    await self._run_callback(turn, callback, result)

    async def _run_callback(self, turn: Turn, callback: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        kind = callback.get("type")
        if kind == "send_message":
            self.state.rows.append(turn.session_id, Row(role="user", text=str(callback.get("messageContent", ""))))
            return
        outcome = {
            "tool_call_id": result["call_id"],
            "tool_name": result["name"],
            "callback_name": callback.get("name") or "",
            "callback_type": kind,
        }
        if kind == "sub_agent":
            outcome |= await self._follow_result(turn, callback, result)
        else:
            # A script would run without anybody's consent.
            text = NOT_EXECUTED + str(callback.get("bashCommand", ""))
            outcome |= {"stderr": text, "exit_code": 126, "success": False, "error": "not executed"}
        self.state.rows.append(turn.session_id, Row(role="tool", callback_results=[outcome]))

    async def _follow_result(
        self, turn: Turn, callback: Mapping[str, Any], result: Mapping[str, Any]
    ) -> dict[str, Any]:
        prompt = f"{callback.get('subAgentPrompt', '')}\n\nResult of {result['name']}:\n{result['output']}"
        title = f"Callback: {result['name']}"
        session_id, text, error = await self.follow(turn, title, str(result["call_id"]), prompt)
        outcome = {"subagent_id": session_id, "subagent_result": text, "success": error is None}
        return outcome if error is None else outcome | {"error": error}


def _follows(callback: Mapping[str, Any], tool: str) -> bool:
    wanted = str(callback.get("toolName", ""))
    return wanted == "*" or canonical(wanted) == canonical(tool)
