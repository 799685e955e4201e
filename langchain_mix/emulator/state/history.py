"""Going back in a conversation, and taking it out.

Owns: fork, rewind and export, and the rule by which rewinding deletes files.
Refuses to know: how sessions and rows are stored.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from langchain_mix.emulator.state.errors import ApiError, internal, invalid, not_found
from langchain_mix.emulator.state.records import Row, RowCounts, SessionFacts
from langchain_mix.emulator.state.rows import RowLog
from langchain_mix.emulator.state.serializers import Serializers, well_formed
from langchain_mix.emulator.state.sessions import Sessions
from langchain_mix.emulator.state.store import Store
from langchain_mix.protocol.api import Capabilities

FORK_TITLE: Final = "Forked Session"
_log: Final = logging.getLogger(__name__)


class History:
    """Forks, rewinds and exports the sessions of one server."""

    def __init__(
        self,
        *,
        store: Store,
        sessions: Sessions,
        rows: RowLog,
        serializers: Serializers,
        caps: Capabilities,
        private_dir: Callable[[str], Path],
    ) -> None:
        """Works on `sessions` and `rows`."""
        self._store = store
        self._sessions = sessions
        self._rows = rows
        self._serializers = serializers
        self._caps = caps
        self._private_dir = private_dir

    def fork(self, id_: str, message_index: int, title: str | None) -> dict[str, Any]:
        """Copies the first `message_index` rows to a new session (Mix 0.5 to 0.7).

        Prompt, callbacks, files and counters stay behind (Q23), and the reply counts none of the copied rows (Q22).
        """
        if message_index < 0:
            raise invalid("messageIndex", "messageIndex must be non-negative")
        with self._store.transaction():
            source = self._fork_source(id_)
            rows = self._rows.of(id_)
            fork = self._sessions.insert(
                SessionFacts(
                    id="",
                    title=well_formed(title or FORK_TITLE),
                    parent_id=source.id,
                    type="forked",
                    browser_mode=source.browser_mode,
                )
            )
            self._rows.copy(rows[: _with_results(rows, message_index)], fork.id)
        return self._serializers.session(fork, RowCounts())

    def _fork_source(self, id_: str) -> SessionFacts:
        try:
            source = self._sessions.facts(id_)
        except ApiError:
            # Mix: an unknown source is a 500, not a 404 (Q19's sibling).
            raise internal("forking session", "sql: no rows in result set") from None
        if source.type == "subagent":
            raise internal("forking session", "cannot fork a subagent session")
        return source

    def rewind(self, id_: str, message_id: str, *, cleanup_media: bool) -> dict[str, Any]:
        """Deletes all rows after a message and, on request, the files that were made since."""
        if not message_id:
            raise invalid("messageId", "messageId is required")
        with self._store.transaction():
            facts = self._sessions.facts(id_)
            rows = self._rows.of(id_)
            index = next((i for i, row in enumerate(rows) if row.id == message_id), None)
            if index is None:
                raise not_found("Message", message_id)
            self._rows.cut_after(rows[index])
            body = self._serializers.session(facts, self._rows.counts_of(id_))
        if cleanup_media:
            self._clean_up(self._private_dir(id_), self._media_limit(rows[index:]))
        if self._caps.browser_mode:
            # Q24, Mix 0.8: the reply is put together without these; reading the session again gives them.
            body["browserMode"] = ""
            body.pop("cdpUrl", None)
            body.pop("callbacks", None)
        return body

    def _media_limit(self, rows: list[Row]) -> int:
        """The unix second after which files go: `rows` are the kept message and those deleted after it (Q26)."""
        first_deleted = self._caps.browser_mode and len(rows) > 1
        return rows[1].created_at if first_deleted else rows[0].created_at

    @staticmethod
    def _clean_up(directory: Path, limit: int) -> None:
        for path in directory.iterdir():
            try:
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and int(status.st_mtime) > limit:
                    path.unlink()
            except OSError:
                # Mix: a file that cannot be deleted does not fail the rewind.
                _log.warning("Rewinding left %s in place.", path.name, exc_info=True)

    def export(self, id_: str) -> dict[str, Any]:
        """The whole session as one document."""
        with self._store.transaction():
            return self._serializers.export(self._sessions.facts(id_), self._rows.counts_of(id_), self._rows.of(id_))


def _with_results(rows: list[Row], count: int) -> int:
    """One more than `count` if the row there holds the results of calls of the last row before it."""
    if not 0 < count < len(rows):
        return count
    called = {call.id for call in rows[count - 1].tool_calls}
    return count + any(result.get("call_id") in called for result in rows[count].tool_results)
