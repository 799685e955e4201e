"""Chat models of other providers, made as their documentation makes them.

Owns: which of them can be measured here. Refuses to know: how.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

_KEY: Final = SecretStr("none")


class Partner(NamedTuple):
    """A chat model of another provider.

    Attributes:
        model: The name of its class.
        package: Where the class is.
        wire: What its server speaks, see `partner_server.py`.
        fields: What it needs besides the server's address.
    """

    model: str
    package: str
    wire: str
    fields: dict[str, Any]

    @property
    def installed(self) -> bool:
        """Whether it can be measured: `pip install langchain-mix[benchmarks]`."""
        return find_spec(self.package) is not None

    def at(self, url: str) -> BaseChatModel:
        """The model, for a server at this address."""
        made: BaseChatModel = getattr(import_module(self.package), self.model)(
            model="benchmark", base_url=url, **self.fields
        )
        return made


PARTNERS: Final = (
    Partner("ChatOpenAI", "langchain_openai", "openai", {"api_key": _KEY, "stream_usage": True}),
    Partner("ChatAnthropic", "langchain_anthropic", "anthropic", {"api_key": _KEY}),
    Partner("ChatOllama", "langchain_ollama", "ollama", {}),
)
