"""Where a download goes.

Owns: files that appear whole or not at all. Refuses to know: requests.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias

from langchain_mix.errors import MixInputError

Target: TypeAlias = str | os.PathLike[str] | IO[bytes]
"""A path, or a file that is open for writing in binary mode."""


@contextmanager
def opened(target: Target, *, overwrite: bool) -> Iterator[Callable[[bytes], object]]:
    """Opens the place a download is written to.

    A path is written beside its place and moved there when the block has ended well: nothing is left of a broken one.

    Args:
        target: The place.
        overwrite: Whether a file that is there already is replaced.

    Yields:
        A function that takes the next piece.

    Raises:
        MixInputError: It cannot be written to, or a file is there and must not be replaced.
    """
    if not isinstance(target, str | os.PathLike):
        yield _writer(target)
        return
    path = Path(target)
    if path.is_dir():
        raise MixInputError(f"{str(path)!r} is a directory.", hint="Pass the path of the file itself.")
    if not overwrite and path.exists():
        raise _taken(path)
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        file = beside.open("xb")
    except OSError as problem:
        raise MixInputError(f"{str(path)!r} cannot be written: {problem.strerror or problem}.") from problem
    try:
        with file:
            yield file.write
        if not overwrite:
            _claim(path)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _writer(target: IO[bytes]) -> Callable[[bytes], object]:
    write: Callable[[bytes], object] | None = getattr(target, "write", None)
    if write is None:
        raise MixInputError(f"{type(target).__name__} is no place to write to.", hint="Pass a path or an open file.")
    try:
        write(b"")
    except TypeError:
        raise MixInputError("The file is open in text mode.", hint='Open it with mode "wb".') from None
    except (OSError, ValueError) as problem:
        raise MixInputError(f"The file cannot be written: {problem}.") from problem
    return write


def _claim(path: Path) -> None:
    """Takes the place for good, so that a file that somebody else made meanwhile is not replaced."""
    try:
        path.open("xb").close()
    except FileExistsError:
        raise _taken(path) from None


def _taken(path: Path) -> MixInputError:
    return MixInputError(f"{str(path)!r} exists.", hint="Pass `overwrite=True` to replace it.")
