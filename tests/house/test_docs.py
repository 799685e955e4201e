"""The documentation is true: its snippets run as printed, its site builds, the tests it names exist."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import lunr
import pytest

from langchain_mix import MixEmulator
from tests.house.samples import matches, samples, surroundings
from tests.new_process import command_line

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "pages").rglob("*.md"))
REFERENCE = sorted((ROOT / "docs" / "pages" / "reference").glob("*.md"))
SAMPLES = [pytest.param(sample, id=sample.name) for sample in samples()]
COMMANDS = re.compile(r"```console\n(.*?)```", re.DOTALL)
CONSOLE = [
    pytest.param([line for block in blocks for line in block.splitlines() if "langchain-mix" in line], id=page.stem)
    for page in PAGES
    if (blocks := [b for b in COMMANDS.findall(page.read_text()) if "pip install" not in b])
]
SECURITY = (ROOT / "docs" / "pages" / "security.md", ROOT / "SECURITY.md")
NAMED_TESTS = sorted(
    set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", "".join(p.read_text() for p in {*PAGES, *SECURITY})))
)


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_prints_what_the_page_shows_each_time(sample, times):
    assert sample.output is not None, "python -m tests.house.samples"
    with surroundings() as server:
        for _ in range(times):
            printed = sample.run(server)
            assert matches(printed, sample.output), printed


@pytest.mark.timeout(600)
@pytest.mark.parametrize("lines", CONSOLE)
def test_the_commands_of_a_page_run_one_after_another(lines, tmp_path):
    installed, copies = Path(sys.executable).parent, tmp_path / ".bin"
    copies.mkdir()
    (copies / "langchain-mix").write_text(f'#!/bin/sh\nexec {shlex.join(command_line())} "$@"\n')
    (copies / "langchain-mix").chmod(0o755)
    with MixEmulator(api="0.8") as server:
        environment = {"HOME": str(tmp_path), "MIX_SERVER_URL": server.url, "TERM": "dumb"}
        for line in ("langchain-mix --version", *lines):
            # The command that was installed works; the others need not import everything again.
            path = f"{installed if line not in lines else copies}:/usr/bin:/bin"
            ran = subprocess.run(
                ["bash", "-c", line],
                cwd=tmp_path,
                env={**environment, "PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"


def exists(name):
    path, _, function = name.partition("::")
    return (ROOT / path).is_file() and re.search(
        rf"^(async )?def {function}\(" if function else "", (ROOT / path).read_text(), re.MULTILINE
    )


def test_the_tests_that_are_named_exist():
    assert [name for name in NAMED_TESTS if not exists(name)] == []


def test_every_term_of_the_glossary_has_its_module():
    _, _, glossary = (ROOT / "ARCHITECTURE.md").read_text().partition("## Glossary")
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \|$", glossary.partition("\n## ")[0], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(named) >= 30
    assert [name for name in named if not list((ROOT / "langchain_mix").glob(name))] == []


@pytest.mark.parametrize("page", SECURITY, ids=["page", "policy"])
def test_what_is_promised_of_security_names_its_test(page):
    promises = re.split(r"\n(?=- \*\*)|\n\n", page.read_text())
    unproven = [p for p in promises if p.startswith("- **") and "`tests/" not in p]
    assert [p for p in unproven if not re.search(r"is not sandboxed here|are not secrets here", p)] == []


def test_there_are_samples_and_named_tests():
    assert len(SAMPLES) >= 30
    assert len(NAMED_TESTS) >= 10


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_fits_on_a_screen_without_scrolling(sample):
    widest = 120 if sample.name.startswith("README") else 98
    assert [line for line in sample.code.splitlines() if len(line) > widest] == []


def members_of(options):
    """Returns the members, inherited or own, that the options of a documented object name."""
    lists = re.findall(r"^ +(?:inherited_)?members:((?: \[.*\])|(?:\n +- \w+)+)", options, re.MULTILINE)
    return re.findall(r"\w+", "".join(lists))


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.stem)
def test_the_reference_names_what_exists_and_is_documented(page):
    text = page.read_text()
    blocks = re.findall(r"^::: (\S+)\n((?: +\S.*\n?)*)", text, re.MULTILINE)
    assert blocks
    named = {name: members_of(options) for name, options in blocks}
    for name, members in named.items():
        thing = pkgutil.resolve_name(name)
        assert thing.__doc__, name
        assert [member for member in members if not getattr(thing, member).__doc__] == [], name
    assert sum(map(bool, named.values())) == len(re.findall(r"members:", text))


@pytest.fixture(scope="module", params=["guide", pytest.param("all", marks=pytest.mark.exhaustive)])
def site(request, tmp_path_factory):
    """The built site; by default without the reference, which takes two thirds of the time."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "REFERENCE": str(request.param == "all").lower()}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--config-file", "docs/mkdocs.yml"]
    ran = subprocess.run(
        [*command, "--site-dir", str(folder)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def test_the_site_builds(request, site):
    assert "No silent hang" in (site / "index.html").read_text()
    # Every page of the reference has something to say.
    silent = [p.stem for p in (site / "reference").glob("*.html") if 'class="doc doc-object' not in p.read_text()]
    assert sorted(silent) == (
        [] if request.node.callspec.params["site"] == "all" else sorted(p.stem for p in REFERENCE)
    )


def test_the_site_lists_its_pages_for_language_models(site):
    listed = (site / "llms.txt").read_text()
    assert "- [Chat model](chat.html): `ChatMix` is a LangChain chat model" in listed
    for page in PAGES:
        assert f"{page.stem}.html)" in listed


@pytest.fixture(scope="module")
def index(site):
    """The search of the site: a word in a title ranks a thousand times as high as one in the text."""
    entries = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    fields = [{"field_name": "title", "boost": 1000}, {"field_name": "text", "boost": 1}]
    return lunr.lunr(ref="location", fields=fields, documents=entries)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("create_agent", "chat.html#agents-create_agent"),
        ("fastapi", "chat.html#serving-with-fastapi"),
        ("langsmith", "chat.html#tracing-with-langsmith-and-opentelemetry"),
        ("opentelemetry", "chat.html#tracing-with-langsmith-and-opentelemetry"),
        ("system prompt", "chat.html#system-prompts"),
        ("structured output", "chat.html#structured-output"),
        ("supervisor", "integrations.html#supervisor"),
        ("deepagents", "integrations.html#deepagents"),
        ("mcp", "integrations.html#mcp-adapters"),
        ("copilotkit", "integrations.html#ag-ui-and-copilotkit"),
        ("pointer", "security.html#pointers"),
        ("encryption", "memory.html#security-and-encryption"),
        ("approval", "chat.html#permissions-and-approval"),
    ],
)
def test_a_search_leads_to_the_right_section(index, words, place):
    assert place in [hit["ref"] for hit in index.search(words)[:3]]
