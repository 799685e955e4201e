"""The checkpoints of a thread as a tree, of any saver."""

from __future__ import annotations

from html import escape
from types import SimpleNamespace

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from langchain_mix.checkpoint.branches import Preview
from langchain_mix.notebook import atree, tree
from langchain_mix.notebook.checkpoint_tree import CheckpointTree

BAD = "<script>alert(1)</script>"
AT = {"configurable": {"thread_id": "t"}}


def node(name, parent=None, *, branch=False, **fields):
    told = {"step": 1, "source": "loop", "created_at": "2026-01-02T03:04:05.6", "position": None}
    return SimpleNamespace(checkpoint_id=name, parent_id=parent, is_branch=branch, **{**told, **fields})


def shape(found):
    return [(row.node.checkpoint_id, row.depth) for row in found.rows()]


BRANCHED = (
    node("1"),
    node("2", "1"),
    node("3", "2"),
    node("4", "1", branch=True),
    node("5", "4"),
    node("6", "2", branch=True),
)


def test_what_goes_on_is_below_and_branches_are_beside():
    found = CheckpointTree(thread_id="t", nodes=BRANCHED)
    assert shape(found) == [("1", 0), ("4", 1), ("5", 1), ("2", 0), ("6", 1), ("3", 0)]


def test_nodes_whose_parent_is_gone_are_roots():
    assert shape(CheckpointTree(thread_id="t", nodes=(node("2", "gone"), node("3", "2")))) == [("2", 0), ("3", 0)]


def test_a_long_thread():
    nodes = tuple(node(str(n), str(n - 1), branch=True) for n in range(5000))
    found = CheckpointTree(thread_id="t", nodes=nodes)
    assert len(list(found.rows())) == 5000
    assert found._repr_html_().count("<li") == 5000


def test_text():
    position = SimpleNamespace(session_id="0123456789abcdef", row_count=4)
    nodes = (node("1", position=position), node("2", "1", step=None, source=""), node("3", "1", branch=True))
    assert repr(CheckpointTree(thread_id="t", nodes=nodes)).split("\n") == [
        "Thread t, 3 checkpoints, 1 branch",
        "o 1  step 1  loop",
        "    2026-01-02 03:04:05  session 01234567 after 4 messages",
        "| * 3  step 1  loop  branch  latest",
        "|     2026-01-02 03:04:05",
        "o 2  step ?  ?",
        "    2026-01-02 03:04:05",
    ]


def test_text_fits_a_terminal(saver):
    """Ids are whole, so that they can be copied, and a line is not broken for it."""
    assert max(map(len, repr(tree(saver, "t")).split("\n"))) <= 80


@pytest.mark.parametrize("field", ["checkpoint_id", "source", "created_at", "session"])
def test_no_word_becomes_markup(field):
    values = {"position": SimpleNamespace(session_id=BAD, row_count=1)} if field == "session" else {field: BAD}
    one = node(values.pop("checkpoint_id", "1"), **values)
    found = CheckpointTree(thread_id=BAD, nodes=(one,))
    assert "<script" not in found._repr_html_()


def test_no_character_that_a_terminal_obeys():
    assert "\x1b" not in repr(CheckpointTree(thread_id="\x1b[2J", nodes=(node("\x1b[2J"),)))


def test_a_thread_without_checkpoints():
    found = tree(InMemorySaver(), "t")
    assert repr(found) == "Thread t, 0 checkpoints"
    assert "0 checkpoints" in found._repr_html_()


@pytest.fixture
def saver():
    """Three steps, and a branch from the end of the first run."""
    saver = InMemorySaver()
    graph = StateGraph(MessagesState)
    pointer = {"mix": {"session_id": "s", "row_count": 2}}
    graph.add_node("agent", lambda _: {"messages": [AIMessage("a", response_metadata=pointer)]})
    graph.add_edge(START, "agent")
    app = graph.compile(checkpointer=saver)
    app.invoke({"messages": [("user", "1")]}, AT)
    first = app.get_state(AT).config
    app.invoke({"messages": [("user", "2")]}, AT)
    app.invoke({"messages": [("user", "3")]}, first)
    return saver


def test_any_saver(saver):
    found = tree(saver, "t")
    assert len(found.nodes) == 9
    assert sum(one.is_branch for one in found.nodes) == 1
    assert [row.depth for row in found.rows()] == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert found.nodes[-1].position.session_id == "s"
    assert not found.left_out
    assert "latest" in found._repr_html_()
    assert "9 checkpoints, 1 branch" in found._repr_html_()


def test_each_checkpoint_says_which_node_ran_and_what_was_said_last(saver):
    found = tree(saver, "t")
    last = found.nodes[-1].checkpoint_id
    assert f"* {last}" in repr(found)
    assert repr(found).count("[agent] ai: a") == 3
    assert "human: 3" in repr(found)
    assert "<b>agent</b> ai: a</div>" in found._repr_html_()


def test_a_long_message_is_cut_and_whole_in_the_tooltip():
    whole = "human: " + "tea & <b>milk</b> " * 20
    one = node("1f0c5a2e-7b1d-6c1e-8004-9e0f3f2f6a11")
    html = CheckpointTree(
        thread_id="t", nodes=(one,), previews={one.checkpoint_id: Preview("a<b>", whole)}
    )._repr_html_()
    assert f'title="{escape(whole)}"' in html
    assert "<b>a&lt;b&gt;</b> human: tea &amp; &lt;b&gt;milk" in html
    assert html.count("…</div>") == 1


def test_an_id_is_copied_as_a_whole_though_its_end_is_shown():
    html = CheckpointTree(thread_id="t", nodes=(node("1f0c5a2e-7b1d-6c1e-8004-9e0f3f2f6a11"),))._repr_html_()
    assert '<span class="lcm-cut">1f0c5a2e-7b1d-6c1e-8004-9e0f</span>3f2f6a11</code>' in html


async def test_any_saver_asynchronously(saver):
    assert repr(await atree(saver, "t")) == repr(tree(saver, "t"))


def test_the_newest_are_shown(saver):
    found = tree(saver, "t", limit=4)
    assert [one.checkpoint_id for one in found.nodes] == [one.checkpoint_id for one in tree(saver, "t").nodes[-4:]]
    assert found.left_out
    assert "older checkpoints" in found._repr_html_()
    assert not tree(saver, "t", limit=9).left_out


def test_a_namespace(saver):
    assert tree(saver, "t", checkpoint_ns="sub").nodes == ()


class Branches:
    """What `MixSaver` offers."""

    def __init__(self):
        self.asked = []

    def branches(self, thread_id, ns=""):
        self.asked.append((thread_id, ns))
        return SimpleNamespace(nodes=BRANCHED)

    async def abranches(self, thread_id, ns=""):
        return self.branches(thread_id, ns)

    def list(self, config, *, limit):
        return iter(())

    async def alist(self, config, *, limit):
        return
        yield


async def test_a_saver_that_knows_its_branches():
    saver = Branches()
    assert shape(tree(saver, "t", checkpoint_ns="n")) == shape(await atree(saver, "t", checkpoint_ns="n"))
    assert saver.asked == [("t", "n"), ("t", "n")]
    assert [one.checkpoint_id for one in tree(saver, "t", limit=2).nodes] == ["5", "6"]
