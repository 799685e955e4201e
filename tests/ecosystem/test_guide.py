"""The samples of the guide that need other packages: each runs as printed, and prints what the page shows."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
from pathlib import Path

import httpx
import pytest
import uvicorn
from langchain_core.language_models import FakeListChatModel

from langchain_mix import MixEmulator

HOUSE = Path(__file__).resolve().parents[1] / "house"


def _load(name):
    """Loads a module by its file: in this environment, `tests` is a package of somebody else's."""
    spec = importlib.util.spec_from_file_location(name, HOUSE / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


guide = _load("samples")
SAMPLES = [s for s in guide.samples("py") if s.name.startswith(("chat-", "integrations-"))]
SERVING = [s for s in SAMPLES if "fastapi" in s.code and "/ask" in s.code]
pytestmark = pytest.mark.ecosystem


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_sample_runs_and_prints_what_the_page_shows(sample):
    """Each sample for other packages runs as printed against a fresh server."""
    with guide.surroundings() as server:
        printed = sample.run(server)
    assert guide.matches(printed, sample.output or ""), printed


@pytest.fixture
def serve():
    """Serves an app on a free port until the test is over."""
    running = []

    def start(app):
        bound = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        running.append((server, thread, bound))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"

    yield start
    for server, thread, bound in running:
        server.should_exit = True
        thread.join()
        bound.close()


@pytest.mark.parametrize("sample", SERVING, ids=["model", "graph"])
def test_a_client_that_leaves_cancels_the_turn(sample, serve, monkeypatch):
    """With both FastAPI samples, a browser that closes its connection ends the turn on the Mix server."""
    words = FakeListChatModel(responses=["word " * 200], sleep=0.02)
    with MixEmulator(agent=words) as server:
        monkeypatch.setenv("MIX_SERVER_URL", server.url)
        names = {"__name__": "app"}
        exec(compile(sample.code, sample.name, "exec", dont_inherit=True), names)
        with httpx.stream("GET", f"{serve(names['app'])}/ask", params={"question": "Go on."}) as answer:
            next(answer.iter_text())
        server.wait_until(lambda: server.turns == 0)
        assert any(request.path.endswith("/cancel") for request in server.requests), "it was not left to end by itself"


def test_there_are_samples():
    """The page has not lost them."""
    assert len(SAMPLES) >= 7
    assert len(SERVING) == 2
