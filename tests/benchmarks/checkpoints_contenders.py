"""Who keeps states in the benchmark of checkpoints: savers, and a bare upload that keeps nothing but the newest.

Owns: what each does for an operation, and what of it is prepared outside of the measurement.
Refuses to know: how often that is done, and how it is reported.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

import httpx
import psycopg
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from tests.benchmarks.checkpoints_states import METADATA, Conversation, Step

Operation = Literal["put", "put_writes", "get_tuple", "cold get_tuple", "list"]
OPERATIONS: Final[tuple[Operation, ...]] = ("put", "put_writes", "get_tuple", "cold get_tuple", "list")

POSTGRES_VARIABLE: Final = "LANGCHAIN_MIX_POSTGRES_URL"
"""Names a PostgreSQL server; `.ci/postgres` starts one."""

LISTED: Final = 10
"""Checkpoints that a listing asks for."""

Work = Callable[[], object]


class Contender(Protocol):
    """Somebody who keeps states."""

    def ready(self, operation: Operation, turn: int) -> Work | None:
        """Prepares an operation: what it gives does it. None if it has no such operation."""
        ...


class SaverContender:
    """A saver of LangGraph."""

    def __init__(
        self,
        saver: BaseCheckpointSaver[Any],
        conversations: Sequence[Conversation],
        reader: BaseCheckpointSaver[Any] | None = None,
    ) -> None:
        """Takes threads that are filled already.

        Args:
            saver: The saver.
            conversations: Its threads, used by turns, so that short ones stay short.
            reader: Another saver on the same state that knows nothing of it, for cold reads.
        """
        self._saver = saver
        self._reader = reader
        self._conversations = conversations
        self._steps: dict[str, Step] = {}

    def ready(self, operation: Operation, turn: int) -> Work | None:
        """Prepares an operation."""
        conversation = self._conversations[turn % len(self._conversations)]
        saver, config = self._saver, conversation.config
        if operation == "put":
            step = self._steps[conversation.thread_id] = conversation.step()
            parent = step.parent
            return lambda: saver.put(parent, step.checkpoint, METADATA, step.versions)
        if operation == "put_writes":
            step, task_id = self._steps[conversation.thread_id], str(uuid.uuid4())
            here = step.config
            return lambda: saver.put_writes(here, [("messages", [step.written])], task_id)
        if operation == "list":
            return lambda: list(saver.list(config, limit=LISTED))
        reader = saver if operation == "get_tuple" else self._reader
        return None if reader is None else lambda: _found(reader, conversation)


def _found(saver: BaseCheckpointSaver[Any], conversation: Conversation) -> None:
    if saver.get_tuple(conversation.config) is None:
        raise AssertionError("It was put a moment ago.")


class BareContender:
    """Serialises a state and uploads it with httpx, or downloads it, and nothing else."""

    def __init__(self, client: httpx.Client, url: str, session_id: str, conversation: Conversation) -> None:
        """Uploads nothing yet.

        Args:
            client: Sends the requests.
            url: The server's base URL.
            session_id: A session.
            conversation: Makes the states.
        """
        self._client = client
        self._conversation = conversation
        self._serde = conversation.serde
        self._name = f"bare-{conversation.thread_id}"
        self._files = f"{url}/api/sessions/{session_id}/files"

    def ready(self, operation: Operation, turn: int) -> Work | None:
        """Prepares an operation; it has only two."""
        if operation == "put":
            step = self._conversation.step()
            return lambda: self.upload(self.serialised(step))
        return self._read if operation == "get_tuple" else None

    def serialised(self, step: Step) -> bytes:
        """A state as savers of databases serialise it."""
        return self._serde.dumps_typed(step.checkpoint)[1] + json.dumps(METADATA).encode()

    def upload(self, data: bytes) -> None:
        """Uploads bytes."""
        part = (self._name, data, "application/octet-stream")
        self._client.post(f"{self._files}/upload", files={"file": part}).raise_for_status()

    def download(self) -> bytes:
        """Downloads what was uploaded last."""
        return self._client.get(f"{self._files}/{self._name}").raise_for_status().content

    def _read(self) -> None:
        data = self.download()
        self._serde.loads_typed(("msgpack", data[: -len(json.dumps(METADATA))]))


@contextmanager
def rivals(directory: str) -> Iterator[dict[str, BaseCheckpointSaver[Any] | None]]:
    """Opens savers of LangGraph.

    Args:
        directory: Where SQLite keeps its file.

    Yields:
        The savers by name; None for one that cannot be used here.
    """
    with ExitStack() as stack:
        sqlite = stack.enter_context(SqliteSaver.from_conn_string(f"{directory}/checkpoints.sqlite"))
        sqlite.setup()
        server = os.environ.get(POSTGRES_VARIABLE)
        postgres = stack.enter_context(_postgres(server)) if server else None
        yield {"InMemorySaver": InMemorySaver(), "SqliteSaver": sqlite, "PostgresSaver": postgres}


@contextmanager
def _postgres(server: str) -> Iterator[PostgresSaver]:
    """A saver in a database of its own, which is dropped again."""
    name = f"benchmark_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            with PostgresSaver.from_conn_string(urlsplit(server)._replace(path=f"/{name}").geturl()) as saver:
                saver.setup()
                yield saver
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
