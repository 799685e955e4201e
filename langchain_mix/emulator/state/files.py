"""The files: one directory of uploads for all sessions, and a private directory for each.

Owns: where files are, how uploads are named and stored whole, and which file a name means.
Refuses to know: media types, thumbnails and byte ranges.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from langchain_mix.emulator.state.errors import PlainError, internal, invalid, not_found
from langchain_mix.emulator.state.serializers import well_formed
from langchain_mix.protocol.api import Capabilities

# What Go calls space; Python's `str.isspace` also counts the separators U+001C to U+001F.
_SPACE: Final = re.compile("[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_UNDERSCORES: Final = re.compile("__+")


def stored_name(sent: str, caps: Capabilities) -> str:
    """The name under which an upload is stored (Mix).

    Directories are cut off, white space becomes `_`, runs of `_` become one, and from Mix 0.7 on every dot before the
    extension becomes `_`. A dot at the beginning starts no extension: `.bashrc` stays, `.env.local` is `_env.local`.

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
    """Returns the path below a directory that a decoded name means, or None if it leads out of it."""
    path = posixpath.normpath(name) if name else "."
    return None if path.startswith("/") or path.split("/")[0] == ".." else path


PRIVATE: Final = 0o700
_log: Final = logging.getLogger(__name__)


def make_private(directory: Path, *, parents: bool = False) -> None:
    """Makes a directory that no other user of this machine can enter; one that exists is closed to them.

    Raises:
        OSError: It cannot be made, or belongs to somebody else.
    """
    directory.mkdir(mode=PRIVATE, parents=parents, exist_ok=True)
    directory.chmod(PRIVATE)


class Files:
    """The files of one server."""

    def __init__(self, data_dir: Path, caps: Capabilities, session_exists: Callable[[str], bool]) -> None:
        """Makes the directories and removes unfinished uploads of a killed process."""
        self.uploads = data_dir / "uploads"
        self._private = data_dir / "sessions"
        self._incoming = data_dir / "incoming"
        self._screenshots = data_dir / "screenshots"
        self._caps = caps
        self._session_exists = session_exists
        shutil.rmtree(self._incoming, ignore_errors=True)
        for directory in (self.uploads, self._private):
            make_private(directory)

    def workspace(self, session_id: str) -> Path:
        """The private directory of a session, made if need be.

        Raises:
            ApiError: 400, the id is no UUID and could lead elsewhere.
        """
        _check_id(session_id)
        path = self._private / session_id
        path.mkdir(mode=PRIVATE, exist_ok=True)
        return path

    def forget(self, session_id: str) -> None:
        """Removes the private directories of a deleted session; uploads stay."""
        for path in (self._private / session_id, self._screenshots / session_id):
            try:
                if path.exists():
                    shutil.rmtree(path)
            except OSError:
                # A tool that still runs may write meanwhile. The session is gone all the same, and nothing leads here.
                _log.warning("The directory of a deleted session is not empty: %s.", path, exc_info=True)

    def clean_up(self, session_id: str, limit: int) -> None:
        """Deletes the private files of a session that were changed after a unix second.

        Raises:
            ApiError: 400, the id is no UUID.
        """
        for path in self.workspace(session_id).iterdir():
            try:
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and int(status.st_mtime) > limit:
                    path.unlink()
            except OSError:
                # Mix: a file that cannot be deleted does not fail the rewind.
                _log.warning("Rewinding left %s in place.", path.name, exc_info=True)

    def save_screenshot(self, session_id: str, picture: bytes) -> str:
        """Stores a PNG that a tool took (Mix 0.8) and returns its name: the time in nanoseconds.

        Raises:
            ApiError: 400, the id is no UUID.
        """
        _check_id(session_id)
        make_private(self._screenshots)
        directory = self._screenshots / session_id
        directory.mkdir(mode=PRIVATE, exist_ok=True)
        path = directory / f"{time.time_ns()}.png"
        while path.exists():
            path = directory / f"{int(path.stem) + 1}.png"
        path.write_bytes(picture)
        return path.name

    def screenshot(self, session_id: str, name: str) -> Path:
        """Finds a picture that a tool took.

        Raises:
            PlainError: 400 for a name that could lead elsewhere, 404 for an unknown session or picture.
        """
        if ".." in name or "/" in name or "\\" in name or "\0" in name:
            raise PlainError(400, "Invalid filename")
        if not self._session_exists(session_id):
            raise PlainError(404, "Session not found")
        path = self._screenshots / session_id / name
        try:
            found = path.is_file()
        except OSError:  # A name that the file system cannot have.
            found = False
        if not found:
            raise PlainError(404, "Screenshot not found")
        return path

    def listing(self, session_id: str, base_url: str) -> list[dict[str, Any]]:
        """A FileInfo for each upload of whatever session, sorted by name (Mix); private files are not shown."""
        self._check_session(session_id)
        found = _regular_files(self.uploads, "")
        return [_info(name, size, session_id, base_url) for name, size in sorted(found)]

    def upload(self, session_id: str, filename: str, content: BinaryIO, base_url: str) -> dict[str, Any]:
        """Stores an upload and gives its FileInfo; one of the same name is replaced, whichever session sent it (Mix).

        Raises:
            ApiError: 400 for a bad id or name, 404 for an unknown session, 500 if it cannot be stored.
        """
        self._check_session(session_id)
        name = stored_name(filename, self._caps)
        make_private(self._incoming)
        handle, temporary = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(handle, "wb") as target:
                shutil.copyfileobj(content, target)
                size = target.tell()
            # Readers see the old file or the whole new one.
            Path(temporary).replace(self.uploads / name)
        except OSError as problem:
            raise internal("saving file", problem.strerror or str(problem)) from problem
        finally:
            Path(temporary).unlink(missing_ok=True)
        return _info(name, size, session_id, base_url)

    def find(self, session_id: str, filename: str) -> tuple[Path, Literal["private", "upload"]]:
        """Finds the file of a name: the session's private one, else the upload.

        Raises:
            ApiError: 400 for a bad id or name, 404 if there is none, 500 if the name leads out of the directory.
            PlainError: 400, it is a directory.
        """
        self._check_session(session_id)
        if path := _file_in(self.workspace(session_id), filename):
            return path, "private"
        if path := _file_in(self.uploads, filename):
            return path, "upload"
        raise not_found("File", filename)

    def delete(self, session_id: str, filename: str) -> None:
        """Deletes an upload, for all sessions.

        Raises:
            ApiError: 400 for a bad id or name, 404 if there is none, 500 if the name leads out of the directory.
            PlainError: 400, it is a directory.
        """
        self._check_session(session_id)
        path = _file_in(self.uploads, filename)
        if path is None:
            raise not_found("File", filename)
        try:
            path.unlink()
        except FileNotFoundError:
            raise not_found("File", filename) from None

    def _check_session(self, session_id: str) -> None:
        _check_id(session_id)
        if not self._session_exists(session_id):
            raise not_found("Session", session_id)


