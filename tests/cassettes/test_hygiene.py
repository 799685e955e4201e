"""What stands in the cassettes of this repository, and what must not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from langchain_mix.protocol.api import ALL
from langchain_mix.testing.record import cassette_path, catalogue
from langchain_mix.testing.scrubbing import CASSETTE_URL, find_secrets

CASSETTES = Path(__file__).resolve().parents[2] / "cassettes"
FILES = sorted(CASSETTES.rglob("*.yaml"))
CASSETTE_OF = {str(path.relative_to(CASSETTES)): path for path in FILES}


def test_the_whole_catalogue_is_recorded_and_nothing_else() -> None:
    assert set(FILES) == {cassette_path(CASSETTES, api, scenario.name) for api, scenario in catalogue()}
    assert {path.parent.name for path in FILES} == {str(api) for api in ALL}


def test_cassettes_are_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < 3_000_000
    assert max(path.stat().st_size for path in FILES) < 100_000


def test_no_secret_is_in_a_cassette() -> None:
    secrets = {name: find_secrets(path.read_text(encoding="utf-8")) for name, path in CASSETTE_OF.items()}
    assert {name: found for name, found in secrets.items() if found} == {}


def test_a_secret_in_a_cassette_would_be_found() -> None:
    for name, path in CASSETTE_OF.items():
        text = path.read_text(encoding="utf-8")
        assert find_secrets(text.replace('"title":', '"api_key":"5ecret","title":', 1)), name
        assert find_secrets(text.replace(CASSETTE_URL, "http://127.0.0.1:43567", 1)), name


def test_cassettes_say_what_they_prove_and_can_be_read() -> None:
    for name, path in CASSETTE_OF.items():
        text = path.read_text(encoding="utf-8")
        whole: Any = yaml.safe_load(text)
        about = whole["x_about"]
        assert about["proves"].endswith("."), name
        assert f"Mix API {path.parent.name}," in about["server"], name
        assert about["seen"], name
        assert "!!binary" not in text, name
        assert not re.search(r"^ *string: \"", text, re.MULTILINE), f"{name}: a body is one escaped line"
        for request in [one["request"] for one in whole["interactions"]]:
            assert request["uri"].startswith(f"{CASSETTE_URL}/"), name
            assert set(request["headers"]) <= {"accept", "content-type"}, name
