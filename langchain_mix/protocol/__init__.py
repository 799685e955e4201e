"""What Mix says and what it means: values and decisions, no input or output.

Nothing in this package waits, opens a socket, reads a clock or knows LangChain. Client and emulator both stand on it.
"""
