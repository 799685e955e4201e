"""`MixRetriever`: the files of a session as LangChain's documents.

Owns: what users and LangChain call, the fields, what is made of them once (a client and the indexes of sessions), and
waiting: steps of procedures are carried out here, by threads for work that takes processor time.
Refuses to know: how files are indexed (`session_index.py`) and ranked (`ranking.py`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.utils import from_env, secret_from_env
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from langchain_mix import process_fork
from langchain_mix._version import __version__
from langchain_mix.client.credentials import SecretFields, check_headers, split_url
from langchain_mix.errors import MixConfigurationError, MixInputError
from langchain_mix.generators import Owned
from langchain_mix.protocol.api import ApiName
from langchain_mix.protocol.procedure import run, run_async
from langchain_mix.protocol.retry import RetryConfig
from langchain_mix.retrievers.disk_cache import DiskCache
from langchain_mix.retrievers.downloads import OnProblem, download_all, download_all_async
from langchain_mix.retrievers.embedding import Embedder, OnEmbeddingError, name_of
from langchain_mix.retrievers.files import RemoteFile, Selection
from langchain_mix.retrievers.indexing import Reading, Splitting
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.ranking import Weights
from langchain_mix.retrievers.results import documents_of
from langchain_mix.retrievers.session_index import IndexReport, Plan, SessionIndex
from langchain_mix.retrievers.steps import Download, Step, Steps, Wait, Work
from langchain_mix.retrievers.tokens import stemming_languages

if TYPE_CHECKING:
    from langchain_mix.client import Mix

T = TypeVar("T")

_MOST_SESSIONS: Final = 16
"""Sessions whose indexes stay in memory; of more, those used last."""

_READERS: Final = (
    "langchain-text-splitters",
    "chardet",
    "pypdf",
    "striprtf",
)
"""Packages that read files. A cached index depends on their versions."""


@dataclass(frozen=True, slots=True)
class _Held:
    """Holds an index, what it depends on (`key`), and the values of the retriever's fields when it was used last."""

    fields: tuple[Any, ...]
    key: tuple[Any, ...]
    index: SessionIndex


class _Opened:
    """Holds the client and the indexes of a retriever. Copies and pickles of it are empty: they open their own."""

    def __init__(self) -> None:
        """Holds nothing yet."""
        self._renew()
        process_fork.renew_in_child(self._renew)
        self._client: tuple[Hashable, Mix] | None = None
        self._indexes: OrderedDict[str, _Held] = OrderedDict()

    def _renew(self) -> None:
        self._lock = threading.RLock()  # The client and the indexes go on in a forked child by themselves.

    def __reduce__(self) -> tuple[type[_Opened], tuple[()]]:
        """Pickles, and copies, as an empty one: connections and locks stay where they are."""
        return _Opened, ()

    def client(self, key: Hashable, make: Callable[[], Mix]) -> Mix:
        """Returns the client, a new one if the fields it depends on (`key`) have changed."""
        with self._lock:
            if self._client is None or self._client[0] != key:
                self._client = (key, make())
            return self._client[1]

    def index(
        self,
        session_id: str,
        fields: tuple[Any, ...],
        plan: Callable[[], tuple[tuple[Any, ...], Plan]],
        make: Callable[[Plan], SessionIndex],
    ) -> SessionIndex:
        """Returns the index of a session, a new one if what it depends on has changed.

        As long as the values of all fields are the same, `plan` is not called.
        """
        with self._lock:
            held = self._indexes.get(session_id)
            if held is None or held.fields != fields:
                key, planned = plan()
                index = held.index if held is not None and held.key == key else make(planned)
                held = self._indexes[session_id] = _Held(fields, key, index)
            self._indexes.move_to_end(session_id)
            while len(self._indexes) > _MOST_SESSIONS:
                self._indexes.popitem(last=False)
            return held.index

    def newest(self) -> SessionIndex | None:
        """Returns the index that was used last."""
        with self._lock:
            return next(reversed(self._indexes.values())).index if self._indexes else None


