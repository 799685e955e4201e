"""The notebooks run from top to bottom as committed, in a kernel of their own, and with one line changed on any server."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from langchain_mix import MixEmulator
from langchain_mix.reserved_files import is_reserved
from langchain_mix.testing import find_secrets
from tests.new_process import python

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
SERVER = "SERVER = None  # the URL of a Mix server, or None for the emulator"
CELL_TIMEOUT = 60
KERNEL = "from ipykernel.kernelapp import launch_new_instance; launch_new_instance()"
IMPORTS = """
import ipykernel.ipkernel, ipykernel.kernelapp, ipykernel.zmqshell, langchain.agents, langchain.agents.middleware
import langchain_core.output_parsers, langchain_core.prompts
import langchain_mix.emulator, langchain_mix.emulator.server, langchain_mix.notebook, langchain_mix.notebook.live
import langchain_mix.retrievers.retriever, langchain_mix.chat_models.execution
"""
"""What kernels import, once for all of them."""

SEEN = {
    "01-quickstart": ["12 * 17 = <strong>204</strong>", "green", "North", "ChatMixConnectionError", "acted: no"],
    "02-streaming-thinking-tools": ["reasoning:", "(7, 'text')", "starts: ReadText", "Sub-agent", "Usage(", "lcm-user"],
    "03-chains-and-agents": ["Nairobi", "City(name='Vienna'", "Sunny in Linz", "an answer out", "pieces=42"],
    "04-memory-and-time-travel": ["‖ paused", "1 branch", "of its own: True", "2 sessions forked", "3 checkpoints"],
    "05-retrieval-with-citations": ["'type': 'citation'", "<mark>## Deliveries", "chunks=", "[1] cited-report.md"],
    "06-human-in-the-loop": ["permission denied", "decisions: approve / reject", "send_mail", "User response: kettles"],
}
"""Parts of what they print against the emulator."""

UNWELCOME = re.compile(r"""\w*Warning: |Traceback|role="alert"|\binstall \"|AIMessage\(content=""", re.ASCII)
"""What nobody wants to see, wherever it is shown."""


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def sources(notebook: Any, kind: str = "") -> list[str]:
    return [cell.source for cell in notebook.cells if kind in {"", cell.cell_type}]


def shown(notebook: Any) -> Iterator[str]:
    """All that outputs show, as text or HTML."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            yield output.get("text", "")
            yield from map(str, output.get("data", {}).values())


def make_kernel(folder: Path) -> None:
    """Has the kernel `python3` come from `tests/new_process.py`."""
    command = python(KERNEL, "-f", "{connection_file}", imports=IMPORTS)
    spec = {"argv": command, "display_name": "Python 3", "language": "python"}
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))


async def executed(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, *, prepared: bool = True) -> Any:
    """Runs a notebook in a kernel of its own; one that is not prepared is started as users start theirs."""
    for name in [name for name in os.environ if name.startswith("MIX_")]:
        monkeypatch.delenv(name)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(folder / name.lower()))
    if prepared:
        monkeypatch.setenv("JUPYTER_PATH", str(folder / "prepared"))  # It goes before the kernel that is installed.
        make_kernel(folder / "prepared" / "kernels" / "python3")
    work = folder / "work"
    work.mkdir()
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT, resources={"metadata": {"path": str(work)}})
    await client.async_execute()
    assert list(work.iterdir()) == [], "a notebook leaves files behind"
    errors = [o.text for c in notebook.cells for o in c.get("outputs", ()) if o.get("name") == "stderr"]
    assert errors == []
    assert [text for text in shown(notebook) if UNWELCOME.search(text)] == []
    return notebook


def test_there_are_notebooks():
    assert [path.stem for path in PATHS] == sorted(SEEN)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
async def test_it_runs_on_the_emulator(path, tmp_path, monkeypatch):
    notebook = await executed(read(path), tmp_path, monkeypatch)
    everything = "\n".join(shown(notebook))
    assert [text for text in SEEN[path.stem] if text not in everything] == []


@pytest.mark.parametrize(
    "path",
    [PATHS[0], *(pytest.param(path, marks=pytest.mark.exhaustive) for path in PATHS[1:])],
    ids=lambda path: path.stem,
)
async def test_it_runs_on_a_server(path, tmp_path, monkeypatch):
    notebook = read(path)
    with MixEmulator(api="0.8") as server:
        (cell,) = [cell for cell in notebook.cells if SERVER in cell.source]
        cell.source = cell.source.replace(SERVER, f'SERVER = "{server.url}"')
        await executed(notebook, tmp_path, monkeypatch, prepared=False)
        assert any(request.method == "POST" and request.path.endswith("/messages") for request in server.requests)
        server.wait_until(lambda: not server.connections)  # Closed, or gone with the kernel.
        uploads = server.data_dir / "uploads"
        left = [file.name for file in uploads.glob("*") if not is_reserved(file.name)]
    assert left == [], "a notebook leaves uploads behind"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
class TestAsCommitted:
    def test_it_is_a_valid_notebook_without_outputs(self, path):
        notebook = read(path)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert notebook.metadata.kernelspec.name == "python3"
        assert notebook.metadata.language_info == {"name": "python"}
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all((cell.outputs, cell.execution_count) == ([], None) for cell in code)
        assert all(cell.metadata == {} for cell in notebook.cells)
        assert path.read_text(encoding="utf-8").endswith("}\n")

    def test_one_line_decides_the_server(self, path):
        first, *rest = sources(read(path), "code")
        assert first.splitlines().count(SERVER) == 1
        assert [source for source in rest if "SERVER" in source or "localhost" in source] == []

    def test_it_is_told_in_words(self, path):
        notebook = read(path)
        assert notebook.cells[0].source.startswith("# ")
        texts = sources(notebook, "markdown")
        assert [text.splitlines()[0] for text in texts[1:] if text.startswith("# ")] == [], "one title"
        assert len(texts) * 2 >= len(sources(notebook, "code"))
        assert max(len(source.splitlines()) for source in sources(notebook, "code")) <= 40
        assert max(len(line) for source in sources(notebook, "code") for line in source.splitlines()) <= 100

    def test_it_tells_nothing_of_the_machine_it_was_written_on(self, path):
        text = "\n".join(sources(read(path)))
        assert (
            re.findall(r"(?<![\w.:/])/(?:home|root|tmp|usr|var|opt|etc|mnt|Users|\w*work)\b\S*|\b[A-Z]:\\\S*", text)
            == []
        )
        assert re.findall(r"https?://(?!127\.0\.0\.1:9\b)\S+", text) == []
        assert find_secrets(text.replace("http://127.0.0.1:9", "")) == []

    def test_its_language_is_clean(self, path):
        text = "\n".join(sources(read(path)))
        assert re.findall(r"\b(?:TODO|FIXME|XXX|HACK|lorem|WIP)\b|#\d+\b|[\U0001f000-\U0001faff]", text) == []
        assert [line for line in text.splitlines() if line != line.rstrip() or "\t" in line] == []
