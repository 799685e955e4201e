"""`langchain-mix demo`: shows ChatMix on an emulator.

Owns: the story of the demo. Refuses to know: anything that a user of the package could not do as well.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.rule import Rule

from langchain_mix.chat_models import ChatMix
from langchain_mix.cli.serve import DEMO_FILES, demo_file
from langchain_mix.client import Mix
from langchain_mix.emulator import MixEmulator
from langchain_mix.pointer import read_pointer

_QUESTIONS = ("Which region has the highest revenue in sales.csv?", "Which toasters were late, according to report.md?")
_BRANCHES = (("original", "North"), ("fork", "South"))
_SHOWN_CHARS = 160


def run_demo(console: Console) -> None:
    """Runs the demo.

    Raises:
        MixError: Something of it failed.
        OSError: No port can be had.
    """
    with MixEmulator(api="0.7") as server:
        console.print(f"A Mix emulator (API {server.api}) listens on {server.url}.", style="dim")
        model = ChatMix(server_url=server.url, title="Demo")
        with model.client as mix:
            _upload(console, mix)
            talk: list[BaseMessage] = []
            for question in _QUESTIONS:
                _ask(console, model, talk, question)
            _fork(console, model, talk)
        console.print(Rule("That was all of it: no server, no key"))
        console.print("Next: [bold]langchain-mix serve[/], then ChatMix(server_url='http://localhost:8088').")


def _upload(console: Console, mix: Mix) -> None:
    console.print(Rule("Files"))
    session = mix.sessions.create(title="Demo files")
    with Progress(console=console, transient=True) as progress:
        for name in progress.track(DEMO_FILES, description="Uploading"):
            info = mix.files.upload_session_file(id=session.id, file={"file_name": name, "content": demo_file(name)})
            console.print(f"Uploaded [bold]{escape(info.name)}[/], {info.size} bytes.")
    mix.sessions.delete(id=session.id)


def _ask(console: Console, model: ChatMix, talk: list[BaseMessage], question: str) -> None:
    """Asks the next question of a conversation, which goes on in the session that holds it."""
    console.print(Rule("ChatMix.stream"))
    console.print(f"[bold]You:[/] {question}", highlight=False)
    talk.append(HumanMessage(question))
    whole: AIMessageChunk | None = None
    shown = ""
    for chunk in model.stream(talk):
        for block in chunk.content_blocks:
            shown = _show(console, dict(block), shown)
        whole = chunk if whole is None else whole + chunk
    console.print()
    if whole is not None:
        talk.append(whole)


def _show(console: Console, block: dict[str, Any], before: str) -> str:
    """Shows a piece of a reply; returns its kind, so that the next one knows whether to start a line."""
    kind = str(block["type"])
    if kind != before and before in {"text", "reasoning"}:
        console.print()
    match kind:
        case "reasoning":
            start = "[thinking] " if kind != before else ""
            console.print(start + block["reasoning"], end="", style="dim italic", markup=False, highlight=False)
        case "text":
            console.print(block["text"], end="", markup=False, highlight=False)
        case "server_tool_call":
            arguments = json.dumps(block["args"], ensure_ascii=False)[:_SHOWN_CHARS]
            console.print(f"[tool] {block['name']} {arguments}", style="cyan", markup=False, highlight=False)
        case "server_tool_result":
            line = str(block.get("output") or block.get("extras", {}).get("progress", ""))[:_SHOWN_CHARS]
            console.print(f"  -> {block.get('status', '')}: {line}", style="green", markup=False, highlight=False)
        case _:
            pass
    return kind


def _fork(console: Console, model: ChatMix, talk: list[BaseMessage]) -> None:
    console.print(Rule("Fork: one past, two futures"))
    pointer = read_pointer(talk[-1].response_metadata)
    if pointer is None:
        raise ValueError("The reply has no pointer to its session.")
    fork = model.client.sessions.fork(id=pointer.session_id, message_index=pointer.row_count, title="Demo fork")
    sessions = {"original": pointer.session_id, "fork": fork.id}
    for branch, region in _BRANCHES:
        _say(console, model, branch, sessions[branch], f"Remember: my favourite region is {region}.")
    for branch, _ in _BRANCHES:
        _say(console, model, branch, sessions[branch], "What is my favourite region?")
    for branch, _ in _BRANCHES:
        _say(console, model, branch, sessions[branch], "What was my first message?")


def _say(console: Console, model: ChatMix, branch: str, session_id: str, text: str) -> None:
    console.print(f"[bold]You, on the {branch}:[/] {text}", highlight=False)
    answer = model.invoke(text, config={"configurable": {"mix_session_id": session_id}})
    console.print(answer.text.strip(), markup=False, highlight=False)
