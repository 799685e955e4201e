"""LangGraph's own suite for checkpointers: all eight capabilities, synchronous and asynchronous, on every ground."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from tests.integration_tests.checkpoint.conftest import GENERATIONS, SAVERS

ALL = {"put", "put_writes", "get_tuple", "list", "delete_thread", "delete_for_runs", "copy_thread", "prune"}


def kinds(*usual):
    """All kinds, of which only some run by default: in each mode the store on one generation, and a saver underneath."""
    listed = [
        kind if kind in usual or not isinstance(kind, str) else pytest.param(kind, marks=pytest.mark.exhaustive)
        for kind in (*GENERATIONS, *SAVERS)
    ]
    return pytest.mark.parametrize("kind", listed, indirect=True)


async def passes(factory):
    report = await validate(factory)
    results = {capability: result for capability, result in report.results.items() if result.detected}
    assert set(results) == ALL
    assert {name: result.failures for name, result in results.items() if result.failures} == {}
    assert report.passed_all()
    assert sum(result.tests_passed for result in results.values()) >= 81


@kinds("0.7", "sqlite")
async def test_asynchronous_methods_conform(kind, async_saver):
    @checkpointer_test(name=f"MixSaver {kind}")
    async def factory():
        async with async_saver() as saver:
            yield saver

    await passes(factory)


@kinds("0.8", "memory", "sqlite")
async def test_synchronous_methods_conform(kind, sync_saver, in_threads):
    @checkpointer_test(name=f"MixSaver {kind} sync")
    async def factory():
        with sync_saver() as saver:
            yield in_threads(saver)

    await passes(factory)
