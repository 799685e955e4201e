"""Ranking by meaning in addition to ranking by words."""

from __future__ import annotations

import zlib

import pytest
from langchain_core.embeddings import Embeddings

from langchain_mix import MixRetriever
from langchain_mix.client import Mix
from langchain_mix.errors import MixConfigurationError

THEMES = {"dog": 0, "puppy": 0, "hound": 0, "money": 1, "cash": 1, "refund": 1, "ship": 2, "boat": 2, "vessel": 2}


class Themes(Embeddings):
    """A small model that knows which words mean the same; every call is written down."""

    def __init__(self, model="themes"):
        self.model, self.batches, self.queries, self.failure = model, [], [], None

    def embed_documents(self, texts):
        self.batches.append(list(texts))
        if self.failure is not None:
            raise self.failure
        return [self.vector(text) for text in texts]

    def embed_query(self, text):
        self.queries.append(text)
        if self.failure is not None:
            raise self.failure
        return self.vector(text)

    def vector(self, text):
        numbers = [0.0] * 3 + [0.0] * 8
        for word in text.lower().replace(".", " ").split():
            if word in THEMES:
                numbers[THEMES[word]] += 10.0
            else:
                numbers[3 + zlib.crc32(word.encode()) % 8] += 0.1
        return numbers


class Scene:
    def __init__(self, server, mix):
        self.server, self.mix = server, mix
        self.session_id = mix.sessions.create(title="embeddings").id

    def put(self, name, text):
        self.mix.files.upload_session_file(id=self.session_id, file=text.encode(), file_name=name)

    def retriever(self, **options):
        return MixRetriever(mix=self.mix, session_id=self.session_id, **options)


@pytest.fixture
def scene(emulator, store):
    server = emulator("0.8")
    store(server, {"a.txt": b"Our puppy barks.", "b.txt": b"Cash is returned.", "c.txt": b"The vessel sails."})
    with Mix(server_url=server.url) as mix:
        yield Scene(server, mix)


def names(documents):
    return [d.metadata["file_name"] for d in documents]


def test_meaning_finds_what_words_do_not(scene, ask):
    assert ask(scene.retriever(), "hound") == []
    assert names(ask(scene.retriever(embeddings=Themes(), k=1), "hound")) == ["a.txt"]


def test_both_rankings_count_by_their_weights(scene, ask):
    scene.put("d.txt", "A hound of stone, hound by name.")
    scene.put("e.txt", "dog dog dog puppy puppy")
    words = ask(scene.retriever(embeddings=Themes(), weights=(1, 0), k=1), "hound")
    meaning = ask(scene.retriever(embeddings=Themes(), weights=(0, 1), k=5), "hound")
    assert names(words) == ["d.txt"]
    assert set(names(meaning)) >= {"a.txt", "d.txt", "e.txt"}
    both = ask(scene.retriever(embeddings=Themes(), k=5), "hound")
    assert names(both)[0] == "d.txt"
    assert len({d.id for d in both}) == len(both)


def test_a_ranking_without_weight_costs_no_call_of_the_model(scene, ask):
    model = Themes()
    ask(scene.retriever(embeddings=model, weights=(1, 0)), "hound")
    assert model.batches == model.queries == []


def test_texts_go_in_batches_and_each_once(scene, ask):
    scene.put("copy.txt", "Our puppy barks.")
    model = Themes()
    retriever = scene.retriever(embeddings=model, embedding_batch=2)
    ask(retriever, "dog")
    assert [len(batch) for batch in model.batches] == [2, 1]
    ask(retriever, "dog")
    assert len(model.batches) == 2
    scene.put("new.txt", "A boat.")
    ask(retriever, "dog")
    assert model.batches[2:] == [["A boat."]]


def test_vectors_are_kept_on_disk(scene, ask, tmp_path):
    ask(scene.retriever(embeddings=Themes(), cache_dir=tmp_path), "hound")
    again = Themes()
    assert names(ask(scene.retriever(embeddings=again, cache_dir=tmp_path, k=1), "hound")) == ["a.txt"]
    assert again.batches == []
    assert again.queries == ["hound"]


@pytest.mark.parametrize("other", [{"embeddings": Themes("another")}, {"embeddings": Themes(), "embedding_name": "x"}])
def test_vectors_of_another_model_are_not_taken(scene, ask, tmp_path, other):
    ask(scene.retriever(embeddings=Themes(), cache_dir=tmp_path), "hound")
    other["embeddings"].batches.clear()
    ask(scene.retriever(**other, cache_dir=tmp_path), "hound")
    assert other["embeddings"].batches


def test_a_model_without_a_name_is_called_again(scene, ask, tmp_path):
    ask(scene.retriever(embeddings=Themes(""), cache_dir=tmp_path), "hound")
    again = Themes("")
    ask(scene.retriever(embeddings=again, cache_dir=tmp_path), "hound")
    assert again.batches


