"""Operations on whole threads: copy, rewind, prune, delete; each together with the Mix sessions of the thread.

Owns: which checkpoints and sessions go or stay, and the order of steps, so that a failure in between leaves nothing
that points to nothing. Refuses to know: where checkpoints are kept, and how calls are sent.

A pointer is a claim: it may have come into the state with messages from outside. It is followed only where the words of
the session's rows up to it are those of messages in the thread (`chat_models/agreement.py`); else the session is left
alone.

- *Copy.* Each session is forked as far as the thread needs it. Two threads never write into one session: a session that
  cannot be forked (Mix 0.8 has no fork) is not referred to by the copy, whose next turn ChatMix then begins in a
  session of its own, with the conversation as a transcript.
- *Rewind.* The checkpoint is the newest of its thread again, as if what came later had not happened. What is newer
  goes, with branches made later and what subgraphs did for it; older branches stay. Tasks of the checkpoint run again;
  an interrupt that waited for an answer waits again.
- *Prune and delete.* Checkpoints go first, then the sessions that only they pointed to. Mix does not record the maker
  of a session, so a session counts as a thread's own if its messages point to it. It goes on demand only, only if no
  checkpoint of any thread in the same backend points to it, and never if the store works through it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME

from langchain_mix.checkpoint.backend import (
    Address,
    CheckpointBackend,
    CheckpointInfo,
    Keep,
    Key,
    PendingWrite,
    thread_exists,
)
from langchain_mix.checkpoint.positions import Position, messages_in, read_position
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.errors import MixError, MixInputError, MixNotFoundError, MixUnsupportedError
from langchain_mix.pointer import KEY, read_pointer
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.api import ServerApi
from langchain_mix.protocol.call import ask

if TYPE_CHECKING:
    from langchain_mix.protocol.models import BackendMessage

TITLE: Final = "Copy of a thread"
"""Title of forked sessions."""

_PLACE: Final = ("server", "session_id", "message_id", "user_message_id", "row_count", "digest", "setup", "model")


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of a copy.

    Attributes:
        checkpoints: How many checkpoints were copied.
        sessions: The sessions of the source that were forked, each with its fork.
        unforked: The sessions of the source that the copy does not refer to: Mix cannot fork, or the session does not
            say what the thread says.
    """

    checkpoints: int = 0
    sessions: Mapping[str, str] = field(default_factory=dict)
    unforked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound:
    """The result of a rewind, done or planned.

    Attributes:
        checkpoint_id: The checkpoint that is the newest now.
        removed: Ids of the checkpoints that went, by namespace.
        position: The place of the thread in its session now, or None if no message of its state came from one.
        session_rewound: Whether messages of the session went.
        rows_removed: How many.
        reason: Why no message of the session went; empty if some did.
    """

    checkpoint_id: str
    removed: Mapping[str, tuple[str, ...]]
    position: Position | None = None
    session_rewound: bool = False
    rows_removed: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The result of a removal, done or planned.

    Attributes:
        checkpoints: The ids of checkpoints, by thread.
        sessions: Sessions that were deleted, or would be.
        spared: Sessions that some checkpoint still points to, that the store works through, or that do not say what the
            thread says.
    """

    checkpoints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sessions: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()


Rule: TypeAlias = Callable[[Sequence[CheckpointInfo]], Keep]
"""Decides which of the checkpoints of a thread stay, given oldest id first."""


@dataclass(frozen=True, slots=True)
class ThreadOperations:
    """Changes whole threads. The methods have the names of those of `MixSaver`.

    Attributes:
        store_session: The session that the store works through, if it has one; it is never deleted.
        deletes_sessions: Whether sessions go too, unless a call says otherwise.
    """

    backend: CheckpointBackend
    server_api: ServerApi
    server: str
    store_session: str | None
    deletes_sessions: bool

    # Copy

    def copy_thread(self, source: str, target: str) -> Steps[Copied]:
        """Copies a thread. A source that does not exist gives a copy that does not exist either.

        When it fails, forks that were made are deleted again, unless the copy may refer to them: then they are kept.
        """
        if source == target:
            raise MixInputError(f"Thread {source!r} cannot be copied to itself.")
        snapshot = yield from self.backend.snapshot(source)
        if not snapshot.items:
            return Copied()
        if (yield from self.backend.snapshot(target)).items:
            raise thread_exists(target)
        sessions = _rows_needed(snapshot.items, self.server)
        proof = SessionProof(self.backend, self.server, source, snapshot.items)
        forks: dict[str, SessionFork] = {}
        is_storing = False
        try:
            for session_id, message_ids in sessions.items():
                try:
                    fork = yield from self._fork(session_id, message_ids, forks, proof)
                except MixUnsupportedError:
                    break
                if fork is not None:
                    forks[session_id] = fork
            is_storing = True
            yield from self.backend.create(target, snapshot, lambda pointer: _renewed(pointer, self.server, forks))
        except GeneratorExit:
            raise
        except BaseException as problem:  # Cancelled, too.
            made = [fork.session_id for fork in forks.values()]
            yield from self._undo_copy(made, problem, target if is_storing else None)
            raise
        return Copied(
            checkpoints=len(snapshot.items),
            sessions={session_id: fork.session_id for session_id, fork in forks.items()},
            unforked=tuple(session_id for session_id in sessions if session_id not in forks),
        )

    def _fork(
        self, session_id: str, message_ids: set[str], forks: dict[str, SessionFork], proof: SessionProof
    ) -> Steps[SessionFork | None]:
        """Forks a session as far as the thread needs it; None if it does not hold the messages, or not any more."""
        if self.server_api.detected.supports("fork") is False:
            raise MixUnsupportedError("This Mix server has no fork.")
        listed = yield from ask(calls.list_messages(session_id))
        places = {row.id: index for index, row in enumerate(listed, 1)}
        own = message_ids & (yield from proof.proven(session_id, listed))
        count = max((places[one] for one in own), default=0)
        if not count:
            return None
        # Mix 0.5 to 0.7: the index counts all rows, those of tools included, and is exclusive.
        made = yield from flows.offered(self.server_api, calls.fork_session, session_id, count, TITLE)
        forks[session_id] = SessionFork(made.id, {}, ())  # From here on it is to be deleted should anything fail.
        copies = yield from ask(calls.list_messages(made.id))
        if [row.role for row in copies[:count]] != [row.role for row in listed[:count]]:
            del forks[session_id]
            yield from ask(calls.delete_session(made.id))
            return None  # Somebody rewound the session meanwhile: the fork is no copy of what was read.
        rows = {row: place for row, place in places.items() if place <= count}
        return SessionFork(made.id, rows, tuple(row.id for row in copies))

    def _undo_copy(self, forked: Collection[str], problem: BaseException, target: str | None) -> Steps[None]:
        """Deletes the forks of a copy that failed; those that are kept or cannot be deleted are in notes of the error.

        `target` is the copy, if it was being stored: it may be there all the same, or still arrive.
        """
        if forked and target is not None and (yield from self._may_refer(target, forked)):
            problem.add_note(
                f"Thread {target!r} may have been stored all the same, so that the sessions made for it are kept: "
                f"{', '.join(forked)}. If the thread stays empty, they can be deleted."
            )
            return
        for session_id in forked:
            try:
                yield from ask(calls.delete_session(session_id))
            except MixError as failure:
                problem.add_note(f"Session {session_id} was made for the copy and is left: {failure}")

    def _may_refer(self, thread_id: str, session_ids: Collection[str]) -> Steps[bool]:
        """False if a thread that could not be created points to none of these sessions, and never will."""
        if self.backend.may_arrive(thread_id):
            return True
        try:
            snapshot = yield from self.backend.snapshot(thread_id)
        except Exception:  # noqa: BLE001  # Of whatever saver: without an answer they must stay.
            return True
        return not sessions_of(snapshot.items, self.server).isdisjoint(session_ids)

    # Rewind

    def rewind(self, address: Address, *, dry_run: bool) -> Steps[Rewound]:
        """Takes a thread and its session back to a checkpoint of the root graph, or only reports what would be done.

        The thread goes first: whatever happens in between, ChatMix finds a session that is further than the
        conversation and leaves it alone, and the same rewind again completes it.
        """
        if address.ns or address.checkpoint_id is None:
            raise MixInputError(
                "A rewind goes back to one checkpoint of the root graph.",
                hint="Pass the config of a checkpoint, such as one from `get_state_history`.",
            )
        checkpoint_id = address.checkpoint_id
        snapshot = yield from self.backend.snapshot(address.thread_id)
        keep = kept_by_rewind(snapshot.items, checkpoint_id)
        removed: dict[str, tuple[str, ...]] = {}
        for item in snapshot.items:
            if item.key not in keep.checkpoints:
                removed[item.ns] = (*removed.get(item.ns, ()), item.checkpoint_id)
        kept = [_kept(item, keep) for item in snapshot.items if item.key in keep.checkpoints]
        target = next(item for item in kept if item.key == ("", checkpoint_id))
        position = _position_after_rewind(target)
        if not dry_run:
            yield from self.backend.revise(address.thread_id, lambda items: kept_by_rewind(items, checkpoint_id))
        plan = Rewound(checkpoint_id=checkpoint_id, removed=removed, position=position)
        if position is None:
            return _unmoved(plan, "no message of the state came from a session")
        if position.server != self.server:
            return _unmoved(plan, "the session is on another server")
        proof = SessionProof(self.backend, self.server, address.thread_id, kept)
        return (yield from _rewind_session(plan, proof, position, dry_run=dry_run))

    # Delete

    def delete_thread(self, thread_id: str, *, delete_sessions: bool | None) -> Steps[None]:
        """Deletes a thread, and its sessions if requested; None for the saver's own option."""
        if self.deletes_sessions if delete_sessions is None else delete_sessions:
            yield from self.prune([thread_id], None, delete_sessions=True)
        else:
            yield from self.backend.delete(thread_id)

    def delete_for_runs(self, run_ids: Collection[str]) -> Steps[None]:
        """Deletes what runs have stored, in all threads."""
        if not run_ids:
            return
        for thread_id in (yield from self.backend.threads_of_runs(run_ids)):
            yield from self.backend.revise(thread_id, lambda items: without_runs(items, run_ids))

    def prune(
        self, thread_ids: Sequence[str], rule: Rule | None, *, delete_sessions: bool | None, dry_run: bool = False
    ) -> Steps[Removed]:
        """Removes what is not to stay of some threads, then the sessions that only that pointed to.

        Without a rule the threads are removed altogether. `delete_sessions` of None is the saver's own option.
        """
        sessions = self.deletes_sessions if delete_sessions is None else delete_sessions
        removed: dict[str, tuple[str, ...]] = {}
        candidates: set[str] = set()
        own: set[str] = set()
        kept: list[CheckpointInfo] = []
        for thread_id in dict.fromkeys(thread_ids):
            snapshot = yield from self.backend.snapshot(thread_id)
            keep = _NOTHING if rule is None else rule(snapshot.items)
            gone = [item for item in snapshot.items if item.key not in keep.checkpoints]
            kept += [item for item in snapshot.items if item.key in keep.checkpoints]
            if gone:
                removed[thread_id] = tuple(item.checkpoint_id for item in gone)
            if gone and sessions:
                pointed = sessions_of(gone, self.server)
                candidates |= pointed
                own |= yield from self._own(thread_id, gone, pointed - own)
            if rule is None and not dry_run:
                yield from self.backend.delete(thread_id)
            elif rule is not None and gone and not dry_run:
                yield from self.backend.revise(thread_id, rule)
        if not sessions:
            return Removed(checkpoints=removed)
        # What goes is still there in a dry run, so that what stays of these threads is known otherwise.
        skipped = list(removed) if dry_run else []
        needless = yield from self._unneeded(own, but=skipped, kept=kept)
        going = sorted(needless - {self.store_session})
        if not dry_run:
            yield from _delete_sessions(going)
        return Removed(checkpoints=removed, sessions=tuple(going), spared=tuple(sorted(candidates - set(going))))

    def _own(self, thread_id: str, items: Sequence[CheckpointInfo], session_ids: Collection[str]) -> Steps[set[str]]:
        """Finds the sessions that say what the thread says. Others are not deleted, whatever messages point to."""
        own: set[str] = set()
        proof = SessionProof(self.backend, self.server, thread_id, items)
        for session_id in session_ids:
            rows = yield from ask(calls.list_messages(session_id))
            if (yield from proof.proven(session_id, rows)):
                own.add(session_id)
        return own

    def _unneeded(
        self, candidates: set[str], *, but: Collection[str], kept: Iterable[CheckpointInfo]
    ) -> Steps[set[str]]:
        """Finds those of some sessions that no checkpoint points to. Every thread is read.

        Args:
            candidates: The sessions.
            but: Threads that are not read, since it is known what is to stay of them.
            kept: What that is.
        """
        left = candidates - sessions_of(kept, self.server)
        if not left:
            return left
        for thread_id in (yield from self.backend.thread_ids()):
            if thread_id not in but and left:
                snapshot = yield from self.backend.snapshot(thread_id)
                left -= sessions_of(snapshot.items, self.server)
        return left


