"""Several processes change one thread, in every order of their requests, and nothing that was stored is lost.

The procedures are the real ones; the server is files in memory. A schedule is a list of who makes the next request.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.checkpoint import reader, writer
from langchain_mix.checkpoint.documents import DocumentIO
from langchain_mix.checkpoint.state import OwnerClaim
from langchain_mix.errors import MixCheckpointDamaged, MixConnectionError, MixStoreContended

THREAD = "t"


class Scene:
    """Processes that append, read and delete, and what must be true of them."""

    def __init__(self, kit, *, before=("own",), segment_entries=64):
        self.kit = kit
        self.world = kit.World(segment_entries=segment_entries)
        self.processes = []
        self.batches = {}
        self.acknowledged = set()
        self.readers = []
        self.stores = {}
        for name in before:
            self.stores[name] = self.world.store()
            self.world.run(self.stores[name].append(THREAD, self.batch(f"before {name}")))
            self.acknowledged.add(f"before {name}")

    def batch(self, label):
        number = 100 + len(self.batches)
        entries = [self.kit.checkpoint(number), self.kit.writes(number, data=label.encode())]
        self.batches[label] = entries
        return entries

    def appends(self, name, *labels):
        store = self.stores.setdefault(name, self.world.store())

        def steps():
            for label in labels:
                entries = self.batch(f"{name} {label}")
                yield from store.append(THREAD, entries)
                self.acknowledged.add(f"{name} {label}")

        self.processes.append(self.world.process(name, steps()))
        return self

    def reads(self, name, times=1):
        store = self.world.store()

        def steps():
            for _ in range(times):
                known = set(self.acknowledged)
                self.readers.append((name, frozenset(known)))
                self.check((yield from store.entries(THREAD)), known)

        self.processes.append(self.world.process(name, steps()))
        return self

    def check(self, entries, acknowledged):
        """All that was acknowledged is there, once, and of everything else all or nothing."""
        for label, batch in self.batches.items():
            there = [entries.count(entry) for entry in batch]
            checkpoints = there[0]
            assert checkpoints <= 1, f"{label} is there twice"
            assert all(there) or not any(there), f"a part of {label} is there"
            if label in acknowledged:
                assert all(there), f"{label} is lost"

    def situation(self):
        """All that decides what can happen from here on."""
        server = self.world.server
        told = tuple((process.name, process.heard, process.done) for process in self.processes)
        return frozenset(server.files.items()), told, frozenset(self.acknowledged), frozenset(self.readers)

    def finish(self, *, justified=()):
        for process in self.processes:
            if process.error is not None and not isinstance(process.error, justified):
                raise process.error
        self.check(self.world.read(), self.acknowledged)
        # Whatever happened, the thread can be written to.
        last = self.batch("afterwards")
        self.world.run(self.world.store().append(THREAD, last))
        self.acknowledged.add("afterwards")
        self.check(self.world.read(), self.acknowledged)


class Known(Exception):
    """What follows has been looked at."""


def play(scene, choices, limit=600, at=lambda taken, able, was_able: None):
    """Runs processes to their end. `choices` says who goes on at each point where another could; then the first."""
    taken = []
    current = None
    for _ in range(limit):
        able = [p for p in scene.processes if p.waiting() is not None]
        if not able:
            return taken
        # The one that made the last request comes first: choosing another one is a preemption.
        able.sort(key=lambda p: p is not current)
        was_able = current in able
        if len(taken) >= len(choices):
            at(taken, able, was_able)
        choice = choices[len(taken)] if len(taken) < len(choices) else 0
        taken.append(min(choice, len(able) - 1))
        current = able[taken[-1]]
        current.step()
    raise AssertionError("it never ends")


def explore(make, check, *, preemptions, most=100_000):
    """Every schedule in which a running process is preempted at most so many times.

    Where files, processes and promises are as they were in an earlier schedule, so is all that can follow.
    """
    stack, runs, seen = [([], 0)], 0, {}
    while stack:
        choices, used = stack.pop()
        scene = make()

        def branch(taken, able, was_able, scene=scene, used=used):
            situation = (scene.situation(), able[0].name)
            if seen.get(situation, preemptions + 1) <= used:
                raise Known
            seen[situation] = used
            if used + was_able <= preemptions:
                stack.extend(([*taken, other], used + was_able) for other in range(1, len(able)))

        try:
            play(scene, choices, at=branch)
        except Known:
            pass
        else:
            check(scene)
        runs += 1
        assert runs <= most
    return runs


def finish(scene):
    scene.finish()


def deep(usual, exhaustive):
    """How many preemptions are tried by default, and how many with `-m exhaustive`; each with the orders they give."""
    listed = [usual, pytest.param(*exhaustive, marks=pytest.mark.exhaustive)]
    return pytest.mark.parametrize(("preemptions", "orders"), listed, ids=str)


@deep((2, 100), (3, 300))
def test_the_owner_and_one_who_arrives(kit, preemptions, orders):
    def make():
        return Scene(kit).appends("own", "1").appends("other", "1")

    assert explore(make, finish, preemptions=preemptions) > orders


@deep((1, 10), (2, 100))
def test_an_owner_who_goes_on_and_one_who_arrives(kit, preemptions, orders):
    def make():
        return Scene(kit).appends("own", "1", "2", "3").appends("other", "1")

    assert explore(make, finish, preemptions=preemptions) > orders


@deep((2, 100), (3, 500))
def test_two_who_arrive_at_a_new_thread(kit, preemptions, orders):
    def make():
        return Scene(kit, before=()).appends("a", "1").appends("b", "1")

    assert explore(make, finish, preemptions=preemptions) > orders


@pytest.mark.timeout(600)
@deep((1, 50), (2, 500))
def test_two_who_arrive_while_the_owner_writes(kit, preemptions, orders):
    def make():
        return Scene(kit).appends("own", "1").appends("a", "1").appends("b", "1")

    assert explore(make, finish, preemptions=preemptions) > orders


@deep((1, 50), (2, 100))
def test_readers_see_all_that_was_acknowledged(kit, preemptions, orders):
    def make():
        return Scene(kit).appends("own", "1").appends("a", "1").reads("reader")

    assert explore(make, finish, preemptions=preemptions) > orders


@deep((1, 10), (2, 100))
def test_active_segments_roll_while_others_arrive(kit, preemptions, orders):
    def make():
        return Scene(kit, before=("own", "own2"), segment_entries=2).appends("own2", "1").appends("a", "1")

    assert explore(make, finish, preemptions=preemptions) > orders


@deep((2, 50), (3, 100))
def test_a_deleted_thread_stays_deleted(kit, preemptions, orders):
    def make():
        scene = Scene(kit).appends("own", "1")
        store = scene.world.store()

        def steps():
            gone = set(scene.acknowledged)
            deleted = yield from store.delete(THREAD)
            scene.gone = gone if deleted.existed else set()

        scene.gone = set()
        scene.processes.append(scene.world.process("deletes", steps()))
        return scene

    def check(scene):
        for process in scene.processes:
            if process.error is not None:
                raise process.error
        entries = scene.world.read()
        for label in scene.gone:
            assert not any(entry in entries for entry in scene.batches[label]), f"{label} has come back"
        there = [entry in entries for entry in scene.batches["own 1"]]
        assert all(there) or not any(there)

    assert explore(make, check, preemptions=preemptions) > orders


def rewriting(kit, segment_entries=2):
    """Somebody replaces all, without what was stored first, of which it does not matter when it is gone."""
    scene = Scene(kit, before=("own", "second"), segment_entries=segment_entries)
    scene.acknowledged.discard("before own")
    store = scene.world.store()
    old = scene.batches["before own"]
    steps = store.rewrite(THREAD, lambda entries: [one for one in entries if one not in old])
    scene.processes.append(scene.world.process("rewrites", steps))
    return scene


def rewritten(scene):
    scene.finish()
    assert not any(entry in scene.world.read() for entry in scene.batches["before own"])


@deep((1, 10), (2, 100))
def test_a_rewrite_loses_nothing_that_is_stored_meanwhile(kit, preemptions, orders):
    assert explore(lambda: rewriting(kit).appends("second", "1"), rewritten, preemptions=preemptions) > orders


@deep((1, 10), (2, 100))
def test_readers_of_a_thread_that_is_rewritten_find_all_of_it(kit, preemptions, orders):
    assert explore(lambda: rewriting(kit).reads("reader"), rewritten, preemptions=preemptions) > orders


FAULTS = ("", "", "", "", "", "lost", "late", "torn", "crash", "land")
"""What may happen to a request: nothing; its answer is lost; it arrives later; it takes a while to be written; its
process dies; or one that is late arrives before it."""


def disturb(scene, schedule):
    server = scene.world.server
    for who, fault in schedule:
        process = scene.processes[who % len(scene.processes)]
        if fault == "land" and server.late:
            server.store(*server.late.pop(0))
        elif fault == "crash" and process.name in {"a", "b"}:
            process.done = True
            for name, data in list(server.torn.items()):
                server.store(name, data)  # A server that has the whole body writes it, whatever becomes of the client.
        elif process.waiting() is not None:
            process.step(fault)
    for process in sorted(scene.processes, key=lambda process: process.waiting_for_overwrite(), reverse=True):
        while process.waiting() is not None:
            process.step()


@pytest.mark.parametrize("examples", [50, pytest.param(300, marks=pytest.mark.exhaustive)])
def test_faults_at_any_request_lose_nothing(kit, examples):
    @settings(max_examples=examples)
    @given(
        schedule=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(FAULTS)), max_size=150),
        rolls=st.booleans(),
        rewrites=st.booleans(),
    )
    def check(schedule, rolls, rewrites):
        loses_nothing(kit, schedule, rolls, rewrites)

    check()


def loses_nothing(kit, schedule, rolls, rewrites):
    active = 3 if rolls else 64
    scene = rewriting(kit, active) if rewrites else Scene(kit, segment_entries=active)
    scene.appends("own", "1", "2", "3").appends("a", "1", "2").appends("b", "1").reads("reader", times=3)
    server = scene.world.server
    disturb(scene, schedule)
    while server.late:  # What arrives when all is over changes nothing that was acknowledged.
        scene.check(scene.world.read(), scene.acknowledged)
        server.store(*server.late.pop(0))
    slow = (MixCheckpointDamaged,) * any(fault == "torn" for _, fault in schedule)
    scene.finish(justified=(MixConnectionError, MixStoreContended, *slow))


# What each part of the algorithm is for: without it, some schedule loses something.


def lossy(make, preemptions):
    """How the first schedule that breaks a promise breaks it, if there is one, and how many were tried."""
    runs = 0

    def check(scene):
        nonlocal runs
        runs += 1
        scene.finish()

    try:
        explore(make, check, preemptions=preemptions)
    except AssertionError as problem:
        return str(problem).partition("\n")[0], runs
    except MixCheckpointDamaged as problem:
        return problem.problem, runs
    return "", runs


def arriving(kit):
    return lambda: Scene(kit, before=()).appends("a", "1").appends("b", "1")


def owning(kit):
    return lambda: Scene(kit).appends("own", "1", "2").appends("other", "1")


def test_without_reading_the_owner_file_after_the_epoch_marker_two_own_one_epoch(kit, monkeypatch):
    def careless(self, key, look):
        epoch = yield from self._first_free_epoch(key)
        while True:
            mine = OwnerClaim(self._fresh(), epoch)
            yield from self._documents.write_owner(key, mine)
            if not (yield from self._documents.is_epoch_taken(key, epoch)):
                yield from self._documents.write_epoch_marker(key, mine)
                return (yield from look(mine))
            epoch += 1

    monkeypatch.setattr(writer.Writer, "_claim_epoch", careless)
    how, runs = lossy(arriving(kit), 3)
    assert "is lost" in how
    assert runs > 10


def test_without_the_epoch_marker_two_own_one_epoch(kit, monkeypatch):
    def never(self, key, epoch):
        return False
        yield

    monkeypatch.setattr(DocumentIO, "is_epoch_taken", never)
    how, _ = lossy(owning(kit), 3)
    assert how


def test_without_the_last_look_at_the_owner_file_an_entry_is_lost(kit, monkeypatch):
    def trusting(self, key, manifest):
        yield from self._documents.write_manifest(key, manifest)
        self._cache.commit(key, manifest)
        return manifest.claim

    monkeypatch.setattr(writer.Writer, "_commit", trusting)
    how, runs = lossy(owning(kit), 2)
    assert "is lost" in how
    assert runs > 1


def test_without_going_down_the_epochs_what_was_stored_is_lost(kit, monkeypatch):
    def nearest_only(self, thread_id, key, epoch):
        manifest = (yield from self._documents.manifest(key, epoch - 1)) if epoch else None
        return manifest

    monkeypatch.setattr(writer.Writer, "_manifest_before", nearest_only)
    how, runs = lossy(lambda: Scene(kit).appends("a", "1").appends("b", "1"), 2)
    assert "is lost" in how
    assert runs > 1


def test_without_going_down_the_epochs_a_reader_misses_what_was_stored(kit, monkeypatch):
    def last_only(self, key, claim):
        return (yield from self._documents.manifest(key, claim.epoch))

    monkeypatch.setattr(reader.StateReader, "manifest", last_only)
    how, runs = lossy(lambda: Scene(kit).appends("a", "1").reads("reader"), 2)
    assert "is lost" in how
    assert runs > 1


def advance(process, until, times=1):
    """Makes requests up to, not including, the nth whose text has this in it."""
    for _ in itertools.repeat(None, 200):
        call = process.waiting()
        assert call is not None, f"{process.name} ended before {until}"
        text = f"{call} {call.upload.name if call.upload else ''}"
        if until(text):
            times -= 1
            if not times:
                return
        process.step()


def posts(part):
    return lambda text: text.startswith("POST") and part in text


def gets(part):
    """Tells whether a request reads such a file; of those of earlier versions only if asked for with their directory."""
    return lambda text: text.startswith("GET") and part in text and ("/." in text or part.startswith("/"))


def hasten(monkeypatch):
    """Has writers look at the owner file first, then at the manifests."""
    take = writer.Writer._claim_epoch

    def hasty(self, key, look):
        def nothing(claim):
            return claim
            yield

        claim = yield from take(self, key, nothing)
        return (yield from look(claim))

    monkeypatch.setattr(writer.Writer, "_claim_epoch", hasty)


def passed_over(kit):
    """Somebody has the owner's entries in its manifest, but the last who came passes that manifest over."""
    scene = Scene(kit).appends("own", "1").appends("first", "1").appends("last", "1")
    own, first, last = scene.processes
    advance(first, gets("-l0-0"))  # It owns epoch 1 and is about to read what there is.
    advance(last, posts("-l2-0"))  # It owns epoch 2, found no manifest of epoch 1 and read that of epoch 0.
    advance(own, gets("-r"))  # It writes its entries there, too late for the last one.
    advance(first, gets("-r"))  # It takes them over into the manifest of epoch 1.
    own.run()
    last.run()
    first.run()
    return scene


