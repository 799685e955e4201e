"""A program in a terminal, as its user sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from tests.new_process import command_line

# The child makes the terminal its own, so that Ctrl-C reaches it as a signal.
OWN_TERMINAL = """
import fcntl, os, termios
if os.getsid(0) != os.getpid():
    os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
"""
CSI = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07]*\x07|\x1b[=>()].?")
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[=>()].?|\r")


class Terminal:
    """Runs `langchain-mix` in a terminal of its own."""

    def __init__(self, *arguments, rows=40, columns=120, environment=None):
        self.rows = rows
        self.screen, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # The size that counts is the terminal's own.
        inherited = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self.process = subprocess.Popen(
            command_line(*arguments, before=OWN_TERMINAL),
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            env={**inherited, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **(environment or {})},
        )
        os.close(inside)
        self.seen = ""
        self._read_to = 0

    def type(self, text):
        os.write(self.screen, text.encode())

    def line(self, text):
        self.type(text + "\r")

    def expect(self, text, timeout=20.0):
        """Waits until the text is shown behind what was expected before."""
        end = time.monotonic() + timeout
        while (at := self.plain.find(text, self._read_to)) < 0:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{text!r} was not shown:\n{self.plain[self._read_to :]}")
        self._read_to = at + len(text)

    @property
    def plain(self):
        return ESCAPES.sub("", self.seen)

    def shown(self):
        """What stands on the screen and above it in the end: lines that were drawn again count once."""
        return picture(self.seen, self.rows)

    def _read(self, seconds):
        ready, _, _ = select.select([self.screen], [], [], max(seconds, 0))
        if not ready:
            return False
        try:
            data = os.read(self.screen, 65536)
        except OSError:  # Linux: the program has ended and closed its side.
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def wait(self, timeout=20.0):
        """Waits until the program has ended, and gives its exit code."""
        end = time.monotonic() + timeout
        while self._read(end - time.monotonic()):
            pass
        return self.process.wait(max(end - time.monotonic(), 1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.screen)


def picture(text, rows):
    """The lines that a terminal shows, with those that have scrolled away."""
    lines, row, column, at = [""], 0, 0, 0
    while at < len(text):
        found = CSI.match(text, at)
        if found:
            at = found.end()
            amount = int(found[1]) if found[1] and found[1].isdigit() else 0
            match found[2]:
                case "A":
                    row = max(row - max(amount, 1), len(lines) - rows, 0)
                case "B":
                    row = min(row + max(amount, 1), len(lines) - 1)
                case "C":
                    column += max(amount, 1)
                case "D":
                    column = max(column - max(amount, 1), 0)
                case "K":
                    lines[row] = "" if amount == 2 else lines[row][:column]
                case "J":
                    lines[row], lines[row + 1 :] = lines[row][:column], [""] * (len(lines) - row - 1)
                case _:
                    pass
            continue
        character, at = text[at], at + 1
        if character == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif character == "\r":
            column = 0
        elif character == "\b":
            column = max(column - 1, 0)
        elif character >= " ":
            lines[row] = lines[row].ljust(column)[:column] + character + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]
