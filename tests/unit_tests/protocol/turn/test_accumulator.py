"""Messages and tool calls, each told once, whatever a generation repeats."""

import pytest

from langchain_mix.protocol.turn import updates as up
from langchain_mix.protocol.turn.accumulator import plain_fragment


def test_snapshots_of_a_tool_call_are_told_once(bench):
    server = bench(api="0.7").begun()
    for _ in range(3):
        server.event("tool", id="T", name="Bash", input="", status="running", assistantMessageId="M")
    for _ in range(3):
        server.event("tool", id="T", name="Bash", input='{"a":1}', status="completed", assistantMessageId="M")
    server.event("tool", id="T", name="Bash", input="", status="running", assistantMessageId="M")
    assert server.updates[1:] == [up.ToolCallStarted("T", "Bash", "M"), up.ToolCalled("T", "Bash", '{"a":1}', "M")]


def test_runs_are_told_once_and_named_by_their_call(bench):
    server = bench().begun()
    server.event("tool_use_start", id="T", name="Bash", assistantMessageId="M")
    for _ in range(2):
        server.event("tool_execution_start", toolCallId="T", toolName="", progress="Executing Bash tool")
    for _ in range(2):
        server.event("tool_execution_complete", toolCallId="T", toolName="", progress="Failed", success=False)
    server.event("tool_execution_start", toolCallId="T", toolName="")
    assert server.updates[2:] == [
        up.ToolRunning("T", "Bash", "Executing Bash tool"),
        up.ToolFinished("T", "Bash", False, "Failed"),
    ]


def test_parallel_tools_may_finish_in_any_order(bench):
    server = bench().begun()
    for call in ("T1", "T2"):
        server.event("tool_use_start", id=call, name="Bash", assistantMessageId="M")
    for name, call in (("start", "T1"), ("start", "T2"), ("complete", "T2"), ("complete", "T1")):
        server.event(f"tool_execution_{name}", toolCallId=call, success=True)
    assert [c.status for c in server.turn.partial().tool_calls] == ["succeeded", "succeeded"]


def test_without_ids_a_message_ends_when_its_tools_run(bench):
    server = bench(api="0.6.5").begun()
    server.say("one")
    server.event("tool", id="T", name="bash", status="completed", input="{}")
    server.event("tool_execution_start", toolCallId="T")
    server.event("tool_execution_complete", toolCallId="T")
    server.say("two")
    assert [m.text for m in server.turn.partial().messages] == ["one", "two"]


@pytest.mark.parametrize(
    ("fragment", "plain"),
    [('"{\\"pa"', '{"pa'), ('{"pa', '{"pa'), ('"', '"'), ("", ""), ('"a" "', '"a" "'), ('"ä\\n"', "ä\n")],
)
def test_quoted_fragments_are_unquoted(fragment, plain):
    assert plain_fragment(fragment) == plain


def test_fragments_of_0_7_come_quoted_and_those_of_0_8_plain(bench):
    server = bench(api="0.7").begun()
    server.event("tool_parameter_delta", toolCallId="T", input='"{\\"pa"', assistantMessageId="M")
    assert server.updates[-1] == up.ToolCallDelta("T", '{"pa')
    server = bench(api="0.8").begun()
    for piece in ("{", '"path"', ":1}"):
        server.event("tool_use_parameter_delta", toolCallId="T", input=piece, assistantMessageId="M")
    assert "".join(d.fragment for d in server.of(up.ToolCallDelta)) == '{"path":1}'


def test_thinking_and_text_keep_their_messages(bench):
    server = bench().begun()
    server.event("thinking", content="hm", assistantMessageId="M1")
    server.say("a", "M1")
    server.say("b", "M2")
    server.say("c", "M1")  # Late.
    assert [(m.id, m.thinking, m.text) for m in server.turn.partial().messages] == [("M1", "hm", "ac"), ("M2", "", "b")]
