"""`ChatMix` beside a chat model that does nothing.

Owns: the cost of a chunk. Refuses to know: raw events and latency.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_mix import ChatMix
from langchain_mix.client import Mix
from tests.benchmarks.measure import Cost, Figure, Stopwatch, by_turns
from tests.benchmarks.server import MESSAGE_ID
from tests.benchmarks.yardsticks import AsyncRawHttpx, RawHttpx

_CHUNKS: Final = 5000
_METADATA: Final = {"output_version": "v1", "model_provider": "mix"}


class BareModel(BaseChatModel):
    """A chat model on the bare wire: httpx, a split and `json.loads`, then the chunks that `ChatMix` makes.

    With `wire=None` it makes them from nothing, with `blocks=False` of plain strings.
    """

    wire: Any = None
    blocks: bool = True

    @property
    def _llm_type(self) -> str:
        return "bare"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("This model is only streamed.")

    def _chunk(self, text: str) -> ChatGenerationChunk:
        if not self.blocks:
            return ChatGenerationChunk(message=AIMessageChunk(content=text, id=MESSAGE_ID))
        block = {"type": "text", "text": text, "index": 0}
        return ChatGenerationChunk(message=AIMessageChunk(content=[block], id=MESSAGE_ID, response_metadata=_METADATA))

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        if self.wire is None:
            yield from (self._chunk("Hello ") for _ in range(_CHUNKS))
            return
        with self.wire.events(f"alone.{_CHUNKS}.0") as events:
            for event in events:
                if "content" in event:
                    yield self._chunk(event["content"])

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with self.wire.events(f"alone.{_CHUNKS}.0") as events:
            async for event in events:
                if "content" in event:
                    yield self._chunk(event["content"])


def _stream(model: BaseChatModel) -> Cost:
    seen = 0
    with Stopwatch() as watch:
        for _ in model.stream("go"):
            seen += 1
    return _each(watch, seen)


async def _astream(model: BaseChatModel) -> Cost:
    seen = 0
    with Stopwatch() as watch:
        async for _ in model.astream("go"):
            seen += 1
    return _each(watch, seen)


def _turn(mix: Mix) -> Cost:
    seen = 0
    with Stopwatch() as watch, mix.turn(mix.sessions.create(title=f"turn.{_CHUNKS}.0").id, "go") as turn:
        for _ in turn:
            seen += 1
    return _each(watch, seen)


def _each(watch: Stopwatch, seen: int) -> Cost:
    if seen < _CHUNKS:
        raise RuntimeError(f"{seen} pieces came of {_CHUNKS}.")
    return watch.cost / _CHUNKS


def measure(url: str, repetitions: int) -> list[Figure]:
    """Measures the models, by turns. The whole call is measured: `ChatMix` creates its session and reads it at the end.

    Args:
        url: The benchmark server's.
        repetitions: Runs of each.

    Returns:
        The figures.
    """
    model = ChatMix(server_url=url, api="0.8", title=f"turn.{_CHUNKS}.0")
    wire, awire = RawHttpx(url), AsyncRawHttpx(url)
    bare, abare = BareModel(wire=wire), BareModel(wire=awire)
    with asyncio.Runner() as runner, Mix(server_url=url, api="0.8") as mix:
        costs = by_turns(
            {
                "ChatMix.stream": lambda: _stream(model),
                "bare model and wire": lambda: _stream(bare),
                "ChatMix.astream": lambda: runner.run(_astream(model)),
                "bare model and wire, async": lambda: runner.run(_astream(abare)),
                "mix.turn": lambda: _turn(mix),
                "bare model without a wire": lambda: _stream(BareModel()),
                "bare model without a wire, plain strings": lambda: _stream(BareModel(blocks=False)),
                "bare model and wire, plain strings": lambda: _stream(BareModel(wire=wire, blocks=False)),
            },
            repetitions,
        )
        runner.run(awire.close())
        runner.run(model.client.aclose())
    wire.close()
    model.client.close()
    cpu = {name: cost.cpu for name, cost in costs.items()}
    strings = cpu["ChatMix.stream"] / cpu["bare model and wire, plain strings"]
    return [
        *(Figure(n, c.cpu * 1e6, "µs", note=f"wall {c.wall * 1e6:.1f} µs") for n, c in costs.items()),
        Figure("ChatMix.stream / bare", cpu["ChatMix.stream"] / cpu["bare model and wire"], "x", most=1.3),
        Figure("ChatMix.astream / bare", cpu["ChatMix.astream"] / cpu["bare model and wire, async"], "x", most=1.4),
        Figure("ChatMix.stream / bare, plain strings", strings, "x"),
    ]
