"""A turn as a state machine, and all it tells.

`machine.py` is the entrance; `stream.py`, `answers.py` and `settling.py` hold the rules, by what happens. Nothing is
imported here: who only names updates does not load the machine.
"""
