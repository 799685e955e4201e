"""The order of things, driven by hand: no server, no thread, no clock."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import Future
from functools import partial

import pytest

from langchain_mix.protocol.call import Call, Reply
from langchain_mix.protocol.procedure import run, run_async
from langchain_mix.retrievers import indexing, session_index
from langchain_mix.retrievers.downloads import Received
from langchain_mix.retrievers.files import RemoteFile, Selection
from langchain_mix.retrievers.indexing import IndexedFile, Reading, Splitting
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.retriever import perform, perform_async
from langchain_mix.retrievers.session_index import Plan, SessionIndex, SingleFlight, changes_of
from langchain_mix.retrievers.steps import Download, Wait, Work


@pytest.fixture
def index():
    reading = Reading(Splitting(), Limits())
    return SessionIndex(Plan(session_id="s", server_url="http://localhost:1", selection=Selection(), reading=reading))


def listing(*names):
    infos = [{"name": name, "size": 5, "modified": 0, "isDir": False} for name in names]
    return Reply(200, {}, json.dumps(infos).encode())


def finish(steps, step, files, content=b"hello"):
    """Answers the steps of a procedure until it ends; gives its result and the kinds of its steps."""
    kinds = []
    try:
        while True:
            kinds.append(type(step).__name__)
            if isinstance(step, Work):
                step = steps.send(step.do())
            elif isinstance(step, Download):
                used = [step.use(Received(file, content)) for file in step.batch.files]
                step = steps.send([one.do() if isinstance(one, Work) else one for one in used])
            elif isinstance(step, Wait):
                assert step.done.done()
                step = steps.send(True)
            else:
                step = steps.send(step.decode(files))
    except StopIteration as done:
        return done.value, kinds


def test_who_comes_while_a_refresh_runs_does_not_take_its_result(index):
    """It may have listed before an upload that the second one knows of."""
    first = index.refreshed()
    step = next(first)
    assert isinstance(step, Call)
    second = index.refreshed()
    waiting = next(second)
    assert isinstance(waiting, Wait)
    old, _ = finish(first, step, listing("a.txt"))
    assert list(old.files) == ["a.txt"]
    new, kinds = finish(second, waiting, listing("a.txt", "b.txt"))
    assert list(new.files) == ["a.txt", "b.txt"]
    assert "Call" in kinds


def test_all_who_wait_share_the_next_refresh(index):
    first = index.refreshed()
    step = next(first)
    second, third = index.refreshed(), index.refreshed()
    waits = [next(second), next(third)]
    finish(first, step, listing("a.txt"))
    step = second.send(True)
    assert isinstance(step, Call)
    wait = third.send(True)
    assert isinstance(wait, Wait)
    assert waits[0] is not wait
    shared, _ = finish(second, step, listing("b.txt"))
    result, kinds = finish(third, wait, None)
    assert result is shared
    assert kinds == ["Wait"]


def test_a_failure_is_shared_by_those_who_waited_for_it(index):
    first = index.refreshed()
    next(first)
    second, third = index.refreshed(), index.refreshed()
    next(second), next(third)
    first.close()  # Abandoned: nobody's failure.
    assert isinstance(second.send(True), Call)
    assert isinstance(third.send(True), Wait)
    with pytest.raises(ConnectionError):
        second.throw(ConnectionError("away"))
    with pytest.raises(ConnectionError):
        third.send(True)


def test_a_refresh_that_is_overtaken_takes_nothing_back(index):
    slow = index.refreshed()
    step = next(slow)
    fast = index.refreshed()
    next(fast)
    alone = fast.send(False)  # It cannot be waited for.
    assert isinstance(alone, Call)
    finish(fast, alone, listing("new.txt"))
    finish(slow, step, listing("old.txt"))
    assert list(index._files) == ["new.txt"]


def test_files_that_change_unseen_again_and_again_are_all_looked_at(index):
    """After two answers that were out of date every file is looked at: no chain of one more, and one more."""
    names = [f"f{number:02}.txt" for number in range(20)]
    finish_of_first = index.search("hello", 1)
    finish(finish_of_first, next(finish_of_first), listing(*names))
    steps = index.search("hello", 1)
    found, kinds = finish(steps, next(steps), listing(*names), b"other")
    assert found == []
    assert kinds.count("Download") == 3


def is_search(step):
    return isinstance(step, Work) and isinstance(step.do, partial)


def test_what_another_has_found_to_be_changed_is_not_taken_for_looked_at(index, monkeypatch):
    """Two queries find a file that was overwritten before both; the second to verify it must not return the old text."""
    monkeypatch.setattr(session_index, "_QUICK_CHUNKS", 0)
    filled = index.search("hello", 1)
    finish(filled, next(filled), listing("a.txt"))
    slow = index.search("hello", 1)
    step = slow.send(None)
    while not is_search(step):
        step = slow.send(step.decode(listing("a.txt")) if isinstance(step, Call) else step.do())
    found = step.do()
    assert [f.chunk.text for f in found] == ["hello"]
    fast = index.search("hello", 1)
    answered, _ = finish(fast, next(fast), listing("a.txt"), b"other")
    assert answered == []
    late, kinds = finish(slow, slow.send(found), listing("a.txt"), b"other")
    assert late == []
    assert "Download" in kinds


def test_cutting_ends_in_time_and_is_reported(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(indexing.time, "monotonic", lambda: float(next(clock)))
    limits = Limits(max_seconds=3.0)
    text = "\n".join(f"line {number} " + "x" * 30 for number in range(1000))
    read = indexing.index_file(
        RemoteFile("a.txt", len(text), None, ""), text.encode(), 0.0, Reading(Splitting(40, 0), limits)
    )
    assert 0 < len(read.chunks) < 1000
    assert "max_seconds" in read.problems[-1]
    assert f"first {read.chunks[-1].end_index + 1} characters" in read.problems[-1]


def test_work_goes_to_a_thread_unless_it_is_asynchronous():
    async def threads():
        steps = [Work(threading.get_ident), Work(threading.get_ident, on_loop)]
        return [await perform_async(None, step) == threading.get_ident() for step in steps]

    async def on_loop():
        return threading.get_ident()

    assert asyncio.run(threads()) == [False, True]


@pytest.mark.parametrize(("most", "handed_over"), [(1, False), (0, True)])
def test_large_indexes_are_searched_in_a_thread(index, monkeypatch, most, handed_over):
    """Small ones at once: they take less time than handing them over."""
    monkeypatch.setattr(session_index, "_QUICK_CHUNKS", most)
    filled = index.search("hello", 1)
    found, _ = finish(filled, next(filled), listing("a.txt"))
    assert [f.chunk.text for f in found] == ["hello"]
    steps = index.search("hello", 1)
    step = steps.send(next(steps).decode(listing("a.txt")))
    assert is_search(step) is handed_over
    steps.close()


def test_nobody_waits_for_a_loop_that_has_stopped():
    loop = asyncio.new_event_loop()
    try:
        assert run(waiting(loop), partial(perform, None)) is False
        assert asyncio.run(run_async(waiting(loop), partial(perform_async, None))) is False
    finally:
        loop.close()


def waiting(loop):
    return (yield Wait(Future(), loop))


def known_file(name, size=10, *, modified=None, checksum="c", checked_at=1000.0, skipped=""):
    return IndexedFile(
        name=name, listed_size=size, modified=modified, checksum=checksum, checked_at=checked_at, skipped=skipped
    )


def listed_file(name, size=10, modified=None, refused=""):
    return RemoteFile(name, size, modified, "", refused)


def compare(before, after, *, limits=None, verify="answers", now=1010.0):
    changes = changes_of({f.name: f for f in before}, after, limits or Limits(), verify, now)
    return sorted(changes.kept), [f.name for f in changes.fetch], sorted(changes.skipped), changes.gone


def test_what_looks_the_same_is_kept():
    assert compare([known_file("a")], [listed_file("a")]) == (["a"], [], [], [])


@pytest.mark.parametrize("after", [listed_file("a", 11), listed_file("a", 10, 5.0), listed_file("a", 0)])
def test_what_looks_different_is_fetched(after):
    assert compare([known_file("a")], [after]) == ([], ["a"], [], [])


def test_a_time_that_went_back_is_a_change():
    assert compare([known_file("a", modified=7.0)], [listed_file("a", modified=6.0)]) == ([], ["a"], [], [])


def test_new_files_are_fetched_and_missing_ones_go():
    assert compare([known_file("a"), known_file("b")], [listed_file("b"), listed_file("c")]) == (
        ["b"],
        ["c"],
        [],
        ["a"],
    )


def test_what_could_not_be_had_is_requested_again():
    assert compare([known_file("a", checksum="", skipped="failed")], [listed_file("a")]) == ([], ["a"], [], [])


def test_what_cannot_be_parsed_is_not_requested_again():
    assert compare([known_file("a", skipped="is encrypted")], [listed_file("a")]) == (["a"], [], [], [])


@pytest.mark.parametrize(
    ("verify", "fetched"),
    [("answers", []), ("listing", []), ("checksum", ["a"]), (0, ["a"]), (9.0, ["a"]), (10.0, ["a"]), (11.0, [])],
)
def test_when_a_file_is_looked_at_again(verify, fetched):
    assert compare([known_file("a")], [listed_file("a")], verify=verify)[1] == fetched


def test_a_look_in_the_future_proves_nothing():
    assert compare([known_file("a", checked_at=2000.0)], [listed_file("a")], verify=60.0)[1] == ["a"]


def test_limits_hold_for_all_files_not_for_those_that_are_fetched():
    files = [listed_file("a", 40), listed_file("b", 40), listed_file("c", 40)]
    limits = Limits(max_total_bytes=100)
    assert compare([], files, limits=limits) == ([], ["a", "b"], ["c"], [])
    assert compare([known_file("a", 40), known_file("b", 40)], files, limits=limits) == (["a", "b"], [], ["c"], [])
    assert compare([], files, limits=Limits(max_files=2)) == ([], ["a", "b"], ["c"], [])
    assert compare([known_file("a", 40)], files, limits=Limits(max_file_bytes=39))[2] == ["a", "b", "c"]


def test_a_refused_name_is_not_fetched():
    assert compare([], [listed_file("../a", refused="its name leads out")]) == ([], [], ["../a"], [])


def test_who_comes_second_gets_the_first_one():
    flight = SingleFlight()
    first, own = flight.take()
    again, not_own = flight.take()
    assert own
    assert not not_own
    assert again is first
    flight.end(first)
    assert first.done.done()
    assert first.complete
    assert flight.take()[1]


def test_numbers_show_what_began_first():
    flight = SingleFlight()
    assert flight.arrive() == 0
    first, _ = flight.take()
    assert first.number > 0
    assert flight.arrive() == first.number


def test_who_cannot_wait_goes_alone_and_is_not_waited_for():
    flight = SingleFlight()
    first, _ = flight.take()
    alone, own = flight.take(alone=True)
    assert own
    assert flight.take()[0] is first
    flight.end(alone)
    assert flight.take()[0] is first
    flight.end(first)


@pytest.mark.parametrize(("error", "told"), [(ValueError("x"), True), (KeyboardInterrupt(), False)])
def test_a_failure_is_shared_and_an_end_in_the_middle_is_not(error, told):
    flight = SingleFlight()
    first, _ = flight.take()
    flight.end(first, error)
    assert not first.complete
    assert (first.error is error) is told


def test_only_one_of_many_threads_leads():
    flight, leaders, barrier = SingleFlight(), [], threading.Barrier(8)

    def go():
        barrier.wait()
        refresh, own = flight.take()
        if own:
            leaders.append(refresh)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(leaders) == 1
