"""Whatever is lost, late, doubled or new on the stream: text exactly once, one message sent, and an end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import example
from hypothesis import strategies as st

from langchain_mix import errors
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion
from langchain_mix.protocol.models import SendMessageResponse
from langchain_mix.protocol.turn import signals
from langchain_mix.protocol.turn import updates as up
from langchain_mix.protocol.turn.accumulator import SeenMessage, reconcile
from langchain_mix.protocol.turn.stored_rows import StoredRow
from langchain_mix.protocol.turn.updates import ToolCall

PIECES = st.lists(st.text("ab\n ", min_size=1, max_size=3), max_size=5)
REOPENING = ["0.6.5", "0.7", "0.8", "next"]
EVERY = ["0.5", "0.6", *REOPENING]


@dataclass
class Reply:
    """One model call."""

    thinking: list[str]
    text: list[str]
    tools: int


@dataclass
class Moment:
    """An event of the server, and what is stored when it is sent."""

    name: str
    data: dict[str, Any]
    rows: list[Any] = field(default_factory=list)


@dataclass
class Delivery:
    """How the stream brings a turn to the client; positions are taken modulo the length of the turn."""

    lost: set[int]
    beats: set[int]
    cuts: list[tuple[int, int]]
    lags: list[int]
    tail: int
    answer_at: int


REPLIES = st.lists(st.builds(Reply, PIECES, PIECES, st.integers(0, 2)), min_size=1, max_size=4).map(
    lambda rs: [*(replace(r, tools=max(r.tools, 1)) for r in rs[:-1]), replace(rs[-1], tools=0)]
)


def deliveries(*, cuts: int) -> st.SearchStrategy[Delivery]:
    where = st.integers(0, 60)
    return st.builds(
        Delivery,
        lost=st.sets(where, max_size=20),
        beats=st.sets(where, max_size=5),
        cuts=st.lists(st.tuples(where, st.integers(0, 12)), max_size=cuts),
        lags=st.lists(st.integers(0, 12), min_size=1, max_size=4),
        tail=st.integers(0, 4),
        answer_at=st.integers(0, 5),
    )


class Script:
    """A turn as a server of one generation sends and stores it."""

    def __init__(self, api: str, replies: list[Reply], row: Any) -> None:
        self.api, self.able, self._row = api, CAPABILITIES[ApiVersion(api)], row
        self.moments: list[Moment] = []
        self.rows: list[Any] = [row("user", "U", "hi")]
        if self.able.user_message_created:
            self._tell("user_message_created", messageId="U", content="hi")
        for n, reply in enumerate(replies):
            self._reply(n, reply)
        self.text = "".join(t for r in replies for t in r.text)
        self.calls = sum(r.tools for r in replies)
        final = "".join(replies[-1].text)
        self.last_id = f"M{len(replies) - 1}"
        self.final = final
        self._tell("complete", messageId=self.last_id, done=True, **({"content": final} if final else {}))

    def _tell(self, event: str, /, **data: Any) -> None:
        self.moments.append(Moment(event, {"type": event} | data, list(self.rows)))

    def _reply(self, n: int, reply: Reply) -> None:
        message_id = f"M{n}"
        named = {"assistantMessageId": message_id} if self.able.message_ids else {}
        row = self._row("assistant", message_id, finish="")
        self.rows.append(row)
        for piece in reply.thinking:
            row = self._grown(row, thinking=row.thinking + piece)
            self._tell("thinking", content=piece, **named)
        for piece in reply.text:
            row = self._grown(row, text=row.text + piece)
            self._tell("content", content=piece, **named)
        calls = [(f"T{n}{i}", "Bash", '{"a":1}', "") for i in range(reply.tools)]
        for k, (call_id, name, arguments, _) in enumerate(calls):
            self._declare(call_id, name, arguments, calls[:k], named)
        row = self._grown(row, calls=calls, finish="tool_use" if calls else "end_turn")
        if not calls:
            return
        for call_id, *_ in calls:
            self._tell("tool_execution_start", toolName="", progress="Executing Bash tool", toolCallId=call_id)
        for call_id, *_ in reversed(calls):
            self._tell("tool_execution_complete", toolName="", progress="Completed", success=True, toolCallId=call_id)
        self._grown(row, calls=[(i, name, a, f"out {i}") for i, name, a, _ in calls])
        self.rows.append(self._row("tool", f"R{n}"))

    def _declare(self, call_id: str, name: str, arguments: str, before: list[Any], named: dict[str, str]) -> None:
        if self.able.tool_use_events:
            self._tell("tool_use_start", name=name, id=call_id, **named)
            self._tell("tool_use_parameter_delta", toolCallId=call_id, input=arguments, **named)
            self._tell("tool_use_parameter_streaming_complete", name=name, id=call_id, input=arguments, **named)
            return
        self._tell("tool", name=name, input="", id=call_id, status="running", **named)
        for i, n, a in [*((i, n, a) for i, n, a, _ in before), (call_id, name, arguments)] * 2:
            self._tell("tool", name=n, input=a, id=i, status="completed", **named)  # Snapshots come again and again.

    def _grown(self, row: Any, **changes: Any) -> Any:
        grown = replace(row, **changes)
        self.rows = [grown if r.id == row.id else r for r in self.rows]
        return grown

    def delivered(self, tail: int) -> list[Moment]:
        """The moments in the order of the stream: `complete` may overtake the last pieces."""
        *told, end = self.moments
        at = len(told)
        while at and tail and told[at - 1].name in {"content", "thinking"}:
            at, tail = at - 1, tail - 1
        late = [Moment(m.name, m.data, end.rows) for m in told[at:]]
        return [*told[:at], end, *late]


class Network:
    """Brings a script to a bench by a delivery."""

    def __init__(self, bench: Any, script: Script, delivery: Delivery, extra: dict[int, tuple[str, Any]]) -> None:
        self.server, self.delivery, self.script, self.extra = bench(api=script.api), delivery, script, extra
        self.moments = script.delivered(delivery.tail)
        self.at, self._reads, self._now = 0, 0, 0
        normal = self.server.read

        def read(*, export: bool) -> signals.Read:
            # The stream lags behind the store, and what is stored stays stored.
            lag = delivery.lags[self._reads % len(delivery.lags)]
            self._reads += 1
            self._now = max(self._now, min(self.at + lag, len(self.moments) - 1))
            self.server.rows = self.moments[self._now].rows
            return normal(export=export)

        self.server.read = read

    def run(self) -> Any:
        server, delivery, count = self.server, self.delivery, len(self.moments)
        server.connected()
        cuts = {at % count: gap for at, gap in delivery.cuts}
        lost = {p % count for p in delivery.lost}
        while self.at < count and not server.turn.over:
            if self.at == delivery.answer_at:
                server.accepted()
            if self.at in cuts:
                gap = cuts.pop(self.at)
                server.dropped()
                self.at = min(self.at + gap, count - 1)
                server.connected()
                continue
            moment = self.moments[self.at]
            if self.at in self.extra and not server.turn.over:
                server.event(*self.extra[self.at])
            if self.at not in lost and not server.turn.over:
                server.event(moment.name, moment.data)
            if self.at in delivery.beats and not server.turn.over:
                server.heartbeat()
            self.at += 1
        self.at = count - 1
        delivery.lags = [0]
        if self.script.able.send_waits and not self.script.able.stream_write and not server.turn.over:
            body = {"id": self.script.last_id, "role": "user", "userInput": "hi"}
            reply = SendMessageResponse.model_validate(body | {"assistantResponse": self.script.final or None})
            server.step(signals.Answered(reply))
        for _ in range(3):
            if not server.turn.over:
                server.heartbeat()
        return server


def check(server: Any, script: Script) -> None:
    assert len(server.of(signals.Send)) == 1
    assert server.turn.over
    assert server.error is None
    assert server.result.full_text == script.text
    assert server.shown == script.text or server.of(up.TextRestated)
    assert len(server.shown) <= len(script.text), "Text was told twice."
    assert server.result.verified
    called = [u.id for u in server.of(up.ToolCalled)]
    assert len(called) == len(set(called)) == script.calls
    for kind in (up.ToolCallStarted, up.ToolRunning, up.ToolFinished):
        ids = [u.id for u in server.of(kind)]
        assert len(ids) == len(set(ids))
    outputs = [(u.id, u.output) for u in server.of(up.ToolOutput)]
    assert sorted(outputs) == sorted((i, f"out {i}") for i in called if script.able.tool_results)


@pytest.mark.parametrize("api", EVERY)
def test_a_stream_that_brings_everything_tells_everything_as_it_came(
    tried: Any, api: str, bench: Any, row: Any
) -> None:
    @tried(10, replies=REPLIES)
    def _(replies: list[Reply]) -> None:
        script = Script(api, replies, row)
        server = Network(bench, script, Delivery(set(), set(), [], [0], 0, 0), {}).run()
        check(server, script)
        assert not server.of(up.TextRestated)
        told = [(u.text) for u in server.updates if isinstance(u, up.TextDelta)]
        assert told == [t for r in replies for t in r.text]


@pytest.mark.parametrize("api", EVERY)
def test_lost_and_late_events_change_no_text(tried: Any, api: str, bench: Any, row: Any) -> None:
    @tried(25, replies=REPLIES, delivery=deliveries(cuts=0))
    def _(replies: list[Reply], delivery: Delivery) -> None:
        script = Script(api, replies, row)
        check(Network(bench, script, delivery, {}).run(), script)


@pytest.mark.parametrize("api", REOPENING)
def test_a_stream_that_breaks_and_is_reopened_changes_no_text(tried: Any, api: str, bench: Any, row: Any) -> None:
    @tried(25, replies=REPLIES, delivery=deliveries(cuts=3))
    def _(replies: list[Reply], delivery: Delivery) -> None:
        script = Script(api, replies, row)
        check(Network(bench, script, delivery, {}).run(), script)


@pytest.mark.parametrize("api", ["0.5", "0.6"])
def test_a_break_that_cancels_the_turn_says_so_and_keeps_what_is_stored(
    tried: Any, api: str, bench: Any, row: Any
) -> None:
    @tried(15, replies=REPLIES, delivery=deliveries(cuts=0), at=st.integers(0, 60))
    def _(replies: list[Reply], delivery: Delivery, at: int) -> None:
        script = Script(api, replies, row)
        delivery.cuts = [(at, 0)]
        server = Network(bench, script, delivery, {}).run()
        assert server.turn.over
        assert len(server.of(signals.Send)) == 1
        if server.result is None:
            assert isinstance(server.error, errors.MixTurnInterrupted)
            partial = server.error.turn.full_text
            assert partial.startswith(server.shown) or server.of(up.TextRestated)
        else:
            check(server, script)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NOVEL = st.text("xyz_", min_size=1, max_size=8).map("new_".__add__)


EXTRA = st.dictionaries(st.integers(0, 40), st.tuples(NOVEL, st.dictionaries(st.text(max_size=5), JSON, max_size=3)))


@pytest.mark.parametrize("api", EVERY)
def test_unknown_events_and_fields_anywhere_change_nothing(tried: Any, api: str, bench: Any, row: Any) -> None:
    @tried(15, replies=REPLIES, delivery=deliveries(cuts=0), extra=EXTRA, field=st.tuples(NOVEL, JSON))
    def _(replies: list[Reply], delivery: Delivery, extra: dict[int, tuple[str, Any]], field: tuple[str, Any]) -> None:
        plain = Network(bench, Script(api, replies, row), replace(delivery), {}).run()
        script = Script(api, replies, row)
        for moment in script.moments:
            moment.data[field[0]] = field[1]
        novel = Network(bench, script, replace(delivery), extra).run()
        names = {name for name, _ in extra.values()}
        updates = [u for u in novel.updates if not (isinstance(u, up.Progress) and u.kind in names)]
        assert updates == plain.updates
        assert novel.result == plain.result


NOISE = st.sampled_from(
    [
        ("connected", {"sessionId": "S"}),
        ("heartbeat", {"type": "ping"}),
        ("thinking", {"content": "t", "assistantMessageId": "M0"}),
        ("content", {"content": "c"}),
        ("content", {"content": "c", "assistantMessageId": "M0"}),
        ("content", {"content": "c", "assistantMessageId": "F", "parentToolCallId": "T"}),
        ("tool", {"id": "T", "name": "Bash", "status": "running"}),
        ("tool", {"id": "T", "name": "Task", "status": "completed", "input": "{}"}),
        ("tool_parameter_delta", {"toolCallId": "T", "input": '"{"'}),
        ("tool_use_start", {"id": "T", "name": "Bash"}),
        ("tool_use_parameter_streaming_complete", {"id": "T2", "name": "Bash", "input": "{}"}),
        ("tool_execution_start", {"toolCallId": "T"}),
        ("tool_execution_complete", {"toolCallId": "T", "success": True}),
        ("permission", {"id": "P"}),
        ("notification", {"id": "N"}),
        ("user_message_created", {"messageId": "U", "content": "hi"}),
        ("user_message_created", {"messageId": "U2", "content": "other"}),
        ("user_message_created", {"messageId": "U3", "content": "x", "parentToolCallId": "T"}),
        ("complete", {"content": "c", "messageId": "M0"}),
        ("complete", {"content": "f", "messageId": "F"}),
        ("complete", {"content": "f"}),
        ("complete", {"content": "f", "parentToolCallId": "T"}),
        ("error", {"error": "e"}),
        ("error", {"error": "e", "parentToolCallId": "T"}),
        ("rate_limit_error", {"error": "r"}),
        ("summarize", {"progress": "p"}),
        ("session_deleted", {"sessionId": "other"}),
        ("complete", "no json"),
        ("connected", "no json"),
    ]
)
SIGNALS = st.lists(
    NOISE | st.sampled_from(["drop", "accept", "timeout", "refuse", "rows", "expire", "unreadable"]), max_size=25
)


@pytest.mark.parametrize("api", [*EVERY, "auto"])
def test_no_order_of_signals_sends_twice_raises_or_speaks_after_the_end(
    tried: Any, api: str, bench: Any, row: Any
) -> None:
    @tried(25, sequence=SIGNALS)
    def _(sequence: list[Any]) -> None:
        feed(bench(api=api), sequence, row)


def feed(server: Any, sequence: list[Any], row: Any) -> None:
    for signal in sequence:
        match signal:
            case "drop":
                server.dropped()
            case "accept":
                server.accepted()
            case "timeout":
                server.refused(errors.MixTimeoutError("late", acted="unknown"))
            case "refuse":
                server.refused(errors.MixDefaultError("502", acted="unknown"))
            case "rows":
                server.rows = [row("user", "U", "hi"), row("assistant", "M0", "c" * len(server.rows), finish="")]
            case "expire":
                server.step(signals.Expired(1))
            case "unreadable":
                server.unreadable = errors.MixTimeoutError("late")
            case _:
                server.event(*signal)
    sent = len(server.of(signals.Send))
    assert sent <= 1
    assert sent == 1 or not server.of(signals.Ask)
    assert len(server.of(signals.Finish)) + len(server.of(signals.Fail)) == server.turn.over
    if server.turn.over:
        assert server.turn.step(signals.Dropped(errors.MixStreamError("x"))) == ()


SEEN = st.lists(
    st.builds(
        lambda i, t, h: (i, t, h),
        st.sampled_from(["", "A", "B", "C"]),
        st.text("ab ", max_size=4),
        st.text("xy", max_size=3),
    ),
    max_size=4,
    unique_by=lambda m: m[0] or object(),
)
ROWS = st.lists(
    st.tuples(
        st.text("ab ", max_size=4),
        st.text("xy", max_size=3),
        st.lists(st.sampled_from(["T1", "T2", "T3"]), max_size=3),
    ),
    max_size=3,
)


def stored(rows: list[Any]) -> list[StoredRow]:
    return [
        StoredRow(
            name,
            "assistant",
            text,
            thinking,
            [ToolCall(id=c, name="Bash", input="{}", output="o") for c in calls],
            None,
            None,
            "",
        )
        for name, (text, thinking, calls) in zip("ABC", rows, strict=False)
    ]


def test_settling_twice_tells_nothing_new(tried: Any) -> None:
    @tried(80, seen=SEEN, rows=ROWS)
    def _(seen: list[Any], rows: list[Any]) -> None:
        _, once = reconcile([SeenMessage(i, [t], [h]) for i, t, h in seen], stored(rows))
        before = [m.message() for m in once]
        updates, twice = reconcile(once, stored(rows))
        assert [u for u in updates if not isinstance(u, up.ThinkingDelta)] == []
        assert [m.message() for m in twice] == before


def lined_up(seen: list[Any], rows: list[StoredRow]) -> bool:
    """Whether what was shown is the rows' beginning message by message, not just when all of it is put together.

    A server names all messages or none. Where it does, a message that was lost on the way may say the same
    as the one that was shown in its place.
    """
    ids = [i for i, *_ in seen]
    if not any(ids):
        return True
    texts = {i: t for i, t, _ in seen}
    in_order = ids == [r.id for r in rows if r.id in texts]
    return in_order and all(texts.get(r.id, "") == r.text for r in rows[:-1])


def test_settling_keeps_shown_text_that_continues_the_stored_text(tried: Any) -> None:
    @tried(80, seen=SEEN, rows=ROWS)
    @example(seen=[("", "a", ""), ("C", "a", "")], rows=[("a", "", []), ("a", "", []), ("", "", [])])
    @example(seen=[("A", "a", ""), ("C", "a", "")], rows=[("a", "", []), ("a", "", []), ("", "", [])])
    @example(seen=[("A", "a", ""), ("B", "ab", "")], rows=[("a", "", []), ("a", "", [])])
    def _(seen: list[Any], rows: list[Any]) -> None:
        shown = "".join(t for _, t, _ in seen)
        saved = "".join(t for t, *_ in rows)
        updates, merged = reconcile([SeenMessage(i, [t], [h]) for i, t, h in seen], stored(rows))
        detected = "".join("".join(m.text) for m in merged)
        told = shown + "".join(u.text for u in updates if isinstance(u, up.TextDelta))
        if rows and saved.startswith(shown):
            assert told == saved
        if shown.startswith(saved) and lined_up(seen, stored(rows)):
            assert detected == shown
        for row in stored(rows)[:-1]:
            assert row.text in detected