def sessions_of(items: Iterable[CheckpointInfo], server: str) -> set[str]:
    """The sessions on a server that checkpoints point to, in their values or in writes that wait at them."""
    return {position.session_id for item in items for position in item.all_positions if position.server == server}


def _delete_sessions(session_ids: Iterable[str]) -> Steps[None]:
    """Deletes sessions; one that is gone already is no error.

    Raises:
        MixError: The server refuses; the others are deleted all the same.
    """
    problem: MixError | None = None
    for session_id in session_ids:
        try:
            yield from ask(calls.delete_session(session_id))
        except MixNotFoundError:
            continue
        except MixError as failure:
            failure.add_note(f"The checkpoints are removed; session {session_id} is left.")
            problem = problem or failure
    if problem is not None:
        raise problem


_NOTHING: Final = Keep(frozenset())


@dataclass(frozen=True, slots=True)
class SessionFork:
    """A session and its fork.

    Attributes:
        session_id: The fork.
        rows: The place of each row of the source that the fork has too, counted from 1, by its id.
        copies: The ids of the fork's rows, in order.
    """

    session_id: str
    rows: Mapping[str, int]
    copies: Sequence[str]


def _rows_needed(items: Sequence[CheckpointInfo], server: str) -> dict[str, set[str]]:
    """The sessions of a thread on this server, and the messages it points to in each."""
    found: dict[str, set[str]] = {}
    for item in items:
        for position in item.all_positions:
            if position.server == server:
                found.setdefault(position.session_id, set()).add(position.message_id)
    return found


