"""Files of sessions.

Owns: how the server describes a file. Refuses to know: file contents and how they travel (`call.py`).
"""

from __future__ import annotations

from langchain_mix.protocol.models.base import Payload


class FileInfo(Payload):
    """An uploaded file. All sessions of a server share their uploads.

    Attributes:
        name: Its name on the server, which may differ from the one sent; may contain `/`.
        original_name: The name that was sent; only some servers tell.
        size: Bytes.
        modified: Unix time of the last change, or 0 where the server does not know.
        is_dir: Whether it is a directory.
        url: Where the server believes it can be read: absolute, not percent-encoded, and wrong behind some proxies.
            Empty on servers before Mix 0.5.3.
    """

    name: str
    original_name: str | None = None
    size: int = 0
    modified: int = 0
    is_dir: bool = False
    url: str = ""
