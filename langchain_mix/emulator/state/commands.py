"""The slash commands.

Owns: which commands there are, how a text is read as one, and what each answers.
Refuses to know: the order of checks around them, and streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from langchain_mix.emulator.state.credentials import Credentials
from langchain_mix.emulator.state.errors import ApiError, internal, not_found
from langchain_mix.emulator.state.serializers import DEFAULT_BROWSER, go_json
from langchain_mix.emulator.state.sessions import Sessions
from langchain_mix.protocol.api import Capabilities

NEW_TITLE: Final = "New Session"

_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "auth-code": "Finish signing in with the code from the browser",
    "clear": "Start a new session",
    "help": "List the commands",
    "login": "Sign in to the model provider",
    "logout": "Forget the sign-in",
    "mcp": "List the MCP servers",
    "sessions": "List the sessions",
    "status": "Show how the model providers are authenticated",
}
_BUILTIN: Final = frozenset({"clear", "help", "mcp", "sessions"})
"""Mix: the rest count as defined by files, although the server brings them along."""


class Commands:
    """The commands of one server."""

    def __init__(self, sessions: Sessions, credentials: Credentials, caps: Capabilities) -> None:
        """Works on `sessions` and `credentials`."""
        self._sessions = sessions
        self._credentials = credentials
        self._caps = caps
        self._run: Mapping[str, Callable[[str], dict[str, Any]]] = {
            "auth-code": self._auth_code,
            "clear": self._clear,
            "help": self._help,
            "login": self._login,
            "logout": self._logout,
            "mcp": lambda _: {"type": "mcp", "servers": self.mcp()},
            "sessions": self._list_sessions,
            "status": lambda _: {"type": "status"} | self._credentials.status(),
        }

    def listing(self) -> list[dict[str, Any]]:
        """The commands, sorted by name."""
        return [self._describe(name) for name in sorted(self._run)]

    def get(self, name: str) -> dict[str, Any]:
        """One command.

        Raises:
            ApiError: 404, there is no such command.
        """
        if name not in self._run:
            raise not_found("Command", name)
        return self._describe(name)

    @staticmethod
    def mcp() -> list[dict[str, Any]]:
        """The MCP servers; none is ever configured here."""
        return []

    def run(self, text: str) -> dict[str, Any] | None:
        """Runs a text as command (Mix).

        Returns:
            The BackendMessage of the answer (Mix), or None if the text is no command.

        Raises:
            ApiError: 404, there is no such command; 500, it failed.
        """
        trimmed = text.lstrip(" ")
        if not trimmed.startswith("/"):
            return None
        name, _, arguments = trimmed[1:].partition(" ")
        run = self._run.get(name)
        if run is None:
            known = " ".join(sorted(self._run))
            raise ApiError(404, "not_found", f"Command '{name}' not found. Available commands: [{known}]")
        try:
            answer = run(arguments.strip(" "))
        except ApiError as problem:
            raise internal("executing command", problem.message) from problem
        return {
            "id": f"cmd-{name}",
            "sessionId": "",
            "role": "assistant",
            "userInput": text,
            "assistantResponse": go_json(answer),
        }

    @staticmethod
    def _describe(name: str) -> dict[str, Any]:
        kind = "builtin" if name in _BUILTIN else "file"
        return {"name": name, "description": _DESCRIPTIONS[name], "type": kind}

    def _help(self, _: str) -> dict[str, Any]:
        commands = [
            {"name": name, "description": _DESCRIPTIONS[name], "usage": f"/{name}"} for name in sorted(self._run)
        ]
        return {"type": "help", "commands": commands}

    def _clear(self, _: str) -> dict[str, Any]:
        browser = {"browserMode": DEFAULT_BROWSER} if self._caps.browser_mode else {}
        session = self._sessions.create({"title": NEW_TITLE} | browser)
        return {
            "type": "session_switch",
            "action": "switch",
            "message": "Started a new session",
            "command": "clear",
            "sessionId": session["id"],
            "sessionTitle": session["title"],
        }

    def _list_sessions(self, _: str) -> dict[str, Any]:
        found = self._sessions.listing(include_subagents=False)
        return {"type": "sessions", "sessions": [{key: s[key] for key in ("id", "title", "createdAt")} for s in found]}

    def _login(self, _: str) -> dict[str, Any]:
        return {"type": "login"} | self._credentials.start_oauth("anthropic")

    def _logout(self, _: str) -> dict[str, Any]:
        return {"type": "logout"} | self._credentials.delete("anthropic")

    def _auth_code(self, code: str) -> dict[str, Any]:
        return {"type": "auth-code"} | self._credentials.finish_latest_oauth(code)
