"""What was found, as LangChain's documents.

Owns: their ids and their metadata. Refuses to know: how they were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

from langchain_core.documents import Document

from langchain_mix.retrievers.index import Found
from langchain_mix.retrievers.indexing import remote_file
from langchain_mix.retrievers.remote_files import RemoteFile, file_url

_THUMBNAIL: Final = "512"
"""The bounding box of the pictures that stand for images, in pixels."""


def file_metadata(file: RemoteFile, session_id: str) -> dict[str, Any]:
    """What the metadata of every document and blob tell of its file.

    Args:
        file: The file as listed.
        session_id: The session it is read in.
    """
    known: dict[str, Any] = {
        "source": file.url,
        "file_name": file.name,
        "session_id": session_id,
        "size": file.size,
        "mime_type": file.mime_type,
    }
    return known if file.modified is None else {**known, "modified": file.modified}


def image_metadata(name: str, session_id: str, server_url: str) -> dict[str, Any]:
    """What they tell of an image besides: where a small picture of it is read.

    Args:
        name: The image's name on the server.
        session_id: The session it is read in.
        server_url: The base URL of the client.
    """
    return {"kind": "image", "thumbnail_url": file_url(server_url, session_id, name, thumb=_THUMBNAIL)}


def documents_of(found: Sequence[Found], session_id: str, server_url: str) -> list[Document]:
    """Makes documents.

    Args:
        found: The chunks, the best first.
        session_id: The session they were found in.
        server_url: The base URL of the client.

    Returns:
        A document for each, in the same order.
    """
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
    """The same for the same span of the same bytes under the same name, whichever session and server it was read in."""
    parts = (found.file.name, found.file.checksum, str(found.chunk.start_index), str(found.chunk.end_index))
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()
