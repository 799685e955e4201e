"""The commands of `langchain-mix checkpoints` with their options.

What they read is in `queries.py`, what they change in `actions.py`; a command imports them when it runs, as both load
LangGraph.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, TypeAlias

import typer

from langchain_mix.cli.connection import ApiOption, HeaderOption, JsonOption, ServerOption, connect
from langchain_mix.cli.failures import EXIT_CODES, FAILED, reported_errors
from langchain_mix.cli.terminal import output_console, write_json
from langchain_mix.errors import MixInputError

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
    typer.Option(
        "--aes-key-env",
        metavar="NAME",
        help="Environment variable with the key of an encrypted store; '' for one that is not encrypted. If not given: "
        "LANGGRAPH_AES_KEY where something is encrypted.",
        show_default=False,
    ),
]
NamespaceOption: TypeAlias = Annotated[
    str, typer.Option("--ns", help="Namespace of a subgraph; the graph itself if not given.", show_default=False)
]
SessionsOption: TypeAlias = Annotated[
    bool, typer.Option("--delete-sessions", help="Delete Mix sessions, too, that no checkpoint points to any more.")
]
DryRunOption: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
YesOption: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


_AGE: Final = re.compile(r"([0-9]+)\s*([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_age(text: str) -> timedelta:
    """Reads an age.

    Args:
        text: A whole number and a unit: `s`, `m` for minutes, `h`, `d` or `w`.

    Returns:
        The age.

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


