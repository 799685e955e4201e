"""`MixAgent`, the Mix agent as a LangGraph graph: a part of other graphs, a tool, a graph of `langgraph.json`.

Owns: the graph's nodes and state. Refuses to know: sessions, pauses and streams, which `ChatMix` has inside any node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Self

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import BaseTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Checkpointer
from pydantic import BaseModel

from langchain_mix.chat_models import ChatMix
from langchain_mix.chat_models.agent_tool import thread_options
from langchain_mix.errors import MixConfigurationError

__all__ = ["MixAgent"]

_NODE: Final = "agent"
_TOOLS: Final = "tools"


class MixAgent(CompiledStateGraph[Any, Any, Any, Any]):
    """A Mix agent as a compiled LangGraph graph, with the state of LangChain's `create_agent`: `messages`.

    It is a node of any graph, a member of a supervisor or a swarm, a `CompiledSubAgent` of deepagents, and a graph of
    `langgraph.json`. Each thread has one session at the server: where the graph or its parent has a checkpointer, the
    answers in `messages` have its position, also in another process and after a branch; without one,
    this process remembers the session of each `thread_id`.

    With `permissions="interrupt"`, requests of the agent's tools interrupt the outermost graph, which needs a
    checkpointer. Text, tool runs and sub-agents are seen in the stream modes of that graph.

    Example:
        ```python
        from langchain_mix import MixAgent

        agent = MixAgent(server_url="http://localhost:8088", permissions=["ReadText"], name="researcher")
        state = agent.invoke({"messages": "Which files are there?"}, {"configurable": {"thread_id": "1"}})
        print(state["messages"][-1].text)
        ```

    Attributes:
        model: The chat model that runs the turns.
    """

    model: ChatMix

    def __init__(
        self,
        model: ChatMix | None = None,
        *,
        name: str = "mix",
        tools: Sequence[BaseTool | Callable[..., Any]] = (),
        checkpointer: Checkpointer = None,
        **fields: Any,
    ) -> None:
        """Builds the graph. Nothing is sent.

        Args:
            model: The model; None to make one from `fields`.
            name: The graph's name, by which supervisors and swarms know it; its answers carry it, too.
            tools: Tools of this process that the agent may call, beside those of the server, such as the handoff tools
                of a swarm. They are run as in `create_agent`.
            checkpointer: Keeps the threads, such as `MixSaver`. Leave it out in a graph that is part of another one,
                and for `langgraph dev`, which has its own.
            **fields: Fields of `ChatMix`.

        Raises:
            MixConfigurationError: There are both a model and fields of one.
            MixInputError: A policy among the fields is none of those there are.
        """
        if model is not None and fields:
            raise MixConfigurationError(
                f"`model` is set up already; {', '.join(fields)} would be ignored.", hint="Give either of them."
            )
        made = ChatMix(**fields) if model is None else model
        graph = _graph(made, name, list(tools)).compile(checkpointer=checkpointer, name=name)
        # A compiled graph is what its builder put into it; only the builder knows how.
        vars(self).update({key: value for key, value in vars(graph).items() if key != "__orig_class__"})
        self.model = made

    def copy(self, update: dict[str, Any] | None = None) -> Self:
        """Returns a copy with some attributes set otherwise; `langgraph dev` gives it its checkpointer like this.

        Args:
            update: The attributes.

        Returns:
            The copy, which shares the model.
        """
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self) | (update or {}))
        return copied

    def as_tool(
        self,
        args_schema: type[BaseModel] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
    ) -> BaseTool:
        """Makes the agent a tool of another one; see `ChatMix.as_tool`. Tools of this process are no part of it.

        Args:
            args_schema: Not taken.
            name: The tool's name; None for the graph's.
            description: What the calling agent reads of it.
            arg_types: Not taken.

        Returns:
            The tool.

        Raises:
            MixInputError: A schema of arguments is given.
        """
        return self.model.as_tool(args_schema, name=name or self.name, description=description, arg_types=arg_types)


def _graph(model: ChatMix, name: str, tools: list[Any]) -> StateGraph[Any, Any, Any, Any]:
    called: Any = model.bind_tools(tools) if tools else model

    def call(state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        messages = state["messages"]
        return _answer(called.invoke(messages, config, **thread_options(config, name, messages)))

    async def acall(state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        messages = state["messages"]
        return _answer(await called.ainvoke(messages, config, **thread_options(config, name, messages)))

    def _answer(reply: AIMessage) -> dict[str, Any]:
        reply.name = name
        return {"messages": [reply]}

    graph: StateGraph[Any, Any, Any, Any] = StateGraph(MessagesState)
    node: Any = RunnableLambda(call, acall, name=name)
    graph.add_node(_NODE, node).add_edge(START, _NODE)
    if tools:
        graph.add_node(_TOOLS, ToolNode(tools)).add_edge(_TOOLS, _NODE)
        graph.add_conditional_edges(_NODE, tools_condition)
    return graph
