"""Makes the pictures of the README: the chat in a terminal, and a run and a tree in a notebook.

Run it as `python docs/pictures.py`. It needs `pyte`, a terminal in memory, and Chromium for
HTML. Nothing of it is needed to use or to test the package.
"""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
from langgraph.graph import START, MessagesState, StateGraph
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

from langchain_mix import ChatMix, Mix, MixEmulator, MixSaver
from langchain_mix.notebook import show, tree

FOLDER = Path(__file__).parent / "pages" / "images"
COLUMNS, LINES = 84, 32
QUESTION = "Which region has the highest revenue in sales.csv?"
SALES = Path(__file__).parents[1] / "langchain_mix" / "cli" / "demo_files" / "sales.csv"
_QUIET_S = 10.0


def main() -> None:
    """Makes all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with _serving("0.7") as server:  # Without the tools' outputs, a conversation fits.
        _terminal("chat", ["langchain-mix", "chat", "--server", server.url], QUESTION)
    with _serving("0.8") as server:
        model = ChatMix(server_url=server.url, title="Sales")
        _page("run", _shown(model), height=260)
        _page("tree", _threaded(model, server.url), height=440)


@contextmanager
def _serving(api: str) -> Iterator[MixEmulator]:
    """Yields an emulator that holds the sales."""
    with MixEmulator(api=api) as server, Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="Sales")
        file = {"file_name": "sales.csv", "content": SALES.read_bytes()}
        mix.files.upload_session_file(id=session.id, file=file)
        yield server


def _shown(model: ChatMix) -> str:
    """Returns the HTML that `show` displays for a question."""
    reply = model.invoke(QUESTION)
    from IPython.core.displaypub import CapturingDisplayPublisher  # noqa: PLC0415
    from IPython.core.interactiveshell import InteractiveShell  # noqa: PLC0415

    shell = InteractiveShell.instance()
    shell.display_pub = CapturingDisplayPublisher()
    show(reply, mode="html", thinking="closed", tools="closed")
    html: str = shell.display_pub.outputs[-1]["data"]["text/html"]
    return html


def _threaded(model: ChatMix, url: str) -> str:
    """Returns the HTML of a thread with a branch."""

    def ask(state: MessagesState) -> dict[str, list[object]]:
        return {"messages": [model.invoke(state["messages"])]}

    with MixSaver(server_url=url) as saver:
        builder = StateGraph(MessagesState).add_node("agent", ask).add_edge(START, "agent")
        graph = builder.compile(checkpointer=saver)
        thread = {"configurable": {"thread_id": "holiday"}}
        graph.invoke({"messages": "My favourite colour is green."}, thread)
        before = graph.get_state(thread).config
        graph.invoke({"messages": "What is my favourite colour?"}, thread)
        graph.invoke({"messages": "What is 6 times 7?"}, before)
        html: str = tree(saver, "holiday")._repr_html_()
        return html


def _terminal(name: str, command: list[str], typed: str) -> None:
    """Draws what a command shows in a terminal after a line was typed."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    child, fd = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execvp(command[0], command)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    _feed(fd, stream, screen)
    os.write(fd, f"{typed}\r".encode())
    _feed(fd, stream, screen)
    os.kill(child, 9)
    os.waitpid(child, 0)
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    for row in range(LINES):
        line = Text()
        cells = [screen.buffer[row][column] for column in range(COLUMNS)]
        for style, alike in itertools.groupby(cells, _style):
            line.append("".join(cell.data for cell in alike), style)
        if line.plain.strip() or row < screen.cursor.y:
            line.rstrip()
            console.print(line)
    console.save_svg(str(FOLDER / f"{name}.svg"), title="langchain-mix chat", theme=MONOKAI)


def _feed(fd: int, stream: pyte.ByteStream, screen: pyte.Screen) -> None:
    """Reads what a terminal gets until it is quiet."""
    end = time.monotonic() + _QUIET_S
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            got = os.read(fd, 65536)
            stream.feed(got)
            if b"\x1b[6n" in got:  # The command wants to know where the cursor is.
                os.write(fd, f"\x1b[{screen.cursor.y + 1};{screen.cursor.x + 1}R".encode())
            end = time.monotonic() + _QUIET_S


def _style(cell: pyte.screens.Char) -> Style:
    names = {"brown": "yellow", "default": None}
    color = names.get(cell.fg, cell.fg)
    if color is not None and re.fullmatch("[0-9a-f]{6}", color):
        color = f"#{color}"
    elif color is not None and color.startswith("bright"):
        color = f"bright_{color.removeprefix('bright')}"
    return Style(color=color, bold=cell.bold, italic=cell.italics, underline=cell.underscore)


def _page(name: str, html: str, height: int) -> None:
    """Draws a piece of HTML as a notebook shows it."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("Chromium is not installed.")
    head = "<style>body{font:14px/1.5 system-ui,sans-serif;margin:16px;background:#fff}</style>"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(f"<!doctype html><meta charset=utf-8>{head}{html}")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        size = f"--window-size=860,{height}"
        shot = f"--screenshot={FOLDER / name}.png"
        subprocess.run(
            [browser, *options, size, shot, page.as_uri()], check=True, capture_output=True
        )


if __name__ == "__main__":
    main()
