"""Mix's tools: what they take. Their names and what they give are re-exported here from modules of their own.

Owns: the parameters of each tool, and the import path of all there is about tools.
Refuses to know: how tools are run. What the agent passed is read as it is: choices that are not documented stay text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from langchain_mix.protocol.models.base import Payload, SnakePayload
from langchain_mix.protocol.models.options import SubagentType
from langchain_mix.protocol.tool_names import CoreToolName, same_tool
from langchain_mix.protocol.tool_results import (
    BashResponseMetadata,
    BraveSearchResponse,
    EditResponseMetadata,
    GlobResponseMetadata,
    GrepResponseMetadata,
    ImageResult,
    ImageResultMetaURL,
    ImageResultProperties,
    ImageResultThumbnail,
    ImageSearchResponse,
    PythonExecutionResult,
    ReadMediaResponse,
    ReadMediaResult,
    ReadTextResponseMetadata,
    SearchResult,
    VideoResult,
    VideoResultMetaURL,
    VideoResultProperties,
    VideoResultThumbnail,
    VideoSearchResponse,
    WebResults,
    WriteResponseMetadata,
)

__all__ = [
    "BashParams",
    "BashResponseMetadata",
    "BraveSearchResponse",
    "CoreToolName",
    "EditParams",
    "EditResponseMetadata",
    "ExitPlanModeParams",
    "GlobParams",
    "GlobResponseMetadata",
    "GrepParams",
    "GrepResponseMetadata",
    "ImageResult",
    "ImageResultMetaURL",
    "ImageResultProperties",
    "ImageResultThumbnail",
    "ImageSearchResponse",
    "MediaAnalysisType",
    "MediaOutput",
    "MediaShowcaseParams",
    "MediaType",
    "PythonExecutionParams",
    "PythonExecutionResult",
    "ReadMediaParams",
    "ReadMediaResponse",
    "ReadMediaResult",
    "ReadTextParams",
    "ReadTextResponseMetadata",
    "Safesearch",
    "SearchParams",
    "SearchResult",
    "SearchType",
    "SubagentType",
    "TaskParams",
    "Todo",
    "TodoPriority",
    "TodoStatus",
    "TodoWriteParams",
    "VideoResult",
    "VideoResultMetaURL",
    "VideoResultProperties",
    "VideoResultThumbnail",
    "VideoSearchResponse",
    "WebResults",
    "WriteParams",
    "WriteResponseMetadata",
    "same_tool",
]


class MediaType(StrEnum):
    """What can be shown."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    GSAP_ANIMATION = "gsap_animation"
    PDF = "pdf"
    CSV = "csv"


