"""Every cassette, through both shells: what is seen of a replay is what was seen of the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from langchain_mix.testing.cassette_streams import events_in
from langchain_mix.testing.record import cassette_path, catalogue

CASSETTES = Path(__file__).resolve().parents[2] / "cassettes"
CATALOGUE = [pytest.param(api, scenario, id=f"{api}-{scenario.name}") for api, scenario in catalogue()]
STREAMED = [param for param in CATALOGUE if param.values[1].name != "files"]


@pytest.mark.parametrize("shell", ["sync", "async"])
@pytest.mark.parametrize(("api", "scenario"), CATALOGUE)
def test_a_replay_shows_what_the_server_showed(api: Any, scenario: Any, shell: str, replay: Any) -> None:
    seen, recorded = replay(cassette_path(CASSETTES, api, scenario.name), scenario, api, shell)
    assert seen == recorded


def damaged(path: Path, to: Path, name: str, *, order_too: bool) -> Path:
    """A copy that lacks the first event of this name, and where asked its place in the order."""
    whole = yaml.safe_load(path.read_text(encoding="utf-8"))
    for answer in [one["response"] for one in whole["interactions"]]:
        events = events_in(answer["body"]["string"].encode())
        lost = next((i for i, event in enumerate(events) if f"\nevent: {name}\n".encode() in event), None)
        if lost is not None:
            del events[lost]
            if order_too:
                del answer["x_order"]["events"][lost]
            answer["body"]["string"] = b"".join(events).decode()
            break
    else:
        pytest.fail(f"there is no event {name} in {path}")
    copy = to / path.name
    copy.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
    return copy


in_other_threads = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",  # Mix 0.6 is answered in a thread, which fails as well.
)


def differs(replay: Any, *arguments: Any) -> bool:
    try:
        seen, recorded = replay(*arguments, 0.2)
    except Exception:
        return True
    return bool(seen != recorded)


@in_other_threads
@pytest.mark.parametrize("order_too", [True, False])
@pytest.mark.parametrize("shell", ["sync", "async"])
@pytest.mark.parametrize(("api", "scenario"), STREAMED)
def test_a_lost_event_is_noticed(
    *, api: Any, scenario: Any, shell: str, order_too: bool, replay: Any, tmp_path: Path
) -> None:
    path = cassette_path(CASSETTES, api, scenario.name)
    copy = damaged(path, tmp_path, "content", order_too=order_too)
    assert differs(replay, copy, scenario, api, shell)


ENDS = {"error": "error", "cancel": "connected"}


@in_other_threads
@pytest.mark.parametrize(("api", "scenario"), STREAMED)
def test_a_lost_end_is_noticed(api: Any, scenario: Any, replay: Any, tmp_path: Path) -> None:
    path = cassette_path(CASSETTES, api, scenario.name)
    copy = damaged(path, tmp_path, ENDS.get(scenario.name, "complete"), order_too=True)
    assert differs(replay, copy, scenario, api, "sync")


@in_other_threads
@pytest.mark.parametrize(("api", "scenario"), CATALOGUE)
def test_a_lost_answer_is_noticed(api: Any, scenario: Any, replay: Any, tmp_path: Path) -> None:
    whole = yaml.safe_load(cassette_path(CASSETTES, api, scenario.name).read_text(encoding="utf-8"))
    del whole["interactions"][-1]
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
    assert differs(replay, copy, scenario, api, "sync")
