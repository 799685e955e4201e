from __future__ import annotations

from langchain_mix.emulator.state import Row, ToolCallRecord


def test_rows_share_nothing() -> None:
    first, second = Row("assistant"), Row("assistant")
    first.tool_calls.append(ToolCallRecord("c", "Bash"))
    first.tool_results.append({})
    assert (second.tool_calls, second.tool_results) == ([], [])
    assert (second.role, second.text, second.finish_reason) == ("assistant", "", "")
