"""Files of a session for LangChain: `MixRetriever`, loaders, and `upload`.

`retriever.py` meets LangChain, `session_index.py` keeps an index up to date, `index.py` searches it; `parsing/` reads
files, `loaders.py` loads them. The rest are their parts.
"""

from langchain_mix.errors import MixFileError, MixUploadError
from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.loaders import MixBlobLoader, MixFileLoader
from langchain_mix.retrievers.reports import FileReport
from langchain_mix.retrievers.retriever import MixRetriever
from langchain_mix.retrievers.selection import Selection
from langchain_mix.retrievers.session_index import IndexReport
from langchain_mix.retrievers.upload_progress import UploadProgress
from langchain_mix.retrievers.uploading import UploadReport, aupload, upload

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
    "upload",
]
