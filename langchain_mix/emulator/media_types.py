"""The media type of bytes, guessed the way Go's `http.DetectContentType` does.

Owns: the signatures. Refuses to know: files and names.
"""

from __future__ import annotations

from typing import Final

IMAGE_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""The formats that are opened, whatever a file is called. Pillow knows more, and starts Ghostscript for one of them."""

SNIFFED_BYTES: Final = 512
"""How much of a file is looked at."""

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
    """Guesses a media type.

    Args:
        beginning: The first bytes; no more than 512 are looked at.

    Returns:
        The type; `application/octet-stream` if nothing is known of them.
    """
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