def _renewed(pointer: Mapping[str, Any], server: str, forks: Mapping[str, SessionFork]) -> Mapping[str, Any]:
    """The pointer that a message of the copy has in the place of the source's.

    A fork has no prompt (Mix 0.5 to 0.7), so that it knows no setup. A pointer to what was not forked loses its place
    and keeps the rest, such as the cost.
    """
    position = read_position(pointer)
    if position is None:
        return pointer
    fork = forks.get(position.session_id) if position.server == server else None
    place = fork.rows.get(position.message_id) if fork is not None else None
    if fork is None or place is None:
        return {key: value for key, value in pointer.items() if key not in _PLACE}
    question = fork.rows.get(position.user_message_id)
    renewed = {
        **pointer,
        "session_id": fork.session_id,
        "message_id": fork.copies[place - 1],
        "user_message_id": "" if question is None else fork.copies[question - 1],
        "row_count": place,
    }
    return {**renewed, "setup": "", "model": ""} if "setup" in pointer else renewed


def _rewind_session(plan: Rewound, proof: SessionProof, position: Position, *, dry_run: bool) -> Steps[Rewound]:
    try:
        listed = yield from ask(calls.list_messages(position.session_id))
        rows = [row.id for row in listed]
        if position.message_id not in rows:
            return _unmoved(plan, "the session does not hold the message any more")
        proven = yield from proof.proven(position.session_id, listed)
        if position.message_id not in proven:
            return _unmoved(plan, "the session does not say what the thread says")
        place = rows.index(position.message_id)
        needed = {
            p.message_id for item in proof.items for p in item.all_positions if p.session_id == position.session_id
        }
        after = rows[place + 1 :]
        if needed & set(after):
            return _unmoved(plan, "an older branch needs later messages of the session")
        if all(row.role == "tool" for row in listed[place + 1 :]):
            return _unmoved(plan, "the session ends there already")
        if not dry_run:
            yield from ask(calls.rewind_session(position.session_id, position.message_id))
    except MixError as error:
        if not dry_run:
            error.add_note("The thread's checkpoints were taken back; make the same rewind again to complete it.")
        raise
    return replace(plan, session_rewound=True, rows_removed=len(after))


