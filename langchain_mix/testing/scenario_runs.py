"""Scenarios, carried out: the same course in synchronous and in asynchronous code.

Owns: doing what a scenario yields, and how an update is shown as a line.
Refuses to know: the scenarios, and whether the server is a real one, an emulator or a cassette.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from langchain_core.messages import AIMessageChunk

from langchain_mix.chat_models.chat_model import ChatMix
from langchain_mix.client import Mix
from langchain_mix.errors import MixError
from langchain_mix.protocol.turn.updates import (
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    Update,
)
from langchain_mix.testing.scenarios import Chat, Course, Heard, Operate, Step, Talk


def play(course: Course, mix: Mix) -> list[str]:
    """Carries out a scenario in synchronous code.

    Args:
        course: What to do.
        mix: The client of the server.

    Returns:
        What was seen.

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


def _talk(step: Talk, mix: Mix) -> Heard:
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
    return Heard(lines, turn.result, error)


async def _talk_async(step: Talk, mix: Mix) -> Heard:
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
    return Heard(lines, turn.result, error)


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
            # How long a tool took stands in its progress.
            said = {k: v for k, v in shown.items() if not k.endswith("id") and k != "progress"}
            return _line(kind, said)


def _chunks(chunks: Iterable[AIMessageChunk | Any]) -> list[str]:
    """What a user of ChatMix sees, block by block."""
    lines = []
    for chunk in chunks:
        for block in chunk.content_blocks:
            said = {k: v for k, v in block.items() if k not in {"type", "index", "id", "tool_call_id", "extras"}}
            lines.append(_line(block["type"], said))
    return lines


def _line(kind: str, said: Mapping[str, Any]) -> str:
    return f"{kind}: {', '.join(str(value) for value in said.values())}" if said else kind
