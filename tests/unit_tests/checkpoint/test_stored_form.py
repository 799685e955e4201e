"""What is stored stays byte for byte what it was: earlier and later versions of this package read the same files."""

from __future__ import annotations

import hashlib

from tests.earlier_names import steps_of_an_earlier_version as earlier


def test_the_files_of_a_life_are_the_same_as_ever(kit):
    """A change of this digest is a change of the stored form, which takes a new mark (`encoding.py`)."""
    world = kit.World(segment_entries=3, segment_bytes=2000, blob_bytes=200)
    for epoch in range(4):
        store = world.store()
        for step in range(6):
            number = epoch * 10 + step
            values = {"big": b"\xa5" * 300, "messages": b"\x92" + b"hello" * 20 + b"%d" % number}
            world.run(store.append("t", [kit.checkpoint(number, values=values), kit.writes(number)]))
    world.run(earlier(world.store().append("old", [kit.checkpoint(1)])))
    world.run(world.store().append("old", [kit.checkpoint(2)]))
    store = world.store()
    for number in range(300):
        world.run(store.append("u", [kit.checkpoint(number)]))
    whole = hashlib.sha256()
    for name, data in sorted(world.server.files.items()):
        whole.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    assert len(world.server.files) == 132
    assert whole.hexdigest() == "1876b22fdb9f3c7fe0bc0cdd25a81ae93f974738e4fb85e91e48bd551178f5f0"
