"""Media: the type of bytes as Go's `http.DetectContentType` guesses it, and thumbnails.

Owns: the signatures, the thumbnail specifications and the pictures.
Refuses to know: where files are kept.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from PIL import Image, ImageOps

IMAGE_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""The formats that are opened, whatever a file is called. Pillow knows more, and starts Ghostscript for one of them."""

SNIFFED_BYTES: Final = 512
"""Bytes of a file that are looked at."""

_SIGNATURES: Final = (
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (b"\x00asm", "application/wasm"),
)
_RIFF: Final = {b"WEBPVP": "image/webp", b"WAVE": "audio/wave", b"AVI ": "video/avi"}
_HTML: Final = (
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<font",
    b"<table",
    b"<a",
    b"<style",
    b"<title",
    b"<b",
    b"<body",
    b"<br",
    b"<p",
    b"<!--",
)
_BINARY: Final = frozenset({*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})


def sniffed(beginning: bytes) -> str:
    """Guesses a media type by the first 512 bytes; `application/octet-stream` if nothing is known of them."""
    data = beginning[:SNIFFED_BYTES]
    text = data.lstrip(b"\t\n\x0c\r ").lower()
    for tag in _HTML:
        if text.startswith(tag) and (tag == b"<!--" or text[len(tag) : len(tag) + 1] in {b" ", b">"}):
            return "text/html; charset=utf-8"
    if text.startswith(b"<?xml"):
        return "text/xml; charset=utf-8"
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data.startswith(b"RIFF"):
        for mark, kind in _RIFF.items():
            if data[8:].startswith(mark):
                return kind
    if data[4:8] == b"ftyp" and b"mp4" in data[8 : int.from_bytes(data[:4], "big")]:
        return "video/mp4"
    return "application/octet-stream" if _BINARY.intersection(data) else "text/plain; charset=utf-8"


IMAGES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})
SMALLEST = 16
LARGEST = 1024
QUALITY = 90
MAX_SECONDS = 86_400
MAX_PIXELS = 80_000_000


@dataclass(frozen=True, slots=True)
class ThumbnailSpec:
    """The size of a thumbnail: a bounding box, a width or a height in pixels."""

    side: Literal["box", "width", "height"]
    pixels: int


def is_media(path: Path) -> bool:
    """True when a file can have a thumbnail, by its name: images and videos can."""
    return path.suffix.lower() in IMAGES | VIDEOS


def parse_spec(spec: str) -> ThumbnailSpec:
    """Reads `100` (a bounding box), `w200` (a width) or `h50` (a height).

    Raises:
        ValueError: If it is malformed or not within 16 to 1024 pixels.
    """
    match = re.fullmatch(r"([wh]?)([0-9]{1,5})", spec)
    if match is None:
        raise ValueError(f"invalid thumbnail specification: {spec}")
    pixels = int(match[2])
    if not SMALLEST <= pixels <= LARGEST:
        raise ValueError(f"thumbnail size must be between {SMALLEST} and {LARGEST}: {spec}")
    side: Literal["box", "width", "height"] = "box"
    if match[1]:
        side = "width" if match[1] == "w" else "height"
    return ThumbnailSpec(side, pixels)


def make_thumbnail(path: Path, spec: str, time: float = 1.0) -> bytes:
    """Makes a JPEG of an image, or of a place in a video, in seconds. Small images are not enlarged.

    Raises:
        ValueError: If the specification or the time is wrong, the file is a video, no image, or too large.
    """
    size = parse_spec(spec)
    if not 0 <= time <= MAX_SECONDS:
        raise ValueError(f"time must be between 0 and {MAX_SECONDS} seconds: {time}")
    if path.suffix.lower() in VIDEOS:
        raise ValueError("thumbnails of videos need ffmpeg, which the emulator does not run")
    if not is_media(path):
        raise ValueError(f"not an image: {path.name}")
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            return _jpeg(image, size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"image is too large: {error}") from None
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001  # Pillow raises anything for a broken file, such as TypeError.
        raise ValueError(f"not a readable image: {path.name}: {error}") from None


def _jpeg(image: Image.Image, spec: ThumbnailSpec) -> bytes:
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"image is too large: {image.width}x{image.height} pixels")
    ImageOps.exif_transpose(image, in_place=True)
    # An image with a palette is scaled in its colours. One that is large is copied as seldom as possible.
    wide = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small = _flat(wide.resize(_size(image.width, image.height, spec), Image.Resampling.LANCZOS))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _flat(image: Image.Image) -> Image.Image:
    """Puts what is transparent on white; JPEG has no transparency."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


def _size(width: int, height: int, spec: ThumbnailSpec) -> tuple[int, int]:
    across, down = spec.pixels / width, spec.pixels / height
    scale = {"box": min(across, down), "width": across, "height": down}[spec.side]
    scale = min(scale, 1.0)
    return max(1, round(width * scale)), max(1, round(height * scale))
