"""A server of files in memory, and processes that are stepped through their requests one by one."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace

import pytest

from langchain_mix.checkpoint.encoding import NO_ENCRYPTION
from langchain_mix.checkpoint.files import SessionFiles
from langchain_mix.checkpoint.records import CheckpointRecord, Value, Write, WritesRecord
from langchain_mix.checkpoint.runtime import AcquireLock, Pause
from langchain_mix.checkpoint.state import StoreSettings
from langchain_mix.checkpoint.store import ThreadStore
from langchain_mix.errors import MixConnectionError
from langchain_mix.protocol.api import ServerApi
from langchain_mix.protocol.call import Reply, Together

SESSION = "5b1f6f0e-0000-4000-8000-000000000001"


class Server:
    """Atomic files. `torn` maps a name to what it will hold once the overwrite that is going on has ended."""

    def __init__(self):
        self.files = {}
        self.torn = {}
        self.late = []
        self.log = []

    def answer(self, call):
        return call.result(self.reply(call))

    def reply(self, call):
        self.log.append(str(call))
        name = call.segments[-1] if len(call.segments) == 5 else ""
        if call.upload is not None:
            self.store(call.upload.name, call.upload.content)
            return _json(201, {"name": call.upload.name, "size": len(call.upload.content)})
        if call.segments[-1] == "files":
            listed = [{"name": name, "size": len(data)} for name, data in sorted(self.files.items())]
            return _json(200, listed)
        if name and call.method == "GET":
            data = self.files.get(name)
            return _missing(name) if data is None else Reply(200, {}, data)
        if name and call.method == "DELETE":
            return _missing(name) if self.files.pop(name, None) is None else Reply(204, {}, b"")
        return _json(200, {"id": SESSION, "title": "door"})

    def store(self, name, data):
        self.torn.pop(name, None)
        self.files[name] = data


def _json(status, body):
    return Reply(status, {}, json.dumps(body).encode())


@cache
def _missing(name):
    message = f"File with ID '{name}' not found"
    return _json(404, {"error": {"code": 404, "message": message, "type": "not_found"}})


@dataclass
class Process:
    """Something that runs a procedure; `step` makes one request."""

    name: str
    server: Server
    steps: object
    asked: object = None
    started: bool = False
    done: bool = False
    result: object = None
    error: Exception | None = None
    got: list = field(default_factory=list)
    heard: int = 0
    """The replies so far, as a hash: they alone decide what it does next."""

    def waiting(self):
        """The call it makes next."""
        if not self.started:
            self.started = True
            self._resume(lambda: next(self.steps))
        return self._call()

    def _call(self):
        if self.done:
            return None
        return self.asked.calls[len(self.got)] if isinstance(self.asked, Together) else self.asked

    def waiting_for_overwrite(self):
        call = self.waiting()
        return call is not None and call.upload is not None and call.upload.name in self.server.torn

    def step(self, fault=""):
        call = self.waiting()
        if call is None:
            return
        writes = call.upload is not None
        begun = writes and call.upload.name in self.server.torn
        if writes and (fault == "lost" or (fault == "late" and begun)):  # It arrived, the answer did not.
            self.server.answer(call)
            self._fail(call)
            return
        if writes and fault == "late":  # It arrives some time later.
            self.server.log.append(f"{call} (late)")
            self.server.late.append((call.upload.name, call.upload.content))
            self._fail(call)
            return
        if writes and fault == "torn" and not begun:
            # The overwrite has begun; this process goes on waiting for its end.
            self.server.log.append(f"{call} (begun)")
            self.server.files[call.upload.name] = call.upload.content[: len(call.upload.content) // 2]
            self.server.torn[call.upload.name] = call.upload.content
            return
        reply = self.server.reply(call)
        self.heard = hash((self.heard, reply.status, reply.body))
        answer = call.result(reply)
        if isinstance(self.asked, Together):
            self.got.append(answer)
            if len(self.got) < len(self.asked.calls):
                return
            answer, self.got = self.got, []
        self._resume(lambda: self.steps.send(answer))

    def _fail(self, call):
        error = MixConnectionError("The connection broke.", sent=str(call), acted="unknown")
        self._resume(lambda: self.steps.throw(error))

    def _resume(self, go):
        try:
            self.asked = go()
            while isinstance(self.asked, Pause | AcquireLock):
                self.asked = self.steps.send(None)
        except StopIteration as stop:
            self.done, self.result = True, stop.value
        except Exception as problem:
            self.done, self.error = True, problem

    def run(self, limit=3000):
        for _ in range(limit):
            if self.waiting() is None:
                break
            self.step()
        assert self.done, "it never ends"
        if self.error is not None:
            raise self.error
        return self.result


class World:
    """A server and any number of processes with a store of their own."""

    def __init__(self, *, encryption=NO_ENCRYPTION, **settings):
        self.server = Server()
        self.encryption = encryption
        self.settings = {"backoff": 0, "reread_pause": 0, **settings}
        self._stores = itertools.count(1)

    def store(self, *, encryption=None, **settings):
        return ThreadStore(
            session_files=SessionFiles(ServerApi(), SESSION),
            encryption=encryption or self.encryption,
            settings=StoreSettings(**{**self.settings, **settings}),
            fresh=self.fresh_names(),
            chance=lambda: 0.5,
        )

    def fresh_names(self):
        """Names that depend on the store alone, not on who made one before."""
        store, number = next(self._stores), itertools.count(1)
        return lambda: f"{store:016x}{next(number):016x}"

    def process(self, name, steps):
        return Process(name, self.server, steps)

    def run(self, steps):
        return self.process("", steps).run()

    def read(self, thread="t"):
        """What a process that knows nothing finds."""
        return self.run(self.store().entries(thread))


def checkpoint(number, ns="", *, parent=None, values=None, tag="msgpack"):
    data = values or {"messages": b"\x91" + b"hello %d " % number * 9}
    return CheckpointRecord(
        ns,
        f"{number:08d}",
        parent,
        Value(tag, b"skeleton %d" % number),
        Value(tag, b"metadata %d" % number),
        {channel: Value(tag, value) for channel, value in data.items()},
        dict.fromkeys(data, number),
    )


def writes(number, ns="", *, task="task", data=b"write", idx=0, path=""):
    return WritesRecord(ns, f"{number:08d}", task, path, (Write(idx, "messages", Value("msgpack", data)),))


@pytest.fixture(scope="session")
def kit():
    return SimpleNamespace(
        World=World, Server=Server, Process=Process, checkpoint=checkpoint, writes=writes, session=SESSION
    )
