"""The fields of a retriever.

Owns: what users may set, what cannot work, and what is made of it: a client, a plan, an index.
Refuses to know: calls.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Hashable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.utils import from_env, secret_from_env
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from langchain_mix._version import __version__
from langchain_mix.client.credentials import check_headers, split_url
from langchain_mix.client.secret_fields import SecretFields
from langchain_mix.errors import MixConfigurationError
from langchain_mix.protocol.api import ApiName
from langchain_mix.protocol.retry import RetryConfig
from langchain_mix.retrievers.disk_cache import KeptIndex
from langchain_mix.retrievers.downloads import OnProblem
from langchain_mix.retrievers.embedding import Embedder, OnEmbeddingError, name_of
from langchain_mix.retrievers.files import Selection
from langchain_mix.retrievers.indexing import Reading, Splitting
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.ranking import Weights
from langchain_mix.retrievers.session_index import Plan, SessionIndex
from langchain_mix.retrievers.tokens import stemming_languages

if TYPE_CHECKING:
    from langchain_mix.client import Mix

_READERS: Final = (
    "langchain-text-splitters",
    "chardet",
    "pypdf",
    "striprtf",
)
"""What files are read with. What is kept on disk was read with these versions of them."""


class RetrieverFields(SecretFields, BaseRetriever):
    """The fields of `MixRetriever`.

    Attributes:
        server_url: The server's base URL; the environment variable `MIX_SERVER_URL`, then port 8088 of this machine
            stand in. A user name and a password in it are kept as a secret.
        api_key: For a proxy in front of the server, to which it is sent as `Authorization: Bearer …`; Mix itself asks
            for none. The environment variable `MIX_API_KEY` stands in.
        api: The server's generation, or `"auto"` to learn it from its replies.
        timeout: Seconds without progress after which a request fails; None for the client's 30.
        max_retries: How often a request is sent again that does no more when sent twice; None for the client's policy.
        max_reply_bytes: Bytes that an answer of the server may have after decompression, files aside; None for 64 MiB.
        mix: A client of your own in the place of all of these.
        session_id: The session; `config["configurable"]["mix_session_id"]` of a call goes first.
        k: Documents at most.
        include: Patterns of file names, such as `"*.md"`, of which one must match; none for every file.
        exclude: Patterns of file names, none of which may match.
        selection: All of that and more, in the place of `include` and `exclude`.
        limits: How much is read.
        chunk_size: Characters of a passage at most.
        chunk_overlap: Characters at the end of a passage that may stand at the beginning of the next one, too.
        stemming: The language of the texts, such as `"german"`, whose forms of a word are then one: `Häuser` finds
            `Haus`. Needs the extra `stemming`; an unknown language is refused with the list of those it knows. None
            for plurals and the commonest endings of English.
        images: Whether images are documents as well: found by their names, with `thumbnail_url` in the metadata.
        embeddings: An embedding model of LangChain's; its ranking and that by words are put together by places.
        weights: How much the rankings count: by words, and by meaning. 0 leaves one out.
        embedding_batch: Texts per call of the embedding model.
        embedding_name: The name under which vectors are kept in `cache_dir`; None to take the class and the name of
            the model, and its settings that change vectors (sizes, normalisation, tasks). Vectors of a model without a
            name are not kept on disk. Vectors of another size are asked for again.
        on_embedding_error: What a failure of the embedding model does: `"raise"` it, or rank by `"words"` alone, which
            is logged and noted in the report.
        verify: How a file is noticed that was overwritten with one of the same size. Mix tells neither times of change
            nor checksums, so only its bytes prove what a file is. `"answers"` downloads the files of the documents that
            are about to be returned, at most `k`, and starts over with what they have become: what is returned is
            never out of date, though a file that fits only since then may be missing. `"checksum"` downloads all files
            at each call, a number those not looked at for so many seconds, and `"listing"` none.
        cache_dir: A directory where what was read is kept between processes; None for nowhere. It holds the text of
            the files. Several processes may share it.
        on_problem: What a file that cannot be read does: `"report"` tells it in `report`, `"raise"` ends the call.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True)

    server_url: str | None = Field(default_factory=from_env("MIX_SERVER_URL", default=None))
    api_key: SecretStr | None = Field(default_factory=secret_from_env("MIX_API_KEY", default=None))
    url_credentials: SecretStr | None = None
    """`user:password` for a proxy in front of the server; taken from `server_url` if it has them."""
    api: ApiName = "auto"
    timeout: float | None = Field(default=None, gt=0)
    max_retries: int | None = Field(default=None, ge=0)
    max_reply_bytes: int | None = Field(default=None, ge=1)
    mix: Any = Field(default=None, exclude=True)
    session_id: str | None = None
    k: int = Field(default=4, ge=1)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selection: Selection | None = None
    limits: Limits = Limits()
    chunk_size: int = Field(default=1000, ge=1)
    chunk_overlap: int = Field(default=150, ge=0)
    stemming: str | None = None
    images: bool = False
    embeddings: Embeddings | None = None
    weights: tuple[
        Annotated[float, Field(ge=0, allow_inf_nan=False)], Annotated[float, Field(ge=0, allow_inf_nan=False)]
    ] = (0.5, 0.5)
    embedding_batch: int = Field(default=64, ge=1)
    embedding_name: str | None = None
    on_embedding_error: OnEmbeddingError = "raise"
    verify: Literal["answers", "listing", "checksum"] | Annotated[float, Field(ge=0)] = "answers"
    cache_dir: Path | None = None
    on_problem: OnProblem = "report"

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _read_patterns(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.selection is not None and (self.include or self.exclude):
            raise MixConfigurationError(
                "There are both a selection and patterns.", hint="Give the selection its own `include` and `exclude`."
            )
        if not any(self.weights):
            raise MixConfigurationError("Both `weights` are 0; nothing would be found.")
        Splitting(self.chunk_size, self.chunk_overlap)
        if self.stemming is not None and self.stemming not in (known := stemming_languages()):
            raise MixConfigurationError(f"`stemming` is {self.stemming!r}.", hint=f"It is one of {', '.join(known)}.")
        if self.server_url:
            url, credentials = split_url(self.server_url)
            if credentials:
                self.server_url, self.url_credentials = url, SecretStr(credentials)
        if self.api_key and self.url_credentials:
            raise MixConfigurationError(
                "There are both an API key and a user name in the server's URL.", hint="A request carries only one."
            )
        if self.api_key is not None:
            check_headers({"Authorization": self.api_key.get_secret_value()})
        return self

    # Copies

    def __getstate__(self) -> dict[Any, Any]:
        """Pickles all but a client, which cannot be: its connections belong to this process.

        Raises:
            MixConfigurationError: There is a client of the user's.
        """
        if self.mix is not None:
            raise MixConfigurationError(
                "A retriever with a client of yours (`mix=`) cannot be pickled.", hint="Give it `server_url=` instead."
            )
        return super().__getstate__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copies what it is made of, but shares the client and the embedding model, which have connections."""
        shared = {id(thing): thing for thing in (self.mix, self.embeddings) if thing is not None}
        return super().__deepcopy__({**(memo or {}), **shared})

    # What is made of them

    def connection_key(self) -> Hashable:
        """The values that a client depends on."""
        return (
            self.server_url,
            self.api,
            self.timeout,
            self.max_retries,
            self.max_reply_bytes,
            *self._headers().items(),
        )

    def make_client(self) -> Mix:
        """A client for these fields."""
        from langchain_mix.client import Mix  # noqa: PLC0415  # The HTTP library is loaded when it is first used.

        return Mix(
            server_url=self.server_url,
            api=self.api,
            headers=self._headers(),
            timeout_ms=None if self.timeout is None else max(1, round(self.timeout * 1000)),
            retry_config=None if self.max_retries is None else RetryConfig(max_attempts=self.max_retries + 1),
            max_reply_bytes=self.max_reply_bytes,
        )

    def _headers(self) -> Mapping[str, str]:
        if self.api_key is not None:
            return {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}
        if self.url_credentials is not None:
            pair = base64.b64encode(self.url_credentials.get_secret_value().encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def plan(self, session_id: str, server_url: str) -> Plan:
        """What is indexed, and how.

        Args:
            session_id: The session.
            server_url: The base URL of the client.
        """
        return Plan(
            session_id=session_id,
            server_url=server_url,
            selection=self.selection or Selection(include=self.include, exclude=self.exclude),
            reading=Reading(Splitting(self.chunk_size, self.chunk_overlap), self.limits, self.images, self.stemming),
            verify=self.verify,
            on_problem=self.on_problem,
            weights=Weights(*self.weights),
        )

    def index_key(self) -> tuple[Any, ...]:
        """The values that an index depends on beside its plan."""
        name = self._vectors_name()
        return (id(self.embeddings), self.embedding_batch, name, self.on_embedding_error, self.cache_dir)

    def make_index(self, plan: Plan) -> SessionIndex:
        """An index for a plan.

        Args:
            plan: The plan.

        Raises:
            MixConfigurationError: `cache_dir` cannot be used.
        """
        kept = None
        if self.cache_dir is not None:
            kept = KeptIndex(self.cache_dir.expanduser(), _key_of(plan), self.stemming)
        embedder = None
        if self.embeddings is not None and plan.weights.meaning > 0:
            embedder = Embedder(
                self.embeddings,
                batch=self.embedding_batch,
                on_error=self.on_embedding_error,
                name=self._vectors_name(),
                kept=kept,
            )
        return SessionIndex(plan, kept, embedder)

    def _vectors_name(self) -> str:
        if self.embeddings is None:
            return ""
        return self.embedding_name if self.embedding_name is not None else name_of(self.embeddings)


def _key_of(plan: Plan) -> str:
    """All that what is kept of a session depends on, beside the files."""
    return json.dumps(
        [__version__, plan.server_url, plan.session_id, repr(plan.reading), [_version_of(name) for name in _READERS]]
    )


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
