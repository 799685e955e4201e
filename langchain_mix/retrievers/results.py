"""Search results as LangChain documents, and the numbers in an answer as citations of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.messages.content import Citation, create_citation

from langchain_mix.retrievers.files import RemoteFile, file_url
from langchain_mix.retrievers.indexing import remote_file
from langchain_mix.retrievers.ranking import Found

_THUMBNAIL: Final = "512"
"""The bounding box of the thumbnails of images, in pixels."""


def file_metadata(file: RemoteFile, session_id: str) -> dict[str, Any]:
    """Returns the metadata of every document and blob about its file, as it was listed in a session."""
    known: dict[str, Any] = {
        "source": file.url,
        "file_name": file.name,
        "session_id": session_id,
        "size": file.size,
        "mime_type": file.mime_type,
    }
    return known if file.modified is None else {**known, "modified": file.modified}


def image_metadata(name: str, session_id: str, server_url: str) -> dict[str, Any]:
    """Returns additional metadata of an image: where a thumbnail of it is read."""
    return {"kind": "image", "thumbnail_url": file_url(server_url, session_id, name, thumb=_THUMBNAIL)}


def documents_of(found: Sequence[Found], session_id: str, server_url: str) -> list[Document]:
    """Makes a document of each chunk that was found in a session, in the same order."""
    return [_document(one, rank, session_id, server_url) for rank, one in enumerate(found, 1)]


def _document(found: Found, rank: int, session_id: str, server_url: str) -> Document:
    file, chunk = found.file, found.chunk
    metadata = file_metadata(remote_file(file, session_id, server_url), session_id)
    if file.kind == "image":
        metadata |= image_metadata(file.name, session_id, server_url)
    else:
        metadata |= {"kind": file.kind, **chunk.metadata()}
    metadata |= {"score": found.score, "rank": rank}
    return Document(id=_id_of(found), page_content=chunk.content, metadata=metadata)


def _id_of(found: Found) -> str:
    """Returns an id: the same for the same span of the same bytes under the same name, in every session and server."""
    parts = (found.file.name, found.file.checksum, str(found.chunk.start_index), str(found.chunk.end_index))
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()


_MARK: Final = re.compile(r"[\[\u3010]\s*\^?(\d{1,6}(?:\s*[,;\u2013-]\s*\^?\d{1,6})*)\s*[\]\u3011]")
"""Numbers in brackets: `[1]`, `[1, 3]`, `[2-4]`, `[^1]`, and in the brackets of Chinese and Japanese."""
_RANGE: Final = re.compile(r"(\d+)(?:\s*[\u2013-]\s*\^?(\d+))?")
_CODE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_ENDS: Final = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)]*\s+|[\u3002\uff01\uff1f]\s*|\n\s*")
_LOOSE: Final = " \t\r\n.!?\u2026\u3002\uff01\uff1f"


def cite(answer: AIMessage | str, documents: Sequence[Document]) -> AIMessage:
    """Turns the numbers by which an answer names passages into citations.

    A number is a document's `rank`, as `MixRetriever` gives it, or its place in the sequence, from 1, where documents
    have none. Numbers in code are no citations.

    Args:
        answer: The answer, with marks such as `[1]`, `[1, 3]` or `[2-4]` behind what they support.
        documents: The passages that it was given.

    Returns:
        A copy of the answer, its text blocks annotated with LangChain's citations in the order of the marks.
        `start_index` and `end_index` of one are the sentence of the answer up to the mark, `cited_text` is the passage,
        `url` and `title` name the file, and `extras` holds the metadata of the document, such as `file_name` and the
        characters `start_index` to `end_index` of the file. Numbers of no document are listed in
        `response_metadata["unknown_citations"]`.
    """
    message = AIMessage(answer) if isinstance(answer, str) else answer
    sources = {document.metadata.get("rank", place): document for place, document in enumerate(documents, 1)}
    unknown: list[int] = []
    blocks: list[Any] = []
    for block in message.content_blocks:
        if block["type"] == "text":
            found = list(_citations(block["text"], sources, unknown))
            blocks.append({**block, "annotations": [*block.get("annotations", ()), *found]})
        else:
            blocks.append(block)
    metadata = {**message.response_metadata, "output_version": "v1"}
    if unknown:
        metadata["unknown_citations"] = unknown
    return message.model_copy(update={"content": blocks, "response_metadata": metadata})


def _citations(text: str, sources: Mapping[int, Document], unknown: list[int]) -> Iterator[Citation]:
    prose = _CODE.sub(_blank, text)
    claims = _MARK.sub(_blank, prose)
    for mark in _MARK.finditer(prose):
        claim = claims[: mark.start()].rstrip(_LOOSE)
        start = max((end.end() for end in _ENDS.finditer(claim)), default=len(claim) - len(claim.lstrip()))
        for number in _numbers(mark[1]):
            document = sources.get(number)
            if document is None:
                unknown += [number] * (number not in unknown)
                continue
            known = document.metadata
            citation = create_citation(
                url=known.get("source"),
                title=known.get("file_name"),
                start_index=start,
                end_index=mark.end(),
                cited_text=document.page_content,
            )
            citation["extras"] = dict(known)
            yield citation


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _numbers(named: str) -> Iterator[int]:
    for first, last in _RANGE.findall(named):
        # A long range is a span of years or pages, not of passages: its ends alone are looked for.
        low, high = int(first), int(last or first)
        yield from range(low, high + 1) if 0 <= high - low < 100 else (low, high)  # noqa: PLR2004
