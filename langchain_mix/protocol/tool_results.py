"""What Mix's tools give back.

Owns: the results and the metadata of their results.
Refuses to know: what the tools take (`tools.py`, which also re-exports this module) and how results travel.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field

from langchain_mix.protocol.models.base import SnakePayload


class BashResponseMetadata(SnakePayload):
    """When a command ran.

    Attributes:
        start_time: When it started, in Unix milliseconds.
        end_time: When it ended, in Unix milliseconds.
    """

    start_time: int
    end_time: int


class ReadTextResponseMetadata(SnakePayload):
    """What was read.

    Attributes:
        file_path: The path or URL.
        content: The content, without line numbers.
    """

    file_path: str
    content: str


class GlobResponseMetadata(SnakePayload):
    """How much was found.

    Attributes:
        number_of_files: How many files are listed.
        truncated: Whether there are more than the 100 listed.
    """

    number_of_files: int
    truncated: bool


class GrepResponseMetadata(SnakePayload):
    """How much was found.

    Attributes:
        number_of_matches: How many lines match.
        truncated: Whether there are more than the 100 shown.
    """

    number_of_matches: int
    truncated: bool


class WriteResponseMetadata(SnakePayload):
    """What writing changed.

    Attributes:
        diff: The change, as a diff.
        additions: Lines added.
        removals: Lines removed.
    """

    diff: str
    additions: int
    removals: int


class EditResponseMetadata(WriteResponseMetadata):
    """What an edit changed."""


class ReadMediaResult(SnakePayload):
    """What the model saw or heard in one file.

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
    """What the model saw or heard, file by file.

    Attributes:
        results: One result for each file.
        summary: All of it in short.
    """

    results: list[ReadMediaResult] = Field(default_factory=list[ReadMediaResult])
    summary: str = ""


class PythonExecutionResult(SnakePayload):
    """What a Python program did.

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
        placeholder: A tiny stand-in for it.
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
        placeholder: A tiny stand-in for its picture.
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
