from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from langchain_mix.emulator.activity import Activity, RequestRecord


def test_changes_wake_whoever_waits():
    activity = Activity()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(activity.wait_until, lambda: activity.count("streams") == 1, 5)
        activity.changed("turns", 1)
        activity.changed("streams", 1)
        waiting.result(5)
    activity.changed("streams", -1)
    with pytest.raises(TimeoutError, match="1 turns"):
        activity.wait_until(lambda: activity.count("streams") == 1, 0)


def test_bodies_are_remembered_up_to_a_mebibyte():
    record = RequestRecord("POST", "/", "", {})
    for _ in range(3):
        record.read(b"x" * 500_000)
    assert (record.size, len(record.body)) == (1_500_000, 1 << 20)


def test_records():
    activity = Activity()
    record = RequestRecord("POST", "/x", "", {}, body=b'{"a":1}')
    activity.record(record)
    assert (activity.requests[0].status, activity.requests[0].json) == (0, {"a": 1})
    activity.answered(record, 204)
    assert activity.requests[0].status == 204
    assert "{" not in repr(record).replace("headers={}", "")
    activity.forget_requests()
    assert activity.requests == []
