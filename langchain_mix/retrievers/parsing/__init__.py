"""Bytes in, text with places out: pure, for every format, and never failing on what a file holds.

`parse.py` reads a file. Nothing is imported here: the process that reads a file needs a reader and nothing else.
"""
