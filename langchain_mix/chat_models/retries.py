"""Recognises LangChain's retries of a call that failed, so that no message is sent twice.

Owns: which run is inside which and which a stream belongs to, the calls that failed after their message may have
arrived, and the rule that distinguishes a retry from a new call with the same messages.
Refuses to know: how a call is sent and why it failed (`execution.py`).

How it works: LangChain marks a retry at the place of the retry only: `with_retry` tags the run right below it, however
deep the model is called; LangGraph runs a task again under the same graph run; a tool is retried with the same call id.
None of this reaches the model's own run. So `LINEAGE`, a callback handler that every run of the process gets, keeps
for each live run its parent and these marks. A failed call is kept with its ancestors. A later call with the same
messages below the same outermost run is a retry if, at the first place where the ancestors of the two differ,

- the later one has LangChain's tag `retry:attempt:N`, or
- both are the same task of a graph or the same tool call, started again by the same run;

or if both are made by the same run of a kind that calls again only because a call failed: the model node of
`create_agent`, where middleware retries, and `with_fallbacks` (whose fallback is the same model of the same server, or
the options would differ). A call that a user's own code makes again has none of these marks and is sent.
"""

from __future__ import annotations

import copy
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID, uuid4

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.callbacks.base import Callbacks
from langchain_core.messages import BaseMessage
from langchain_core.runnables.config import ensure_config
from langchain_core.tracers.context import register_configure_hook

from langchain_mix import process_fork
from langchain_mix.chat_models.process_state import Recent
from langchain_mix.errors import MixError

_LIVE_RUNS: Final = 16_384
_FAILED_TREES: Final = 256
_FAILED_PER_TREE: Final = 64
_RETRY_TAG: Final = "retry:attempt:"
_NOT_SENT: Final = (
    "LangChain made this call again after it failed. The server may have taken its message, so nothing was sent."
)


@dataclass(frozen=True, slots=True)
class Run:
    """A run around a call of the model, or the call itself.

    Attributes:
        namespace: The checkpoint namespace of the graph's task that it belongs to, or empty.
        work: What its parent runs once unless it retries: a graph's task or a tool call; empty for anything else.
        retried: LangChain's `with_retry` started it for the second time or later.
        repeats: It calls with the same messages again only because a call failed: the model node of `create_agent`, and
            `with_fallbacks`.
    """

    id: UUID
    parent: UUID | None = None
    namespace: str = ""
    work: str = ""
    retried: bool = False
    repeats: bool = False


Path: TypeAlias = tuple[Run, ...]
"""A call of the model with the runs around it, the outermost first."""


def is_retry(failed: Path, now: Path) -> bool:
    """Decides whether a call repeats one that failed, by their ancestors; their messages are the same."""
    inside = {parent.id: run for parent, run in pairwise(failed)}
    for parent, run in pairwise(now):
        earlier = inside.get(parent.id)
        if earlier is None:
            return False
        if earlier.id != run.id:
            return parent.repeats or run.retried or (run.work != "" and run.work == earlier.work)
    return False


class Lineage(BaseCallbackHandler):
    """Keeps the parents and marks of the runs that are going on in this process."""

    run_inline = True  # Otherwise asynchronous runs would start before they are known.
    if not TYPE_CHECKING:  # Plain attributes, since LangChain reads them for each token of every model.
        ignore_llm = ignore_chat_model = ignore_retriever = ignore_retry = ignore_custom_event = True

    def __init__(self) -> None:
        """Starts without runs."""
        self._runs: Recent[Run] = Recent(_LIVE_RUNS)

    def path(self, parent: UUID | None) -> Path:
        """Returns a run with all that are around it, the outermost first; a run that is not known has no parent."""
        runs: list[Run] = []
        while parent is not None and len(runs) < _LIVE_RUNS:
            run = self._runs.get(parent) or Run(parent)
            runs.append(run)
            parent = run.parent
        return tuple(reversed(runs))

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Notes a run."""
        del serialized, inputs
        given = metadata or {}
        namespace = str(given.get("langgraph_checkpoint_ns") or "")
        around = self._runs.get(parent_run_id) if parent_run_id is not None else None
        is_task = bool(namespace) and (around is None or around.namespace != namespace)
        of_agent = given.get("ls_integration") == "langchain_create_agent" and given.get("langgraph_node") == "model"
        self._runs.put(
            run_id,
            Run(
                run_id,
                parent_run_id,
                namespace=namespace,
                work=namespace if is_task else "",
                retried=_is_tagged(tags),
                repeats=(is_task and of_agent) or kwargs.get("name") == "RunnableWithFallbacks",
            ),
        )

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Notes a run."""
        del serialized, input_str
        namespace = str((metadata or {}).get("langgraph_checkpoint_ns") or "")
        call = str(kwargs.get("tool_call_id") or "")
        self._runs.put(run_id, Run(run_id, parent_run_id, namespace=namespace, work=call, retried=_is_tagged(tags)))

    def _ended(self, _: Any, *, run_id: UUID, **_more: Any) -> None:
        """Forgets a run and, if it is the outermost, the calls that failed inside."""
        self._runs.forget(run_id)
        FAILED_CALLS.forget(run_id)

    if not TYPE_CHECKING:  # LangChain calls each of them with what the run gave or how it failed.
        on_chain_end = on_chain_error = on_tool_end = on_tool_error = _ended

    def __deepcopy__(self, memo: dict[int, Any]) -> Lineage:
        """Returns itself: there is one for the process."""
        return self

    def __reduce__(self) -> str:
        """Pickles as a reference to the one of the process."""
        return "LINEAGE"


