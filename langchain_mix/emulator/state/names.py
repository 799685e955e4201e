"""What uploaded files are called.

Owns: how the server rewrites the name of an upload, and which names lead out of a directory.
Refuses to know: the file system.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final

from langchain_mix.emulator.state.errors import invalid
from langchain_mix.emulator.state.serializers import well_formed
from langchain_mix.protocol.api import Capabilities

# What Go calls space; Python's `str.isspace` also counts the separators U+001C to U+001F.
_SPACE: Final = re.compile("[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_UNDERSCORES: Final = re.compile("__+")


def stored_name(sent: str, caps: Capabilities) -> str:
    """The name under which an upload is stored (Q28).

    Directories are cut off, white space becomes `_`, runs of `_` become one, and from Mix 0.7 on every dot before the
    extension becomes `_`. A dot at the beginning starts no extension: `.bashrc` stays, `.env.local` is `_env.local`.

    Args:
        sent: The name in the request.
        caps: What the generation can do.

    Returns:
        The name, one path segment.

    Raises:
        ApiError: 400, nothing is left that could be a name.
    """
    name = _SPACE.sub("_", well_formed(sent).rstrip("/").rpartition("/")[2])
    if caps.subagents:
        dot = name.rfind(".")
        if dot > 0:
            name = name[:dot].replace(".", "_") + name[dot:]
    name = _UNDERSCORES.sub("_", name)
    if name in {"", ".", ".."} or "\0" in name:
        raise invalid("file", "invalid file name")
    return name


def inside(name: str) -> str | None:
    """Resolves the name of a wanted file.

    Args:
        name: The name in the request, decoded; may have several segments.

    Returns:
        The path below a directory, `.` for the directory itself, or None if it leads out of it.
    """
    path = posixpath.normpath(name) if name else "."
    return None if path.startswith("/") or path.split("/")[0] == ".." else path
