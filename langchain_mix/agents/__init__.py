"""`MixAgent`, the Mix agent as a LangGraph graph: a part of other graphs, a tool, a graph of `langgraph.json`."""

from langchain_mix.agents.mix_agent import MixAgent

__all__ = ["MixAgent"]
