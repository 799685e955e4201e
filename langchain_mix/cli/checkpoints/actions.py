"""Prunes, rewinds, copies, repairs and deletes threads: the steps of each command, with its questions and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from langchain_mix.checkpoint import MixSaver, Removed, Rewound
from langchain_mix.checkpoint.backend import Address, thread_name
from langchain_mix.checkpoint.repair import Repair
from langchain_mix.cli.checkpoints.access import Store, no_thread
from langchain_mix.cli.checkpoints.queries import find_checkpoint, waiting
from langchain_mix.cli.failures import report_error
from langchain_mix.cli.terminal import confirm, counted, errors_console, visible
from langchain_mix.errors import MixInputError, MixStoreError

_CANNOT_BE_UNDONE = "This cannot be undone."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The rule of a prune; its fields are those of `MixSaver.prune`.

    Attributes:
        keep_last: How many checkpoints of each namespace stay in any case, None for 1.
        older_than: Only what is older goes, None for all.
        sessions: Whether sessions go that no checkpoint points to any more.
    """

    keep_last: int | None
    older_than: timedelta | None
    sessions: bool

    def apply(self, saver: MixSaver, thread_ids: Sequence[str], *, dry_run: bool = False) -> Removed:
        """Prunes threads."""
        return saver.prune(
            thread_ids,
            keep_last=self.keep_last,
            older_than=self.older_than,
            delete_sessions=self.sessions,
            dry_run=dry_run,
        )


def prune(store: Store, named: Sequence[str] | None, rule: Rule, *, dry_run: bool, yes: bool, console: Console) -> int:
    """Removes old checkpoints of threads, after asking. A thread that fails does not keep the others.

    Args:
        store: The store.
        named: The threads, None for all.
        rule: What goes.
        dry_run: Only report.
        yes: Do not ask.
        console: Where it is reported.

    Returns:
        How many threads could not be pruned.

    Raises:
        MixInputError: One does not exist, or more would be removed than was announced; then nothing is changed.
        MixError: It failed.
        Abort: The answer was no.
    """
    saver = store.saver()
    with waiting("Reading"):
        for one in named or ():
            store.demand(one)
        thread_ids = list(dict.fromkeys(named)) if named is not None else store.run(store.threads.thread_ids())
        plan = rule.apply(saver, thread_ids, dry_run=True)
    if not plan.checkpoints:
        console.print("Nothing to remove.")
        return 0
    console.print(Text("Would remove:" if dry_run else "Removes:"))
    for thread_id, gone in plan.checkpoints.items():
        console.print(Text(visible(f"  {thread_id}  {counted(len(gone), 'checkpoint')}")), soft_wrap=True)
    _list_sessions(plan, console)
    if dry_run:
        console.print("Nothing was done.")
        return 0
    if not yes:
        confirm(f"Remove {_amount(plan)}? {_CANNOT_BE_UNDONE}")
        _nothing_more(plan, rule.apply(saver, thread_ids, dry_run=True))
    removed, failed = _prune(saver, list(plan.checkpoints), rule)
    console.print(f"Removed {_amount(removed)}.")
    return failed


def _prune(saver: MixSaver, thread_ids: Sequence[str], rule: Rule) -> tuple[Removed, int]:
    if rule.sessions:  # Unneeded sessions are known when all threads are done.
        with waiting("Pruning"):
            return rule.apply(saver, thread_ids), 0
    removed: dict[str, tuple[str, ...]] = {}
    failed = 0
    with Progress(console=errors_console(), transient=True) as progress:
        for thread_id in progress.track(thread_ids, description="Pruning"):
            try:
                removed.update(rule.apply(saver, [thread_id]).checkpoints)
            except MixStoreError as problem:
                report_error(problem)
                failed += 1
    return Removed(checkpoints=removed), failed


def rewind(store: Store, thread_id: str, named: str, *, dry_run: bool, yes: bool, console: Console) -> None:
    """Takes a thread and its session back to a checkpoint, after asking.

    Args:
        store: The store.
        thread_id: The thread.
        named: The checkpoint, as people name it.
        dry_run: Only report.
        yes: Do not ask.
        console: Where it is reported.

    Raises:
        MixInputError: There is no such checkpoint, or the thread changed after the question.
        MixError: It failed.
        Abort: The answer was no.
    """
    saver = store.saver()
    with waiting("Reading"):
        checkpoint_id = find_checkpoint(store, thread_id, named)
        config = Address(thread_name(thread_id), "", checkpoint_id).config()
        plan = saver.rewind(config, dry_run=True)
    console.print(Text(f"{'Would take' if dry_run else 'Takes'} the thread back to {visible(checkpoint_id)}:"))
    for line in _lines(plan):
        console.print(Text(visible(f"  {line}")), soft_wrap=True)
    if dry_run:
        console.print("Nothing was done.")
        return
    if not yes:
        confirm(f"Take it back? {_CANNOT_BE_UNDONE}")
        if saver.rewind(config, dry_run=True) != plan:
            raise MixInputError("The thread has changed meanwhile; nothing was done.", hint="Look at it again.")
    with waiting("Taking back"):
        done = saver.rewind(config)
    gone = sum(len(ids) for ids in done.removed.values())
    console.print(f"Removed {counted(gone, 'checkpoint')} and {counted(done.rows_removed, 'message')}.")


