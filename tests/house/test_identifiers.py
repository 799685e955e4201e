"""Identifiers of tests are the same in every process: workers that differ in them run nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}|(\\x[0-9a-f]{2}){4}")


def identifiers(seed: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider"]
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ran = subprocess.run(
        command, cwd=ROOT, env={**outer, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return [line for line in ran.stdout.splitlines() if "::" in line]


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_they_depend_on_no_hash_and_no_time_and_show_no_address():
    first, second = identifiers("1"), identifiers("2")
    assert len(first) > 10_000
    assert first == second
    assert [name for name in first if ADDRESS.search(name)] == []


def test_binary_parameters_are_named_by_their_number(pytester):
    pytester.makeconftest("from tests.conftest import pytest_make_parametrize_id")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile("""
        import gzip
        import pytest

        @pytest.mark.parametrize("data", [gzip.compress(b"x"), b"\\x00", b"plain"])
        def test_it(data):
            pass
    """)
    listed = pytester.runpytest_inprocess("--collect-only", "-q")
    listed.stdout.fnmatch_lines(["*test_it[[]data0]", "*test_it[[]data1]", "*test_it[[]plain]"])
