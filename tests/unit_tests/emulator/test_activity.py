from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from langchain_mix.emulator.activity import MAX_BODIES, MAX_HEADS, MAX_REQUESTS, Activity, RequestRecord


def test_changes_wake_waiters():
    activity = Activity()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(activity.wait_until, lambda: activity.count("streams") == 1, 5)
        activity.changed("turns", 1)
        activity.changed("streams", 1)
        waiting.result(5)
    activity.changed("streams", -1)
    with pytest.raises(TimeoutError, match="1 turns"):
        activity.wait_until(lambda: activity.count("streams") == 1, 0)


def taken(activity: Activity, path: str = "/", *chunks: bytes, **headers: str) -> RequestRecord:
    record = RequestRecord("POST", path, "", headers)
    activity.record(record)
    for chunk in chunks:
        activity.received(record, chunk)
    return record


def test_bodies_are_remembered_up_to_a_mebibyte():
    record = taken(Activity(), "/", *[b"x" * 500_000] * 3)
    assert (record.size, len(record.body)) == (1_500_000, 1 << 20)


def test_all_bodies_together_are_bounded_and_the_newest_stay():
    activity = Activity()
    records = [taken(activity, "/", b"%d" % n + b"x" * (1 << 20)) for n in range(300)]
    kept = [record for record in records if record.body]
    assert kept == records[-len(kept) :]
    assert 0 < sum(len(record.body) for record in records) <= MAX_BODIES
    assert {record.size for record in records[:10]} == {(1 << 20) + 1}
    assert activity.requests == records


def test_a_body_whose_beginning_is_forgotten_is_not_continued():
    activity = Activity()
    slow = taken(activity, "/", b"beginning")
    for _ in range(MAX_BODIES >> 20):
        taken(activity, "/", b"x" * (1 << 20))
    activity.received(slow, b"end")
    assert (slow.body, slow.size) == (b"", 12)


def test_the_number_of_requests_and_the_size_of_their_heads_are_bounded():
    activity = Activity()
    for number in range(MAX_REQUESTS + 10):
        taken(activity, f"/{number}", b"x")
    assert len(activity.requests) == MAX_REQUESTS
    assert [activity.requests[0].path, activity.requests[-1].path] == ["/10", f"/{MAX_REQUESTS + 9}"]
    for _ in range(1000):
        taken(activity, cookie="c" * 60_000)
    assert sum(record.head_size for record in activity.requests) <= MAX_HEADS


def test_forgotten_requests_make_room():
    activity = Activity()
    for _ in range(3):
        for _ in range(MAX_BODIES >> 20):
            taken(activity, "/", b"x" * (1 << 20))
        assert all(record.body for record in activity.requests)
        activity.forget_requests()


@pytest.mark.parametrize("path", ["/api/auth/api-key", "/api/auth/oauth-callback", "//api/auth/api-key"])
def test_credentials_are_not_remembered(path):
    record = taken(Activity(), path, b'{"api_key":"k"}', authorization="Bearer k")
    assert (record.body, record.size) == (b"", 15)
    assert "Bearer" not in repr(record)


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
