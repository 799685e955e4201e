from __future__ import annotations

from collections.abc import Callable

import pytest

from langchain_mix.emulator.state import ServerState
from langchain_mix.emulator.state.catalogue import available, canonical, spelled
from langchain_mix.protocol.api import ApiVersion


@pytest.mark.parametrize("api", ["0.7", "0.8", "next"])
def test_every_tool_describes_its_parameters(make_state: Callable[..., ServerState], api: str) -> None:
    tools = make_state(api).catalogue.llm_tools()["tools"]
    assert len({tool["name"] for tool in tools}) == len(tools) >= 12
    for tool in tools:
        assert list(tool) == ["name", "description", "parameters", "required"]
        assert set(tool["required"]) <= set(tool["parameters"])
        assert all("type" in parameter and "description" in parameter for parameter in tool["parameters"].values())


def test_names_of_each_generation(make_state: Callable[..., ServerState]) -> None:
    old = {tool["name"] for tool in make_state("0.7").catalogue.llm_tools()["tools"]}
    new = {tool["name"] for tool in make_state("0.8").catalogue.llm_tools()["tools"]}
    assert {"Read", "WebSearch", "ShowMedia"} <= old
    assert {"ReadText", "Search", "Show", "Notify"} <= new
    assert not {"Read", "WebSearch", "ShowMedia"} & new
    assert "Notify" not in old


@pytest.mark.parametrize(
    ("name", "old", "v0_7", "v0_8"),
    [
        ("Bash", "bash", "Bash", "Bash"),
        ("ReadText", "ReadText", "ReadText", "ReadText"),
        ("TodoWrite", "todo_write", "TodoWrite", "TodoWrite"),
        ("Show", "show_media", "ShowMedia", "Show"),
        ("server_tool", "server_tool", "server_tool", "server_tool"),
    ],
)
def test_spellings(name, old, v0_7, v0_8):
    assert [spelled(name, ApiVersion(api)) for api in ("0.5", "0.6.5", "0.7", "0.8")] == [old, old, v0_7, v0_8]
    assert {canonical(one) for one in (old, v0_7, v0_8)} == {name}


def test_who_may_call_what():
    assert "Task" not in available(ApiVersion.V0_6, plan_mode=False, is_subagent=False)
    assert "Task" in available(ApiVersion.V0_7, plan_mode=False, is_subagent=False)
    assert "Task" not in available(ApiVersion.V0_8, plan_mode=False, is_subagent=True)
    assert "Notify" in available(ApiVersion.V0_8, plan_mode=False, is_subagent=False)
    assert "Notify" not in available(ApiVersion.V0_7, plan_mode=False, is_subagent=False)
    planning = available(ApiVersion.V0_8, plan_mode=True, is_subagent=False)
    assert {"ReadText", "Grep", "ExitPlanMode", "Task"} <= set(planning)
    assert not {"Write", "Edit", "Bash", "Show", "Notify"} & set(planning)
