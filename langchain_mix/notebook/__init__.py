"""Runs of agents, sessions and checkpoints as they look best in a notebook, and readable outside of one.

Owns: the names that users import. Refuses to know: everything else.
"""

from __future__ import annotations

from langchain_mix.extras import extra

with extra("notebook", part=__name__):
    from langchain_mix.notebook.checkpoint_tree import CheckpointTree, atree, tree
    from langchain_mix.notebook.live import ashow, show
    from langchain_mix.notebook.session_transcript import Transcript, atranscript, transcript

__all__ = ["CheckpointTree", "Transcript", "ashow", "atranscript", "atree", "show", "transcript", "tree"]