def _unmoved(plan: Rewound, reason: str) -> Rewound:
    return replace(plan, reason=reason)


def _kept(item: CheckpointInfo, keep: Keep) -> CheckpointInfo:
    if item.key not in keep.writes:
        return item
    return replace(item, writes=tuple(write for write in item.writes if write in keep.writes[item.key]))


def _position_after_rewind(item: CheckpointInfo) -> Position | None:
    """Returns the place of a state once the writes that stay at it count."""
    written = [position for write in item.writes for position in write.positions]
    first = item.positions[0] if item.positions else None
    later = [p for p in written if first is None or p.session_id == first.session_id]
    return later[-1] if later else first


@dataclass(slots=True)
class _RewindPlan:
    """Collects what stays after a rewind."""

    items: Sequence[CheckpointInfo]
    checkpoints: set[Key] = field(default_factory=set)
    writes: dict[Key, frozenset[PendingWrite]] = field(default_factory=dict)

    def to(self, target: CheckpointInfo) -> None:
        """Goes back to a checkpoint of the root graph, in all namespaces."""
        self.within(target)
        waiting = self._interrupted(target)
        known = {item.checkpoint_id for item in self.items if item.ns == target.ns}
        for item in self.items:
            ran = parent_in(item, target.ns)
            if item.ns == target.ns or ran == target.checkpoint_id:
                continue
            if (target.ns, ran) in self.checkpoints or (
                ran not in known and (ran or item.checkpoint_id) < target.checkpoint_id
            ):
                self.checkpoints.add(item.key)
        ran_now = {i.ns for i in self.items if i.ns != target.ns and parent_in(i, target.ns) == target.checkpoint_id}
        for ns in ran_now if waiting else ():
            tasks = {part.rpartition(":")[2] for part in ns.split("|") if ":" in part}
            if tasks & waiting or not tasks:
                self._to_the_interrupt(ns, target)

    def within(self, target: CheckpointInfo) -> None:
        """Goes back to a checkpoint in its own namespace."""
        later = self._descendants(target)
        for item in self.items:
            if item.ns == target.ns and item.checkpoint_id <= target.checkpoint_id and item.key not in later:
                self.checkpoints.add(item.key)
        waiting = self._interrupted(target)
        self.writes[target.key] = frozenset(
            write
            for write in target.writes
            if waiting and (write.channel == INTERRUPT or (write.task_id not in waiting and write.channel != RESUME))
        )

    def _to_the_interrupt(self, ns: str, target: CheckpointInfo) -> None:
        """Goes back to where a subgraph waited that the checkpoint ran."""
        mine = (i for i in self.items if i.ns == ns and parent_in(i, target.ns) == target.checkpoint_id)
        waited = [item for item in mine if self._interrupted(item)]
        if waited:
            self.within(max(waited, key=lambda item: item.checkpoint_id))

    def _descendants(self, target: CheckpointInfo) -> set[Key]:
        """Returns all that follows a checkpoint, whatever the ids say."""
        children: dict[str, list[CheckpointInfo]] = {}
        for item in self.items:
            if item.ns == target.ns and item.parent_id is not None:
                children.setdefault(item.parent_id, []).append(item)
        found: set[Key] = set()
        waiting = [target.checkpoint_id]
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child.key not in found:
                    found.add(child.key)
                    waiting.append(child.checkpoint_id)
        return found - {target.key}

    @staticmethod
    def _interrupted(item: CheckpointInfo) -> set[str]:
        return {write.task_id for write in item.writes if write.channel == INTERRUPT}


