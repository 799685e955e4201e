"""`ChatMix`, the chat model.

`chat_model.py` meets LangChain, `request.py` reads a call, `session_lifecycle.py` sends the first requests, which find
or create its session, `execution.py` runs the turn in it; the rest are their parts.
"""

from langchain_mix.chat_models.chat_model import ChatMix
from langchain_mix.chat_models.parameters import MixParameterWarning, MixPermissionWarning

__all__ = ["ChatMix", "MixParameterWarning", "MixPermissionWarning"]
