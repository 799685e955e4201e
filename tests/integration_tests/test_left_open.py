"""What is left open when its loop, or its program, ends: nothing is printed, and the server's turn ends too."""

from __future__ import annotations

import subprocess

import pytest

from langchain_mix import MixEmulator
from langchain_mix.client import Mix
from langchain_mix.emulator import Gate
from langchain_mix.emulator.agents import Text
from langchain_mix.emulator.agents.base import Wait
from tests.new_process import python

PROGRAM = """
import asyncio, sys, warnings
from langchain_core.runnables import RunnableGenerator
from langchain_mix import ChatMix
from langchain_mix.client import Mix
from langchain_mix.retrievers import MixFileLoader

warnings.simplefilter("error")
warnings.simplefilter("ignore", ResourceWarning)
url, api, files, *ways = sys.argv[1:]
model, mix = ChatMix(server_url=url, api=api), Mix(server_url=url, api=api)

left = []

async def nested(session):
    async with mix.turn_async(session, "q") as turn:
        async for update in turn:
            yield update

def opened(how):
    session = files if 'files' in how else mix.sessions.create(title=how).id
    match how:
        case "astream": return model.astream("q")
        case "chain": return (model.bind(stop=["zz"]) | RunnableGenerator(passed_on)).astream("q")
        case "events": return model.astream_events("q", version="v2")
        case "turn": return aiter(mix.turn_async(session, "q"))
        case "nested": return nested(session)
        case "files": return MixFileLoader(session, mix=mix).alazy_load()
        case "sync stream": return iter(model.stream("q"))
        case "sync deleted": return iter(ChatMix(server_url=url, api=api, retention="delete").stream("q"))
        case "sync listen": return iter(mix.streaming.stream_events(session_id=session))
        case "sync files": return MixFileLoader(session, mix=mix).lazy_load()
        case "sync turn": return iter(mix.turn(session, "q"))

async def passed_on(chunks):
    async for chunk in chunks:
        yield chunk

async def begin(how):
    left.append(opened(how))
    await anext(left[-1])

async def listen(how):
    session = mix.sessions.create(title=how).id
    left.append(await mix.streaming.stream_events_async(session_id=session))
    await anext(left[-1])

for how in ways:
    if how.startswith("sync"):
        left.append(opened(how))
        next(left[-1])
    else:
        asyncio.run(listen(how) if how == "listen" else begin(how))
print("begun")
"""


class Held:
    async def reply(self, request):
        yield Text("one ")
        yield Text("two ")
        yield Wait(Gate())


ASYNC = ["astream", "chain", "events", "turn", "nested", "files", "listen"]
SYNC = ["sync stream", "sync deleted", "sync turn", "sync listen", "sync files"]


@pytest.mark.parametrize(
    ("api", "ways"), [("0.8", ASYNC), ("0.8", SYNC), ("0.6", ["turn", "nested"]), ("0.6", ["sync stream", "sync turn"])]
)
def test_nothing_is_printed_and_the_turns_end(api, ways):
    with MixEmulator(api=api, agent=Held()) as server, Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="files").id
        for number in range(3):
            mix.files.upload_session_file(id=session, file={"file_name": f"{number}.txt", "content": b"text"})
        command = python(PROGRAM, server.url, api, session, *ways)
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert not done.stderr
        assert done.stdout == "begun\n"
        server.wait_until(lambda: server.turns == 0 and server.streams == 0)
        titles = [kept["title"] for kept in server.state.sessions.listing(include_subagents=True)]
        assert titles.count("q") == sum(way in {"astream", "chain", "sync stream"} for way in ways)