def kept_by_rewind(items: Sequence[CheckpointInfo], checkpoint_id: str) -> Keep:
    """Returns what of a thread stays when it goes back to a checkpoint of the root graph.

    Raises:
        MixInputError: There is no such checkpoint.
    """
    target = next((i for i in items if i.ns == "" and i.checkpoint_id == checkpoint_id), None)
    if target is None:
        raise MixInputError(f"The thread has no checkpoint {checkpoint_id!r}; nothing was changed.")
    back = _RewindPlan(items)
    back.to(target)
    return Keep(frozenset(back.checkpoints), back.writes)


def prune_rule(strategy: str, keep_last: int | None, older_than: timedelta | None) -> Rule | None:
    """Returns the rule for what stays; None for nothing. The arguments are those of `MixSaver.prune`.

    Raises:
        MixInputError: The strategy is unknown, or an argument does not go with it.
    """
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
    return lambda items: kept_by_prune(items, keep_last=last, since=since, drop_subgraphs=selective)


COUNTERS: Final = "counters_since_delta_snapshot"
"""LangGraph's metadata of checkpoints with channels that store no value of their own."""


def kept_by_prune(
    items: Sequence[CheckpointInfo], *, keep_last: int, since: datetime | None = None, drop_subgraphs: bool = False
) -> Keep:
    """Keeps the newest checkpoints of each namespace, those that are not older than `since`, and what these need.

    With `drop_subgraphs`, namespaces that belong to a single task go with the checkpoint that ran it: they cannot be
    reached by a run any more.

    Returns:
        What stays. A checkpoint whose channels store no value (`DeltaChannel`) takes along its ancestors back to a
        stored one.
    """
    spaces: dict[str, list[CheckpointInfo]] = {}
    for item in sorted(items, key=lambda one: one.checkpoint_id, reverse=True):
        spaces.setdefault(item.ns, []).append(item)
    stay: set[Key] = set()
    for members in spaces.values():
        recent = [item for item in members[keep_last:] if since is not None and not _older(item.ts, since)]
        for item in (*members[:keep_last], *recent):
            stay.add(item.key)
    if drop_subgraphs and "" in spaces:
        stay -= {item.key for ns, members in spaces.items() if _is_of_a_task(ns) for item in _left(members, stay)}
    by_key = {item.key: item for item in items}
    needed = {key for kept in stay for key in _needed(by_key[kept], by_key)}
    return Keep(frozenset(stay | needed))