def test_entries_in_a_manifest_that_is_skipped_do_not_count(kit):
    passed_over(kit).finish()


def test_the_rule_that_any_manifest_counts_would_lose_them(kit, monkeypatch):
    def credulous(self, key, entries, last):
        manifest = yield from self._reader.manifest(key, last)
        return manifest is not None and manifest.claim.epoch > 0 and writer._holds(manifest.state, entries)

    hasten(monkeypatch)
    monkeypatch.setattr(writer.Writer, "_was_adopted", credulous)
    with pytest.raises(AssertionError, match="own 1 is lost"):
        passed_over(kit).finish()


def test_a_manifest_that_is_deleted_between_its_two_copies_is_not_taken_for_new(kit):
    scene = Scene(kit).appends("own", "1").reads("reader")
    own, reader = scene.processes
    own.run()
    advance(reader, gets("-l0-1"))  # It has read version 0; version 1 was acknowledged before it began.
    for _ in range(2):
        scene.world.run(scene.world.store().append(THREAD, scene.batch(f"later {_}")))
    assert not any("-l0-" in name for name in scene.world.server.files)
    reader.run()
    scene.finish()


def left_behind(kit):
    """Somebody owns an epoch but is slow; others go on from later ones and delete what it has not read yet."""
    scene = Scene(kit).appends("slow", "1").reads("reader")
    slow, reader = scene.processes
    advance(slow, gets("-l0-0"))
    advance(reader, gets("-l1-0"))  # The slow one was the last who came.
    for n in range(3):
        scene.world.run(scene.world.store().append(THREAD, scene.batch(f"later {n}")))
    slow.run()
    reader.run()
    return scene


