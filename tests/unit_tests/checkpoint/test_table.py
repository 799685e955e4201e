"""Entries in a document: whatever they are, they come back as they were."""

from __future__ import annotations

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.checkpoint.records import CheckpointRecord, Value, Write, WritesRecord
from langchain_mix.checkpoint.table import Table, check, difference, header_size, read_table
from langchain_mix.errors import MixCheckpointDamaged, MixInputError


def applied(found, earlier):
    start = header_size(earlier)
    return found.header + earlier[start : start + found.prefix] + found.rest


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_a_difference_gives_the_value_back(shared, left, right):
    earlier, data = shared + left, shared + right
    found = difference(earlier, data)
    assert found is None or applied(found, earlier) == data


@pytest.mark.parametrize("count", [1, 15, 16, 65_535, 65_536])
def test_a_grown_list_costs_what_is_new(count):
    messages = [b"message %d" % n for n in range(count)]
    earlier, data = ormsgpack.packb(messages), ormsgpack.packb([*messages, b"the new one"])
    found = difference(earlier, data)
    if count == 1:
        assert found is None, "too small to matter"
        return
    assert applied(found, earlier) == data
    assert len(found.header) + len(found.rest) < 20


@given(st.binary(min_size=48, max_size=400))
def test_equal_values_share_everything(data):
    assert difference(data, data).rest == b""


@given(st.binary(max_size=47))
def test_small_values_are_not_compared(data):
    assert difference(data, data) is None


def test_the_common_part_is_found_to_the_byte():
    for shared in range(24, 200):
        found = difference(b"a" * shared + b"x" * 60, b"a" * shared + b"y" * 60)
        assert found.prefix == shared


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"", 0),
        (b"\x90", 1),
        (b"\x9f..", 1),
        (b"\xdc\x00\x01", 3),
        (b"\xdc\x00", 0),
        (b"\xdd\0\0\0\1", 5),
        (b"\x80", 0),
    ],
)
def test_headers_of_lists_are_known(data, size):
    assert header_size(data) == size


names = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
chunks = st.sampled_from([b"", b"x", b"hello " * 20, b"world " * 30, bytes(range(256))])
data = st.one_of(
    st.binary(max_size=40),
    st.lists(chunks, max_size=6).map(b"".join),
    st.lists(chunks, max_size=20).map(ormsgpack.packb),
)
values = st.builds(Value, st.sampled_from(["msgpack", "null", "bytes"]), data)
checkpoints = st.builds(
    CheckpointRecord, names, names, st.none() | names, values, values, st.dictionaries(names, values, max_size=4)
)
written = st.lists(st.builds(Write, st.integers(-4, 9), names, values), max_size=3).map(tuple)
entries = st.one_of(checkpoints, st.builds(WritesRecord, names, names, names, names, written))


class Files:
    def __init__(self):
        self.kept = {}

    def keep(self, data):
        name = f"blob {len(self.kept)}"
        self.kept[name] = data
        return name, b"digest", len(data)


def filled(some, files, table=None, blob_bytes=100):
    table = Table() if table is None else table
    for entry in some:
        table = table.extended(entry, blob_bytes=blob_bytes, keep=files.keep)
    return table


def stored(table):
    return read_table("file", ormsgpack.unpackb(table.stored))


def all_of(table, blobs):
    found = []
    for row in table.rows:
        needed = {blob[0]: blobs[blob[0]] for blob in table.blobs_of(row)}
        found.append(table.entry(row, needed))
    return found


@pytest.mark.parametrize("examples", [40, pytest.param(300, marks=pytest.mark.exhaustive)])
def test_entries_come_back_from_memory_and_from_the_file(examples):
    @settings(max_examples=examples)
    @given(st.lists(entries, max_size=12), st.lists(entries, max_size=4))
    def check(first, second):
        come_back(first, second)

    check()


def come_back(first, second):
    files = Files()
    table = filled(first, files)
    assert all_of(table, files.kept) == first
    read = stored(table)
    assert all_of(read, files.kept) == first
    assert read.resumed().size == table.size
    # What is added to a table that was read is compared with what was there.
    for base in (read.resumed(), read.resumed().with_blobs(files.kept)):
        grown = filled(second, files, base)
        assert all_of(grown, files.kept) == [*first, *second]
        assert all_of(stored(grown), files.kept) == [*first, *second]


def messages(count):
    return ormsgpack.packb([b"message %d, and some text" % n for n in range(count)])


def turn(count, **more):
    channels = {"messages": Value("msgpack", messages(count)), **more}
    return CheckpointRecord("", f"{count:08d}", None, Value("m", b"s"), Value("m", b"m"), channels, {"messages": count})


