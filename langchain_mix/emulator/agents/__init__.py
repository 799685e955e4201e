"""Brains for the emulator: who answers, and with which tools. Everything but the vocabulary is imported when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_mix.emulator.agents.base import (
    Ask,
    Brain,
    Fail,
    Gate,
    Line,
    Outcome,
    Piece,
    Raw,
    Request,
    Result,
    Text,
    Thinking,
    Toolbox,
    ToolUse,
    Usage,
    Wait,
)

if TYPE_CHECKING:
    from langchain_mix.emulator.agents.factory import make_brain
    from langchain_mix.emulator.agents.model import ModelBrain
    from langchain_mix.emulator.agents.offline import OfflineAgent
    from langchain_mix.emulator.agents.scripted import Script, say, think, turn, use
    from langchain_mix.emulator.agents.toolbox import FileToolbox

__all__ = [
    "Ask",
    "Brain",
    "Fail",
    "FileToolbox",
    "Gate",
    "Line",
    "ModelBrain",
    "OfflineAgent",
    "Outcome",
    "Piece",
    "Raw",
    "Request",
    "Result",
    "Script",
    "Text",
    "Thinking",
    "ToolUse",
    "Toolbox",
    "Usage",
    "Wait",
    "make_brain",
    "say",
    "think",
    "turn",
    "use",
]

_HOMES = {
    "FileToolbox": "toolbox",
    "ModelBrain": "model",
    "OfflineAgent": "offline",
    "Script": "scripted",
    "make_brain": "factory",
    "say": "scripted",
    "think": "scripted",
    "turn": "scripted",
    "use": "scripted",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
