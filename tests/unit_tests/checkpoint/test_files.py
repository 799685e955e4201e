"""The session the store reads and writes through."""

from __future__ import annotations

import json

import pytest

from langchain_mix.checkpoint.files import TITLE, SessionFiles
from langchain_mix.errors import MixDefaultError, MixNotFoundError, MixStoreError
from langchain_mix.protocol.api import ApiKnowledge, ApiVersion, ServerApi
from langchain_mix.protocol.call import Reply, Together

KNOWN = ApiKnowledge([ApiVersion.V0_7])
FILE = {"error": {"code": 404, "message": "File with ID 'x' not found", "type": "not_found"}}
SESSION = {"error": {"code": 404, "message": "Session with ID 's' not found", "type": "not_found"}}


def session(name, title=TITLE, created="2026-01-01T00:00:00Z"):
    return {"id": name, "title": title, "createdAt": created}


def drive(flow, *replies):
    """Answers calls in order; gives what was asked, and the result."""
    asked, replies = [], list(replies)
    try:
        step = next(flow)
        while True:
            calls = step.calls if isinstance(step, Together) else [step]
            asked += [str(call) for call in calls]
            results, error = [], None
            for call in calls:
                status, body = replies.pop(0)
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                try:
                    results.append(call.result(Reply(status, {}, raw)))
                except Exception as problem:
                    error = problem
            if error is not None:
                step = flow.throw(error)
            else:
                step = flow.send(results if isinstance(step, Together) else results[0])
    except StopIteration as stop:
        assert not replies
        return asked, stop.value


def session_files(session_id=None):
    return SessionFiles(ServerApi(KNOWN), session_id)


def test_the_oldest_session_of_that_title_is_used_and_looked_up_once():
    one = session_files()
    listed = [
        session("young", created="2026-02-01T00:00:00Z"),
        session("other", title="chat", created="2020-01-01T00:00:00Z"),
        session("old", created="2026-01-01T00:30:00+01:00"),
        session("odd", created=None),
    ]
    asked, data = drive(one.read("x"), (200, listed), (200, b"data"))
    assert asked == ["GET /api/sessions", "GET /api/sessions/old/files/x"]
    assert data == b"data"
    assert drive(one.read("x"), (404, FILE)) == (["GET /api/sessions/old/files/x"], None)


def test_a_session_is_made_where_there_is_none():
    asked, _ = drive(session_files().session(), (200, [session("a", "chat")]), (201, session("new")))
    assert asked == ["GET /api/sessions", "POST /api/sessions"]


def test_a_session_that_was_given_is_used_without_asking():
    one = session_files("mine")
    assert drive(one.read_all(["x", "y"]), (200, b"1"), (404, FILE)) == (
        ["GET /api/sessions/mine/files/x", "GET /api/sessions/mine/files/y"],
        [b"1", None],
    )
    with pytest.raises(MixNotFoundError, match="Session with ID"):
        drive(one.read("x"), (404, SESSION))


def test_a_session_that_was_found_is_found_again_when_it_is_gone():
    one = session_files()
    drive(one.session(), (200, [session("a")]))
    asked, data = drive(one.read("x"), (404, SESSION), (200, [session("b")]), (200, b"data"))
    assert asked == ["GET /api/sessions/a/files/x", "GET /api/sessions", "GET /api/sessions/b/files/x"]
    assert data == b"data"
    assert one.session_id == "b"


def test_a_missing_route_is_no_missing_file():
    with pytest.raises(MixDefaultError, match="404"):
        drive(session_files("s").read("x"), (404, b"404 page not found\n"))


def test_a_missing_session_is_reported_before_a_thread_is_believed_not_to_exist():
    assert drive(session_files("s").verify(), (200, session("s")))[0] == ["GET /api/sessions/s"]
    with pytest.raises(MixNotFoundError):
        drive(session_files("s").verify(), (404, SESSION))


def test_a_name_that_the_server_changes_is_an_error():
    with pytest.raises(MixStoreError, match="'x_y'") as raised:
        drive(session_files("s").write("x-y", b""), (201, {"name": "x_y"}))
    assert raised.value.acted == "yes"


def test_files_are_written_listed_and_deleted():
    one = session_files("s")
    drive(one.write("x", b"data"), (201, {"name": "x"}))
    asked, listed = drive(one.listing(), (200, [{"name": "x", "size": 4}]))
    assert asked == ["GET /api/sessions/s/files"]
    assert [(info.name, info.size) for info in listed] == [("x", 4)]
    drive(one.delete("x"), (204, b""))
    drive(one.delete("x"), (404, FILE))


def test_every_server_keeps_the_title_as_it_is():
    assert len(TITLE) <= 20, "Mix 0.8 cuts longer ones, and the session would never be found again"
