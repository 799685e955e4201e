"""A chain and a graph that answer from the files of a session, with citations that point into them."""

from __future__ import annotations

import re
from typing import Any, TypedDict

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnablePassthrough
from langgraph.graph import END, START, StateGraph

from langchain_mix import ChatMix, MixEmulator, MixRetriever
from langchain_mix.client import Mix
from langchain_mix.emulator import Script

HANDBOOK = """# Handbook

## Refunds

Refunds are paid within ten days of the return.

## Shipping

Parcels leave the warehouse every Monday.
"""

PROMPT = ChatPromptTemplate.from_template(
    "Answer from these passages, naming them like [1].\n\n{context}\n\n{question}"
)


def numbered(documents: list[Document]) -> str:
    return "\n\n".join(f"[{d.metadata['rank']}] {d.metadata['file_name']}\n{d.page_content}" for d in documents)


def cited(answer: str, documents: list[Document]) -> list[dict[str, Any]]:
    """The passages that an answer names, as LangChain's citations."""
    named = {int(number) for number in re.findall(r"\[(\d+)\]", answer)}
    return [
        {
            "type": "citation",
            "url": d.metadata["source"],
            "title": d.metadata["file_name"],
            "start_index": d.metadata["start_index"],
            "end_index": d.metadata["end_index"],
            "cited_text": d.page_content,
        }
        for d in documents
        if d.metadata["rank"] in named
    ]


class State(TypedDict, total=False):
    question: str
    documents: list[Document]
    answer: AIMessage
    citations: list[dict[str, Any]]


@pytest.fixture
def scene():
    replies = Script(*["Refunds take ten days [1]."] * 4)
    with MixEmulator("0.8", replies) as server, Mix(server_url=server.url) as mix:
        session_id = mix.sessions.create(title="handbook").id
        mix.files.upload_session_file(id=session_id, file=HANDBOOK.encode(), file_name="handbook.md")
        retriever = MixRetriever(server_url=server.url, session_id=session_id, chunk_size=80, chunk_overlap=0)
        model = ChatMix(server_url=server.url)
        yield server, session_id, retriever, model
        retriever.client.close()
        model.client.close()


def test_a_chain_answers_from_files(scene):
    _, _, retriever, model = scene
    chain = {"context": retriever | numbered, "question": RunnablePassthrough()} | PROMPT | model | StrOutputParser()
    assert chain.invoke("How long do refunds take?") == "Refunds take ten days [1]."


def build(retriever, model):
    def retrieve(state: State, config: RunnableConfig) -> State:
        return {"documents": retriever.invoke(state["question"], config)}

    def answer(state: State, config: RunnableConfig) -> State:
        messages = PROMPT.format_messages(context=numbered(state["documents"]), question=state["question"])
        reply = model.invoke(messages, config)
        return {"answer": reply, "citations": cited(reply.text, state["documents"])}

    graph = StateGraph(State)
    graph.add_node("retrieve", retrieve)
    graph.add_node("answer", answer)
    graph.add_edge(START, "retrieve")
    graph.add_edge("retrieve", "answer")
    graph.add_edge("answer", END)
    return graph.compile()


def test_a_graph_cites_spans_that_are_in_the_file(scene):
    _, session_id, retriever, model = scene
    state = build(retriever, model).invoke({"question": "How long do refunds take?"})
    (citation,) = state["citations"]
    file = retriever.client.files.get_session_file(id=session_id, filename=citation["title"]).content.decode()
    assert file[citation["start_index"] : citation["end_index"]] == citation["cited_text"]
    assert "ten days" in citation["cited_text"]


async def test_a_graph_does_so_asynchronously(scene):
    _, session_id, retriever, model = scene

    async def retrieve(state: State, config: RunnableConfig) -> State:
        return {"documents": await retriever.ainvoke(state["question"], config)}

    async def answer(state: State, config: RunnableConfig) -> State:
        reply = await model.ainvoke([HumanMessage(numbered(state["documents"]) + state["question"])], config)
        return {"answer": reply, "citations": cited(reply.text, state["documents"])}

    graph = StateGraph(State)
    graph.add_sequence([("retrieve", retrieve), ("answer", answer)])
    graph.add_edge(START, "retrieve")
    state = await graph.compile().ainvoke({"question": "When do parcels leave?"})
    response = await retriever.client.files.get_session_file_async(id=session_id, filename="handbook.md")
    (citation,) = state["citations"]
    assert response.content.decode()[citation["start_index"] : citation["end_index"]] == citation["cited_text"]
    assert "Monday" in citation["cited_text"]
    await retriever.client.aclose()
    await model.client.aclose()


def test_a_graph_answers_from_the_session_that_its_configuration_names(scene):
    server, session_id, _, model = scene
    retriever = MixRetriever(server_url=server.url, chunk_size=80, chunk_overlap=0)
    config = {"configurable": {"mix_session_id": session_id}}
    state = build(retriever, model).invoke({"question": "How long do refunds take?"}, config)
    assert state["documents"][0].metadata["session_id"] == session_id
    assert state["answer"].response_metadata["mix"]["session_id"] == session_id
    retriever.client.close()
