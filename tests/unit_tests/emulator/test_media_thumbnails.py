from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image, ImageOps

from langchain_mix.emulator import media
from langchain_mix.emulator.agents.file_tools import read_media
from langchain_mix.emulator.agents.tool_arguments import Places, ToolError
from langchain_mix.emulator.media import VIDEOS, is_media, make_thumbnail, parse_spec


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    Image.new("RGB", (400, 200), "red").save(path)
    return path


@pytest.mark.parametrize(
    ("spec", "size"),
    [("100", (100, 50)), ("w200", (200, 100)), ("h50", (100, 50)), ("1024", (400, 200)), ("h16", (32, 16))],
)
def test_sizes(picture: Path, spec: str, size: tuple[int, int]) -> None:
    image = opened(make_thumbnail(picture, spec))
    assert (image.format, image.size) == ("JPEG", size)


@pytest.mark.parametrize(
    "spec",
    ["", "15", "1025", "w15", "h1025", "x100", "100w", "-100", "1e2", " 100", "100\n", "w", "９９", "99999999999"],
)
def test_bad_specs(picture: Path, spec: str) -> None:
    with pytest.raises(ValueError, match="thumbnail"):
        parse_spec(spec)
    with pytest.raises(ValueError, match="thumbnail"):
        make_thumbnail(picture, spec)


@pytest.mark.parametrize("written_as", ["EPS", "PPM", "ICO", "PCX", "SGI", "TGA", "DDS", "XBM"])
def test_other_formats_are_not_opened_and_no_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written_as: str
) -> None:
    mode = "1" if written_as == "XBM" else "RGB"
    picture = Image.new(mode, (40, 40))

    def no_program(*command: object, **_: object) -> None:
        pytest.fail(f"A program was started: {command}")

    monkeypatch.setattr(subprocess, "Popen", no_program)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", "gs")
    places = Places(tmp_path.resolve(), tmp_path.resolve())
    for name in ("p.png", "p.tiff", "p.gif"):
        picture.save(tmp_path / name, format=written_as)
        with pytest.raises(ValueError, match="not a readable image"):
            make_thumbnail(tmp_path / name, "20")
        with pytest.raises(ToolError, match="not a readable image"):
            read_media({"file_path": name, "media_type": "image", "prompt": "?"}, places)


@pytest.mark.parametrize("suffix", sorted(VIDEOS))
def test_videos_start_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("A program was started."))
    path = tmp_path / f"film{suffix}"
    path.write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(ValueError, match="ffmpeg"):
        make_thumbnail(path, "20")


def test_turned_photographs_stand_upright(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(path, exif=exif)
    assert opened(make_thumbnail(path, "100")).size == (50, 100)


@pytest.mark.parametrize("pixels", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_every_mode_becomes_a_jpeg(tmp_path: Path, pixels: str) -> None:
    path = tmp_path / ("p.tiff" if pixels == "CMYK" else "p.png")
    Image.new(pixels, (40, 40)).save(path)
    assert opened(make_thumbnail(path, "20")).size == (20, 20)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(path)
    assert opened(make_thumbnail(path, "20")).getpixel((10, 10)) == (255, 255, 255)


def test_very_narrow_pictures(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("RGB", (2000, 1)).save(path)
    assert opened(make_thumbnail(path, "16")).size == (16, 1)


def test_bombs_are_refused(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="too large"):
        make_thumbnail(picture, "100")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(media, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match="too large"):
        make_thumbnail(picture, "100")


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + b"\0" * 20, b"GIF89a"])
def test_broken_pictures(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="readable"):
        make_thumbnail(path, "100")


@pytest.mark.parametrize("kind", [TypeError, KeyError, RuntimeError])
def test_whatever_pillow_raises_for_a_broken_picture(
    picture: Path, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise kind("a tag of TIFF")

    monkeypatch.setattr(ImageOps, "exif_transpose", broken)
    with pytest.raises(ValueError, match="readable"):
        make_thumbnail(picture, "100")


def test_cut_pictures(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:-60])
    with pytest.raises(ValueError, match="readable"):
        make_thumbnail(picture, "100")


def test_videos_need_ffmpeg(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ffmpeg"):
        make_thumbnail(tmp_path / "v.mp4", "100")
    with pytest.raises(ValueError, match="time"):
        make_thumbnail(tmp_path / "v.mp4", "100", time=-1)


@pytest.mark.parametrize(
    ("name", "media"),
    [("a.PNG", True), ("a.mp4", True), ("a.txt", False), ("png", False), ("a.pdf", False), ("a.csv", False)],
)
def test_is_media(name: str, media: bool) -> None:
    assert is_media(Path(name)) == media
