from __future__ import annotations

from collections.abc import Callable

import pytest

from langchain_mix.emulator.state import ServerState


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
