"""`langchain-mix chat`: talk to a Mix agent in the terminal.

Owns: nothing of its own. Refuses to know: the details (`command.py` has the command, `loop.py` the conversation).
"""
