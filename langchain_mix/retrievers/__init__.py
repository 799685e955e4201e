"""Files of a session for LangChain: `MixRetriever`, loaders, and `upload`.

`retriever.py` meets LangChain, `session_index.py` keeps an index up to date, `ranking.py` searches it; `parsing/` reads
files, `loaders.py` loads them. The rest are their parts.

Names are loaded when they are first used: the process that reads a file needs the readers and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_mix.errors import MixFileError, MixUploadError
    from langchain_mix.retrievers.downloads import FileReport
    from langchain_mix.retrievers.files import Selection
    from langchain_mix.retrievers.loaders import MixBlobLoader, MixFileLoader
    from langchain_mix.retrievers.parsing.parsed import Limits
    from langchain_mix.retrievers.results import cite
    from langchain_mix.retrievers.retriever import MixRetriever
    from langchain_mix.retrievers.session_index import IndexReport
    from langchain_mix.retrievers.uploads import UploadProgress, UploadReport, aupload, upload

_HOMES = {
    "FileReport": "retrievers.downloads",
    "IndexReport": "retrievers.session_index",
    "Limits": "retrievers.parsing.parsed",
    "MixBlobLoader": "retrievers.loaders",
    "MixFileError": "errors",
    "MixFileLoader": "retrievers.loaders",
    "MixRetriever": "retrievers.retriever",
    "MixUploadError": "errors",
    "Selection": "retrievers.files",
    "UploadProgress": "retrievers.uploads",
    "UploadReport": "retrievers.uploads",
    "aupload": "retrievers.uploads",
    "cite": "retrievers.results",
    "upload": "retrievers.uploads",
}

__all__ = [
    "FileReport",
    "IndexReport",
    "Limits",
    "MixBlobLoader",
    "MixFileError",
    "MixFileLoader",
    "MixRetriever",
    "MixUploadError",
    "Selection",
    "UploadProgress",
    "UploadReport",
    "aupload",
    "cite",
    "upload",
]


def __getattr__(name: str) -> Any:
    """Loads a name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"langchain_mix.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    """Lists the public names."""
    return sorted({*globals(), *__all__})
