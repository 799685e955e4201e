"""Makes the documents of the quality corpus out of Python's own documentation strings (PSF licence, see README.md).

Run it with CPython 3.11 from this directory to make them again; the documents in other scripts were written by hand and
stay as they are.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import warnings
from pathlib import Path
from pydoc_data.topics import topics

HERE = Path(__file__).parent / "documents"
LONGEST = 4000
LEAST = 300
GATHERED = {"compound", "specialnames", "types"}
LEFT_OUT = {
    "antigravity",
    "this",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "test",
    "tkinter",
    "turtle",
    "pydoc_data",
    "nturl2path",
}


def topic_documents():
    """The topics of `help()`, without those that only gather others."""
    for name, text in sorted(topics.items()):
        gathers = name in GATHERED
        if not gathers and len(text) >= LEAST:
            yield f"topic-{name}.txt", text.strip()[:12_000] + "\n"


def modules():
    names = sorted(sys.stdlib_module_names - LEFT_OUT)
    yield from (name for name in names if not name.startswith("_"))
    for package in (
        "asyncio",
        "concurrent.futures",
        "email",
        "http",
        "json",
        "logging",
        "multiprocessing",
        "urllib",
        "xml.etree",
    ):
        found = importlib.import_module(package)
        yield from sorted(
            f"{package}.{m.name}" for m in pkgutil.iter_modules(found.__path__) if not m.name.startswith("_")
        )


def module_documents():
    for name in modules():
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        parts = [f"{name}\n", inspect.getdoc(module) or ""]
        for key, thing in sorted(vars(module).items()):
            own = getattr(thing, "__module__", None) == name and not key.startswith("_")
            text = inspect.getdoc(thing) if own and (inspect.isfunction(thing) or inspect.isclass(thing)) else None
            if text and not (inspect.isclass(thing) and thing.__doc__ is None):
                parts.append(f"{key}: {text}")
        text = "\n\n".join(part for part in parts if part).strip()[:LONGEST]
        if len(text) >= LEAST:
            yield f"module-{name}.txt", text + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name, text in [*topic_documents(), *module_documents()]:
        (HERE / name).write_text(text, encoding="utf-8")
