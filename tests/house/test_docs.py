"""The documentation is true: its snippets run as printed, its site builds, the tests it names exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from langchain_mix import MixEmulator
from tests.house.samples import matches, samples, surroundings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "pages").rglob("*.md"))
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


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_prints_twice_in_a_row_what_the_page_shows(sample):
    assert sample.output is not None, "python -m tests.house.samples"
    with surroundings() as server:
        for _ in range(2):
            printed = sample.run(server)
            assert matches(printed, sample.output), printed


@pytest.mark.parametrize("lines", CONSOLE)
def test_the_commands_of_a_page_run_one_after_another(lines, tmp_path):
    commands = Path(sys.executable).parent
    with MixEmulator(api="0.8") as server:
        environment = {
            "PATH": f"{commands}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "MIX_SERVER_URL": server.url,
            "TERM": "dumb",
        }
        for line in lines:
            ran = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"


@pytest.mark.parametrize("name", NAMED_TESTS)
def test_a_test_that_is_named_exists(name):
    path, _, function = name.partition("::")
    assert re.search(rf"^(async )?def {function}\(" if function else "", (ROOT / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", SECURITY, ids=["page", "policy"])
def test_what_is_promised_of_security_names_its_test(page):
    promises = re.split(r"\n(?=- \*\*)|\n\n", page.read_text())
    unproven = [p for p in promises if p.startswith("- **") and "`tests/" not in p]
    assert [p for p in unproven if not re.search(r"is not sandboxed here|are not secrets here", p)] == []


def test_there_are_samples_and_named_tests():
    assert len(SAMPLES) >= 30
    assert len(NAMED_TESTS) >= 10


def test_the_site_builds(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--config-file", "docs/mkdocs.yml"]
    ran = subprocess.run([*command, "--site-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "No silent hang" in (tmp_path / "index.html").read_text()
    # Every page of the reference has something to say.
    for page in (tmp_path / "reference").glob("*.html"):
        assert 'class="doc doc-object' in page.read_text(), page.name
