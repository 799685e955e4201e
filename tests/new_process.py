"""Commands that run a program in a new process which need not import everything again.

`python(program, ...)` is for `subprocess` what `[sys.executable, "-c", program, ...]` is. One process, the origin, has
imported what the programs need and has done nothing else. A launcher connects to it and hands over its standard streams;
a copy of the origin runs the program with them, with the launcher's arguments, folder and environment, and ends with it.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_ORIGIN = """
import gc, json, os, select, signal, socket, sys
import h11, httpcore, httpx, langgraph.checkpoint.sqlite, langgraph.graph, langgraph.types, langchain_core.messages
import langchain_mix.chat_models.execution
from langchain_mix import ChatMix, MixAgent, MixSaver
from langchain_mix.client import Mix

with Mix(server_url="http://127.0.0.1:9") as mix:
    [getattr(mix, name) for name in ("sessions", "files", "messages", "permissions")]
del mix
exec(sys.argv[2])
gc.collect()
gc.freeze()


def program():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:  # The tests are over.
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return copy(connection)
        connection.close()


def copy(connection):
    head, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as body:
        given = json.loads(body.read(int.from_bytes(head, "big")))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        select.select([connection, os.pidfd_open(child)], [], [])
        os.kill(child, signal.SIGKILL)  # Where the launcher was killed. One that has ended does not mind.
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        try:
            connection.sendall(bytes([code & 255]))
        except OSError:
            pass
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["environment"])
    sys.argv = ["-c", *given["arguments"]]
    return given["program"]


exec(compile(program(), "<string>", "exec"), {"__name__": "__main__"})
"""

_LAUNCHER = """
import json, os, socket, sys
address, program, *arguments = sys.argv[1:]
given = {"program": program, "arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
body = json.dumps(given).encode()
with socket.socket(socket.AF_UNIX) as origin:
    origin.connect(address)
    socket.send_fds(origin, [len(body).to_bytes(4, "big")], [0, 1, 2])
    origin.sendall(body)
    for number in (0, 1, 2):  # Only the copy holds them now: who reads them sees when it closes them.
        os.close(number)
    code = origin.recv(1)
os._exit(code[0] if code else 1)
"""


_CLI = """
import langchain_mix.cli.app, langchain_mix.cli.chat.keyboard, langchain_mix.cli.chat.turns, langchain_mix.cli.serve
import langchain_mix.chat_models.inputs, langchain_mix.cli.checkpoints.views, langchain_mix.cli.doctor
"""


@cache
def _origin(imports: str) -> str:
    """Starts the origin once for this process and what it imports in addition, and returns its address."""
    folder = tempfile.TemporaryDirectory(prefix="origin")
    address = str(Path(folder.name) / "socket")
    origin = subprocess.Popen(
        [sys.executable, "-c", _ORIGIN, address, imports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert origin.stdin
    assert origin.stdout

    def end() -> None:
        origin.communicate("")
        folder.cleanup()

    atexit.register(end)
    assert origin.stdout.readline() == "ready\n"
    return address


def python(program: str, *arguments: str, imports: str = "") -> list[str]:
    """Returns the command that runs a program in a new process.

    Args:
        program: As `python -c` takes it.
        *arguments: Its `sys.argv[1:]`.
        imports: Statements that import what else it needs.
    """
    if sys.platform != "linux":
        return [sys.executable, "-c", program, *arguments]
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, _origin(imports), program, *arguments]


def command_line(*arguments: str, before: str = "") -> list[str]:
    """Returns the command that runs `langchain-mix` in a new process, after other statements if wanted."""
    return python(f"{before}\nfrom langchain_mix.cli import main\nmain()", *arguments, imports=_CLI)