def without_runs(items: Iterable[CheckpointInfo], run_ids: Collection[str]) -> Keep:
    """Keeps the checkpoints that none of these runs made, and those of them that the others need.

    A checkpoint whose channels store no value needs its ancestors, whichever run made them.
    """
    by_key = {item.key: item for item in items}
    stay = {key for key, item in by_key.items() if item.metadata.get("run_id") not in run_ids}
    needed = {key for kept in stay for key in _needed(by_key[kept], by_key)}
    return Keep(frozenset(stay | needed))


def _left(members: Sequence[CheckpointInfo], stay: Collection[Key]) -> list[CheckpointInfo]:
    """A task's checkpoints, if the checkpoint that ran the task goes."""
    ran = {parent for item in members if (parent := parent_in(item, "")) is not None}
    return [] if not ran or any(("", checkpoint_id) in stay for checkpoint_id in ran) else list(members)


def parent_in(item: CheckpointInfo, ns: str) -> str | None:
    """The checkpoint of an outer namespace that a checkpoint of a subgraph belongs to, if that was stored."""
    parents = item.metadata.get("parents")
    found = parents.get(ns) if isinstance(parents, Mapping) else None
    return found if isinstance(found, str) and found else None


def _is_of_a_task(ns: str) -> bool:
    # LangGraph: `node:<task id>` for a subgraph of one task, the bare name for one that keeps its memory.
    return ":" in ns.rpartition("|")[2]


