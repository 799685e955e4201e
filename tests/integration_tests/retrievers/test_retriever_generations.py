"""The same behaviour by the file rules of every generation."""

from __future__ import annotations

import pytest

from langchain_mix import MixRetriever
from langchain_mix.client import Mix
from langchain_mix.protocol.api import ALL, CAPABILITIES
from langchain_mix.retrievers import MixFileLoader, upload

OTTER, BADGER = b"The otter swims by night.", b"The badger digs by night."
assert len(OTTER) == len(BADGER)


@pytest.fixture(params=ALL)
def api(request):
    return request.param


@pytest.fixture
def scene(emulator, api):
    server = emulator(api)
    with Mix(server_url=server.url) as mix:
        yield server, mix, mix.sessions.create(title="files").id


def put(mix, session_id, name, data):
    return mix.files.upload_session_file(id=session_id, file=data, file_name=name).name


def names(documents):
    return [document.metadata["file_name"] for document in documents]


def test_a_life_of_files(scene, ask):
    """New, the same, overwritten in place, private, gone: each is noticed by every generation's listing."""
    server, mix, session_id = scene
    stored = put(mix, session_id, "night walk.v2.md", OTTER)
    put(mix, session_id, "rest.md", b"Nothing of interest.")
    retriever = MixRetriever(mix=mix, session_id=session_id)
    (found,) = ask(retriever, "otter")
    assert names([found]) == [stored]
    assert found.metadata["source"] == f"{server.url}/api/sessions/{session_id}/files/{stored}"
    assert found.metadata["end_line"] == 1

    before = len(server.requests)
    retriever.refresh()
    assert [r.path.rsplit("/", 1)[1] for r in list(server.requests)[before:]] == ["files"]

    put(mix, session_id, "night walk.v2.md", BADGER)  # As many bytes, and most servers send no time.
    assert ask(retriever, "otter") == []
    assert names(ask(retriever, "badger")) == [stored]

    mix.files.delete_session_file(id=session_id, filename=stored)
    assert ask(retriever, "badger") == []
    assert retriever.report.read == ["rest.md"]


def test_a_time_of_change_is_reported_where_the_server_sends_it(scene, ask):
    _, mix, session_id = scene
    put(mix, session_id, "otter.md", OTTER)
    (found,) = ask(MixRetriever(mix=mix, session_id=session_id), "otter")
    listed = mix.files.list_session_files(id=session_id)[0]
    assert found.metadata.get("modified") == (float(listed.modified) or None)


def test_uploads_loaders_and_retriever_agree_on_names(scene, ask, tmp_path):
    _, mix, session_id = scene
    (tmp_path / "a  b.c.txt").write_bytes(OTTER)
    report = upload(tmp_path, session_id=session_id, mix=mix, progress=False)
    stored = list(report.stored.values())
    rewrites_dots = CAPABILITIES[mix.known.newest].subagents if len(mix.known) == 1 else None
    assert rewrites_dots is None or stored == (["a_b_c.txt"] if rewrites_dots else ["a_b.c.txt"])
    assert names(MixFileLoader(session_id, mix=mix).load()) == stored
    assert names(ask(MixRetriever(mix=mix, session_id=session_id), "otter")) == stored
