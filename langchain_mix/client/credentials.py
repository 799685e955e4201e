"""Credentials that stand in a server's URL.

Owns: how a user name and a password are told from the rest of a URL. Refuses to know: who sends
and keeps them.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit, urlunsplit


def split_url(url: str) -> tuple[str, str]:
    """Takes the user name and the password out of a URL.

    Args:
        url: The URL, perhaps malformed.

    Returns:
        The URL without them, and `user:password`, empty if there is none.
    """
    try:
        parts = urlsplit(url)
        user, password = parts.username, parts.password
    except ValueError:
        return url, ""  # The client says what is wrong with it.
    if not user and not password:
        return url, ""
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, f"{unquote(user or '')}:{unquote(password or '')}"
