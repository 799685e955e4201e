"""`MixRetriever`: the files of a session as LangChain's documents.

Owns: what users and LangChain hold in their hands: calls, and the configuration of a run.
Refuses to know: how files are indexed (`session_index.py`) and ranked (`index.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig
from pydantic import PrivateAttr

from langchain_mix.errors import MixInputError
from langchain_mix.retrievers.fields import RetrieverFields
from langchain_mix.retrievers.files import RemoteFile, Selection
from langchain_mix.retrievers.opened import Opened
from langchain_mix.retrievers.results import documents_of
from langchain_mix.retrievers.session_index import IndexReport, SessionIndex
from langchain_mix.retrievers.steps import Steps, run, run_async


class MixRetriever(RetrieverFields):
    """Finds passages in the files of a Mix session.

    Files are listed at each call; what is new or changed is downloaded, read and split, and everything is ranked by
    words (BM25), with `embeddings` by meaning as well. Before passages are handed out, their files are downloaded once
    more and compared: see `verify`.

    Most Mix servers keep one store of uploads for all sessions. `include`, `exclude` and `selection` say which files
    are meant; others are neither downloaded nor ranked.

    Each document has an `id` that stays as long as the file's bytes do, and in its metadata the file (`source`,
    `file_name`, `session_id`, `size`, `mime_type`, `kind`), the place (`start_index`, `end_index`, `start_line`,
    `page`, … as the format has it), `score` and `rank`. Scores of different queries cannot be compared.

    Example:
        ```python
        from langchain_mix import MixRetriever

        retriever = MixRetriever(server_url="http://localhost:8088", session_id=session_id, include="*.md")
        for document in retriever.invoke("How are refunds handled?"):
            print(document.metadata["file_name"], document.metadata["start_line"], document.page_content)
        ```
    """

    _opened: Opened = PrivateAttr(default_factory=Opened)

    @property
    def client(self) -> Any:
        """The client (`Mix`) that this retriever uses: `mix`, or one of its own, which you may close at the end."""
        if self.mix is not None:
            return self.mix
        return self._opened.client(self.connection_key(), self.make_client)

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
        run(self.client, index.refreshed())
        return index.report

    async def arefresh(self, *, session_id: str | None = None) -> IndexReport:
        """Does what `refresh` does, asynchronously."""
        index = self._index(session_id)
        await run_async(self.client, index.refreshed())
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
        """Does what `invoke` does, asynchronously: downloads on the event loop, reading and ranking beside it."""
        return await super().ainvoke(input, config, **_lifted(config, kwargs))

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002  # LangChain passes it.
        **options: Any,
    ) -> list[Document]:
        return run(self.client, self._answered(query, **options))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002  # The same.
        **options: Any,
    ) -> list[Document]:
        return await run_async(self.client, self._answered(query, **options))

    def _answered(
        self,
        query: Any,
        *,
        k: int | None = None,
        include: str | Iterable[str] = (),
        exclude: str | Iterable[str] = (),
        session_id: str | None = None,
        **unknown: Any,
    ) -> Steps[list[Document]]:
        """What a call does.

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
        server = self.client.server_url
        found = yield from index.answer(query, most, _accepts(narrowed, server))
        return documents_of(found, index.plan.session_id, server)

    def _index(self, session_id: str | None) -> SessionIndex:
        chosen = session_id or self.session_id
        if not chosen:
            raise MixInputError(
                "There is no session whose files could be searched.",
                hint="Pass `session_id=`, or `configurable={'mix_session_id': …}` in the configuration of the run.",
            )
        if not isinstance(chosen, str):
            raise MixInputError(f"The session is {chosen!r}, not the id of one.")
        plan = self.plan(chosen, self.client.server_url)
        key = (plan, *self.index_key())
        return self._opened.index(chosen, key, lambda: self.make_index(plan))


def _lifted(config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """LangChain does not show a retriever the configuration of its own call."""
    session_id = ((config or {}).get("configurable") or {}).get("mix_session_id")
    return {"session_id": session_id, **kwargs} if session_id else kwargs


def _accepts(selection: Selection | None, server_url: str) -> Callable[[str], bool] | None:
    if selection is None:
        return None
    return lambda name: selection.accepts(RemoteFile(name, 0, None, ""), server_url)
