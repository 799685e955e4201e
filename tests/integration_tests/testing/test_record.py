"""The catalogue, recorded: what the repository keeps is what is recorded today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from langchain_mix.emulator import MixEmulator
from langchain_mix.errors import MixConfigurationError, MixNetworkError
from langchain_mix.protocol.api import ALL, ApiVersion
from langchain_mix.testing.record import cassette_path, catalogue, record_catalogue
from langchain_mix.testing.scenarios import SCENARIOS
from langchain_mix.testing.vcr import read_cassette

CASSETTES = Path(__file__).resolve().parents[3] / "cassettes"


@pytest.mark.parametrize("api", ALL)
def test_the_cassettes_of_the_repository_are_up_to_date(api: ApiVersion, tmp_path: Path) -> None:
    """If this fails, behaviour has changed: look whether that is right, then `langchain-mix record`."""
    for one in record_catalogue(tmp_path, apis=[api]):
        _, _, about = read_cassette(cassette_path(CASSETTES, api, one.scenario))
        assert list(one.seen) == about["seen"], one.scenario
        assert methods(one.path) == methods(cassette_path(CASSETTES, api, one.scenario)), one.scenario
        assert one.size == one.path.stat().st_size > 0


def methods(path: Path) -> list[tuple[str, int]]:
    requests, answers, _ = read_cassette(path)
    return sorted((q.method, a["status"]["code"]) for q, a in zip(requests, answers, strict=True))


def test_every_generation_has_what_it_can_do() -> None:
    by_api: dict[Any, set[str]] = {api: {s.name for a, s in catalogue() if a is api} for api in ALL}
    common = {s.name for s in SCENARIOS} - {"subagent", "fork"}
    assert {str(api): names - common for api, names in by_api.items()} == {
        "0.5": {"fork"},
        "0.6": {"fork"},
        "0.6.5": {"fork"},
        "0.7": {"fork", "subagent"},
        "0.8": {"subagent"},
        "next": {"subagent"},
    }
    assert all(common <= names for names in by_api.values())


def test_some_scenarios_of_some_generations() -> None:
    assert [(str(api), s.name) for api, s in catalogue([ApiVersion.V0_7], ["fork", "plain"])] == [
        ("0.7", "plain"),
        ("0.7", "fork"),
    ]
    assert catalogue([ApiVersion.V0_8], ["fork"]) == []


def test_an_unknown_scenario_is_told() -> None:
    with pytest.raises(MixConfigurationError, match="no scenario nonsense") as caught:
        catalogue(names=["nonsense"])
    assert "plain" in caught.value.hint


def test_a_server_is_recorded_through_its_url_and_says_which_one_it_is(tmp_path: Path) -> None:
    with MixEmulator("0.7", "offline") as server:
        done = list(record_catalogue(tmp_path, apis=[ApiVersion.V0_7], server_url=server.url, names=["plain", "error"]))
    assert [(one.scenario, one.outcome) for one in done] == [("plain", "recorded"), ("error", "skipped")]
    _, _, about = read_cassette(done[0].path)
    assert about["server"].startswith("Mix API 0.7, server ")
    assert not done[1].path.exists()


def test_a_server_is_of_one_generation(tmp_path: Path) -> None:
    with pytest.raises(MixConfigurationError, match="one generation"):
        list(record_catalogue(tmp_path, server_url="http://127.0.0.1:1"))


def test_a_server_that_cannot_be_reached_is_told_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(MixNetworkError):
        list(record_catalogue(tmp_path, apis=[ApiVersion.V0_7], server_url="http://127.0.0.1:1", names=["plain"]))
    assert list(tmp_path.iterdir()) == []
