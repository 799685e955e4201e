"""Traces of `MixAgent` by OpenInference's instrumentation of LangChain."""

from __future__ import annotations

import json

import pytest
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langchain_mix.emulator import say, turn

pytestmark = pytest.mark.ecosystem


@pytest.fixture
def spans():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    LangChainInstrumentor().instrument(tracer_provider=provider)
    yield exporter.get_finished_spans
    LangChainInstrumentor().uninstrument()
    provider.shutdown()


async def test_openinference_sees_the_turn_and_its_tools(cast, go, spans):
    """OpenInference exports the turn as an LLM span with messages and tokens, and the server's tool as a span below it."""
    server = cast.serve(turn([cast.read("a.md")], say("Done.")))
    await go(cast.agent(server), {"messages": "Go"})
    by_kind = {span.attributes["openinference.span.kind"]: span for span in spans()}
    model, tool = by_kind["LLM"], by_kind["TOOL"]
    assert model.attributes["llm.input_messages.0.message.content"] == "Go"
    assert "Done." in json.dumps({k: str(v) for k, v in model.attributes.items() if k.startswith("llm.output")})
    assert model.attributes["llm.model_name"]
    assert tool.name == "ReadText"
    assert tool.attributes["output.value"]
    assert tool.context.trace_id == model.context.trace_id
    assert model.status.is_ok
