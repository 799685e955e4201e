"""The catalogue: what is recorded of a Mix server, and replayed against this package.

Owns: the scenarios, each written once for synchronous and asynchronous code, what a user sees of them, and running one.
Refuses to know: cassettes, and whether the server is a real one, an emulator or a cassette.

A scenario is a generator: it yields what to do, receives the outcome, and returns what was seen, line by line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, TypeAlias

from langchain_core.messages import AIMessageChunk

from langchain_mix.chat_models.chat_model import ChatMix
from langchain_mix.client import Mix
from langchain_mix.emulator.agents.base import Fail, Gate, Usage, Wait
from langchain_mix.emulator.agents.scripted import Script, say, think, turn, use
from langchain_mix.errors import MixError
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiVersion, having
from langchain_mix.protocol.turn.updates import (
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    TextDelta,
    TurnResult,
    Update,
)


@dataclass(frozen=True, slots=True)
class Operate:
    """Carry out an operation of `Mix`, such as `"sessions.create"`; its result comes back."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Talk:
    """Run a turn; a `TurnRecord` comes back.

    Attributes:
        leave_at: The kind of update after which its reader leaves, or None to stay to the end.
        options: More arguments of `Mix.turn`.
    """

    session: str
    text: str
    leave_at: type | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chat:
    """Stream a reply of `ChatMix`; its chunks come back."""

    text: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """The outcome of a turn, and what its reader saw, update by update."""

    lines: list[str]
    result: TurnResult
    error: MixError | None


