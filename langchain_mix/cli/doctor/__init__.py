"""`langchain-mix doctor`: find out why it does not work.

Owns: nothing of its own. Refuses to know: the details (`command.py` has the command, `checks.py` what is checked).
"""
