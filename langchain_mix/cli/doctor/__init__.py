"""Finds out why a server or a connection does not work."""