def test_a_failure_of_the_model_is_loud(scene, ask):
    model = Themes()
    model.failure = TimeoutError("the model is away")
    retriever = scene.retriever(embeddings=model)
    with pytest.raises(TimeoutError, match="away"):
        ask(retriever, "hound")
    before = len(scene.server.requests)
    model.failure = None
    assert names(ask(retriever, "hound", k=1)) == ["a.txt"]
    downloads = [r for r in list(scene.server.requests)[before:] if r.path.endswith(".txt")]
    assert len(downloads) == 1  # What had been read is not read again; only the answer is verified.


def test_a_failure_of_the_model_is_lived_with_on_request(scene, ask, caplog):
    model = Themes()
    model.failure = TimeoutError("the model is away")
    retriever = scene.retriever(embeddings=model, on_embedding_error="words")
    assert names(ask(retriever, "puppy")) == ["a.txt"]
    assert any("the model is away" in note for note in retriever.report.notes)
    assert "the model is away" in caplog.text
    model.failure = None
    assert names(ask(retriever, "hound", k=1)) == ["a.txt"]
    model.failure = ConnectionError("away again")
    assert names(ask(retriever, "puppy")) == ["a.txt"]
    assert any("away again" in note for note in retriever.report.notes)


@pytest.mark.parametrize(
    "answer", [lambda texts: [[1.0]], lambda texts: [[float("nan")]] * len(texts), lambda texts: [[]] * len(texts)]
)
def test_answers_that_are_no_vectors_are_refused(scene, ask, answer):
    class Broken(Themes):
        def embed_documents(self, texts):
            return answer(texts)

    with pytest.raises(MixConfigurationError, match="embedding model"):
        ask(scene.retriever(embeddings=Broken()), "hound")


def test_filters_hold_for_meaning_too(scene, ask):
    retriever = scene.retriever(embeddings=Themes(), k=1)
    assert names(ask(retriever, "hound", exclude="a.txt")) != ["a.txt"]


def test_what_changed_in_place_is_embedded_again(scene, ask):
    retriever = scene.retriever(embeddings=Themes(), k=1)
    assert names(ask(retriever, "hound")) == ["a.txt"]
    scene.put("a.txt", "Our table barks.")
    scene.put("b.txt", "Puppy is returned.")
    (found,) = ask(retriever, "hound")
    assert found.page_content == "Puppy is returned."


class Cut(Themes):
    """The same model with vectors of another size; `setting` is what its class calls that."""

    def __init__(self, size, setting="size", value=None):
        super().__init__()
        self.size = size
        setattr(self, setting, size if value is None else value)

    def vector(self, text):
        return super().vector(text)[: self.size]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("output_dimensionality", None),
        ("dimensions", None),
        ("truncate_dim", None),
        ("encode_kwargs", {"normalize_embeddings": True, "token": object()}),
        ("unknown_to_us", None),
    ],
)
def test_another_form_of_a_model_starts_a_new_index(scene, ask, tmp_path, setting, value):
    ask(scene.retriever(embeddings=Cut(11, setting), cache_dir=tmp_path), "hound")
    other = Cut(4, setting, value)
    retriever = scene.retriever(embeddings=other, cache_dir=tmp_path, k=1)
    assert names(ask(retriever, "hound")) == ["a.txt"]
    assert other.batches
    again = Cut(4, setting, value)
    scene.put("new.txt", "A boat.")
    assert names(ask(scene.retriever(embeddings=again, cache_dir=tmp_path, k=1), "hound")) == ["a.txt"]
    assert again.batches == [["A boat."]], "what the new form gave is kept"


def test_new_texts_of_another_form_of_a_model_are_not_mixed_with_old_ones(scene, ask, tmp_path):
    ask(scene.retriever(embeddings=Cut(11), cache_dir=tmp_path), "hound")
    scene.put("new.txt", "A boat.")
    other = Cut(4)
    assert names(ask(scene.retriever(embeddings=other, cache_dir=tmp_path, k=1), "hound")) == ["a.txt"]
    assert other.batches[0] == ["A boat."]
    assert sum(map(len, other.batches)) > 1


def test_a_model_that_gives_queries_another_size_is_reported_each_time_and_embeds_no_text_again(scene, ask):
    class Uneven(Themes):
        def embed_query(self, text):
            return super().embed_query(text)[:2]

    model = Uneven()
    retriever = scene.retriever(embeddings=model)
    for _ in range(2):
        with pytest.raises(MixConfigurationError, match="has 2 numbers, those of the texts 11"):
            ask(retriever, "hound")
    assert len(model.batches) == 1
