"""A live display: one output, few updates, the last state always."""

from __future__ import annotations

import subprocess
import threading
import time

import pytest

from langchain_mix.client.updates import TextDelta
from langchain_mix.notebook.html import Look
from langchain_mix.notebook.live_renderer import Cell, LiveRenderer, Throttle, in_notebook
from tests.new_process import python


def test_one_output_and_the_last_state_always(notebook):
    painter = LiveRenderer(Look())
    began = time.monotonic()
    painter.start()
    for number in range(2000):
        painter.put(TextDelta("m", f" w{number}"))
    painter.finish("done")
    took = time.monotonic() - began
    assert len(notebook.ids) == 1
    assert notebook.updates[0] is False
    assert all(notebook.updates[1:])
    # One when it starts, one when it ends, ten in a second in between.
    assert len(notebook.shown) <= took * 10 + 2
    assert "w0 w1 w2" in notebook.html
    assert "w1999" in notebook.html
    assert "✓ done" in notebook.html
    assert "w1999" in notebook.text


def shown_when(notebook, condition):
    """Waits for a state of the display without asking again and again."""
    reached = threading.Event()
    record = notebook.shown

    class Watched(list):
        def append(self, state):
            super().append(state)
            if condition(state[0]):
                reached.set()

    notebook.shown = Watched(record)
    return reached


def test_what_came_last_is_drawn_though_nothing_follows(notebook):
    reached = shown_when(notebook, lambda html: "second" in html)
    painter = LiveRenderer(Look(), interval=0.05, idle=60.0)
    painter.start()
    painter.put(TextDelta("m", "first "))
    painter.put(TextDelta("m", "second"))
    assert reached.wait(10)
    assert "running" in notebook.html
    painter.finish("done")


def test_time_is_drawn_though_nothing_comes(notebook):
    drawn = []
    reached = shown_when(notebook, lambda html: drawn.append(html) or len(drawn) > 2)
    painter = LiveRenderer(Look(), interval=0.01, idle=0.02)
    painter.start()
    assert reached.wait(10)
    painter.finish("done")


def test_the_interval_is_kept(notebook):
    """With an hour between drawings there are the first and the last one."""
    painter = LiveRenderer(Look(), interval=3600.0, idle=3600.0)
    painter.start()
    for _ in range(10):
        painter.put(TextDelta("m", "a"))
    painter.finish("done")
    assert len(notebook.shown) == 2
    assert "a" * 10 in notebook.html


def test_the_clock_is_the_one_that_is_given(notebook):
    times = iter([100.0, *[104.5] * 1000])
    painter = LiveRenderer(Look(), interval=3600.0, idle=3600.0, clock=lambda: next(times))
    painter.start()
    painter.finish("done")
    assert "4.5 s" in notebook.html


def test_who_reads_the_stream_never_waits_for_a_drawing(notebook, monkeypatch):
    door = threading.Event()
    drawing = threading.Event()
    painter = LiveRenderer(Look(), interval=0.001, idle=0.001)
    painter.start()

    def slow(html, text):
        drawing.set()
        door.wait(10)

    monkeypatch.setattr(painter._cell, "publish", slow)
    painter.put(TextDelta("m", "a"))
    assert drawing.wait(10)
    for _ in range(100):
        painter.put(TextDelta("m", "a"))
    assert not door.is_set()
    door.set()
    painter.finish("done")
    assert painter.view.sections["turn"].parts[0].text == "a" * 101


def test_what_cannot_be_drawn_is_raised_in_the_end(notebook, monkeypatch):
    painter = LiveRenderer(Look(), interval=0.001)
    painter.start()

    def broken(html, text):
        monkeypatch.undo()  # It fails once; the end could be drawn.
        raise OSError("no pipe")

    monkeypatch.setattr(painter._cell, "publish", broken)
    painter.put(TextDelta("m", "a"))
    painter._thread.join(10)
    painter.put(TextDelta("m", "b"))
    with pytest.raises(OSError, match="no pipe"):
        painter.finish("done")


