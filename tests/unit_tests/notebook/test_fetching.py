"""Which files are asked for, and from whom; the flow is driven by hand."""

from __future__ import annotations

import pytest

from langchain_mix.errors import MixConnectionError, MixNotFoundError
from langchain_mix.notebook import fetching as module
from langchain_mix.notebook.fetching import fetching, wanted
from langchain_mix.notebook.view import Media, Tool, View, Words


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
