"""Notebooks of Jupyter.

Owns: cells and the text among their outputs. Refuses to know: pictures and widgets, which are no text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector, TextFile
from langchain_mix.retrievers.parsing.json_values import depth_of, read_json
from langchain_mix.retrievers.parsing.parts import Parsed, Place, Skipped

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LANGUAGES: Final = {"javascript": "js", "typescript": "ts", "c++": "cpp"}


def read_notebook(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads a notebook, a part for each cell: its source, then the text of its outputs."""
    try:
        content = json.loads(source.text)
        too_deep = depth_of(source.text) > limits.max_depth
    except RecursionError:
        too_deep, content = True, None
    except ValueError:
        return read_json(source, limits)
    if too_deep:
        return Skipped(f"is nested deeper than {limits.max_depth} levels (`max_depth`)", "notebook")
    cells = content.get("cells") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(cells, list):
        return read_json(source, limits)
    found = Collector(limits, None)
    found.problems += source.problems
    with found.bounded():
        for number, cell in enumerate(cells, 1):
            if isinstance(cell, Mapping):
                kind = str(cell.get("cell_type") or "raw")
                found.add(_legible("\n\n".join(_texts(cell))), Place(cell=number, cell_type=kind))
    return found.parsed("notebook", language=_language_of(content))


def _texts(cell: Mapping[str, Any]) -> Iterator[str]:
    yield _joined(cell.get("source"))
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, Mapping) and (text := _output(output).strip("\n")):
            yield text


def _output(output: Mapping[str, Any]) -> str:
    data = output.get("data")
    if isinstance(data, Mapping):
        return _joined(data.get("text/markdown") or data.get("text/plain"))
    if output.get("output_type") == "error":
        return f"{output.get('ename', '')}: {output.get('evalue', '')}"
    return _COLOURS.sub("", _joined(output.get("text")))


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return "".join(piece for piece in value if isinstance(piece, str))
    return value if isinstance(value, str) else ""


def _legible(text: str) -> str:
    """JSON can name halves of characters, which no encoding can write."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _language_of(content: Mapping[str, Any]) -> str | None:
    metadata = content.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, Mapping) else None
    name = info.get("name") if isinstance(info, Mapping) else None
    return _LANGUAGES.get(name.lower(), name.lower()) if isinstance(name, str) else None
