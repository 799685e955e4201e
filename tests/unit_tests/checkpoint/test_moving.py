"""Threads that an earlier version has stored under names that agents see are moved to hidden ones, and nothing is lost.

The procedures are the real ones, those of an earlier version as well; the server is files in memory.
"""

from __future__ import annotations

from contextlib import suppress

import pytest

from langchain_mix.checkpoint import names, writer
from langchain_mix.checkpoint.encoding import NO_ENCRYPTION, pack
from langchain_mix.checkpoint.records import Stored
from langchain_mix.checkpoint.store import Deleted
from langchain_mix.errors import MixCheckpointDamaged
from tests.earlier_names import steps_of_an_earlier_version as earlier
from tests.unit_tests.checkpoint.test_interleavings import Scene, advance, explore, gets, posts

THREAD = "t"
KEY = names.key_of(THREAD)
VISIBLE = names.visible(KEY)


def visible(world):
    return [name for name in world.server.files if not name.startswith(".")]


def requests(world, steps):
    before = len(world.server.log)
    result = world.run(steps)
    return result, len(world.server.log) - before


@pytest.fixture
def old(kit):
    """A thread with segments, a big value and two epochs, and what is in it."""

    def make():
        world = kit.World(segment_entries=3, blob_bytes=200)
        entries = []
        for n in range(2):
            store = world.store()
            for step in range(3):
                values = {"big": b"\xa5" * 300, "small": b"%d" % step}
                added = [kit.checkpoint(n * 10 + step, values=values), kit.writes(n * 10 + step)]
                world.run(earlier(store.append(THREAD, added)))
                entries += added
        assert {names.parse(name).kind for name in visible(world)} >= {
            "segment",
            "blob",
            "epoch_marker",
            "owner",
            "manifest",
        }
        assert len(visible(world)) == len(world.server.files)
        return world, entries

    return make


def is_same(found, entries):
    return len(found) == len(entries) and all(found.count(one) == 1 for one in entries)


def same(found, entries):
    assert is_same(found, entries)


def test_it_is_read_where_it_is_with_one_more_request(old, kit):
    world, entries = old()
    same(world.read(), entries)
    newest = requests(world, world.store().find(THREAD, "", None))
    assert newest == (Stored(entries[-2], (entries[-1],)), 5), "two registers, two lanes and the big value"
    assert world.run(world.store().thread_ids()) == [THREAD]
    (report,) = world.run(world.store().report()).threads
    assert (report.thread_id, report.key, report.checkpoints, report.problem) == (THREAD, KEY, 6, "")
    assert len(visible(world)) == len(world.server.files), "reading moves nothing"


def moves(world, kit, what):
    store = world.store()
    if what == "append":
        return store.append(THREAD, [kit.checkpoint(99), kit.writes(99)])
    if what == "rewrite":
        return store.rewrite(THREAD, lambda entries: entries[1:])
    return store.repair(THREAD, dry_run=False)


@pytest.mark.parametrize("what", ["append", "rewrite", "repair"])
def test_a_crash_at_any_request_of_the_move_loses_nothing(old, kit, what):
    more = [kit.checkpoint(99), kit.writes(99)] if what == "append" else []
    for crash in range(1000):
        world, entries = old()
        whole = entries[1:] if what == "rewrite" else [*entries, *more]
        mover = world.process("mover", moves(world, kit, what))
        for _ in range(crash):
            mover.step()
        found = world.read()
        same(found, whole if len(found) == len(whole) else entries)
        assert world.run(world.store().thread_ids()) == [THREAD]
        reported = world.run(world.store().report()).threads
        assert [(one.thread_id, one.problem) for one in reported] == [(THREAD, "")]
        # The next one brings the move to its end.
        last = kit.checkpoint(100)
        world.run(world.store().append(THREAD, [last]))
        same(world.read(), [*found, last])
        assert not visible(world)
        if mover.done:
            assert mover.error is None
            assert crash > 20
            return
    raise AssertionError("it never ends")


@pytest.mark.parametrize("every", [7, pytest.param(4, marks=pytest.mark.exhaustive)])
def test_a_crash_in_the_second_move_after_one_in_the_first(old, kit, every):
    _, entries = old()
    for first in (8, 20, 24, 28, 32, 36):
        for second in range(3 + first % 3, 60, every):
            world, entries = old()
            for number, steps in ((99, first), (98, second)):
                mover = world.process("mover", world.store().append(THREAD, [kit.checkpoint(number)]))
                for _ in range(steps):
                    mover.step()
            found = world.read()
            assert [one for one in found if one in entries] == entries
            world.run(world.store().append(THREAD, [kit.checkpoint(100)]))
            same(world.read(), [*found, kit.checkpoint(100)])
            assert not visible(world)


