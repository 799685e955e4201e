"""What the server says of itself and its tools.

Owns: the bodies of the listings that no request changes.
Refuses to know: sessions and their files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langchain_mix.emulator.state.credentials import Credentials
from langchain_mix.emulator.state.serializers import Serializers
from langchain_mix.emulator.state.tools import llm_tools
from langchain_mix.protocol.api import ApiVersion, Capabilities


@dataclass(frozen=True, slots=True)
class _KeyedTool:
    """A service behind a tool. `key_form` is empty if it needs no key."""

    category: str
    provider: str
    name: str
    description: str
    key_form: str = ""


_CATEGORIES: Final = {
    "web_search": ("Web Search", "Search engines that the Search tool asks", "🔍"),
    "multimodal": ("Media Analysis", "Models that the ReadMedia tool asks", "🖼️"),
    "system": ("System Tools", "Tools of the server itself", "🔧"),
}
_TOOLS: Final = (
    _KeyedTool("web_search", "brave", "Brave Search", "Web, image and video search", "30 characters or more"),
    _KeyedTool("multimodal", "gemini", "Google Gemini", "Images, sounds, videos and PDFs", "30 characters or more"),
    _KeyedTool("system", "core", "Core Tools", "Files, search in files, tasks"),
)


class Catalogue:
    """The fixed listings of one server."""

    def __init__(
        self,
        *,
        api: ApiVersion,
        caps: Capabilities,
        data_dir: Path,
        credentials: Credentials,
        serializers: Serializers,
        now: Callable[[], int],
    ) -> None:
        """Describes a server.

        Args:
            api: Its generation.
            caps: What that can do.
            data_dir: Where it keeps everything.
            credentials: Which tools have keys.
            serializers: Writes timestamps.
            now: The time in unix seconds.
        """
        self._api = api
        self._caps = caps
        self._data_dir = data_dir
        self._credentials = credentials
        self._serializers = serializers
        self._now = now

    def health(self) -> dict[str, Any]:
        """The body of GET /health; five keys, though the documents list three."""
        return {
            "status": "ok",
            "timestamp": self._serializers.time(self._now()),
            "version": str(self._api),
            "environment": "emulator",
            "services": {"backend": "healthy", "database": "connected"},
        }

    def system_info(self) -> dict[str, Any]:
        """The body of GET /api/system/info."""
        return {"storageBasePath": str(self._data_dir)}

    def tools_status(self) -> dict[str, Any]:
        """The body of GET /api/tools/status (Mix 0.5 to 0.7)."""
        categories: dict[str, Any] = {}
        for category, (display_name, _, _) in _CATEGORIES.items():
            tools: Any = [self._status(tool, "api_key_required") for tool in _in(category)]
            if self._api is ApiVersion.V0_5:
                # Mix 0.5 sends a map by provider, against its own documents.
                tools = {tool.provider: self._status(tool, "requires_key") for tool in _in(category)}
            categories[category] = {"display_name": display_name, "tools": tools}
        return {"categories": categories}

    def credentials_status(self) -> dict[str, Any]:
        """The body of GET /api/tools/credentials-status (Mix 0.7)."""
        categories: dict[str, Any] = {}
        for category, (display_name, description, icon) in _CATEGORIES.items():
            tools = [
                self._status(tool, "api_key_required") | ({"api_key_format": tool.key_form} if tool.key_form else {})
                for tool in _in(category)
            ]
            head = {"display_name": display_name, "description": description, "icon": icon}
            categories[category] = head | {"tools": tools}
        return {"categories": categories}

    def llm_tools(self) -> dict[str, Any]:
        """The body of GET /api/tools (Mix 0.7)."""
        return {"tools": llm_tools(self._caps)}

    def _status(self, tool: _KeyedTool, needs_key: str) -> dict[str, Any]:
        return {
            "provider": tool.provider,
            "display_name": tool.name,
            "description": tool.description,
            "authenticated": not tool.key_form or self._credentials.has(tool.provider),
            needs_key: bool(tool.key_form),
        }


def _in(category: str) -> Iterator[_KeyedTool]:
    return (tool for tool in _TOOLS if tool.category == category)
