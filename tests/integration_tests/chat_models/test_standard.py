"""LangChain's own suites for chat models, against the emulator."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.protocol.api import ALL
from langchain_mix.testing import use_cassette

USUAL = {("0.8", "v0"), ("0.8", "v1")}
"""The generations and versions that run by default. How turns differ between generations is shown in other tests."""
IGNORED = (
    "ignore::langchain_mix.chat_models.parameters.MixParameterWarning",  # The suites set a temperature.
    "ignore::langchain_core._api.beta_decorator.LangChainBetaWarning",
)


class _OnServer(ChatModelIntegrationTests):
    api: ClassVar[str]
    version: ClassVar[str]
    server: ClassVar[MixEmulator]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _serve(cls):
        with MixEmulator(api=cls.api) as cls.server:
            yield

    @pytest.fixture(autouse=True)
    def _local(self, downloads_from_fixtures):
        return None

    @pytest.fixture
    def vcr_cassette_dir(self, request, tmp_path, model, default_cassette_name):
        """Records what vcrpy replays: it cannot record a message that is sent while a stream is open."""
        if request.node.get_closest_marker("vcr"):
            with use_cassette(tmp_path / f"{default_cassette_name}.yaml", record="all"):
                assert "".join(chunk.text for chunk in model.stream("Write a story about a cat."))
            self.server.forget_requests()
        yield str(tmp_path)
        if request.node.get_closest_marker("vcr"):
            assert not self.server.requests

    @pytest.fixture
    def vcr_config(self):
        return {"match_on": ["method", "path", "query", "body"], "allow_playback_repeats": True}

    @property
    def chat_model_class(self) -> type[ChatMix]:
        return ChatMix

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # The newest servers take a model for each session, along with its provider; older ones for all of them.
        choice = {"provider": "openai"} if self.api == "next" else {"set_preferences": True}
        return {"server_url": self.server.url, "output_version": self.version, "permissions": "allow", **choice}

    @property
    def model_override_value(self) -> str:
        return "o4-mini"

    supports_image_inputs = supports_image_urls = supports_pdf_inputs = supports_audio_inputs = True
    supports_image_tool_message = supports_pdf_tool_message = supports_anthropic_inputs = True
    supports_json_mode = supports_model_override = returns_usage_metadata = enable_vcr_tests = True


def _suite(api: str, version: str) -> type[_OnServer]:
    name = f"TestOn{api.replace('.', '').title()}{version.upper()}"
    suite = type(name, (_OnServer,), {"api": api, "version": version, "__module__": __name__})
    marks = [pytest.mark.filterwarnings(*IGNORED)]
    if (api, version) not in USUAL:
        marks.append(pytest.mark.exhaustive)
    for mark in marks:
        suite = mark(suite)
    return suite


for _version in ("v0", "v1"):
    for _api in ALL:
        _made = _suite(str(_api), _version)
        globals()[_made.__name__] = _made
del _made


@pytest.mark.filterwarnings(*IGNORED)
class TestUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[ChatMix]:
        return ChatMix

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"server_url": "http://localhost:8088"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return (
            {"MIX_SERVER_URL": "http://mix:1", "MIX_API_KEY": "k"},
            {},
            {"server_url": "http://mix:1", "api_key": "k"},
        )

    @pytest.mark.xfail(reason="langchain-core reads classes of its own list alone", strict=True)
    def test_serdes(self, model: ChatMix, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)
