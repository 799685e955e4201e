"""The tools TodoWrite and ExitPlanMode.

Owns: checking lists and plans, and the words they come back in.
Refuses to know: files; a list lives in the conversation, as the call's argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langchain_mix.emulator.agents.tools import arguments as args
from langchain_mix.emulator.agents.tools.arguments import ToolError

STATUSES = ("pending", "in_progress", "completed")
PRIORITIES = ("low", "medium", "high")


def write_todos(arguments: Mapping[str, Any]) -> str:
    """Runs TodoWrite.

    Args:
        arguments: `todos`, objects with `id`, `content`, `status`, `priority`.

    Returns:
        The list as JSON, after a sentence that counts it.

    Raises:
        ToolError: If an item is malformed or two have the same id.
    """
    todos = args.records(arguments, "todos")
    seen: set[str] = set()
    for todo in todos:
        identity = args.text(todo, "id")
        if identity in seen:
            raise ToolError(f"two todos have the id {identity}")
        seen.add(identity)
        args.text(todo, "content")
        _one_of(todo, "status", STATUSES)
        _one_of(todo, "priority", PRIORITIES)
    open_ones = sum(todo["status"] != "completed" for todo in todos)
    listed = json.dumps([dict(todo) for todo in todos], ensure_ascii=False)
    return f"Todos have been modified successfully: {len(todos)} in all, {open_ones} open.\n{listed}"


def exit_plan_mode(arguments: Mapping[str, Any]) -> str:
    """Runs ExitPlanMode: the plan goes to the user.

    Raises:
        ToolError: If there is no plan.
    """
    plan = args.text(arguments, "plan")
    return f"The plan was presented to the user:\n{plan}"


def _one_of(item: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if item.get(name) not in allowed:
        raise ToolError(f"{name} must be one of: {', '.join(allowed)}")
