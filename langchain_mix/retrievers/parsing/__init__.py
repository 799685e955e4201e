"""Bytes in, text with places out: pure, for every format, and never failing on what a file holds.

Owns: this import path. Refuses to know: where bytes come from and what the text is for.
"""

from __future__ import annotations

from langchain_mix.retrievers.parsing.parse import parse
from langchain_mix.retrievers.parsing.parsed import Kind, Parsed, Part, Place, Skipped

__all__ = ["Kind", "Parsed", "Part", "Place", "Skipped", "parse"]
