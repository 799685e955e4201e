"""The agents of the emulator and their tools. Everything but the values they exchange is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_mix.emulator.agents.base import (
    Agent,
    Ask,
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
    make_agent,
)

if TYPE_CHECKING:
    from langchain_mix.emulator.agents.model import ModelAgent, ModelBrain
    from langchain_mix.emulator.agents.offline import OfflineAgent
    from langchain_mix.emulator.agents.scripted import Script, say, think, turn, use
    from langchain_mix.emulator.agents.toolbox import FileToolbox

__all__ = [
    "Agent",
    "Ask",
    "Brain",
    "Fail",
    "FileToolbox",
    "Gate",
    "Line",
    "ModelAgent",
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
    "make_agent",
    "make_brain",
    "say",
    "think",
    "turn",
    "use",
]

Brain: TypeAlias = Agent
"""The earlier name of `Agent`."""
make_brain = make_agent
"""The earlier name of `make_agent`."""

_HOMES = {
    "FileToolbox": "toolbox",
    "ModelAgent": "model",
    "ModelBrain": "model",
    "OfflineAgent": "offline",
    "Script": "scripted",
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
