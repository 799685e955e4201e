"""LangGraph's own suite for checkpointers: all eight capabilities, synchronous and asynchronous, on every ground."""

from __future__ import annotations

from langgraph.checkpoint.conformance import checkpointer_test, validate

ALL = {"put", "put_writes", "get_tuple", "list", "delete_thread", "delete_for_runs", "copy_thread", "prune"}


async def passes(factory):
    report = await validate(factory)
    results = {capability: result for capability, result in report.results.items() if result.detected}
    assert set(results) == ALL
    assert {name: result.failures for name, result in results.items() if result.failures} == {}
    assert report.passed_all()
    assert sum(result.tests_passed for result in results.values()) >= 81


async def test_asynchronous_methods_conform(kind, async_saver):
    @checkpointer_test(name=f"MixSaver {kind}")
    async def factory():
        async with async_saver() as saver:
            yield saver

    await passes(factory)


async def test_synchronous_methods_conform(kind, sync_saver, in_threads):
    @checkpointer_test(name=f"MixSaver {kind} sync")
    async def factory():
        with sync_saver() as saver:
            yield in_threads(saver)

    await passes(factory)
