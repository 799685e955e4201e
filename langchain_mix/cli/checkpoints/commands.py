"""The commands of `langchain-mix checkpoints`.

What they show is read in `queries.py`. Commands import it when they run, as it loads LangGraph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from langchain_mix.cli.connection import (
    C,
    DryRunOption,
    JsonOption,
    LimitOption,
    YesOption,
    option,
    server_command,
    with_options_of,
)
from langchain_mix.cli.failures import FAILED, report_error
from langchain_mix.cli.terminal import confirm, counted, errors_console, output_console, visible, write_json
from langchain_mix.errors import MixInputError, MixStoreError

if TYPE_CHECKING:
    from langchain_mix.checkpoint import Removed, Rewound
    from langchain_mix.checkpoint.repair import Repair
    from langchain_mix.cli.checkpoints.access import Store
    from langchain_mix.client import Mix

OpenStore: TypeAlias = "Callable[[Sequence[str] | None], Store]"
"""Opens the store for some threads, or for all."""

ThreadArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="THREAD", help="The thread's id, as in its `configurable`.", show_default=False)
]
AnyThreadArgument: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="THREAD", help="A thread; all if not given.", show_default=False)
]
CheckpointArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT",
        help="A checkpoint's id, the beginning of it, or 'last' for the newest.",
        show_default=False,
    ),
]
KeyOption: TypeAlias = Annotated[
    str | None,
    option(
        "--aes-key-env",
        "NAME",
        "Environment variable with the key of an encrypted store; '' for one that is not encrypted. If not given: "
        "LANGGRAPH_AES_KEY where something is encrypted.",
    ),
]
NamespaceOption: TypeAlias = Annotated[
    str, option("--ns", "NAMESPACE", "Namespace of a subgraph; the graph itself if not given.")
]
SessionsOption: TypeAlias = Annotated[
    bool, typer.Option("--delete-sessions", help="Delete Mix sessions, too, that no checkpoint needs any more.")
]

checkpoints_app = typer.Typer(
    no_args_is_help=True, help="Look at threads kept by MixSaver, take them back, copy, prune, repair, delete them."
)

_AGE: Final = re.compile(r"([0-9]+)\s*([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def store_command(name: str, *, short_help: str | None = None) -> Callable[[C], C]:
    """Makes a function, whose first parameter opens the store, a command with the options of server and key."""

    def added(command: C) -> C:
        def run(mix: Mix, *, aes_key_env: KeyOption = None, **options: Any) -> None:
            from langchain_mix.cli.checkpoints.access import open_store
            from langchain_mix.cli.checkpoints.queries import reported_types

            with reported_types():
                command(partial(open_store, mix, aes_key_env), **options)

        server_command(checkpoints_app, name, short_help=short_help)(with_options_of(command, run))
        return command

    return added


def read_age(text: str) -> timedelta:
    """Reads an age: a whole number and `s`, `m` for minutes, `h`, `d` or `w`.

    Raises:
        MixInputError: It is none, or longer than Python can express.
    """
    found = _AGE.fullmatch(text.strip().lower())
    try:
        if found is not None:
            return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise MixInputError(f"{text!r} is too long.", hint="Write a shorter one.") from None
    raise MixInputError(f"{text!r} is no age.", hint="Write a number and s, m, h, d or w, such as 30d.")


@store_command("list", short_help="List threads, or the checkpoints of one.")
def list_checkpoints(
    opened: OpenStore, thread: AnyThreadArgument = None, *, limit: LimitOption = None, json: JsonOption = False
) -> None:
    """List threads, each with its newest checkpoint; or the checkpoints of one thread. The newest comes first.

    A terminal shows the columns that fit it. Piped into another program, it writes lines of all cells separated by
    tabs; with --json, all there is.

    For example:

        langchain-mix checkpoints list

        langchain-mix checkpoints list my-thread -n 10

        langchain-mix checkpoints list --json | jq -r '.[].thread_id'
    """
    from langchain_mix.cli.checkpoints import queries, views

    console = output_console()
    store = opened(None if thread is None else [thread])
    found = queries.threads_of(store, limit) if thread is None else queries.checkpoints_of(store, thread, limit)
    if json:
        write_json(console, [one.data() for one in found.summaries])
    elif found.summaries or not console.is_terminal:
        views.show_list(console, found.summaries, threads=thread is None)
    elif not found.unreadable:
        console.print("There is no thread yet. MixSaver keeps them here.")
    if found.unreadable:
        raise typer.Exit(FAILED)


@store_command("tree", short_help="Show the checkpoints of a thread as a tree.")
def tree(opened: OpenStore, thread: ThreadArgument, *, ns: NamespaceOption = "", json: JsonOption = False) -> None:
    """Show the checkpoints of a thread as a tree: what follows what, what branched off, in which Mix sessions.

    The continuation of a checkpoint is below it; branches are indented to the right.

    For example:

        langchain-mix checkpoints tree my-thread

        langchain-mix checkpoints tree my-thread --json | jq '.nodes | length'
    """
    from langchain_mix.cli.checkpoints import queries, views

    found, previews = queries.tree_of_thread(opened([thread]), thread, ns)
    if json:
        write_json(output_console(), views.tree_data(found, previews))
    else:
        views.show_tree(output_console(), found, previews)


@store_command("show", short_help="Show a checkpoint with the values of its state.")
def show(
    opened: OpenStore,
    thread: ThreadArgument,
    checkpoint: CheckpointArgument = "last",
    *,
    ns: NamespaceOption = "",
    full: Annotated[bool, typer.Option("--full", help="Cut nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Show a checkpoint, the newest if not given: the values of its state, cut to fit, and the writes that wait at it.

    For example:

        langchain-mix checkpoints show my-thread

        langchain-mix checkpoints show my-thread 1f0c5a2e --full
    """
    from langchain_mix.cli.checkpoints import queries, views

    found = queries.checkpoint_of(opened([thread]), thread, checkpoint, ns)
    if json:
        write_json(output_console(), found.data())
    else:
        views.show_checkpoint(output_console(), found, full=full)


