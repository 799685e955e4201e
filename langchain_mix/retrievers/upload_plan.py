"""What an upload will send, and under which names the server will store it.

Owns: files found in folders and by patterns, and everything that is refused before anything is sent.
Refuses to know: how uploads travel (`uploading.py`).
"""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from langchain_mix.errors import MixInputError
from langchain_mix.protocol.api import ApiKnowledge
from langchain_mix.reserved_files import is_reserved

Paths: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""Files, folders and patterns: one or several."""

_SPACE: Final = re.compile("[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_UNDERSCORES: Final = re.compile("__+")
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Planned:
    """A file that is to be uploaded.

    Attributes:
        path: Where it is here.
        size: Its bytes.
        expected: The names under which servers may store it: one if the generation is known.
    """

    path: Path
    size: int
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be uploaded.

    Attributes:
        files: The files, each once.
        left_out: What folders have that is not uploaded: hidden files, links, and what is no regular file.
    """

    files: tuple[Planned, ...]
    left_out: tuple[Path, ...]


def plan_upload(paths: Paths, detected: ApiKnowledge) -> Plan:
    """Finds the files and checks their names. Nothing is sent.

    Args:
        paths: Files, folders with all that is below them, and patterns such as `docs/**/*.md`.
        detected: What is known of the server, which decides how it rewrites names.

    Returns:
        The plan.

    Raises:
        MixInputError: There is no such file, one cannot be read, its name is none for a server, or two files would be
            stored under one name.
    """
    left_out: list[Path] = []
    found: dict[Path, Planned] = {}
    for path in _found(paths, left_out):
        real = path.resolve()
        if real not in found:
            found[real] = _planned(path, detected)
    files = tuple(found.values())
    _refuse_collisions(files)
    return Plan(files, tuple(left_out))


def refuse_existing(plan: Plan, names: Collection[str]) -> None:
    """Refuses a plan that would overwrite files on the server.

    Args:
        plan: The plan.
        names: The names that are taken on the server.

    Raises:
        MixInputError: Some of them would be overwritten, in all sessions.
    """
    taken = sorted({name for file in plan.files for name in file.expected if name in names})
    if taken:
        raise MixInputError(
            f"The server has files of these names already: {_listed(taken)}.",
            hint="An upload replaces them for all sessions; pass `overwrite=True` if that is meant.",
        )


def stored_names(name: str, detected: ApiKnowledge) -> tuple[str, ...]:
    """The names under which servers may store a file.

    Mix: white space becomes `_`, and runs of `_` become one; from Mix 0.7 on, dots before the extension become `_` too.

    Args:
        name: The name that is sent.
        detected: What is known of the server.

    Returns:
        One name if the generation is known or makes no difference, else both.
    """
    spaced = _SPACE.sub("_", name)
    stem, dot, extension = spaced.rpartition(".")
    older = _UNDERSCORES.sub("_", spaced)
    # A dot at the beginning alone, as in `.bashrc`, is kept.
    newer = _UNDERSCORES.sub("_", (stem.replace(".", "_") + dot + extension) if stem else spaced)
    rewrites_dots = detected.supports("subagents")
    if rewrites_dots is None:
        return tuple(dict.fromkeys((newer, older)))
    return (newer,) if rewrites_dots else (older,)


def _found(paths: Paths, left_out: list[Path]) -> Iterator[Path]:
    for given in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = Path(given).expanduser()
        if path.is_dir():
            yield from _below(path, left_out)
        elif path.exists() or not glob.has_magic(str(path)):
            yield path
        else:
            yield from _matching(str(path))


def _matching(pattern: str) -> Iterator[Path]:
    matches = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # `**` and absolute patterns alike.
    files = [path for path in matches if path.is_file()]
    if not files:
        raise MixInputError(f"No file matches {pattern!r}.")
    yield from files


def _below(folder: Path, left_out: list[Path]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            left_out.append(path)
        elif path.is_dir():
            yield from _below(path, left_out)
        elif path.is_file():
            yield path
        else:
            left_out.append(path)


def _planned(path: Path, detected: ApiKnowledge) -> Planned:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as problem:
        raise MixInputError(f"{str(path)!r} cannot be read: {problem.strerror or problem}.") from problem
    name = path.name
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise MixInputError(f"{str(path)!r} has a name with control characters.", hint="Rename it.")
    expected = stored_names(name, detected)
    if any(is_reserved(stored) for stored in expected):
        raise MixInputError(f"{str(path)!r} has a name that this package keeps for its own files.", hint="Rename it.")
    return Planned(path, size, expected)


def _refuse_collisions(files: Sequence[Planned]) -> None:
    by_name: dict[str, list[Path]] = {}
    for file in files:
        # The first is the newer rule's, under which all names collide that do under the older one.
        by_name.setdefault(file.expected[0], []).append(file.path)
    for name, paths in by_name.items():
        if len(paths) > 1:
            raise MixInputError(
                f"These files would all be stored as {name!r}: {_listed([str(path) for path in paths])}.",
                hint="A server knows no folders and rewrites names; rename all but one, or upload them elsewhere.",
            )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
