"""The operations of the store, on a server of files in memory."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.records import Stored
from langchain_mix.checkpoint.state import OwnerClaim
from langchain_mix.checkpoint.store import Deleted
from langchain_mix.errors import (
    MixCheckpointDamaged,
    MixConfigurationError,
    MixConnectionError,
    MixInputError,
    MixStoreContended,
)


@pytest.fixture
def world(kit):
    return kit.World()


def requests(world, steps):
    before = len(world.server.log)
    result = world.run(steps)
    return result, len(world.server.log) - before


def filled(world, store, kit, count, **more):
    for n in range(count):
        world.run(store.append("t", [kit.checkpoint(n, **more)]))


# What an operation costs


@pytest.mark.parametrize("count", [10, 200, 1000])
def test_requests_do_not_grow_with_the_thread(kit, count):
    world = kit.World()
    store = world.store()
    filled(world, store, kit, count)
    last = kit.checkpoint(count - 1)
    assert requests(world, store.find("t", "", None)) == (Stored(last), 1)
    cold = world.store()
    assert requests(world, cold.find("t", "", None)) == (Stored(last), 3)
    (found, _), cost = requests(world, world.store().page("t", ns="", limit=10))
    assert len(found) == 10
    assert cost <= 4
    costs = Counter(requests(world, store.append("t", [kit.checkpoint(count + n)]))[1] for n in range(128))
    assert costs[2] >= 124
    assert set(costs) <= {2, 3, 4}


def test_a_cold_read_of_the_newest_never_needs_a_segment(kit, world):
    store = world.store()
    for n in range(200):
        world.run(store.append("t", [kit.checkpoint(n)]))
        world.run(store.append("t", [kit.writes(n)]))
        if n > 120:
            assert requests(world, world.store().find("t", "", None)) == (
                Stored(kit.checkpoint(n), (kit.writes(n),)),
                3,
            )


def test_a_new_thread_costs_nine_requests_and_somebody_elses_ten(kit, world):
    first = world.store()
    assert requests(world, first.append("t", [kit.checkpoint(1)]))[1] == 9
    world.run(first.append("t", [kit.checkpoint(2)]))
    costs = []
    for n in range(3, 7):
        other = world.store()
        world.run(other.find("t", "", None))
        costs.append(requests(world, other.append("t", [kit.checkpoint(n)]))[1])
        world.run(other.append("t", [kit.checkpoint(n)]))
    assert costs == [10, 12, 12, 12], "from the second on, the lane before the last is deleted"


def test_who_has_seen_somebody_else_takes_a_new_epoch_at_once(kit, world):
    store, other = world.store(), world.store()
    for n in range(2):
        world.run(store.append("t", [kit.checkpoint(n)]))
    for n in range(2, 4):
        world.run(other.append("t", [kit.checkpoint(n)]))
    assert requests(world, store.find("t", "", None))[1] == 3
    assert requests(world, store.append("t", [kit.checkpoint(4)]))[1] == 12


def test_a_manifest_with_one_version_is_looked_at_twice(kit, world):
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    assert requests(world, world.store().find("t", "", None))[1] == 4


def test_a_thread_that_does_not_exist_is_believed_only_through_a_session_that_does(world):
    assert requests(world, world.store().find("t", "", None)) == (None, 4)
    assert world.server.log[-2].endswith(f"/{'5b1f6f0e-0000-4000-8000-000000000001'}")


# What is found


def test_the_latest_is_the_greatest_id_of_exactly_that_namespace(kit, world):
    store = world.store()
    for number, ns in [(5, ""), (9, "sub"), (3, ""), (7, "sub:1")]:
        world.run(store.append("t", [kit.checkpoint(number, ns)]))
    for reader in (store, world.store()):
        assert world.run(reader.find("t", "", None)).record == kit.checkpoint(5)
        assert world.run(reader.find("t", "sub", None)).record == kit.checkpoint(9, "sub")
        assert world.run(reader.find("t", "su", None)) is None
        assert world.run(reader.find("t", "", "00000009")) is None


def test_writes_may_come_before_their_checkpoint_and_are_all_found(kit):
    world = kit.World(segment_entries=2)
    store = world.store()
    some = [kit.writes(1, data=b"%d" % n, idx=n) for n in range(7)]
    for one in some[:4]:
        world.run(store.append("t", [one]))
    assert world.run(store.find("t", "", "00000001")) is None
    world.run(store.append("t", [kit.checkpoint(1)]))
    for one in some[4:]:
        world.run(store.append("t", [one]))
    assert world.run(world.store().find("t", "", "00000001")) == Stored(kit.checkpoint(1), tuple(some))


def test_the_same_id_again_replaces_the_checkpoint(kit):
    world = kit.World(segment_entries=2)
    store = world.store()
    for text in (b"first", b"second", b"third"):
        world.run(store.append("t", [kit.checkpoint(1, values={"x": text}), kit.checkpoint(2)]))
    assert world.run(world.store().find("t", "", "00000001")).record == kit.checkpoint(1, values={"x": b"third"})
    assert [entry.checkpoint_id for entry in world.read()] == ["00000001", "00000002"]


def is_odd(record):
    return int(record.checkpoint_id) % 2 == 1


@pytest.mark.parametrize("examples", [20, pytest.param(60, marks=pytest.mark.exhaustive)])
def test_everything_is_found_as_in_a_plain_list(kit, examples):
    @settings(max_examples=examples)
    @given(
        batches=st.lists(
            st.lists(
                st.tuples(st.integers(0, 30), st.sampled_from(["", "a", "b"]), st.booleans()), min_size=1, max_size=5
            ),
            max_size=30,
        ),
        active=st.integers(1, 9),
        limit=st.integers(1, 7),
        before=st.none() | st.integers(0, 30).map(lambda n: f"{n:08d}"),
        ns=st.sampled_from([None, "", "a", "nowhere"]),
    )
    def check(**drawn):
        is_found(kit, **drawn)

    check()


def is_found(kit, *, batches, active, limit, before, ns):
    world = kit.World(segment_entries=active)
    store, records, written = world.store(), {}, {}
    for count, batch in enumerate(batches):
        entries = []
        for number, space, is_checkpoint in batch:
            if is_checkpoint:
                entry = kit.checkpoint(number, space, values={"x": b"%d" % count})
                records[space, entry.checkpoint_id] = entry
            else:
                entry = kit.writes(number, space, data=b"%d" % count)
                written.setdefault((space, entry.checkpoint_id), []).append(entry)
            entries.append(entry)
        world.run(store.append("t", entries))
    expected = [Stored(one, tuple(written.get(place, ()))) for place, one in records.items()]
    expected.sort(key=lambda one: one.record.ns)
    expected.sort(key=lambda one: one.record.checkpoint_id, reverse=True)
    for reader in (store, world.store(), world.store(cache_bytes=0)):
        for space in ("", "a", "b"):
            mine = [one for one in expected if one.record.ns == space]
            assert world.run(reader.find("t", space, None)) == (mine[0] if mine else None)
        for one in expected[::5]:
            assert world.run(reader.find("t", one.record.ns, one.record.checkpoint_id)) == one
        listed = [
            one
            for one in expected
            if ns in {None, one.record.ns} and (before is None or one.record.checkpoint_id < before)
        ]
        assert world.run(reader.page("t", ns=ns, before=before)) == (listed, None)
        paged, cursor = [], None
        while True:
            page, cursor = world.run(reader.page("t", ns=ns, before=before, start=cursor, limit=limit))
            assert len(page) <= limit
            paged += page
            if cursor is None:
                break
        assert paged == listed
        odd = [one for one in listed if is_odd(one.record)]
        assert world.run(reader.page("t", ns=ns, before=before, limit=limit, wanted=is_odd))[0] == odd[:limit]
    everything = world.read()
    stored = [*records.values(), *(one for some in written.values() for one in some)]
    assert all(one in everything for one in stored)
    assert len(everything) == len(stored)


def test_a_page_goes_on_in_the_state_of_the_first(kit):
    world = kit.World(segment_entries=3)
    store = world.store()
    filled(world, store, kit, 10)
    page, cursor = world.run(store.page("t", ns="", limit=4))
    filled(world, store, kit, 12)
    rest, _ = world.run(store.page("t", ns="", start=cursor))
    assert [one.record.checkpoint_id for one in (*page, *rest)] == [f"{n:08d}" for n in range(9, -1, -1)]


def test_a_page_goes_on_when_the_thread_was_rewritten_meanwhile(kit):
    world = kit.World(segment_entries=3, cache_bytes=0)
    store = world.store()
    filled(world, store, kit, 10)
    page, cursor = world.run(store.page("t", ns="", limit=2))
    world.run(world.store().rewrite("t", lambda entries: entries[5:]))
    rest, _ = world.run(store.page("t", ns="", start=cursor))
    assert [one.record.checkpoint_id for one in (*page, *rest)] == [f"{n:08d}" for n in range(9, 4, -1)]


def test_pages_of_a_long_thread_read_a_few_segments(kit):
    world = kit.World(segment_entries=4)
    filled(world, world.store(), kit, 300)
    reader = world.store()
    (_page, cursor), cost = requests(world, reader.page("t", ns=None, limit=5))
    assert cost <= 6
    _, cost = requests(world, reader.page("t", ns=None, limit=5, start=cursor))
    assert cost <= 3


# Values


def test_values_are_recalled_from_memory_alone(kit, world):
    store = world.store()
    world.run(store.append("t", [kit.checkpoint(1)]))
    cost = len(world.server.log)
    value = kit.checkpoint(1).values["messages"]
    assert store.recall("t", "", "00000001", "messages", 1) == value
    assert store.recall("t", "", "00000001", "messages", 2) is None
    assert store.recall("u", "", "00000001", "messages", 1) is None
    assert world.store().recall("t", "", "00000001", "messages", 1) is None
    assert len(world.server.log) == cost
    world.run(world.store().append("t", [kit.checkpoint(2)]))
    world.run(store.append("t", [kit.checkpoint(3)]))
    assert store.recall("t", "", "00000003", "messages", 3) == kit.checkpoint(3).values["messages"]


def test_recall_survives_a_roll(kit):
    world = kit.World(segment_entries=8)
    store = world.store()
    for n in range(30):
        world.run(store.append("t", [kit.checkpoint(n)]))
        assert store.recall("t", "", f"{n:08d}", "messages", n) is not None


def test_big_values_that_stay_are_sent_once(kit):
    world = kit.World(blob_bytes=1000, segment_entries=4)
    store = world.store()
    big = {"x": b"z" * 5000}
    for n in range(20):
        world.run(store.append("t", [kit.checkpoint(n, values=big)]))
    files = [names.parse(name).kind for name in world.server.files]
    assert files.count("blob") == 1
    other = world.store()
    world.run(other.append("t", [kit.checkpoint(20, values=big)]))
    assert [names.parse(name).kind for name in world.server.files].count("blob") == 1
    assert world.run(world.store().find("t", "", "00000007")).record == kit.checkpoint(7, values=big)
    assert len(world.read()) == 21


# Threads


@pytest.mark.parametrize("thread", ["", "x" * 10_000, "🦜/../é", "a\0b", "\ud800"])
def test_any_text_is_a_thread(kit, world, thread):
    world.run(world.store().append(thread, [kit.checkpoint(1)]))
    assert world.run(world.store().find(thread, "", None)).record == kit.checkpoint(1)
    assert world.run(world.store().thread_ids()) == [thread]


def test_threads_are_listed_when_they_hold_something(kit, world):
    store = world.store()
    for n in range(20):
        world.run(store.append(f"t{n}", [kit.checkpoint(n)]))
    world.run(store.delete("t3"))
    world.server.files["notes.md"] = b"someone's"
    listed = world.run(world.store().thread_ids())
    assert sorted(listed) == sorted(f"t{n}" for n in range(20) if n != 3)


def test_a_thread_somebody_is_taking_is_listed_too(kit, world):
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    world.run(world.store()._documents.write_owner(names.key_of("t"), OwnerClaim("f" * 32, 1)))
    assert world.run(world.store().thread_ids()) == ["t"]
    assert world.run(world.store().find("t", "", None)).record == kit.checkpoint(1)


def test_deleting_leaves_nothing_but_who_came(kit):
    world = kit.World(segment_entries=2, blob_bytes=10)
    store = world.store()
    filled(world, store, kit, 9, values={"x": b"z" * 50})
    deleted = world.run(world.store().delete("t"))
    assert deleted.existed
    assert deleted.files > 3
    assert deleted.left == ()
    kinds = Counter(names.parse(name).kind for name in world.server.files)
    assert kinds == {"owner": 1, "epoch_marker": 2, "manifest": 1}
    assert world.read() == []
    assert world.run(store.find("t", "", None)) is None
    world.run(store.append("t", [kit.checkpoint(50)]))
    assert world.read() == [kit.checkpoint(50)]


def test_deleting_what_never_existed_writes_nothing(world):
    assert world.run(world.store().delete("t")) == Deleted(existed=False)
    assert world.server.files == {}


def test_deleting_twice_is_the_same_as_once(kit, world):
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    assert world.run(world.store().delete("t")).existed
    files = dict(world.server.files)
    assert not world.run(world.store().delete("t")).existed
    assert world.server.files == files


def test_a_damaged_thread_can_be_deleted(kit, world):
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    world.server.files[names.manifest(names.key_of("t"), 0, 0)] = b"torn"
    assert world.run(world.store().delete("t")).existed
    assert world.read() == []


def test_rewriting_replaces_everything_and_removes_what_was(kit):
    world = kit.World(segment_entries=2)
    store = world.store()
    filled(world, store, kit, 9)
    before = set(world.server.files)
    assert len(world.read()) == 9
    assert world.run(world.store().rewrite("t", lambda entries: entries[7:])) == ()
    assert len(before - world.server.files.keys()) > 3
    assert world.read() == [kit.checkpoint(7), kit.checkpoint(8)]
    assert world.run(store.report("t")).orphans == ()
    world.run(store.append("t", [kit.checkpoint(9)]))
    assert len(world.read()) == 3


def test_a_rewrite_that_changes_nothing_writes_nothing(kit, world):
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    files = dict(world.server.files)
    assert world.run(world.store().rewrite("t", list)) == ()
    assert world.server.files == files


def test_a_rewrite_that_is_refused_writes_nothing(kit, world):
    world.run(world.store().append("t", [kit.checkpoint(1)]))
    files = dict(world.server.files)

    def refuse(entries):
        raise LookupError("no")

    with pytest.raises(LookupError):
        world.run(world.store().rewrite("t", refuse))
    assert world.server.files == files


def test_a_rewrite_makes_a_new_thread(kit, world):
    world.run(world.store().rewrite("t", lambda _: [kit.checkpoint(1), kit.writes(1)]))
    assert world.read() == [kit.checkpoint(1), kit.writes(1)]


# Failures


def test_nothing_is_sent_for_nothing_and_for_what_cannot_be_stored(kit, world):
    store = world.store()
    world.run(store.append("t", []))
    with pytest.raises(MixInputError):
        world.run(store.append("t", [kit.checkpoint(1), kit.writes(1, task="\ud800")]))
    assert world.server.log == []
    world.run(store.append("t", [kit.checkpoint(1)]))


def uploads(process):
    call = process.waiting()
    return call is not None and call.upload is not None and "-l" in call.upload.name


def fail(world, steps, fault, times=1):
    """Lets the upload of a manifest fail."""
    process = world.process("", steps)
    while process.waiting() is not None:
        wrong = uploads(process) and times > 0
        times -= wrong
        process.step(fault if wrong else "")
    if process.error is not None:
        raise process.error


@pytest.mark.parametrize("fault", ["lost", "late"])
def test_a_lost_answer_is_made_good_in_a_new_epoch(kit, world, fault):
    store = world.store()
    world.run(store.append("t", [kit.checkpoint(1)]))
    fail(world, store.append("t", [kit.checkpoint(2)]), fault)
    for late in world.server.late:
        world.server.store(*late)
    assert world.read() == [kit.checkpoint(1), kit.checkpoint(2)]
    assert names.epoch_marker(names.key_of("t"), 1) in world.server.files


@pytest.mark.parametrize(("retries", "times"), [(0, 1), (2, 3)])
def test_a_write_is_made_again_as_often_as_wished(kit, retries, times):
    world = kit.World(retries=retries)
    store = world.store()
    with pytest.raises(MixConnectionError) as raised:
        fail(world, store.append("t", [kit.checkpoint(1)]), "late", times)
    assert raised.value.acted == "unknown"
    fail(world, store.append("t", [kit.checkpoint(1)]), "late", times - 1)
    assert world.read() == [kit.checkpoint(1)]


def test_a_manifest_that_failed_is_never_written_again(kit):
    world = kit.World(retries=0)
    store = world.store()
    world.run(store.append("t", [kit.checkpoint(1)]))
    with pytest.raises(MixConnectionError):
        fail(world, store.append("t", [kit.checkpoint(2)]), "late")
    world.run(store.append("t", [kit.checkpoint(3)]))
    world.server.store(*world.server.late.pop())
    assert [entry.checkpoint_id for entry in world.read()] == ["00000001", "00000003"]


def test_a_full_disk_that_tears_the_own_manifest_does_not_lock_its_owner_out(kit):
    world = kit.World(retries=0)
    store = world.store()
    world.run(store.append("t", [kit.checkpoint(1)]))
    with pytest.raises(MixConnectionError):
        fail(world, store.append("t", [kit.checkpoint(2)]), "late")
    name, data = world.server.late.pop()
    world.server.store(name, data[:50])
    with pytest.raises(MixCheckpointDamaged, match=name):
        world.read()
    world.run(store.append("t", [kit.checkpoint(3)]))
    assert [entry.checkpoint_id for entry in world.read()][-1] == "00000003"


def test_giving_up_when_others_are_always_faster(kit):
    world = kit.World(attempts=3)
    store, other = world.store(), world.store()
    world.run(store.append("t", [kit.checkpoint(0)]))
    process = world.process("", store.append("t", [kit.checkpoint(1)]))
    count = 1
    while process.waiting() is not None:
        call = process.waiting()
        if call.upload is not None and "-l" in call.upload.name:
            count += 1
            world.run(other.append("t", [kit.checkpoint(count)]))
        process.step()
    assert isinstance(process.error, MixStoreContended)
    assert process.error.acted == "unknown"
    assert count == 4, "one for each attempt"


def test_pauses_between_attempts_grow_and_are_by_chance(kit):
    from langchain_mix.checkpoint.runtime import Pause

    world = kit.World(backoff=1.0, attempts=4)
    store, other = world.store(), world.store()
    world.run(store.append("t", [kit.checkpoint(0)]))
    steps, pauses = store.append("t", [kit.checkpoint(1)]), []
    step = next(steps)
    with pytest.raises(MixStoreContended):
        while True:
            answer = None
            if isinstance(step, Pause):
                pauses.append(step.seconds)
            elif hasattr(step, "calls"):
                answer = [world.server.answer(call) for call in step.calls]
            elif hasattr(step, "method"):
                if step.upload is not None and "-l" in step.upload.name:
                    world.run(other.append("t", [kit.checkpoint(len(pauses) + 2)]))
                answer = world.server.answer(step)
            step = steps.send(answer)
    assert pauses == [0.5, 1.0, 1.0], "half of 1, 2 and, at most, 2 seconds"


def test_manifests_that_nobody_needs_do_not_pile_up(kit, world):
    for n in range(30):
        world.run(world.store().append("t", [kit.checkpoint(n)]))
    kinds = Counter(names.parse(name).kind for name in world.server.files)
    assert kinds == {"owner": 1, "epoch_marker": 30, "manifest": 2}
    assert len(world.read()) == 30


# Identity


def test_pickled_and_copied_stores_own_nothing(kit, world, monkeypatch):
    store = world.store()
    world.run(store.append("t", [kit.checkpoint(1)]))
    double = copy.deepcopy(store)
    double._writer._fresh = world.fresh_names()
    cost = requests(world, double.append("t", [kit.checkpoint(2)]))[1]
    assert cost > 2
    assert [entry.checkpoint_id for entry in world.read()] == ["00000001", "00000002"]


def test_a_store_keeps_its_settings_when_it_is_pickled(kit):
    from langchain_mix.checkpoint.files import SessionFiles
    from langchain_mix.checkpoint.state import StoreSettings
    from langchain_mix.checkpoint.store import ThreadStore
    from langchain_mix.protocol.api import ServerApi

    settings = StoreSettings(segment_entries=3, attempts=5, retries=7)
    store = ThreadStore(session_files=SessionFiles(ServerApi(), "s"), settings=settings)
    again = copy.deepcopy(store)
    assert again._writer._settings == settings
    assert again._documents.session_files.session_id == "s"


def test_a_fork_owns_nothing(kit, world, forked):
    store = world.store()
    world.run(store.append("t", [kit.checkpoint(1)]))

    def in_child():
        known = store.recall("t", "", "00000001", "messages", 1)
        return known, requests(world, store.append("t", [kit.checkpoint(2)]))[1]

    known, sent = forked(in_child).result()
    assert known is None
    assert sent > 2
    assert requests(world, store.append("t", [kit.checkpoint(2)]))[1] == 2, "the parent still owns its lane"


def test_the_number_of_cached_threads_is_kept(kit):
    world = kit.World(cached_threads=2)
    store = world.store()
    for thread in ("a", "b", "c"):
        world.run(store.append(thread, [kit.checkpoint(1)]))
    assert requests(world, store.append("c", [kit.checkpoint(2)]))[1] == 2
    assert requests(world, store.append("a", [kit.checkpoint(2)]))[1] > 2


# Settings


@pytest.mark.parametrize(
    "setting",
    [
        "segment_entries",
        "segment_bytes",
        "blob_bytes",
        "cached_threads",
        "attempts",
        "cache_bytes",
        "backoff",
        "rereads",
        "reread_pause",
        "retries",
    ],
)
def test_numbers_out_of_range_are_refused(kit, setting):
    least = 1 if setting in {"segment_entries", "segment_bytes", "blob_bytes", "cached_threads", "attempts"} else 0
    kit.World().store(**{setting: least})
    with pytest.raises(MixConfigurationError, match=setting):
        kit.World().store(**{setting: least - 1})
    with pytest.raises(MixConfigurationError, match=setting):
        kit.World().store(**{setting: float("nan")})


@pytest.mark.parametrize(("segment_entries", "segments"), [(64, 0), (5, 4)])
def test_active_segments_are_as_long_as_wished(kit, segment_entries, segments):
    world = kit.World(segment_entries=segment_entries)
    filled(world, world.store(), kit, 20)
    assert world.run(world.store().report("t")).segments == segments


@pytest.mark.parametrize(("segment_bytes", "rolls"), [(524_288, False), (900, True)])
def test_active_segments_are_as_big_as_wished(kit, segment_bytes, rolls):
    world = kit.World(segment_bytes=segment_bytes)
    filled(world, world.store(), kit, 20)
    assert (world.run(world.store().report("t")).segments > 0) == rolls


@pytest.mark.parametrize(("cache_bytes", "cost"), [(1_000_000, 3), (0, 3 + 6)])
def test_documents_are_kept_in_memory_as_wished(kit, cache_bytes, cost):
    world = kit.World(segment_entries=2, cache_bytes=cache_bytes)
    filled(world, world.store(), kit, 14)
    reader = world.store()
    world.run(reader.entries("t"))
    found = requests(world, reader.entries("t"))[1]
    assert found == 3 if cache_bytes else found > 6


def test_a_deleted_thread_is_reported_as_empty(kit):
    world = kit.World(segment_entries=4)
    store = world.store()
    for n in range(6):
        world.run(store.append("t", [kit.checkpoint(n)]))
    world.run(store.append("u", [kit.checkpoint(1)]))
    world.run(store.delete("t"))
    report = world.run(world.store().report())
    assert [one.thread_id for one in report.threads] == ["u"]
    assert [(one.thread_id, one.checkpoints) for one in report.empty] == [("t", 0)]
    assert report.files == len(world.server.files)
    assert report.bytes == sum(map(len, world.server.files.values()))
    orphan = names.segment(report.empty[0].key, "f" * 32)
    world.server.files[orphan] = b"could not be deleted"
    assert world.run(store.report()).orphans == (orphan,)


@pytest.mark.parametrize("owners", [2, 3])
def test_the_manifest_that_was_taken_over_is_no_orphan(kit, owners):
    """A thread that is paused in one process and goes on in another."""
    world = kit.World()
    for n in range(owners):
        world.run(world.store().append("t", [kit.checkpoint(n), kit.writes(n)]))
    files = dict(world.server.files)
    assert world.run(world.store().report()).orphans == ()
    repair = world.run(world.store().repair(dry_run=False, orphans=True))
    assert repair.steps == ()
    assert world.server.files == files


def test_reports_count_what_is_stored(kit):
    world = kit.World(segment_entries=4)
    store = world.store()
    for n in range(6):
        world.run(store.append("t", [kit.checkpoint(n), kit.writes(n)]))
    world.run(store.append("u", [kit.checkpoint(1)]))
    whole = world.run(store.report())
    assert (whole.checkpoints, whole.writes) == (7, 6)
    assert whole.files == len(world.server.files)
    assert whole.bytes == sum(map(len, world.server.files.values()))
    (one,) = world.run(store.report("t")).threads
    assert (one.thread_id, one.checkpoints, one.writes, one.orphans, one.problem) == ("t", 6, 6, (), "")
    assert world.run(store.report("nowhere")).threads == ()
    orphan = names.segment(one.key, "f" * 32)
    world.server.files[orphan] = b"left behind"
    assert world.run(store.report("t")).orphans == (orphan,)
