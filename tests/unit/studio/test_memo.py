"""Values that are kept until they change."""

from __future__ import annotations

import threading

import pytest

from pushforward.studio.memo import Memo


def test_a_value_is_made_once_per_version() -> None:
    memo, made = Memo[int](2), []

    def make() -> int:
        made.append(None)
        return len(made)

    assert [memo.get("a", 1, make), memo.get("a", 1, make), memo.get("a", 2, make)] == [1, 1, 2]


def test_the_values_used_last_are_kept() -> None:
    memo = Memo[str](2)
    for key in "abab":
        memo.get(key, None, lambda key=key: key)  # type: ignore[misc]
    memo.get("c", None, lambda: "c")
    assert memo.get("b", None, lambda: "made again") == "b"
    assert memo.get("a", None, lambda: "made again") == "made again"


def test_threads_wait_for_the_first() -> None:
    memo, made, begun, go = Memo[int](2), [], threading.Event(), threading.Event()

    def make() -> int:
        made.append(None)
        begun.set()
        assert go.wait(10)
        return 7

    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(memo.get("a", None, make))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    assert memo.get("b", None, lambda: 1) == 1, "other keys do not wait"
    go.set()
    for thread in threads:
        thread.join()
    assert (results, len(made)) == ([7, 7, 7], 1)


def test_what_failed_is_tried_again() -> None:
    memo = Memo[int](2)
    with pytest.raises(ZeroDivisionError):
        memo.get("a", None, lambda: 1 // 0)
    assert memo.get("a", None, lambda: 3) == 3
    memo.clear()
    assert memo.get("a", None, lambda: 4) == 4
