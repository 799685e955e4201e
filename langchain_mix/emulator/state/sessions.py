"""Sessions: created, listed, changed and deleted.

Owns: the table of sessions, their counters, how a body and its callbacks are read, and what sub-agents pass to their
parents.
Refuses to know: files, forks and rewinds, and whether a turn is running.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from langchain_mix.emulator.state.errors import invalid, mistyped, not_found, text_of
from langchain_mix.emulator.state.preferences import models_of, provider_of
from langchain_mix.emulator.state.records import RowCounts, SessionFacts
from langchain_mix.emulator.state.rows import RowLog
from langchain_mix.emulator.state.serializers import Serializers, filled, raw_parts, well_formed
from langchain_mix.emulator.state.store import Store
from langchain_mix.protocol.api import Capabilities

BROWSER_MODES: Final = ("electron-embedded-browser", "local-browser-service", "remote-cdp-websocket")
_PROMPT_LIMITS: Final[Mapping[str, int]] = {"append": 50 * 1024, "replace": 100 * 1024}


def cut_title(title: str, limit: int | None) -> str:
    """Cuts a title to `limit` characters, the last three of them dots (Q30, Mix 0.8)."""
    title = well_formed(title)
    return title if limit is None or len(title) <= limit else title[: limit - 3] + "..."


def _read_title(body: Mapping[str, Any], caps: Capabilities) -> str:
    """The title of a new session.

    Raises:
        ApiError: 400, there is none. Blanks are one.
    """
    title = text_of(body, "title")
    if not title:
        raise invalid("title", "title is required")
    return cut_title(title, caps.title_limit)


def _read_prompt(body: Mapping[str, Any]) -> tuple[str, str]:
    """The mode and the custom prompt of a new session; mode `default` ignores the prompt and its size.

    Raises:
        ApiError: 400, an unknown mode or a prompt of too many bytes.
    """
    mode = text_of(body, "promptMode") or "default"
    prompt = well_formed(text_of(body, "customSystemPrompt"))
    if mode == "default":
        return mode, ""
    if mode not in _PROMPT_LIMITS:
        raise invalid("promptMode", "promptMode must be 'default', 'append', or 'replace'")
    size, limit = len(prompt.encode()), _PROMPT_LIMITS[mode]
    if size > limit:
        text = f"Custom prompt size ({size // 1024}KB) exceeds {mode} mode limit of {limit // 1024}KB"
        raise invalid("customSystemPrompt", text)
    return mode, prompt


def _check_type(body: Mapping[str, Any]) -> None:
    """Refuses to create anything but a main session.

    Raises:
        ApiError: 400, the body asks for a sub-agent or a fork.
    """
    if text_of(body, "sessionType") not in {"", "main"}:
        raise invalid("sessionType", "only 'main' sessions can be created")
    if text_of(body, "subagentType"):
        raise invalid("subagentType", "subagentType cannot be set on main sessions")


def _read_browser(body: Mapping[str, Any], caps: Capabilities) -> tuple[str, str]:
    """The browser mode and the CDP address of a new session; both empty before Mix 0.8.

    Raises:
        ApiError: 400, the mode is missing or unknown, or the address does not go with it.
    """
    if not caps.browser_mode:
        return "", ""
    mode, url = text_of(body, "browserMode"), text_of(body, "cdpUrl")
    if not mode:
        named = [f"'{name}'" for name in BROWSER_MODES]
        raise invalid("browserMode", f"browserMode is required (must be {', '.join(named[:-1])}, or {named[-1]})")
    if mode not in BROWSER_MODES:
        raise invalid("browserMode", f"browserMode must be one of: [{' '.join(BROWSER_MODES)}]")
    if problem := _cdp_problem(url, remote=mode == "remote-cdp-websocket"):
        raise invalid("cdpUrl", problem)
    return mode, url


def _cdp_problem(url: str, *, remote: bool) -> str:
    if not remote:
        return "cdpUrl can only be set when browserMode is 'remote-cdp-websocket'" if url else ""
    if not url:
        return "cdpUrl is required when browserMode is 'remote-cdp-websocket'"
    return "" if url.startswith(("ws://", "wss://")) else "cdpUrl must start with 'ws://' or 'wss://'"


def _read_model(body: Mapping[str, Any], caps: Capabilities) -> tuple[str, str]:
    """The model and its provider of a new session (next); both empty in other generations.

    Raises:
        ApiError: 400, the provider is missing or is not the model's.
    """
    if "modelId" not in caps.session_fields:
        return "", ""
    model, provider = text_of(body, "modelId"), text_of(body, "provider")
    if provider and provider not in models_of(caps):
        raise invalid("provider", f"unknown provider: {provider}")
    if model and not provider:
        raise invalid("provider", "provider is required when modelId is set")
    if (owner := provider_of(model, caps)) and owner != provider:
        raise invalid("provider", f"model {model} belongs to provider {owner}, not {provider}")
    return model, provider


_CALLBACK_FIELDS: Final[Mapping[str, type]] = {
    "name": str,
    "toolName": str,
    "type": str,
    "bashCommand": str,
    "bashTimeout": int,
    "subAgentPrompt": str,
    "subAgentType": str,
    "includeFullHistory": bool,
    "messageContent": str,
    "excludeFromContext": bool,
}
_NEEDED: Final[Mapping[str, str]] = {
    "bash_script": "bashCommand",
    "sub_agent": "subAgentPrompt",
    "send_message": "messageContent",
}


def read_callbacks(value: Any) -> list[dict[str, Any]]:
    """Decodes a list of callbacks, keys in the wire's order; unknown keys are left out, as a lenient decoder does.

    Raises:
        ApiError: 400, something has a wrong JSON type.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise mistyped("callbacks", value)
    return [_read_one(item) for item in value]


