"""How a run stands: what its log says last, and whether a fit holds the lock of its folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pushforward.core.folder_lock import is_locked
from pushforward.fitting.stop_request import StopRequest

__all__ = ["GOING_ON", "SENTENCES", "State", "find_state"]

State: TypeAlias = Literal["running", "stopping", "measuring", "finished", "interrupted", "stopped"]
GOING_ON: tuple[State, ...] = ("running", "stopping", "measuring")
"""States in which a process writes to the folder."""
SENTENCES: Mapping[State, str] = {
    "running": "A process is fitting it now.",
    "stopping": "It was asked to stop, and will after its present step.",
    "measuring": "The fit is over; it is being measured and drawn.",
    "finished": "The fit is over.",
    "interrupted": "It was asked to stop and saved everything; resumed, it goes on to the bit.",
    "stopped": "It ended without finishing: its process was killed or failed.",
}
SILENT = 90.0
"""Seconds without a line in the log after which a fit counts as ended, where there are no locks."""


def find_state(folder: Path, events: Sequence[Mapping[str, Any]], *, ours: bool = False) -> State:
    """How a run stands.

    Args:
        folder: of the run.
        events: of its log.
        ours: whether this process is about to go on with it, or does.
    """
    last = events[-1] if events else {}
    over = last.get("event") == "finished" and last.get("reason") != "interrupted"
    asked = last.get("event") == "finished" and not over
    if ours or _is_written(folder, ended=over or asked):
        if over and not ours:
            return "measuring"
        return "stopping" if StopRequest(folder).pending else "running"
    if asked:
        return "interrupted"
    in_one_go = not events and (folder / "model.safetensors").is_file()
    return "finished" if over or in_one_go else "stopped"


def _is_written(folder: Path, *, ended: bool) -> bool:
    """Whether a fit writes to the folder; judged by its log where there are no locks."""
    held = is_locked(folder)
    if held is not None:
        return held
    log = folder / "log.jsonl"
    return not ended and log.is_file() and time.time() - log.stat().st_mtime < SILENT
