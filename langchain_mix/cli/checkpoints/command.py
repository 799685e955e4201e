"""Which commands `langchain-mix checkpoints` has.

Owns: their names. Refuses to know: their options (`looking.py`, `changing.py`).
"""

from __future__ import annotations

import typer

from langchain_mix.cli.checkpoints import changing, looking
from langchain_mix.cli.failures import EXIT_CODES

checkpoints_app = typer.Typer(
    no_args_is_help=True, help="Look at threads kept by MixSaver, take them back, copy, prune, repair, delete them."
)

checkpoints_app.command("list", epilog=EXIT_CODES)(looking.list_checkpoints)
checkpoints_app.command("tree", epilog=EXIT_CODES)(looking.tree)
checkpoints_app.command("show", epilog=EXIT_CODES)(looking.show)
checkpoints_app.command("report", epilog=EXIT_CODES)(looking.report)
checkpoints_app.command("prune", epilog=EXIT_CODES)(changing.prune)
checkpoints_app.command("rewind", epilog=EXIT_CODES)(changing.rewind)
checkpoints_app.command("copy", epilog=EXIT_CODES)(changing.copy)
checkpoints_app.command("repair", epilog=EXIT_CODES)(changing.repair)
checkpoints_app.command("delete", epilog=EXIT_CODES)(changing.delete)
