"""What a model is told about the server's tools.

Owns: their descriptions and JSON schemas, as the documentation lists the inputs.
Refuses to know: how the tools work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _integer(description: str) -> Schema:
    return {"type": "integer", "description": description}


def _choice(description: str, *values: str) -> Schema:
    return {"type": "string", "enum": list(values), "description": description}


def _list_of(description: str, item: Schema) -> Schema:
    return {"type": "array", "items": item, "description": description}


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One tool, in the form that every LangChain model can bind.

    Attributes:
        name: PascalCase.
        description: For the model.
        parameters: JSON schema of the input.
    """

    name: str
    description: str
    parameters: Schema

    def as_function(self) -> dict[str, Any]:
        """Writes it in the OpenAI function format, which `bind_tools` of every provider takes."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


_TODO = _object(
    ("id", "content", "status", "priority"),
    id=_text("Unique identifier"),
    content=_text("Task description"),
    status=_choice("Current status", "pending", "in_progress", "completed"),
    priority=_choice("Priority", "low", "medium", "high"),
)
_OUTPUT = _object(
    ("type", "title"),
    path=_text("Absolute path of the media file"),
    type=_choice("Type of media", "image", "video", "audio", "gsap_animation", "pdf", "csv"),
    title=_text("Title of the output"),
    description=_text("What it is"),
    config={"type": "object", "description": "Configuration, for gsap_animation only"},
    startTime=_integer("Start in seconds, for video and audio"),
    duration=_integer("Length in seconds, for video and audio"),
)
_DIRECTORY = _text("Directory to search; by default all files of the session")

DECLARATIONS: Mapping[str, Declaration] = {
    declaration.name: declaration
    for declaration in (
        Declaration(
            "Bash",
            "Runs a command. This server is an emulator and refuses every command.",
            _object(("command",), command=_text("The command"), timeout=_integer("Timeout in milliseconds")),
        ),
        Declaration(
            "ReadText",
            "Reads a text file with line numbers.",
            _object(
                ("file_path",),
                file_path=_text("Absolute path, or the name of a file of the session"),
                offset=_integer("Line to start at, 0-based"),
                limit=_integer("Number of lines, 2000 by default"),
            ),
        ),
        Declaration(
            "Glob",
            "Finds files by name.",
            _object(("pattern",), pattern=_text("Such as **/*.csv"), path=_DIRECTORY),
        ),
        Declaration(
            "Grep",
            "Finds lines by a regular expression (RE2 syntax).",
            _object(
                ("pattern",),
                pattern=_text("The expression"),
                path=_DIRECTORY,
                include=_text("File pattern, such as *.py"),
                literal_text={"type": "boolean", "description": "Take the pattern literally"},
            ),
        ),
        Declaration(
            "ReadMedia",
            "Tells format and size of an image, audio, video or PDF file.",
            _object(
                ("file_path", "media_type", "prompt"),
                file_path=_text("Path of the file"),
                media_type=_choice("What it is", "image", "audio", "video", "pdf"),
                prompt=_text("What to find out"),
                pdf_pages=_text("Pages, such as 1-3,7"),
                video_interval=_text("Such as 00:20:50-00:26:10"),
            ),
        ),
        Declaration(
            "Write",
            "Writes a file. The user is asked for permission.",
            _object(("file_path", "content"), file_path=_text("Where"), content=_text("The whole content")),
        ),
        Declaration(
            "Edit",
            "Replaces one occurrence of a text in a file. The user is asked for permission.",
            _object(
                ("file_path", "old_string", "new_string"),
                file_path=_text("Which file"),
                old_string=_text("Text that occurs exactly once"),
                new_string=_text("What to put there"),
            ),
        ),
        Declaration(
            "Search",
            "Searches the web. This server is an emulator without a network.",
            _object(
                ("query",),
                query=_text("What to search"),
                search_type=_choice("What to find", "web", "images", "videos"),
            ),
        ),
        Declaration(
            "WebFetch",
            "Reads a web page. This server is an emulator without a network.",
            _object(("url",), url=_text("The address")),
        ),
        Declaration("TodoWrite", "Keeps a list of tasks.", _object(("todos",), todos=_list_of("All tasks", _TODO))),
        Declaration(
            "ExitPlanMode",
            "Presents a plan to the user and leaves plan mode.",
            _object(("plan",), plan=_text("The plan, in Markdown")),
        ),
        Declaration(
            "Show",
            "Shows media to the user.",
            _object(("outputs",), outputs=_list_of("What to show", _OUTPUT)),
        ),
        Declaration(
            "Task",
            "Gives a task to a sub-agent and returns its answer.",
            _object(
                ("description", "prompt", "subagent_type"),
                description=_text("3 to 5 words"),
                prompt=_text("The whole task"),
                subagent_type=_choice("Kind of agent", "general-purpose"),
            ),
        ),
        Declaration(
            "Notify",
            "Tells or asks the user something and waits for the answer.",
            _object(
                ("notification_type", "title", "message", "response_type"),
                notification_type=_choice("Kind", "info", "warning", "error", "question"),
                title=_text("Title"),
                message=_text("Message"),
                response_type=_choice("What is expected", "acknowledge", "text", "choice"),
                choices=_list_of("For response_type choice", _text("A choice")),
                timeout=_integer("Seconds to wait, 1 to 300"),
            ),
        ),
    )
}
