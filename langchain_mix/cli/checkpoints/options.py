"""What the commands about checkpoints have in common.

Owns: the arguments and options that several of them share. Refuses to know: what they do.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

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
DryRunOption: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]
YesOption: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
