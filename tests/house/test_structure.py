"""A concept decides where a module ends, and a base class has at least two subclasses."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tests.house.modules import MODULES, ROOT, nodes_of

LINES: Final = 80
"""A module of fewer lines that a single other one imports is mostly a part of that one."""

SMALL: Final[Mapping[str, str]] = {
    "client.errors": "an import path of the official SDK",
    "client.models": "an import path of the official SDK",
    "client.sdkconfiguration": "an import path of the official SDK",
    "client.tool_models": "an import path of the official SDK",
    "client.updates": "the import path of all updates",
    "client.utils": "an import path of the official SDK",
    "registration": "a public function that is loaded at its first use",
}
"""Modules that are small and have one importer all the same, and why."""

SINGLE: Final[Mapping[str, str]] = {
    "emulator.faults.UnknownEvent": "a fault that tests inject by this name, as they do the other one",
    "protocol.tools.WriteResponseMetadata": "both are public names of the official SDK",
}
"""Base classes with one subclass, and why."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


PATHS: Final = {name_of(path): path for path in MODULES}


def imported_by(module: str) -> Iterator[str]:
    """The modules of the package that a module imports, late and lazily as well."""
    for node in nodes_of(PATHS[module]):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in PATHS else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Tables of names that are imported when they are first used.
            yield from (node.value, f"langchain_mix.{node.value}", f"{module}.{node.value}")


@cache
def importers() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for module in PATHS:
        for imported in imported_by(module):
            if imported in PATHS and imported != module:
                found[imported].add(module)
    return found


def short(module: str) -> str:
    return module.removeprefix("langchain_mix.")


def small_modules() -> set[str]:
    return {
        short(module)
        for module, users in importers().items()
        if len(users) == 1
        and PATHS[module].name != "__init__.py"
        and len(PATHS[module].read_text().splitlines()) < LINES
    }


def test_no_small_module_has_a_single_importer():
    assert small_modules() - set(SMALL) == set(), "make it a part of its importer, or say here why not"


def annotations(nodes: Iterable[ast.AST]) -> set[ast.AST]:
    found: set[ast.AST] = set()
    for node in nodes:
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(part, ast.AST):
                found.update(ast.walk(part))
    return found


@cache
def subclasses() -> tuple[dict[tuple[str, str], set[str]], set[tuple[str, str]]]:
    """The classes of the package with their subclasses, and those that are used for themselves as well."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    used: set[tuple[str, str]] = set()
    for module in PATHS:
        nodes = nodes_of(PATHS[module])
        names = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
        names |= {node.name: (module, node.name) for node in classes}
        bases = set()
        for node in classes:
            for base in node.bases:
                bases.update(ast.walk(base))
                plain = base.value if isinstance(base, ast.Subscript) else base
                if isinstance(plain, ast.Name) and plain.id in names:
                    found[names[plain.id]].add(f"{module}.{node.name}")
        ignored = bases | annotations(nodes)
        used |= {
            names[node.id] for node in nodes if isinstance(node, ast.Name) and node.id in names and node not in ignored
        }
    return found, used


def dictionary_types(found: Mapping[tuple[str, str], set[str]]) -> set[str]:
    """The typed dictionaries, which have no code that could be split."""
    types: set[str] = set()
    more = {kind for (_, name), kinds in found.items() if name == "TypedDict" for kind in kinds}
    while more - types:
        types |= more
        more = {kind for (module, name), kinds in found.items() if f"{module}.{name}" in types for kind in kinds}
    return types


def single_bases() -> set[str]:
    found, used = subclasses()
    dictionaries = dictionary_types(found)
    return {
        short(f"{module}.{name}")
        for (module, name), kinds in found.items()
        if module in PATHS and len(kinds) == 1 and (module, name) not in used and f"{module}.{name}" not in dictionaries
    }


def test_no_base_class_has_a_single_subclass():
    """A base class is never there to split a file. One that is used for itself as well is a concept of its own."""
    assert single_bases() - set(SINGLE) == set(), "put both into one class, or say here why not"


def test_the_checks_find_what_they_look_for():
    assert len(importers()["langchain_mix.errors"]) > 20
    found, used = subclasses()
    assert len(found["langchain_mix.protocol.events", "EventData"]) > 5
    assert ("langchain_mix.protocol.turn.state", "State") in used
    assert ("langchain_mix.protocol.events", "EventData") in found
