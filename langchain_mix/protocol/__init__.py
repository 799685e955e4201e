"""The Mix protocol as values and decisions, without input or output.

Nothing in this package waits, opens a socket, reads a clock or knows LangChain. Client and emulator both use it.
"""
