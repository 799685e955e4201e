"""Which files are asked for, and from whom; the flow is driven by hand."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from langchain_mix.errors import MixConnectionError, MixNotFoundError
from langchain_mix.notebook import media as module
from langchain_mix.notebook.media import fetching, figure, picture_type, read_table, shown_part, wanted
from langchain_mix.notebook.view import Media, Notice, Tool, View, Words


def view_of(*parts, session="s", server=""):
    view = View()
    view.section("m").parts.extend(parts)
    view.session_id, view.server = session, server
    return view


def drive(flow, answer):
    """Runs a flow; tells the calls."""
    calls = []
    try:
        call = next(flow)
        while True:
            calls.append(call)
            given = answer(call)
            call = flow.throw(given) if isinstance(given, Exception) else flow.send(given)
    except StopIteration:
        return calls


def test_pictures_are_small_and_tables_whole():
    picture, table = Media("image", name="a b.png"), Media("table", name="t.csv")
    calls = drive(fetching(view_of(picture, table), "", "http://x", pixels=99), lambda call: call.path.encode())
    assert [call.segments[-3:] for call in calls] == [("s", "files", "a b.png"), ("s", "files", "t.csv")]
    assert [call.query for call in calls] == [(("thumb", "99"),), ()]
    assert picture.content.endswith(b"/a%20b.png")
    assert table.content.endswith(b"/t.csv")


def test_a_session_that_is_given_comes_first():
    calls = drive(fetching(view_of(Media("image", name="a")), "other", "http://x", pixels=99), lambda _: b"x")
    assert "other" in calls[0].segments


def test_what_sub_agents_show_is_fetched_and_the_rest_is_not():
    inner = Media("video", name="v")
    parts = (
        Words(),
        Tool("t", parts=[inner]),
        Media("image", url="http://169.254.169.254/x.png"),
        Media("file", name="a.pdf"),
        Media("image", name="here", content=b"x"),
        Media("image", name="bad", problem="known"),
    )
    assert wanted(view_of(*parts)) == [inner]


@pytest.mark.parametrize(
    ("fields", "why"), [({"session": ""}, "session_id="), ({"server": "http://elsewhere"}, "another server")]
)
def test_nothing_is_asked_without_a_session_or_from_another_server(fields, why):
    media = Media("image", name="a")
    assert drive(fetching(view_of(media, **fields), "", "http://x", pixels=99), lambda _: b"x") == []
    assert why in media.problem
    assert media.content is None


def test_the_own_server_is_asked():
    view = view_of(Media("image", name="a"), server="http://x")
    assert len(drive(fetching(view, "", "http://x", pixels=99), lambda _: b"x")) == 1


def test_a_missing_file_costs_only_itself():
    first, second = Media("image", name="a"), Media("image", name="b")
    answers = iter([MixNotFoundError("gone"), b"x"])
    drive(fetching(view_of(first, second), "", "http://x", pixels=99), lambda _: next(answers))
    assert (first.problem, second.content) == ("gone", b"x")


def test_a_dead_server_is_asked_once():
    view = view_of(Media("image", name="a"), Media("image", name="b"))
    assert len(drive(fetching(view, "", "http://x", pixels=99), lambda _: MixConnectionError("dead"))) == 1


def test_limits(monkeypatch):
    monkeypatch.setattr(module, "_MOST_FILES", 1)
    monkeypatch.setattr(module, "_MOST_BYTES", 3)
    large, late = Media("image", name="a"), Media("image", name="b")
    calls = drive(fetching(view_of(large, late), "", "http://x", pixels=99), lambda _: b"1234")
    assert len(calls) == 1
    assert large.content is None
    assert "4 bytes" in large.problem
    assert "more files" in late.problem


PNG = (Path(__file__).resolve().parents[2] / "fixtures" / "chart.png").read_bytes()
BAD = '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_pictures_are_known_by_their_first_bytes(content, mime):
    assert picture_type(content) == mime


def test_a_picture_is_in_the_page():
    html = figure(Media("image", name="a.png", title="A", description="d", content=PNG))
    assert f'src="data:image/png;base64,{b64encode(PNG).decode()}" alt="A"' in html
    assert "<strong>A</strong> · <code>a.png</code> · d" in html


def test_what_claims_to_be_a_picture_and_is_none():
    html = figure(Media("image", name="a.png", mime_type="image/png", content=b"<script>alert(1)</script>"))
    assert "<img" not in html
    assert "script" not in html


def test_nothing_is_loaded_from_the_web():
    html = figure(Media("image", url="https://tracker.example/a.png", title="A"))
    assert "<img" not in html
    assert '<a href="https://tracker.example/a.png"' in html


@pytest.mark.parametrize("field", ["name", "title", "description", "problem", "url", "mime_type"])
@pytest.mark.parametrize("content", [None, PNG])
@pytest.mark.parametrize("kind", ["image", "table", "other"])
def test_no_word_becomes_markup(field, content, kind):
    assert "<script" not in figure(Media(kind, content=content, **{field: BAD}))


def test_a_url_that_runs_is_no_link():
    assert "<a" not in figure(Media("image", url="javascript:alert(1)"))


def test_why_it_is_not_here():
    assert "gone" in figure(Media("image", name="a.png", problem="gone"))


def test_a_table():
    content = b'\xef\xbb\xbfname,units\n<b>x</b>,12\n"a,b",-1.5%\n'
    html = figure(Media("table", name="t.csv", title="T", content=content))
    assert '<th scope="col">name</th><th scope="col">units</th>' in html
    assert '<td>&lt;b&gt;x&lt;/b&gt;</td><td class="lcm-num">12</td>' in html
    assert '<td>a,b</td><td class="lcm-num">-1.5%</td>' in html
    assert "<figcaption><strong>T</strong>" in html


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(separator):
    head, rows, _ = read_table(separator.join("ab") + "\n" + separator.join("12"))
    assert (list(head), [list(row) for row in rows]) == (["a", "b"], [["1", "2"]])


def test_large_tables_are_cut_and_say_so():
    text = "\n".join(",".join(map(str, range(40))) for _ in range(101))
    head, rows, left = read_table(text)
    assert (len(head), len(rows), len(rows[0])) == (30, 50, 30)
    assert left == "50 more rows, 10 more columns"
    assert "50 more rows" in figure(Media("table", content=text.encode()))


def test_long_cells_are_cut():
    html = figure(Media("table", content=b"a\n" + b"x" * 1000))
    assert "x" * 300 + "…" in html
    assert "x" * 301 not in html


@pytest.mark.parametrize("text", ["", "\n", "\0,\0", '"', "a" * 200_000])
def test_what_is_no_table(text):
    assert "<table>" in figure(Media("table", content=text.encode()))


def test_a_field_that_is_too_large_is_told():
    assert read_table("a\n" + "x" * 200_000)[2].startswith("This is no table")


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
    monkeypatch.setattr(module, "_LARGEST", 3)
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
