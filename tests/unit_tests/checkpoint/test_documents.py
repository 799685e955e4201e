from __future__ import annotations

from langchain_mix.checkpoint.documents import DocumentCache


def test_what_was_not_used_for_longest_goes_first():
    cache = DocumentCache(30)
    for name in "abc":
        cache.put(name, 10, name.upper())
    assert cache.get("a") == "A"
    cache.put("d", 10, "D")
    assert [cache.get(name) for name in "abcd"] == ["A", None, "C", "D"]


def test_what_is_too_big_is_not_kept_and_costs_no_other_its_place():
    cache = DocumentCache(30)
    cache.put("a", 10, "A")
    cache.put("b", 31, "B")
    assert (cache.get("a"), cache.get("b")) == ("A", None)


def test_putting_again_replaces():
    cache = DocumentCache(30)
    cache.put("a", 30, "old")
    cache.put("a", 20, "new")
    cache.put("b", 10, "B")
    assert (cache.get("a"), cache.get("b")) == ("new", "B")


def test_a_cache_of_nothing_keeps_nothing():
    cache = DocumentCache(0)
    cache.put("a", 1, "A")
    assert cache.get("a") is None
