"""Turns as they should go: every generation through both shells."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_mix.emulator import Script, say, think, turn, use
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion
from langchain_mix.protocol.turn.updates import (
    Accepted,
    SubagentUpdate,
    TextDelta,
    ThinkingDelta,
    ToolCalled,
    ToolCallStarted,
    ToolFinished,
    ToolOutput,
    ToolRunning,
)

pytestmark = pytest.mark.timeout(60)

ANSWER = "Forty-two, naïve as it is: 42 «€» 🎈 and done."
NEW = ("0.8", "next")


def caps(api: str) -> Any:
    return CAPABILITIES[ApiVersion(api)]


def test_a_plain_turn(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(ANSWER))
    outcome = lab.turn("What is it?").well()
    assert outcome.told == outcome.result.text == outcome.result.full_text == lab.said() == ANSWER
    assert len(outcome.of(TextDelta)) > 3, "streamed, not delivered at the end"
    assert not outcome.restated
    assert outcome.result.verified
    assert not outcome.result.contended
    assert outcome.result.row_count == len(lab.rows()) == 2
    assert lab.users() == ["What is it?"]
    assert outcome.result.user_message_id == lab.rows()[0]["id"]
    assert outcome.result.message_id == lab.rows()[-1]["id"]
    assert outcome.result.sent_text == "What is it?"
    assert bool(outcome.of(Accepted)) is caps(api).user_message_created


def test_one_stream_one_message_one_listing(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(ANSWER))
    lab.turn().well()
    assert [r.method for r in lab.asked()] == ["GET", "POST", "GET"]
    assert len(lab.asked("GET", "/stream")) == len(lab.messages()) == 1
    assert all(r.status in {200, 202} for r in lab.asked())


def test_usage_is_told_once(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(ANSWER))
    usage = lab.turn(cost_before=0.0).well().result.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.whole_turn) == (10, 20, True)
    assert usage.cost == 0.0


def test_thinking(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(turn([*think("Let me see. Yes.", chunk=5), *say(ANSWER)])))
    outcome = lab.turn().well()
    assert "".join(u.text for u in outcome.of(ThinkingDelta)) == "Let me see. Yes."
    assert outcome.result.messages[0].thinking == "Let me see. Yes."
    assert outcome.told == ANSWER
    kinds = [type(u) for u in outcome.updates if isinstance(u, ThinkingDelta | TextDelta)]
    assert kinds == sorted(kinds, key=[ThinkingDelta, TextDelta].index), "thinking comes before text"


def test_a_tool(labs: Any, shell: str, api: str) -> None:
    script = Script(turn([*say("Let me look. "), use("ReadText", {"file_path": "a.txt"}, result="41 + 1")], ANSWER))
    lab = labs(shell, api, script)
    outcome = lab.turn().well()
    (call,) = outcome.result.tool_calls
    assert same(call.name, "ReadText")
    assert call.input == '{"file_path":"a.txt"}'
    assert call.status == "succeeded"
    assert call.output == ("41 + 1" if api in NEW else None)
    for kind in (ToolCallStarted, ToolCalled, ToolRunning, ToolFinished):
        assert [u.id for u in outcome.of(kind)] == [call.id], kind
    assert [u.output for u in outcome.of(ToolOutput)] == (["41 + 1"] if api in NEW else [])
    assert [m.text for m in outcome.result.messages] == ["Let me look. ", ANSWER]
    assert outcome.told == lab.said() == "Let me look. " + ANSWER
    assert [r["role"] for r in lab.rows()] == ["user", "assistant", "tool", "assistant"]
    assert outcome.result.row_count == 4


def same(name: str, other: str) -> bool:
    return name.replace("_", "").lower() == other.replace("_", "").lower()


def test_several_tools_in_parallel(labs: Any, shell: str, api: str) -> None:
    calls = [use("Grep", {"pattern": str(i)}, result=f"hit {i}", id=f"call{i}") for i in range(3)]
    failing = use("Glob", {"pattern": "*"}, failure="disk on fire", id="call3")
    lab = labs(
        shell, api, Script(turn([*calls, failing], [*say("Again. "), use("Grep", result="x", id="call4")], ANSWER))
    )
    outcome = lab.turn().well()
    assert [c.id for c in outcome.result.tool_calls] == [f"call{i}" for i in range(5)]
    assert [c.status for c in outcome.result.tool_calls] == ["succeeded"] * 3 + ["failed", "succeeded"]
    assert [c.output for c in outcome.result.tool_calls][:3] == (
        [f"hit {i}" for i in range(3)] if api in NEW else [None] * 3
    )
    assert [len(m.tool_calls) for m in outcome.result.messages] == [4, 1, 0]
    assert outcome.told == "Again. " + ANSWER
    assert len({u.id for u in outcome.of(ToolCalled)}) == len(outcome.of(ToolCalled)) == 5


@pytest.mark.parametrize("api", ["0.7", "0.8", "next"])
def test_a_sub_agent(labs: Any, shell: str, api: str) -> None:
    task = use("Task", {"description": "count", "prompt": "Count them"}, id="task")
    inner = turn([*say("Counting. "), use("Grep", {"pattern": "x"}, result="3", id="inner")], "There are three.")
    lab = labs(shell, api, Script(turn([*say("I ask. "), task], ANSWER), subagent=[inner]))
    outcome = lab.turn().well()
    assert outcome.told == "I ask. " + ANSWER, "a sub-agent's text is not the turn's"
    nested = [u for u in outcome.of(SubagentUpdate) if isinstance(u.update, TextDelta)]
    assert "".join(u.update.text for u in nested) == "Counting. There are three."
    assert {u.parent_id for u in outcome.of(SubagentUpdate)} == {"task"}
    assert [c.id for c in outcome.result.tool_calls] == ["task"], "nor are its tools"
    assert outcome.result.tool_calls[0].status == "succeeded"
    assert len(lab.users()) == 1


def test_plan_mode(labs: Any, shell: str, api: str) -> None:
    script = Script(ANSWER)
    lab = labs(shell, api, script)
    outcome = lab.turn("Plan it", plan_mode=True).well()
    assert script.requests[0].plan_mode
    assert "<system-reminder>" in lab.users()[0], "Mix: the reminder is stored"
    assert outcome.result.sent_text == "Plan it"
    assert outcome.result.user_message_id == lab.rows()[0]["id"]
    assert outcome.told == ANSWER
    assert outcome.result.verified


@pytest.mark.parametrize("api", ["0.7", "0.8", "next"])
def test_thinking_level(labs: Any, shell: str, api: str) -> None:
    script = Script(ANSWER)
    lab = labs(shell, api, script)
    lab.turn(thinking_level="medium").well()
    assert script.requests[0].thinking_level == "medium"


@pytest.mark.parametrize("api", NEW)
def test_max_steps(labs: Any, shell: str, api: str) -> None:
    from langchain_mix import errors

    lab = labs(shell, api, Script(turn([*say("One. "), use("Grep", result="x")], [use("Grep", result="x")], ANSWER)))
    outcome = lab.turn(max_steps=1)
    assert isinstance(outcome.error, errors.MixAgentError)
    assert "maximum iteration limit (1 steps) reached" in outcome.error.message
    assert "max_steps" in outcome.error.hint
    assert outcome.error.turn.full_text == outcome.told == "One. "


@pytest.mark.parametrize(
    ("api", "option"),
    [(a, "thinking_level") for a in ("0.5", "0.6", "0.6.5")]
    + [(a, "max_steps") for a in ("0.5", "0.6", "0.6.5", "0.7")],
)
def test_an_option_that_the_generation_lacks_is_told_before_anything_is_sent(
    labs: Any, shell: str, api: str, option: str
) -> None:
    from langchain_mix import errors

    lab = labs(shell, api)
    outcome = lab.turn(**{option: "medium" if option == "thinking_level" else 3})
    assert isinstance(outcome.error, errors.MixUnsupportedError)
    assert option in outcome.error.message
    assert "0.8" in str(outcome.error)
    assert lab.asked() == []


def test_a_server_command(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api)
    outcome = lab.turn("/help", command=True).well()
    assert outcome.result.command
    assert '"type":"help"' in outcome.result.text
    assert lab.rows() == [], "a command leaves no rows"


@pytest.mark.parametrize("text", ["/tmp/x.txt, please read", "  /help", "! rm -rf /", "!ls"])
def test_a_text_is_never_a_command_by_accident(labs: Any, shell: str, api: str, text: str) -> None:
    lab = labs(shell, api, Script(ANSWER))
    outcome = lab.turn(text).well()
    assert outcome.told == ANSWER
    (stored,) = lab.users()
    assert stored.endswith(text)
    assert outcome.result.sent_text == stored
    assert not stored.lstrip().startswith("/")


def test_an_unknown_command_is_an_error(labs: Any, shell: str, api: str) -> None:
    from langchain_mix import errors

    lab = labs(shell, api)
    outcome = lab.turn("/nonsense", command=True)
    assert isinstance(outcome.error, errors.MixNotFoundError | errors.MixAgentError)
    assert "nonsense" in outcome.error.message
    assert lab.rows() == []


def test_two_turns_in_a_row(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script("First.", "Second."))
    session = lab.session()
    assert lab.turn("one", session=session).well().told == "First."
    again = lab.turn("two", session=session).well()
    assert again.told == again.result.full_text == "Second."
    assert again.result.row_count == 4
    assert lab.users() == ["one", "two"]


def test_the_same_text_twice(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script("First.", "Second."))
    session = lab.session()
    first = lab.turn("again", session=session).well()
    second = lab.turn("again", session=session).well()
    assert (first.result.full_text, second.result.full_text) == ("First.", "Second.")
    assert first.result.user_message_id != second.result.user_message_id == lab.rows()[2]["id"]


def test_an_empty_answer(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(turn([*think("Nothing to say.")])))
    outcome = lab.turn().well()
    assert outcome.told == outcome.result.full_text == ""
    assert outcome.result.verified


def test_an_unknown_session(labs: Any, shell: str, api: str) -> None:
    from langchain_mix import errors

    lab = labs(shell, api)
    outcome = lab.turn(session="11111111-2222-3333-4444-555555555555")
    assert isinstance(outcome.error, errors.MixNotFoundError)
    assert outcome.error.acted == "no"
    assert lab.messages() == []


def test_no_provider_credential(labs: Any, shell: str, api: str) -> None:
    from langchain_mix import errors

    lab = labs(shell, api, auth_required=True)
    outcome = lab.turn()
    assert isinstance(outcome.error, errors.MixAuthenticationError | errors.MixAgentError), outcome
    assert "uthenticat" in outcome.error.message
    assert lab.rows() == []
