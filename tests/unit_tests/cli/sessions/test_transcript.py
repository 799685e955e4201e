"""Sessions as documents."""

from __future__ import annotations

import json
import stat

import pytest
from markdown_it import MarkdownIt

from langchain_mix.cli.sessions.transcript import save, written
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.models import BackendMessage, SessionData

SESSION = SessionData.model_validate({"id": "s1", "title": "Tea", "createdAt": "2026-01-02T03:04:05Z", "newKey": 7})
ROWS = [
    BackendMessage.model_validate({"id": "1", "role": "user", "userInput": "How?"}),
    BackendMessage.model_validate(
        {
            "id": "2",
            "role": "assistant",
            "userInput": "Look:",
            "assistantResponse": "Look:",
            "reasoning": "Hm.\nWell.",
            "model": "m1",
            "toolCalls": [{"id": "t", "name": "Grep", "input": '{"a": 1}', "result": "a\n```\nb", "isError": True}],
        }
    ),
    BackendMessage.model_validate({"id": "3", "role": "tool", "userInput": ""}),
    BackendMessage.model_validate({"id": "4", "role": "assistant", "userInput": "So.", "assistantResponse": "So."}),
]


def test_markdown_has_everything_in_order():
    text = written(SESSION, ROWS, "markdown")
    parts = ["# Tea", "`s1`, created 2026-01-02 03:04", "## 1. You", "How?", "> Hm.", "> Well.", "### Agent (m1)"]
    parts += ["Look:", "**Tool `Grep`** (failed)", '{"a": 1}', "a\n```\nb", "### Agent", "So."]
    at = -1
    for part in parts:
        at = text.index(part, at + 1)
    assert text.endswith("So.\n")


def test_a_result_with_a_fence_stays_inside_its_own():
    blocks = [t.content for t in MarkdownIt().parse(written(SESSION, ROWS, "markdown")) if t.type == "fence"]
    assert blocks == ['{"a": 1}\n', "a\n```\nb\n"]


def test_json_keeps_the_servers_names_and_what_is_unknown():
    data = json.loads(written(SESSION, ROWS, "json"))
    assert data["session"]["newKey"] == 7
    assert data["messages"][1]["toolCalls"][0]["isError"] is True
    assert "inputTokens" not in data["messages"][0]


def test_a_file_is_written_like_any_other(tmp_path):
    path = tmp_path / "a.md"
    save("text é\n", path, overwrite=False)
    assert path.read_bytes() == "text é\n".encode()
    (tmp_path / "other").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("before")
    with pytest.raises(MixInputError, match="is there already"):
        save("after", path, overwrite=False)
    assert path.read_text() == "before"
    save("after", path, overwrite=True)
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("overwrite", [True, False])
def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, overwrite):
    path = tmp_path / "a.md"
    if overwrite:
        path.write_text("before")

    with pytest.raises(TypeError):
        save(None, path, overwrite=overwrite)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == (["a.md"] if overwrite else [])
    assert not overwrite or path.read_text() == "before"
