"""Checks what is in the wheel and the sdist: all that belongs there, and nothing else."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

WHEEL = {
    "langchain_mix/py.typed",
    "langchain_mix/chat_models/chat_model.py",
    "langchain_mix/checkpoint/saver.py",
    "langchain_mix/retrievers/retriever.py",
    "langchain_mix/emulator/server.py",
}
SDIST = {
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "langchain_mix/py.typed",
}
STRAY = (".pyc", ".so", ".pyd", ".env", ".DS_Store", ".db", ".sqlite")


def main(paths: list[str]) -> int:
    """Checks each archive.

    Args:
        paths: The wheel and the sdist.

    Returns:
        0, or 1 if something is missing or does not belong there.
    """
    wrong: list[str] = []
    for path in map(Path, paths):
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                names = set(archive.namelist())
            wrong += [f"{path.name}: {name} is missing" for name in WHEEL - names]
            wrong += [
                f"{path.name}: {name} does not belong there"
                for name in names
                if not name.startswith(("langchain_mix/", "langchain_mix-"))
            ]
        else:
            with tarfile.open(path) as archive:
                names = {"/".join(Path(name).parts[1:]) for name in archive.getnames()}
            wrong += [f"{path.name}: {name} is missing" for name in SDIST - names]
            wrong += [f"{path.name}: no tests" for _ in "1" if not any(n.startswith("tests/") for n in names)]
        wrong += [f"{path.name}: {name} is a stray file" for name in names if name.endswith(STRAY)]
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
