"""Checks of this machine."""

from __future__ import annotations

import io
from importlib import metadata
from types import SimpleNamespace

import pytest
from rich.console import Console

from langchain_mix.cli import doctor as environment
from langchain_mix.cli.doctor import Finding, as_data, show
from langchain_mix.errors import MixInputError


def test_what_is_installed_is_what_is_needed():
    findings = environment.check_versions()
    assert {f.status for f in findings} == {"ok"}
    told = " ".join(f.detail for f in findings)
    for name in ("langchain-mix", "Python 3.", f"langchain-core {metadata.version('langchain-core')}", "langgraph"):
        assert name in told


@pytest.mark.parametrize(
    ("installed", "says", "hint"),
    [
        ("0.9", "langgraph 0.9 is not in the range <2,>=1", "pip install"),
        (None, "langgraph is not installed", "pip install"),
    ],
)
def test_a_wrong_or_missing_version_is_a_problem(monkeypatch, installed, says, hint):
    known = metadata.version

    def version(name):
        if name != "langgraph":
            return known(name)
        if installed is None:
            raise metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(environment.metadata, "version", version)
    problems = [f for f in environment.check_versions() if f.status == "problem"]
    assert len(problems) == 1
    assert says in problems[0].detail
    assert hint in problems[0].hint


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_proxy_is_told_without_its_password(no_proxies, monkeypatch, name):
    monkeypatch.setenv(name, "http://me:secret@proxy.example:3128")
    found = environment.check_proxies("http://mix.example:8088")
    assert found.status == "note"
    assert "proxy.example" in found.detail
    assert "secret" not in found.detail + found.hint
    assert "mix.example" in found.hint


def test_a_server_behind_no_proxy(no_proxies, monkeypatch):
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    monkeypatch.setenv("no_proxy", "localhost")
    assert environment.check_proxies("http://localhost:8088").status == "ok"
    assert environment.check_proxies("https://mix.example").status == "ok"


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


def test_what_is_said_is_wrapped_in_its_own_column_and_a_hint_is_shown_once():
    out = io.StringIO()
    worse = Finding("later", "problem", "Broken as well.", BAD.hint)
    show(Console(file=out, width=60, force_terminal=True, color_system=None), [BAD, worse])
    first, *others = out.getvalue().splitlines()[:-2]
    assert first.startswith("PROBLEM  b            Broken")
    assert max(map(len, others)) <= 60
    assert [line[:22].strip() for line in others if line[:22].strip()] == ["PROBLEM  later"]
    assert out.getvalue().count("at last.") == 1


def test_the_hint_of_an_error_is_not_said_twice():
    def fails(**_):
        raise MixInputError("It is broken.", hint="Mend it.")

    mix = SimpleNamespace(files=SimpleNamespace(list_session_files=fails))
    found = environment.check_uploads(mix, "s")
    assert (found.detail, found.hint) == ("Files cannot be listed: It is broken.", "Mend it.")


def test_programs_get_data():
    data = as_data("http://there", [FINE, SKIPPED])
    assert data["ok"] is True
    assert data["server"] == "http://there"
    assert data["checks"][0] == {"check": "a", "status": "ok", "detail": "Fine.", "hint": "", "milliseconds": 1.5}
    assert as_data("", [FINE, BAD])["ok"] is False
