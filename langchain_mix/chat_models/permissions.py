"""Answers permission requests and questions of the agent: by policy, by function, or by an interrupt of LangGraph.

Owns: the policies that a user can name, and the pause of a LangGraph graph until somebody has decided.
Refuses to know: how an answer reaches the server (`client/`) and what is tidied up after a pause (`execution.py`).

An unknown verdict of a policy is a no, and so is a policy that raises. A resume value of another form than those of
`protocol/permissions.py` is an error that leaves the graph paused.
"""

from __future__ import annotations

import inspect
import json
import logging
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ValidationError, WithJsonSchema

from langchain_mix.chat_models.parameters import MixPermissionWarning
from langchain_mix.chat_models.process_state import TaskSlot
from langchain_mix.errors import MixInputError, MixResumeError
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.permissions import (
    ANSWER_SCHEMA,
    PERMISSION_SCHEMA,
    parse_rule,
    read_answer,
    read_permission,
)
from langchain_mix.protocol.turn.updates import PermissionRequested, SubagentUpdate, Update

Verdict = bool | None
Permissions = (
    Literal["deny", "allow", "ignore", "interrupt"]
    | Collection[str]
    | Callable[[SSEPermissionEventData], Verdict | Awaitable[Verdict]]
)
"""`"deny"` and `"allow"` answer every request; `"ignore"` leaves them to someone else; a collection names the tools
that may run, each perhaps with a pattern of what it acts on, as `"Write(*.md)"` (see `protocol/permissions.py`);
`"interrupt"` asks through LangGraph.
"""

Notifications = Literal["interrupt"] | Callable[[SSENotificationEventData], Any] | None
"""A policy for notifications: ask through LangGraph, call a function, or leave them to someone else."""

_log = logging.getLogger("langchain_mix")
CLIENT_POLICIES = ("deny", "allow", "ignore")  # No set: a policy may be a list.
"""Those that the client answers all requests by, without `Approvals`."""
_SAVER = "__pregel_checkpointer"
_ASKED = "mix_asked"
_QUESTION = "mix_notification"
_NOT_OURS = ""
_THIS_SESSION = "<session>"  # What is shown for the id of a session that the turn will not be run in.


