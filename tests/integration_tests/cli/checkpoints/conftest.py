"""Threads of real graphs, kept on a server, for the commands to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.reserved_files import is_reserved

KEY = "0123456789abcdef"


def thread(name):
    return {"configurable": {"thread_id": name}}


def graph(server, saver):
    """Chats, and asks whether to go on."""
    model = ChatMix(server_url=server.url)

    def chat(state):
        return {"messages": [model.invoke(state["messages"])]}

    def ask(state):
        return {"messages": [HumanMessage(str(interrupt("go on?")))]}

    builder = StateGraph(MessagesState).add_node("chat", chat).add_node("ask", ask)
    return builder.add_edge(START, "chat").add_edge("chat", "ask").compile(checkpointer=saver)


def talk(server, saver, name="a", texts=("What is 1+1?",), answer=True):
    compiled = graph(server, saver)
    for text in texts:
        compiled.invoke({"messages": [HumanMessage(text)]}, thread(name))
        if answer:
            compiled.invoke(Command(resume="yes"), thread(name))
    return compiled


def encrypted(key=KEY):
    return EncryptedSerializer.from_pycryptodome_aes(key=key.encode())


@pytest.fixture
def server():
    with MixEmulator(api="0.8") as emulator:
        yield emulator


@pytest.fixture
def saver(server):
    with MixSaver(server.url) as saver:
        yield saver


@pytest.fixture
def locked(server):
    """An encrypted thread `a`."""
    with MixSaver(server.url, serde=encrypted()) as saver:
        talk(server, saver)
        yield saver


@pytest.fixture
def on(cli, monkeypatch):
    """Runs a command of the group on a server: `on(server)("list")`."""
    monkeypatch.delenv("LANGGRAPH_AES_KEY", raising=False)

    def commands(server):
        return lambda command, *arguments, **given: cli("checkpoints", command, "-s", server.url, *arguments, **given)

    return commands


@pytest.fixture
def checkpoints(on, server):
    """Runs a command of the group on the test's own server: `checkpoints("list")`."""
    return on(server)


@dataclass(frozen=True)
class Kept:
    """A server with a thread `a`, for tests that change nothing."""

    server: MixEmulator
    saver: MixSaver
    graph: Any


@pytest.fixture(scope="module")
def kept():
    with MixEmulator(api="0.8") as server, MixSaver(server.url) as saver:
        yield Kept(server, saver, talk(server, saver))


@pytest.fixture(scope="module")
def kept_locked():
    """Its thread is encrypted."""
    with MixEmulator(api="0.8") as server, MixSaver(server.url, serde=encrypted()) as saver:
        yield Kept(server, saver, talk(server, saver))


@pytest.fixture
def a_person(monkeypatch):
    """Somebody sits at the keyboard."""
    monkeypatch.setattr("langchain_mix.cli.terminal.is_interactive", lambda: True)


@pytest.fixture
def tools():
    """What makes threads."""
    return Tools


class Tools:
    thread = staticmethod(thread)
    graph = staticmethod(graph)
    talk = staticmethod(talk)
    encrypted = staticmethod(encrypted)
    key = KEY

    @staticmethod
    def ids(saver, name="a"):
        """The ids of a thread's checkpoints, newest first."""
        return [one.config["configurable"]["checkpoint_id"] for one in saver.list(thread(name))]

    @staticmethod
    def sessions(server):
        return {
            s["id"]
            for s in server.state.sessions.listing(include_subagents=True)
            if s["title"] != "langchain-mix state"
        }

    @staticmethod
    def files(server):
        """Checkpoint files on the server's disk, by name."""
        return {path.name: path for path in server.data_dir.rglob("*") if path.is_file() and is_reserved(path.name)}

    @staticmethod
    def changes(server):
        """What was sent that may change something."""
        return [r for r in server.requests if r.method not in {"GET", "HEAD", "OPTIONS"}]
