"""The store of a server, opened to be looked at.

Owns: which session its files are read through, so that looking at them makes none. Refuses to know: what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langchain_mix.checkpoint import MixSaver, driver
from langchain_mix.checkpoint.addresses import thread_name
from langchain_mix.checkpoint.door import TITLE, Door
from langchain_mix.checkpoint.mix_shelf import MixShelf
from langchain_mix.checkpoint.seal import PLAIN, CipherSeal
from langchain_mix.checkpoint.serde import Codec
from langchain_mix.checkpoint.shelf import Steps
from langchain_mix.checkpoint.store import Threads
from langchain_mix.cli.checkpoints.keys import choose_serde
from langchain_mix.client import Mix
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.call import Flow, ask
from langchain_mix.protocol.calls import list_sessions
from langchain_mix.protocol.models import FileInfo

T = TypeVar("T")


class LookingDoor(Door):
    """A door that makes no session.

    Mix: all sessions share their uploads, so any will do. Where there is no session, nothing can be read.
    """

    def session(self) -> Flow[str]:
        """Finds a session; an empty id if the server has none."""
        if self.session_id is None:
            listed = yield from ask(list_sessions(self._server_api.detected))
            mine = [one.id for one in listed if one.title == TITLE]
            self.session_id = next(iter([*mine, *(one.id for one in listed)]), "")
        return self.session_id

    def read(self, name: str) -> Flow[bytes | None]:
        """Reads a file; None if there is none."""
        return (yield from super().read(name)) if (yield from self.session()) else None

    def read_all(self, names: Sequence[str]) -> Flow[list[bytes | None]]:
        """Reads files."""
        return (yield from super().read_all(names)) if (yield from self.session()) else [None for _ in names]

    def verify(self) -> Flow[None]:
        """Makes sure that the session is there."""
        if (yield from self.session()):
            yield from super().verify()

    def listing(self) -> Flow[list[FileInfo]]:
        """Lists all files of the server."""
        return (yield from super().listing()) if (yield from self.session()) else []


@dataclass(frozen=True, slots=True)
class Store:
    """A store that is looked at.

    Attributes:
        mix: The client.
        serde: The serializer, with the key if the store is encrypted.
        threads: Its threads.
        shelf: The same as checkpoints.
    """

    mix: Mix
    serde: SerializerProtocol
    threads: Threads
    shelf: MixShelf

    def run(self, steps: Steps[T]) -> T:
        """Runs a procedure."""
        return driver.run(self.mix, steps)

    def saver(self) -> MixSaver:
        """A saver that may change it. The client stays open when it is closed."""
        return MixSaver(mix=self.mix, serde=self.serde)

    def demand(self, thread_id: str) -> None:
        """Makes sure that a thread holds a checkpoint.

        Raises:
            MixInputError: It does not.
            MixError: It could not be read.
        """
        found, _ = self.run(self.threads.page(thread_name(thread_id), ns=None, limit=1))
        if not found:
            raise no_thread(thread_id)


def open_store(mix: Mix, key_variable: str | None, thread_ids: Sequence[str] | None = None) -> Store:
    """Opens the store.

    Args:
        mix: The client.
        key_variable: Environment variable that holds the key; an empty one if nothing is encrypted; None to look first.
        thread_ids: The threads that it is about, or None for all.

    Returns:
        The store.

    Raises:
        MixConfigurationError: There is no key, or another one is needed.
        MixError: The server could not be read.
    """
    door = LookingDoor(mix.server_api)
    names = None if thread_ids is None else [thread_name(one) for one in thread_ids]
    serde = choose_serde(mix, door, key_variable, names)
    seal = CipherSeal(serde.cipher) if isinstance(serde, EncryptedSerializer) else PLAIN
    threads = Threads(door=door, seal=seal)
    return Store(mix, serde, threads, MixShelf(threads, Codec.of(serde)))


def no_thread(thread_id: str) -> MixInputError:
    """The error for a thread that does not exist."""
    return MixInputError(
        f"There is no thread {thread_id!r} on this server.", hint="`langchain-mix checkpoints list` shows all."
    )
