from __future__ import annotations

import pytest

from langchain_mix.emulator.state.preferences import NAMES, can_be_preferred, models_of, provider_of
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiVersion


@pytest.mark.parametrize("api", ALL)
def test_every_model_has_one_provider(api: ApiVersion) -> None:
    caps = CAPABILITIES[api]
    offered = models_of(caps)
    every = [model for models in offered.values() for model in models]
    assert len(every) == len(set(every))
    assert {provider_of(model, caps) for model in every} == set(NAMES)
    assert set(offered) == set(NAMES)
    assert can_be_preferred("gemini", caps) == (api in {ApiVersion.V0_8, ApiVersion.NEXT})
    assert provider_of("unknown", caps) == provider_of("", caps) == ""


@pytest.mark.parametrize("model", ["claude-4-sonnet", "claude-3.7-sonnet", "claude-3.5-haiku", "claude-3-opus"])
def test_the_models_of_the_official_examples_are_known_everywhere(model: str) -> None:
    assert {provider_of(model, CAPABILITIES[api]) for api in ALL} == {"anthropic"}
