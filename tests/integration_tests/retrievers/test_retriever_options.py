"""Options of a retriever, configurations of a run, callbacks, copies."""

from __future__ import annotations

import asyncio
import copy
import pickle
from uuid import uuid4

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.documents import Document
from pydantic import ValidationError

from langchain_mix import MixEmulator, MixRetriever
from langchain_mix.client import Mix
from langchain_mix.errors import MixConfigurationError, MixError, MixInputError, MixUsageError
from langchain_mix.retrievers import Selection


@pytest.fixture
def server(emulator):
    return emulator("0.8")


@pytest.fixture
def session_id(server, store):
    store(server, {f"note{n}.txt": f"Note {n} about the harbour and its cranes.".encode() for n in range(8)})
    with Mix(server_url=server.url) as mix:
        return mix.sessions.create(title="options").id


@pytest.fixture
def opened():
    """Makes retrievers and closes them."""
    made = []

    def make(**options):
        made.append(MixRetriever(**options))
        return made[-1]

    yield make
    for retriever in made:
        retriever.client.close()


async def closing(retriever, work):
    try:
        return await work
    finally:
        await retriever.client.aclose()


def test_four_documents_by_default(server, session_id, opened):
    retriever = opened(server_url=server.url, session_id=session_id)
    assert len(retriever.invoke("harbour")) == 4
    assert len(retriever.invoke("harbour", k=1)) == 1
    assert len(opened(server_url=server.url, session_id=session_id, k=7).invoke("harbour")) == 7
    assert [d.metadata["rank"] for d in retriever.invoke("harbour")] == [1, 2, 3, 4]


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "4"])
def test_k_is_a_number_of_documents(server, session_id, opened, k):
    retriever = opened(server_url=server.url, session_id=session_id)
    with pytest.raises(MixInputError, match="`k`"):
        retriever.invoke("harbour", k=k)


@pytest.mark.parametrize("query", [None, 3, {"question": "x"}, ["x"]])
def test_a_query_is_a_text(server, session_id, opened, query):
    with pytest.raises(MixInputError, match="not a text"):
        opened(server_url=server.url, session_id=session_id).invoke(query)


def test_the_configuration_of_a_run_names_the_session(server, session_id, opened):
    retriever = opened(server_url=server.url)
    with pytest.raises(MixInputError, match="no session"):
        retriever.invoke("harbour")
    config = {"configurable": {"mix_session_id": session_id}}
    assert retriever.invoke("harbour", config)[0].metadata["session_id"] == session_id
    found = asyncio.run(closing(retriever, retriever.ainvoke("harbour", config)))
    assert found[0].metadata["session_id"] == session_id
    assert retriever.refresh(session_id=session_id).chunks == 8
    assert asyncio.run(closing(retriever, retriever.arefresh(session_id=session_id))).chunks == 8


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"chunk_size": 0},
        {"chunk_size": 10, "chunk_overlap": 10},
        {"weights": (0, 0)},
        {"weights": (-1, 1)},
        {"weights": (float("nan"), 1)},
        {"verify": "sometimes"},
        {"verify": -1},
        {"on_problem": "ignore"},
        {"on_embedding_error": "ignore"},
        {"embedding_batch": 0},
        {"include": "*.md", "selection": Selection()},
        {"api_key": "k", "server_url": "http://user:word@localhost:1"},
        {"unknown": 1},
    ],
)
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises((ValidationError, ValueError)):
        MixRetriever(**options)


def test_secrets_are_not_shown_and_are_sent(server, session_id, opened):
    address = server.url.replace("http://", "http://user:hidden@")
    retriever = opened(server_url=address, session_id=session_id)
    assert "hidden" not in repr(retriever)
    retriever.invoke("harbour")
    assert server.requests[-1].headers["authorization"].startswith("Basic ")
    keyed = opened(server_url=server.url, session_id=session_id, api_key="hidden")
    assert "hidden" not in repr(keyed)
    keyed.invoke("harbour")
    assert server.requests[-1].headers["authorization"] == "Bearer hidden"