def test_a_thread_that_was_being_deleted_is_there_or_gone(old, kit):
    for crash in range(1000):
        world, entries = old()
        deleting = world.process("deleting", world.store().delete(THREAD))
        for _ in range(crash):
            deleting.step()
        found = world.read()
        assert found == [] or is_same(found, entries)
        world.run(world.store().append(THREAD, [kit.checkpoint(100)]))
        same(world.read(), [*found, kit.checkpoint(100)])
        assert not visible(world)
        if deleting.done:
            assert deleting.result == Deleted(existed=True, files=deleting.result.files)
            assert found == []
            return


class OldScene(Scene):
    """Processes that meet a thread of an earlier version."""

    def __init__(self, kit):
        super().__init__(kit, before=())
        self.stores["old"] = self.world.store()
        self.world.run(earlier(self.stores["old"].append(THREAD, self.batch("before"))))
        self.acknowledged.add("before")

    def appends_visibly(self, *labels):
        def steps():
            for label in labels:
                entries = self.batch(f"old {label}")
                yield from earlier(self.stores["old"].append(THREAD, entries))
                self.acknowledged.add(f"old {label}")

        self.processes.append(self.world.process("old", steps()))
        return self


def finish(scene):
    scene.finish()
    assert not visible(scene.world)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "reader")])
@pytest.mark.parametrize(("preemptions", "orders"), [(1, 20), pytest.param(2, 100, marks=pytest.mark.exhaustive)])
def test_two_who_move_and_one_who_reads(kit, names, preemptions, orders):
    def make():
        scene = OldScene(kit)
        for name in names:
            scene = scene.reads(name) if name == "reader" else scene.appends(name, "1")
        return scene

    assert explore(make, finish, preemptions=preemptions) > orders


def test_what_an_earlier_version_stores_meanwhile_or_later_is_added_by_the_next_writer(kit):
    def check(scene):
        for process in scene.processes:
            # What it was storing while its files were deleted is an error; that was not acknowledged.
            assert process.error is None or isinstance(process.error, MixCheckpointDamaged)
        for n in range(2):
            entries = scene.batch(f"afterwards {n}")
            try:
                scene.world.run(scene.world.store().append(THREAD, entries))
            except MixCheckpointDamaged:  # It wrote a manifest while that was deleted: this is reported, and repaired.
                scene.world.run(scene.world.store().repair(THREAD, dry_run=False))
                scene.world.run(scene.world.store().append(THREAD, entries))
            scene.acknowledged.add(f"afterwards {n}")
        scene.check(scene.world.read(), scene.acknowledged)
        scene.world.run(scene.world.store().repair(dry_run=False))
        scene.check(scene.world.read(), scene.acknowledged)
        assert not visible(scene.world)

    assert explore(lambda: OldScene(kit).appends_visibly("1").appends("a", "1"), check, preemptions=1) > 10


def later(old, kit):
    world, entries = old()
    world.run(world.store().append(THREAD, [kit.checkpoint(50)]))
    world.run(earlier(world.store().append(THREAD, [kit.checkpoint(60)])))
    return world, [*entries, kit.checkpoint(50)]


def test_a_report_names_what_an_earlier_version_has_stored_since_and_repair_adds_it(old, kit):
    world, entries = later(old, kit)
    same(world.read(), entries)
    (report,) = world.run(world.store().report(THREAD)).threads
    assert names.owner(VISIBLE) in report.problem
    assert "`repair` adds it" in report.problem
    repair = world.run(world.store().repair(dry_run=False))
    assert [(one.key, one.lost) for one in repair.steps] == [(KEY, False)]
    same(world.read(), [*entries, kit.checkpoint(60)])
    assert not visible(world)


def test_a_crash_while_that_is_added_loses_nothing(old, kit):
    for crash in range(1000):
        world, entries = later(old, kit)
        adding = world.process("adding", world.store().append(THREAD, [kit.checkpoint(70)]))
        for _ in range(crash):
            adding.step()
        world.run(world.store().append(THREAD, [kit.checkpoint(80)]))
        found = world.read()
        assert all(found.count(one) == 1 for one in [*entries, kit.checkpoint(60), kit.checkpoint(80)])
        assert not visible(world)
        if adding.done:
            return


