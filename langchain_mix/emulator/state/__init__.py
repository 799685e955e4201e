"""The emulator's state: what a Mix server stores and decides, without HTTP."""

from langchain_mix.emulator.state.errors import ApiError, PlainError
from langchain_mix.emulator.state.server_state import ServerState
from langchain_mix.emulator.state.store import Row, SessionFacts, ToolCallRecord

__all__ = ["ApiError", "PlainError", "Row", "ServerState", "SessionFacts", "ToolCallRecord"]