def check_callbacks(callbacks: list[dict[str, Any]]) -> None:
    """Refuses callbacks that could not run.

    Raises:
        ApiError: 400 that names the first bad one as `callbacks[i]`.
    """
    for index, callback in enumerate(callbacks):
        if problem := _problem(callback):
            raise invalid("callbacks", f"callbacks[{index}]: {problem}")


def _read_one(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise mistyped("callbacks", item)
    values: dict[str, Any] = {}
    for key, kind in _CALLBACK_FIELDS.items():
        value = item.get(key)
        if value is not None and type(value) is not kind:
            raise mistyped(f"callbacks.{key}", value)
        values[key] = value
    required = {"toolName": values["toolName"] or "", "type": values["type"] or ""}
    return filled(name=values["name"]) | required | filled(**{k: v for k, v in values.items() if k not in required})


def _problem(callback: Mapping[str, Any]) -> str:
    kind = callback["type"]
    if not callback["toolName"]:
        return "missing required field 'toolName'"
    if kind not in _NEEDED:
        return f"type must be one of: {', '.join(_NEEDED)}"
    if kind == "send_message" and callback.get("excludeFromContext"):
        return "send_message callbacks cannot be excluded from context"
    needed = _NEEDED[kind]
    return "" if callback.get(needed) else f"{needed} is required for {kind} callbacks"


_FIELDS: Final = tuple(SessionFacts.__dataclass_fields__)
_INSERT: Final = f"INSERT INTO sessions ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"  # noqa: S608 - our own column names


class Sessions:
    """The sessions of one server."""

    def __init__(
        self, store: Store, rows: RowLog, serializers: Serializers, caps: Capabilities, now: Callable[[], int]
    ) -> None:
        """Reads and writes `store`."""
        self._store = store
        self._rows = rows
        self._serializers = serializers
        self._caps = caps
        self._now = now

    def create(
        self,
        body: Mapping[str, Any],
        *,
        parent: str | None = None,
        parent_tool_call: str | None = None,
    ) -> dict[str, Any]:
        """Makes a session and returns its SessionData.

        Args:
            body: The decoded body of POST /api/sessions; keys that the generation does not know are ignored.
            parent: For a sub-agent, the session that it works for; its browser is taken over.
            parent_tool_call: For a sub-agent, the call of the Task tool.

        Raises:
            ApiError: 400. A session whose callbacks are refused exists all the same: it was stored before they were
                checked (Q21).
        """
        title = _read_title(body, self._caps)
        mode, prompt = _read_prompt(body)
        _check_type(body)
        callbacks = read_callbacks(body.get("callbacks"))
        model, provider = _read_model(body, self._caps)
        with self._store.transaction():
            if parent is None:
                browser, cdp = _read_browser(body, self._caps)
                kind = ""
            else:
                # A sub-agent works in the browser of the session that it works for.
                above = self.facts(parent)
                browser, cdp, kind = above.browser_mode, above.cdp_url, "general-purpose"
            facts = self.insert(
                SessionFacts(
                    id="",
                    title=title,
                    parent_id=parent or "",
                    parent_tool_call=parent_tool_call or "",
                    type="main" if parent is None else "subagent",
                    subagent_type=kind,
                    system_prompt=prompt,
                    prompt_mode=mode,
                    browser_mode=browser,
                    cdp_url=cdp,
                    model_id=model,
                    provider=provider,
                )
            )
        if callbacks:
            return self.set_callbacks(facts.id, callbacks)
        return self._serializers.session(facts, RowCounts())

    def insert(self, facts: SessionFacts) -> SessionFacts:
        """Stores a session under a new id and the present time, and gives it back with both."""
        now = self._now()
        stored = replace(facts, id=str(uuid.uuid4()), created_at=now, updated_at=now)
        values = asdict(stored) | {"callbacks": json.dumps(stored.callbacks)}
        with self._store.transaction() as db:
            db.execute(_INSERT, tuple(values[name] for name in _FIELDS))
        return stored

    def facts(self, id_: str) -> SessionFacts:
        """Returns the stored fields of a session.

        Raises:
            ApiError: 404, it does not exist.
        """
        with self._store.transaction() as db:
            record = db.execute("SELECT * FROM sessions WHERE id = ?", (well_formed(id_),)).fetchone()
        if record is None:
            raise not_found("Session", id_)
        return _decode(record)

    def exists(self, id_: str) -> bool:
        """True when there is such a session."""
        with self._store.transaction() as db:
            found = db.execute("SELECT 1 FROM sessions WHERE id = ?", (well_formed(id_),)).fetchone()
        return found is not None

    def get(self, id_: str) -> dict[str, Any]:
        """The SessionData of one session, callbacks included."""
        with self._store.transaction():
            return self._serializers.session(self.facts(id_), self._rows.counts_of(id_))

    def listing(self, *, include_subagents: bool) -> list[dict[str, Any]]:
        """The SessionData of all sessions, newest first, without callbacks."""
        with self._store.transaction() as db:
            found = db.execute("SELECT * FROM sessions ORDER BY created_at DESC, sequence DESC").fetchall()
            counts = self._rows.counts()
            # Mix 0.8: lists never show the first message.
            first = {} if self._caps.browser_mode else self._rows.first_user_rows()
        return [
            self._serializers.session(
                facts,
                counts.get(facts.id, RowCounts()),
                first_user_message=raw_parts(first[facts.id]) if facts.id in first else "",
                listed=True,
            )
            for facts in map(_decode, found)
            if include_subagents or facts.type != "subagent"
        ]

    def delete(self, id_: str) -> None:
        """Deletes a session and its rows.

        Raises:
            ApiError: 404, it does not exist.
        """
        with self._store.transaction() as db:
            if not db.execute("DELETE FROM sessions WHERE id = ?", (well_formed(id_),)).rowcount:
                raise not_found("Session", id_)

    def set_callbacks(self, id_: str, callbacks: Any) -> dict[str, Any]:
        """Replaces all callbacks of a session and gives its SessionData."""
        with self._store.transaction() as db:
            self.facts(id_)
            values = read_callbacks(callbacks)
            check_callbacks(values)
            db.execute(
                "UPDATE sessions SET callbacks = ?, updated_at = ? WHERE id = ?", (json.dumps(values), self._now(), id_)
            )
            return self.get(id_)

    def set_title(self, id_: str, title: str) -> None:
        """Gives a session another title; nothing happens if it was deleted meanwhile."""
        cut = cut_title(title, self._caps.title_limit)
        with self._store.transaction() as db:
            db.execute("UPDATE sessions SET title = ?, updated_at = ? WHERE id = ?", (cut, self._now(), id_))

    def add_usage(self, id_: str, *, prompt_tokens: int, completion_tokens: int, cost: float) -> None:
        """Counts one model call (Q35): tokens replace the last ones, cost is added, a sub-agent's also above it."""
        with self._store.transaction() as db:
            db.execute(
                "UPDATE sessions SET prompt_tokens = ?, completion_tokens = ?, cost = cost + ?, updated_at = ?"
                " WHERE id = ?",
                (prompt_tokens, completion_tokens, cost, self._now(), id_),
            )
            db.execute(
                "UPDATE sessions SET cost = cost + ?"
                " WHERE id = (SELECT parent_id FROM sessions WHERE id = ? AND type = 'subagent')",
                (cost, id_),
            )


def _decode(record: sqlite3.Row) -> SessionFacts:
    values = {name: record[name] for name in _FIELDS}
    return SessionFacts(**(values | {"callbacks": json.loads(values["callbacks"])}))
