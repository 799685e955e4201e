"""Cassettes recorded on a real socket, and replayed when the server is gone."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import vcr

from langchain_mix.client import Mix
from langchain_mix.emulator import CutStream, Faults, MixEmulator, Script
from langchain_mix.errors import MixError
from langchain_mix.testing.vcr import CASSETTE_URL, CassetteError, use_cassette

ANSWER = "Forty-two, as everybody knows."
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=["sync", "async"])
def shell(request):
    return request.param


def converse(shell: str, url: str, text: str = "What is it?", api: str = "0.8") -> list[str]:
    """A stream is opened, and a message sent while it is read: the pieces of the answer."""

    def plain() -> list[str]:
        with Mix(server_url=url, api=api) as mix:
            session = mix.sessions.create(title="cassette")
            with mix.turn(session.id, text) as turn:
                return [update.text for update in turn if hasattr(update, "text")]

    async def loop() -> list[str]:
        async with Mix(server_url=url, api=api) as mix:
            session = await mix.sessions.create_async(title="cassette")
            async with mix.turn_async(session.id, text) as turn:
                return [update.text async for update in turn if hasattr(update, "text")]

    return plain() if shell == "sync" else asyncio.run(loop())


@pytest.fixture
def recorded(tmp_path: Path, shell: str) -> Path:
    """A cassette, recorded by each shell."""
    path = tmp_path / "turn.yaml"
    with MixEmulator("0.8", Script(ANSWER)) as server, use_cassette(path, record="all") as cassette:
        assert cassette.recording
        assert "".join(converse(shell, server.url)) == ANSWER
    return path


@pytest.mark.parametrize("replaying", ["sync", "async"])
def test_a_stream_is_recorded_while_a_message_goes_out_and_replayed(recorded: Path, replaying: str) -> None:
    with use_cassette(recorded) as cassette:
        pieces = converse(replaying, CASSETTE_URL)
        assert not cassette.recording
        assert cassette.unused == []
        assert [verb for verb, _ in cassette.requests] == ["POST", "GET", "POST", "GET"]
    assert "".join(pieces) == ANSWER
    assert len(pieces) > 1


def test_nothing_of_the_turn_is_told_before_the_message_is_sent(recorded: Path) -> None:
    whole = vcr.cassette.Cassette.load(path=str(recorded), record_mode="none")
    session = whole.responses[0]["body"]["string"].decode().split('"')[3]
    with (
        pytest.raises(CassetteError, match=r"happened for 0\.05 s, and piece 2 of GET /stream waits"),
        use_cassette(recorded, patience=0.05),
        httpx.Client(base_url=CASSETTE_URL) as client,
    ):
        client.post("/api/sessions", json={"title": "cassette", "browserMode": "local-browser-service"})
        stream = client.send(client.build_request("GET", f"/stream?sessionId={session}"), stream=True)
        pieces = stream.iter_raw()
        assert b"connected" in next(pieces)
        next(pieces)


def test_a_request_that_was_not_recorded_fails_at_once(recorded: Path, shell: str) -> None:
    with pytest.raises(CassetteError, match="differs in: body"), use_cassette(recorded, patience=30.0):
        converse(shell, CASSETTE_URL, text="Something else?")


def test_an_error_that_the_code_swallows_comes_at_the_end(recorded: Path) -> None:
    def swallowing() -> None:
        with pytest.raises(AssertionError), httpx.Client() as client:
            client.get(f"{CASSETTE_URL}/nothing")

    with pytest.raises(CassetteError, match="has no answer for GET /nothing"), use_cassette(recorded):
        swallowing()


def test_an_error_of_its_own_that_the_code_makes_of_it_does_not_hide_it(recorded: Path) -> None:
    def failing() -> None:
        with pytest.raises(AssertionError), httpx.Client() as client:
            client.get(f"{CASSETTE_URL}/nothing")
        raise MixError("something else")

    with pytest.raises(CassetteError) as caught, use_cassette(recorded):
        failing()
    assert isinstance(caught.value.__cause__, MixError)


def test_errors_of_the_block_are_left_alone(recorded: Path) -> None:
    with pytest.raises(ZeroDivisionError), use_cassette(recorded):
        raise ZeroDivisionError


def test_recordings_that_were_not_used_are_told(recorded: Path) -> None:
    with (
        pytest.raises(CassetteError, match="4 recorded answers were not used: POST /api/sessions"),
        use_cassette(recorded),
    ):
        pass
    with use_cassette(recorded, allow_unused=True) as cassette:
        assert len(cassette.unused) == 4


def test_once_records_and_then_replays(tmp_path: Path, shell: str) -> None:
    path = tmp_path / "turn.yaml"
    with MixEmulator("0.8", Script(ANSWER)) as server:
        for recording in (True, False):
            with use_cassette(path, record="once") as cassette:
                assert cassette.recording is recording
                converse(shell, server.url)
        assert len(server.requests) == 4


def test_all_records_anew(recorded: Path, shell: str) -> None:
    with MixEmulator("0.8", Script("Something new.")) as server, use_cassette(recorded, record="all"):
        converse(shell, server.url)
    with use_cassette(recorded):
        assert "".join(converse(shell, CASSETTE_URL)) == "Something new."


def test_nothing_is_written_when_recording_fails(tmp_path: Path) -> None:
    path = tmp_path / "turn.yaml"
    with pytest.raises(ZeroDivisionError), use_cassette(path, record="once"):
        raise ZeroDivisionError
    assert not path.exists()


def test_what_is_said_about_a_cassette_stands_in_it(tmp_path: Path) -> None:
    path = tmp_path / "turn.yaml"
    with MixEmulator("0.8") as server, use_cassette(path, record="once", about={"proves": "It."}) as cassette:
        httpx.get(f"{server.url}/health")
        cassette.about["seen"] = ["a thing"]
    with use_cassette(path, allow_unused=True) as cassette:
        assert cassette.about == {"proves": "It.", "seen": ["a thing"]}


def test_secrets_go_nowhere_and_requests_that_have_them_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    key = "sk-ant-api03-abcdefghijklmnop" * 4
    with (
        MixEmulator("0.8") as server,
        use_cassette(path, record="once"),
        Mix(server_url=server.url, headers={"Authorization": "Bearer 12345678"}) as mix,
    ):
        mix.authentication.store_api_key(api_key=key, provider="anthropic")
    text = path.read_text(encoding="utf-8")
    assert key not in text
    assert "12345678" not in text
    assert "REDACTED" in text
    with use_cassette(path), Mix(server_url="http://elsewhere.invalid") as mix:
        mix.authentication.store_api_key(api_key="sk-ant-api03-another-key-of-mine" * 4, provider="anthropic")


def test_replacements_and_headers_to_keep(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    kept = frozenset({"x-team"})
    with (
        MixEmulator("0.8") as server,
        use_cassette(path, record="once", replacements={"Gouda-7": "cheese"}, keep_headers=kept),
        Mix(server_url=server.url, headers={"X-Team": "blue", "X-Other": "crimson"}) as mix,
    ):
        mix.sessions.create(title="Gouda-7")
    text = path.read_text(encoding="utf-8")
    assert '{"title":"cheese","browserMode"' in text
    assert "Gouda-7" not in text
    assert "blue" in text
    assert "crimson" not in text
    with use_cassette(path, replacements={"Gouda-7": "cheese"}), Mix(server_url=CASSETTE_URL) as mix:
        assert mix.sessions.create(title="Gouda-7").title == "cheese"


def test_uploads_match_though_their_boundary_differs(tmp_path: Path, shell: str) -> None:
    path = tmp_path / "upload.yaml"

    def upload(url: str, content: bytes) -> int:
        with Mix(server_url=url, api="0.7") as mix:
            session = mix.sessions.create(title="files")
            return mix.files.upload_session_file(id=session.id, file={"file_name": "a.bin", "content": content}).size

    with MixEmulator("0.7") as server, use_cassette(path, record="once"):
        assert upload(server.url, b"\xff\x00\r\n") == 4
    with use_cassette(path):
        assert upload(CASSETTE_URL, b"\xff\x00\r\n") == 4
    with pytest.raises(CassetteError, match="body"), use_cassette(path):
        upload(CASSETTE_URL, b"other")


def test_a_stream_that_breaks_breaks_again(tmp_path: Path, shell: str) -> None:
    """The client opens another one, in the replay as in the recording."""
    path = tmp_path / "broken.yaml"
    with MixEmulator("0.8", Script(ANSWER), faults=Faults(CutStream(2))) as server, use_cassette(path, record="once"):
        before = converse(shell, server.url)
    with use_cassette(path) as cassette:
        assert converse(shell, CASSETTE_URL) == before
        assert cassette.requests[:2] == [("POST", "/api/sessions"), ("GET", "/stream")]
    assert "ending: failed" in path.read_text(encoding="utf-8")
    assert "".join(before) == ANSWER


def test_threads_share_a_cassette(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"

    def ask(url: str, client: httpx.Client, found: list[Any]) -> None:
        found.append(client.get(f"{url}/health").json()["status"])

    def run(url: str) -> list[Any]:
        found: list[Any] = []
        with httpx.Client() as client:
            threads = [threading.Thread(target=ask, args=(url, client, found)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return found

    with MixEmulator("0.8") as server, use_cassette(path, record="once"):
        before = run(server.url)
    with use_cassette(path):
        assert run(CASSETTE_URL) == before


def test_one_cassette_at_a_time(tmp_path: Path) -> None:
    def both() -> None:
        with use_cassette(tmp_path / "a.yaml", record="once"), use_cassette(tmp_path / "b.yaml", record="once"):
            pytest.fail("two at once")

    with pytest.raises(CassetteError, match="Another cassette is in use"):
        both()
    with use_cassette(tmp_path / "c.yaml", record="once"):
        pass


def test_httpx_is_as_it_was_afterwards(recorded: Path) -> None:
    before = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request
    with use_cassette(recorded, allow_unused=True):
        assert httpx.HTTPTransport.handle_request is not before[0]
    assert (httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request) == before


def test_modes_and_files_are_checked(tmp_path: Path) -> None:
    def using(**options: Any) -> None:
        with use_cassette(tmp_path / "none.yaml", **options):
            pytest.fail("it is open")

    with pytest.raises(CassetteError, match="is 'none', 'once' or 'all'"):
        using(record="sometimes")
    with pytest.raises(CassetteError, match="There is no cassette"):
        using()


def test_stock_vcrpy_replays_the_same_file(recorded: Path) -> None:
    """The format is its own: whoever has no need of the order needs no more than vcrpy."""
    tape = vcr.VCR(match_on=("method", "path", "query", "body"), record_mode="none")
    with tape.use_cassette(str(recorded)) as cassette, httpx.Client(base_url=CASSETTE_URL) as client:
        made = client.post("/api/sessions", json={"title": "cassette", "browserMode": "local-browser-service"}).json()
        with client.stream("GET", "/stream", params={"sessionId": made["id"]}) as response:
            assert "everybody" in "".join(response.iter_text()) or cassette.play_count == 2
