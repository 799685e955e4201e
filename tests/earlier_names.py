"""Writes checkpoints under the names that versions before 0.2 of this package used, which agents see."""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

from langchain_mix.checkpoint import encoding, names
from langchain_mix.checkpoint.reader import StateReader
from langchain_mix.checkpoint.writer import Writer


def _nothing(*_, **__):
    return None
    yield


@contextmanager
def as_an_earlier_version():
    """Has everything inside know visible names only, as those versions did."""
    key_of = names.key_of
    with (
        mock.patch.object(names, "key_of", lambda thread_id: names.visible(key_of(thread_id))),
        mock.patch.object(StateReader, "visible_manifest", _nothing),
        mock.patch.object(Writer, "_close_visible", _nothing),
        mock.patch.object(encoding, "reopened", lambda name, data: data),
    ):
        yield


def steps_of_an_earlier_version(steps):
    """Runs a procedure as those versions did, whatever others do between its requests."""
    given, thrown = None, None
    while True:
        try:
            with as_an_earlier_version():
                asked = steps.send(given) if thrown is None else steps.throw(thrown)
        except StopIteration as stop:
            return stop.value
        try:
            given, thrown = (yield asked), None
        except Exception as problem:
            thrown = problem
