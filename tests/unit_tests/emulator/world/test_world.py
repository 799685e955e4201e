from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from langchain_mix.emulator.world import Row, ToolCallRecord, World
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiVersion

URL = "http://localhost:8088"


@pytest.mark.parametrize("api", ALL)
def test_everything_survives_a_restart(
    make_world: Callable[..., World], new_session: Callable[..., str], api: ApiVersion
) -> None:
    first = make_world(api)
    assert first.caps is CAPABILITIES[api]
    session = new_session(first, "Kept", promptMode="replace", customSystemPrompt="p")
    first.append_row(session, Row("user", "hi"))
    first.append_row(session, Row("assistant", "yo", tool_calls=[ToolCallRecord("c", "Bash")], cost=0.5))
    first.add_usage(session, prompt_tokens=1, completion_tokens=2, cost=0.5)
    first.upload(session, "a.txt", io.BytesIO(b"a"), URL)
    (first.workspace(session) / "b.txt").write_text("b")

    def everything(world: World) -> list[object]:
        return [
            world.list_sessions(True),
            world.get_session(session),
            world.session_facts(session),
            world.rows(session),
            world.list_messages(session),
            world.export_session(session),
            world.history(10, 0),
            world.list_files(session, URL),
            world.find_file(session, "b.txt"),
        ]

    before = everything(first)
    first.close()
    first.close()
    second = make_world(api)
    assert everything(second) == before
    assert second.append_row(session, Row("user", "more")).sequence == 3


def test_uploads_that_a_killed_process_left_are_removed(make_world: Callable[..., World], tmp_path: Path) -> None:
    make_world().close()
    left = tmp_path / "data" / "incoming" / "tmp123"
    left.write_text("half")
    world = make_world()
    assert not left.exists()
    assert list(world.uploads.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from langchain_mix.emulator.world import Row, World
from langchain_mix.protocol.api import ApiVersion

world = World(ApiVersion.V0_7, Path(sys.argv[1]))
session = world.create_session({"title": "t"})["id"]
print(session, flush=True)
while True:
    row = world.append_row(session, Row("assistant"))
    row.text = "done"
    world.update_row(row)
    print(row.id, flush=True)
    print(world.fork_session(session, 10**6, None)["id"], flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_reported(make_world: Callable[..., World], tmp_path: Path) -> None:
    data = tmp_path / "data"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(data)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    reported = [writer.stdout.readline().strip() for _ in range(61)]
    writer.kill()
    reported += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    session, rows, forks = reported[0], reported[1::2], reported[2::2]
    world = make_world("0.7")
    stored = world.rows(session)
    assert [row.id for row in stored][: len(rows)] == rows
    assert all(row.text == "done" for row in stored[: len(rows)])
    for number, fork in enumerate(forks, 1):
        assert [row.text for row in world.rows(fork)] == ["done"] * number
    known = {s["id"]: s["assistantMessageCount"] for s in world.list_sessions(True)}
    whole = set(range(1, len(stored) + 1))
    assert all(count in whole for id_, count in known.items()), "no fork is there in part"
    assert len(known) in {len(forks) + 1, len(forks) + 2}