def _lines(plan: Rewound) -> list[str]:
    lines = [
        f"{counted(len(ids), 'checkpoint')} of {f'the subgraph {ns}' if ns else 'the graph'} go"
        for ns, ids in sorted(plan.removed.items())
    ]
    if not lines:
        lines.append("no newer checkpoint is there")
    if plan.session_rewound and plan.position is not None:
        lines.append(f"{counted(plan.rows_removed, 'message')} of session {plan.position.session_id} go")
    else:
        lines.append(f"no message of a session goes: {plan.reason}")
    return lines


def copy(store: Store, source: str, target: str, *, console: Console) -> None:
    """Copies a thread.

    Raises:
        MixInputError: There is no such thread, or the target holds something.
        MixError: It failed.
    """
    with waiting("Copying"):
        store.demand(source)
        done = store.saver().copy_thread(source, target)
    console.print(f"Copied {counted(done.checkpoints, 'checkpoint')}.")
    for session_id, fork in done.sessions.items():
        console.print(Text(f"  session {session_id} was forked as {fork}"), soft_wrap=True)
    for session_id in done.unforked:
        line = f"  session {session_id} was not forked: ChatMix begins a new one in the copy"
        console.print(Text(line), soft_wrap=True)


def repair(store: Store, thread_id: str | None, *, orphans: bool, dry_run: bool, yes: bool, console: Console) -> int:
    """Repairs threads, after asking.

    Args:
        store: The store.
        thread_id: The thread, or None for all.
        orphans: Whether files that nothing refers to go.
        dry_run: Only report.
        yes: Do not ask.
        console: Where it is reported.

    Returns:
        How many files could not be deleted.

    Raises:
        MixError: It failed.
        Abort: The answer was no.
    """
    saver = store.saver()
    with waiting("Examining"):
        plan = saver.repair(thread_id, dry_run=True, orphans=orphans)
    if not plan.steps:
        console.print("Nothing is damaged.")
        return 0
    _show_repair(plan, console)
    if dry_run:
        console.print("Nothing was done.")
        return 0
    if not yes:
        confirm(f"Do it? {_CANNOT_BE_UNDONE}")
    with waiting("Repairing"):
        done = saver.repair(thread_id, dry_run=False, orphans=orphans)
    if done.steps != plan.steps:
        console.print("It has changed meanwhile. What was done:")
        _show_repair(done, console)
    for name in done.left:
        report_error(
            MixStoreError(f"{name} could not be deleted.", acted="unknown", hint="Nothing refers to it; try again.")
        )
    console.print(f"Done: {counted(len(done.steps) - len(done.left), 'step')}.")
    return len(done.left)


def _show_repair(found: Repair, console: Console) -> None:
    for step in found.steps:
        lost = "  Lost: " if step.lost else "  "
        line = f"{lost}{step.document} {step.problem}: {step.action}"
        console.print(Text(visible(line), style="bold" if step.lost else ""), soft_wrap=True)


def delete(store: Store, thread_id: str, *, sessions: bool, yes: bool, console: Console) -> None:
    """Deletes a thread, after asking.

    Args:
        store: The store.
        thread_id: The thread.
        sessions: Whether sessions go that only it pointed to.
        yes: Do not ask.
        console: Where it is reported.

    Raises:
        MixInputError: There is no such thread.
        MixError: It failed.
        Abort: The answer was no.
    """
    saver = store.saver()
    with waiting("Reading"):
        report = store.run(store.threads.report(thread_name(thread_id)))
        if not (report.checkpoints or report.writes or any(one.problem for one in report.threads)):
            raise no_thread(thread_id)
        plan = (
            saver.prune([thread_id], strategy="delete", delete_sessions=True, dry_run=True) if sessions else Removed()
        )
    damaged = ", damaged" if any(one.problem for one in report.threads) else ""
    line = f"  {thread_id}  ({counted(report.checkpoints, 'checkpoint')}{damaged})"
    console.print(Text(visible(line)), soft_wrap=True)
    _list_sessions(plan, console)
    if not yes:
        confirm(f"Delete it? {_CANNOT_BE_UNDONE}")
    with waiting("Deleting"):
        if sessions:
            gone = saver.prune([thread_id], strategy="delete", delete_sessions=True).sessions
        else:
            saver.delete_thread(thread_id, delete_sessions=False)
            gone = ()
    console.print(f"Deleted the thread and {counted(len(gone), 'session')}." if gone else "Deleted the thread.")


def _list_sessions(plan: Removed, console: Console) -> None:
    for session_id in plan.sessions:
        console.print(Text(f"  session {session_id}"), soft_wrap=True)
    if plan.spared:
        line = f"  ({counted(len(plan.spared), 'session')} still needed by other checkpoints)"
        console.print(Text(line, style="dim"), soft_wrap=True)


def _amount(removed: Removed) -> str:
    checkpoints = sum(len(gone) for gone in removed.checkpoints.values())
    line = f"{counted(checkpoints, 'checkpoint')} of {counted(len(removed.checkpoints), 'thread')}"
    return f"{line} and {counted(len(removed.sessions), 'session')}" if removed.sessions else line


def _nothing_more(announced: Removed, now: Removed) -> None:
    """Refuses to remove what was not confirmed."""
    known = {(thread, one) for thread, gone in announced.checkpoints.items() for one in gone}
    found = {(thread, one) for thread, gone in now.checkpoints.items() for one in gone}
    if not found <= known or not set(now.sessions) <= set(announced.sessions):
        raise MixInputError("More would go by now; nothing was removed.", hint="Look at it again.")
