"""The checkpoints that `MixSaver` keeps on a local emulator, to be looked at."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.checkpoint import MixSaver
from langchain_mix.errors import MixInputError
from langchain_mix.notebook import atree, tree

AT = {"configurable": {"thread_id": "a thread"}}


def test_a_thread_with_a_branch():
    with MixEmulator(api="0.7") as server, MixSaver(server_url=server.url) as saver:
        model = ChatMix(server_url=server.url)
        graph = StateGraph(MessagesState)
        graph.add_node("agent", lambda state: {"messages": [model.invoke(state["messages"])]})
        graph.add_edge(START, "agent")
        app = graph.compile(checkpointer=saver)
        app.invoke({"messages": [("user", "What is 1+1?")]}, AT)
        first = app.get_state(AT).config
        app.invoke({"messages": [("user", "What is 2+2?")]}, AT)
        answer = app.invoke({"messages": [("user", "What is 3+3?")]}, first)["messages"][-1]
        found = tree(saver, "a thread")
        model.client.close()
    assert [row.depth for row in found.rows()] == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    session = answer.response_metadata["mix"]["session_id"]
    assert found.nodes[-1].position.session_id == session
    html = found._repr_html_()
    for part in ("a thread", "9 checkpoints, 1 branch", "↳ branch", "latest", session[:8], "after "):
        assert part in html
    lines = repr(found).split("\n")
    assert len(lines) == 1 + 2 * 9 + sum(bool(preview.line) for preview in found.previews.values())
    assert lines[-1].endswith("[agent] ai: 2+2 = **4**")


async def test_a_config_names_the_thread():
    saver = InMemorySaver()
    graph = StateGraph(MessagesState)
    graph.add_node("agent", lambda _: {"messages": [("ai", "hello")]})
    graph.add_edge(START, "agent")
    app = graph.compile(checkpointer=saver)
    app.invoke({"messages": [("user", "?")]}, AT)
    assert repr(tree(saver, AT)) == repr(tree(saver, "a thread")) == repr(await atree(saver, AT))
    assert len(tree(saver, AT).nodes) == 3
    inner = {"configurable": {"thread_id": "a thread", "checkpoint_ns": "inner"}}
    assert tree(saver, inner).nodes == ()


@pytest.mark.parametrize(
    ("saver", "thread", "words"),
    [
        ("a thread", InMemorySaver(), "saver is str"),
        (InMemorySaver(), {}, "No thread"),
        (InMemorySaver(), {"configurable": {}}, "No thread"),
        (InMemorySaver(), "", "No thread"),
    ],
)
async def test_what_names_no_thread_is_refused(saver, thread, words):
    with pytest.raises(MixInputError, match=words) as caught:
        tree(saver, thread)
    assert "tree(saver" in caught.value.hint
    with pytest.raises(MixInputError, match=words):
        await atree(saver, thread)


async def test_asynchronously():
    with MixEmulator(api="0.8") as server:
        async with MixSaver(server_url=server.url) as saver:
            graph = StateGraph(MessagesState)
            graph.add_node("agent", lambda _: {"messages": [("ai", "hello")]})
            graph.add_edge(START, "agent")
            app = graph.compile(checkpointer=saver)
            await app.ainvoke({"messages": [("user", "?")]}, AT)
            found = await atree(saver, "a thread")
    assert len(found.nodes) == 3
    assert len(found._repr_html_().split("<li")) == 4