class MediaAnalysisType(StrEnum):
    """What can be analysed."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    PDF = "pdf"


class SearchType(StrEnum):
    """What is searched for."""

    WEB = "web"
    IMAGES = "images"
    VIDEOS = "videos"


class Safesearch(StrEnum):
    """How strictly results are filtered."""

    STRICT = "strict"
    MODERATE = "moderate"
    OFF = "off"


class TodoStatus(StrEnum):
    """How far a task is."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class TodoPriority(StrEnum):
    """How much a task matters."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


# A choice that is not documented stays the text it is.
_OPEN: Any = Field(union_mode="left_to_right")


class BashParams(SnakePayload):
    """Runs a shell command on the server.

    Attributes:
        command: The command.
        timeout: Milliseconds it may take; at most 600,000.
    """

    command: str
    timeout: int = 60_000


class ReadTextParams(SnakePayload):
    """Reads a text file.

    Attributes:
        file_path: Its absolute path or its http(s) URL.
        offset: The line to start at, counted from 0.
        limit: How many lines to read.
    """

    file_path: str
    offset: int | None = None
    limit: int = 2000


class GlobParams(SnakePayload):
    """Finds files by name.

    Attributes:
        pattern: The glob pattern, such as `**/*.js`.
        path: Where to look; by default in the session's own directory.
    """

    pattern: str
    path: str | None = None


class GrepParams(SnakePayload):
    """Finds lines in files.

    Attributes:
        pattern: The regular expression.
        path: Where to look; by default in the session's own directory.
        include: Which files to look at, such as `*.py`.
        literal_text: Whether the pattern is plain text.
    """

    pattern: str
    path: str | None = None
    include: str | None = None
    literal_text: bool = False


class WriteParams(SnakePayload):
    """Writes a file.

    Attributes:
        file_path: Its path.
        content: Its new content.
    """

    file_path: str
    content: str


class EditParams(SnakePayload):
    """Replaces text in a file.

    Attributes:
        file_path: Its absolute path.
        old_string: The text to replace.
        new_string: What to put there.
    """

    file_path: str
    old_string: str
    new_string: str


class ReadMediaParams(SnakePayload):
    """Lets a model look at or listen to a file.

    Attributes:
        file_path: Its path or URL.
        media_type: What it is.
        prompt: What to find out.
        pdf_pages: Which pages, such as `1-3,7`.
        video_interval: Which part, such as `00:20:50-00:26:10`.
    """

    file_path: str
    media_type: Annotated[MediaAnalysisType | str, _OPEN]
    prompt: str
    pdf_pages: str | None = None
    video_interval: str | None = None


class PythonExecutionParams(SnakePayload):
    """Runs a Python program in a sandbox (Mix before 0.8).

    Attributes:
        code: The program.
    """

    code: str


class SearchParams(SnakePayload):
    """Searches the web.

    Attributes:
        query: What to search for; at least two characters.
        search_type: What to find.
        allowed_domains: Only results from these.
        blocked_domains: No results from these.
        safesearch: How strictly to filter.
        spellcheck: Whether to correct the query.
    """

    query: str = Field(min_length=2)
    search_type: Annotated[SearchType | str, _OPEN] = SearchType.WEB
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    safesearch: Annotated[Safesearch | str, _OPEN] = Safesearch.STRICT
    spellcheck: bool = True


class Todo(SnakePayload):
    """A task of the agent's list.

    Attributes:
        id: Its id.
        content: What is to be done.
        status: How far it is.
        priority: How much it matters.
    """

    id: str
    content: str
    status: Annotated[TodoStatus | str, _OPEN]
    priority: Annotated[TodoPriority | str, _OPEN]


class TodoWriteParams(SnakePayload):
    """Replaces the agent's list of tasks.

    Attributes:
        todos: The whole new list.
    """

    todos: list[Todo]


class ExitPlanModeParams(SnakePayload):
    """Ends planning.

    Attributes:
        plan: The plan, as Markdown.
    """

    plan: str


class MediaOutput(Payload):
    """Something to show to the user.

    Attributes:
        path: Its absolute path or URL; absent only for animations.
        type: What it is.
        title: Its title.
        description: More about it.
        config: The animation itself, for `gsap_animation`.
        start_time: Where to start, in seconds.
        duration: How long to play, in seconds.
    """

    # Unlike all other tools this one takes camelCase: `startTime`.
    path: str | None = None
    type: Annotated[MediaType | str, _OPEN]
    title: str
    description: str | None = None
    config: dict[str, Any] | None = None
    start_time: int | None = Field(default=None, ge=0)
    duration: int | None = Field(default=None, ge=1)


class MediaShowcaseParams(SnakePayload):
    """Shows media to the user: the parameters of `Show`, named `ShowMedia` and `show_media` before.

    Attributes:
        outputs: What to show, in order.
    """

    outputs: list[MediaOutput]


class TaskParams(SnakePayload):
    """Gives a task to a sub-agent.

    Attributes:
        description: The task in three to five words.
        prompt: The task.
        subagent_type: Who does it; only `general-purpose` exists.
    """

    description: str
    prompt: str
    subagent_type: Annotated[SubagentType | str, _OPEN]