def test_the_environment_has_the_defaults(server, session_id, opened, monkeypatch):
    monkeypatch.setenv("MIX_SERVER_URL", server.url)
    monkeypatch.setenv("MIX_API_KEY", "hidden")
    retriever = opened(session_id=session_id)
    assert retriever.invoke("harbour")
    assert server.requests[-1].headers["authorization"] == "Bearer hidden"


def test_generation_timeout_and_retries_reach_the_client(server, opened):
    retriever = opened(server_url=server.url, api="0.7", timeout=2.5, max_retries=0)
    settings = retriever.client._core.settings
    assert str(retriever.client.api) == "0.7"
    assert settings.timeout == 2.5
    assert settings.retry.max_attempts == 1


def test_another_server_gets_another_client(server, session_id, opened):
    retriever = opened(server_url=server.url, session_id=session_id)
    retriever.invoke("harbour")
    retriever.client.close()
    with MixEmulator("0.8") as other, Mix(server_url=other.url) as mix:
        retriever.server_url = other.url
        assert retriever.invoke("harbour", session_id=mix.sessions.create(title="empty").id) == []


def test_a_client_of_ones_own_is_used(server, session_id):
    with Mix(server_url=server.url) as mix:
        retriever = MixRetriever(mix=mix, session_id=session_id)
        assert retriever.client is mix
        assert retriever.invoke("harbour")


class Told(BaseCallbackHandler):
    def __init__(self):
        self.events = []

    def on_retriever_start(self, serialized, query, *, run_id, **rest):
        self.events.append(("start", query, run_id))

    def on_retriever_end(self, documents, *, run_id, **rest):
        self.events.append(("end", len(documents), run_id))

    def on_retriever_error(self, error, *, run_id, **rest):
        self.events.append(("error", type(error).__name__, run_id))


class AsyncTold(AsyncCallbackHandler):
    def __init__(self):
        self.events = []

    async def on_retriever_start(self, serialized, query, *, run_id, **rest):
        self.events.append(("start", query, run_id))

    async def on_retriever_end(self, documents, *, run_id, **rest):
        self.events.append(("end", len(documents), run_id))

    async def on_retriever_error(self, error, *, run_id, **rest):
        self.events.append(("error", type(error).__name__, run_id))


def test_callbacks_are_reported_once(server, session_id, opened):
    retriever, told, run_id = opened(server_url=server.url, session_id=session_id), Told(), uuid4()
    retriever.invoke("harbour", {"callbacks": [told]}, k=2, run_id=run_id)
    assert told.events == [("start", "harbour", run_id), ("end", 2, run_id)]
    async_told = AsyncTold()
    asyncio.run(closing(retriever, retriever.ainvoke("harbour", {"callbacks": [async_told]}, run_id=run_id)))
    assert async_told.events == [("start", "harbour", run_id), ("end", 4, run_id)]


def test_callbacks_are_reported_of_failures(server, session_id, opened):
    retriever, told = opened(server_url=server.url, session_id=session_id, max_retries=0), Told()
    with pytest.raises(MixInputError):
        retriever.invoke("harbour", {"callbacks": [told]}, k=0)
    assert [event[:2] for event in told.events] == [("start", "harbour"), ("error", "MixInputError")]


def test_batches_share_the_index(server, session_id, opened):
    retriever = opened(server_url=server.url, session_id=session_id, verify="listing")
    answers = retriever.batch(["harbour", "cranes", "nothing here"], {"max_concurrency": 3})
    assert [len(a) for a in answers] == [4, 4, 0]
    downloads = [r for r in server.requests if "/files/note" in r.path]
    assert len(downloads) == 8


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])  # noqa: S301  # Its own.
def test_copies_work_and_follow_their_own_fields(server, session_id, opened, copied):
    retriever = opened(server_url=server.url, session_id=session_id, include="note1*")
    retriever.invoke("harbour")
    other = copied(retriever)
    try:
        assert [d.metadata["file_name"] for d in other.invoke("harbour")] == ["note1.txt"]
        other.include = ("note2*",)
        assert [d.metadata["file_name"] for d in other.invoke("harbour")] == ["note2.txt"]
        assert [d.metadata["file_name"] for d in retriever.invoke("harbour")] == ["note1.txt"]
    finally:
        other.client.close()


