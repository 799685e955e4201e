"""The plan of runs, without any listener."""

from __future__ import annotations

import pytest
from langchain_core.messages import ToolMessage

from langchain_mix.chat_models.callbacks import End, RunPlan, Start
from langchain_mix.protocol.turn.updates import (
    Accepted,
    SubagentUpdate,
    TextDelta,
    ToolCallDelta,
    ToolCalled,
    ToolFinished,
    ToolRunning,
)


def heard(plan, *updates):
    return [step for update in updates for step in plan.handle(update)]


def test_a_run_has_the_call_it_was_told_of():
    plan = RunPlan()
    assert heard(plan, ToolCalled("T", "Bash", '{"a":1}', "M")) == []
    assert heard(plan, ToolRunning("T", "", "")) == [Start(("tool", "T"), None, "Bash", '{"a":1}')]
    (end,) = heard(plan, ToolFinished("T", "", success=True, progress="ok"))
    assert end == End(
        ("tool", "T"),
        ToolMessage(
            "ok",
            name="Bash",
            tool_call_id="T",
            artifact={"progress": "ok"},
            additional_kwargs={"mix_result": "progress"},
        ),
    )
    assert list(plan.rest()) == []


def test_a_step_that_was_not_taken_is_not_counted():
    plan = RunPlan()
    steps = plan.handle(ToolRunning("T", "Bash", ""))
    next(steps)
    steps.close()  # As when a handler raises.
    assert [type(s) for s in heard(plan, ToolRunning("T", "Bash", ""))] == [Start]


@pytest.mark.parametrize("update", [Accepted("M"), TextDelta("M", "Hi"), ToolCallDelta("T", "{")])
def test_what_is_no_run_plans_nothing(update):
    assert heard(RunPlan(), update) == []


def test_the_rest_of_a_good_turn_is_closed_from_the_inside():
    plan = RunPlan()
    heard(plan, ToolRunning("T", "Task", ""), SubagentUpdate("T", ToolRunning("N", "Glob", "")))
    assert [s.key for s in plan.rest()] == [("tool", "N"), ("subagent", "T"), ("tool", "T")]


def test_a_failed_task_starts_no_tool_that_never_ran():
    plan = RunPlan()
    heard(plan, ToolRunning("T", "Task", ""), SubagentUpdate("T", ToolCalled("N", "Glob", "{}", "S")))
    steps = heard(plan, ToolFinished("T", "Task", success=False, progress="no"))
    assert [s.key for s in steps] == [("subagent", "T"), ("tool", "T")]


def test_a_subagent_inside_a_subagent_hangs_under_its_task():
    plan = RunPlan()
    inner = SubagentUpdate("U", ToolRunning("N", "Glob", ""))
    steps = heard(plan, SubagentUpdate("T", ToolRunning("U", "Task", "")), SubagentUpdate("T", inner))
    assert [(s.key, s.parent) for s in steps] == [
        (("tool", "T"), None),
        (("subagent", "T"), ("tool", "T")),
        (("tool", "U"), ("subagent", "T")),
        (("subagent", "U"), ("tool", "U")),
        (("tool", "N"), ("subagent", "U")),
    ]
    assert [s.key[1] for s in plan.rest()] == ["N", "U", "U", "T", "T"]
