"""Nothing is left behind: no connection, no stream, no thread, no task, no warning, no process that cannot exit."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import textwrap
import threading
import warnings
from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.client import Mix
from langchain_mix.emulator import CutStream, Gate, HttpError, Script, say, turn, use
from langchain_mix.emulator.agents.base import Wait
from langchain_mix.protocol import calls
from tests.new_process import python

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("turns", [10, pytest.param(25, marks=pytest.mark.exhaustive)])
def test_many_turns_use_few_connections(labs: Any, shell: str, api: str, turns: int) -> None:
    lab = labs(shell, api, Script("A word.", loop=True))
    session = lab.session()
    for _ in range(turns):
        lab.turn(session=session).well()
        lab.server.wait_until(lambda: lab.server.streams == 0)
        assert lab.server.connections <= 3


def test_closing_closes_every_connection(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script("A word."))
    lab.turn().well()
    assert lab.server.connections > 0
    if shell == "sync":
        lab.mix.close()
    else:
        lab.shell.awaited(lab.mix.aclose())
    lab.server.wait_until(lambda: lab.server.connections == 0 == lab.server.streams)


def test_a_closed_client_can_be_used_again(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", Script("One.", "Two."))
    session = lab.session()
    assert lab.turn(session=session).well().told == "One."
    if shell == "sync":
        lab.mix.close()
    else:
        lab.shell.awaited(lab.mix.aclose())
    assert lab.turn(session=session).well().told == "Two."


# A server that fails is asked again before a turn is given up.
@pytest.mark.parametrize(
    ("status", "turns"), [(404, 10), (500, 2), pytest.param(404, 25, marks=pytest.mark.exhaustive)]
)
def test_refused_streams_give_their_connections_back(labs: Any, shell: str, status: int, turns: int) -> None:
    lab = labs(shell, "0.8", Script())
    session = lab.session()
    lab.server.faults.add(HttpError("/stream", status, count=None))
    for _ in range(turns):
        with pytest.raises(errors.MixDefaultError):
            lab.turn(session=session).well()
    lab.server.wait_until(lambda: lab.server.connections <= 2)


def test_broken_streams_give_their_connections_back(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", Script("A word of many.", loop=True))
    session = lab.session()
    lab.server.faults.add(CutStream(1, count=None))
    for _ in range(5):
        assert lab.turn(session=session).well().told == "A word of many."
    lab.server.wait_until(lambda: lab.server.connections <= 2 and lab.server.streams == 0)


def test_a_bare_stream_that_is_dropped_is_closed(labs: Any) -> None:
    lab = labs("sync", "0.8")
    stream = lab.shell.transport.open_stream(calls.event_stream(lab.session()))
    next(stream)
    lab.server.wait_until(lambda: lab.server.streams == 1)
    del stream
    gc.collect()
    lab.server.wait_until(lambda: lab.server.streams == 0)


@pytest.mark.parametrize("api", ["0.6", "0.7", "0.8"])
def test_no_thread_outlives_a_synchronous_turn(labs: Any, api: str) -> None:
    task = use("Task", {"description": "d", "prompt": "p"}, id="task")
    lab = labs("sync", api, Script(turn([task], "Done."), subagent=["Inner."]) if api != "0.6" else Script("Done."))
    before = set(threading.enumerate())
    for _ in range(5):
        assert lab.turn(timeout=5).well().told == "Done."
        for thread in set(threading.enumerate()) - before:
            thread.join(1.0)  # The timer of the budget is told to end, and ends by itself.
            assert not thread.is_alive(), thread


def test_a_plain_synchronous_turn_starts_no_thread(labs: Any) -> None:
    lab = labs("sync", "0.8", Script("A word."))
    before = set(threading.enumerate())
    started: set[threading.Thread] = set()
    lab.turn("go", lambda _: started.update(set(threading.enumerate()) - before)).well()
    assert started == set()


def test_no_warning(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(turn([*say("I wait. "), Wait(Gate())]), "A word."))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session = lab.session()
        outcome = lab.turn("go", _leave, session=session)
        assert isinstance(outcome.error, _Left)
        lab.turn(session=session).well()
        lab.turn(session="unknown-session")
        del outcome
        gc.collect()
    assert [str(w.message) for w in caught] == []


class _Left(Exception):
    pass


def _leave(_: Any) -> None:
    raise _Left


def test_an_abandoned_asynchronous_turn_ends_with_its_loop(labs: Any, api: str) -> None:
    lab = labs("sync", api, Script(turn([*say("I wait. "), Wait(Gate())])))
    session = lab.session()

    async def abandon() -> None:
        mix = Mix(server_url=lab.server.url, api=lab.api)
        stream = mix.turn_async(session, "go")
        await anext(stream)

    with warnings.catch_warnings():
        # httpx leaves it to the collector to tell of a client that nobody closed; the server sees the turn's end.
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(abandon())
        lab.server.wait_idle()
        gc.collect()
    assert len(lab.cancels()) == 1


PROGRAMS = {
    "a turn in the middle": """
        stream = mix.turn(session, "go")
        print(type(next(stream)).__name__)
    """,
    "a turn with a budget": """
        stream = mix.turn(session, "go", timeout=600)
        print(type(next(stream)).__name__)
    """,
    "a turn in the middle, kept alive": """
        import builtins
        builtins.kept = stream = mix.turn(session, "go")
        print(type(next(stream)).__name__)
    """,
    "a bare stream": """
        stream = mix.streaming.stream_events(session_id=session)
        print(next(iter(stream)).event)
    """,
    "an asynchronous turn": """
        import asyncio
        async def main():
            stream = mix.turn_async(session, "go")
            print(type(await anext(stream)).__name__)
        asyncio.run(main())
    """,
    "a thread": """
        import threading
        began = threading.Event()
        def run():
            for _ in mix.turn(session, "go"):
                began.set()
        threading.Thread(target=run, daemon=True).start()
        print(began.wait(10))
    """,
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("api", ["0.6", "0.8"])
def test_a_process_that_abandons_a_stream_exits(labs: Any, api: str, program: str) -> None:
    lab = labs("sync", api, Script(turn([*say("I wait. "), Wait(Gate())])))
    lines = [
        "import sys, warnings",
        "from langchain_mix.client import Mix",
        "warnings.simplefilter('error')",
        "url, api, session = sys.argv[1:]",
        "mix = Mix(server_url=url, api=api)",
        textwrap.dedent(PROGRAMS[program]),
    ]
    command = python("\n".join(lines), lab.server.url, api, lab.session())
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in {"TextDelta", "Accepted", "connected", "True"}, done.stdout
    lab.server.wait_until(lambda: lab.server.connections == 0 == lab.server.streams)
