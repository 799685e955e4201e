"""How much of a server's files is read.

Owns: the limits and what is wrong with them. Refuses to know: who reads, and what a file is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from langchain_mix.errors import MixConfigurationError

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one run over the files of a session. What goes beyond is left out and told in the report.

    Attributes:
        max_file_bytes: Bytes of one file. A larger one is not downloaded; one that turns out larger than it was listed
            is given up at this size.
        max_total_bytes: Bytes of all files together that are downloaded in one run.
        max_files: Files that are read in one run, in the order of their names.
        parallel_downloads: Downloads at the same time, at least 1.
        max_text_chars: Characters of text that are taken from one file.
        max_parts: Parts (pages, sections, groups of rows) that are taken from one file.
        max_line_chars: Characters of one line of plain text or code; a file with a longer one is data, and is skipped.
        max_unpacked_bytes: Bytes that a compressed document (Word, Excel, PowerPoint), or one compressed stream of a
            PDF, may have when unpacked.
        max_depth: Levels of nesting in JSON and in notebooks.
        max_seconds: Seconds that the reading of one file may take, and as many for cutting it into passages. It holds
            within a page, a sheet and a part as well; what was read by then stands, and is reported as cut.
    """

    max_file_bytes: int = 32 * MEBIBYTE
    max_total_bytes: int = 256 * MEBIBYTE
    max_files: int = 10_000
    parallel_downloads: int = 8
    max_text_chars: int = 10_000_000
    max_parts: int = 50_000
    max_line_chars: int = 1_000_000
    max_unpacked_bytes: int = 128 * MEBIBYTE
    max_depth: int = 100
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuses limits under which nothing could be read."""
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = (int, float) if field.name == "max_seconds" else int
            if not isinstance(value, kinds) or isinstance(value, bool) or math.isnan(value) or value <= 0:
                raise MixConfigurationError(f"The limit `{field.name}` is {value!r}.", hint="It is a number above 0.")
