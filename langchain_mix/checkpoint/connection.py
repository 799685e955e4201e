"""The client and the store behind a saver, made of its options.

Copies of a saver share one connection; one that was pickled or deep-copied begins with a writer of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langchain_mix.checkpoint.encoding import NO_ENCRYPTION, CipherEncryption
from langchain_mix.checkpoint.files import SessionFiles
from langchain_mix.checkpoint.state import StoreSettings
from langchain_mix.checkpoint.store import ThreadStore
from langchain_mix.client import Mix
from langchain_mix.errors import MixConfigurationError, MixUnsupportedError
from langchain_mix.protocol.retry import RetryConfig

if TYPE_CHECKING:
    import httpx

_STORE_SETTINGS: Final = frozenset({"attempts", "backoff", "cache_bytes", "retries"})
"""Settings of the store for operators; the others are for tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a saver's connection. The fields are those of `MixSaver`."""

    server_url: str | None = field(default=None, repr=False)
    mix: Mix | None = None
    session_id: str | None = None
    storage: BaseCheckpointSaver[Any] | None = None
    api: str = "auto"
    timeout: float | None = None
    max_retries: int | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    client: httpx.Client | None = None
    async_client: httpx.AsyncClient | None = None
    max_reply_bytes: int | None = None
    store: Mapping[str, float] | StoreSettings | None = None

    def check(self) -> None:
        """Refuses options that contradict each other.

        Raises:
            MixConfigurationError: Some do.
        """
        own = ("server_url", "timeout", "max_retries", "headers", "client", "async_client", "max_reply_bytes")
        given = [name for name in own if getattr(self, name) is not None]
        if self.api != "auto":
            given.append("api")
        if self.mix is not None and given:
            raise MixConfigurationError(
                f"`mix` is a client that is set up already; {', '.join(given)} would be ignored.",
                hint="Set it up so, or leave `mix` out.",
            )
        if self.timeout is not None and not self.timeout > 0:
            raise MixConfigurationError(f"timeout={self.timeout} must be above 0 seconds.")
        if self.max_retries is not None and self.max_retries < 0:
            raise MixConfigurationError(f"max_retries={self.max_retries} must be 0 or more.")
        if self.storage is not None and (self.store is not None or self.session_id is not None):
            raise MixConfigurationError(
                "`storage` keeps the state; `session_id` and `store` are about files of the Mix server.",
                hint="Leave them out.",
            )

    def open(self) -> Mix:
        """The client; its connections are opened when they are needed."""
        if self.mix is not None:
            return self.mix
        return Mix(
            server_url=self.server_url,
            client=self.client,
            async_client=self.async_client,
            retry_config=None if self.max_retries is None else RetryConfig(max_attempts=self.max_retries + 1),
            timeout_ms=None if self.timeout is None else max(1, round(self.timeout * 1000)),
            api=self.api,
            headers=self.headers,
            max_reply_bytes=self.max_reply_bytes,
        )

    def portable(self) -> Options:
        """The same options without what belongs to this process.

        Raises:
            MixUnsupportedError: They hold a client, whose connections and credentials stay where they are.
        """
        if self.mix is not None or self.client is not None or self.async_client is not None:
            raise MixUnsupportedError(
                "A MixSaver that was given a client cannot be pickled.",
                hint="Give it the server's URL and other options of the connection instead.",
            )
        return self if self.headers is None else replace(self, headers=dict(self.headers))


class Connection:
    """A client, and the store behind it unless another saver keeps the checkpoints."""

    def __init__(self, options: Options, serde: SerializerProtocol) -> None:
        """Opens nothing yet. The cipher of an encrypting serializer encrypts whole documents.

        Raises:
            MixConfigurationError: The options cannot work.
        """
        options.check()
        self.options = options
        self.mix = options.open()
        self.session_files: SessionFiles | None = None
        self.threads: ThreadStore | None = None
        if options.storage is None:
            encryption = CipherEncryption(serde.cipher) if isinstance(serde, EncryptedSerializer) else NO_ENCRYPTION
            self.session_files = SessionFiles(self.mix.server_api, options.session_id)
            self.threads = ThreadStore(
                session_files=self.session_files, encryption=encryption, settings=_settings(options.store)
            )

    def close(self) -> None:
        """Closes the connections of synchronous calls, unless the client is the user's."""
        if self.options.mix is None:
            self.mix.close()

    async def aclose(self) -> None:
        """Closes all connections, unless the client is the user's."""
        if self.options.mix is None:
            await self.mix.aclose()


def _settings(given: Mapping[str, float] | StoreSettings | None) -> StoreSettings:
    if given is None or isinstance(given, StoreSettings):
        return given or StoreSettings()
    unknown = sorted(given.keys() - _STORE_SETTINGS)
    if unknown:
        raise MixConfigurationError(
            f"`store` has no setting {unknown[0]!r}.", hint=f"It has {', '.join(sorted(_STORE_SETTINGS))}."
        )
    return StoreSettings(**cast("dict[str, Any]", given))
