"""What a session's callbacks do after a tool has given a result (Mix 0.7).

Owns: which callbacks follow on which results, and the rows they leave.
Refuses to know: how callbacks are validated and stored (`state/`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_mix.emulator.state import Row, ServerState
from langchain_mix.emulator.tool_names import canonical
from langchain_mix.emulator.turns import Turn

NOT_EXECUTED: Final = "The emulator never executes scripts. A Mix server would have run: "

SubAgent = Callable[[Turn, str, str, str], Awaitable[tuple[str, str, str | None]]]
"""Has a sub-agent of a turn follow a prompt: turn, title, call id, prompt; gives session id, last words, error."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Runs callbacks.

    Attributes:
        state: Where their rows are stored.
        subagent: Has a sub-agent follow a prompt.
    """

    state: ServerState
    subagent: SubAgent

    async def run(self, turn: Turn, results: Sequence[Mapping[str, Any]]) -> None:
        """Runs the callbacks that follow on a stored tool row. Error results have none.

        Args:
            turn: The turn.
            results: The results of the row.
        """
        if not self.state.caps.callbacks:
            return
        # Read anew: a PATCH during the turn counts.
        callbacks = self.state.sessions.facts(turn.session_id).callbacks
        for result in results:
            for callback in callbacks:
                if not result["is_error"] and _follows(callback, str(result["name"])):
                    await self._one(turn, callback, result)

    async def _one(self, turn: Turn, callback: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        kind = callback.get("type")
        if kind == "send_message":
            self.state.rows.append(turn.session_id, Row(role="user", text=str(callback.get("messageContent", ""))))
            return
        told = {
            "tool_call_id": result["call_id"],
            "tool_name": result["name"],
            "callback_name": callback.get("name") or "",
            "callback_type": kind,
        }
        if kind == "sub_agent":
            told |= await self._subagent(turn, callback, result)
        else:
            # A script would run without anybody's consent.
            text = NOT_EXECUTED + str(callback.get("bashCommand", ""))
            told |= {"stderr": text, "exit_code": 126, "success": False, "error": "not executed"}
        self.state.rows.append(turn.session_id, Row(role="tool", callback_results=[told]))

    async def _subagent(self, turn: Turn, callback: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
        prompt = f"{callback.get('subAgentPrompt', '')}\n\nResult of {result['name']}:\n{result['output']}"
        title = f"Callback: {result['name']}"
        session_id, text, error = await self.subagent(turn, title, str(result["call_id"]), prompt)
        told = {"subagent_id": session_id, "subagent_result": text, "success": error is None}
        return told if error is None else told | {"error": error}


def _follows(callback: Mapping[str, Any], tool: str) -> bool:
    wanted = str(callback.get("toolName", ""))
    return wanted == "*" or canonical(wanted) == canonical(tool)