def _needed(item: CheckpointInfo, by_key: Mapping[Key, CheckpointInfo]) -> Iterable[Key]:
    counters = item.metadata.get(COUNTERS)
    missing = {str(name) for name in counters} - item.channels if isinstance(counters, Mapping) else set()
    seen = {item.key}
    parent = by_key.get((item.ns, item.parent_id or ""))
    while missing and parent is not None and parent.key not in seen:
        seen.add(parent.key)
        yield parent.key
        missing -= parent.channels
        parent = by_key.get((parent.ns, parent.parent_id or ""))


def _older(ts: str, since: datetime) -> bool:
    """True if a checkpoint is older; one whose time cannot be read is not."""
    try:
        made = datetime.fromisoformat(ts)
    except ValueError:
        return False
    return (made if made.tzinfo is not None else made.replace(tzinfo=since.tzinfo)) < since


@dataclass(frozen=True, slots=True)
class SessionProof:
    """Proves that a session to which a thread points holds the conversation of the thread.

    Attributes:
        items: Its checkpoints that count.
    """

    backend: CheckpointBackend
    server: str
    thread_id: str
    items: Sequence[CheckpointInfo]

    def proven(self, session_id: str, rows: Sequence[BackendMessage]) -> Steps[set[str]]:
        """Finds the rows of a session up to which it says what the thread says.

        Checkpoints that point to the session are read with their values.

        Returns:
            The ids of answers that the thread points to, all of them proven.
        """
        listed = {row.id for row in rows}
        proven: set[str] = set()
        for item in sorted(self.items, key=lambda one: one.checkpoint_id, reverse=True):
            pointed = {
                p.message_id for p in item.all_positions if (p.server, p.session_id) == (self.server, session_id)
            }
            if (pointed & listed) - proven:
                stored = yield from self.backend.get(Address(self.thread_id, item.ns, item.checkpoint_id))
                for messages in _conversations(stored) if stored is not None else ():
                    proven |= _proven_in(messages, self.server, session_id, rows)
        return proven


def _proven_in(
    messages: Sequence[BaseMessage], server: str, session_id: str, rows: Sequence[BackendMessage]
) -> set[str]:
    # Models of the wire, and what conversations say, are loaded when sessions are touched.
    from langchain_mix.chat_models.agreement import agrees  # noqa: PLC0415
    from langchain_mix.chat_models.alignment import Base  # noqa: PLC0415
    from langchain_mix.protocol.turn.stored_rows import from_messages  # noqa: PLC0415

    stored, proven, known = from_messages(rows).rows, set[str](), {row.id for row in rows}
    for index in reversed(range(len(messages))):
        message = messages[index]
        position = read_position(message.response_metadata.get(KEY)) if isinstance(message, AIMessage) else None
        if position is None or (position.server, position.session_id) != (server, session_id):
            continue
        pointer = read_pointer(message.response_metadata)
        if pointer is None or pointer.message_id not in known:
            continue
        if proven or agrees(stored, messages, Base(index, pointer), server):
            proven.add(pointer.message_id)  # What is proven up to an answer is proven up to those before it.
    return proven


def _conversations(stored: CheckpointTuple) -> Iterator[list[BaseMessage]]:
    """Yields the lists of messages in a state, each also with what tasks have written to its channel since."""
    written: dict[str, list[Any]] = {}
    for _, channel, value in stored.pending_writes or ():
        written.setdefault(channel, []).append(value)
    values = stored.checkpoint["channel_values"]
    for channel in {*values, *written}:
        for messages in messages_in(values.get(channel)) or [[]]:
            later = [message for value in written.get(channel, ()) for found in messages_in(value) for message in found]
            yield messages
            if later:
                yield [*messages, *later]
