from __future__ import annotations

from langchain_mix.emulator.world.models import MODELS, NAMES, provider_of


def test_every_model_has_one_provider() -> None:
    every = [model for models in MODELS.values() for model in models]
    assert len(every) == len(set(every))
    assert set(NAMES) == set(MODELS)
    assert {provider_of(model) for model in every} == set(MODELS)
    assert provider_of("unknown") == ""
