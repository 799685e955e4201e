"""Which checkpoint a LangGraph config speaks of.

Owns: reading `configurable`, and the three keys that every config we return has. Refuses to know: what is stored there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import RunnableConfig

from langchain_mix.errors import MixInputError


@dataclass(frozen=True, slots=True)
class Address:
    """A thread, a namespace in it, and perhaps one checkpoint.

    Attributes:
        thread_id: The thread, any text.
        ns: The namespace; the root graph's is empty.
        checkpoint_id: The checkpoint, or None for the newest.
    """

    thread_id: str
    ns: str = ""
    checkpoint_id: str | None = None

    def at(self, checkpoint_id: str | None) -> Address:
        """The same namespace, another checkpoint."""
        return replace(self, checkpoint_id=checkpoint_id)

    def config(self) -> RunnableConfig:
        """The config that LangGraph is given for it."""
        return {
            "configurable": {
                "thread_id": self.thread_id,
                "checkpoint_ns": self.ns,
                "checkpoint_id": self.checkpoint_id,
            }
        }

    def parent_config(self, parent_id: str | None) -> RunnableConfig | None:
        """The config of the parent, or None if there is none."""
        return self.at(parent_id).config() if parent_id else None


def read_address(config: RunnableConfig) -> Address:
    """Reads the address in a config. A namespace or a checkpoint may lack or be None, as LangGraph itself leaves them.

    Args:
        config: The config.

    Returns:
        The address.

    Raises:
        MixInputError: There is no thread id, or an id that is no valid text.
    """
    given: dict[str, Any] = config.get("configurable") or {}
    thread_id = given.get("thread_id")
    if thread_id is None or thread_id == "":
        raise MixInputError(
            "The config names no thread.", hint='Pass {"configurable": {"thread_id": "..."}}; any text will do.'
        )
    checkpoint_id = given.get("checkpoint_id") or None
    return Address(
        thread_id=thread_name(thread_id),
        ns=_text("checkpoint_ns", given.get("checkpoint_ns") or ""),
        checkpoint_id=None if checkpoint_id is None else _text("checkpoint_id", checkpoint_id),
    )


def listed_namespace(config: RunnableConfig) -> str | None:
    """The namespace that a listing is about; None for all of them."""
    ns = (config.get("configurable") or {}).get("checkpoint_ns")
    return None if ns is None else _text("checkpoint_ns", ns)


def thread_name(thread_id: Any) -> str:
    """The text of a thread id; LangGraph's users also pass numbers and UUIDs.

    Raises:
        MixInputError: It is no valid text.
    """
    return _text("thread_id", thread_id)


def _text(name: str, value: Any) -> str:
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MixInputError(f"`{name}` is no valid text (lone surrogate): {text!r}.") from None
    return text
