"""`log.jsonl`: one event a line, appended as it happens.

A checkpoint remembers how far the log had got; resuming cuts what was written after it, so that the
log tells the story of the fit that led to the weights and no other.
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
        position: how much of an existing log to keep.
    """

    def __init__(self, folder: Path, position: int = 0) -> None:
        self._path = folder / "log.jsonl"
        with self._written():
            self._file = self._path.open("ab")
            self._file.truncate(min(position, self._file.seek(0, os.SEEK_END)))
            self._file.seek(0, os.SEEK_END)

    def write(self, event: Event) -> None:
        """Append an event; where a checkpoint was written is not part of the story."""
        if not isinstance(event, Saved):
            with self._written():
                self._file.write((json.dumps(_finite(event.as_dict())) + "\n").encode())
                self._file.flush()

    @property
    def position(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def sync(self) -> None:
        """Make sure of what was written: a checkpoint is about to count on it."""
        with self._written():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # of what could not be written it was said when it was tried
            self._file.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Within: BadRun where the disk does not take it."""
        try:
            yield
        except OSError as error:
            raise BadRun(
                f"cannot write {self._path}: {error.strerror}; free or choose another place"
            ) from error


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The events of a run; a last line that a killed process left half written is not one."""
    path = Path(folder) / "log.jsonl"
    if not path.exists():
        return []
    lines = read_file(path).splitlines()
    found = []
    for i, line in enumerate(lines):
        try:
            event = parse_json(line)
        except ValueError as error:
            if i == len(lines) - 1:
                break
            raise BadRun(f"{path} is damaged in line {i + 1}; restore it from a copy") from error
        if isinstance(event, dict):
            found.append(event)
    return found


def _finite(content: object) -> object:
    """JSON has no NaN: such numbers become null."""
    if isinstance(content, dict):
        return {k: _finite(v) for k, v in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content
