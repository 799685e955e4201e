"""The commands that change threads, and their options.

Owns: what can be typed. Refuses to know: what is done then (`work.py`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from langchain_mix.cli.checkpoints.ages import read_age
from langchain_mix.cli.checkpoints.options import (
    AnyThreadArgument,
    CheckpointArgument,
    DryRunOption,
    KeyOption,
    SessionsOption,
    ThreadArgument,
    YesOption,
)
from langchain_mix.cli.connection import ApiOption, HeaderOption, ServerOption, connect
from langchain_mix.cli.failures import FAILED, told
from langchain_mix.cli.terminal import output_console
from langchain_mix.errors import MixInputError


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
    from langchain_mix.cli.checkpoints import work  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # As above.

    with told(), connect(server, api=api, headers=header) as mix:
        if everything == bool(threads):
            raise MixInputError("Which threads?", hint="Name them, or say `--all`.")
        age = None if older_than is None else read_age(older_than)
        rule = work.Rule(keep_last=keep_last, older_than=age, sessions=delete_sessions)
        store = open_store(mix, aes_key_env, threads or None)
        if work.prune(store, threads or None, rule, dry_run=dry_run, yes=yes, console=output_console()):
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
    from langchain_mix.cli.checkpoints import work  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # As above.

    with told(), connect(server, api=api, headers=header) as mix:
        store = open_store(mix, aes_key_env, [thread])
        work.rewind(store, thread, checkpoint, dry_run=dry_run, yes=yes, console=output_console())


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
    from langchain_mix.cli.checkpoints import work  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # As above.

    with told(), connect(server, api=api, headers=header) as mix:
        work.copy(open_store(mix, aes_key_env, [source, target]), source, target, console=output_console())


def repair(
    thread: AnyThreadArgument = None,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    aes_key_env: KeyOption = None,
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Delete files that nothing refers to, too. Do it while nobody writes."),
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Make damaged threads usable again with what is left of them, and tell what was lost.

    For example:

        langchain-mix checkpoints repair --dry-run

        langchain-mix checkpoints repair my-thread --yes
    """
    from langchain_mix.cli.checkpoints import work  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # As above.

    with told(), connect(server, api=api, headers=header) as mix:
        store = open_store(mix, aes_key_env, None if thread is None else [thread])
        if work.repair(store, thread, orphans=orphans, dry_run=dry_run, yes=yes, console=output_console()):
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
    from langchain_mix.cli.checkpoints import work  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # As above.

    with told(), connect(server, api=api, headers=header) as mix:
        store = open_store(mix, aes_key_env, [thread])
        work.delete(store, thread, sessions=delete_sessions, yes=yes, console=output_console())
