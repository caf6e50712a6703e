"""`log.jsonl`: one event per line, appended as it happens.

A checkpoint records the log's length; resuming truncates the log to it, so that the log describes
exactly the fit that led to the weights.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadRun
from pushforward.core.events import Event, Saved
from pushforward.core.folders import parse_json, read_file

__all__ = ["Log", "read_log"]


class Log:
    """The log of a run, open for appending at `position` bytes.

    Args:
        folder: the run folder.
        position: bytes of an existing log to keep.
    """

    def __init__(self, folder: Path, position: int = 0) -> None:
        self._path = folder / "log.jsonl"
        with self._written():
            self._file = self._path.open("ab")
            self._file.truncate(min(position, self._file.seek(0, os.SEEK_END)))
            self._file.seek(0, os.SEEK_END)

    def write(self, event: Event) -> None:
        """Append an event, without the paths of checkpoints."""
        if not isinstance(event, Saved):
            with self._written():
                self._file.write((json.dumps(_replace_nan(event.as_dict())) + "\n").encode())
                self._file.flush()

    @property
    def position(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def sync(self) -> None:
        """Sync the file to disk, before a checkpoint that depends on it."""
        with self._written():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # failed writes were reported when they happened
            self._file.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Context manager: raise BadRun if the disk refuses a write."""
        try:
            yield
        except OSError as error:
            raise BadRun(
                f"cannot write {self._path}: {error.strerror}; free some space or choose another"
                " place"
            ) from error


EVERY = {"event", "samples", "seconds"}
"""What every line tells."""


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The events of a run, ignoring lines that are none, and a partial last line left by a killed
    process.
    """
    path = Path(folder) / "log.jsonl"
    if not path.exists():
        return []
    lines = read_file(path).splitlines()
    events = []
    for i, line in enumerate(lines):
        try:
            event = parse_json(line)
        except ValueError as error:
            if i == len(lines) - 1:
                break
            raise BadRun(f"{path} is damaged in line {i + 1}; restore it from a copy") from error
        if isinstance(event, dict) and event.keys() >= EVERY and isinstance(event["event"], str):
            events.append(event)
    return events


def _replace_nan(content: object) -> object:
    """JSON has no NaN: such numbers become null."""
    if isinstance(content, dict):
        return {k: _replace_nan(v) for k, v in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content
