"""Pictures, tables and files, read from content blocks."""

from __future__ import annotations

from base64 import b64encode

import pytest

from langchain_mix.notebook import shown
from langchain_mix.notebook.shown import shown_part
from langchain_mix.notebook.view import Media, Notice


@pytest.mark.parametrize(
    ("block", "kind", "name", "url"),
    [
        ({"type": "image", "file_id": "a.png"}, "image", "a.png", ""),
        ({"type": "image", "file_id": "/srv/x/a b.png"}, "image", "a b.png", ""),
        ({"type": "image", "file_id": "C:\\x\\a.png"}, "image", "a.png", ""),
        ({"type": "image", "file_id": "../../etc/passwd"}, "image", "passwd", ""),
        ({"type": "image", "url": "https://x.example/a.png"}, "image", "", "https://x.example/a.png"),
        ({"type": "video", "file_id": "a.mp4"}, "video", "a.mp4", ""),
        ({"type": "audio", "file_id": "a.wav"}, "audio", "a.wav", ""),
        ({"type": "file", "file_id": "a.csv", "mime_type": "text/csv"}, "table", "a.csv", ""),
        ({"type": "file", "file_id": "a.pdf", "mime_type": "application/pdf"}, "file", "a.pdf", ""),
    ],
)
def test_files(block, kind, name, url):
    media = shown_part(block)
    assert isinstance(media, Media)
    assert (media.kind, media.name, media.url) == (kind, name, url)


def test_content_that_is_in_the_block():
    block = {"type": "image", "base64": b64encode(b"xy").decode(), "mime_type": "image/png"}
    assert shown_part(block).content == b"xy"


def test_content_that_is_none():
    media = shown_part({"type": "image", "base64": "%%%", "mime_type": "image/png"})
    assert media.content is None
    assert "base64" in media.problem


def test_content_that_is_too_large(monkeypatch):
    monkeypatch.setattr(shown, "_LARGEST", 3)
    media = shown_part({"type": "image", "base64": "AAAA", "mime_type": "image/png"})
    assert media.content is None
    assert "too large" in media.problem


def test_what_has_no_block():
    animation = shown_part({"type": "non_standard", "value": {"type": "gsap_animation", "title": "Moves"}})
    assert isinstance(animation, Media)
    assert (animation.kind, animation.title) == ("other", "Moves")
    unknown = shown_part({"type": "hologram", "x": 1})
    assert isinstance(unknown, Notice)
    assert '"x": 1' in unknown.text
