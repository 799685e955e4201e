"""PDF, with pypdf.

Owns: pages. Refuses to know: pictures of text, which have none.
"""

from __future__ import annotations

from io import BytesIO

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector, EnoughError
from langchain_mix.retrievers.parsing.parts import Parsed, Place, Skipped


def read_pdf(data: bytes, limits: Limits) -> Parsed | Skipped:
    """Reads a PDF, a part for each page.

    Raises:
        ImportError: pypdf is not installed.
        Exception: The file is damaged; pypdf raises many kinds.
    """
    import pypdf  # noqa: PLC0415  # An extra.
    from pypdf.errors import DependencyError, FileNotDecryptedError  # noqa: PLC0415

    found = Collector(limits)
    most = limits.max_unpacked_bytes
    with pypdf.apply_configuration(
        zlib_maximum_output_length=most,
        lzw_maximum_output_length=most,
        run_length_maximum_output_length=most,
        array_based_stream_maximum_output_length=most,
    ):
        try:
            reader = pypdf.PdfReader(BytesIO(data))
            if reader.is_encrypted and not reader.decrypt(""):
                return Skipped("is encrypted", "pdf")
            with found.bounded():
                _collect(reader, found)
        except (DependencyError, FileNotDecryptedError):
            return Skipped("is encrypted", "pdf")
    if not found.parts:
        return Skipped(_nothing(found), "pdf")
    return found.parsed("pdf")


def _collect(reader: object, found: Collector) -> None:
    pages = iter(reader.pages)  # type: ignore[attr-defined]  # Of a library that is not always there.
    for number, page in enumerate(pages, 1):
        found.check_time()
        try:
            text = page.extract_text()
        except EnoughError:
            raise
        except Exception as problem:  # noqa: BLE001  # pypdf raises anything on a broken page.
            # One broken page must not cost the others; it is told.
            found.problems.append(f"Page {number} cannot be read ({type(problem).__name__}: {str(problem)[:100]}).")
            continue
        found.add(legible(text), Place(page=number))


def legible(text: str) -> str:
    """Text without halves of characters, which broken fonts give."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _nothing(found: Collector) -> str:
    return f"has no text: {found.problems[0]}" if found.problems else "has no text; its pages may be pictures"
