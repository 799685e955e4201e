"""Checkpoints as a tree of branches."""

from __future__ import annotations

from langchain_mix.checkpoint.backend import CheckpointInfo, PendingWrite
from langchain_mix.checkpoint.branches import build_tree
from langchain_mix.checkpoint.positions import Position


def item(checkpoint_id, parent_id=None, *, ns="", source="loop", step=0, positions=(), writes=(), **metadata):
    return CheckpointInfo(
        ns=ns,
        checkpoint_id=checkpoint_id,
        parent_id=parent_id,
        ts="2026-01-01T00:00:00+00:00",
        metadata={"source": source, "step": step, **metadata},
        channels=frozenset(),
        positions=tuple(positions),
        writes=tuple(writes),
    )


HERE = Position(server="s", session_id="S", message_id="m", row_count=2)
ITEMS = [
    item("1", source="input", step=-1),
    item("2", "1", positions=[HERE]),
    item("3", "2", step=1),
    item("4", "2", source="fork", step=1),
    item("5", "4", step=2, writes=[PendingWrite("t", "c")]),
    item("6", "2", source="update"),
    item("9", ns="sub"),
]


def test_a_branch_is_whose_parent_had_a_child_already():
    tree = build_tree("a", "", ITEMS)
    assert [node.checkpoint_id for node in tree.nodes] == ["1", "2", "3", "4", "5", "6"]
    assert [node.checkpoint_id for node in tree.nodes if node.is_branch] == ["4", "6"]
    assert [node.checkpoint_id for node in tree.roots] == ["1"]
    assert [node.checkpoint_id for node in tree.heads] == ["3", "5", "6"]
    assert tree.latest is tree.by_id["6"]
    assert [node.checkpoint_id for node in tree.ancestors("5")] == ["4", "2", "1"]
    assert tree.by_id["2"].position == HERE
    assert tree.by_id["5"].pending_writes == 1


def test_the_drawing():
    lines = str(build_tree("a", "", ITEMS)).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["o 1", "o 2", "| * 6", "| o 4", "| o 5", "o 3"]
    assert lines[1] == "o 2  step 0  loop  session S after 2 messages"
    assert lines[3] == "| o 4  step 1  fork  branch"
    assert lines[4].endswith("1 pending")


def test_a_pruned_parent_and_missing_metadata_do_no_harm():
    lone = CheckpointInfo("", "7", "gone", "", {}, frozenset())
    tree = build_tree("a", "", [lone])
    assert tree.roots == tree.nodes
    assert str(tree) == "* 7  step ?  ?"
    assert build_tree("a", "", []).latest is None
    assert not str(build_tree("a", "", []))


def test_a_long_chain_is_drawn():
    chain = [item("0000")] + [item(f"{n:04}", f"{n - 1:04}") for n in range(1, 3000)]
    assert len(str(build_tree("a", "", chain)).splitlines()) == 3000


def test_parents_in_a_circle_end():
    tree = build_tree("a", "", [item("1", "2"), item("2", "1")])
    assert [node.checkpoint_id for node in tree.ancestors("1")] == ["2"]
    assert not str(tree)