def test_who_owns_an_epoch_but_came_too_late_to_read_writes_nothing_there(kit):
    scene = left_behind(kit)
    assert not any("-l1-" in name for name in scene.world.server.files)
    scene.finish()


def test_looking_at_the_owner_file_before_the_manifests_would_lose_what_was_stored(kit, monkeypatch):
    hasten(monkeypatch)
    scene = Scene(kit).appends("slow", "1").reads("reader")
    slow, reader = scene.processes
    advance(slow, gets("-l0-0"))
    advance(reader, gets("-l1-0"))
    for n in range(3):
        scene.world.run(scene.world.store().append(THREAD, scene.batch(f"later {n}")))
    advance(slow, posts("-l1-0"))
    slow.step()
    with pytest.raises(AssertionError, match="before own is lost"):
        reader.run()


@pytest.mark.parametrize("steps", range(25))
def test_old_manifests_are_deleted_before_newer_ones(kit, steps):
    """Who goes down the epochs never finds a manifest that is passed over, wherever the deleting has come to."""
    scene = rewriting(kit).reads("reader")
    rewrites, reader = scene.processes
    advance(rewrites, posts("-l2-0"))
    advance(reader, gets("-l1-0"))  # There is no manifest of epoch 2 yet.
    for _ in range(steps):
        if rewrites.waiting() is not None:
            rewrites.step()
    reader.run()
    rewrites.run()
    rewritten(scene)
