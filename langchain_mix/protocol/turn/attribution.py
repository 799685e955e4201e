"""Attributes the rows of a session to its turns, where several ran at the same time.

Owns: the rules of attribution. Refuses to know: what was seen on a stream (`stream.py`), and what to do with rows that
are another turn's (`reconciliation.py`).

Rows do not name their turn; their order shows it. Mix stores a message, at once the row of the reply, and with each
batch of tools one row more. So an answer that calls no tools is its turn's last, a turn whose message has no row yet is
the next to get a row, and of two such turns the one that began first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from langchain_mix.protocol.turn.stored_rows import StoredRow


@dataclass(slots=True, kw_only=True)
class TurnEvidence:
    """Evidence of a turn in addition to the order of the rows.

    Attributes:
        since: Rows known to have been there before the turn; turns among them are over.
        shown: Messages that the stream has shown as the turn's own.
        foreign: Messages that are certainly another turn's.
        begun: Users' rows that the stream has reported to begin other turns; None where it reports none, so each may.
        last: The turn's last message, where the server has named it to this turn alone (Mix 0.6), or empty.
    """

    since: int | None = None
    shown: Collection[str] = ()
    foreign: Collection[str] = ()
    begun: Collection[str] | None = None
    last: str = ""


@dataclass(slots=True)
class RowShare:
    """The rows of one turn.

    Attributes:
        rows: Its assistant rows.
        concurrent: The number of turns that certainly ran at the same time.
        others: True if there were other turns that may have run at the same time.
        certain: True if the order of the rows leaves no doubt about any of them.
    """

    rows: list[StoredRow]
    concurrent: int
    others: bool
    certain: bool


@dataclass(slots=True, eq=False)
class _Run:
    """A turn while its rows are counted; `doubtful` if it may be over, or may never have been one."""

    at: int
    doubtful: bool = False
    rows: list[StoredRow] = field(default_factory=list)
    open: bool = True
    tools_done: bool = False

    @property
    def is_fresh(self) -> bool:
        return not self.rows

    def take(self, row: StoredRow) -> None:
        self.rows.append(row)
        self.open = bool(row.tool_calls) and row.finish_reason not in {"canceled", "error", "permission_denied"}
        self.tools_done = False


def attribute_rows(rows: Sequence[StoredRow], at: int, evidence: TurnEvidence) -> RowShare:
    """Finds the rows of the turn that the message at this index began; in doubt, those before the doubt."""
    first = _Attribution(rows, at, evidence, ())
    share = first.share()
    revived = first.revived()
    return _Attribution(rows, at, evidence, revived).share() if revived else share


class _Attribution:
    """Runs through the rows of a session and gives each to a turn."""

    def __init__(self, rows: Sequence[StoredRow], at: int, evidence: TurnEvidence, alive: Collection[int]) -> None:
        self._rows, self._at, self._evidence, self._alive = rows, at, evidence, alive
        self._mine = _Run(at)
        self._runs: list[_Run] = []
        self._concurrent: list[_Run] = []
        self._shown: Collection[str] = evidence.shown
        self._last_shown = max((i for i, row in enumerate(rows) if row.id in evidence.shown), default=-1)
        self._certain = True

    def share(self) -> RowShare:
        since = self._evidence.since if self._evidence.since is not None else 0
        for i in range(min(since, self._at), len(self._rows)):
            row = self._rows[i]
            if row.role == "user":
                self._begin(i, row)
            elif row.role == "tool":
                for run in self._runs:
                    run.tools_done = run.tools_done or not run.is_fresh
            elif not self._assistant(i, row):
                self._certain = False
                break
        others = any(run is not self._mine and not run.doubtful for run in self._runs)
        return RowShare(self._mine.rows, len(self._concurrent), others, self._certain)

    def revived(self) -> list[int]:
        """Returns the earlier messages whose turns seemed over until a row after this turn's proved to be theirs."""
        later = {row.id for row in self._rows[self._at + 1 :]}
        return [
            run.at for run in self._runs if run.at < self._at and run.doubtful and run.rows and run.rows[-1].id in later
        ]

    def _begin(self, i: int, row: StoredRow) -> None:
        if i == self._at:
            # Events of turns that are at work by now may look like this turn's.
            self._concurrent = [run for run in self._runs if run.open and not run.doubtful]
            if self._concurrent:
                self._shown, self._last_shown = (), -1
            self._runs.append(self._mine)
            return
        if i < self._at:
            self._runs.append(_Run(i, doubtful=self._evidence.since is None and i not in self._alive))
            return
        begun = self._evidence.begun
        # Mix 0.7: a callback may store a user's row in the middle of a turn, and no event reports that.
        run = _Run(i, doubtful=begun is not None and row.id not in begun)
        self._runs.append(run)
        if self._mine.open and not run.doubtful:
            self._concurrent.append(run)

    def _assistant(self, i: int, row: StoredRow) -> bool:
        """Attributes a row to a turn; False if it may be this one's or another's."""
        open_runs = [run for run in self._runs if run.open]
        able = [run for run in open_runs if run is not self._mine or self._may_be_mine(row)]
        if row.id == self._evidence.last:
            self._mine.take(row)
            return True
        # Tools of a turn leave a row before its next answer.
        ready = [run for run in able if run.is_fresh or run.tools_done] or able
        if not ready:
            return True
        if self._mine in ready and row.id in self._shown:
            self._mine.take(row)
            return True
        likely = self._likely(ready, i)
        fresh = [run for run in likely if run.is_fresh]
        chosen = (fresh or likely)[0]
        if len(fresh or likely) > 1 and not fresh and self._mine in likely:
            return False  # Tools take any time: the turn that called them first need not go on first.
        chosen.take(row)
        return True

    def _likely(self, ready: list[_Run], i: int) -> list[_Run]:
        sure = [run for run in ready if not run.doubtful]
        if self._mine not in sure or len(sure) > 1:
            return sure or ready
        began_later = [run for run in ready if run.doubtful and run.is_fresh and run.at > self._at]
        return began_later if began_later and i > self._last_shown else sure

    def _may_be_mine(self, row: StoredRow) -> bool:
        if row.id in self._evidence.foreign:
            return False
        return not self._evidence.last or row.id == self._evidence.last or bool(row.tool_calls)
