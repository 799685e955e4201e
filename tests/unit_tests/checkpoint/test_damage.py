"""Documents that are torn, tampered with, swapped or missing: reported by name, never skipped, and repaired."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.encoding import NO_ENCRYPTION, CipherEncryption, pack
from langchain_mix.checkpoint.runtime import AcquireLock, Pause
from langchain_mix.errors import MixCheckpointDamaged, MixConnectionError, MixError
from langchain_mix.protocol.call import Together

KEY = names.key_of("t")
OWNER_FILE = names.owner(KEY)
COPY0, COPY1 = names.manifest(KEY, 0, 0), names.manifest(KEY, 0, 1)


class Rot:
    def __init__(self, key=1):
        self.key = key

    def encrypt(self, plaintext):
        return "rot", bytes([self.key]) + bytes(b ^ 0x55 for b in plaintext)

    def decrypt(self, ciphername, ciphertext):
        if ciphertext[0] != self.key:
            raise ValueError("MAC check failed")
        return bytes(b ^ 0x55 for b in ciphertext[1:])


def built(kit, count=12, thread="t", **more):
    """A thread whose files are of all kinds: entries, an index, and a big value."""
    world = kit.World(segment_entries=2, blob_bytes=300, **more)
    store = world.store()
    for n in range(count):
        world.run(store.append(thread, [kit.checkpoint(n, values={"x": b"z" * 300, "n": b"%d" % n})]))
    return world


def kinds(world):
    return {name: names.parse(name).kind for name in world.server.files}


def named(world, kind):
    return sorted(name for name, one in kinds(world).items() if one == kind)


def everything(world, **settings):
    """All ways of reading, by somebody who remembers nothing."""
    return [
        world.run(world.store(**settings).find("t", "", None)),
        world.run(world.store(**settings).entries("t")),
        world.run(world.store(**settings).page("t", ns=None, limit=99))[0],
    ]


@pytest.mark.parametrize("kind", ["manifest", "segment", "blob"])
def test_a_changed_document_is_reported_by_its_name(kit, kind):
    world = built(kit)
    good = everything(world)
    for name in named(world, kind):
        data = world.server.files[name]
        spoiled = [b"", data[:-1], data[: len(data) // 2], data + b"x", data[:-1] + bytes([data[-1] ^ 1])]
        for bad in spoiled:
            world.server.files[name] = bad
            with pytest.raises(MixCheckpointDamaged) as raised:
                everything(world)
            assert raised.value.document == name
            assert name in str(raised.value)
            assert "repair" in raised.value.hint
        world.server.files[name] = data
    assert everything(world) == good


@settings(max_examples=60)
@given(data=st.data())
def test_one_wrong_byte_anywhere_never_gives_other_data(kit, data):
    world = built(kit, 6)
    good = everything(world)
    name = data.draw(st.sampled_from(sorted(world.server.files)))
    whole = world.server.files[name]
    at = data.draw(st.integers(0, len(whole) - 1))
    world.server.files[name] = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    found = None
    with contextlib.suppress(MixCheckpointDamaged):
        found = everything(world)
    assert found is None or found == good


@pytest.mark.parametrize("kind", ["segment", "blob"])
def test_a_missing_document_is_reported_by_its_name(kit, kind):
    world = built(kit)
    for name in named(world, kind):
        data = world.server.files.pop(name)
        with pytest.raises(MixCheckpointDamaged, match=f"{name} is missing"):
            everything(world)
        world.server.files[name] = data


def test_an_index_is_checked_too(kit):
    world = kit.World(segment_entries=1)
    store = world.store()
    for n in range(70):
        world.run(store.append("t", [kit.checkpoint(n)]))
    (name,) = named(world, "index")
    data = world.server.files[name]
    for bad in (data[:-1], None):
        world.server.files.pop(name)
        if bad is not None:
            world.server.files[name] = bad
        with pytest.raises(MixCheckpointDamaged, match=name):
            world.run(world.store().find("t", "", "00000003"))
    assert world.run(world.store().find("t", "", None)).record == kit.checkpoint(69), "it does not need the index"


def test_another_document_of_the_same_name_is_reported(kit):
    world = built(kit)
    for name, body in ((named(world, "segment")[0], [[]]), (named(world, "blob")[0], [b"other"])):
        data = world.server.files[name]
        world.server.files[name] = pack(name, names.parse(name).kind, body, NO_ENCRYPTION)
        with pytest.raises(MixCheckpointDamaged, match=f"{name} is not what it was"):
            everything(world)
        world.server.files[name] = data


def test_swapped_documents_are_reported(kit):
    world = built(kit)
    world.run(world.store().append("u", [kit.checkpoint(1)]))
    segments = named(world, "segment")
    pairs = [
        (segments[0], segments[1]),
        (COPY0, COPY1),
        (COPY0, names.manifest(names.key_of("u"), 0, 0)),
        (OWNER_FILE, names.owner(names.key_of("u"))),
        (COPY1, segments[0]),
    ]
    for one, other in pairs:
        files = dict(world.server.files)
        world.server.files[one] = files[other]
        with pytest.raises(MixCheckpointDamaged) as raised:
            everything(world)
        assert raised.value.document == one
        world.server.files = files


@pytest.mark.parametrize("slot", [COPY0, COPY1])
def test_the_other_copy_is_never_taken_silently(kit, slot):
    world = kit.World()
    store = world.store()
    for n in range(4):
        world.run(store.append("t", [kit.checkpoint(n)]))
    world.server.files.pop(slot)
    with pytest.raises(MixCheckpointDamaged, match=slot):
        world.read()


def test_a_copy_that_is_much_older_than_the_other_is_reported(kit):
    world = kit.World()
    store = world.store()
    world.run(store.append("t", [kit.checkpoint(0)]))
    old = world.server.files[COPY0]
    for n in range(1, 4):
        world.run(store.append("t", [kit.checkpoint(n)]))
    world.server.files[COPY0] = old
    with pytest.raises(MixCheckpointDamaged, match=f"{COPY0} is not what precedes version 3"):
        world.read()


def test_an_overwrite_that_ends_in_time_is_waited_for(kit):
    world = kit.World(rereads=3)
    writer = world.store()
    world.run(writer.append("t", [kit.checkpoint(1)]))
    process = world.process("w", writer.append("t", [kit.checkpoint(2)]))
    process.waiting()
    process.step("torn")
    reader = world.process("r", world.store().entries("t"))
    for _ in range(6):
        assert reader.waiting() is not None
        reader.step()
    process.step()
    assert reader.run() == [kit.checkpoint(1), kit.checkpoint(2)]


@pytest.mark.parametrize("rereads", [0, 1, 5])
def test_torn_documents_are_read_again_as_often_as_wished(kit, rereads):
    world = kit.World(rereads=rereads)
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    world.server.files[COPY0] = b""
    world.server.log.clear()
    reader = world.store()
    with pytest.raises(MixCheckpointDamaged):
        world.run(reader._documents.manifest(KEY, 0))
    assert world.server.log.count(f"GET /api/sessions/{kit.session}/files/{COPY0}") == max(rereads, 1) + 1
    world.server.log.clear()
    world.server.files[OWNER_FILE] = b""
    with pytest.raises(MixCheckpointDamaged):
        world.run(reader._documents.settled_owner(KEY))
    assert len(world.server.log) == rereads + 1


def test_the_pause_before_reading_again_is_as_long_as_wished(kit):
    world = kit.World(reread_pause=0.125)
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    world.server.files[OWNER_FILE] = b""
    steps = world.store()._documents.settled_owner(KEY)
    step = steps.send(None)
    step = steps.send(world.server.answer(step)) if not isinstance(step, Pause) else step
    assert step == Pause(0.125)


@pytest.mark.parametrize("bad", [b"", b"LCMIX1\nxxxx", None])
def test_an_owner_file_that_cannot_be_read_locks_nobody_out(kit, bad):
    world = kit.World()
    owner = world.store()
    world.run(owner.append("t", [kit.checkpoint(1)]))
    if bad is None:
        world.server.files[OWNER_FILE] = pack(OWNER_FILE, "owner", ["somebody who died", 0], NO_ENCRYPTION)
    else:
        world.server.files[OWNER_FILE] = bad
    assert world.read() == [kit.checkpoint(1)]
    assert world.run(owner.find("t", "", None)).record == kit.checkpoint(1)
    world.run(owner.append("t", [kit.checkpoint(2)]))
    assert world.read() == [kit.checkpoint(1), kit.checkpoint(2)]


@pytest.mark.parametrize("body", [["w"], ["w", -1], [1, 2], ["w", "x"], []])
def test_a_forged_owner_file_is_reported(kit, body):
    world = kit.World()
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    world.server.files[OWNER_FILE] = pack(OWNER_FILE, "owner", body, NO_ENCRYPTION)
    with pytest.raises(MixCheckpointDamaged, match=OWNER_FILE):
        world.read()


@pytest.mark.parametrize(
    "body",
    [
        [],
        [b"t", "w", 0, 0, -1, []],
        [b"t", "w", 0, 0, -1, [7], []],
        [b"t", "w", 0, 0, -1, [], [7]],
        [b"u", "w", 0, 0, -1, [], []],
        [b"t", "w", 1, 0, -1, [], []],
        [b"t", "w", 0, 1, -1, [], []],
        [b"t", "w", 0, -2, -1, [], []],
        [b"\xff", "w", 0, 0, -1, [], []],
    ],
)
def test_a_forged_manifest_is_reported(kit, body):
    world = kit.World()
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    world.server.files[COPY0] = pack(COPY0, "manifest", body, NO_ENCRYPTION)
    with pytest.raises(MixCheckpointDamaged, match=COPY0):
        world.read()


# Encryption


def test_nothing_readable_is_on_an_encrypted_server(kit):
    world = kit.World(encryption=CipherEncryption(Rot()), segment_entries=2, blob_bytes=50)
    store = world.store()
    for n in range(6):
        world.run(
            store.append("secret-thread", [kit.checkpoint(n, "secret-ns", values={"secret-channel": b"secret" * 20})])
        )
    assert not any(b"secret" in data for data in world.server.files.values())
    assert not any("secret" in name for name in world.server.files)
    assert len(world.read("secret-thread")) == 6
    assert world.run(world.store().thread_ids()) == ["secret-thread"]


@pytest.mark.parametrize("encryption", [NO_ENCRYPTION, CipherEncryption(Rot(2))])
def test_without_the_key_nothing_is_read_written_or_repaired(kit, encryption):
    world = built(kit, encryption=CipherEncryption(Rot()))
    files = dict(world.server.files)

    def stranger():
        return world.store(encryption=encryption)

    for steps in (
        stranger().find("t", "", None),
        stranger().append("t", [kit.checkpoint(1)]),
        stranger().rewrite("t", lambda _: []),
        stranger().repair("t", dry_run=False),
        stranger().thread_ids(),
    ):
        with pytest.raises(MixCheckpointDamaged, match=f"{OWNER_FILE}|{COPY0}"):
            world.run(steps)
    assert world.server.files == files


def test_plaintext_is_refused_where_there_is_a_key(kit):
    world = built(kit)
    with pytest.raises(MixCheckpointDamaged, match="is not encrypted"):
        world.run(world.store(encryption=CipherEncryption(Rot())).find("t", "", None))


# Repair


def repaired(world, thread="t", **more):
    plan = world.run(world.store().repair(thread))
    assert plan.dry_run
    done = world.run(world.store().repair(thread, dry_run=False, **more))
    assert not done.dry_run
    assert [step for step in done.steps if step.action != "deleted"] == list(plan.steps)
    return done


def test_a_whole_thread_needs_no_repair(kit):
    world = built(kit)
    files = dict(world.server.files)
    assert repaired(world).steps == ()
    assert repaired(world, None).steps == ()
    assert world.server.files == files


def test_a_dry_run_changes_nothing(kit):
    world = built(kit)
    world.server.files[COPY1] = b"torn"
    files = dict(world.server.files)
    assert world.run(world.store().repair("t", orphans=True)).steps
    assert world.server.files == files


def test_a_torn_copy_is_repaired_from_the_other_and_it_says_so(kit):
    world = kit.World()
    store = world.store()
    for n in range(4):
        world.run(store.append("t", [kit.checkpoint(n)]))
    world.server.files[COPY1] = world.server.files[COPY1][:99]
    (step,) = repaired(world).steps
    assert (step.document, step.lost, step.key) == (COPY1, True, KEY)
    assert "version 2 of epoch 0 is used instead" in step.action
    assert world.read() == [kit.checkpoint(n) for n in range(3)]
    world.run(store.append("t", [kit.checkpoint(9)]))
    assert len(world.read()) == 4
    assert repaired(world).steps == ()


def test_a_lost_segment_costs_what_was_in_it(kit):
    world = built(kit)
    name = named(world, "segment")[2]
    del world.server.files[name]
    (step,) = repaired(world).steps
    assert step.document == name
    assert step.lost
    left = world.read()
    assert len(left) in {10, 11}
    assert all(
        entry in [kit.checkpoint(n, values={"x": b"z" * 300, "n": b"%d" % n}) for n in range(12)] for entry in left
    )


def test_a_lost_big_value_costs_the_entries_that_need_it(kit):
    world = built(kit)
    (name,) = named(world, "blob")
    world.server.files[name] = b"torn"
    steps = repaired(world).steps
    assert {step.document for step in steps} == {name}
    assert [entry.checkpoint_id for entry in world.read()] == ["00000000"]


def test_a_lost_index_is_made_good_from_its_segments(kit):
    world = kit.World(segment_entries=1)
    store = world.store()
    for n in range(70):
        world.run(store.append("t", [kit.checkpoint(n)]))
    del world.server.files[named(world, "index")[0]]
    done = repaired(world)
    assert done.steps[0].lost
    assert sum(step.lost for step in done.steps) == 1
    assert world.read() == [kit.checkpoint(n) for n in range(70)]


def test_both_copies_torn_leave_an_empty_thread_when_its_id_is_known(kit):
    world = kit.World()
    store = world.store()
    for n in range(2):
        world.run(store.append("t", [kit.checkpoint(n)]))
    world.server.files[COPY0] = world.server.files[COPY1] = b""
    unnamed = world.run(world.store().repair(dry_run=False))
    assert "nothing names the thread" in unnamed.steps[0].action
    with pytest.raises(MixCheckpointDamaged):
        world.read()
    (step,) = repaired(world).steps
    assert "starts empty" in step.action
    assert world.read() == []


@pytest.mark.parametrize("warm", [True, False])
def test_an_owner_file_that_is_gone_does_not_make_a_thread_new(kit, warm):
    world = kit.World()
    owner = world.store()
    world.run(owner.append("t", [kit.checkpoint(1)]))
    store = owner if warm else world.store()
    del world.server.files[OWNER_FILE]
    for steps in (store.find("t", "", None), store.entries("t"), store.page("t", ns=None)):
        with pytest.raises(MixCheckpointDamaged, match="is missing") as raised:
            world.run(steps)
        assert raised.value.document == OWNER_FILE
    # Who writes needs nothing of it.
    world.run(store.append("t", [kit.checkpoint(2)]))
    assert world.read() == [kit.checkpoint(1), kit.checkpoint(2)]


def test_a_thread_that_comes_into_being_is_not_taken_for_damaged(kit):
    world = kit.World()
    reader = world.process("reader", world.store().entries("t"))
    reader.waiting()
    reader.step()  # There is no owner file yet.
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    assert reader.run() == [kit.checkpoint(1)]


def test_an_owner_file_without_manifests_is_written_again(kit):
    world = kit.World()
    first = world.process("first", world.store().append("t", [kit.checkpoint(1)]))
    while not any(name.endswith("-g0") for name in world.server.files):
        first.waiting()
        first.step()
    del world.server.files[OWNER_FILE]
    (step,) = repaired(world, None).steps
    assert (step.document, step.action) == (OWNER_FILE, "nothing names the thread: repair it by its id")
    with pytest.raises(MixCheckpointDamaged):
        world.read()
    (step,) = repaired(world).steps
    assert (step.document, step.action) == (OWNER_FILE, "it is written again")
    assert world.read() == []


def full(world, monkeypatch):
    """A disk that is full: what is overwritten is cut off first, and nothing new is stored."""
    store, free = world.server.store, []

    def cut_off(name, data):
        if free:
            store(name, data)
            return
        if name in world.server.files:
            store(name, data[: len(data) // 2])
        raise MixConnectionError("500: no space left on device", acted="unknown")

    monkeypatch.setattr(world.server, "store", cut_off)
    return free


def attempt(world, steps):
    """Runs a procedure; what a request raises is its answer."""
    step = next(steps)
    try:
        while True:
            try:
                calls = step.calls if isinstance(step, Together) else [step]
                answers = [
                    None if isinstance(step, Pause | AcquireLock) else world.server.answer(call) for call in calls
                ]
            except MixError as problem:
                step = steps.throw(problem)
            else:
                step = steps.send(answers if isinstance(step, Together) else answers[0])
    except StopIteration as done:
        return done.value


@pytest.mark.parametrize(("count", "overwrites"), [(1, False), (2, True), (3, False), (4, True)])
def test_a_full_disk_takes_nothing_that_was_stored(kit, monkeypatch, count, overwrites):
    world = kit.World(segment_entries=3)
    store = world.store()
    for n in range(count):
        world.run(store.append("t", [kit.checkpoint(n)]))
    free = full(world, monkeypatch)
    with pytest.raises(MixConnectionError, match="no space"):
        attempt(world, store.append("t", [kit.checkpoint(8)]))
    stored = [kit.checkpoint(n) for n in range(count)]
    if overwrites:  # A manifest was cut off: that is reported by name, and nothing is guessed.
        with pytest.raises(MixCheckpointDamaged) as raised:
            world.read()
        assert names.parse(raised.value.document).kind == "manifest"
    else:
        assert world.read() == stored
    # When there is room again, who knows what it had stored goes on; others need a repair.
    free.append(True)
    attempt(world, store.append("t", [kit.checkpoint(9)]))
    assert [one for one in world.read() if one != kit.checkpoint(8)] == [*stored, kit.checkpoint(9)]


@pytest.mark.parametrize("bad", [None, b""])
def test_an_owner_file_is_written_again(kit, bad):
    world = built(kit)
    del world.server.files[OWNER_FILE]
    if bad is not None:
        world.server.files[OWNER_FILE] = bad
    (step,) = repaired(world).steps
    assert (step.document, step.lost) == (OWNER_FILE, False)
    assert len(world.read()) == 12


def test_files_nothing_refers_to_are_deleted_only_when_requested(kit):
    world = built(kit)
    world.run(world.store().append("t", [kit.checkpoint(99)]))
    orphan = names.segment(KEY, "e" * 32)
    world.server.files[orphan] = b"left by a writer that died"
    before = world.read()
    assert repaired(world).steps == ()
    assert orphan in world.server.files
    done = repaired(world, orphans=True)
    assert {step.document for step in done.steps} == {orphan}
    assert not any(step.lost for step in done.steps)
    assert orphan not in world.server.files
    assert {COPY0, COPY1} <= world.server.files.keys(), "the second owner has gone on from these"
    assert world.read() == before
    assert repaired(world, orphans=True).steps == ()


def test_what_cannot_be_deleted_is_reported(kit, monkeypatch):
    world = built(kit)
    orphan = names.segment(KEY, "e" * 32)
    world.server.files[orphan] = b"left"
    reply = world.server.reply

    def refuse(call):
        if call.method == "DELETE":
            raise MixError("no")
        return reply(call)

    monkeypatch.setattr(world.server, "reply", refuse)
    process = world.process("", world.store().repair("t", dry_run=False, orphans=True))
    while process.waiting() is not None:
        try:
            process.step()
        except MixError as error:
            process._resume(lambda error=error: process.steps.throw(error))
    assert process.result.left == (orphan,)


def test_a_damaged_thread_is_reported_with_its_problem(kit):
    world = built(kit)
    world.server.files[COPY0] = b"torn"
    (one,) = world.run(world.store().report()).threads
    assert COPY0 in one.problem
    with pytest.raises(MixCheckpointDamaged, match=COPY0):
        world.run(world.store().thread_ids())


def test_files_of_a_later_form_are_left_alone(kit):
    world = built(kit)
    for name, data in world.server.files.items():
        world.server.files[name] = data.replace(b"LCMIX1\n", b"LCMIX2\n", 1)
    before = dict(world.server.files)
    store = world.store()
    for steps in (
        store.find("t", "", None),
        store.append("t", [kit.checkpoint(99)]),
        store.delete("t"),
    ):
        with pytest.raises(MixCheckpointDamaged, match="form 2"):
            world.run(steps)
    assert world.server.files == before


def test_a_thread_is_not_deleted_with_another_key(kit):
    world = built(kit, encryption=CipherEncryption(Rot(1)))
    before = dict(world.server.files)
    with pytest.raises(MixCheckpointDamaged):
        world.run(world.store(encryption=CipherEncryption(Rot(2))).delete("t"))
    assert world.server.files == before
