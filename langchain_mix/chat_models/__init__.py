"""`ChatMix`, the chat model.

`chat_model.py` meets LangChain, `request.py` reads a call, `execution.py` carries it out; the rest are their parts.
"""

from langchain_mix.chat_models.chat_model import ChatMix
from langchain_mix.chat_models.parameters import MixParameterWarning, MixPermissionWarning

__all__ = ["ChatMix", "MixParameterWarning", "MixPermissionWarning"]