def list_checkpoints(
    thread: AnyThreadArgument = None,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Show so many of the newest.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """List threads, each with its newest checkpoint; or the checkpoints of one thread. The newest comes first.

    Piped into another program, it writes lines of cells separated by tabs.

    For example:

        langchain-mix checkpoints list

        langchain-mix checkpoints list my-thread -n 10

        langchain-mix checkpoints list --json | jq -r '.[].thread_id'
    """
    from langchain_mix.cli.checkpoints.access import open_store
    from langchain_mix.cli.checkpoints.queries import (
        checkpoints_of,
        reported_types,
        threads_of,
    )
    from langchain_mix.cli.checkpoints.views import show_list

    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix, reported_types():
        store = open_store(mix, aes_key_env, None if thread is None else [thread])
        found = threads_of(store, limit) if thread is None else checkpoints_of(store, thread, limit)
        if json:
            write_json(console, [one.data() for one in found.summaries])
        elif found.summaries or not console.is_terminal:
            show_list(console, found.summaries, threads=thread is None)
        elif not found.unreadable:
            console.print("There is no thread yet. MixSaver keeps them here.")
        if found.unreadable:
            raise typer.Exit(FAILED)


def tree(
    thread: ThreadArgument,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
    ns: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Show the checkpoints of a thread as a tree: what follows what, what branched off, in which Mix sessions.

    The continuation of a checkpoint is below it; branches are indented to the right.

    For example:

        langchain-mix checkpoints tree my-thread

        langchain-mix checkpoints tree my-thread --json | jq '.nodes | length'
    """
    from langchain_mix.cli.checkpoints.access import open_store
    from langchain_mix.cli.checkpoints.queries import (
        reported_types,
        tree_of_thread,
    )
    from langchain_mix.cli.checkpoints.views import show_tree, tree_data

    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix, reported_types():
        found, previews = tree_of_thread(open_store(mix, aes_key_env, [thread]), thread, ns)
        if json:
            write_json(console, tree_data(found, previews))
        else:
            show_tree(console, found, previews)


def show(
    thread: ThreadArgument,
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A checkpoint's id, the beginning of it, or 'last'.")
    ] = "last",
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
    ns: NamespaceOption = "",
    full: Annotated[bool, typer.Option("--full", help="Cut nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Show a checkpoint: the values of its state, cut to fit, and the writes that wait at it.

    For example:

        langchain-mix checkpoints show my-thread

        langchain-mix checkpoints show my-thread 1f0c5a2e --full
    """
    from langchain_mix.cli.checkpoints.access import open_store
    from langchain_mix.cli.checkpoints.queries import (
        checkpoint_of,
        reported_types,
    )
    from langchain_mix.cli.checkpoints.views import show_checkpoint

    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix, reported_types():
        found = checkpoint_of(open_store(mix, aes_key_env, [thread]), thread, checkpoint, ns)
        if json:
            write_json(console, found.data())
        else:
            show_checkpoint(console, found, full=full)


def report(
    thread: AnyThreadArgument = None,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Count what is stored: files, bytes, checkpoints, files that nothing refers to; and report what is damaged.

    For example:

        langchain-mix checkpoints report

        langchain-mix checkpoints report my-thread --json
    """
    from langchain_mix.cli.checkpoints.access import open_store
    from langchain_mix.cli.checkpoints.queries import report_of
    from langchain_mix.cli.checkpoints.views import report_data, show_report

    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        found = report_of(open_store(mix, aes_key_env, None if thread is None else [thread]), thread)
        if json:
            write_json(console, report_data(found))
        else:
            show_report(console, found)


def prune(
    threads: Annotated[
        list[str] | None, typer.Argument(metavar="THREAD...", help="Ids of threads.", show_default=False)
    ] = None,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Prune all threads.")] = False,
    keep_last: Annotated[
        int | None,
        typer.Option(
            "--keep-last", "-k", min=1, help="Keep so many of each namespace; 1 if not given.", show_default=False
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="AGE", help="Remove only what is older: 30d, 12h, 4w.", show_default=False
        ),
    ] = None,
    delete_sessions: SessionsOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Remove old checkpoints. The newest of each thread stays in any case, so that it can go on.

    For example:

        langchain-mix checkpoints prune my-thread --keep-last 10 --dry-run

        langchain-mix checkpoints prune --all --older-than 30d --delete-sessions --yes
    """
    from langchain_mix.cli.checkpoints import actions
    from langchain_mix.cli.checkpoints.access import open_store

    with reported_errors(), connect(server, api=api, headers=header) as mix:
        if everything == bool(threads):
            raise MixInputError("Which threads?", hint="Name them, or say `--all`.")
        age = None if older_than is None else read_age(older_than)
        rule = actions.Rule(keep_last=keep_last, older_than=age, sessions=delete_sessions)
        store = open_store(mix, aes_key_env, threads or None)
        if actions.prune(store, threads or None, rule, dry_run=dry_run, yes=yes, console=output_console()):
            raise typer.Exit(FAILED)


def rewind(
    thread: ThreadArgument,
    checkpoint: CheckpointArgument,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Take a thread back to a checkpoint, and its Mix session with it. Nothing brings back what goes.

    What is newer goes, branches made later included. To go on from a checkpoint without losing anything, run the graph
    with the checkpoint's config instead.

    For example:

        langchain-mix checkpoints rewind my-thread 1f0c5a2e --dry-run

        langchain-mix checkpoints rewind my-thread 1f0c5a2e-7b1d-6c1e-8004-9e0f3f2f6a11 --yes
    """
    from langchain_mix.cli.checkpoints import actions
    from langchain_mix.cli.checkpoints.access import open_store

    with reported_errors(), connect(server, api=api, headers=header) as mix:
        store = open_store(mix, aes_key_env, [thread])
        actions.rewind(store, thread, checkpoint, dry_run=dry_run, yes=yes, console=output_console())


def copy(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The thread to copy.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The new thread.", show_default=False)],
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
) -> None:
    """Copy a thread with all its checkpoints into a new one, and fork its Mix sessions where the server has forks.

    For example: langchain-mix checkpoints copy my-thread experiment
    """
    from langchain_mix.cli.checkpoints import actions
    from langchain_mix.cli.checkpoints.access import open_store

    with reported_errors(), connect(server, api=api, headers=header) as mix:
        actions.copy(open_store(mix, aes_key_env, [source, target]), source, target, console=output_console())


def repair(
    thread: AnyThreadArgument = None,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
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
    from langchain_mix.cli.checkpoints import actions
    from langchain_mix.cli.checkpoints.access import open_store

    with reported_errors(), connect(server, api=api, headers=header) as mix:
        store = open_store(mix, aes_key_env, None if thread is None else [thread])
        if actions.repair(store, thread, orphans=orphans, dry_run=dry_run, yes=yes, console=output_console()):
            raise typer.Exit(FAILED)


def delete(
    thread: ThreadArgument,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
    delete_sessions: SessionsOption = False,
    yes: YesOption = False,
) -> None:
    """Delete a thread with all its checkpoints, a damaged one, too.

    For example:

        langchain-mix checkpoints delete my-thread

        langchain-mix checkpoints delete my-thread --delete-sessions --yes
    """
    from langchain_mix.cli.checkpoints import actions
    from langchain_mix.cli.checkpoints.access import open_store

    with reported_errors(), connect(server, api=api, headers=header) as mix:
        store = open_store(mix, aes_key_env, [thread])
        actions.delete(store, thread, sessions=delete_sessions, yes=yes, console=output_console())


checkpoints_app = typer.Typer(
    no_args_is_help=True, help="Look at threads kept by MixSaver, take them back, copy, prune, repair, delete them."
)

checkpoints_app.command("list", epilog=EXIT_CODES, short_help="List threads, or the checkpoints of one.")(
    list_checkpoints
)
checkpoints_app.command("tree", epilog=EXIT_CODES, short_help="Show the checkpoints of a thread as a tree.")(tree)
checkpoints_app.command("show", epilog=EXIT_CODES, short_help="Show a checkpoint with the values of its state.")(show)
checkpoints_app.command("report", epilog=EXIT_CODES, short_help="Count what is stored, and report what is damaged.")(
    report
)
checkpoints_app.command("prune", epilog=EXIT_CODES)(prune)
checkpoints_app.command("rewind", epilog=EXIT_CODES)(rewind)
checkpoints_app.command("copy", epilog=EXIT_CODES, short_help="Copy a thread with its checkpoints and sessions.")(copy)
checkpoints_app.command("repair", epilog=EXIT_CODES, short_help="Make damaged threads usable again.")(repair)
checkpoints_app.command("delete", epilog=EXIT_CODES)(delete)