def test_a_growing_list_costs_its_new_messages():
    table = Table()
    sizes = []
    for count in range(1, 200):
        table = table.extended(turn(count))
        sizes.append(table.size)
    assert sizes[-1] - sizes[-2] < 120
    assert table.size < 2 * sum(len(b"message 100, and some text") + 60 for _ in range(200))


def test_a_table_that_was_read_goes_on_where_it_was():
    table = Table()
    for count in range(100, 120):
        table = table.extended(turn(count))
    read = stored(table).resumed()
    assert read.extended(turn(120)).size - read.size == table.extended(turn(120)).size - table.size < 200


def test_a_value_that_does_not_change_costs_nothing():
    big = Value("msgpack", b"z" * 10_000)
    table = Table().extended(turn(1, x=big))
    again = table.extended(turn(2, x=big))
    assert again.size - table.size < 200


def test_a_big_value_gets_a_file_when_it_comes_a_second_time():
    files, big = Files(), Value("msgpack", b"z" * 2000)
    table = filled([turn(1, x=big)], files, blob_bytes=2000)
    assert not files.kept
    table = filled([turn(2, x=big), turn(3, x=big)], files, table, blob_bytes=2000)
    assert list(files.kept.values()) == [big.data]
    fresh = filled([turn(4, x=big)], files, table.started(), blob_bytes=2000)
    assert len(files.kept) == 1, "a new window knows the file"
    assert fresh.size < 1000
    assert all_of(fresh, files.kept) == [turn(4, x=big)]


def test_a_smaller_value_gets_none():
    files = Files()
    filled([turn(1, x=Value("m", b"z" * 199))] * 3, files, blob_bytes=200)
    assert not files.kept


def test_a_value_that_was_stored_in_a_version_is_recalled():
    table = Table().extended(turn(1)).extended(turn(2))
    assert table.recall(("", "00000001"), "messages", 1) == Value("msgpack", messages(1))
    assert table.recall(("", "00000002"), "messages", 2) == Value("msgpack", messages(2))
    assert table.recall(("", "00000002"), "messages", 1) is None
    assert table.recall(("", "00000002"), "messages", 2.0) is None
    assert table.recall(("", "00000002"), "other", 2) is None
    assert table.recall(("x", "00000002"), "messages", 2) is None
    assert stored(table).recall(("", "00000002"), "messages", 2) is None, "versions are not stored"


def test_a_recalled_value_may_stand_in_a_file_of_its_own():
    files, big = Files(), Value("msgpack", b"z" * 300)
    some = [CheckpointRecord("", str(n), None, big, big, {"x": big}, {"x": 5}) for n in range(3)]
    table = filled(some, files)
    assert table.recall(("", "2"), "x", 5) == big
    assert table.recall(("", "0"), "x", 5) == big


@pytest.mark.parametrize(
    "raw",
    [
        [7],
        [[0, "", "1"]],
        [[2, "", "1", None, "m", "m", [], [b"", b""]]],
        [[0, "", "1", None, "m", "m", [], [b""]]],
        [[0, "", "1", None, "m", "m", [["a"]], [b"", b"", b""]]],
        [[0, "", "1", None, "m", "m", [], [b"", 1]]],
        [[0, "", "1", None, "m", "m", [], [b"", -1]]],
        [[0, "", "1", None, "m", "m", [], [b"", [1, b"", 0, b""]]]],
        [[0, "", "1", None, "m", "m", [], [b"", [0, b"", -1, b""]]]],
        [[0, "", "1", None, "m", "m", [], [b"", "text"]]],
        [[1, "", "1", "t", "", [["x", "c", "m"]], [b""]]],
        [[1, "", "1", "t", "", [[0, "c", "m"]], []]],
    ],
)
def test_what_is_no_row_is_reported(raw):
    with pytest.raises(MixCheckpointDamaged, match="the file") as raised:
        read_table("the file", raw)
    assert raised.value.document == "the file"


@pytest.mark.parametrize("slots", [[b"short", [0, b"", 6, b""]], [b"short", [0, b"", 2, b"ab"], [1, b"", 5, b""]]])
def test_a_value_in_terms_of_a_shorter_one_is_reported(slots):
    labels = [["a", "m"]] * (len(slots) - 2)
    table = read_table("the file", [[0, "", "1", None, "m", "m", labels, slots]])
    with pytest.raises(MixCheckpointDamaged, match="the file puts a value in terms of a shorter one"):
        table.entry(table.rows[0], {})


def test_names_that_are_no_text_are_refused():
    with pytest.raises(MixInputError):
        check(WritesRecord("\ud800", "1", "t", "", ()))
