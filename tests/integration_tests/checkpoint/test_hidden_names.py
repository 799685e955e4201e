"""Agents do not meet the files of checkpoints, and threads that earlier versions have stored are moved out of sight."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.errors import MixStoreError
from langchain_mix.protocol import calls
from tests.earlier_names import as_an_earlier_version

A = {"configurable": {"thread_id": "a", "checkpoint_ns": ""}}
QUESTION = "Which files are there, and what is in them?"


def checkpoint(number):
    return {**empty_checkpoint(), "id": f"{number:08}", "channel_values": {"x": f"unmistakable {number}"}}


def put(saver, number):
    made = checkpoint(number)
    made["channel_versions"] = {"x": number}
    saver.put(A, made, {"step": number}, {"x": number})


def listed(saver):
    session_files = saver._connection.session_files
    return [one.name for one in saver.mix.run(session_files.listing())]


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.7", "0.8"])
def test_an_agent_that_looks_around_does_not_meet_them(api):
    with MixEmulator(api=api) as server, MixSaver(server.url, api=api) as saver:
        put(saver, 1)
        names = listed(saver)
        assert names
        assert all(name.startswith(".langchain-mix-ckpt-") for name in names)
        reply = ChatMix(server_url=server.url, api=api).invoke(QUESTION).text
        assert "langchain-mix-ckpt" not in reply
        assert "unmistakable" not in reply
        with MixSaver(server.url, api=api) as other:
            assert other.get_tuple(A).checkpoint["channel_values"] == {"x": "unmistakable 1"}


@pytest.mark.parametrize("api", ["0.5", "0.8"])
def test_a_thread_of_an_earlier_version_goes_on_and_leaves_the_agents_sight(api):
    with MixEmulator(api=api) as server:
        with as_an_earlier_version(), MixSaver(server.url, api=api) as saver:
            put(saver, 1)
            assert all(name.startswith("langchain-mix-ckpt-") for name in listed(saver))
        assert "langchain-mix-ckpt" in ChatMix(server_url=server.url, api=api).invoke(QUESTION).text
        with MixSaver(server.url, api=api) as saver:
            assert saver.get_tuple(A).checkpoint["channel_values"] == {"x": "unmistakable 1"}
            put(saver, 2)
            assert all(name.startswith(".langchain-mix-ckpt-") for name in listed(saver))
            assert [one.metadata["step"] for one in saver.list(A)] == [2, 1]
        assert "langchain-mix-ckpt" not in ChatMix(server_url=server.url, api=api).invoke(QUESTION).text


async def test_it_is_moved_asynchronously_too():
    with MixEmulator(api="0.8") as server:
        with as_an_earlier_version(), MixSaver(server.url) as saver:
            put(saver, 1)
        async with MixSaver(server.url) as saver:
            assert (await saver.aget_tuple(A)).checkpoint["id"] == "00000001"
            await saver.adelete_thread("a")
            assert await saver.aget_tuple(A) is None
            assert not [name for name in listed(saver) if not name.startswith(".")]


def test_a_server_that_takes_the_dot_away_is_reported_before_anything_counts(monkeypatch):
    upload = calls.upload_file

    def rewritten(session_id, part):
        return upload(session_id, type(part)(part.name.lstrip("."), part.content))

    with MixEmulator(api="0.8") as server, MixSaver(server.url) as saver:
        monkeypatch.setattr(calls, "upload_file", rewritten)
        with pytest.raises(MixStoreError, match=r"stored \.langchain-mix-ckpt-"):
            put(saver, 1)
