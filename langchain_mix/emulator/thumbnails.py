"""Small pictures of images, as the server makes them for `?thumb=`.

Owns: which files have thumbnails, the size specification, and making the JPEG.
Refuses to know: HTTP, sessions, and video, for which the real server starts ffmpeg.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image, ImageOps

from langchain_mix.emulator.media_types import IMAGE_FORMATS

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})
SMALLEST = 16
LARGEST = 1024
QUALITY = 90
MAX_SECONDS = 86_400
MAX_PIXELS = 80_000_000


@dataclass(frozen=True, slots=True)
class ThumbnailSpec:
    """How large a thumbnail shall be.

    Attributes:
        side: Which side is given: both as a bounding box, the width, or the height.
        pixels: Its length.
    """

    side: Literal["box", "width", "height"]
    pixels: int


def is_media(path: Path) -> bool:
    """Tells by its name whether a file can have a thumbnail: images and videos can."""
    return path.suffix.lower() in IMAGES | VIDEOS


def parse_spec(spec: str) -> ThumbnailSpec:
    """Reads `100`, `w200` or `h50`.

    Args:
        spec: As in the query.

    Returns:
        Its meaning.

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
    """Makes a JPEG of an image. Small images are not enlarged.

    Args:
        path: Of the file.
        spec: `N` for a bounding box, `wN` for a width, `hN` for a height, in pixels.
        time: Where in a video, in seconds.

    Returns:
        The JPEG.

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