class Approvals:
    """The policies of one turn, and the pause that one of them requested.

    Attributes:
        pause: LangGraph's interrupt, once one was raised: the turn is to be given up and this to be raised.
    """

    def __init__(
        self, permissions: Permissions, notifications: Notifications = None, slot: TaskSlot | None = None
    ) -> None:
        """Reads the policies, for a call that may have a position in a graph's task.

        Raises:
            MixInputError: A policy is none of those there are.
        """
        self.pause: BaseException | None = None
        self._permissions = _checked(permissions)
        self._notifications = notifications
        if notifications is not None and notifications != "interrupt" and not callable(notifications):
            raise MixInputError(
                f"on_notification={notifications!r} is no policy.", hint='Use None, "interrupt" or a function.'
            )
        self._pauses = permissions == "interrupt" or notifications == "interrupt"
        self._answers: dict[str, Any] = {}
        self._session = self._lasting = ""
        self._lock = threading.Lock()  # Sub-agents ask in threads of their own.
        self._questions: list[list[str]] = slot.questions if slot is not None else [[]]
        if self._pauses and slot is not None and slot.reply is not None:
            self._pass_by()

    def run_in(self, session_id: str, *, lasting: bool) -> None:
        """Sets where the turn runs. A `lasting` session stays if the turn is given up, which then runs in it again."""
        self._session, self._lasting = session_id, session_id if lasting else ""

    @property
    def for_permissions(self) -> Any:
        """The policy as the client takes it."""
        if self._permissions == "interrupt":
            return self._ask
        if isinstance(self._permissions, str) or callable(self._permissions):
            return self._permissions
        rules = [parse_rule(rule) for rule in self._permissions]
        return lambda request: any(rule.allows(request) for rule in rules)

    @property
    def for_notifications(self) -> Any:
        """The policy as the client takes it."""
        return self._question if self._notifications == "interrupt" else self._notifications

    def recall(self) -> None:
        """Gets the answers that the running task was given so far, if it was paused before.

        Raises:
            GraphInterrupt: It was, and has no answer yet.
        """
        if self._pauses:
            place = task_in_graph()
            saver = place.configurable.get(_SAVER)
            self._take(place, saver.get_tuple(place.config()) if saver is not None else None)

    async def arecall(self) -> None:
        """Does what `recall` does, asynchronously."""
        if self._pauses:
            place = task_in_graph()
            saver = place.configurable.get(_SAVER)
            self._take(place, await saver.aget_tuple(place.config()) if saver is not None else None)

    def _pass_by(self) -> None:
        """Takes the answers that the reply of an earlier execution took, so that the next interrupt gets its own."""
        from langgraph.types import interrupt  # noqa: PLC0415  # Only inside a graph, where it is loaded.

        for _ in self._questions[-1]:
            interrupt(None)

    def _take(self, place: TaskInGraph, stored: Any) -> None:
        from langgraph.types import interrupt  # noqa: PLC0415  # Only inside a graph, where it is loaded.

        payload = place.payload(stored.pending_writes or () if stored is not None else ())
        marks = payload[_ASKED] if payload else []
        number = len(self._questions) - 1
        for mark in marks[number] if number < len(marks) else []:
            self._questions[-1].append(mark)
            # LangGraph gives answers by their order alone. All but the last have one; the last may still be waited for.
            self._answers[mark] = self._resumed(payload) if payload and self._questions == marks else interrupt(None)
        self._answers.pop(_NOT_OURS, None)

    def _resumed(self, payload: dict[str, Any]) -> Any:
        """Returns what the graph was resumed with for its last request.

        Raises:
            GraphInterrupt: It was not resumed.
            MixResumeError: It was, with a value that is no answer to the request. The graph stays paused.
        """
        from langgraph.errors import GraphInterrupt  # noqa: PLC0415  # Only inside a graph, where it is loaded.
        from langgraph.types import interrupt  # noqa: PLC0415

        def checked(value: Any) -> Any:
            _read(value, payload)
            return value

        if _takes_schema(interrupt):
            form: Any = Annotated[Any, AfterValidator(checked), WithJsonSchema(_schema_of(payload))]
            try:
                return interrupt(payload, response_schema=form)
            except ValidationError as refused:
                error: MixResumeError = refused.errors(include_url=False)[0].get("ctx", {})["error"]
                # LangGraph marks the error of a wrong resume value, by which its runner and its ToolNode know it.
                error.__dict__.update(refused.__dict__)
                raise error from None
        # Versions without it store every value as the answer: those that are none are passed by when the graph goes on.
        wrong: MixResumeError | None = None
        while True:
            try:
                value = interrupt(payload)
            except GraphInterrupt:
                if wrong is not None:
                    raise wrong from None
                raise
            try:
                return checked(value)
            except MixResumeError as error:
                wrong = error
                self._questions[-1].insert(-1, _NOT_OURS)

    def _ask(self, request: SSEPermissionEventData) -> Verdict:
        arguments = dict(request.params) if isinstance(request.params, Mapping) else {"params": request.params}
        payload = {
            "action_requests": [
                {"name": request.tool_name, "args": arguments, "description": request.description or request.action}
            ],
            "review_configs": [{"action_name": request.tool_name, "allowed_decisions": ["approve", "reject"]}],
        }
        return _read(self._answer(payload, request.session_id), payload, default=False) is True

    def _question(self, notification: SSENotificationEventData) -> str | None:
        fields = notification.model_dump(include={"title", "message", "response_type", "choices", "notification_type"})
        payload = {
            "action_requests": [{"name": _QUESTION, "args": fields, "description": notification.message}],
            "review_configs": [{"action_name": _QUESTION, "allowed_decisions": ["respond", "approve"]}],
        }
        # Mix 0.8: there is no refusal, and a turn waits up to five minutes for what is not even acknowledged.
        return str(_read(self._answer(payload, notification.session_id), payload, default=""))

    def _answer(self, payload: dict[str, Any], session_id: str) -> Any:
        """Gives the answer to this very request, or requests one through LangGraph.

        The server denies after 30 s, while a graph may pause for days. So the request is denied at once, the turn given
        up and its traces removed; when the graph goes on, the turn is run again and the answer is known.

        Ids of sessions are parts of paths. One that goes with the turn is not shown, since the turn will be run again
        in another; one that stays is, and the answer holds in this session alone.
        """
        from langgraph.errors import GraphInterrupt  # noqa: PLC0415  # Only inside a graph, where it is loaded.
        from langgraph.types import interrupt  # noqa: PLC0415

        said = json.dumps(payload, sort_keys=True, default=str)
        for passing in {session_id, self._session} - {self._lasting, ""}:
            said = said.replace(passing, _THIS_SESSION)
        payload = json.loads(said)
        mark = blake2b(said.encode(), digest_size=16).hexdigest()
        with self._lock:
            if mark in self._answers or self.pause is not None:
                return self._answers.get(mark)
            try:
                while True:
                    marks = [*self._questions[:-1], [*self._questions[-1], mark]]
                    # The schema as a dict: what is checked is the answer to a request, and this is none yet.
                    interrupt(
                        {**payload, _ASKED: marks},
                        **({"response_schema": _schema_of(payload)} if _takes_schema(interrupt) else {}),
                    )
                    # What was answered here is not known, so that it is no answer to this.
                    self._questions[-1].append(_NOT_OURS)
            except GraphInterrupt as pause:
                self.pause = pause
        return None


