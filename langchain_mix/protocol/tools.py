"""Mix's tools: their parameters and their results.

What the agent passed is read as it is: choices that are not documented stay text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from langchain_mix.protocol.models.base import Payload, SnakePayload
from langchain_mix.protocol.models.sessions import SubagentType
from langchain_mix.protocol.tool_calls import CoreToolName, same_tool

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
    """Media that can be shown."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    GSAP_ANIMATION = "gsap_animation"
    PDF = "pdf"
    CSV = "csv"


class MediaAnalysisType(StrEnum):
    """Media that can be analysed."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    PDF = "pdf"


class SearchType(StrEnum):
    """Kinds of search results."""

    WEB = "web"
    IMAGES = "images"
    VIDEOS = "videos"


class Safesearch(StrEnum):
    """The strictness with which results are filtered."""

    STRICT = "strict"
    MODERATE = "moderate"
    OFF = "off"


class TodoStatus(StrEnum):
    """The progress of a task."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class TodoPriority(StrEnum):
    """The importance of a task."""

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


class BashResponseMetadata(SnakePayload):
    """When a command ran.

    Attributes:
        start_time: When it started, in Unix milliseconds.
        end_time: When it ended, in Unix milliseconds.
    """

    start_time: int
    end_time: int


class ReadTextResponseMetadata(SnakePayload):
    """The text that was read.

    Attributes:
        file_path: The path or URL.
        content: The content, without line numbers.
    """

    file_path: str
    content: str


class GlobResponseMetadata(SnakePayload):
    """The number of results.

    Attributes:
        number_of_files: How many files are listed.
        truncated: Whether there are more than the 100 listed.
    """

    number_of_files: int
    truncated: bool


class GrepResponseMetadata(SnakePayload):
    """The number of results.

    Attributes:
        number_of_matches: How many lines match.
        truncated: Whether there are more than the 100 shown.
    """

    number_of_matches: int
    truncated: bool


class WriteResponseMetadata(SnakePayload):
    """The change made by writing.

    Attributes:
        diff: The change, as a diff.
        additions: Lines added.
        removals: Lines removed.
    """

    diff: str
    additions: int
    removals: int


class EditResponseMetadata(WriteResponseMetadata):
    """The change made by an edit."""


class ReadMediaResult(SnakePayload):
    """The model's description of one file.

    Attributes:
        file_path: The file.
        media_type: See `MediaAnalysisType`.
        analysis: What was found in it.
        error: Why nothing was.
    """

    file_path: str
    media_type: str
    analysis: str = ""
    error: str | None = None


class ReadMediaResponse(SnakePayload):
    """The model's descriptions, file by file.

    Attributes:
        results: One result for each file.
        summary: All of it in short.
    """

    results: list[ReadMediaResult] = Field(default_factory=list[ReadMediaResult])
    summary: str = ""


class PythonExecutionResult(SnakePayload):
    """The result of a Python program.

    Attributes:
        type: Always `code_execution_result`.
        stdout: What it printed.
        stderr: What it printed as errors.
        return_code: Its exit code; 0 is success.
    """

    type: str = "code_execution_result"
    stdout: str = ""
    stderr: str = ""
    return_code: int


class SearchResult(SnakePayload):
    """A web page that was found."""

    title: str
    url: str
    description: str = ""


class WebResults(SnakePayload):
    """The web pages that were found."""

    type: str = ""
    results: list[SearchResult] = Field(default_factory=list[SearchResult])


class BraveSearchResponse(SnakePayload):
    """The result of a web search."""

    type: str = ""
    web: WebResults = Field(default_factory=WebResults)


class ResultThumbnail(SnakePayload):
    """A small picture of a result.

    Attributes:
        src: Its URL.
    """

    src: str = ""


class ResultMetaURL(SnakePayload):
    """The address of a result, taken apart."""

    scheme: str = ""
    netloc: str = ""
    hostname: str = ""
    favicon: str = ""
    path: str = ""


class ImageResultThumbnail(ResultThumbnail):
    """A small version of an image."""


class ImageResultMetaURL(ResultMetaURL):
    """The address of an image's page, taken apart."""


class ImageResultProperties(SnakePayload):
    """The image itself.

    Attributes:
        url: Its URL.
        placeholder: A tiny replacement for it.
    """

    url: str = ""
    placeholder: str | None = None


class ImageResult(SnakePayload):
    """An image that was found.

    Attributes:
        type: The kind of result.
        title: Its title.
        url: The page it is on.
        source: The site of that page.
        page_fetched: When the page was read.
        thumbnail: A small version.
        properties: The image.
        meta_url: The page's address, taken apart.
        confidence: How well it fits.
    """

    type: str = ""
    title: str
    url: str
    source: str = ""
    page_fetched: str | None = None
    thumbnail: ImageResultThumbnail = Field(default_factory=ImageResultThumbnail)
    properties: ImageResultProperties = Field(default_factory=ImageResultProperties)
    meta_url: ImageResultMetaURL | None = None
    confidence: str | None = None


class ImageSearchResponse(SnakePayload):
    """The result of an image search."""

    type: str = ""
    results: list[ImageResult] = Field(default_factory=list[ImageResult])


class VideoResultThumbnail(ResultThumbnail):
    """A picture of a video."""


class VideoResultMetaURL(ResultMetaURL):
    """The address of a video's page, taken apart."""


class VideoResultProperties(SnakePayload):
    """The video itself.

    Attributes:
        url: Its URL.
        duration: How long it is, such as `12:34`.
        views: How often it was seen.
        upload_date: When it was published.
        placeholder: A tiny replacement for its picture.
    """

    # Search engines count views in numbers, Mix documents text.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    url: str = ""
    duration: str = ""
    views: str = ""
    upload_date: str | None = None
    placeholder: str | None = None


class VideoResult(SnakePayload):
    """A video that was found.

    Attributes:
        type: The kind of result.
        title: Its title.
        url: The page it is on.
        source: The site of that page.
        page_fetched: When the page was read.
        thumbnail: A picture of it.
        properties: The video.
        meta_url: The page's address, taken apart.
        confidence: How well it fits.
    """

    type: str = ""
    title: str
    url: str
    source: str = ""
    page_fetched: str | None = None
    thumbnail: VideoResultThumbnail = Field(default_factory=VideoResultThumbnail)
    properties: VideoResultProperties = Field(default_factory=VideoResultProperties)
    meta_url: VideoResultMetaURL | None = None
    confidence: str | None = None


class VideoSearchResponse(SnakePayload):
    """The result of a video search."""

    type: str = ""
    results: list[VideoResult] = Field(default_factory=list[VideoResult])
