from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from langchain_mix.emulator.state import Row, ServerState, ToolCallRecord
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiVersion

URL = "http://localhost:8088"


@pytest.mark.parametrize("api", ALL)
def test_everything_survives_a_restart(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: ApiVersion
) -> None:
    first = make_state(api)
    assert first.caps is CAPABILITIES[api]
    session = new_session(first, "Kept", promptMode="replace", customSystemPrompt="p")
    first.rows.append(session, Row("user", "hi"))
    first.rows.append(session, Row("assistant", "yo", tool_calls=[ToolCallRecord("c", "Bash")], cost=0.5))
    first.sessions.add_usage(session, prompt_tokens=1, completion_tokens=2, cost=0.5)
    first.files.upload(session, "a.txt", io.BytesIO(b"a"), URL)
    (first.files.workspace(session) / "b.txt").write_text("b")

    def everything(state: ServerState) -> list[object]:
        return [
            state.sessions.listing(include_subagents=True),
            state.sessions.get(session),
            state.sessions.facts(session),
            state.rows.of(session),
            state.rows.messages(session),
            state.sessions.export(session),
            state.rows.history(10, 0),
            state.files.listing(session, URL),
            state.files.find(session, "b.txt"),
        ]

    before = everything(first)
    first.close()
    first.close()
    second = make_state(api)
    assert everything(second) == before
    assert second.rows.append(session, Row("user", "more")).sequence == 3


def test_uploads_that_a_killed_process_left_are_removed(make_state: Callable[..., ServerState], tmp_path: Path) -> None:
    make_state().close()
    left = tmp_path / "data" / "incoming" / "tmp123"
    left.parent.mkdir()
    left.write_text("half")
    state = make_state()
    assert not left.exists()
    assert list(state.files.uploads.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from langchain_mix.emulator.state import Row, ServerState
from langchain_mix.protocol.api import ApiVersion

state = ServerState(ApiVersion.V0_7, Path(sys.argv[1]))
session = state.sessions.create({"title": "t"})["id"]
print(session, flush=True)
while True:
    row = state.rows.append(session, Row("assistant"))
    row.text = "done"
    state.rows.update(row)
    print(row.id, flush=True)
    print(state.sessions.fork(session, 10**6, None)["id"], flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_reported(
    make_state: Callable[..., ServerState], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(data)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    reported = [writer.stdout.readline().strip() for _ in range(61)]
    writer.kill()
    reported += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    session, rows, forks = reported[0], reported[1::2], reported[2::2]
    state = make_state("0.7")
    stored = state.rows.of(session)
    assert [row.id for row in stored][: len(rows)] == rows
    assert all(row.text == "done" for row in stored[: len(rows)])
    for number, fork in enumerate(forks, 1):
        assert [row.text for row in state.rows.of(fork)] == ["done"] * number
    known = {s["id"]: s["assistantMessageCount"] for s in state.sessions.listing(include_subagents=True)}
    whole = set(range(1, len(stored) + 1))
    assert all(count in whole for id_, count in known.items()), "no fork is there in part"
    assert len(known) in {len(forks) + 1, len(forks) + 2}
