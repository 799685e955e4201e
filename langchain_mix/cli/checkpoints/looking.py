"""The commands that look at checkpoints, and their options.

Owns: what can be typed. Refuses to know: what is read (`reading.py`) and how it is shown (`views.py`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from langchain_mix.cli.checkpoints.options import AnyThreadArgument, KeyOption, NamespaceOption, ThreadArgument
from langchain_mix.cli.connection import ApiOption, HeaderOption, JsonOption, ServerOption, connect
from langchain_mix.cli.failures import FAILED, told
from langchain_mix.cli.terminal import output_console, write_json


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
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.reading import checkpoints_of, threads_of  # noqa: PLC0415  # As above.
    from langchain_mix.cli.checkpoints.views import show_list  # noqa: PLC0415  # As above.
    from langchain_mix.cli.checkpoints.waiting import types_told  # noqa: PLC0415  # As above.

    console = output_console()
    with told(), connect(server, api=api, headers=header) as mix, types_told():
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

    What goes on from a checkpoint stands below it; what branched off stands further to the right.

    For example:

        langchain-mix checkpoints tree my-thread

        langchain-mix checkpoints tree my-thread --json | jq '.nodes | length'
    """
    from langchain_mix.cli.checkpoints.drawing import show_tree, tree_data  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # As above.
    from langchain_mix.cli.checkpoints.reading import tree_of_thread  # noqa: PLC0415  # As above.
    from langchain_mix.cli.checkpoints.waiting import types_told  # noqa: PLC0415  # As above.

    console = output_console()
    with told(), connect(server, api=api, headers=header) as mix, types_told():
        found = tree_of_thread(open_store(mix, aes_key_env, [thread]), thread, ns)
        if json:
            write_json(console, tree_data(found))
        else:
            show_tree(console, found)


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
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.reading import checkpoint_of  # noqa: PLC0415  # As above.
    from langchain_mix.cli.checkpoints.views import show_checkpoint  # noqa: PLC0415  # As above.
    from langchain_mix.cli.checkpoints.waiting import types_told  # noqa: PLC0415  # As above.

    console = output_console()
    with told(), connect(server, api=api, headers=header) as mix, types_told():
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
    """Count what is stored: files, bytes, checkpoints, files that nothing refers to; and tell what is damaged.

    For example:

        langchain-mix checkpoints report

        langchain-mix checkpoints report my-thread --json
    """
    from langchain_mix.cli.checkpoints.opening import open_store  # noqa: PLC0415  # Loads LangGraph.
    from langchain_mix.cli.checkpoints.reading import report_of  # noqa: PLC0415  # As above.
    from langchain_mix.cli.checkpoints.views import report_data, show_report  # noqa: PLC0415  # As above.

    console = output_console()
    with told(), connect(server, api=api, headers=header) as mix:
        found = report_of(open_store(mix, aes_key_env, None if thread is None else [thread]), thread)
        if json:
            write_json(console, report_data(found))
        else:
            show_report(console, found)
