"""Makes a Mix agent a tool of another agent (`ChatMix.as_tool`), with a session for each thread.

Owns: what the calling agent gives and gets, and how the conversation with the Mix agent is kept: the messages of each
call are the artifact of its ToolMessage, so that it is as durable as the calling graph's state, and branches with it.
Refuses to know: how a conversation is aligned with a session (`alignment.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.base import messages_to_dict
from langchain_core.messages.utils import messages_from_dict
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, Field, create_model, model_validator

from langchain_mix.chat_models.history import kind_of

if TYPE_CHECKING:
    from langchain_mix.chat_models.chat_model import ChatMix

_ARTIFACT: Final = "mix_messages"
_DESCRIPTION: Final = (
    "An agent with tools of its own. Give it one task in plain words, with all that it needs to know; it returns its "
    "answer and remembers the earlier tasks of this conversation."
)


def agent_tool(model: ChatMix, name: str, description: str | None) -> BaseTool:
    """Makes a tool of a model: one text in, the answer's text out. Without a description, it has a general one."""
    from langgraph.prebuilt import InjectedState  # noqa: PLC0415  # LangGraph is loaded when it is first used.

    def run(request: str, config: RunnableConfig, state: Any = None) -> tuple[str, dict[str, Any]]:
        messages = [*_earlier(state, name), question := HumanMessage(request)]
        return _result_of(question, model.invoke(messages, config, **thread_options(config, name, messages)))

    async def arun(request: str, config: RunnableConfig, state: Any = None) -> tuple[str, dict[str, Any]]:
        messages = [*_earlier(state, name), question := HumanMessage(request)]
        return _result_of(question, await model.ainvoke(messages, config, **thread_options(config, name, messages)))

    validator: Any = model_validator(mode="before")(_named)
    arguments: type[BaseModel] = create_model(
        name,
        request=(str, Field(description="The task, in plain words.")),
        state=(Annotated[Any, InjectedState], None),
        __validators__={"take_the_only_text": validator},
    )
    return StructuredTool.from_function(
        run,
        arun,
        name=name,
        description=description or _DESCRIPTION,
        args_schema=arguments,
        infer_schema=False,
        response_format="content_and_artifact",
    )


def thread_options(config: RunnableConfig, name: str, messages: Sequence[BaseMessage]) -> dict[str, Any]:
    """Returns how a call finds the session of its thread, where nothing else keeps the conversation.

    Args:
        config: The configuration of the call.
        name: The agent's name: several of them may be in one thread.
        messages: What the call is given. Where they have an answer, they have its position.

    Returns:
        Arguments of the call; none where a checkpointer keeps the conversation, and none inside of a subgraph, whose
        calls may run side by side and are to know nothing of each other.
    """
    from langchain_mix.chat_models.request import THREAD_KEY  # noqa: PLC0415  # Loads the client.

    configurable = config.get("configurable") or {}
    thread = configurable.get("thread_id")
    nested = "|" in str(configurable.get("checkpoint_ns") or "")  # LangGraph: the separator of namespaces.
    if not thread or nested or configurable.get("__pregel_checkpointer") is not None:
        return {}
    if any(kind_of(message) not in {"human", "system"} for message in messages):
        return {}
    return {THREAD_KEY: f"{name}\0{thread}", "multitask_strategy": "enqueue"}


def _named(arguments: Any) -> Any:
    """Takes the only text for the request, however the calling model names it, such as `__arg1`."""
    given = [key for key in arguments if key != "state"] if isinstance(arguments, Mapping) else []
    if len(given) == 1 and given[0] != "request" and isinstance(arguments[given[0]], str):
        return {"request" if key == given[0] else key: value for key, value in arguments.items()}
    return arguments


def _earlier(state: Any, name: str) -> list[BaseMessage]:
    """Returns the conversation with the agent so far, as the calling graph's state has it."""
    messages = state.get("messages", ()) if isinstance(state, Mapping) else getattr(state, "messages", state) or ()
    kept: list[BaseMessage] = []
    for message in messages:
        artifact = message.artifact if isinstance(message, ToolMessage) and message.name == name else None
        if isinstance(artifact, Mapping) and artifact.get(_ARTIFACT):
            kept += messages_from_dict(artifact[_ARTIFACT])
    return kept


def _result_of(question: HumanMessage, reply: AIMessage) -> tuple[str, dict[str, Any]]:
    text = reply.text or "The agent ended without an answer in words."
    return text, {_ARTIFACT: messages_to_dict([question, reply])}