def test_repair_reports_what_it_would_move(old):
    world, _ = old()
    before = dict(world.server.files)
    repair = world.run(world.store().repair())
    assert [one.action for one in repair.steps] == ["all they hold is moved to hidden names"]
    assert world.server.files == before
    world.run(world.store().repair(dry_run=False))
    assert not visible(world)
    assert world.run(world.store().repair()).steps == ()


def test_a_damaged_one_is_reported_by_readers_and_writers_and_repaired(old, kit):
    world, entries = old()
    segment = next(name for name in visible(world) if names.parse(name).kind == "segment")
    world.server.files[segment] = b"?"
    with pytest.raises(MixCheckpointDamaged, match=segment):
        world.read()
    with pytest.raises(MixCheckpointDamaged, match=segment):
        world.run(world.store().append(THREAD, [kit.checkpoint(99)]))
    assert segment in world.server.files
    repair = world.run(world.store().repair(dry_run=False))
    assert [one.document for one in repair.steps if one.lost] == [segment]
    found = world.read()
    assert found
    assert all(one in entries for one in found)
    assert not visible(world)


def test_a_missing_owner_file_is_reported_by_the_next_writer(old, kit):
    world, _ = old()
    del world.server.files[names.owner(VISIBLE)]
    with pytest.raises(MixCheckpointDamaged, match="is missing, though the thread has been written to"):
        world.run(world.store().append(THREAD, [kit.checkpoint(99)]))
    world.run(world.store().repair(THREAD, dry_run=False))
    assert len(world.read()) == 12
    assert not visible(world)


def test_files_under_visible_names_that_speak_of_another_thread_are_refused(old, kit):
    world, _ = old()
    owner = names.owner(names.visible(names.key_of("u")))
    world.server.files[owner] = pack(owner, "owner", ["w", 0], NO_ENCRYPTION)
    epoch_marker = names.epoch_marker(names.visible(names.key_of("u")), 0)
    world.server.files[epoch_marker] = b""
    manifest = names.manifest(names.visible(names.key_of("u")), 0, 0)
    world.server.files[manifest] = world.server.files[names.manifest(VISIBLE, 1, 0)]
    with pytest.raises(MixCheckpointDamaged, match=manifest):
        world.run(world.store().append("u", [kit.checkpoint(1)]))


# What makes it hold: each of these steps is needed.


def test_without_closing_the_old_files_an_acknowledged_entry_is_lost(kit, monkeypatch):
    def scene():
        made = OldScene(kit).appends_visibly("1").appends("a", "1")
        old, mover = made.processes
        advance(mover, posts(".langchain"), 3)  # It has read what it moves, and is about to commit it.
        with suppress(MixCheckpointDamaged):  # The error says that the files are of a later form.
            old.run()
        mover.run()
        made.world.run(made.world.store().append(THREAD, made.batch("afterwards")))
        made.check(made.world.read(), made.acknowledged)

    scene()

    def leave_open(self, key, epoch, **_):
        taken = yield from self._documents.is_epoch_taken(names.visible(key), 0)
        last = yield from self._documents.current_owner(names.visible(key))
        return last if taken else None

    monkeypatch.setattr(writer.Writer, "_close_visible", leave_open)
    with pytest.raises(AssertionError, match="old 1 is lost"):
        scene()


def test_deleting_before_the_commit_would_lose_all(old, kit, monkeypatch):
    joined = writer.Writer._merge_visible

    def hasty(self, manifest, mark):
        content = yield from joined(self, manifest, mark)
        yield from self._delete_visible(names.key_of(manifest.thread_id), mark)
        return content

    monkeypatch.setattr(writer.Writer, "_merge_visible", hasty)
    with pytest.raises((AssertionError, MixCheckpointDamaged)):
        test_a_crash_at_any_request_of_the_move_loses_nothing(old, kit, "append")


def test_a_reader_that_did_not_look_again_would_find_nothing(kit):
    scene = OldScene(kit).reads("reader").appends("a", "1")
    reader, mover = scene.processes
    advance(reader, gets("/langchain-mix-ckpt"))  # It knows of no hidden manifest.
    mover.run()
    reader.run()
    finish(scene)
