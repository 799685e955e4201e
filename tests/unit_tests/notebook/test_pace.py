"""When a display is drawn again, by numbers alone."""

from __future__ import annotations

from langchain_mix.notebook.pace import Pace


def test_the_first_drawing_is_due_at_once():
    assert Pace(0.1, 1.0).wait(5.0, news=True) == 0.0


def test_news_are_drawn_after_the_interval():
    pace = Pace(0.1, 1.0)
    pace.drawn(5.0, 5.0)
    assert round(pace.wait(5.04, news=True), 3) == 0.06
    assert pace.wait(5.1, news=True) < 1e-9
    assert pace.wait(7.0, news=True) == 0.0


def test_time_alone_is_drawn_seldom():
    pace = Pace(0.1, 1.0)
    pace.drawn(5.0, 5.0)
    assert round(pace.wait(5.4, news=False), 3) == 0.6


def test_slow_drawings_come_less_often():
    pace = Pace(0.1, 1.0)
    pace.drawn(5.0, 5.5)
    assert round(pace.wait(5.5, news=True), 3) == 2.0
    assert round(pace.wait(5.5, news=False), 3) == 2.0


def test_never_more_than_ten_in_a_second():
    pace, now, drawn = Pace(0.1, 1.0), 0.0, 0
    while now < 10.0:
        now += pace.wait(now, news=True)
        drawn += 1
        pace.drawn(now, now)
        now += 0.001
    assert 90 <= drawn <= 101
