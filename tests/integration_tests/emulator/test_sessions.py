"""Sessions over HTTP: the server's own tests of sessions, fork, rewind and export, and their quirks."""

from __future__ import annotations

import os
import re
from datetime import timedelta

import pytest

from langchain_mix.emulator import Gate, Script, say, turn, use
from langchain_mix.emulator.agents.base import Text, Wait

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
FORKING = ("0.5", "0.6", "0.6.5", "0.7")
NOBODY = "00000000-0000-4000-8000-000000000000"


def talked(wire, count):
    session = wire.session()
    for number in range(count):
        wire.turn(session, f"message {number}")
    return session


@pytest.mark.parametrize("wire", ALL, indirect=True)
def test_sessions_are_made_listed_read_and_deleted(wire):
    session = wire.session("first")
    assert session in [one["id"] for one in wire.http.get("/api/sessions").json()]
    facts = wire.get(session)
    assert facts["title"] == "first"
    assert (facts["userMessageCount"], facts["cost"]) == (0, 0)
    assert ("sessionType" in facts) == (wire.api in {"0.7", "0.8", "next"})
    assert ("browserMode" in facts) == (wire.api in {"0.8", "next"})
    reply = wire.http.delete(f"/api/sessions/{session}")
    assert (reply.status_code, reply.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert wire.error(wire.http.request(method, f"/api/sessions/{session}")) == (
            404,
            "not_found",
            f"Session with ID '{session}' not found",
        )
    assert wire.rows(session) == []


@pytest.mark.parametrize("wire", ["0.7", "0.8"], indirect=True)
def test_bad_titles_and_modes(wire):
    browser = {"browserMode": "local-browser-service"} if wire.api == "0.8" else {}
    status, kind, message = wire.error(wire.http.post("/api/sessions", json={"title": "", **browser}))
    assert (status, kind) == (400, "validation_error")
    assert "field 'title'" in message
    reply = wire.http.post("/api/sessions", json={"title": "a", "promptMode": "loud", **browser})
    assert "promptMode must be 'default', 'append', or 'replace'" in wire.error(reply)[2]


def test_a_missing_browser_mode_is_refused(wire):
    assert wire.error(wire.http.post("/api/sessions", json={"title": "a"})) == (
        400,
        "validation_error",
        (
            "Validation error for field 'browserMode': browserMode is required (must be 'electron-embedded-browser', "
            "'local-browser-service', or 'remote-cdp-websocket')"
        ),
    )


@pytest.mark.parametrize("wire", ["0.5", "0.7"], indirect=True)
def test_older_servers_do_not_know_the_browser_mode(wire):
    assert wire.error(wire.http.post("/api/sessions", json={"title": "a", "browserMode": "local-browser-service"})) == (
        400,
        "validation_error",
        """Validation error for field 'body': json: unknown field "browserMode\"""",
    )


def test_q30_titles_are_cut_and_may_be_replaced(make):
    wire = make("0.8", Script("ok"), retitle=True)
    session = wire.session("a title that is far too long")
    assert wire.get(session)["title"] == "a title that is f..."
    wire.turn(session, "What is the weather like in Hamburg?")
    assert wire.get(session)["title"] == "What is the weath..."
    plain = make("0.8", Script("ok"))
    session = plain.session("mine")
    plain.turn(session, "What is the weather like in Hamburg?")
    assert plain.get(session)["title"] == "mine"


def test_q21_refused_callbacks_leave_a_session_behind(make):
    wire = make("0.7")
    stream = wire.open(wire.session())
    bad = [{"toolName": "*", "type": "bash_script"}]
    reply = wire.http.post("/api/sessions", json={"title": "orphan", "callbacks": bad})
    assert reply.status_code == 400
    assert "callbacks[0]: " in wire.error(reply)[2]
    orphan = next(one for one in wire.http.get("/api/sessions").json() if one["title"] == "orphan")
    assert [event.data["sessionId"] for event in stream.rest()] == [orphan["id"]]


def test_callbacks_are_replaced_and_cleared(make):
    wire = make("0.7")
    session = wire.session()
    callback = {"toolName": "Write", "type": "send_message", "messageContent": "written"}
    reply = wire.http.patch(f"/api/sessions/{session}/callbacks", json={"callbacks": [callback], "unknown": 1})
    assert reply.status_code == 200
    assert reply.json()["callbacks"][0]["messageContent"] == "written"
    assert "callbacks" not in wire.http.get("/api/sessions").json()[0]
    reply = wire.http.patch(f"/api/sessions/{session}/callbacks", json={"callbacks": []})
    assert "callbacks" not in reply.json()
    assert wire.http.patch(f"/api/sessions/{NOBODY}/callbacks", json={"callbacks": []}).status_code == 404


@pytest.mark.parametrize("wire", ["0.5", "0.8"], indirect=True)
def test_cancelling_an_idle_or_unknown_session_is_200(wire):
    for session in (wire.session(), NOBODY, "nonsense"):
        reply = wire.http.post(f"/api/sessions/{session}/cancel")
        assert (reply.status_code, reply.json()) == (200, {"sessionId": session, "status": "cancelled"})


def test_q38_timestamps_have_the_servers_offset(make):
    wire = make("0.8", utc_offset=timedelta(hours=5, minutes=30))
    created = wire.get(wire.session())["createdAt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+05:30", created)
    assert wire.http.get("/health").json()["timestamp"].endswith("+05:30")


@pytest.mark.parametrize("api", FORKING)
def test_fork_copies_leading_rows_q22_q23(make, api):
    wire = make(api, Script("one", "two", "three"))
    source = talked(wire, 3)
    reply = wire.http.post(f"/api/sessions/{source}/fork", json={"messageIndex": 4, "title": "branch"})
    assert reply.status_code == 201
    fork = reply.json()
    assert (fork["title"], fork["userMessageCount"], fork["assistantMessageCount"]) == ("branch", 0, 0)
    if api == "0.7":
        assert (fork["sessionType"], fork["parentSessionId"]) == ("forked", source)
    mine, theirs = wire.rows(fork["id"]), wire.rows(source)
    assert len(mine) == 4
    assert [(r["role"], r["userInput"]) for r in mine] == [(r["role"], r["userInput"]) for r in theirs[:4]]
    assert not {r["id"] for r in mine} & {r["id"] for r in theirs}
    assert wire.get(fork["id"])["userMessageCount"] == 2
    assert wire.turn(fork["id"])[-1].data["content"] == "three"


def test_fork_boundaries_and_errors(make):
    wire = make("0.7", Script("a"))
    source = talked(wire, 1)

    def fork(session, **body):
        return wire.http.post(f"/api/sessions/{session}/fork", json=body)

    assert fork(source, messageIndex=1).json()["title"] == "Forked Session"
    assert len(wire.rows(fork(source, messageIndex=99).json()["id"])) == 2
    assert wire.rows(fork(source, messageIndex=0).json()["id"]) == []
    assert wire.rows(fork(source).json()["id"]) == []
    assert wire.error(fork(source, messageIndex=-1))[:2] == (400, "validation_error")
    assert wire.error(fork(NOBODY, messageIndex=1))[:2] == (500, "internal_error")
    assert "of type int" in wire.error(fork(source, messageIndex=1.5))[2]
    assert "unknown field" in wire.error(fork(source, index=1))[2]


def test_forks_and_deletions_are_announced_to_all_streams(make):
    wire = make("0.7", Script("a"))
    source = talked(wire, 1)
    stream = wire.open(wire.session())
    fork = wire.http.post(f"/api/sessions/{source}/fork", json={"messageIndex": 1}).json()["id"]
    wire.http.delete(f"/api/sessions/{fork}")
    made, gone = stream.rest()
    assert (made.name, made.data["sessionId"], made.data["title"]) == ("session_created", fork, "Forked Session")
    assert list(made.data) == ["type", "sessionId", "title", "createdAt"]
    assert isinstance(made.data["createdAt"], int)
    assert (gone.name, gone.data) == ("session_deleted", {"type": "session_deleted", "sessionId": fork})


@pytest.mark.parametrize("api", ALL)
def test_rewind_keeps_everything_up_to_a_row(make, api):
    wire = make(api, Script("one", "two", "three"))
    session = talked(wire, 3)
    rows = wire.rows(session)
    reply = wire.http.post(f"/api/sessions/{session}/rewind", json={"messageId": rows[3]["id"], "cleanupMedia": True})
    assert reply.status_code == 200
    assert (reply.json()["userMessageCount"], reply.json()["assistantMessageCount"]) == (2, 2)
    if api in {"0.8", "next"}:
        assert reply.json()["browserMode"] == ""  # Mix 0.8: the answer to a rewind lacks it.
        assert wire.get(session)["browserMode"] == "local-browser-service"
    assert wire.rows(session) == rows[:4]
    wire.http.post(f"/api/sessions/{session}/rewind", json={"messageId": rows[3]["id"]})
    assert len(wire.rows(session)) == 4
    assert wire.turn(session)[-1].data["content"] == "three"
    wire.http.post(f"/api/sessions/{session}/rewind", json={"messageId": rows[0]["id"]})
    assert wire.rows(session) == rows[:1]


def test_rewind_errors(make):
    wire = make("0.8", Script("a"))
    session = talked(wire, 1)

    def rewind(target, **body):
        return wire.error(wire.http.post(f"/api/sessions/{target}/rewind", json=body))

    assert rewind(session, messageId="")[:2] == (400, "validation_error")
    assert rewind(session)[:2] == (400, "validation_error")
    assert rewind(NOBODY, messageId="x")[0] == 404
    assert rewind(session, messageId="x") == (404, "not_found", "Message with ID 'x' not found")


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_rewind_cleans_up_private_media_only_on_request(make, api):
    wire = make(api, Script("a", "b"))
    session = talked(wire, 2)
    media = wire.server.state.files.workspace(session) / "picture.png"
    media.write_bytes(b"x")
    later = media.stat().st_mtime + 100
    os.utime(media, (later, later))
    first = wire.rows(session)[0]["id"]
    wire.http.post(f"/api/sessions/{session}/rewind", json={"messageId": first})
    assert media.exists()
    wire.http.post(f"/api/sessions/{session}/rewind", json={"messageId": first, "cleanupMedia": True})
    assert not media.exists()


def test_q25_a_rewind_does_not_stop_a_running_turn(make):
    gate = Gate()
    wire = make("0.8", Script("one", turn((Text("two "), Wait(gate), Text("three")))))
    session = talked(wire, 1)
    stream = wire.open(session)
    wire.post(session, "more")
    stream.until("content")
    assert gate.reached.wait(5)
    first = wire.rows(session)[0]["id"]
    assert wire.http.post(f"/api/sessions/{session}/rewind", json={"messageId": first}).status_code == 200
    gate.open()
    assert stream.until("complete")[-1].data["content"] == "two three"


@pytest.mark.parametrize("api", ALL)
def test_export(make, api):
    wire = make(api, Script(turn((use("Glob", {"pattern": "*"}, result="a.txt"),), say("Done."))))
    session = wire.session()
    wire.turn(session)
    reply = wire.http.get(f"/api/sessions/{session}/export")
    assert reply.headers["content-disposition"] == f"attachment; filename=session_{session}_transcript.json"
    exported = reply.json()
    assert [row["role"] for row in exported["messages"]] == ["user", "assistant", "tool", "assistant"]
    call = exported["messages"][1]["toolCalls"][0]
    assert call["inputJson"] == {"pattern": "*"}
    assert "result" not in call
    assert [row["finishReason"] for row in exported["messages"]] == ["stop", "tool_use", "stop", "end_turn"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", exported["messages"][0]["createdAt"])
    assert wire.error(wire.http.get(f"/api/sessions/{NOBODY}/export"))[:2] == (404, "not_found")


@pytest.mark.parametrize("api", ["0.5", "0.7"])
def test_q29_lists_show_raw_parts(make, api):
    wire = make(api, Script("a"))
    session = talked(wire, 1)
    listed = next(one for one in wire.http.get("/api/sessions").json() if one["id"] == session)
    assert listed["firstUserMessage"].startswith('[{"type":"text"')


def test_five_parallel_creates(wire):
    replies = list(wire.pool.map(lambda n: wire.session(f"s{n}"), range(5)))
    assert len(set(replies)) == 5


def test_deleting_waits_for_the_sessions_turn(make):
    gate = Gate()
    wire = make("0.8", Script(turn((Wait(gate), Text("done")))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    assert gate.reached.wait(5)
    deleting = wire.pool.submit(wire.http.delete, f"/api/sessions/{session}")
    wire.server.wait_until(lambda: any(r.method == "DELETE" for r in wire.server.requests))
    assert wire.http.get("/health").status_code == 200
    assert not deleting.done()
    gate.open()
    assert stream.until("session_deleted")[-2].name == "complete"
    assert deleting.result(5).status_code == 204


def test_deleting_waits_only_so_long_and_the_turn_then_fails(make, caplog):
    gate = Gate()
    wire = make("0.8", Script(turn((Wait(gate), Text("done"), use("Glob", {}, result="x")))), delete_wait=0.05)
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    assert wire.http.delete(f"/api/sessions/{session}").status_code == 204
    gate.open()
    assert stream.until("error")[-1].data["error"].startswith("failed to process events: ")
    wire.server.wait_idle()
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("api", ["0.5", "0.8"])
def test_a_row_that_is_being_written_has_no_finish_reason(make, api):
    gate = Gate()
    wire = make(api, Script(turn((Text("half"), Wait(gate), Text(" whole")))))
    session = wire.session()
    stream = wire.open(session)
    wire.start(session, "go")
    assert gate.reached.wait(5)
    user, growing = wire.http.get(f"/api/sessions/{session}/export").json()["messages"]
    assert (user["finishReason"], growing["content"]) == ("stop", "half")
    assert "finishReason" not in growing
    gate.open()
    assert stream.turn()[-1].name == "complete"
    whole = wire.http.get(f"/api/sessions/{session}/export").json()["messages"][1]
    assert (whole["finishReason"], whole["content"]) == ("end_turn", "half whole")
