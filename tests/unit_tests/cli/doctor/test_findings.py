"""Findings, for people and for programs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from langchain_mix.cli.doctor.findings import Finding, as_data, show

FINE = Finding("a", "ok", "Fine.", milliseconds=1.5)
BAD = Finding("b", "problem", "Broken \x1b[2J " + "long " * 30, "Mend it " + "well " * 30 + "at last.")
SKIPPED = Finding("c", "skipped", "No session.")


@pytest.mark.parametrize("terminal", [True, False])
def test_people_see_each_finding_and_how_many_problems(terminal):
    out = io.StringIO()
    show(Console(file=out, width=60, force_terminal=terminal, color_system=None), [FINE, BAD, SKIPPED])
    told = out.getvalue()
    assert "at last." in told
    assert "PROBLEM" in told
    assert "1 problem (1 skipped)." in told
    assert "\x1b[2J" not in told
    show(Console(file=out), [FINE])
    assert "No problem found." in out.getvalue()


def test_programs_get_data():
    data = as_data("http://there", [FINE, SKIPPED])
    assert data["ok"] is True
    assert data["server"] == "http://there"
    assert data["checks"][0] == {"check": "a", "status": "ok", "detail": "Fine.", "hint": "", "milliseconds": 1.5}
    assert as_data("", [FINE, BAD])["ok"] is False
