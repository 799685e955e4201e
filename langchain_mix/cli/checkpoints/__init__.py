"""`langchain-mix checkpoints`: look at the threads that `MixSaver` keeps, and look after them.

Owns: nothing of its own. Refuses to know: the details (`command.py` has the commands).
"""
