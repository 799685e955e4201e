"""The tools ReadText, Write, Edit, ReadMedia and Show.

Owns: how lines are read and numbered, what is written and the permission that it needs, and facts about media files.
Refuses to know: where they may read and write, and what a picture shows or a recording says: no model looks at it, and
the answer says so.
"""

from __future__ import annotations

import codecs
import difflib
import json
import os
import tempfile
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from langchain_mix.emulator.agents import tool_arguments as args
from langchain_mix.emulator.agents.base import Ask
from langchain_mix.emulator.agents.tool_arguments import Places, ToolError
from langchain_mix.emulator.media import IMAGE_FORMATS

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_OUTPUT_CHARS = 250 * 1024
MAX_LINE_CHARS = 2000
LINE_CUT = " … (line cut)"
MORE = "(File has more lines. Use 'offset' {offset} to read on)"
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decode(content: bytes) -> str | None:
    """Turns a file's bytes into text; None for a binary file. Text that is not Unicode is read as Windows-1252."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _try(content, encoding)
    if b"\0" in content:
        return None
    text = _try(content, "utf-8")
    if text is not None:
        return text
    return None if _CONTROLS.intersection(content[:8192]) else _try(content, "cp1252")


def _try(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def lines_of(path: Path) -> list[str] | None:
    """Reads a text file as lines without their ends; None for a binary file and one larger than 16 MiB."""
    if path.stat().st_size > MAX_FILE_BYTES:
        return None
    text = decode(path.read_bytes())
    if text is None:
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_text(arguments: Mapping[str, Any], places: Places) -> str:
    """Runs ReadText: at most `limit` numbered lines after the first `offset`, and a note if there are more.

    Raises:
        ToolError: If the file cannot be read as text.
    """
    name = args.text(arguments, "file_path")
    offset = args.number(arguments, "offset", 0)
    limit = args.number(arguments, "limit", 2000, least=1)
    path = places.file(name)
    lines = lines_of(path)
    if lines is None:
        raise ToolError(f"{name} is too large or not a text file; use ReadMedia for images, audio, video and PDF")
    if offset and offset >= len(lines):
        raise ToolError(f"offset {offset} is past the end of the file, which has {len(lines)} lines")
    out: list[str] = []
    size = 0
    for index, line in enumerate(lines[offset : offset + limit], offset + 1):
        shown = line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + LINE_CUT
        size += len(shown) + 8
        if out and size > MAX_OUTPUT_CHARS:
            break
        out.append(f"{index:6d}|{shown}")
    if offset + len(out) < len(lines):
        out.append(MORE.format(offset=offset + len(out)))
    return "\n".join(out)


MAX_WRITTEN_BYTES = 16 * 1024 * 1024
MAX_COMPARED_LINES = 4000
MAX_ASKED_CHARS = 20_000


def write(arguments: Mapping[str, Any], places: Places) -> str:
    """Runs Write: `content` becomes the file at `file_path`.

    Raises:
        ToolError: If the place is not allowed or the text cannot be stored.
    """
    path, old, new = _written(arguments, places)
    if path.exists() and old == new:
        return f"File {path} already contains this exact content. No changes made."
    _store(path, new)
    return f"File successfully written: {path} ({_changes(old, new)})"


def ask_write(arguments: Mapping[str, Any], places: Places) -> Ask | None:
    """Returns the request for permission of a Write; None for a call that is refused anyway."""
    try:
        path, old, new = _written(arguments, places)
    except ToolError:
        return None
    verb = "Overwrite" if path.exists() else "Create"
    return _ask(f"{verb} file {path}", "write", path, old, new)


def edit(arguments: Mapping[str, Any], places: Places) -> str:
    """Runs Edit: `old_string`, which must occur once in `file_path`, becomes `new_string`.

    An empty `old_string` makes a new file.

    Raises:
        ToolError: If the text occurs not at all or more than once, or the place is not allowed.
    """
    path, old, new = _edited(arguments, places)
    _store(path, new)
    return f"Content replaced in file: {path} ({_changes(old, new)})"


def ask_edit(arguments: Mapping[str, Any], places: Places) -> Ask | None:
    """Returns the request for permission of an Edit; None for a call that is refused anyway."""
    try:
        path, old, new = _edited(arguments, places)
    except ToolError:
        return None
    return _ask(f"Replace content in file {path}", "write", path, old, new)


def _written(arguments: Mapping[str, Any], places: Places) -> tuple[Path, str, str]:
    path = places.target(args.text(arguments, "file_path"))
    new = _storable(args.text(arguments, "content", empty=True))
    old = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    return path, old, new


def _edited(arguments: Mapping[str, Any], places: Places) -> tuple[Path, str, str]:
    path = places.target(args.text(arguments, "file_path"))
    before = args.text(arguments, "old_string", empty=True)
    after = args.text(arguments, "new_string", empty=True)
    if before == "":
        if path.exists():
            raise ToolError(f"file already exists: {path}")
        return path, "", _storable(after)
    if not path.exists():
        raise ToolError(f"File not found: {path}")
    try:
        old = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ToolError(f"not a UTF-8 text file: {path}") from None
    occurrences = old.count(before)
    if occurrences == 0:
        raise ToolError(
            "old_string not found in file. Make sure it matches exactly, including whitespace and line breaks"
        )
    if occurrences > 1:
        raise ToolError(f"old_string appears {occurrences} times in the file. Provide more context for a unique match")
    return path, old, _storable(old.replace(before, after))


def _storable(text: str) -> str:
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise ToolError("content is not valid Unicode") from None
    if size > MAX_WRITTEN_BYTES:
        raise ToolError(f"content is larger than {MAX_WRITTEN_BYTES} bytes")
    return text


def _store(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".write-")
    except (FileExistsError, NotADirectoryError):
        raise ToolError(f"a part of the path is a file: {path}") from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _diff(old: str, new: str) -> list[str]:
    """Compares two texts; large ones as a whole, because comparing them line by line would take too long."""
    before, after = old.splitlines(), new.splitlines()
    if len(before) + len(after) > MAX_COMPARED_LINES:
        return [*(f"-{line}" for line in before), *(f"+{line}" for line in after)]
    return list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]


def _changes(old: str, new: str) -> str:
    diff = _diff(old, new)
    return f"+{sum(line.startswith('+') for line in diff)} -{sum(line.startswith('-') for line in diff)} lines"


def _ask(description: str, action: str, path: Path, old: str, new: str) -> Ask:
    diff = "\n".join(_diff(old, new))
    if len(diff) > MAX_ASKED_CHARS:
        diff = diff[:MAX_ASKED_CHARS] + "\n… (diff cut)"
    params = {"file_path": str(path), "diff": diff}
    return Ask(description=description, action=action, path=str(path.parent), params=params)


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