@dataclass(frozen=True, slots=True)
class TaskInGraph:
    """The running task of a LangGraph graph, and what LangGraph configures for it."""

    configurable: Mapping[str, Any]
    task_id: str

    def config(self) -> dict[str, Any]:
        """Names the checkpoint that the task began from."""
        # LangGraph: the namespace of a task is that of its graph and the task's own segment behind it.
        namespace = str(self.configurable.get("checkpoint_ns", "")).rpartition("|")[0]
        known = {"thread_id": self.configurable.get("thread_id"), "checkpoint_ns": namespace}
        checkpoint = (self.configurable.get("checkpoint_map") or {}).get(namespace)
        return {"configurable": known | ({"checkpoint_id": checkpoint} if checkpoint else {})}

    def payload(self, writes: Collection[tuple[str, str, Any]]) -> dict[str, Any] | None:
        """The request with which this task was paused last, or None."""
        for task_id, channel, value in writes:
            if task_id == self.task_id and channel == "__interrupt__":
                for interrupt in value if isinstance(value, list | tuple) else (value,):
                    payload = getattr(interrupt, "value", None)
                    if isinstance(payload, dict) and _are_marks(payload.get(_ASKED)):
                        return payload
        return None


def task_in_graph() -> TaskInGraph:
    """Finds the running task.

    Raises:
        MixInputError: There is none.
    """
    config, runtime = sys.modules.get("langgraph.config"), sys.modules.get("langgraph.runtime")
    if config is not None and runtime is not None:
        try:
            configurable = config.get_config().get("configurable", {})
            info = runtime.get_runtime().execution_info
        except (RuntimeError, KeyError):
            configurable, info = {}, None  # LangGraph: called outside of a runnable context, or of a task.
        if info is not None:
            return TaskInGraph(configurable, info.task_id)
    raise MixInputError(
        'The policy "interrupt" pauses a LangGraph graph, but the model is not called from one.',
        hint="Call it from a graph's node, with a checkpointer, or choose another policy.",
    )


def _are_marks(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(marks, list) for marks in found)


def _checked(permissions: Permissions) -> Permissions:
    hint = 'Use "deny", "allow", "ignore", "interrupt", a list of tools or a function.'
    if isinstance(permissions, str):
        valid = permissions in {"deny", "allow", "ignore", "interrupt"}
    elif isinstance(permissions, Collection):
        # A mapping may say which tools may not run.
        valid = not isinstance(permissions, Mapping) and all(isinstance(rule, str) for rule in permissions)
    else:
        valid = callable(permissions)
    if not valid:
        raise MixInputError(f"permissions={permissions!r} is no policy.", hint=hint)
    if isinstance(permissions, Collection) and not isinstance(permissions, str):
        for rule in permissions:
            parse_rule(rule)
    return permissions


def _takes_schema(interrupt: Callable[..., Any]) -> bool:
    """True when this version of LangGraph checks resume values itself, and shows their schema."""
    return "response_schema" in inspect.signature(interrupt).parameters


def _asks_for_text(payload: Mapping[str, Any]) -> bool:
    return bool(payload["action_requests"][0]["name"] == _QUESTION)


def _schema_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the JSON Schema of the values that a graph may be resumed with."""
    return ANSWER_SCHEMA if _asks_for_text(payload) else PERMISSION_SCHEMA


def _read(value: Any, payload: Mapping[str, Any], *, default: bool | str | None = None) -> bool | str:
    """Reads what the graph was resumed with for a request: whether a tool may run, or the answer to a notification.

    Args:
        value: The value; None if nobody answered yet.
        payload: The value with which the graph paused.
        default: What None means, and what was taken for an answer before values were checked; None to check it.

    Raises:
        MixResumeError: The value is no answer, and there is no default.
    """
    args = payload["action_requests"][0]["args"]
    try:
        if _asks_for_text(payload):
            return read_answer(value, args.get("choices") if args.get("response_type") == "choice" else None)
        decision = read_permission(value, args)
    except MixResumeError:
        if default is None:
            raise
        return default
    if decision.kind == "reject" and decision.text and default is not None:
        _log.warning("A refusal has words (%d characters), for which the server has no place.", len(decision.text))
    return decision.kind == "approve"


def warn_of_denial(update: Update, warned: set[str]) -> None:
    """Warns that a tool is denied by default: the user reads of it in the agent's words alone, which name no remedy.

    An update of a sub-agent may hold the request, too. The tool is added to those of whose denial the user was warned.
    """
    while isinstance(update, SubagentUpdate):
        update = update.update
    if not isinstance(update, PermissionRequested):
        return
    name = update.request.tool_name
    if name not in warned:
        warned.add(name)
        warnings.warn(
            f"The tool {name!r} of the agent was denied, as ChatMix does by default. Allow it with "
            f'permissions=[{name!r}], decide yourself with a function or "interrupt", allow all with "allow", or '
            'choose permissions="deny" to deny without this warning.',
            MixPermissionWarning,
            stacklevel=2,
        )
