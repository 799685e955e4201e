"""A turn as a state machine, and all it tells.

`machine.py` is the entrance; `stream.py`, `answers.py` and `settling.py` hold the rules, by what happens.
"""

from langchain_mix.protocol.turn.machine import Turn

__all__ = ["Turn"]
