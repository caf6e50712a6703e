"""Requests to stop that are left in a run folder: an empty file `stop`, which the fit looks for.

Whoever may write to the folder may ask, from any process, terminal (`touch runs/x/stop`) or machine
that shares the disk. The fit then ends as after Ctrl-C, with everything saved, and removes the
file. Requests from before it began are not for it, and are removed as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pushforward.core.folders import write_atomically

__all__ = ["StopRequest"]

EVERY = 0.5
"""Seconds between looks: nobody notices, and a step of microseconds is not slowed."""


class StopRequest:
    """The request in one run folder.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._looked, self._seen = folder / "stop", -EVERY, False

    def make(self) -> None:
        """Ask the fit that writes to the folder to stop.

        Raises:
            BadRun: If the folder cannot be written to.
        """
        write_atomically(self._path)

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Context manager, of the fit: earlier requests are removed, and one that came at the end.

        Only who holds the folder's lock may enter it.
        """
        self._path.unlink(missing_ok=True)
        try:
            yield
        finally:
            self._path.unlink(missing_ok=True)

    @property
    def pending(self) -> bool:
        """Whether there is a request."""
        return self._path.exists()

    @property
    def noticed(self) -> bool:
        """The same, as of the last look; the fit asks this at every step."""
        now = time.monotonic()
        if not self._seen and now - self._looked >= EVERY:
            self._looked, self._seen = now, self.pending
        return self._seen
