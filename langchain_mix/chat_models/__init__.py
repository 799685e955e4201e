"""`ChatMix`, the chat model.

`chat_model.py` meets LangChain; `prompt.py` turns messages into what Mix is sent, `content.py` what it says into blocks.
"""

from langchain_mix.chat_models.chat_model import ChatMix

__all__ = ["ChatMix"]
