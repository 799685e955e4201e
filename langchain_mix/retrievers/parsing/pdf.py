"""PDF, with pypdf: pages, the values of form fields, and annotations.

It runs in a process of its own (`worker.py`): what a page takes when it is unpacked cannot be bounded from within.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import islice
from typing import Any, Final

from langchain_mix.retrievers.parsing.parsed import Collector, EnoughError, Place, Skipped, legible

_PASSWORD: Final = 1 << 13
"""The flag of a field whose value is a password (ISO 32000-2 §12.7.5.3)."""
_MOST_ANNOTATIONS: Final = 10_000
_OPERATORS_BETWEEN_LOOKS: Final = 1000
_NO_TEXT: Final = frozenset(
    {"/Link", "/Popup", "/Screen", "/Movie", "/Sound", "/PrinterMark", "/TrapNet", "/Watermark"}
)
"""Annotations whose contents readers do not see as text."""


def read_pdf(data: bytes, found: Collector) -> Skipped | None:
    """Reads a PDF, a part for each page; returns why it is not read, None if it is.

    Raises:
        ImportError: pypdf is not installed, or what it needs to decrypt the file.
        Exception: The file is damaged; pypdf raises many kinds.
    """
    import pypdf  # noqa: PLC0415  # An extra.
    from pypdf.errors import DependencyError, FileNotDecryptedError  # noqa: PLC0415

    most = found.limits.max_unpacked_bytes
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
                _pages(reader, found)
        except DependencyError as missing:
            raise ImportError(str(missing)) from missing
        except FileNotDecryptedError:
            return Skipped("is encrypted", "pdf")
    return None


def _pages(reader: Any, found: Collector) -> None:
    without_text: list[int] = []
    try:
        for number, page in enumerate(iter(reader.pages), 1):
            found.check_time()
            if not _page(page, number, found):
                without_text.append(number)
    finally:
        if without_text:
            one = len(without_text) == 1
            named = f"{'Page' if one else 'Pages'} {_ranges(without_text)}"
            found.leave_out(
                f"{named} {'has' if one else 'have'} no text and may be pictures of it; they were not read."
            )


def _page(page: Any, number: int, found: Collector) -> bool:
    """Adds a page. Returns False if nothing is on it."""
    pieces: list[str] = []
    operators = 0

    def before(*_: object) -> None:
        nonlocal operators
        operators += 1
        if operators % _OPERATORS_BETWEEN_LOOKS == 0:
            found.check_time()

    problem = late = None
    text = ""
    try:
        text = page.extract_text(visitor_operand_before=before, visitor_text=lambda piece, *_: pieces.append(piece))
    except EnoughError as limit:
        text, late = "".join(pieces), limit
    except MemoryError:
        problem = f"Page {number} needs more memory than a page of its size may take and was not read."
    except Exception as error:  # noqa: BLE001  # pypdf raises anything on a broken page.
        # One broken page must not cost the others; it is reported.
        problem = f"Page {number} cannot be read ({type(error).__name__}: {str(error)[:100]})."
    if problem:
        found.leave_out(problem)
    lines = [text.strip("\n"), *_annotations(page)]
    whole = legible("\n".join(line for line in lines if line.strip()))
    if late is not None:
        found.add_late(whole, Place(page=number))
        raise late
    found.add(whole, Place(page=number))
    return bool(whole.strip()) or problem is not None


def _annotations(page: Any) -> Iterator[str]:
    """Fields of forms with their values, and what was written at the page's margin."""
    try:
        annotations = [*islice(page.get("/Annots") or (), _MOST_ANNOTATIONS)]
    except Exception:  # noqa: BLE001  # As above; there are none that can be read.
        return
    for reference in annotations:
        try:
            text = _annotation(reference.get_object())
        except Exception:  # noqa: BLE001, S112  # A broken one costs itself alone.
            continue
        if text:
            yield text


def _annotation(annotation: Any) -> str:
    kind = annotation.get("/Subtype")
    if kind != "/Widget":
        return "" if kind in _NO_TEXT else _shown(annotation.get("/Contents"))
    value, name, flags, field_kind = None, "", 0, None
    field: Any = annotation
    for _ in range(32):  # Fields inherit from those above them.
        value = field.get("/V") if value is None else value
        name = name or _shown(field.get("/T"))
        flags = flags or int(field.get("/Ff") or 0)
        field_kind = field_kind or field.get("/FT")
        if "/Parent" not in field:
            break
        field = field["/Parent"].get_object()
    if value is None or field_kind not in {"/Tx", "/Ch"} or flags & _PASSWORD:
        return ""
    shown = _shown(value)
    return f"{name}: {shown}" if name and shown else shown


def _shown(value: Any) -> str:
    """The text of a string, of the strings of a list, or of a stream."""
    value = value.get_object() if hasattr(value, "get_object") else value
    if isinstance(value, list):
        return ", ".join(filter(None, map(_shown, value)))
    if hasattr(value, "get_data"):
        return str(value.get_data().decode("utf-8", "replace"))
    return "" if value is None else str(value)


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in ascending order as in `2-10, 12`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    named = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:20]]
    return ", ".join(named) + (" and more" if len(runs) > 20 else "")  # noqa: PLR2004
