"""The outcome of a tool, on every surface that says so, also where the event of its end was lost."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.cli.session_views import show_transcript, written
from langchain_mix.notebook import transcript
from langchain_mix.testing import DropEvent, Faults, Script, turn, use

DENIED = use("Write", {"file_path": "a.md", "content": "x"}, ask=True)
BROKEN = use("Task", {"description": "d", "prompt": "p"}, failure="it broke")
FINISHED = use("Bash", {"command": "ls"}, result="a.md", ask=False)
UNKNOWN = use("Nope", {"x": 1})


@pytest.mark.parametrize(
    ("tool", "lost", "outcome"),
    [
        (DENIED, False, "failed"),
        (DENIED, True, "failed"),
        (BROKEN, False, "failed"),
        (BROKEN, True, ""),
        (FINISHED, False, "succeeded"),
        (FINISHED, True, "succeeded"),
        (UNKNOWN, False, "failed"),
    ],
)
@pytest.mark.parametrize("api", ["0.8", "next"])
def test_all_surfaces_say_the_same(api, tool, lost, outcome):
    faults = Faults(DropEvent("tool_execution_complete", count=None)) if lost else Faults()
    with MixEmulator(api=api, faults=faults, agent=Script(turn([tool], "end"))) as server:
        model = ChatMix(server_url=server.url, permissions="deny")
        reply = model.invoke("go")
        found = [b for b in reply.content_blocks if b["type"] == "server_tool_result"]
        status = {"failed": ["error"], "succeeded": ["success"], "": []}[outcome]
        assert [b["status"] for b in found] == status
        session = reply.response_metadata["mix"]["session_id"]
        rows = model.client.messages.list_session(id=session)
        # The stored rows say less than the event where a tool broke: nothing.
        stored = outcome if tool is not BROKEN else ""
        out = io.StringIO()
        show_transcript(Console(file=out, width=200), rows)
        exported = written(model.client.sessions.get(id=session), rows, "markdown")
        shown = str(transcript(session, model.client))
        for said in (out.getvalue(), exported, shown):
            assert ("succeeded" in said) is (stored == "succeeded"), said
            assert ("failed" in said) is (stored == "failed" and tool is not DENIED), said
            assert ("denied" in said) is (tool is DENIED), said


@pytest.mark.parametrize("api", ["0.5", "0.7"])
@pytest.mark.parametrize("tool", [DENIED, BROKEN, FINISHED])
def test_servers_that_store_no_results_are_not_asked_for_more_than_they_know(api, tool):
    faults = Faults(DropEvent("tool_execution_complete", count=None))
    with MixEmulator(api=api, faults=faults, agent=Script(turn([tool], "end"))) as server:
        reply = ChatMix(server_url=server.url, permissions="deny").invoke("go")
        assert [b["type"] for b in reply.content_blocks] == ["server_tool_call", "text"]
