"""LangChain's own suite for retrievers, on three generations."""

from __future__ import annotations

import pytest
import pytest_asyncio
from langchain_tests.integration_tests import RetrieversIntegrationTests

from langchain_mix import MixEmulator, MixRetriever
from langchain_mix.client import Mix


@pytest.fixture(scope="module", params=["0.5", "0.7", "0.8"])
def scene(request):
    """A server with a few files, and a client that lives as long."""
    with MixEmulator(request.param) as server, Mix(server_url=server.url) as mix:
        session_id = mix.sessions.create(title="standard").id
        for number in range(6):
            text = f"Chapter {number}. The lighthouse keeper wrote letter number {number}."
            mix.files.upload_session_file(id=session_id, file=text.encode(), file_name=f"letter_{number}.txt")
        yield mix, session_id


class TestMixRetriever(RetrieversIntegrationTests):
    @pytest_asyncio.fixture(autouse=True)
    async def _take(self, scene):
        self.scene = scene
        yield
        await scene[0].aclose()  # Connections belong to their event loop.

    @property
    def retriever_constructor(self):
        return MixRetriever

    @property
    def retriever_constructor_params(self):
        mix, session_id = self.scene
        return {"mix": mix, "session_id": session_id}

    @property
    def retriever_query_example(self):
        return "letter of the lighthouse keeper"
