"""How long a turn has told nothing."""

from __future__ import annotations

from langchain_mix.client._silence import Silence
from langchain_mix.protocol.event_reader import parse_event
from langchain_mix.protocol.sse import ServerSentEvent


class Clock:
    """A clock that stands still until it is moved, and counts who looks at it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now


def event(name: str, data: str = "{}"):
    return parse_event(ServerSentEvent(name, data, "", None))


HEARTBEAT = event("heartbeat", '{"type":"ping"}')
CONNECTED = event("connected", '{"sessionId":"S"}')
CONTENT = event("content", '{"type":"content","content":"x"}')
PARAMETERS = event("tool_parameter_delta", '{"type":"tool_parameter_delta","input":"x"}')
SESSIONS = [event(name, '{"sessionId":"T"}') for name in ("session_created", "session_deleted")]


def listening() -> tuple[Silence, Clock]:
    clock = Clock()
    return Silence(660.0, 100.0, clock), clock


def beats(silence: Silence, clock: Clock, count: int, seconds: float = 45.0) -> list[bool]:
    heard = []
    for _ in range(count):
        clock.now += seconds
        heard.append(silence.is_too_long(HEARTBEAT))
    return heard


def test_nothing_but_heartbeats() -> None:
    silence, clock = listening()
    assert beats(silence, clock, 16) == [False] * 15 + [True], "the first heartbeat begins it, 15 more are 675 seconds"


def test_any_event_of_a_turn_is_a_sign_of_life() -> None:
    for sign in (CONTENT, PARAMETERS, event("permission"), event("news from the future"), event("content", "garbage")):
        silence, clock = listening()
        assert True not in beats(silence, clock, 15)
        assert not silence.is_too_long(sign)
        assert beats(silence, clock, 16) == [False] * 15 + [True]


def test_a_new_stream_and_other_sessions_are_none() -> None:
    silence, clock = listening()
    assert True not in beats(silence, clock, 13)
    for sign in (CONNECTED, *SESSIONS):
        assert not silence.is_too_long(sign)
    assert beats(silence, clock, 3) == [False, False, True], "Mix cuts every stream after ten minutes"


def test_a_pause_of_the_reader_is_no_silence() -> None:
    silence, clock = listening()
    beats(silence, clock, 1)
    clock.now += 3600
    assert beats(silence, clock, 50, seconds=0) == [False] * 50


def test_the_clock_is_looked_at_for_heartbeats_only() -> None:
    silence, clock = listening()
    for _ in range(1000):
        silence.is_too_long(CONTENT)
    assert clock.looks == 0
