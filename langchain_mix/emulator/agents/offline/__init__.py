"""The agent that answers without any model or key: `OfflineAgent`."""

from langchain_mix.emulator.agents.offline.agent import OfflineAgent

__all__ = ["OfflineAgent"]
