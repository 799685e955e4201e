"""Sessions: created, listed, changed, forked, rewound, exported and deleted.

Owns: the table of sessions, their counters, how a body and its callbacks are read, and what sub-agents pass to their
parents.
Refuses to know: files, and whether a turn is running.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from langchain_mix.emulator.state.errors import ApiError, internal, invalid, mistyped, not_found
from langchain_mix.emulator.state.preferences import models_of, provider_of
from langchain_mix.emulator.state.rows import RowLog
from langchain_mix.emulator.state.serializers import Serializers, filled, raw_parts, well_formed
from langchain_mix.emulator.state.store import Row, RowCounts, SessionFacts, Store
from langchain_mix.protocol.api import Capabilities

FORK_TITLE: Final = "Forked Session"
BROWSER_MODES: Final = ("electron-embedded-browser", "local-browser-service", "remote-cdp-websocket")
_PROMPT_LIMITS: Final[Mapping[str, int]] = {"append": 50 * 1024, "replace": 100 * 1024}


def cut_title(title: str, limit: int | None) -> str:
    """Cuts a title to `limit` characters, the last three of them dots (Mix 0.8)."""
    title = well_formed(title)
    return title if limit is None or len(title) <= limit else title[: limit - 3] + "..."


def _read_title(body: Mapping[str, Any], caps: Capabilities) -> str:
    """The title of a new session.

    Raises:
        ApiError: 400, there is none. Blanks are one.
    """
    title = body.get("title", "")
    if not title:
        raise invalid("title", "title is required")
    return cut_title(title, caps.title_limit)


def _read_prompt(body: Mapping[str, Any]) -> tuple[str, str]:
    """The mode and the custom prompt of a new session; mode `default` ignores the prompt and its size.

    Raises:
        ApiError: 400, an unknown mode or a prompt of too many bytes.
    """
    mode = body.get("promptMode", "") or "default"
    prompt = well_formed(body.get("customSystemPrompt", ""))
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
    if body.get("sessionType", "") not in {"", "main"}:
        raise invalid("sessionType", "only 'main' sessions can be created")
    if body.get("subagentType", ""):
        raise invalid("subagentType", "subagentType cannot be set on main sessions")


def _read_browser(body: Mapping[str, Any], caps: Capabilities) -> tuple[str, str]:
    """The browser mode and the CDP address of a new session; both empty before Mix 0.8.

    Raises:
        ApiError: 400, the mode is missing or unknown, or the address does not go with it.
    """
    if not caps.browser_mode:
        return "", ""
    mode, url = body.get("browserMode", ""), body.get("cdpUrl", "")
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
    model, provider = body.get("modelId", ""), body.get("provider", "")
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


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one server."""

    store: Store
    rows: RowLog
    serializers: Serializers
    caps: Capabilities
    now: Callable[[], int]

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
                checked (Mix).
        """
        title = _read_title(body, self.caps)
        mode, prompt = _read_prompt(body)
        _check_type(body)
        callbacks = read_callbacks(body.get("callbacks"))
        model, provider = _read_model(body, self.caps)
        with self.store.transaction():
            if parent is None:
                browser, cdp = _read_browser(body, self.caps)
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
        return self.serializers.session(facts, RowCounts())

    def insert(self, facts: SessionFacts) -> SessionFacts:
        """Stores a session under a new id and the present time, and gives it back with both."""
        now = self.now()
        stored = replace(facts, id=str(uuid.uuid4()), created_at=now, updated_at=now)
        values = asdict(stored) | {"callbacks": json.dumps(stored.callbacks)}
        with self.store.transaction() as db:
            db.execute(_INSERT, tuple(values[name] for name in _FIELDS))
        return stored

    def facts(self, id_: str) -> SessionFacts:
        """Returns the stored fields of a session.

        Raises:
            ApiError: 404, it does not exist.
        """
        with self.store.transaction() as db:
            record = db.execute("SELECT * FROM sessions WHERE id = ?", (well_formed(id_),)).fetchone()
        if record is None:
            raise not_found("Session", id_)
        return _decode(record)

    def exists(self, id_: str) -> bool:
        """True when there is such a session."""
        with self.store.transaction() as db:
            found = db.execute("SELECT 1 FROM sessions WHERE id = ?", (well_formed(id_),)).fetchone()
        return found is not None

    def get(self, id_: str) -> dict[str, Any]:
        """The SessionData of one session, callbacks included."""
        with self.store.transaction():
            return self.serializers.session(self.facts(id_), self.rows.counts_of(id_))

    def listing(self, *, include_subagents: bool) -> list[dict[str, Any]]:
        """The SessionData of all sessions, newest first, without callbacks."""
        with self.store.transaction() as db:
            found = db.execute("SELECT * FROM sessions ORDER BY created_at DESC, sequence DESC").fetchall()
            counts = self.rows.counts()
            # Mix 0.8: lists never show the first message.
            first = {} if self.caps.browser_mode else self.rows.first_user_rows()
        return [
            self.serializers.session(
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
        with self.store.transaction() as db:
            if not db.execute("DELETE FROM sessions WHERE id = ?", (well_formed(id_),)).rowcount:
                raise not_found("Session", id_)

    def set_callbacks(self, id_: str, callbacks: Any) -> dict[str, Any]:
        """Replaces all callbacks of a session and gives its SessionData."""
        with self.store.transaction() as db:
            self.facts(id_)
            values = read_callbacks(callbacks)
            check_callbacks(values)
            db.execute(
                "UPDATE sessions SET callbacks = ?, updated_at = ? WHERE id = ?", (json.dumps(values), self.now(), id_)
            )
            return self.get(id_)

    def fork(self, id_: str, message_index: int, title: str | None) -> dict[str, Any]:
        """Copies the first `message_index` rows to a new session (Mix 0.5 to 0.7).

        Prompt, callbacks, files and counters stay behind (Mix), and the reply counts none of the copied rows (Mix).
        """
        if message_index < 0:
            raise invalid("messageIndex", "messageIndex must be non-negative")
        with self.store.transaction():
            source = self._fork_source(id_)
            rows = self.rows.of(id_)
            fork = self.insert(
                SessionFacts(
                    id="",
                    title=well_formed(title or FORK_TITLE),
                    parent_id=source.id,
                    type="forked",
                    browser_mode=source.browser_mode,
                )
            )
            self.rows.copy(rows[: _with_results(rows, message_index)], fork.id)
        return self.serializers.session(fork, RowCounts())

    def _fork_source(self, id_: str) -> SessionFacts:
        try:
            source = self.facts(id_)
        except ApiError:
            # Mix: an unknown source is a 500, not a 404.
            raise internal("forking session", "sql: no rows in result set") from None
        if source.type == "subagent":
            raise internal("forking session", "cannot fork a subagent session")
        return source

    def rewind(self, id_: str, message_id: str) -> tuple[dict[str, Any], int]:
        """Deletes all rows after a message.

        Returns:
            The SessionData, and the unix second after which the files go that are to be deleted too.
        """
        if not message_id:
            raise invalid("messageId", "messageId is required")
        with self.store.transaction():
            facts = self.facts(id_)
            rows = self.rows.of(id_)
            index = next((i for i, row in enumerate(rows) if row.id == message_id), None)
            if index is None:
                raise not_found("Message", message_id)
            self.rows.cut_after(rows[index])
            body = self.serializers.session(facts, self.rows.counts_of(id_))
        if self.caps.browser_mode:
            # Mix 0.8: the reply is put together without these; reading the session again gives them.
            body["browserMode"] = ""
            body.pop("cdpUrl", None)
            body.pop("callbacks", None)
        return body, self._media_limit(rows[index:])

    def _media_limit(self, rows: list[Row]) -> int:
        """The unix second after which files go: `rows` are the kept message and those deleted after it (Mix)."""
        first_deleted = self.caps.browser_mode and len(rows) > 1
        return rows[1].created_at if first_deleted else rows[0].created_at

    def export(self, id_: str) -> dict[str, Any]:
        """The whole session as one document."""
        with self.store.transaction():
            return self.serializers.export(self.facts(id_), self.rows.counts_of(id_), self.rows.of(id_))

    def set_title(self, id_: str, title: str) -> None:
        """Gives a session another title; nothing happens if it was deleted meanwhile."""
        cut = cut_title(title, self.caps.title_limit)
        with self.store.transaction() as db:
            db.execute("UPDATE sessions SET title = ?, updated_at = ? WHERE id = ?", (cut, self.now(), id_))

    def add_usage(self, id_: str, *, prompt_tokens: int, completion_tokens: int, cost: float) -> None:
        """Counts one model call (Mix): tokens replace the last ones, cost is added, a sub-agent's also above it."""
        with self.store.transaction() as db:
            db.execute(
                "UPDATE sessions SET prompt_tokens = ?, completion_tokens = ?, cost = cost + ?, updated_at = ?"
                " WHERE id = ?",
                (prompt_tokens, completion_tokens, cost, self.now(), id_),
            )
            db.execute(
                "UPDATE sessions SET cost = cost + ?"
                " WHERE id = (SELECT parent_id FROM sessions WHERE id = ? AND type = 'subagent')",
                (cost, id_),
            )


def _decode(record: sqlite3.Row) -> SessionFacts:
    values = {name: record[name] for name in _FIELDS}
    return SessionFacts(**(values | {"callbacks": json.loads(values["callbacks"])}))


def _with_results(rows: list[Row], count: int) -> int:
    """One more than `count` if the row there holds the results of calls of the last row before it."""
    if not 0 < count < len(rows):
        return count
    called = {call.id for call in rows[count - 1].tool_calls}
    return count + any(result.get("call_id") in called for result in rows[count].tool_results)
