"""What the agent shows its user: images, videos, tables.

Owns: how an output of the Show tool becomes content blocks. Refuses to know: whether the tool has run.
"""

from __future__ import annotations

import json
from typing import Any, Final

from langchain_mix.protocol.tool_names import same_tool

_TYPES: Final = {"image": "image", "video": "video", "audio": "audio", "pdf": "file", "csv": "file"}
_MIME_TYPES: Final = {"pdf": "application/pdf", "csv": "text/csv"}


def is_show(name: str) -> bool:
    """Whether this is the tool that shows media (`ShowMedia` up to Mix 0.7, `Show` since)."""
    return same_tool(name, "ShowMedia") or same_tool(name, "Show")


def shown_blocks(arguments: str) -> list[dict[str, Any]]:
    """The blocks for what a call of the tool shows.

    Args:
        arguments: Of the call, as JSON text.

    Returns:
        One block for each output, without an index: with `url` for a web address, else with `file_id`, the file's name
        at the server. What LangChain has no block for is `non_standard`.
    """
    try:
        outputs = json.loads(arguments).get("outputs", [])
    except (ValueError, AttributeError):
        return []
    return [_block(output) for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []


def _block(output: dict[str, Any]) -> dict[str, Any]:
    kind, path = str(output.get("type", "")), output.get("path")
    if kind not in _TYPES or not isinstance(path, str) or not path:
        return {"type": "non_standard", "value": output}
    block: dict[str, Any] = {"type": _TYPES[kind]}
    block["url" if path.startswith(("http://", "https://")) else "file_id"] = path
    if kind in _MIME_TYPES:
        block["mime_type"] = _MIME_TYPES[kind]
    told = {k: output[k] for k in ("title", "description", "startTime", "duration") if output.get(k) is not None}
    return {**block, "extras": told} if told else block
