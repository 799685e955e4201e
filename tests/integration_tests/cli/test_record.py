"""What `langchain-mix record` does."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from langchain_mix.cli.record import run_record
from langchain_mix.emulator import MixEmulator
from langchain_mix.errors import MixConfigurationError, MixInputError


def told(**options: Any) -> str:
    out = io.StringIO()
    run_record(Console(file=out, width=200), **options)
    return out.getvalue()


def test_it_records_what_is_asked_for_and_tells_of_it(tmp_path: Path) -> None:
    said = told(api="0.7", directory=tmp_path, scenarios=("plain", "fork"))
    assert "0.7 plain: " in said
    assert "0.7 fork: " in said
    assert "Recorded 2 cassettes" in said
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.yaml")) == [
        "0.7/fork.yaml",
        "0.7/plain.yaml",
    ]


def test_without_a_generation_it_records_all_of_them(tmp_path: Path) -> None:
    assert "Recorded 6 cassettes" in told(directory=tmp_path, scenarios=("plain",))
    assert {p.name for p in tmp_path.iterdir()} == {"0.5", "0.6", "0.6.5", "0.7", "0.8", "next"}


def test_a_real_server_skips_what_an_agent_cannot_be_made_to_do(tmp_path: Path) -> None:
    with MixEmulator("0.8") as server:
        said = told(api="0.8", server=server.url, directory=tmp_path, scenarios=("error", "files"))
    assert "0.8 error: skipped" in said
    assert "Recorded 1 cassettes" in said


def test_a_proxy_gets_the_key_and_the_cassette_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIX_API_KEY", "key-of-the-proxy")
    with MixEmulator("0.8") as server:
        options = {"api": "0.8", "server": server.url, "directory": tmp_path, "scenarios": ("plain",)}
        told(**options, headers=["PRIVATE-TOKEN: token-of-the-proxy"])
        assert {r.headers.get("authorization") for r in server.requests} == {"Bearer key-of-the-proxy"}
        assert {r.headers.get("private-token") for r in server.requests} == {"token-of-the-proxy"}
    (cassette,) = tmp_path.rglob("*.yaml")
    assert "of-the-proxy" not in cassette.read_text()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"server": "http://127.0.0.1:1"}, "one generation"),
        ({"api": "0.9"}, "not a Mix API generation"),
        ({"scenarios": ("nonsense",)}, "no scenario nonsense"),
    ],
)
def test_mistakes_are_told_before_anything_is_recorded(tmp_path: Path, options: Any, match: str) -> None:
    with pytest.raises(MixConfigurationError, match=match):
        told(directory=tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_secret_in_a_recording_is_told_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from langchain_mix.testing import cassette_files

    found = cassette_files.find_secrets('"api_key":"x1"')
    monkeypatch.setattr(cassette_files, "find_secrets", lambda _: found)
    with pytest.raises(MixInputError, match="was not written"):
        told(api="0.8", directory=tmp_path, scenarios=("plain",))
    assert list(tmp_path.rglob("*.yaml")) == []


def test_what_to_install_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [m for m in sys.modules if m == "vcr" or m.startswith(("vcr.", "langchain_mix.testing"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vcr", None)
    with pytest.raises(MixConfigurationError, match="needs vcr") as caught:
        told(directory=tmp_path)
    assert "langchain-mix[testing]" in caught.value.hint
