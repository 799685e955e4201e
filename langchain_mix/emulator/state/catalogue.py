"""The server's tools, and the listings that no request changes.

Owns: the tools' descriptions, their names in each generation and who may call them; the bodies of fixed listings.
Refuses to know: sessions and their files, and what the tools do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langchain_mix.emulator.state.credentials import Credentials
from langchain_mix.emulator.state.serializers import Serializers
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion, Capabilities

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_FLAG: Final = {"type": "boolean"}


def _text(description: str, *choices: str) -> dict[str, Any]:
    return _TEXT | {"description": description} | ({"enum": list(choices)} if choices else {})


def _list(description: str, /, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "description": description, "items": {"type": "object", "properties": properties}}


def _tool(name: str, description: str, required: str, /, **parameters: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "parameters": parameters, "required": required.split()}


_CORE: Final = [
    _tool(
        "Bash",
        "Runs a shell command.",
        "command",
        command=_text("The command."),
        timeout=_WHOLE | {"description": "Milliseconds after which it is ended."},
    ),
    _tool(
        "ReadText",
        "Reads a text file.",
        "file_path",
        file_path=_text("The file."),
        offset=_WHOLE | {"description": "The line to begin with, from 0."},
        limit=_WHOLE | {"description": "How many lines to read."},
    ),
    _tool(
        "Glob",
        "Finds files by a pattern of their names.",
        "pattern",
        pattern=_text("The pattern."),
        path=_text("The directory to search in."),
    ),
    _tool(
        "ReadMedia",
        "Looks at an image, a video, a sound or a PDF.",
        "file_path media_type prompt",
        file_path=_text("The file."),
        media_type=_text("What it is.", "image", "audio", "video", "pdf"),
        prompt=_text("What to look for."),
        pdf_pages=_text("The pages to read."),
        video_interval=_WHOLE | {"description": "Seconds between the frames to look at."},
    ),
    _tool(
        "Grep",
        "Finds lines in files.",
        "pattern",
        pattern=_text("The regular expression."),
        path=_text("The directory to search in."),
        include=_text("A pattern of file names."),
        literal_text=_FLAG | {"description": "Whether the pattern is plain text."},
    ),
    _tool(
        "Write",
        "Writes a file.",
        "file_path content",
        file_path=_text("The file."),
        content=_text("Its whole content."),
    ),
    _tool(
        "Edit",
        "Replaces a passage of a file.",
        "file_path old_string new_string",
        file_path=_text("The file."),
        old_string=_text("The passage, which occurs once."),
        new_string=_text("What replaces it."),
    ),
    _tool(
        "Search",
        "Searches the web.",
        "query",
        query=_text("What to search for."),
        search_type=_text("Where to search.", "web", "images", "videos"),
    ),
    _tool(
        "TodoWrite",
        "Keeps a list of things to do.",
        "todos",
        todos=_list(
            "The whole list.",
            id=_text("Its id."),
            content=_text("What is to be done."),
            status=_text("How far it is.", "pending", "in_progress", "completed"),
            priority=_text("How urgent it is.", "low", "medium", "high"),
        ),
    ),
    _tool("ExitPlanMode", "Presents a plan and asks to carry it out.", "plan", plan=_text("The plan.")),
    _tool(
        "Show",
        "Shows media to the user.",
        "outputs",
        outputs=_list(
            "What is shown.",
            path=_text("The file."),
            type=_text("What it is.", "image", "video", "audio", "gsap_animation", "pdf", "csv"),
            title=_text("Its title."),
            description=_text("What is to be seen."),
        ),
    ),
    _tool(
        "Task",
        "Has a sub-agent do a piece of work.",
        "description prompt subagent_type",
        description=_text("The work in a few words."),
        prompt=_text("What the sub-agent is to do."),
        subagent_type=_text("The kind of sub-agent.", "general-purpose"),
    ),
]
_NOTIFY: Final = [
    _tool(
        "Notify",
        "Tells the user something, or asks, and waits for the answer.",
        "message",
        title=_text("The title."),
        message=_text("The message."),
        notification_type=_text("Its kind.", "info", "warning", "error", "question"),
        response_type=_text("How it is answered.", "acknowledge", "text", "choice"),
        choices={"type": "array", "description": "What can be chosen.", "items": _TEXT},
        timeout=_WHOLE | {"description": "Seconds to wait, from 1 to 300."},
    )
]
TOOLS: Final = _CORE + _NOTIFY
"""Every tool of the server, with its parameters."""
_NAMES_0_7: Final = {"ReadText": "Read", "Search": "WebSearch", "Show": "ShowMedia"}
READ_ONLY: Final = frozenset(
    {"ReadText", "Grep", "Glob", "TodoWrite", "ExitPlanMode", "ReadMedia", "WebFetch", "Search", "Task"}
)
"""The tools of plan mode."""
_OLD: Final[Mapping[str, str]] = {
    "Bash": "bash",
    "Glob": "glob",
    "Grep": "grep",
    "Write": "write",
    "Edit": "edit",
    "Search": "search",
    "TodoWrite": "todo_write",
    "ExitPlanMode": "exit_plan_mode",
    "Show": "show_media",
    "Task": "task",
}
_CANONICAL: Final[Mapping[str, str]] = {
    name.replace("_", "").lower(): name for name in (*(tool["name"] for tool in TOOLS), "WebFetch")
} | {"showmedia": "Show"}


def spelled(name: str, api: ApiVersion) -> str:
    """The tool's name on this generation's wire. Names that are not core tools stay as they are."""
    if not CAPABILITIES[api].pascal_tool_names:
        return _OLD.get(name, name)
    return "ShowMedia" if name == "Show" and api is ApiVersion.V0_7 else name


def canonical(name: str) -> str:
    """The PascalCase name of a tool however a generation spells it; other names stay as they are."""
    return _CANONICAL.get(name.replace("_", "").lower(), name)


def available(api: ApiVersion, *, plan_mode: bool, is_subagent: bool) -> tuple[str, ...]:
    """Returns the PascalCase names of the tools that a turn may call. Sub-agents cannot have sub-agents."""
    caps = CAPABILITIES[api]
    offered = {"Task": caps.subagents and not is_subagent, "Notify": caps.notifications}
    names = (str(tool["name"]) for tool in TOOLS)
    return tuple(name for name in names if offered.get(name, True) and (name in READ_ONLY or not plan_mode))


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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The fixed listings of one server."""

    api: ApiVersion
    caps: Capabilities
    data_dir: Path
    credentials: Credentials
    serializers: Serializers
    now: Callable[[], int]

    def health(self) -> dict[str, Any]:
        """The body of GET /health; five keys, though the documents list three."""
        return {
            "status": "ok",
            "timestamp": self.serializers.time(self.now()),
            "version": str(self.api),
            "environment": "emulator",
            "services": {"backend": "healthy", "database": "connected"},
        }

    def system_info(self) -> dict[str, Any]:
        """The body of GET /api/system/info."""
        return {"storageBasePath": str(self.data_dir)}

    def tools_status(self) -> dict[str, Any]:
        """The body of GET /api/tools/status (Mix 0.5 to 0.7)."""
        categories: dict[str, Any] = {}
        for category, (display_name, _, _) in _CATEGORIES.items():
            tools: Any = [self._status(tool, "api_key_required") for tool in _in(category)]
            if self.api is ApiVersion.V0_5:
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
        """The body of GET /api/tools (Mix 0.7).

        Mix 0.7 keeps a list of its own there, in which ReadText is called Read and Search is called WebSearch.
        """
        if self.caps.notifications:
            return {"tools": TOOLS}
        return {"tools": [tool | {"name": _NAMES_0_7.get(tool["name"], tool["name"])} for tool in _CORE]}

    def _status(self, tool: _KeyedTool, needs_key: str) -> dict[str, Any]:
        return {
            "provider": tool.provider,
            "display_name": tool.name,
            "description": tool.description,
            "authenticated": not tool.key_form or self.credentials.has(tool.provider),
            needs_key: bool(tool.key_form),
        }


def _in(category: str) -> Iterator[_KeyedTool]:
    return (tool for tool in _TOOLS if tool.category == category)
