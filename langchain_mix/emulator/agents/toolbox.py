"""The server's tools on real files.

Owns: which tool a name means, which calls need permission, and the tools TodoWrite and ExitPlanMode.
Refuses to know: `Task` and `Notify`, which need sessions and clients and so belong to the turn runner.

Nothing here runs a command or opens a connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from langchain_mix.emulator.agents import file_tools, search_tools
from langchain_mix.emulator.agents import tool_arguments as args
from langchain_mix.emulator.agents.base import Ask, Outcome, Request
from langchain_mix.emulator.agents.tool_arguments import Places, ToolError
from langchain_mix.emulator.state.catalogue import canonical

_STATUSES = ("pending", "in_progress", "completed")
_PRIORITIES = ("low", "medium", "high")


def _write_todos(arguments: Mapping[str, Any]) -> str:
    """Runs TodoWrite: the list as JSON, after a sentence that counts it.

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
        _one_of(todo, "status", _STATUSES)
        _one_of(todo, "priority", _PRIORITIES)
    open_ones = sum(todo["status"] != "completed" for todo in todos)
    listed = json.dumps([dict(todo) for todo in todos], ensure_ascii=False)
    return f"Todos have been modified successfully: {len(todos)} in all, {open_ones} open.\n{listed}"


def _exit_plan_mode(arguments: Mapping[str, Any]) -> str:
    """Runs ExitPlanMode: the plan goes to the user.

    Raises:
        ToolError: If there is no plan.
    """
    plan = args.text(arguments, "plan")
    return f"The plan was presented to the user:\n{plan}"


def _one_of(item: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if item.get(name) not in allowed:
        raise ToolError(f"{name} must be one of: {', '.join(allowed)}")


Arguments = Mapping[str, Any]

_NO_COMMANDS = "The emulator runs no commands and no code. Nothing was executed."
_NO_NETWORK = "no network: the emulator searches and fetches nothing"


class FileToolbox:
    """Runs the tools for files, media, todo lists and plans; refuses commands and the network."""

    def __init__(self, *, search_seconds: float = 10.0) -> None:
        """Makes a toolbox without state; a Grep returns what it has found after `search_seconds`."""
        self._tools: dict[str, Callable[[Arguments, Places], str]] = {
            "ReadText": file_tools.read_text,
            "Glob": search_tools.glob,
            "Grep": lambda arguments, places: search_tools.grep(arguments, places, seconds=search_seconds),
            "ReadMedia": file_tools.read_media,
            "Show": file_tools.show,
            "Write": file_tools.write,
            "Edit": file_tools.edit,
            "TodoWrite": lambda arguments, _: _write_todos(arguments),
            "ExitPlanMode": lambda arguments, _: _exit_plan_mode(arguments),
            "Bash": lambda _, __: _refuse(_NO_COMMANDS),
            "Search": lambda _, __: _refuse(_NO_NETWORK),
            "WebFetch": lambda _, __: _refuse(_NO_NETWORK),
        }

    def asks(self, name: str, arguments: Arguments, request: Request) -> Ask | None:
        """Returns the permission that a call needs: for Write, Edit and Bash, unless the call is refused anyway."""
        tool = canonical(name)
        if tool not in request.tools:
            return None
        if tool == "Bash":
            return _ask_bash(arguments, request)
        ask = {"Write": file_tools.ask_write, "Edit": file_tools.ask_edit}.get(tool)
        return ask(arguments, Places.of(request)) if ask else None

    async def run(self, name: str, arguments: Arguments, request: Request) -> Outcome:
        """Runs a tool on a worker thread; wrong arguments and tools that the turn has not give an error result.

        Raises:
            OSError: If the disk fails.
        """
        tool = self._tools.get(canonical(name))
        if tool is None or canonical(name) not in request.tools:
            return Outcome(f"Tool not found: {name}", is_error=True)
        try:
            return Outcome(await asyncio.to_thread(tool, arguments, Places.of(request)))
        except ToolError as error:
            return Outcome(str(error), is_error=True)


def _ask_bash(arguments: Arguments, request: Request) -> Ask | None:
    try:
        command = args.text(arguments, "command")
    except ToolError:
        return None
    encoder = f"Execute command: {command}"  # Mix 0.8: description and action both begin with these words.
    params = {"command": command, "timeout": arguments.get("timeout") or 0}
    return Ask(description=encoder, action=encoder, path=str(request.workspace), params=params)


def _refuse(reason: str) -> str:
    raise ToolError(reason)
