"""The emulator's world: what a Mix server stores and decides, without HTTP."""

from langchain_mix.emulator.world.errors import PlainError, WorldError
from langchain_mix.emulator.world.records import Row, SessionFacts, ToolCallRecord
from langchain_mix.emulator.world.world import World

__all__ = ["PlainError", "Row", "SessionFacts", "ToolCallRecord", "World", "WorldError"]
