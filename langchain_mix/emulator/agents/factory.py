"""Makes a brain from what the user names.

Owns: the words `"offline"` and `"model:…"`.
Refuses to know: how any brain works; each is imported only when it is asked for, hence the late imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from langchain_mix.emulator.agents.base import Agent

CHOICES = (
    'choose "offline", "model:<provider:name>" such as "model:openai:gpt-4o-mini", a brain (an object with `reply`) '
    "or a LangChain chat model"
)


def make_agent(spec: str | Agent | BaseChatModel) -> Agent:
    """Makes the brain that a setting names.

    Args:
        spec: `"offline"`; `"model:<provider:name>"` for any model that LangChain can make; a brain; a chat model.

    Returns:
        The brain.

    Raises:
        ValueError: If the setting names none.
        ImportError: If `"model:…"` is asked for and `langchain` or the provider's package is missing.
    """
    if isinstance(spec, str):
        return _named(spec)
    if callable(getattr(spec, "reply", None)):
        return cast("Agent", spec)
    if callable(getattr(spec, "astream", None)):
        return _modelled(spec)
    raise ValueError(f"no brain: {type(spec).__name__}; {CHOICES}")


def _named(spec: str) -> Agent:
    if spec == "offline":
        from langchain_mix.emulator.agents.offline import OfflineAgent  # noqa: PLC0415

        return OfflineAgent()
    kind, _, name = spec.partition(":")
    if kind != "model" or not name.strip():
        raise ValueError(f"unknown agent {spec!r}; {CHOICES}")
    try:
        from langchain.chat_models import init_chat_model  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "An agent 'model:…' needs LangChain: pip install 'langchain-mix[agents]', and the package of the provider"
        ) from error
    return _modelled(init_chat_model(name.strip()))


def _modelled(model: object) -> Agent:
    from langchain_core.language_models import BaseChatModel as ChatModel  # noqa: PLC0415

    if not isinstance(model, ChatModel):
        raise ValueError(f"no chat model: {type(model).__name__}; {CHOICES}")  # noqa: TRY004  One error for all specs.
    from langchain_mix.emulator.agents.model import ModelAgent  # noqa: PLC0415

    return ModelAgent(model)