class MixRetriever(SecretFields, BaseRetriever):
    """Finds passages in the files of a Mix session.

    Files are listed at each call; what is new or changed is downloaded, read and split, and everything is ranked by
    words (BM25), with `embeddings` by meaning as well. Before passages are handed out, their files are downloaded once
    more and compared: see `verify`.

    Most Mix servers keep one store of uploads for all sessions. `include`, `exclude` and `selection` say which files
    are meant; others are neither downloaded nor ranked.

    Each document has an `id` that stays as long as the file's bytes do, and in its metadata the file (`source`,
    `file_name`, `session_id`, `size`, `mime_type`, `kind`), the place (`start_index`, `end_index`, `start_line`,
    `page`, … as the format has it), `score` and `rank`. Scores of different queries cannot be compared.

    Attributes:
        server_url: The server's base URL; the environment variable `MIX_SERVER_URL`, then port 8088 of this machine
            are the defaults. A user name and a password in it are kept as a secret.
        api_key: For a proxy in front of the server, to which it is sent as `Authorization: Bearer …`; Mix itself needs
            none. The environment variable `MIX_API_KEY` is the default.
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
        chunk_overlap: Characters at the end of a passage that the next one may repeat.
        stemming: The language of the texts, such as `"german"`, whose forms of a word are then one: `Häuser` finds
            `Haus`. Needs the extra `stemming`; an unknown language is refused with the list of those it knows. None
            for plurals and the commonest endings of English.
        images: Whether images are documents as well: found by their names, with `thumbnail_url` in the metadata.
        embeddings: An embedding model of LangChain's; its ranking and that by words are put together by places.
        weights: How much the rankings count: by words, and by meaning. 0 leaves one out.
        embedding_batch: Texts per call of the embedding model.
        embedding_name: The name under which vectors are kept in `cache_dir`; None to take the class and the name of
            the model, and its settings that change vectors (sizes, normalisation, tasks). Vectors of a model without a
            name are not kept on disk. Vectors of another size are requested again.
        on_embedding_error: What a failure of the embedding model does: `"raise"` it, or rank by `"words"` alone, which
            is logged and noted in the report.
        verify: How a file is noticed that was overwritten with one of the same size. Mix sends neither times of change
            nor checksums, so only its bytes prove what a file is. `"answers"` downloads the files of the documents that
            are about to be returned, at most `k`, and starts over with what they have become: what is returned is
            never out of date, though a file that fits only since then may be missing. `"checksum"` downloads all files
            at each call, a number those not looked at for so many seconds, and `"listing"` none.
        cache_dir: A directory where what was read is kept between processes; None for nowhere. It holds the text of
            the files. Several processes may share it.
        on_problem: The effect of a file that cannot be read: `"report"` lists it in `report`, `"raise"` ends the call.

    Example:
        ```python
        from langchain_mix import MixRetriever

        retriever = MixRetriever(server_url="http://localhost:8088", session_id=session_id, include="*.md")
        for document in retriever.invoke("How are refunds handled?"):
            print(document.metadata["file_name"], document.metadata["start_line"], document.page_content)
        ```
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

    _opened: _Opened = PrivateAttr(default_factory=_Opened)

    @property
    def client(self) -> Any:
        """The client (`Mix`) that this retriever uses: `mix`, or one of its own, which you may close at the end."""
        if self.mix is not None:
            return self.mix
        headers = self._headers()
        key = (self.server_url, self.api, self.timeout, self.max_retries, self.max_reply_bytes, *headers.items())
        return self._opened.client(key, self._make_client)

    def _make_client(self) -> Mix:
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

    @property
    def report(self) -> IndexReport:
        """What became of each file when the index used last was brought up to date."""
        newest = self._opened.newest()
        return newest.report if newest is not None else IndexReport()

    def refresh(self, *, session_id: str | None = None) -> IndexReport:
        """Brings the index up to date now: one listing, and a download of each file that is new or changed.

        Args:
            session_id: The session; None for the retriever's.

        Returns:
            What became of each file.

        Raises:
            MixInputError: There is no session.
            MixFileError: A file cannot be read and `on_problem` is `"raise"`.
            MixError: The files cannot be listed or downloaded.
        """
        index = self._index(session_id)
        run(index.refreshed(), partial(perform, self.client))
        return index.report

    async def arefresh(self, *, session_id: str | None = None) -> IndexReport:
        """Does what `refresh` does, asynchronously."""
        index = self._index(session_id)
        await run_async(index.refreshed(), partial(perform_async, self.client))
        return index.report

    def invoke(
        self,
        input: str,  # noqa: A002  # LangChain's name.
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Finds passages.

        Args:
            input: The query.
            config: The configuration of the run; `config["configurable"]["mix_session_id"]` names the session.
            **kwargs: `k`, `include` and `exclude` for this call alone; patterns narrow the retriever's.

        Returns:
            The documents, the best first; none if nothing fits.

        Raises:
            MixInputError: The query or an argument is none, or there is no session.
            MixFileError: A file cannot be read and `on_problem` is `"raise"`.
            MixError: The files cannot be listed or downloaded.
        """
        return super().invoke(input, config, **_lifted(config, kwargs))

    async def ainvoke(
        self,
        input: str,  # noqa: A002  # LangChain's name.
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Does what `invoke` does, asynchronously: downloads on the event loop, long work in threads."""
        return await super().ainvoke(input, config, **_lifted(config, kwargs))

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002  # LangChain passes it.
        **options: Any,
    ) -> list[Document]:
        return run(self._search(query, **options), partial(perform, self.client))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002  # The same.
        **options: Any,
    ) -> list[Document]:
        return await run_async(self._search(query, **options), partial(perform_async, self.client))

    def _search(
        self,
        query: Any,
        *,
        k: int | None = None,
        include: str | Iterable[str] = (),
        exclude: str | Iterable[str] = (),
        session_id: str | None = None,
        **unknown: Any,
    ) -> Steps[list[Document]]:
        """Carries out a call.

        Raises:
            MixInputError: An argument is none.
        """
        if not isinstance(query, str):
            raise MixInputError(f"The query is {type(query).__name__}, not a text.")
        if unknown:
            raise MixInputError(
                f"{sorted(unknown)} are no options of a call.", hint="There are `k`, `include`, `exclude`."
            )
        most = self.k if k is None else k
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise MixInputError(f"`k` is {most!r}.", hint="It is a number of documents, at least 1.")
        narrowed = Selection(include=include, exclude=exclude) if include or exclude else None
        index = self._index(session_id)
        found = yield from index.search(query, most, _accepts(narrowed, index.plan.server_url))
        return documents_of(found, index.plan.session_id, index.plan.server_url)

    def _index(self, session_id: str | None) -> SessionIndex:
        chosen = session_id or self.session_id
        if not chosen:
            raise MixInputError(
                "There is no session whose files could be searched.",
                hint="Pass `session_id=`, or `configurable={'mix_session_id': …}` in the configuration of the run.",
            )
        if not isinstance(chosen, str):
            raise MixInputError(f"The session is {chosen!r}, not the id of one.")
        name = self._vectors_name()
        fields = (*self.__dict__.values(), name)
        return self._opened.index(chosen, fields, lambda: self._plan(chosen, name), self._make_index)

    def _plan(self, session_id: str, vectors_name: str) -> tuple[tuple[Any, ...], Plan]:
        splitting = Splitting(self.chunk_size, self.chunk_overlap)
        plan = Plan(
            session_id=session_id,
            server_url=self.client.server_url,
            selection=self.selection or Selection(include=self.include, exclude=self.exclude),
            reading=Reading(splitting, self.limits, self.images, self.stemming),
            verify=self.verify,
            on_problem=self.on_problem,
            weights=Weights(*self.weights),
        )
        model = (id(self.embeddings), self.embedding_batch, vectors_name, self.on_embedding_error)
        return (plan, *model, self.cache_dir), plan

    def _make_index(self, plan: Plan) -> SessionIndex:
        cache = None
        if self.cache_dir is not None:
            cache = DiskCache(self.cache_dir.expanduser(), _key_of(plan), self.stemming)
        embedder = None
        if self.embeddings is not None and plan.weights.meaning > 0:
            embedder = Embedder(
                self.embeddings,
                batch=self.embedding_batch,
                on_error=self.on_embedding_error,
                name=self._vectors_name(),
                cache=cache,
            )
        return SessionIndex(plan, cache, embedder)

    def _vectors_name(self) -> str:
        if self.embeddings is None:
            return ""
        return self.embedding_name if self.embedding_name is not None else name_of(self.embeddings)


def _lifted(config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """LangChain does not show a retriever the configuration of its own call."""
    session_id = ((config or {}).get("configurable") or {}).get("mix_session_id")
    return {"session_id": session_id, **kwargs} if session_id else kwargs


def _accepts(selection: Selection | None, server_url: str) -> Callable[[str], bool] | None:
    if selection is None:
        return None
    return lambda name: selection.accepts(RemoteFile(name, 0, None, ""), server_url)


def _key_of(plan: Plan) -> str:
    """Returns what the cached index of a session depends on, apart from the files."""
    return json.dumps(
        [__version__, plan.server_url, plan.session_id, repr(plan.reading), [_version_of(name) for name in _READERS]]
    )


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# Carrying out the steps of a procedure

_LOOK_AGAIN: Final = 1.0
"""Seconds between two checks that the event loop of a task that is waited for still runs."""


def perform(mix: Mix, step: Step) -> Any:
    """Carries out a step with a client, for `procedure.run`."""
    match step:
        case Work():
            return step.do()
        case Download():
            results = []
            for file in download_all(mix, step.batch):
                used = step.use(file)
                results.append(used.do() if isinstance(used, Work) else used)
            return results
        case Wait():
            return _wait(step)
        case _:
            return mix.perform(step)


async def perform_async(mix: Mix, step: Step) -> Any:
    """Does what `perform` does, asynchronously: downloads on the event loop, long work in threads."""
    match step:
        case Work():
            return await _work_async(step)
        case Download():
            results = []
            async with Owned(download_all_async(mix, step.batch)) as files:
                async for file in files:
                    used = step.use(file)
                    results.append(await _work_async(used) if isinstance(used, Work) else used)
            return results
        case Wait():
            return await _wait_async(step)
        case _:
            return await mix.perform_async(step)


async def _work_async(work: Work[T]) -> T:
    if work.do_async is not None:
        return await work.do_async()
    return await asyncio.to_thread(work.do)


def _wait(step: Wait) -> bool:
    try:
        here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    while not step.done.done():
        if step.loop is not None and (here is step.loop or not step.loop.is_running()):
            return False  # This very thread would have to go on for that task to end, or nobody runs it any more.
        with suppress(TimeoutError):
            step.done.result(timeout=_LOOK_AGAIN)
    return True


async def _wait_async(step: Wait) -> bool:
    here = asyncio.get_running_loop()
    done = asyncio.wrap_future(step.done)
    while not step.done.done():
        if step.loop is not None and step.loop is not here and not step.loop.is_running():
            return False
        await asyncio.wait([done], timeout=_LOOK_AGAIN)
    return True
