"""A chat turn as a state machine.

`machine.py` is the entrance and has the rules for answers and for streams that end; `stream.py` has those for events,
`reconciliation.py` those for the stored messages. Nothing is imported here, so that a module which only names updates
does not load the machine.
"""
