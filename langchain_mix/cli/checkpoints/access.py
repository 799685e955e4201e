"""Opens the checkpoint store of a server: through which session it is read, and with which key.

Owns: reading without creating a session, and refusing a key that does not fit before anything is done.
Refuses to know: what is read. The key is never shown.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langchain_mix.checkpoint import MixSaver, encoding, names, runtime
from langchain_mix.checkpoint.backend import thread_name
from langchain_mix.checkpoint.encoding import NO_ENCRYPTION, CipherEncryption, Encryption, ForeignDocument, TornDocument
from langchain_mix.checkpoint.file_backend import FileBackend
from langchain_mix.checkpoint.files import TITLE, SessionFiles
from langchain_mix.checkpoint.names import FileName
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.checkpoint.serde import Codec, StrictSerializer
from langchain_mix.checkpoint.store import ThreadStore
from langchain_mix.client import Mix
from langchain_mix.errors import MixCheckpointDamaged, MixConfigurationError, MixInputError
from langchain_mix.protocol.call import Flow, ask
from langchain_mix.protocol.calls import list_sessions
from langchain_mix.protocol.models import FileInfo

T = TypeVar("T")


class ReadOnlySessionFiles(SessionFiles):
    """Files of the store, read without making a session.

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
    """A store that is looked at: its threads, and the same as checkpoints (`backend`)."""

    mix: Mix
    serde: SerializerProtocol
    threads: ThreadStore
    backend: FileBackend

    def run(self, steps: Steps[T]) -> T:
        """Runs a procedure."""
        return runtime.run(self.mix, steps)

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
    """Opens the store for some threads, or for all.

    The environment variable `key_variable` holds the key; '' says that nothing is encrypted, None looks first.

    Raises:
        MixConfigurationError: There is no key, or another one is needed.
        MixError: The server could not be read.
    """
    session_files = ReadOnlySessionFiles(mix.server_api)
    names = None if thread_ids is None else [thread_name(one) for one in thread_ids]
    serde = choose_serde(mix, session_files, key_variable, names)
    encryption = CipherEncryption(serde.cipher) if isinstance(serde, EncryptedSerializer) else NO_ENCRYPTION
    threads = ThreadStore(session_files=session_files, encryption=encryption)
    return Store(mix, serde, threads, FileBackend(threads, Codec.of(serde)))


def no_thread(thread_id: str) -> MixInputError:
    """The error for a thread that does not exist."""
    return MixInputError(
        f"There is no thread {thread_id!r} on this server.", hint="`langchain-mix checkpoints list` shows all."
    )


VARIABLE: Final = "LANGGRAPH_AES_KEY"
"""The variable in which LangGraph looks for a key."""

_LENGTHS: Final = (16, 24, 32)
_AT_ONCE: Final = 8
_INFORMATIVE: Final = ("owner", "manifest", "segment", "index", "blob", "epoch_marker")
"""Kinds of files; those that a thread always has come first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One document of a thread."""

    file: FileName
    data: bytes

    def opens_with(self, encryption: Encryption) -> bool | None:
        """True when it can be opened so; None if that is unknown."""
        try:
            encoding.unpack(self.file.name, self.file.kind, encoding.reopened(self.file.name, self.data), encryption)
        except ForeignDocument:
            return False
        except TornDocument:
            return None
        except MixCheckpointDamaged:
            return True  # It was opened; what is wrong with it is another matter.
        return True


def choose_serde(
    mix: Mix, session_files: SessionFiles, variable: str | None, thread_ids: Sequence[str] | None
) -> SerializerProtocol:
    """Returns the serializer that fits what is stored of some threads, or of all, some of which may be another's.

    `variable` is the `key_variable` of `open_store`.

    Raises:
        MixConfigurationError: There is no key, or another one is needed.
    """
    keys = None if thread_ids is None else {names.key_of(one): one for one in thread_ids}
    samples = mix.run(_samples(session_files, keys))
    locked = [one for one in samples if one.opens_with(NO_ENCRYPTION) is False]
    used = variable if variable is not None else VARIABLE if locked else ""
    if not used:
        if locked and keys is not None:
            raise MixConfigurationError(
                f"Thread {keys[names.hidden(locked[0].file.key)]!r} is encrypted.",
                hint="Leave out `--aes-key-env`, or name a variable.",
            )
        return StrictSerializer()
    serde = _encrypted(used, explicit=variable is not None)
    fits = [one.opens_with(CipherEncryption(serde.cipher)) for one in locked]
    if False in fits and (keys is not None or not any(fits)):
        raise MixConfigurationError(f"The key in {used} is not the one that these checkpoints are encrypted with.")
    if keys is not None and len(locked) < len(samples):
        plain = next(one for one in samples if one not in locked)
        raise MixConfigurationError(
            f"Thread {keys[names.hidden(plain.file.key)]!r} is not encrypted.",
            hint="`--aes-key-env ''` reads it so; name threads of one kind at a time.",
        )
    return serde


def _encrypted(variable: str, *, explicit: bool) -> EncryptedSerializer:
    key = os.environ.get(variable, "").encode("utf-8", "surrogateescape")
    if not key:
        said = f"The environment variable {variable} is not set"
        raise MixConfigurationError(
            f"{said}." if explicit else f"Checkpoints here are encrypted, and {said[0].lower()}{said[1:]}.",
            hint="Set it to the key, or name another one with `--aes-key-env`. "
            "`--aes-key-env ''` reads what is not encrypted.",
        )
    if len(key) not in _LENGTHS:
        raise MixConfigurationError(f"The key in {variable} has {len(key)} bytes; AES keys have 16, 24 or 32.")
    try:
        return EncryptedSerializer.from_pycryptodome_aes(StrictSerializer(), key=key)
    except ImportError:
        raise MixConfigurationError(
            "Encrypted checkpoints need the package pycryptodome.", hint="pip install pycryptodome"
        ) from None


def _samples(session_files: SessionFiles, keys: dict[str, str] | None) -> Flow[list[Sample]]:
    """Reads a document of each thread that shows how it is encrypted."""
    files: dict[str, list[FileName]] = {}
    for info in (yield from session_files.listing()):
        what = names.parse(info.name)
        if what is not None and (keys is None or names.hidden(what.key) in keys):
            files.setdefault(what.key, []).append(what)
    waiting = [sorted(some, key=lambda what: (_INFORMATIVE.index(what.kind), -what.epoch)) for some in files.values()]
    found: list[Sample] = []
    while waiting:
        group, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        read = yield from session_files.read_all([some[0].name for some in group])
        for some, data in zip(group, read, strict=True):
            sample = None if data is None else Sample(some[0], data)
            if sample is not None and sample.opens_with(NO_ENCRYPTION) is not None:
                found.append(sample)
            elif some[1:]:
                waiting.append(some[1:])  # Torn or gone: the next file is tried.
    return found
