"""What `langchain-mix record` does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.emulator import MixEmulator


@pytest.fixture
def record(cli: Any, tmp_path: Path) -> Any:
    """Records into a directory: `record("plain", api="0.8")`; returns what the command wrote and its exit code."""

    def run(*scenarios: str, **options: str) -> Any:
        named = [word for name in scenarios for word in ("--scenario", name)]
        given = [word for name, value in options.items() for word in (f"--{name}", value)]
        return cli("record", "--directory", str(tmp_path / "cassettes"), *named, *given)

    return run


def test_it_records_what_is_asked_for_and_tells_of_it(record: Any, tmp_path: Path) -> None:
    ran = record("plain", "fork", api="0.7")
    assert ran.code == 0
    assert "0.7 plain: " in ran.out
    assert "0.7 fork: " in ran.out
    assert "Recorded 2 cassettes" in ran.out
    assert sorted(p.relative_to(tmp_path / "cassettes").as_posix() for p in tmp_path.rglob("*.yaml")) == [
        "0.7/fork.yaml",
        "0.7/plain.yaml",
    ]


def test_without_a_generation_it_records_all_of_them(record: Any, tmp_path: Path) -> None:
    assert "Recorded 6 cassettes" in record("plain").out
    assert {p.name for p in (tmp_path / "cassettes").iterdir()} == {"0.5", "0.6", "0.6.5", "0.7", "0.8", "next"}


def test_a_real_server_skips_what_an_agent_cannot_be_made_to_do(record: Any) -> None:
    with MixEmulator("0.8") as server:
        said = record("error", "files", api="0.8", server=server.url).out
    assert "0.8 error: skipped" in said
    assert "Recorded 1 cassettes" in said


def test_a_proxy_gets_the_key_and_the_cassette_does_not(
    record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIX_API_KEY", "key-of-the-proxy")
    with MixEmulator("0.8") as server:
        record("plain", api="0.8", server=server.url, header="PRIVATE-TOKEN: token-of-the-proxy")
        assert {r.headers.get("authorization") for r in server.requests} == {"Bearer key-of-the-proxy"}
        assert {r.headers.get("private-token") for r in server.requests} == {"token-of-the-proxy"}
    (cassette,) = tmp_path.rglob("*.yaml")
    assert "of-the-proxy" not in cassette.read_text()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"server": "http://127.0.0.1:1"}, "one generation"),
        ({"api": "0.9"}, "not a Mix API generation"),
        ({"scenario": "nonsense"}, "no scenario nonsense"),
    ],
)
def test_mistakes_are_told_before_anything_is_recorded(record: Any, tmp_path: Path, options: Any, match: str) -> None:
    ran = record(**options)
    assert ran.code == 2
    assert match in ran.err
    assert not (tmp_path / "cassettes").exists()


def test_a_secret_in_a_recording_is_told_and_not_written(
    record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from langchain_mix.testing import vcr

    found = vcr.find_secrets('"api_key":"x1"')
    monkeypatch.setattr(vcr, "find_secrets", lambda _: found)
    ran = record("plain", api="0.8")
    assert ran.code == 2
    assert "was not written" in ran.err
    assert list(tmp_path.rglob("*.yaml")) == []


def test_what_to_install_is_told(record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m == "vcr" or m.startswith(("vcr.", "langchain_mix.testing"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vcr", None)
    ran = record()
    assert ran.code == 2
    assert "needs vcr" in ran.err
    assert "langchain-mix[testing]" in ran.err
