"""`api="auto"`: the generation is learnt from replies that are needed anyway, remembered, and learnt anew if it changes."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.client import Mix
from langchain_mix.emulator import CutStream, Faults, Gate, MixEmulator, Script, say, turn, use
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion

pytestmark = pytest.mark.timeout(60)

PROBES = {"0.5": 2, "0.6": 2, "0.6.5": 2, "0.7": 1, "0.8": 1, "next": 1}
"""Requests that the first turn in a session of somebody else may cost more than the three of every turn."""


def looking() -> Script:
    first = turn([*say("I look. "), use("Grep", {"pattern": "x"}, result="41", id="call")], "Found.")
    return Script(first, "Again.", "And again.")


def test_a_first_turn_in_a_session_of_somebody_else(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, looking(), client_api="auto")
    outcome = lab.turn().well()
    assert outcome.told == outcome.result.full_text == lab.said() == "I look. Found."
    assert [c.id for c in outcome.result.tool_calls] == ["call"]
    assert outcome.result.verified
    assert len(lab.messages()) == len(lab.users()) == 1
    assert len(lab.asked()) <= 3 + PROBES[api], [str(r) for r in lab.asked()]
    assert ApiVersion(api) in lab.mix.known
    assert all(r.method == "GET" for r in lab.asked() if r not in lab.messages()), "nothing is probed with side effects"


def test_a_second_turn_costs_no_more_than_any(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, looking(), client_api="auto")
    session = lab.session()
    lab.turn(session=session).well()
    before = len(lab.asked())
    assert lab.turn(session=session).well().told == "Again."
    assert [r.method for r in lab.asked()[before:]] == ["GET", "POST", "GET"]


def test_a_session_made_with_the_client_teaches_it(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, looking(), client_api="auto")
    if shell == "sync":
        session = lab.mix.sessions.create(title="mine").id
    else:
        session = lab.shell.awaited(lab.mix.sessions.create_async(title="mine")).id
    creates = [r for r in lab.asked("POST") if r.path == "/api/sessions"]
    assert [r.status == 201 for r in creates] == [False, True][not CAPABILITIES[ApiVersion(api)].browser_mode :]
    before = len(lab.asked())
    assert lab.turn(session=session).well().told == "I look. Found."
    assert len(lab.asked()) - before <= 3 + (1 if PROBES[api] == 2 else 0)
    assert len(lab.server.state.sessions.listing(include_subagents=True)) == 1


def test_a_generation_that_is_said_is_not_asked_for(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, looking())
    lab.turn().well()
    assert len(lab.asked()) == 3
    assert lab.mix.api == api


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.7", "0.8"), ("0.5", "0.8"), ("0.6", "0.6.5"), ("0.5", "0.6"), ("0.8", "0.7"), ("0.6.5", "0.7")],
)
def test_an_upgraded_server_is_learnt_anew(tmp_path: Any, clients: Any, shell: str, old: str, new: str) -> None:
    first = MixEmulator(old, looking(), data_dir=tmp_path / "old")
    with first:
        client = clients(shell, first.url, "auto")
        port = int(first.url.rsplit(":", 1)[1])
        assert whole(client, first, old) == "I look. Found."
    with MixEmulator(new, looking(), data_dir=tmp_path / "new", port=port) as second:
        # One turn may meet the new server with what is known of the old one; it fails with a type or goes well.
        session = made(second, new)
        outcome = client.turn(session, "go")
        assert outcome.error is None or isinstance(outcome.error, errors.MixError), repr(outcome.error)
        taken = [r for r in second.requests if r.method == "POST" and r.path.endswith(("/messages", "/message"))]
        assert sum(r.status in {200, 202} for r in taken) <= 1
        if outcome.error is None:
            assert outcome.result.full_text == "I look. Found."
        second.wait_idle()
        again = client.turn(made(second, new), "go").well()
        assert again.result.full_text == "I look. Found."
        client.close() if shell == "sync" else client.awaited(client.mix.aclose())


def made(server: MixEmulator, api: str) -> str:
    extra = {"browserMode": "local-browser-service"} if api in {"0.8", "next"} else {}
    return str(server.state.sessions.create({"title": "t", **extra})["id"])


def whole(client: Any, server: MixEmulator, api: str) -> str:
    return str(client.turn(made(server, api), "go").well().result.full_text)


@pytest.mark.parametrize(
    ("said", "api"),
    [
        ("0.8", "0.5"),
        ("0.8", "0.6.5"),
        ("0.7", "0.5"),
        ("0.5", "0.8"),
        ("0.5", "0.7"),
        ("0.6", "0.8"),
        ("0.8", "0.7"),
        ("0.6.5", "0.6"),
    ],
)
def test_a_wrong_generation_never_hangs_or_sends_twice(labs: Any, shell: str, said: str, api: str) -> None:
    lab = labs(shell, api, looking(), client_api=said, heartbeat=0.05)
    outcome = lab.turn(timeout=4)
    assert len(lab.messages()) <= 1
    assert not isinstance(outcome.error, errors.MixTurnTimeout), "a wrong generation must show before any budget"
    if outcome.error is None:
        assert outcome.result.full_text == "I look. Found."
    else:
        assert isinstance(outcome.error, errors.MixError)
        assert outcome.error.hint


def test_a_break_ends_the_turn_before_the_server_is_known_to_cancel_then(labs: Any, shell: str) -> None:
    """Mix 0.6: the cancelled turn is told by the message's answer alone, which comes while a stream is opened again."""
    held = use("Grep", {"pattern": "x"}, result="41", until=Gate())
    endless = Script(turn([*say("I look. "), held], "Never said."))
    lab = labs(shell, "0.6", endless, client_api="auto", faults=Faults(CutStream(after=2, count=1)))
    outcome = lab.turn()
    assert isinstance(outcome.error, errors.MixTurnCancelled), repr(outcome.error)
    assert outcome.error.turn.full_text == "I look. "
    assert len(lab.messages()) == 1


def test_a_field_of_a_later_generation_names_the_option(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.6.5", looking(), client_api="0.8")
    outcome = lab.turn(max_steps=3)
    assert isinstance(outcome.error, errors.MixBadRequestError)
    assert "api=" in outcome.error.hint
    assert outcome.error.acted == "no"
    assert lab.users() == []


def test_an_option_is_refused_once_the_generation_is_known(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.6.5", looking(), client_api="auto")
    outcome = lab.turn(max_steps=3)
    assert isinstance(outcome.error, errors.MixUnsupportedError)
    assert lab.messages() == []


def test_what_is_learnt_is_for_one_server(labs: Any) -> None:
    lab = labs("sync", "0.7", looking(), client_api="auto")
    lab.turn().well()
    assert lab.mix.api is ApiVersion.V0_7
    with Mix(server_url=lab.server.url) as other:
        assert other.api is None
