"""What ChatMix can do, in the form in which LangChain's agents ask for it.

Owns: the `ModelProfile`. Refuses to know: single models; their context windows are the server's business.
"""

from __future__ import annotations

from typing import Any, Final, cast

from langchain_core.language_models import ModelProfile

_PROFILE: Final[dict[str, Any]] = {
    "text_inputs": True,
    # Files are uploaded, and URLs told, for the agent's own tools to read; whether these are there is up to the server.
    "image_inputs": True,
    "image_url_inputs": True,
    "pdf_inputs": True,
    "audio_inputs": True,
    "video_inputs": True,
    "attachment": True,
    "image_tool_message": True,
    "pdf_tool_message": True,
    "text_outputs": True,
    "image_outputs": False,
    "audio_outputs": False,
    "video_outputs": False,
    "reasoning_output": True,
    "reasoning_effort_levels": ["off", "basic", "medium", "maximum"],
    # Asked for in the prompt: there is no native way, and this one works in agents.
    "tool_calling": True,
    "tool_choice": True,
    # LangChain's agents pass the schema as `response_format` then, which ChatMix answers; else as a tool.
    "structured_output": True,
    "mid_conversation_system_messages": False,
    "temperature": False,
}


def profile_of(model: str | None = None) -> ModelProfile:
    """Describes a ChatMix.

    Args:
        model: The name of the model, if the user gave one.

    Returns:
        The profile. The limits of its context are unknown and not in it. Keys that this langchain-core does not know
        are left out.
    """
    found = {key: value for key, value in _PROFILE.items() if key in ModelProfile.__annotations__}
    if model:
        found["name"] = model
    return cast("ModelProfile", found)
