"""Long work says how far it is, not too often."""

from __future__ import annotations

import time

import pytest

from pushforward.core.counting import count_rows, counted_by, told_every


def test_every_count_is_told_without_a_pause() -> None:
    said: list[str] = []
    with counted_by(told_every(0, said.append)):
        count_rows("read", 1)
        count_rows("filled", 1200, 3000)
    count_rows("read", 2)
    assert said == ["1 rows read", "1,200 of 3,000 rows filled"]


def test_counts_are_told_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    listen = told_every(5, said.append)
    for rows in range(12):
        listen("read", rows, 12)
        now += 1
    assert said == ["5 of 12 rows read", "10 of 12 rows read"]
