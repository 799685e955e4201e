"""The tools ReadMedia and Show.

Owns: facts about media files that need no model.
Refuses to know: what a picture shows or a recording says; no model looks at it, and the answer says so.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from langchain_mix.emulator.agents.tools import arguments as args
from langchain_mix.emulator.agents.tools.arguments import Places, ToolError
from langchain_mix.emulator.media import IMAGE_FORMATS

MEDIA_TYPES = ("image", "audio", "video", "pdf")
SHOWN_TYPES = ("image", "video", "audio", "gsap_animation", "pdf", "csv")
_MAGIC = (
    (b"%PDF-", "pdf", "PDF"),
    (b"ID3", "audio", "MP3"),
    (b"\xff\xfb", "audio", "MP3"),
    (b"OggS", "audio", "Ogg"),
    (b"fLaC", "audio", "FLAC"),
    (b"\x1aE\xdf\xa3", "video", "Matroska or WebM"),
)


def read_media(arguments: Mapping[str, Any], places: Places) -> str:
    """Runs ReadMedia: format, size and length of a media file, as the documented JSON.

    Raises:
        ToolError: If the file is no such medium.
    """
    name = args.text(arguments, "file_path")
    kind = args.text(arguments, "media_type")
    prompt = args.text(arguments, "prompt")
    if kind not in MEDIA_TYPES:
        raise ToolError(f"media_type must be one of: {', '.join(MEDIA_TYPES)}")
    path = places.file(name)
    facts = _image_facts(path) if kind == "image" else _other_facts(path, kind)
    analysis = (
        f"{facts}, {path.stat().st_size} bytes. The emulator looks at no media, so this is not answered: {prompt}"
    )
    result = {"file_path": str(path), "media_type": kind, "analysis": analysis}
    return json.dumps({"results": [result], "summary": f"{places.name_of(path)}: {facts}"}, ensure_ascii=False)


def _image_facts(path: Path) -> str:
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            frames = getattr(image, "n_frames", 1)
            moving = f", {frames} frames" if frames > 1 else ""
            return f"{image.format} image, {image.width}x{image.height} pixels, mode {image.mode}{moving}"
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise ToolError(f"not a readable image: {path.name}: {error}") from None


def _other_facts(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE" and kind == "audio":
        return _wave_facts(path)
    found = next(((k, label) for magic, k, label in _MAGIC if head.startswith(magic)), None)
    if head[4:8] == b"ftyp" and kind in ("video", "audio"):
        found = (kind, "MPEG-4")
    if found is None or found[0] != kind:
        raise ToolError(f"not a recognised {kind} file: {path.name}")
    if kind == "pdf":
        return f"PDF {head[5:8].decode('ascii', 'replace')}"
    return f"{found[1]} {kind}"


def _wave_facts(path: Path) -> str:
    try:
        with wave.open(str(path), "rb") as sound:
            rate, frames, channels = sound.getframerate(), sound.getnframes(), sound.getnchannels()
    except (wave.Error, EOFError) as error:
        raise ToolError(f"not a readable WAV file: {path.name}: {error}") from None
    return f"WAV audio, {channels} channel(s), {rate} Hz, {frames / rate:.3f} s" if rate else "WAV audio of no length"


def show(arguments: Mapping[str, Any], places: Places) -> str:
    """Runs Show: checks that what is to be shown is there.

    Raises:
        ToolError: If an output is malformed or its file does not exist.
    """
    outputs = args.records(arguments, "outputs")
    if not outputs:
        raise ToolError("outputs must hold at least one output")
    return "Media outputs displayed:\n" + "\n".join(_shown(output, places) for output in outputs)


def _shown(output: Mapping[str, Any], places: Places) -> str:
    kind, title = args.text(output, "type"), args.text(output, "title")
    if kind not in SHOWN_TYPES:
        raise ToolError(f"type must be one of: {', '.join(SHOWN_TYPES)}")
    if kind == "gsap_animation":
        if not isinstance(output.get("config"), Mapping):
            raise ToolError("config is required for gsap_animation")
        return f"- {title} (gsap_animation)"
    path = args.text(output, "path")
    if path.startswith(("http://", "https://")):
        return f"- {title} ({kind}): {path} (not checked: no network)"
    return f"- {title} ({kind}): {places.file(path)}"