def test_a_server_that_refuses_one_file_costs_that_file(session_id, server, opened):
    retriever = opened(server_url=server.url, session_id=session_id, max_retries=0)
    target = server.data_dir / "uploads" / "note3.txt"
    retriever.refresh()
    target.unlink()
    assert "note3.txt" not in {d.metadata["file_name"] for d in retriever.invoke("harbour", k=20)}


def test_documents_are_documents(server, session_id, opened):
    found = opened(server_url=server.url, session_id=session_id).invoke("harbour")
    assert all(isinstance(d, Document) and d.id for d in found)
    assert len({d.id for d in found}) == 4


def test_errors_are_errors_of_this_package(session_id, opened):
    retriever = opened(server_url="http://127.0.0.1:9", session_id=session_id, max_retries=0)
    with pytest.raises(MixError) as caught:
        retriever.invoke("x")
    assert caught.value.sent
    assert caught.value.acted == "no"


def test_a_client_of_ones_own_is_shared_by_copies_and_never_pickled(server, session_id):
    with Mix(server_url=server.url) as mix:
        retriever = MixRetriever(mix=mix, session_id=session_id)
        copied = copy.deepcopy(retriever)
        assert copied.client is mix
        assert len(copied.invoke("harbour")) == len(retriever.invoke("harbour")) == 4
        with pytest.raises(MixConfigurationError, match="server_url"):
            pickle.dumps(retriever)


@pytest.mark.parametrize(
    "options", [{"inclde": "*.md"}, {"include": 5}, {"session_id": 5}, {"exclude": [""]}, {"include": [None]}]
)
def test_options_of_a_call_that_are_none_are_refused(server, session_id, opened, options):
    retriever = opened(server_url=server.url, session_id=session_id)
    before = len(server.requests)
    with pytest.raises(MixUsageError):
        retriever.invoke("harbour", **options)
    assert len(server.requests) == before


def test_a_number_of_documents_that_was_set_later_is_checked_too(server, session_id, opened):
    retriever = opened(server_url=server.url, session_id=session_id)
    retriever.k = 0
    with pytest.raises(MixInputError, match="at least 1"):
        retriever.invoke("harbour")


@pytest.mark.parametrize("query", ["harbour " * 12_500, " ".join(f"word{n}" for n in range(13_000)) + " harbour"])
def test_queries_of_any_length_are_answered(server, session_id, opened, query):
    assert len(query) >= 99_000
    assert len(opened(server_url=server.url, session_id=session_id).invoke(query, k=10**12)) == 8


def test_the_forms_of_a_word_are_one_with_stemming(server, session_id, opened):
    """The passage is the file's own text, and its place is where it is in the file."""
    text = "Zuerst etwas anderes.\n\nDie alten Häuser am Fluss wurden trockengelegt.\n"
    with Mix(server_url=server.url) as mix:
        mix.files.upload_session_file(id=session_id, file=text.encode(), file_name="fluss.txt")
    options = {"server_url": server.url, "session_id": session_id, "chunk_size": 60, "chunk_overlap": 0}
    assert opened(**options).invoke("Haus trockenlegen") == []
    (found,) = opened(**options, stemming="german").invoke("Haus")
    start, end = found.metadata["start_index"], found.metadata["end_index"]
    assert found.page_content == text[start:end] == "Die alten Häuser am Fluss wurden trockengelegt."


@pytest.mark.parametrize("language", ["klingon", "German", ""])
def test_an_unknown_language_is_refused_with_those_that_are_known(language):
    with pytest.raises(ValidationError, match=r"`stemming` is .*arabic, .*german, .*yiddish"):
        MixRetriever(stemming=language)
