"""LangChain's own suites for chat models, against the server in the box."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_mix import ChatMix, MixEmulator

IGNORED = (
    "ignore::langchain_mix.chat_models.parameters.MixParameterWarning",  # The suites set a temperature.
    "ignore::langchain_core._api.beta_decorator.LangChainBetaWarning",
)


class _OnServer:
    api: ClassVar[str]
    server: ClassVar[MixEmulator]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _serve(cls):
        with MixEmulator(api=cls.api) as cls.server:
            yield

    @pytest.fixture(autouse=True)
    def _local(self, downloads_from_fixtures):
        return None

    @property
    def chat_model_class(self) -> type[ChatMix]:
        return ChatMix

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"server_url": self.server.url, "set_preferences": True, "permissions": "allow"}

    @property
    def model_override_value(self) -> str:
        return "o4-mini"

    supports_image_inputs = supports_image_urls = supports_pdf_inputs = supports_audio_inputs = True
    supports_image_tool_message = supports_pdf_tool_message = True
    supports_json_mode = supports_model_override = returns_usage_metadata = True


@pytest.mark.filterwarnings(*IGNORED)
class TestOn08(_OnServer, ChatModelIntegrationTests):
    api = "0.8"


@pytest.mark.filterwarnings(*IGNORED)
class TestOn07(_OnServer, ChatModelIntegrationTests):
    api = "0.7"


@pytest.mark.filterwarnings(*IGNORED)
class TestOn06(_OnServer, ChatModelIntegrationTests):
    api = "0.6"


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
