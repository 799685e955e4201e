"""Commands for the sessions of a server."""