@dataclass(frozen=True, slots=True)
class _Failed:
    mark: str
    path: Path
    error: MixError


class FailedCalls:
    """The calls that failed after the server may have taken their message, as long as their outermost run goes on."""

    def __init__(self, trees: int = _FAILED_TREES, per_tree: int = _FAILED_PER_TREE) -> None:
        """Starts empty. The oldest outermost run and the oldest failed call of each are forgotten first."""
        self._per_tree = per_tree
        self._by_root: Recent[tuple[_Failed, ...]] = Recent(trees)
        self._renew()
        process_fork.renew_in_child(self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()  # What has failed has failed, also for a forked child that calls again.

    def add(self, mark: str, path: Path, error: MixError) -> None:
        """Keeps a failed call and a hash of its messages and options.

        LangChain cannot retry a call without any run around it.
        """
        if len(path) > 1:
            root = path[0].id
            with self._lock:
                failed = (*(self._by_root.get(root) or ()), _Failed(mark, path, copy.copy(error)))
                self._by_root.put(root, failed[-self._per_tree :])

    def may_hold(self, path: Path) -> bool:
        """Returns whether any call below the same outermost run has failed."""
        return len(path) > 1 and bool(self._by_root.get(path[0].id))

    def error_for(self, mark: str, path: Path) -> MixError | None:
        """Returns the error of the call that this one retries, for the retry to raise; None for a new call."""
        for failed in self._by_root.get(path[0].id) or ():
            if failed.mark == mark and is_retry(failed.path, path):
                error = copy.copy(failed.error)
                error.add_note(_NOT_SENT)
                return error
        return None

    def forget(self, root: UUID) -> None:
        """Drops what failed below an outermost run."""
        self._by_root.forget(root)


FAILED_CALLS: Final = FailedCalls()
"""The failed calls of this process."""

LINEAGE: Final = Lineage()
"""The runs of this process."""

register_configure_hook(ContextVar("langchain_mix_lineage", default=LINEAGE), inheritable=True)


class StreamedRun(BaseCallbackHandler):
    """Finds out the run of a stream: LangChain gives it to the producers of whole replies, but not to those of chunks.

    A handler gets a run, but not the other handlers. These are found by configuring the callbacks of the call
    before LangChain does, which then takes them as they are.
    """

    run_inline = True  # Otherwise chunks might come before the run is known.
    if not TYPE_CHECKING:
        ignore_llm = True  # Tokens are of no interest.

    def __init__(self, manager: BaseCallbackManager, local: Callbacks) -> None:
        """Waits for the run's start. `manager` has the callbacks of the call, `local` are those of the model."""
        own = local.handlers if isinstance(local, BaseCallbackManager) else local or []
        self._handlers = [*manager.handlers, *(handler for handler in own if handler not in manager.handlers)]
        self._fields: dict[str, Any] | None = None
        manager.add_handler(self, inherit=False)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Notes the run."""
        del serialized, messages, kwargs
        self._fields = {
            "run_id": run_id,
            "parent_run_id": parent_run_id,
            "handlers": self._handlers,
            "inheritable_handlers": self._handlers,
            "tags": list(tags or []),
            "metadata": dict(metadata or {}),
        }

    def run(self) -> CallbackManagerForLLMRun | None:
        """Returns the run, for synchronous code; None before its start."""
        return None if self._fields is None else CallbackManagerForLLMRun(**self._fields)

    def async_run(self) -> AsyncCallbackManagerForLLMRun | None:
        """Returns the run, for asynchronous code; None before its start."""
        return None if self._fields is None else AsyncCallbackManagerForLLMRun(**self._fields)


def path_of(run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None) -> Path:
    """Returns a call of the model with the runs around it; `run` is the model's run, if the caller has it."""
    around = _call_of(ensure_config().get("callbacks"))
    if run is not None:
        # LangChain gives a direct call of `generate` no parent, wherever it is made.
        parent = run.parent_run_id or (around.parent if around is not None else None)
        call = Run(run.run_id, parent, retried=_is_tagged(run.tags))
    else:
        call = around or Run(uuid4())
    return (*LINEAGE.path(call.parent), call)


def _call_of(callbacks: Any) -> Run | None:
    if not isinstance(callbacks, BaseCallbackManager):
        return None
    return Run(uuid4(), callbacks.parent_run_id, retried=_is_tagged(callbacks.tags))


def _is_tagged(tags: list[str] | None) -> bool:
    return any(tag.startswith(_RETRY_TAG) for tag in tags or ())
