"""Converts images, audio, PDFs and other files in messages to uploads, and to words that refer to them.

Owns: every form in which LangChain, OpenAI and Anthropic put a file into a message, or Anthropic the calls and results
of tools; the names that uploads get, and the words that refer to them. Here nothing is read from disks or networks.
Refuses to know: sessions, how uploads travel, and how conversations become text (`history.py`).
"""

from __future__ import annotations

import binascii
import json
import mimetypes
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from langchain_mix.errors import MixInputError
from langchain_mix.protocol.call import FilePart

MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes that one attachment may have. Mix itself sets no limit; memory does."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_EXTENSIONS: Final[Mapping[str, str]] = {
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "audio/wav": ".wav",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/webm": ".webm",
    "audio/aac": ".aac",
    "application/yaml": ".yaml",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/octet-stream": ".bin",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
}
_SPELLINGS: Final[Mapping[str, str]] = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "image/svg": "image/svg+xml",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/mp3": "audio/mpeg",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-pn-wav": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-aac": "audio/aac",
    "audio/x-aiff": "audio/aiff",
    "audio/opus": "audio/ogg",
    "audio/x-ogg": "audio/ogg",
    "application/ogg": "audio/ogg",
    "video/x-mp4": "video/mp4",
    "video/x-m4v": "video/mp4",
    "video/mov": "video/quicktime",
    "video/avi": "video/x-msvideo",
    "application/csv": "text/csv",
    "application/x-csv": "text/csv",
    "text/x-csv": "text/csv",
    "text/comma-separated-values": "text/csv",
    "application/x-pdf": "application/pdf",
    "application/acrobat": "application/pdf",
    "text/pdf": "application/pdf",
    "application/x-json": "application/json",
    "text/json": "application/json",
    "application/x-yaml": "application/yaml",
    "text/yaml": "application/yaml",
    "text/x-yaml": "application/yaml",
    "text/x-markdown": "text/markdown",
    "application/markdown": "text/markdown",
    "application/x-zip-compressed": "application/zip",
    "application/x-zip": "application/zip",
    "text/x-python-script": "text/x-python",
}
"""Media types as people write them, and as they are registered or best known."""
_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_KINDS: Final[Mapping[str, str]] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "input_audio": "audio",
    "video": "video",
    "video_url": "video",
    "file": "file",
    "input_file": "file",
    "document": "document",
    "text-plain": "document",
    "media": "file",
}
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
_CALLS: Final = frozenset({"tool_use", "tool_call"})
_RESULT: Final = "tool_result"
_MIME: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_WEB: Final = re.compile(r"https?://[^/?#]", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+")
_LONGEST_LABEL: Final = 200
_LARGER: Final = "Upload it with `Mix.files.upload_session_file` and pass its name as `file_id`."

_Block = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Messages whose files are taken out.

    Attributes:
        messages: The messages, a text like `[Attached image: 3f2a….png]` in the place of each file. Messages without
            files are the same objects as before.
        uploads: The files that must be at the server before the messages are sent. The name of one depends on its
            content alone: uploads are shared by all sessions of a server, so one of the same name is the same file.
    """

    messages: tuple[BaseMessage, ...]
    uploads: tuple[FilePart, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """Locates the bytes of a block: exactly one of the first three is given."""

    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    mime_type: str = ""
    label: str = ""


def read_inputs(messages: Iterable[BaseMessage]) -> Inputs:
    """Takes the files out of messages, results of tools included.

    Base64 data and `data:` URLs become uploads; `http(s)` URLs and files that are at the server (`file_id`) are
    named to the agent. Nothing is downloaded here. Reasoning and tool blocks of AI messages stay as they are, and so do
    files in them that cannot be sent.

    Raises:
        MixInputError: A block cannot be sent: unknown, empty, too large, or not readable as what it says it is.
    """
    found: dict[str, FilePart] = {}
    read = tuple(_without_files(message, found) for message in messages)
    return Inputs(read, tuple(found.values()))


def standard_messages(messages: Iterable[BaseMessage]) -> list[BaseMessage]:
    """Returns messages with the calls and results of tools in the places that LangChain has for them.

    In Anthropic's form, calls are `tool_use` blocks of an AI message and results are `tool_result` blocks of a human
    one. Calls that `tool_calls` lacks are added to it; each result becomes a ToolMessage where its block is located.
    Messages without such blocks are the same objects as before.
    """
    return [part for message in messages for part in _standard(message)]


def _standard(message: BaseMessage) -> Iterable[BaseMessage]:
    if isinstance(message.content, str):
        return (message,)
    kinds = {block.get("type") for block in message.content if isinstance(block, Mapping)}
    if isinstance(message, AIMessage) and kinds & _CALLS:
        return (_with_calls(message),)
    if isinstance(message, HumanMessage | ChatMessage) and _RESULT in kinds:
        return _split_results(message)
    return (message,)


def _with_calls(message: AIMessage) -> AIMessage:
    known = {call["id"] for call in (*message.tool_calls, *message.invalid_tool_calls)}
    calls, invalid = list(message.tool_calls), list(message.invalid_tool_calls)
    for block in message.content:
        if not isinstance(block, Mapping) or block.get("type") not in _CALLS or block.get("id") in known:
            continue
        args, name = block.get("input", block.get("args")), str(block.get("name") or "")
        if isinstance(args, Mapping):
            calls.append(tool_call(name=name, args=dict(args), id=block.get("id")))
        else:
            invalid.append(invalid_tool_call(name=name, args=str(args or ""), id=block.get("id")))
    return message.model_copy(update={"tool_calls": calls, "invalid_tool_calls": invalid})


def _split_results(message: BaseMessage) -> list[BaseMessage]:
    parts: list[BaseMessage] = []
    for is_result, group in groupby(message.content, key=lambda b: isinstance(b, Mapping) and b.get("type") == _RESULT):
        blocks: list[Any] = list(group)
        parts += [_result(block) for block in blocks] if is_result else [message.model_copy(update={"content": blocks})]
    return parts


def _result(block: Mapping[str, Any]) -> ToolMessage:
    content = block.get("content")
    return ToolMessage(
        content="" if content is None else content,
        tool_call_id=str(block.get("tool_use_id") or ""),
        status="error" if block.get("is_error") else "success",
    )


def is_file(block: Any) -> bool:
    """True for a content block that is a file of some kind, not text, reasoning or a tool's."""
    return isinstance(block, Mapping) and str(block.get("type")) in _KINDS


def _is_media(block: _Block, where: str) -> bool:
    """True for a block that is a file by its type and locates its bytes, so that it is no other data of a tool."""
    if not is_file(block):
        return False
    try:
        return _own_text(block) is not None or _own_parts(block) is not None or bool(_source_of(block, where))
    except MixInputError:
        return False


def reference(name: str, mime_type: str, *, kind: str = "file", label: str = "") -> str:
    """Returns the words that refer to a file, for example `[Attached image: 3f2a….png ("chart.png")]`.

    Args:
        name: The name of the upload, or a URL.
        mime_type: Its media type; empty if unknown.
        kind: What the block called it, if the media type does not show it.
        label: The name that the user gave it.
    """
    main = mime_type.partition("/")[0]
    what = main if main in {"image", "audio", "video"} else "PDF" if mime_type == "application/pdf" else kind
    named = f" ({json.dumps(label[:_LONGEST_LABEL], ensure_ascii=not label.isprintable())})" if label else ""
    return f"[Attached {what}: {name}{named}]"


def _without_files(message: BaseMessage, found: dict[str, FilePart]) -> BaseMessage:
    if isinstance(message.content, str):
        return message
    blocks: list[str | dict[Any, Any]] = []
    for index, original in enumerate(message.content):
        block, where = _unwrapped(original), f"{type(message).__name__}.content[{index}]"
        if isinstance(block, str) or str(block.get("type")) in _TEXTS:
            blocks.append(original)
        elif isinstance(message, ToolMessage) and not _is_media(block, where):
            blocks.append(original)  # Data of the tool's own, which may be called "file" or have a key "source".
        elif is_file(block):
            try:
                blocks.append({"type": "text", "text": _text_for(block, where, found)})
            except MixInputError:
                if not isinstance(message, AIMessage):
                    raise
                blocks.append(original)  # What an agent showed once must not end the conversation.
        elif isinstance(message, AIMessage):
            blocks.append(original)  # What an agent thought and did is not sent.
        else:
            raise _refusal(where, block)
    if all(new is old for new, old in zip(blocks, message.content, strict=True)):
        return message
    return message.model_copy(update={"content": _spaced(blocks, message.content)})


def _unwrapped(block: Any) -> str | dict[str, Any]:
    """LangChain wraps blocks of providers that it does not know."""
    value = block.get("value") if isinstance(block, Mapping) and block.get("type") == "non_standard" else None
    return cast("str | dict[str, Any]", value if is_file(value) else block)


def _spaced(blocks: list[str | dict[Any, Any]], originals: Sequence[Any]) -> list[str | dict[Any, Any]]:
    """Texts side by side are joined as they are, so that a reference brings its own blank lines."""
    last = len(blocks) - 1
    for index, block in enumerate(blocks):
        if block is not originals[index] and isinstance(block, dict):
            before = "\n\n" if index and blocks[index - 1] is originals[index - 1] else ""
            after = "\n\n" if index < last else ""
            block["text"] = f"{before}{block['text']}{after}"
    return blocks


def _text_for(block: _Block, where: str, found: dict[str, FilePart]) -> str:
    text = _own_text(block)
    if text is not None:
        return _titled(block, text)
    parts = _own_parts(block)
    if parts is not None:
        texts = [_text_of_part(part, f"{where}.source.content[{i}]", found) for i, part in enumerate(parts)]
        return _titled(block, "\n\n".join(texts))
    source, kind = _source_of(block, where), _KINDS[str(block["type"])]
    name, mime, content = _attachment(source, kind, where)
    if content is not None:
        found.setdefault(name, FilePart(name, content, mime))
    words = reference(name, mime, kind=kind, label=source.label)
    return _titled({**block, "title": None}, words)


def _own_text(block: _Block) -> str | None:
    """The text of a block that is a document in itself; it is sent as text."""
    kind, source = block.get("type"), block.get("source")
    if kind == "document" and isinstance(source, Mapping) and source.get("type") == "text":
        text = source.get("data")
    elif kind == "text-plain" or block.get("source_type") == "text":
        # LangChain's converter of its older blocks reads the text of a file from `url`.
        text = block.get("text") or (block.get("url") if block.get("source_type") == "text" else None)
    else:
        return None
    return text if isinstance(text, str) and text else None


def _own_parts(block: _Block) -> list[Any] | None:
    """The parts of a document that is written as blocks (Anthropic's `source.type="content"`), if it is one."""
    source = block.get("source")
    if block.get("type") != "document" or not isinstance(source, Mapping) or source.get("type") != "content":
        return None
    content = source.get("content")
    parts = [content] if isinstance(content, str) else content
    return list(parts) if isinstance(parts, Sequence) and parts else None


def _text_of_part(part: Any, where: str, found: dict[str, FilePart]) -> str:
    if isinstance(part, str):
        return part
    if is_file(part):
        return _text_for(part, where, found)
    if isinstance(part, Mapping) and str(part.get("type")) in _TEXTS and isinstance(part.get("text"), str):
        return str(part["text"])
    raise _refusal(where, part if isinstance(part, Mapping) else {"type": type(part).__name__})


def _titled(block: _Block, text: str) -> str:
    named = [str(block[key]) for key in ("title", "context") if block.get(key)]
    return "\n".join([*named, text])


def _source_of(block: _Block, where: str) -> _Source:
    kind = str(block["type"])
    nested = block.get(kind)
    if "source_type" in block:
        source = _from_v0(block)
    elif kind in {"image_url", "input_image", "video_url"}:
        source = _from_image_url(block, kind)
    elif kind in {"file", "input_audio", "input_file"} and (isinstance(nested, Mapping) or kind == "input_file"):
        source = _from_openai(nested if isinstance(nested, Mapping) else block)
    elif isinstance(block.get("source"), Mapping):
        source = _from_anthropic(block["source"], block)
    else:
        source = _from_standard(block)
    given = [value for value in (source.data, source.url, source.file_id) if value is not None]
    if len(given) != 1 or not isinstance(given[0], str):
        raise _refusal(where, block, "it must have exactly one of its data, its URL and its file id, as text")
    return source


def _from_standard(block: _Block) -> _Source:
    extras = block.get("extras")
    extra = extras if isinstance(extras, Mapping) else {}
    named = (block.get("filename"), block.get("title"), extra.get("filename"), extra.get("name"))
    # Google's `media` blocks call the same things data and file_uri.
    data, url = block.get("base64", block.get("data")), block.get("url", block.get("file_uri"))
    return _Source(data, url, block.get("file_id"), _word(block.get("mime_type")), _first(named))


def _from_v0(block: _Block) -> _Source:
    kind, mime, metadata = block.get("source_type"), _word(block.get("mime_type")), block.get("metadata")
    inner = metadata if isinstance(metadata, Mapping) else {}
    label = _first((block.get("filename"), inner.get("filename"), inner.get("name"), block.get("name")))
    data = block.get("data") if kind == "base64" else None
    url = block.get("url") if kind == "url" else None
    return _Source(data, url, block.get("id") if kind == "id" else None, mime, label)


def _from_image_url(block: _Block, kind: str) -> _Source:
    nested = block.get("video_url" if kind == "video_url" else "image_url")
    url = nested.get("url") if isinstance(nested, Mapping) else nested
    return _Source(url=url, file_id=block.get("file_id"), mime_type=_word(block.get("mime_type")))


def _from_openai(block: _Block) -> _Source:
    data, url, label = block.get("file_data", block.get("data")), block.get("file_url"), _word(block.get("filename"))
    form = _word(block.get("format"))
    return _Source(data, url, block.get("file_id"), f"audio/{form.lower()}" if form else "", label)


def _from_anthropic(source: _Block, block: _Block) -> _Source:
    url = source.get("url") if source.get("type") == "url" else None
    data = source.get("data") if source.get("type") == "base64" else None
    file_id = source.get("file_id") if source.get("type") == "file" else None
    return _Source(data, url, file_id, _word(source.get("media_type")), _word(block.get("title")))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _first(values: Iterable[Any]) -> str:
    return next(filter(None, map(_word, values)), "")


def _attachment(source: _Source, kind: str, where: str) -> tuple[str, str, bytes | None]:
    """Returns the name or URL of a file, its media type (empty if nobody said), and the bytes of an upload."""

    def fail(problem: str, hint: str = "") -> MixInputError:
        return MixInputError(f"{where} ({kind}) cannot be sent: {problem}.", hint=hint)

    mime = source.mime_type.partition(";")[0].strip().lower()
    if mime and not _MIME.fullmatch(mime):
        raise fail(f"{source.mime_type!r} is no media type", "It looks like 'image/png'.")
    if source.file_id is not None:
        if not source.file_id.strip() or not source.file_id.isprintable():
            raise fail("its file id is no name", "Give the name of a file that was uploaded to this Mix server.")
        return source.file_id, mime, None
    location = source.url or source.data or ""
    if location[:5].lower() == "data:":
        declared, content = _data_url(location, fail)
        mime = mime or declared
    elif source.url is not None:
        return _readable(source.url, fail), mime, None
    else:
        content = _decoded(location, fail)
    name, mime = _upload_name(content, mime, source.label, kind, fail)
    return name, mime, content


def _readable(url: str, fail: Callable[..., MixInputError]) -> str:
    if not _WEB.match(url):
        raise fail(f"{url[:100]!r} is no http(s) URL", "Read the file yourself and pass its bytes as `base64`.")
    if not url.isprintable() or _SPACE.search(url):
        raise fail(f"{url[:100]!r} has characters that no URL has", "Percent-encode them.")
    return url


def _data_url(url: str, fail: Callable[..., MixInputError]) -> tuple[str, bytes]:
    """RFC 2397."""
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise fail("its data: URL has no comma", "It looks like 'data:image/png;base64,iVBOR…'.")
    mime, *parameters = (piece.strip().lower() for piece in head.split(";"))
    if mime and not _MIME.fullmatch(mime):
        raise fail(f"{mime[:100]!r} in its data: URL is no media type", "It looks like 'data:image/png;base64,…'.")
    if "base64" in parameters:
        encoded = unquote_to_bytes(data).decode("latin-1") if "%" in data else data
        return mime, _decoded(encoded, fail)
    return mime or "text/plain", _sized(unquote_to_bytes(data), fail)


def _decoded(data: str, fail: Callable[..., MixInputError]) -> bytes:
    if len(data) // 4 * 3 > MAX_BYTES + 3 and len(packed := _SPACE.sub("", data)) // 4 * 3 > MAX_BYTES + 3:
        raise fail(f"it has about {len(packed) // 4 * 3:,} bytes, more than the {MAX_BYTES:,} allowed", _LARGER)
    try:
        content = b64decode(_SPACE.sub("", data).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as problem:
        raise fail(f"its data is no base64 ({problem})", "Encode it with `base64.b64encode(data).decode()`.") from None
    return _sized(content, fail)


def _sized(content: bytes, fail: Callable[..., MixInputError]) -> bytes:
    if not content:
        raise fail("it is empty")
    if len(content) > MAX_BYTES:
        raise fail(f"it has {len(content):,} bytes, more than the {MAX_BYTES:,} allowed", _LARGER)
    return content


def _upload_name(
    content: bytes, mime: str, label: str, kind: str, fail: Callable[..., MixInputError]
) -> tuple[str, str]:
    """Returns the name that an upload gets, and its media type."""
    types = mimetypes.MimeTypes()  # Its own table: names must not depend on this machine's.
    mime = _SPELLINGS.get(mime, mime) or _sniffed(content, kind) or types.guess_type(label)[0] or ""
    if not mime and kind in {"image", "audio", "video"}:
        raise fail("nothing shows its format", "Add its `mime_type`, such as 'image/png'.")
    mime = mime or ("text/plain" if kind == "document" else "application/octet-stream")
    extension = _EXTENSIONS.get(mime) or types.guess_extension(mime) or ""
    given = re.search(r"\.[A-Za-z0-9]{1,8}$", label)
    if given and (not extension or extension == ".bin"):
        extension = given[0].lower()
    if not extension and (sniffed := _sniffed(content, kind)):  # A type that nobody knows; the bytes say what it is.
        extension = _EXTENSIONS.get(sniffed) or types.guess_extension(sniffed) or ""
    return blake2b(content, digest_size=16).hexdigest() + (extension or ".bin"), mime


def _sniffed(content: bytes, kind: str) -> str:
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12], "")
    if content[4:8] == b"ftyp":
        return "audio/mp4" if kind == "audio" or content[8:11] == b"M4A" else "video/mp4"
    if content[:4] == b"\x1aE\xdf\xa3":
        return "audio/webm" if kind == "audio" else "video/webm"
    return next((mime for signature, mime in _SIGNATURES if content.startswith(signature)), "")


def _refusal(where: str, block: _Block, problem: str = "") -> MixInputError:
    what = f"{block.get('type')!r} block (keys: {', '.join(sorted(map(str, block)))})"
    return MixInputError(
        f"{where} is a {what} that cannot be sent to Mix{problem and ': ' + problem}.",
        hint="Send text, or image, audio, video and file blocks with `base64`, `url` or `file_id`; results of tools "
        "belong in a ToolMessage or a `tool_result` block.",
    )
