"""Threads as wholes: deleting, copying, pruning.

Owns: the methods of `MixSaver` for it, those of LangGraph and what they take beyond. Refuses to know: how they are
carried out (`removal.py`, `copying.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from langchain_mix.checkpoint.addresses import thread_name
from langchain_mix.checkpoint.copying import Copied, copy_thread
from langchain_mix.checkpoint.pruning import newest
from langchain_mix.checkpoint.removal import Removal
from langchain_mix.checkpoint.sessions import Removed
from langchain_mix.checkpoint.shelf import Item, Keep, Steps
from langchain_mix.checkpoint.time_travel import TimeTravel
from langchain_mix.errors import MixInputError


class Maintenance(TimeTravel):
    """A saver that deletes, copies and prunes threads."""

    _delete_sessions: bool = False

    def delete_thread(self, thread_id: str, *, delete_sessions: bool | None = None) -> None:
        """Deletes a thread with all its namespaces. One that does not exist is no error.

        Args:
            thread_id: The thread.
            delete_sessions: Whether Mix sessions go too that its messages point to and those of no other thread do;
                None for what the saver was told. To find out, all threads are read.

        Raises:
            MixError: It failed; the thread is deleted or as it was.
        """
        self._connection.run(self._deletion(thread_id, delete_sessions))

    async def adelete_thread(self, thread_id: str, *, delete_sessions: bool | None = None) -> None:
        """Does what `delete_thread` does, asynchronously."""
        await self._connection.run_async(self._deletion(thread_id, delete_sessions))

    def _deletion(self, thread_id: str, sessions: bool | None) -> Steps[None]:  # noqa: FBT001  # Passed on.
        return self._removal.thread(thread_name(thread_id), sessions=self._goes_too(sessions))

    @property
    def _removal(self) -> Removal:
        door = self._connection.door
        return Removal(self._shelf, self.mix.server_url, None if door is None else door.session_id)

    def _goes_too(self, asked: bool | None) -> bool:  # noqa: FBT001  # The same.
        return self._delete_sessions if asked is None else asked

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Deletes the checkpoints that runs have made, and what was written at them, in all threads.

        A checkpoint that a later one of another run needs stays (LangGraph's `DeltaChannel` stores no values).

        Args:
            run_ids: The runs, as `run_id` in the metadata of checkpoints.

        Raises:
            MixError: It failed; each thread is as it was or as it should be.
        """
        self._connection.run(self._removal.runs(frozenset(map(str, run_ids))))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Does what `delete_for_runs` does, asynchronously."""
        await self._connection.run_async(self._removal.runs(frozenset(map(str, run_ids))))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> Copied:  # type: ignore[override]
        """Copies a thread: checkpoints and writes in all namespaces with their ids, and its Mix sessions.

        Each session is forked as far as the thread needs it, and the messages of the copy point to the fork, so that
        the two threads never write into one session. Where Mix has no fork (0.8 on) the copy points to no session:
        ChatMix begins its next turn in a new one, with the conversation as a transcript. Files are not copied.

        A process that is killed in between leaves forks that nothing points to, titled "Copy of a thread". Those of
        finished copies have the same title, so that none is ever deleted for its title.

        Args:
            source_thread_id: The thread to copy. If it does not exist, nothing is done.
            target_thread_id: The new thread, which must be empty.

        Returns:
            What was copied and forked. LangGraph itself expects nothing.

        Raises:
            MixInputError: The target holds something. Nothing was changed.
            MixError: It failed; sessions made for it are deleted, or named in the notes of the error.
        """
        return self._connection.run(self._copy(source_thread_id, target_thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> Copied:  # type: ignore[override]
        """Does what `copy_thread` does, asynchronously."""
        return await self._connection.run_async(self._copy(source_thread_id, target_thread_id))

    def _copy(self, source: str, target: str) -> Steps[Copied]:
        return copy_thread(
            self._shelf, self.mix.server_api, self.mix.server_url, thread_name(source), thread_name(target)
        )

    def prune(  # type: ignore[override]
        self,
        thread_ids: Sequence[str],
        *,
        strategy: str = "keep_latest",
        keep_last: int | None = None,
        older_than: timedelta | None = None,
        delete_sessions: bool | None = None,
        dry_run: bool = False,
    ) -> Removed:
        """Removes old checkpoints of threads.

        The newest checkpoint of each namespace always stays, with its pending writes, and so do the ancestors that it
        needs (LangGraph's `DeltaChannel`). With `keep_last` or `older_than`, namespaces of subgraphs go together with
        the checkpoint that ran them.

        Args:
            thread_ids: The threads. Those that do not exist are no error.
            strategy: `"keep_latest"`, or `"delete"` to remove the threads altogether.
            keep_last: How many checkpoints of each namespace stay in any case; None for 1.
            older_than: Only checkpoints of that age go; None for all.
            delete_sessions: Whether Mix sessions go too that no checkpoint points to any more; None for what the saver
                was told. To find out, all threads are read.
            dry_run: Only tell what would be done.

        Returns:
            What was removed. LangGraph itself expects nothing.

        Raises:
            MixInputError: The strategy is unknown, or an argument does not go with it. Nothing was changed.
            MixError: It failed; each thread is as it was or as it should be.
        """
        rule = _rule(strategy, keep_last, older_than)
        names, sessions = [thread_name(one) for one in thread_ids], self._goes_too(delete_sessions)
        steps = self._removal.checkpoints(names, rule, sessions=sessions, dry_run=dry_run)
        return self._connection.run(steps)

    async def aprune(  # type: ignore[override]
        self,
        thread_ids: Sequence[str],
        *,
        strategy: str = "keep_latest",
        keep_last: int | None = None,
        older_than: timedelta | None = None,
        delete_sessions: bool | None = None,
        dry_run: bool = False,
    ) -> Removed:
        """Does what `prune` does, asynchronously."""
        rule = _rule(strategy, keep_last, older_than)
        names, sessions = [thread_name(one) for one in thread_ids], self._goes_too(delete_sessions)
        steps = self._removal.checkpoints(names, rule, sessions=sessions, dry_run=dry_run)
        return await self._connection.run_async(steps)


def _rule(
    strategy: str, keep_last: int | None, older_than: timedelta | None
) -> Callable[[Sequence[Item]], Keep] | None:
    """Which checkpoints stay; None for none."""
    if strategy not in {"keep_latest", "delete"}:
        raise MixInputError(f"`strategy` is {strategy!r}.", hint='Use "keep_latest" or "delete".')
    if strategy == "delete":
        if keep_last is not None or older_than is not None:
            raise MixInputError(
                '`keep_last` and `older_than` say what stays, and strategy="delete" that nothing does.',
                hint="Leave out one or the other.",
            )
        return None
    if keep_last is not None and keep_last < 1:
        raise MixInputError(f"`keep_last` is {keep_last}; at least 1 stays.", hint='strategy="delete" removes all.')
    if older_than is not None and older_than < timedelta(0):
        raise MixInputError(f"`older_than` is {older_than}; an age is 0 or more.")
    since = None if older_than is None else datetime.now(UTC) - older_than
    last = 1 if keep_last is None else keep_last
    selective = keep_last is not None or older_than is not None
    return lambda items: newest(items, keep_last=last, since=since, drop_subgraphs=selective)
