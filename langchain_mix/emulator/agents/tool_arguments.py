"""The arguments of tool calls, which a model may have got wrong, and the paths among them.

Owns: `ToolError`, the refusal that becomes an error result; the checks of argument types; the directories of a session
and the rules that keep paths inside them, whatever `..` and links say.
Refuses to know: what the tools do with their arguments, and what is in the files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_mix.emulator.agents.base import Request


class ToolError(Exception):
    """A call that cannot be carried out. Its text is the error result that the model reads."""


def text(arguments: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    """Reads a required text.

    Raises:
        ToolError: If it is missing, empty or no text.
    """
    value = arguments.get(name)
    if not isinstance(value, str) or not (value or empty):
        raise ToolError(f"{name} is required and must be a text")
    return value


def optional_text(arguments: Mapping[str, Any], name: str) -> str:
    """Reads a text that may be missing.

    Raises:
        ToolError: If it is there and no text.
    """
    value = arguments.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ToolError(f"{name} must be a text")
    return value


def number(arguments: Mapping[str, Any], name: str, default: int, *, least: int = 0) -> int:
    """Reads a whole number that may be missing.

    Raises:
        ToolError: If it is no whole number or too small.
    """
    value = arguments.get(name)
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ToolError(f"{name} must be a whole number, at least {least}")
    return value


def records(arguments: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Reads a required list of objects.

    Raises:
        ToolError: If it is anything else.
    """
    value = arguments.get(name)
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise ToolError(f"{name} is required and must be a list of objects")
    return value


MAX_FILES = 20_000
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 3000
_SKIPPED = frozenset(
    {
        ".mix", ".git", ".idea", ".vscode", "node_modules", "vendor", "dist", "build", "target", "__pycache__", "bin",
        "obj", "out", "coverage", "tmp", "temp", "logs", "generated", "bower_components", "jspm_packages",
    }
)  # fmt: skip
"""Mix: directories that Glob and Grep pass over, wherever they are."""


@dataclass(frozen=True, slots=True)
class Places:
    """The session's private directory, which may be written, and the uploads, which may only be read; both resolved."""

    workspace: Path
    uploads: Path

    @classmethod
    def of(cls, request: Request) -> Places:
        """Takes the directories of a request."""
        return cls(request.workspace.resolve(), request.uploads.resolve())

    def existing(self, name: str) -> Path:
        """Finds a file or directory to read: by absolute path, or by name in the workspace, then in the uploads.

        Raises:
            ToolError: If it is outside, or missing.
        """
        given = _checked(name)
        candidates = [given] if given.is_absolute() else [self.workspace / given, self.uploads / given]
        inside = [path for path in map(_resolved, candidates) if self._holds(path)]
        if not inside:
            raise ToolError(f"path is outside of the session's directories: {name}")
        for path in inside:
            if path.exists():
                return path
        raise ToolError(f"File not found: {name}")

    def file(self, name: str) -> Path:
        """Finds a regular file to read.

        Raises:
            ToolError: If it is outside, missing, a directory or a device.
        """
        path = self.existing(name)
        if path.is_dir():
            raise ToolError(f"Path is a directory, not a file: {name}")
        if not stat.S_ISREG(path.stat().st_mode):
            raise ToolError(f"Not a regular file: {name}")
        return path

    def target(self, name: str) -> Path:
        """Finds where to write: in the workspace only.

        Raises:
            ToolError: If it is elsewhere, or a directory.
        """
        given = _checked(name)
        path = _resolved(given if given.is_absolute() else self.workspace / given)
        if not path.is_relative_to(self.workspace) or path == self.workspace:
            raise ToolError(f"writing is allowed in the session's directory only: {name}")
        if path.exists() and not path.is_file():
            raise ToolError(f"Path is not a file: {name}")
        return path

    def name_of(self, path: Path) -> str:
        """Names a file as users do: relative to its directory."""
        root = self.workspace if path.is_relative_to(self.workspace) else self.uploads
        return path.relative_to(root).as_posix()

    def files(self, under: str = "") -> Iterator[tuple[str, Path]]:
        """Walks the regular files below one directory or both, sorted by name; links that lead outside are passed over.

        Mix: hidden files are passed over too, and so is what is below directories of tools and builds. Naming a hidden
        directory shows what is in it; naming one of the others does not.

        Raises:
            ToolError: If `under` is outside or no directory.
        """
        roots = [self.existing(under)] if under else [self.workspace, self.uploads]
        count = 0
        for root in roots:
            if under and not root.is_dir():
                raise ToolError(f"Path is not a directory: {under}")
            if not _SKIPPED.isdisjoint(self._below_storage(root)):
                continue
            for path in _walk(root):
                if not self._is_inner_file(path):
                    continue
                count += 1
                if count > MAX_FILES:
                    raise ToolError(f"more than {MAX_FILES} files; name a directory")
                yield path.relative_to(root).as_posix(), path

    def _below_storage(self, path: Path) -> tuple[str, ...]:
        root = self.workspace if path.is_relative_to(self.workspace) else self.uploads
        return path.relative_to(root).parts

    def _is_inner_file(self, path: Path) -> bool:
        try:
            return path.is_file() and (not path.is_symlink() or self._holds(_resolved(path)))
        except ToolError:  # A loop of links is no file.
            return False

    def _holds(self, path: Path) -> bool:
        return path.is_relative_to(self.workspace) or path.is_relative_to(self.uploads)


def _checked(name: str) -> Path:
    if "://" in name[:12]:
        raise ToolError(f"no network: the emulator opens no URLs: {name}")
    if "\0" in name:
        raise ToolError("path contains a NUL character")
    path = Path(name)
    if ".." in path.parts:
        raise ToolError(f"path must not contain `..`: {name}")
    try:
        lengths = [len(part.encode("utf-8")) for part in path.parts]
    except UnicodeEncodeError:
        raise ToolError("path is not valid Unicode") from None
    if max(lengths, default=0) > MAX_NAME_BYTES or sum(lengths) + len(lengths) > MAX_PATH_BYTES:
        raise ToolError(f"path is too long: {name[:100]}…")
    return path


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # A loop of links, or a name that the file system cannot have.
        raise ToolError(f"path cannot be resolved: {error}") from None


def _walk(root: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not _is_skipped(name))
        for file in sorted(files):
            if not _is_skipped(file):
                yield Path(directory) / file


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED
