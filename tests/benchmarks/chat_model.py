"""`ChatMix` beside a chat model that does nothing, and beside those of other providers.

Owns: the cost of a chunk. Refuses to know: raw events and latency.

Every server tells the same text in as many pieces, in the words of its own provider and in a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_mix import ChatMix
from langchain_mix.client import Mix
from langchain_mix.protocol.turn.updates import TextDelta
from tests.benchmarks.hosting import hosted
from tests.benchmarks.measure import Cost, Figure, Stopwatch, Work, by_turns
from tests.benchmarks.partners import PARTNERS
from tests.benchmarks.server import MESSAGE_ID, words
from tests.benchmarks.yardsticks import AsyncRawHttpx, RawHttpx

_CHUNKS: Final = 5000
_TEXT: Final = "".join(words(_CHUNKS))
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
            yield from (self._chunk(word) for word in words(_CHUNKS))
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
    with Stopwatch() as watch:
        chunks = list(model.stream("go"))
    return _each(watch, chunks)


async def _astream(model: BaseChatModel) -> Cost:
    with Stopwatch() as watch:
        chunks = [chunk async for chunk in model.astream("go")]
    return _each(watch, chunks)


def _turn(mix: Mix) -> Cost:
    with Stopwatch() as watch, mix.turn(mix.sessions.create(title=f"turn.{_CHUNKS}.0").id, "go") as turn:
        updates = [update for update in turn if isinstance(update, TextDelta)]
    return _each(watch, updates)


def _each(watch: Stopwatch, pieces: Sequence[AIMessageChunk | TextDelta]) -> Cost:
    """The cost of a piece. What lost some, or told several in one, has not done the same work."""
    told = [piece.text for piece in pieces if piece.text]
    if len(told) != _CHUNKS or "".join(told) != _TEXT:
        raise RuntimeError(f"{len(told)} pieces of text came of {_CHUNKS}, or another text.")
    return watch.cost / _CHUNKS


class _Models(NamedTuple):
    """What is measured: the models by name, their asynchronous side included, and what could not be."""

    by_name: dict[str, tuple[BaseChatModel, BaseChatModel]]
    missing: list[Figure]


def _models(url: str, ours: ChatMix, wire: RawHttpx, awire: AsyncRawHttpx, servers: ExitStack) -> _Models:
    models: dict[str, tuple[BaseChatModel, BaseChatModel]] = {
        "ChatMix": (ours, ours),
        "bare model and wire": (BareModel(wire=wire), BareModel(wire=awire)),
    }
    missing = []
    for partner in PARTNERS:
        if not partner.installed:
            note = f"skipped: {partner.package} is not installed, see the extra `benchmarks`"
            missing.append(Figure(f"ChatMix / {partner.model}", None, "x", most=1.0, note=note))
            continue
        model = partner.at(servers.enter_context(hosted("partner_server", partner.wire, str(_CHUNKS))))
        models[partner.model] = (model, model)
    return _Models(models, missing)


def measure(url: str, repetitions: int) -> list[Figure]:
    """Measures the models, by turns. The whole call is measured: `ChatMix` creates its session and reads it at the end.

    Args:
        url: The benchmark server's.
        repetitions: Runs of each.

    Returns:
        The figures.
    """
    ours = ChatMix(server_url=url, api="0.8", title=f"turn.{_CHUNKS}.0")
    wire, awire = RawHttpx(url), AsyncRawHttpx(url)
    with ExitStack() as servers, asyncio.Runner() as runner, Mix(server_url=url, api="0.8") as mix:
        models, missing = _models(url, ours, wire, awire, servers)

        def stream(model: BaseChatModel) -> Work:
            return lambda: _stream(model)

        def astream(model: BaseChatModel) -> Work:
            return lambda: runner.run(_astream(model))

        work: dict[str, Work] = {}
        for name, (model, amodel) in models.items():
            work[f"{name}, stream"] = stream(model)
            work[f"{name}, astream"] = astream(amodel)
        work["mix.turn"] = lambda: _turn(mix)
        work["bare model without a wire, stream"] = stream(BareModel())
        work["bare model without a wire, plain strings, stream"] = stream(BareModel(blocks=False))
        work["bare model and wire, plain strings, stream"] = stream(BareModel(wire=wire, blocks=False))
        costs = by_turns(work, repetitions)
        runner.run(awire.close())
        runner.run(ours.client.aclose())
    wire.close()
    ours.client.close()
    return [*_figures(costs, [name for name in models if name.startswith("Chat")]), *missing]


def _figures(costs: dict[str, Cost], chat_models: list[str]) -> list[Figure]:
    cpu = {name: cost.cpu for name, cost in costs.items()}
    figures = [Figure(n, c.cpu * 1e6, "µs", note=f"wall {c.wall * 1e6:.1f} µs") for n, c in costs.items()]
    for way, most in (("stream", 1.2), ("astream", 1.3)):
        ratio = cpu[f"ChatMix, {way}"] / cpu[f"bare model and wire, {way}"]
        figures.append(Figure(f"ChatMix / bare, {way}", ratio, "x", most=most))
    for name in chat_models[1:]:
        for way in ("stream", "astream"):
            ratio = cpu[f"ChatMix, {way}"] / cpu[f"{name}, {way}"]
            figures.append(Figure(f"ChatMix / {name}, {way}", ratio, "x", most=1.0))
    strings = cpu["ChatMix, stream"] / cpu["bare model and wire, plain strings, stream"]
    return [*figures, Figure("ChatMix / bare, plain strings, stream", strings, "x")]
