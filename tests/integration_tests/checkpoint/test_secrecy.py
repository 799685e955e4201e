"""Files on the server that were changed, swapped, lost or left in the open."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langchain_mix import MixEmulator, MixSaver
from langchain_mix.checkpoint.names import parse
from langchain_mix.checkpoint.state import StoreSettings
from langchain_mix.errors import MixCheckpointDamaged
from langchain_mix.reserved_files import is_reserved

A = {"configurable": {"thread_id": "thread-of-quetzalcoatl", "checkpoint_ns": "space-of-xolotl"}}
SMALL = StoreSettings(segment_entries=4, rereads=1, reread_pause=0.001)
"""Settings with which a few checkpoints make files of all kinds."""

COUNT = 6


@pytest.fixture
def server():
    with MixEmulator(api="0.8") as server:
        yield server


def encrypted(key=b"0123456789abcdef"):
    return EncryptedSerializer.from_pycryptodome_aes(JsonPlusSerializer(allowed_msgpack_modules=None), key=key)


def fill(saver, config=A, count=COUNT):
    for step in range(count):
        checkpoint = {**empty_checkpoint(), "id": str(uuid6(clock_seq=-1))}
        checkpoint["channel_values"] = {"messages": [AIMessage(f"word-of-tlaloc {step}")], "big": "b" * 2000}
        checkpoint["channel_versions"] = {"messages": f"{step}", "big": "1"}
        here = saver.put(config, checkpoint, {"note": "meta-of-mictlan", "step": step}, checkpoint["channel_versions"])
        saver.put_writes(here, [("messages", "write-of-tezcatlipoca")], "task-of-coatlicue")


def stored(server):
    """The store's files on the server's disk, by name."""
    return {p.name: p for p in server.data_dir.rglob("*") if p.is_file() and is_reserved(p.name)}


WORDS = [b"quetzalcoatl", b"xolotl", b"tlaloc", b"mictlan", b"tezcatlipoca", b"coatlicue", b"messages"]


def test_what_is_encrypted_cannot_be_read_on_the_servers_disk(server):
    with MixSaver(server.url, serde=encrypted(), store=SMALL) as saver:
        fill(saver)
        for path in server.data_dir.rglob("*"):
            if path.is_file():
                assert not [word for word in WORDS if word in path.read_bytes() or word in path.name.encode()]
        assert len(stored(server)) > 4
    with MixSaver(server.url, serde=encrypted(), store=SMALL) as other:
        found = list(other.list(A))
        assert len(found) == COUNT
        assert found[0].pending_writes == [("task-of-coatlicue", "messages", "write-of-tezcatlipoca")]
        assert found[0].checkpoint["channel_values"]["messages"] == [AIMessage(f"word-of-tlaloc {COUNT - 1}")]
        assert [t.config["configurable"]["thread_id"] for t in other.list(None, limit=1)] == ["thread-of-quetzalcoatl"]


def test_without_a_cipher_it_can(server):
    """The test above can fail."""
    with MixSaver(server.url, store=SMALL) as saver:
        fill(saver)
    together = b"".join(path.read_bytes() for path in stored(server).values())
    assert all(word in together for word in WORDS)


def test_with_a_saver_underneath_the_server_holds_none_of_it(server):
    with MixSaver(server.url, storage=InMemorySaver()) as saver:
        fill(saver)
        assert len(list(saver.list(A))) == COUNT
    assert server.requests == []
    assert stored(server) == {}


def test_what_is_plain_is_refused_by_who_encrypts(server):
    with MixSaver(server.url, store=SMALL) as plain:
        fill(plain)
    with MixSaver(server.url, serde=encrypted(), store=SMALL) as saver:
        with pytest.raises(MixCheckpointDamaged, match="not encrypted"):
            saver.get_tuple(A)
        with pytest.raises(MixCheckpointDamaged):
            fill(saver, count=1)


@pytest.mark.parametrize("serde", [None, encrypted(b"fedcba9876543210")], ids=["none", "another"])
def test_without_the_key_nothing_is_read_or_written(server, serde):
    with MixSaver(server.url, serde=encrypted(), store=SMALL) as saver:
        fill(saver)
    before = {name: path.read_bytes() for name, path in stored(server).items()}
    with MixSaver(server.url, serde=serde, store=SMALL) as saver, pytest.raises(MixCheckpointDamaged, match="crypt"):
        saver.get_tuple(A)
    assert {name: path.read_bytes() for name, path in stored(server).items()} == before


def read_all(server, serde):
    """All that a new process reads of the thread."""
    with MixSaver(server.url, serde=serde, store=SMALL) as saver:
        found = list(saver.list(A))
        assert saver.get_tuple(A) == (found[0] if found else None)
        return found


def damage_noticed(server, serde, expected):
    """Reads with a damaged file: gives the error, or None if nothing but what is right was read."""
    try:
        assert read_all(server, serde) == expected  # Files that only writers need: owner file and epoch markers.
    except MixCheckpointDamaged as problem:
        return problem
    return None


def flipped(data):
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


DAMAGES = {
    "changed": flipped,
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"x",
}


@pytest.mark.parametrize(
    ("damage", "serde"),
    [
        pytest.param(
            damage,
            encrypted() if hidden else None,
            id=f"{name}-{'encrypted' if hidden else 'plain'}",
            # Of the others by default in memory: see `unit_tests/checkpoint/test_damage.py`.
            marks=[] if (name, hidden) in {("changed", False), ("cut", True)} else pytest.mark.exhaustive,
        )
        for name, damage in DAMAGES.items()
        for hidden in (False, True)
    ],
)
def test_a_damaged_file_is_named_and_never_read_as_something_else(server, damage, serde):
    with MixSaver(server.url, serde=serde, store=SMALL) as saver:
        fill(saver)
    expected = read_all(server, serde)
    noticed = {}
    for name, path in stored(server).items():
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        if problem := damage_noticed(server, serde, expected):
            noticed[name] = problem
        path.write_bytes(whole)
    assert len(noticed) >= 3
    assert all(name in str(problem) and "repair" in problem.hint for name, problem in noticed.items())
    assert read_all(server, serde) == expected


@pytest.mark.parametrize(
    "serde", [None, pytest.param(encrypted(), marks=pytest.mark.exhaustive)], ids=["plain", "encrypted"]
)
def test_a_missing_file_is_named(server, serde):
    with MixSaver(server.url, serde=serde, store=SMALL) as saver:
        fill(saver)
    expected = read_all(server, serde)
    noticed = {}
    for name, path in stored(server).items():
        if name.endswith("-r"):
            continue
        whole = path.read_bytes()
        path.unlink()
        if problem := damage_noticed(server, serde, expected):
            noticed[name] = problem
        path.write_bytes(whole)
    assert len(noticed) >= 3
    assert all(name in str(problem) for name, problem in noticed.items())


def test_a_thread_whose_owner_file_is_missing_is_found_by_its_next_writer(server):
    """Readers get an error; nothing of it is lost."""
    with MixSaver(server.url, store=SMALL) as saver:
        fill(saver)
    (register,) = [path for name, path in stored(server).items() if name.endswith("-r")]
    register.unlink()
    with pytest.raises(MixCheckpointDamaged, match="is missing") as raised:
        read_all(server, None)
    assert raised.value.document == register.name
    with MixSaver(server.url, store=SMALL) as saver:
        fill(saver, count=1)
    assert len(read_all(server, None)) == COUNT + 1


def test_swapped_files_are_noticed(server):
    other = {"configurable": {"thread_id": "other", "checkpoint_ns": "space-of-xolotl"}}
    with MixSaver(server.url, store=SMALL) as saver:
        fill(saver)
        mine = set(stored(server))
        fill(saver, other)
    files = stored(server)
    expected = read_all(server, None)
    noticed = []
    for name in sorted(mine):
        whole = files[name].read_bytes()
        stranger = next(one for one in sorted(files) if one not in mine and parse(one).kind == parse(name).kind)
        files[name].write_bytes(files[stranger].read_bytes())
        if problem := damage_noticed(server, None, expected):
            noticed.append((name, problem))
        files[name].write_bytes(whole)
    assert len(noticed) >= 3
    assert all(name in str(problem) for name, problem in noticed)
