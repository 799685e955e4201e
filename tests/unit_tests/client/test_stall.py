"""How long a turn has brought nothing new."""

from __future__ import annotations

from langchain_mix.client._timeouts import StallDetector


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def detecting() -> tuple[StallDetector, Clock]:
    clock = Clock()
    return StallDetector(660.0, 100.0, clock), clock


def looks(stall: StallDetector, clock: Clock, count: int, seconds: float, news: int = 0) -> list[bool]:
    seen = []
    for _ in range(count):
        clock.now += seconds
        seen.append(stall.is_over(news))
    return seen


def test_time_adds_up_whatever_comes_in_it() -> None:
    for seconds, count in ((45.0, 15), (20.0, 33), (0.5, 1320)):
        stall, clock = detecting()
        assert looks(stall, clock, count, seconds) == [False] * (count - 1) + [True]


def test_what_is_new_begins_it_again() -> None:
    stall, clock = detecting()
    for news in range(5):
        assert True not in looks(stall, clock, 14, 45.0, news)
    assert looks(stall, clock, 2, 45.0, 4) == [False, True]


def test_the_time_left_goes_down_while_nothing_comes() -> None:
    stall, clock = detecting()
    assert stall.left() == 660.0
    clock.now += 60
    assert stall.left() == 600.0
    stall.is_over(1)
    assert stall.left() == 660.0
    looks(stall, clock, 10, 99.0, 1)
    assert stall.left() == 0.0


def test_an_update_that_takes_an_hour_is_no_stall() -> None:
    stall, clock = detecting()
    for _ in range(20):
        stall.pause()
        clock.now += 3600
        stall.resume()
    assert stall.left() == 660.0
    assert looks(stall, clock, 1, 660.0) == [False], "nobody waits for eleven minutes at a time"


def test_a_process_that_was_stopped_for_an_hour_has_not_waited_for_an_hour() -> None:
    stall, clock = detecting()
    assert looks(stall, clock, 6, 3600.0) == [False] * 6
    assert looks(stall, clock, 1, 60.0) == [True]