def test_a_second_interrupt_leaves_the_last_state(notebook, monkeypatch):
    """Who loses patience while the display ends sees how it ended, all the same."""
    painter = LiveRenderer(Look())
    painter.start()
    painter.put(TextDelta("m", "a"))
    with monkeypatch.context() as patch:

        def interrupted():
            raise KeyboardInterrupt

        patch.setattr(painter._thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            painter.finish("stopped")
    painter._thread.join(10)
    assert "stopped" in notebook.html
    assert "<p>a</p>" in notebook.html


def test_an_interrupt_at_the_start_leaves_a_last_state(notebook, monkeypatch):
    painter = LiveRenderer(Look())
    with monkeypatch.context() as patch:

        def interrupted(html, text):
            raise KeyboardInterrupt

        patch.setattr(painter._cell, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            painter.start()
    painter.finish("stopped")
    assert "stopped" in notebook.html


def test_the_look_is_kept(notebook):
    from langchain_mix.client.updates import ThinkingDelta

    painter = LiveRenderer(Look(thinking="hidden"))
    painter.start()
    painter.put(ThinkingDelta("m", "secret"))
    painter.finish("done")
    assert "secret" not in notebook.html


def test_a_display_can_be_drawn_again_after_its_end(notebook):
    painter = LiveRenderer(Look())
    painter.start()
    painter.finish("done")
    painter.view.notice("late", "news")
    painter.refresh()
    assert "news" in notebook.html
    assert len(notebook.ids) == 1


def test_the_first_drawing_is_due_at_once():
    assert Throttle(0.1, 1.0).wait(5.0, news=True) == 0.0


def test_news_are_drawn_after_the_interval():
    pace = Throttle(0.1, 1.0)
    pace.drawn(5.0, 5.0)
    assert round(pace.wait(5.04, news=True), 3) == 0.06
    assert pace.wait(5.1, news=True) < 1e-9
    assert pace.wait(7.0, news=True) == 0.0


def test_time_alone_is_drawn_seldom():
    pace = Throttle(0.1, 1.0)
    pace.drawn(5.0, 5.0)
    assert round(pace.wait(5.4, news=False), 3) == 0.6


def test_slow_drawings_come_less_often():
    pace = Throttle(0.1, 1.0)
    pace.drawn(5.0, 5.5)
    assert round(pace.wait(5.5, news=True), 3) == 2.0
    assert round(pace.wait(5.5, news=False), 3) == 2.0


def test_large_drawings_come_less_often():
    """Jupyter's server drops what a kernel sends beyond 1 MB in a second, over three seconds."""
    pace, now, sent = Throttle(0.1, 1.0), 0.0, 0
    while now < 3.0:
        now += pace.wait(now, news=True)
        pace.drawn(now, now, size=400_000)
        sent += 400_000
    assert sent <= 1_200_000
    pace.drawn(5.0, 5.0, size=10_000)
    assert round(pace.wait(5.0, news=True), 3) == 0.1


def test_never_more_than_ten_in_a_second():
    pace, now, drawn = Throttle(0.1, 1.0), 0.0, 0
    while now < 10.0:
        now += pace.wait(now, news=True)
        drawn += 1
        pace.drawn(now, now)
        now += 0.001
    assert 90 <= drawn <= 101


def test_a_shell_that_is_no_terminal_is_a_notebook(notebook):
    assert in_notebook()


def test_a_terminal_is_none(notebook, monkeypatch):
    import IPython

    class TerminalInteractiveShell:
        pass

    class Mine(TerminalInteractiveShell):
        pass

    monkeypatch.setattr(IPython, "get_ipython", Mine)
    assert not in_notebook()


def test_python_alone_is_none():
    code = "from langchain_mix.notebook.live_renderer import in_notebook; import sys; print(in_notebook(), 'IPython' in sys.modules)"
    ran = subprocess.run(python(code), capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_states_replace_each_other(notebook):
    cell = Cell("id")
    cell.publish("<p>1</p>", "1")
    cell.publish("<p>2</p>", "2")
    assert notebook.shown == [("<p>1</p>", "1", "id", False), ("<p>2</p>", "2", "id", True)]
