"""Makes damaged threads usable again.

Owns: what is saved of a thread whose documents are damaged, and the report of what was lost. Refuses to know: how a
thread is changed.

What was saved is stored again in an epoch of its own. The damaged files stay where they are, unless files that nothing
refers to are deleted on request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.documents import DocumentIO
from langchain_mix.checkpoint.encoding import ForeignDocument
from langchain_mix.checkpoint.garbage import GarbageCollector, StoredFile
from langchain_mix.checkpoint.reader import StateReader, all_entries, entries_of_rows
from langchain_mix.checkpoint.records import Entry
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.checkpoint.state import Manifest, Ref, ThreadState
from langchain_mix.checkpoint.table import Table
from langchain_mix.checkpoint.writer import Writer
from langchain_mix.errors import MixCheckpointDamaged


@dataclass(frozen=True, slots=True)
class Repaired:
    """One thing that a repair found.

    Attributes:
        key: The part that all names of the thread's files share.
        document: The file.
        problem: What is wrong with it.
        action: What was done, or would be.
        lost: Whether something that had been stored is gone for good.
    """

    key: str
    document: str
    problem: str
    action: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """The result of a repair.

    Attributes:
        dry_run: Whether nothing was done.
        steps: What was found, in order.
        left: Names of files that could not be deleted.
    """

    dry_run: bool
    steps: tuple[Repaired, ...] = ()
    left: tuple[str, ...] = field(default=())


@dataclass(slots=True)
class Saved:
    """The rest of a damaged thread.

    Attributes:
        manifest: The manifest from which it goes on.
        tables: Its readable segments, oldest first.
    """

    key: str
    thread_id: str | None
    steps: list[Repaired] = field(default_factory=list)
    manifest: Manifest | None = None
    tables: list[Table] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def note(self, document: str, problem: str, action: str, *, lost: bool) -> None:
        """Adds something that was found."""
        self.steps.append(Repaired(self.key, document, problem, action, lost))


class Repairer:
    """Looks for damage, and mends it."""

    def __init__(self, documents: DocumentIO, reader: StateReader, writer: Writer, garbage: GarbageCollector) -> None:
        """Takes what `ThreadStore` was given."""
        self._documents = documents
        self._reader = reader
        self._writer = writer
        self._garbage = garbage

    def repair(
        self,
        key: str,
        thread_id: str | None,
        files: Sequence[StoredFile],
        *,
        dry_run: bool,
        orphans: bool,
    ) -> Steps[tuple[list[Repaired], tuple[str, ...]]]:
        """Examines a thread, and mends it. Returns what was found, and names of files that could not be deleted."""
        saved = yield from self._examine(key, thread_id, files)
        manifest = saved.manifest
        if saved.steps and saved.thread_id is not None and not dry_run:
            manifest = yield from self._rewrite(saved)
        if not orphans or manifest is None:
            return saved.steps, ()
        if manifest is saved.manifest and not saved.steps:
            unused = self._garbage.unused(files, (yield from self._garbage.used(key, manifest, saved.tables)))
        else:
            unused = self._garbage.unused(files, set())  # What could be saved is stored again.
        for what in unused:
            saved.note(what.name, "is referred to by nothing", "deleted", lost=False)
        left = () if dry_run else (yield from self._garbage.delete(unused))[1]
        return saved.steps, left

    def move(
        self, key: str, thread_id: str | None, files: Sequence[StoredFile], *, dry_run: bool
    ) -> Steps[list[Repaired]]:
        """Moves what an earlier version of this package has stored under visible names to hidden ones.

        Damage is reported as by `repair`; the damaged files are deleted with the others.
        """
        visible = names.visible(key)
        hidden = yield from self._reader.manifest(key, (yield from self._documents.current_owner(key)))
        mark = yield from self._documents.current_owner(visible)
        is_moved = mark is not None and hidden is not None and hidden.holds(mark)
        if hidden is not None and (is_moved or not any(one.what.kind == "manifest" for one in files)):
            saved = Saved(key, hidden.thread_id)
            text = f"is one of {len(files)} files that an interrupted move has left"
            saved.note(names.owner(visible), text, "they are deleted", lost=False)
            if not dry_run:
                yield from self._garbage.delete([one.what for one in files])
            return saved.steps
        saved = yield from self._examine(visible, thread_id, files)
        saved.key = key
        damage = bool(saved.steps)
        text = f"is one of {len(files)} files under names that agents see"
        action = "all they hold is moved to hidden names" if saved.thread_id else "nothing names the thread"
        saved.note(names.owner(visible), text, action, lost=False)
        if dry_run or saved.thread_id is None:
            return saved.steps
        if damage:
            known = [] if hidden is None else (yield from all_entries(self._documents, hidden.state))
            saved.entries = [*(entry for entry in saved.entries if entry not in known), *known]
            yield from self._rewrite(saved, close_visible=True)
            yield from self._garbage.delete([one.what for one in files])
        else:
            yield from self._writer.replace(saved.thread_id, _as_it_is)
        return saved.steps

    def _examine(self, key: str, thread_id: str | None, files: Sequence[StoredFile]) -> Steps[Saved]:
        """Finds out what is left of a thread. Nothing is changed.

        Raises:
            ForeignDocument: Its documents are encrypted with another key: nothing is wrong with them.
        """
        saved = Saved(key, thread_id)
        yield from self._find_manifest(saved, files)
        if saved.manifest is None:
            return saved
        saved.thread_id = saved.manifest.thread_id
        yield from self._find_tables(saved, files)
        for table in (*saved.tables, saved.manifest.state.active):
            yield from self._read(saved, table)
        return saved

    def _rewrite(self, saved: Saved, *, close_visible: bool = False) -> Steps[Manifest]:
        """Stores what is left, in an epoch of its own; `close_visible` as in `Writer.restart`.

        Raises:
            MixStoreContended: Others were faster in every attempt.
        """
        if saved.thread_id is None:
            raise AssertionError("Only what has a name is mended.")
        builder = self._writer.builder(saved.key, ThreadState())
        builder.add(saved.entries)
        for document in builder.documents:
            yield from self._documents.write(document)
        return (yield from self._writer.restart(saved.thread_id, builder.state, close_visible=close_visible))

    def _find_manifest(self, saved: Saved, files: Sequence[StoredFile]) -> Steps[None]:
        owner = names.owner(saved.key)
        claim = None
        try:
            claim = yield from self._documents.settled_owner(saved.key)
            if claim is None and any(one.what.kind in {"manifest", "epoch_marker"} for one in files):
                known = saved.thread_id is not None or any(one.what.kind == "manifest" for one in files)
                action = "it is written again" if known else "nothing names the thread: repair it by its id"
                saved.note(owner, "is missing", action, lost=False)
        except ForeignDocument:
            raise
        except MixCheckpointDamaged as problem:
            saved.note(owner, problem.problem, "it is written again", lost=False)
        try:
            saved.manifest = yield from self._reader.manifest(saved.key, claim)
        except ForeignDocument:
            raise
        except MixCheckpointDamaged as problem:
            yield from self._find_older_manifest(saved, files, problem)

    def _find_older_manifest(
        self, saved: Saved, files: Sequence[StoredFile], problem: MixCheckpointDamaged
    ) -> Steps[None]:
        """Goes on from the newest manifest that can be read."""
        manifests = sorted((one.what for one in files if one.what.kind == "manifest"), key=lambda what: -what.epoch)
        for epoch in dict.fromkeys(what.epoch for what in manifests):
            readable: list[Manifest] = []
            for what in manifests:
                data = None if what.epoch != epoch else (yield from self._documents.session_files.read(what.name))
                try:
                    readable += [] if data is None else [self._documents.parse_manifest(what.name, data)]
                except ForeignDocument:
                    raise
                except MixCheckpointDamaged:
                    continue  # The one the error is about, or an older one.
            if readable:
                saved.manifest = max(readable, key=lambda manifest: manifest.version)
                claim = saved.manifest.claim
                used = f"version {saved.manifest.version} of epoch {claim.epoch} is used instead"
                saved.note(problem.document, problem.problem, f"{used}; what was stored after it is lost", lost=True)
                return
        action = "no manifest can be read: the thread starts empty"
        if saved.thread_id is None:
            action = "no manifest can be read, and nothing names the thread: repair it by its id, or delete it"
        saved.note(problem.document, problem.problem, action, lost=True)

    def _find_tables(self, saved: Saved, files: Sequence[StoredFile]) -> Steps[None]:
        if saved.manifest is None:
            return
        level: list[Ref] = list(saved.manifest.state.refs)
        reached: set[str] = set()
        broken: list[Ref] = []
        while level:
            below: list[Ref] = []
            for ref in level:
                reached.add(ref.name)
                document = yield from self._load(saved, ref)
                if document is None:
                    broken += [ref] * (ref.level > 0)
                elif isinstance(document, Table):
                    below.append(ref)
                else:
                    below.extend(document)
            if all(ref.level == 0 for ref in below):
                saved.tables = [one for one in (yield from self._documents.load(below)) if isinstance(one, Table)]
                reached.update(ref.name for ref in below)
                break
            level = below
        if broken:
            yield from self._adopt(saved, broken, [one.what for one in files if one.what.name not in reached])

    def _load(self, saved: Saved, ref: Ref) -> Steps[Table | tuple[Ref, ...] | None]:
        try:
            return (yield from self._documents.load([ref]))[0]
        except ForeignDocument:
            raise
        except MixCheckpointDamaged as problem:
            kind = "entries" if ref.level == 0 else "entries in the segments below it"
            saved.note(ref.name, problem.problem, f"left out, with {ref.entries} {kind}", lost=True)
            return None

    def _adopt(self, saved: Saved, broken: Sequence[Ref], others: Sequence[names.FileName]) -> Steps[None]:
        """Takes in segments that only a broken index may have referred to."""
        spans = [span for ref in broken if (span := ref.coverage.span(None)) is not None]
        found: list[Table] = []
        for what in others:
            if what.kind != "segment":
                continue
            table = yield from self._documents.read_unreferenced_segment(what.name)
            ids = [] if table is None else [row.place[1] for row in table.rows]
            if table is not None and ids and any(span.low <= min(ids) and max(ids) <= span.high for span in spans):
                found.append(table)
                saved.note(
                    what.name, "may have stood in a broken index", f"its {len(table)} entries are kept", lost=False
                )
        found.sort(key=lambda table: min(row.place[1] for row in table.rows))
        saved.tables = [*found, *saved.tables]

    def _read(self, saved: Saved, table: Table) -> Steps[None]:
        for row in table.rows:
            try:
                saved.entries += yield from entries_of_rows(self._documents, [(table, row)])
            except ForeignDocument:
                raise
            except MixCheckpointDamaged as problem:
                action = f"the entry at checkpoint {row.place[1]} that needs it is left out"
                saved.note(problem.document, problem.problem, action, lost=True)


def _as_it_is(state: ThreadState) -> Steps[ThreadState]:
    return state
    yield  # There is nothing to do.
