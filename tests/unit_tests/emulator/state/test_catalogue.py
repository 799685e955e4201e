from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from langchain_mix.emulator.state import ServerState


def test_health(make_state: Callable[..., ServerState]) -> None:
    assert make_state("0.7", utc_offset=timedelta(hours=2)).catalogue.health() == {
        "status": "ok",
        "timestamp": "2025-10-09T10:53:20+02:00",
        "version": "0.7",
        "environment": "emulator",
        "services": {"backend": "healthy", "database": "connected"},
    }


def test_the_storage_path_is_absolute(make_state: Callable[..., ServerState], tmp_path: Path) -> None:
    path = Path(make_state(data_dir=tmp_path / "x" / ".." / "data").catalogue.system_info()["storageBasePath"])
    assert path == tmp_path / "data"


@pytest.mark.parametrize("api", ["0.6", "0.7"])
def test_tools_status_is_a_list(make_state: Callable[..., ServerState], api: str) -> None:
    categories = make_state(api).catalogue.tools_status()["categories"]
    (brave,) = categories["web_search"]["tools"]
    assert set(brave) == {"provider", "display_name", "description", "authenticated", "api_key_required"}
    assert (brave["authenticated"], brave["api_key_required"]) == (False, True)


def test_the_oldest_tools_status_is_a_map(make_state: Callable[..., ServerState]) -> None:
    categories = make_state("0.5").catalogue.tools_status()["categories"]
    assert categories["web_search"]["tools"]["brave"]["requires_key"] is True
    assert "api_key_required" not in categories["web_search"]["tools"]["brave"]


def test_credentials_status_follows_the_stored_keys(state: ServerState) -> None:
    def brave() -> dict[str, object]:
        return dict(state.catalogue.credentials_status()["categories"]["web_search"]["tools"][0])

    assert brave()["authenticated"] is False
    state.credentials.store_api_key({"provider": "brave", "api_key": "b" * 30})
    assert brave()["authenticated"] is True
    assert "api_key_format" in brave()
    core = state.catalogue.credentials_status()["categories"]["system"]["tools"][0]
    assert (core["authenticated"], core["api_key_required"], "api_key_format" in core) == (True, False, False)
