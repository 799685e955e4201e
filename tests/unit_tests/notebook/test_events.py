"""Interrupts that carry what nobody foresaw."""

from __future__ import annotations

from types import SimpleNamespace

from langchain_mix.notebook.events import read_event, read_interrupts
from langchain_mix.notebook.view import View


def notices(view):
    return [(part.kind, part.text) for section in view.sections.values() for part in section.parts]


def test_interrupts_without_ids_are_all_told():
    view = View()
    read_interrupts(view, (SimpleNamespace(value="a"), SimpleNamespace(value="b")))
    read_interrupts(view, "c")
    assert notices(view) == [("interrupt", "a"), ("interrupt", "b"), ("interrupt", "c")]


def test_an_event_nobody_foresaw():
    view = View()
    read_event(view, "weather", {"event": "weather", "rain": True})
    assert notices(view) == [("weather", '{\n  "rain": true\n}')]