@store_command("report", short_help="Count what is stored, and report what is damaged.")
def report(opened: OpenStore, thread: AnyThreadArgument = None, *, json: JsonOption = False) -> None:
    """Count what is stored: files, bytes, checkpoints, files that nothing refers to; and report what is damaged.

    For example:

        langchain-mix checkpoints report

        langchain-mix checkpoints report my-thread --json
    """
    from langchain_mix.cli.checkpoints import queries, views

    found = queries.report_of(opened(None if thread is None else [thread]), thread)
    if json:
        write_json(output_console(), views.report_data(found))
    else:
        views.show_report(output_console(), found)


@store_command("prune")
def prune(
    opened: OpenStore,
    threads: Annotated[
        list[str] | None, typer.Argument(metavar="THREAD", help="Ids of threads.", show_default=False)
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Prune all threads.")] = False,
    keep_last: Annotated[
        int | None, option("--keep-last -k", "N", "Keep so many of each namespace; 1 if not given.", min=1)
    ] = None,
    older_than: Annotated[str | None, option("--older-than", "AGE", "Remove only what is older: 30d, 12h, 4w.")] = None,
    delete_sessions: SessionsOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Remove old checkpoints. The newest of each thread stays in any case, so that it can go on.

    For example:

        langchain-mix checkpoints prune my-thread --keep-last 10 --dry-run

        langchain-mix checkpoints prune --all --older-than 30d --delete-sessions
    """
    from langchain_mix.cli.checkpoints.queries import waiting

    console = output_console()
    if everything == bool(threads):
        raise MixInputError("Which threads?", hint="Name them, or say `--all`.")
    age = None if older_than is None else read_age(older_than)
    store = opened(threads or None)
    apply = partial(store.saver().prune, keep_last=keep_last, older_than=age, delete_sessions=delete_sessions)
    with waiting("Reading"):
        for one in threads or ():
            store.demand(one)
        thread_ids = list(dict.fromkeys(threads)) if threads else store.run(store.threads.thread_ids())
        plan = apply(thread_ids, dry_run=True)
    if not plan.checkpoints:
        console.print("Nothing to remove.")
        return
    console.print(Text("Would remove:" if dry_run else "Removes:"))
    for thread_id, gone in plan.checkpoints.items():
        console.print(Text(visible(f"  {thread_id}  {counted(len(gone), 'checkpoint')}")), soft_wrap=True)
    _list_sessions(plan, console)
    if dry_run:
        console.print("Nothing was done.")
        return
    if not yes:
        confirm(f"Remove {_amount(plan)}?")
        _nothing_more(plan, apply(thread_ids, dry_run=True))
    removed, failed = _removed(apply, list(plan.checkpoints), sessions=delete_sessions)
    console.print(f"Removed {_amount(removed)}.")
    if failed:
        raise typer.Exit(FAILED)


def _removed(
    apply: Callable[[Sequence[str]], Removed], thread_ids: Sequence[str], *, sessions: bool
) -> tuple[Removed, int]:
    """Prunes threads. One that fails is reported and does not keep the others; their number is returned, too."""
    from rich.progress import track

    from langchain_mix.checkpoint import Removed
    from langchain_mix.cli.checkpoints.queries import waiting

    if sessions:  # Unneeded sessions are known when all threads are done.
        with waiting("Pruning"):
            return apply(thread_ids), 0
    checkpoints: dict[str, tuple[str, ...]] = {}
    failed = 0
    for thread_id in track(thread_ids, "Pruning", console=errors_console(), transient=True):
        try:
            checkpoints |= apply([thread_id]).checkpoints
        except MixStoreError as problem:
            report_error(problem)
            failed += 1
    return Removed(checkpoints=checkpoints), failed


@store_command("rewind")
def rewind(
    opened: OpenStore,
    thread: ThreadArgument,
    checkpoint: CheckpointArgument,
    *,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Take a thread back to a checkpoint, and its Mix session with it. Nothing brings back what goes.

    What is newer goes, branches made later included. To go on from a checkpoint without losing anything, run the graph
    with the checkpoint's config instead.

    For example:

        langchain-mix checkpoints rewind my-thread 1f0c5a2e --dry-run

        langchain-mix checkpoints rewind my-thread last --yes
    """
    from langchain_mix.checkpoint.backend import Address, thread_name
    from langchain_mix.cli.checkpoints.queries import find_checkpoint, waiting

    console = output_console()
    store = opened([thread])
    saver = store.saver()
    with waiting("Reading"):
        checkpoint_id = find_checkpoint(store, thread, checkpoint)
        config = Address(thread_name(thread), "", checkpoint_id).config()
        plan = saver.rewind(config, dry_run=True)
    console.print(Text(f"{'Would take' if dry_run else 'Takes'} the thread back to {visible(checkpoint_id)}:"))
    for line in _lines(plan):
        console.print(Text(visible(f"  {line}")), soft_wrap=True)
    if dry_run:
        console.print("Nothing was done.")
        return
    if not yes:
        confirm("Take it back?")
        if saver.rewind(config, dry_run=True) != plan:
            raise MixInputError("The thread has changed meanwhile; nothing was done.", hint="Look at it again.")
    with waiting("Taking back"):
        done = saver.rewind(config)
    gone = sum(len(ids) for ids in done.removed.values())
    console.print(f"Removed {counted(gone, 'checkpoint')} and {counted(done.rows_removed, 'message')}.")


def _lines(plan: Rewound) -> Iterator[str]:
    for ns, ids in sorted(plan.removed.items()):
        yield f"{counted(len(ids), 'checkpoint')} of {f'the subgraph {ns}' if ns else 'the graph'} go"
    if not plan.removed:
        yield "no newer checkpoint is there"
    if plan.session_rewound and plan.position is not None:
        yield f"{counted(plan.rows_removed, 'message')} of session {plan.position.session_id} go"
    else:
        yield f"no message of a session goes: {plan.reason}"


@store_command("copy", short_help="Copy a thread with its checkpoints and sessions.")
def copy(
    opened: OpenStore,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The thread to copy.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The new thread.", show_default=False)],
) -> None:
    """Copy a thread with all its checkpoints into a new one, and fork its Mix sessions where the server has forks.

    For example: langchain-mix checkpoints copy my-thread experiment
    """
    from langchain_mix.cli.checkpoints.queries import waiting

    console = output_console()
    store = opened([source, target])
    with waiting("Copying"):
        store.demand(source)
        done = store.saver().copy_thread(source, target)
    console.print(f"Copied {counted(done.checkpoints, 'checkpoint')}.")
    for session_id, fork in done.sessions.items():
        console.print(Text(f"  session {session_id} was forked as {fork}"), soft_wrap=True)
    for session_id in done.unforked:
        line = f"  session {session_id} was not forked: ChatMix begins a new one in the copy"
        console.print(Text(line), soft_wrap=True)


@store_command("repair", short_help="Make damaged threads usable again.")
def repair(
    opened: OpenStore,
    thread: AnyThreadArgument = None,
    *,
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Delete files that nothing refers to, too. Only while no writer is active."),
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Make damaged threads usable again with what is left of them, and report what was lost.

    For example:

        langchain-mix checkpoints repair --dry-run

        langchain-mix checkpoints repair my-thread --yes
    """
    from langchain_mix.cli.checkpoints.queries import waiting

    console = output_console()
    saver = opened(None if thread is None else [thread]).saver()
    with waiting("Examining"):
        plan = saver.repair(thread, dry_run=True, orphans=orphans)
    if not plan.steps:
        console.print("Nothing is damaged.")
        return
    _show_repair(plan, console)
    if dry_run:
        console.print("Nothing was done.")
        return
    if not yes:
        confirm("Do it?")
    with waiting("Repairing"):
        done = saver.repair(thread, dry_run=False, orphans=orphans)
    if done.steps != plan.steps:
        console.print("It has changed meanwhile. What was done:")
        _show_repair(done, console)
    for name in done.left:
        report_error(
            MixStoreError(f"{name} could not be deleted.", acted="unknown", hint="Nothing refers to it; try again.")
        )
    console.print(f"Done: {counted(len(done.steps) - len(done.left), 'step')}.")
    if done.left:
        raise typer.Exit(FAILED)


def _show_repair(found: Repair, console: Console) -> None:
    for step in found.steps:
        lost = "  Lost: " if step.lost else "  "
        line = f"{lost}{step.document} {step.problem}: {step.action}"
        console.print(Text(visible(line), style="bold" if step.lost else ""), soft_wrap=True)


@store_command("delete")
def delete(
    opened: OpenStore, thread: ThreadArgument, *, delete_sessions: SessionsOption = False, yes: YesOption = False
) -> None:
    """Delete a thread with all its checkpoints, a damaged one, too.

    For example:

        langchain-mix checkpoints delete my-thread

        langchain-mix checkpoints delete my-thread --delete-sessions --yes
    """
    from langchain_mix.checkpoint import Removed
    from langchain_mix.cli.checkpoints.queries import report_of, waiting

    console = output_console()
    store = opened([thread])
    saver = store.saver()
    found = report_of(store, thread)
    remove = partial(saver.prune, [thread], strategy="delete", delete_sessions=True)
    with waiting("Reading"):
        plan = remove(dry_run=True) if delete_sessions else Removed()
    damaged = ", damaged" if any(one.problem for one in found.threads) else ""
    line = f"  {thread}  ({counted(found.checkpoints, 'checkpoint')}{damaged})"
    console.print(Text(visible(line)), soft_wrap=True)
    _list_sessions(plan, console)
    if not yes:
        confirm("Delete it?")
    with waiting("Deleting"):
        if delete_sessions:
            plan = remove()
        else:
            saver.delete_thread(thread, delete_sessions=False)
    gone = f" and {counted(len(plan.sessions), 'session')}" if plan.sessions else ""
    console.print(f"Deleted the thread{gone}.")


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
