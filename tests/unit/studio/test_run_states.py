"""How a run stands, from its log and the lock of its folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from pushforward.core.folder_lock import locked
from pushforward.fitting.stop_request import StopRequest
from pushforward.studio import run_states
from pushforward.studio.run_states import GOING_ON, SENTENCES, find_state

PROGRESS = {"event": "progress", "samples": 5}


def finished(reason: str) -> dict[str, Any]:
    return {"event": "finished", "reason": reason}


@pytest.mark.parametrize(
    ("events", "free", "held"),
    [
        ([], "stopped", "running"),
        ([PROGRESS], "stopped", "running"),
        ([PROGRESS, finished("budget")], "finished", "measuring"),
        ([PROGRESS, finished("converged")], "finished", "measuring"),
        ([PROGRESS, finished("interrupted")], "interrupted", "running"),
        ([finished("interrupted"), PROGRESS], "stopped", "running"),
    ],
)
def test_a_state_is_the_last_word_and_the_lock(
    tmp_path: Path, events: list[dict[str, Any]], free: str, held: str
) -> None:
    assert find_state(tmp_path, events) == free
    with locked(tmp_path):
        assert find_state(tmp_path, events) == held
    assert find_state(tmp_path, events) == free, "whatever the log's age"
    assert find_state(tmp_path, events, ours=True) == "running"
    assert {free, held} <= set(SENTENCES)
    assert held in GOING_ON
    assert free not in GOING_ON


def test_a_fit_in_one_go_leaves_no_log_and_is_finished(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    assert find_state(tmp_path, []) == "finished"


def test_a_fit_that_was_asked_to_stop_is_stopping_while_it_goes_on(tmp_path: Path) -> None:
    StopRequest(tmp_path).make()
    assert find_state(tmp_path, [PROGRESS]) == "stopped"
    with locked(tmp_path):
        assert find_state(tmp_path, [PROGRESS]) == "stopping"


def test_without_locks_the_log_s_age_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_states, "is_locked", lambda folder: None)
    log = tmp_path / "log.jsonl"
    log.touch()
    assert find_state(tmp_path, [PROGRESS]) == "running"
    assert find_state(tmp_path, [finished("budget")]) == "finished"
    before = time.time() - run_states.SILENT - 1
    os.utime(log, (before, before))
    assert find_state(tmp_path, [PROGRESS]) == "stopped"
