from __future__ import annotations

import pytest

from langchain_mix.emulator.media import sniffed


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "text/plain; charset=utf-8"),
        (b"hello", "text/plain; charset=utf-8"),
        ("grün".encode(), "text/plain; charset=utf-8"),
        (b"a\x00b", "application/octet-stream"),
        (b"  <!DOCTYPE HTML>", "text/html; charset=utf-8"),
        (b"<p>x", "text/html; charset=utf-8"),
        (b"<python", "text/plain; charset=utf-8"),
        (b"<?xml version='1.0'?>", "text/xml; charset=utf-8"),
        (b"%PDF-1.7", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wave"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "video/mp4"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1f\x8b\x08\x00", "application/x-gzip"),
    ],
)
def test_types(data, kind):
    assert sniffed(data) == kind


def test_only_the_beginning_counts():
    assert sniffed(b"x" * 512 + b"\x00") == "text/plain; charset=utf-8"
    assert sniffed(b"x" * 511 + b"\x00") == "application/octet-stream"