def _regular_files(directory: Path, prefix: str) -> Iterator[tuple[str, int]]:
    """Name and size of each file below a directory, hidden ones included; links are left out."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _regular_files(directory / entry.name, f"{prefix}{entry.name}/")
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # Deleted while the directory was read.
            if stat.S_ISREG(status.st_mode):
                yield prefix + entry.name, status.st_size


def _check_id(session_id: str) -> None:
    try:
        well_shaped = str(uuid.UUID(session_id)) == session_id.lower()
    except ValueError:
        well_shaped = False
    if not well_shaped:
        raise invalid("id", "invalid session ID format")


def _file_in(directory: Path, filename: str) -> Path | None:
    """The file of that name, None if there is none; links out of the directory are refused like `..` is."""
    below = inside(well_formed(filename))
    if "\0" in filename:
        raise invalid("filename", "invalid file name")
    root = directory.resolve()
    try:
        path = None if below is None else (root / below).resolve()
        if path is None or not path.is_relative_to(root):
            raise internal("accessing file", f"openat {filename}: path escapes from parent")
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError) as problem:  # Too long a name, or links in a circle.
        raise internal("accessing file", str(getattr(problem, "strerror", None) or problem)) from problem
    if stat.S_ISDIR(mode):
        raise PlainError(400, "Cannot serve directory")
    return path if stat.S_ISREG(mode) else None


def _info(name: str, size: int, session_id: str, base_url: str) -> dict[str, Any]:
    # Mix 0.5.3: `modified` is always 0, and the URL is absolute and not percent-encoded.
    url = f"{base_url}/api/sessions/{session_id}/files/{name}"
    return {"name": name, "size": size, "modified": 0, "isDir": False, "url": url}
