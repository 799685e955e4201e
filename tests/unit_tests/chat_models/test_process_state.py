"""Memory of a process: bounded, and distinguished by tasks, executions and order."""

from __future__ import annotations

import gc
import sys
from types import SimpleNamespace

import pytest

from langchain_mix.chat_models.process_state import Recent, ReplyCache, SessionClaims


def test_recent_forgets_what_was_used_longest_ago():
    recent = Recent[int](2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(k) for k in "abc"] == [1, None, 3]
    recent.forget("a")
    recent.forget("a")
    assert recent.get("a") is None


def test_a_claim_is_one_calls_alone_until_it_is_released():
    claims = SessionClaims()
    claim = claims.take("s")
    assert claim is not None
    assert claims.take("s") is None
    assert claims.take("other") is not None
    claims.release(claim)
    claims.release(claim)
    claims.release(None)
    assert claims.take("s") is not None


def test_a_shared_claim_is_always_given_and_keeps_others_away():
    claims = SessionClaims()
    first, second = claims.take("s", shared=True), claims.take("s", shared=True)
    claims.release(first)
    assert claims.take("s") is None
    claims.release(second)
    assert claims.take("s") is not None


def test_a_claim_ends_with_its_call():
    claims = SessionClaims()
    claim = claims.take("s")
    assert claim is not None
    del claim
    gc.collect()
    assert claims.take("s") is not None


@pytest.fixture
def task(monkeypatch):
    info = SimpleNamespace(thread_id="t", checkpoint_ns="n:1", task_id="1", node_attempt=1, node_first_attempt_time=1.0)
    runtime = SimpleNamespace(get_runtime=lambda: SimpleNamespace(execution_info=info))
    monkeypatch.setitem(sys.modules, "langgraph.runtime", runtime)
    return info


def test_a_later_execution_gets_the_replies_in_order(task):
    replies = ReplyCache()
    for text in ("a", "b"):
        replies.slot(lambda: "q").keep(text)
    replies.slot(lambda: "other").keep("c")
    task.node_attempt = 2
    assert [replies.slot(lambda: "q").reply for _ in range(3)] == ["a", "b", None]
    assert replies.slot(lambda: "other").reply == "c"
    task.node_attempt, task.node_first_attempt_time = 1, 2.0
    assert replies.slot(lambda: "q").reply == "a"


def test_the_same_execution_gets_none(task):
    replies = ReplyCache()
    replies.slot(lambda: "q").keep("a")
    assert replies.slot(lambda: "q").reply is None


def test_a_call_that_failed_has_no_reply_and_no_place(task):
    """The node caught its error and asked again: the reply is that of its first question, next time."""
    replies = ReplyCache()
    replies.slot(lambda: "q")
    replies.slot(lambda: "q").keep("a")
    task.node_attempt = 2
    assert replies.slot(lambda: "q").reply == "a"


def test_another_task_gets_none(task):
    replies = ReplyCache()
    replies.slot(lambda: "q").keep("a")
    task.task_id = "2"
    assert replies.slot(lambda: "q").reply is None


def test_questions_come_back_with_the_reply_that_needed_them(task):
    replies = ReplyCache()
    first = replies.slot(lambda: "q")
    first.questions[-1].append("mark")
    first.keep("a")
    assert replies.slot(lambda: "other").questions == [["mark"], []]
    task.node_attempt = 2
    again = replies.slot(lambda: "q")
    assert (again.reply, again.number, again.questions) == ("a", 0, [["mark"]])


def test_outside_of_a_task_there_is_no_place():
    assert ReplyCache().slot(lambda: "q") is None
