"""`langchain-mix sessions`: look at the sessions of a server, copy them, take them back, delete them.

Owns: nothing of its own. Refuses to know: the details (`command.py` has the commands).
"""