Step: TypeAlias = Operate | Talk | Chat
Course: TypeAlias = Generator[Step, Any, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One cassette per generation.

    Attributes:
        name: Of its file.
        proves: What the recording is evidence of.
        course: What is done, for a generation.
        brain: Who answers on the emulator. It gets a gate that opens when `streams` streams are open.
        apis: The generations that have it.
        needs_script: A real agent cannot be made to do it.
        streams: How many streams must be open before the agent goes on; 0 leaves its gate shut.
    """

    name: str
    proves: str
    course: Callable[[ApiVersion], Course]
    brain: Callable[[Gate], Script]
    apis: tuple[ApiVersion, ...] = ALL
    needs_script: bool = False
    streams: int = 0


def _new_session(api: ApiVersion) -> Generator[Step, Any, str]:
    browser = {"browser_mode": "local-browser-service"} if CAPABILITIES[api].browser_mode else {}
    session = yield Operate("sessions.create", {"title": "cassette", **browser})
    return str(session.id)


def _result(record: TurnRecord) -> list[str]:
    result = record.result
    tools = [f"{call.name} {call.status}: {call.output}" for call in result.tool_calls]
    usage = f"{result.usage.input_tokens} in, {result.usage.output_tokens} out" if result.usage else "unknown"
    return [
        f"text: {result.full_text}",
        *[f"tool: {tool}" for tool in tools],
        f"rows: {result.row_count}",
        f"tokens: {usage}",
        f"verified: {result.verified}",
        *([f"error: {type(record.error).__name__}: {record.error.message}"] if record.error else []),
    ]


def _one_turn(text: str, **options: Any) -> Callable[[ApiVersion], Course]:
    def course(api: ApiVersion) -> Course:
        session = yield from _new_session(api)
        record = yield Talk(session, text, options=options)
        return [*record.lines, *_result(record)]

    return course


def _cancel(api: ApiVersion) -> Course:
    session = yield from _new_session(api)
    record = yield Talk(session, "Count to a thousand, slowly.", leave_at=TextDelta)
    return [*record.lines, f"text: {record.result.full_text}"]


def _files(api: ApiVersion) -> Course:
    session = yield from _new_session(api)
    file = {"file_name": "notes.txt", "content": "Käse & «Brot» 🧀\n".encode(), "content_type": "text/plain"}
    stored = yield Operate("files.upload_session_file", {"id": session, "file": file})
    listed = yield Operate("files.list_session_files", {"id": session})
    content = yield Operate("files.get_session_file", {"id": session, "filename": stored.name})
    yield Operate("files.delete_session_file", {"id": session, "filename": stored.name})
    after = yield Operate("files.list_session_files", {"id": session})
    return [
        f"stored: {stored.name}, {stored.size} bytes",
        f"listed: {stored.name in {one.name for one in listed}}",
        f"content: {content.read().decode().strip()}",
        f"listed when deleted: {stored.name in {one.name for one in after}}",
    ]


def _roles(rows: Any) -> str:
    return f"rows: {', '.join(str(row.role) for row in rows)}"


def _fork(api: ApiVersion) -> Course:
    session = yield from _new_session(api)
    first = yield Talk(session, "My favourite colour is green.")
    fork = yield Operate("sessions.fork", {"id": session, "message_index": 2, "title": "branch"})
    second = yield Talk(fork.id, "What is my favourite colour?")
    rows = yield Operate("messages.list_session", {"id": session})
    copied = yield Operate("messages.list_session", {"id": fork.id})
    return [*first.lines, *second.lines, *_result(second), f"source {_roles(rows)}", f"fork {_roles(copied)}"]


def _rewind(api: ApiVersion) -> Course:
    session = yield from _new_session(api)
    first = yield Talk(session, "My favourite colour is green.")
    yield Talk(session, "No, it is blue.")
    yield Operate("sessions.rewind_session", {"id": session, "message_id": first.result.message_id})
    rows = yield Operate("messages.list_session", {"id": session})
    third = yield Talk(session, "What is my favourite colour?")
    return [*first.lines, _roles(rows), *third.lines, *_result(third)]


def _chat(text: str, **options: Any) -> Callable[[ApiVersion], Course]:
    def course(api: ApiVersion) -> Course:
        lines: list[str] = yield Chat(text, {"api": str(api), "title": "LangChain", **options})
        return lines

    return course


_ANSWER: Final = "Forty-two: naïve as it is, 42 «€» 🎈."
_LOOK: Final = "Read notes.txt and tell how many lines it has."


def _plain(_: Gate) -> Script:
    return Script(turn([Usage(input_tokens=12, output_tokens=34), *say(_ANSWER, chunk=12)]), loop=True)


def _tools(_: Gate) -> Script:
    look = [*say("Let me look. "), use("ReadText", {"file_path": "notes.txt"}, result="one\ntwo"), *_grep("find")]
    return Script(turn(look, "It has two lines."))


def _grep(call: str, **more: Any) -> list[Any]:
    return [use("Grep", {"pattern": "o"}, result="2 matches", id=call, **more)]


def _permission(_: Gate) -> Script:
    write = use("Write", {"file_path": "notes.txt", "content": "one"}, result="Wrote 3 bytes.", ask=True)
    return Script(turn([*say("I write it. "), write], "It is written."))


def _subagent(watched: Gate) -> Script:
    task = use("Task", {"description": "count", "prompt": "Count the lines."}, id="task")
    # A request is sent only to streams that are open by then; a model's first words take longer than that.
    inner = turn([*say("Counting. "), Wait(watched), *_grep("inner", ask=True)], "There are two.")
    return Script(turn([*say("I have it counted. "), task], "Two lines."), subagent=[inner])


def _talks(_: Gate) -> Script:
    return Script("I have noted that.", "Green, you said.", default="Green, as you have said.")


SCENARIOS: Final = (
    Scenario(
        name="plain",
        proves="A turn streams its text piece by piece; nothing comes before the message is sent.",
        course=_one_turn("What is six times seven? Answer in one short sentence."),
        brain=_plain,
    ),
    Scenario(
        name="thinking",
        proves="Reasoning comes before the text and is stored with it.",
        course=_one_turn("Think hard, then answer in one short sentence: what is six times seven?"),
        brain=lambda _: Script(turn([*think("Six sevens. That is known.", chunk=12), *say(_ANSWER, chunk=12)])),
    ),
    Scenario(
        name="tools",
        proves="Two tools run in one turn, and how a generation reports their arguments, ends and results.",
        course=_one_turn(_LOOK),
        brain=_tools,
    ),
    Scenario(
        name="permission",
        proves="A tool asks for permission on the stream, waits, and runs when it was granted by another request.",
        course=_one_turn("Write the word one into notes.txt.", permissions="allow"),
        brain=_permission,
    ),
    Scenario(
        name="subagent",
        proves="A sub-agent is reported on its parent's stream, and asks for permission on its own.",
        course=_one_turn("Have a sub-agent count the lines of notes.txt.", permissions="allow"),
        brain=_subagent,
        apis=having("subagents"),
        streams=2,
    ),
    Scenario(
        name="error",
        proves="How a turn ends when its model provider fails.",
        course=_one_turn("Fail."),
        brain=lambda _: Script(turn([*say("I try, and try again. "), Fail("The provider is overloaded.")])),
        needs_script=True,
    ),
    Scenario(
        name="cancel",
        proves="A turn whose reader leaves is cancelled.",
        course=_cancel,
        brain=lambda gate: Script(turn([*say("One. "), Wait(gate), *say("Two. ")])),
    ),
    Scenario(name="files", proves="A file goes up, is listed, comes down and is deleted.", course=_files, brain=_plain),
    Scenario(
        name="fork",
        proves="A fork continues from a copy of the first rows and leaves its source alone.",
        course=_fork,
        brain=_talks,
        apis=having("fork"),
    ),
    Scenario(
        name="rewind",
        proves="A session goes back to an earlier message and on from there.",
        course=_rewind,
        brain=_talks,
    ),
    Scenario(
        name="chat-plain",
        proves="ChatMix streams a reply.",
        course=_chat("What is six times seven? Answer in one short sentence."),
        brain=_plain,
    ),
    Scenario(
        name="chat-tools",
        proves="ChatMix streams the server's own tools as content blocks.",
        course=_chat(_LOOK),
        brain=_tools,
    ),
)
"""Everything that is recorded."""


def play(course: Course, mix: Mix) -> list[str]:
    """Carries out a scenario in synchronous code and returns what was seen.

    Raises:
        MixError: An operation failed; a turn that fails is part of what is seen.
    """
    try:
        step = next(course)
        while True:
            step = course.send(_do(step, mix))
    except StopIteration as done:
        seen: list[str] = done.value
        return seen


async def play_async(course: Course, mix: Mix) -> list[str]:
    """Does what `play` does, asynchronously."""
    try:
        step = next(course)
        while True:
            step = course.send(await _do_async(step, mix))
    except StopIteration as done:
        seen: list[str] = done.value
        return seen


def _do(step: Step, mix: Mix) -> Any:
    match step:
        case Operate():
            return attrgetter(step.name)(mix)(**step.arguments)
        case Talk():
            return _talk(step, mix)
        case Chat():
            model = ChatMix(server_url=mix.server_url, **step.options)
            try:
                return _chunks(list(model.stream(step.text)))
            finally:
                model.client.close()


async def _do_async(step: Step, mix: Mix) -> Any:
    match step:
        case Operate():
            return await attrgetter(f"{step.name}_async")(mix)(**step.arguments)
        case Talk():
            return await _talk_async(step, mix)
        case Chat():
            model = ChatMix(server_url=mix.server_url, **step.options)
            try:
                return _chunks([chunk async for chunk in model.astream(step.text)])
            finally:
                await model.client.aclose()


def _talk(step: Talk, mix: Mix) -> TurnRecord:
    turn = mix.turn(step.session, step.text, **step.options)
    lines: list[str] = []
    error: MixError | None = None
    try:
        with turn:
            for update in turn:
                lines.append(line_of(update))
                if step.leave_at is not None and isinstance(update, step.leave_at):
                    break
    except MixError as failure:
        error = failure
    return TurnRecord(lines, turn.result, error)


async def _talk_async(step: Talk, mix: Mix) -> TurnRecord:
    turn = mix.turn_async(step.session, step.text, **step.options)
    lines: list[str] = []
    error: MixError | None = None
    try:
        async with turn:
            async for update in turn:
                lines.append(line_of(update))
                if step.leave_at is not None and isinstance(update, step.leave_at):
                    break
    except MixError as failure:
        error = failure
    return TurnRecord(lines, turn.result, error)


def line_of(update: Update) -> str:
    """Shows an update as a line; ids, which differ from recording to recording, are left out."""
    kind = type(update).__name__
    match update:
        case SubagentUpdate():
            return f"sub-agent: {line_of(update.update)}"
        case PermissionRequested():
            return f"{kind}: {update.request.tool_name}"
        case NotificationReceived():
            return f"{kind}: {update.notification.title}"
        case Progress():
            return f"{kind}: {update.kind}"
        case _:
            shown = {f.name: getattr(update, f.name) for f in dataclasses.fields(update)}
            # The duration of a tool is part of its progress.
            said = {k: v for k, v in shown.items() if not k.endswith("id") and k != "progress"}
            return _line(kind, said)


def _chunks(chunks: Iterable[AIMessageChunk | Any]) -> list[str]:
    """Returns what a user of ChatMix sees, block by block."""
    lines = []
    for chunk in chunks:
        for block in chunk.content_blocks:
            said = {k: v for k, v in block.items() if k not in {"type", "index", "id", "tool_call_id", "extras"}}
            lines.append(_line(block["type"], said))
    return lines


def _line(kind: str, said: Mapping[str, Any]) -> str:
    return f"{kind}: {', '.join(str(value) for value in said.values())}" if said else kind
