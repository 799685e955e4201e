"""LangGraph's own suite for checkpointers: all eight capabilities, synchronous and asynchronous, on every ground."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from tests.integration_tests.checkpoint.conftest import KINDS

ALL = {"put", "put_writes", "get_tuple", "list", "delete_thread", "delete_for_runs", "copy_thread", "prune"}


def kinds(*exhaustive):
    """All kinds; of the generations, each runs in one of the two modes by default."""
    listed = [pytest.param(kind, marks=pytest.mark.exhaustive) if kind in exhaustive else kind for kind in KINDS]
    return pytest.mark.parametrize("kind", listed, indirect=True)


async def passes(factory):
    report = await validate(factory)
    results = {capability: result for capability, result in report.results.items() if result.detected}
    assert set(results) == ALL
    assert {name: result.failures for name, result in results.items() if result.failures} == {}
    assert report.passed_all()
    assert sum(result.tests_passed for result in results.values()) >= 81


@kinds("0.7")
async def test_asynchronous_methods_conform(kind, async_saver):
    @checkpointer_test(name=f"MixSaver {kind}")
    async def factory():
        async with async_saver() as saver:
            yield saver

    await passes(factory)


@kinds("0.5", "0.8")
async def test_synchronous_methods_conform(kind, sync_saver, in_threads):
    @checkpointer_test(name=f"MixSaver {kind} sync")
    async def factory():
        with sync_saver() as saver:
            yield in_threads(saver)

    await passes(factory)
