"""The lock of a run folder: one fit writes to it at a time.

The kernel holds it (`flock` on the folder itself), so that it goes with the process, however that
ends, and leaves no file behind. Where there is no `flock`, as on Windows and some network disks,
the threads of one process exclude each other, but processes do not.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pushforward.core.errors import BadRun

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["FolderLock", "is_locked", "locked"]

HELD_ELSEWHERE = (errno.EWOULDBLOCK, errno.EACCES)
"""Errors of `flock` if another process holds the lock; with any other there are no locks here."""
ATTEMPTS, APART = 5, 0.02
"""How often a lock is tried, and the seconds between: `is_locked` holds it for an instant."""


class FolderLock:
    """The locks of one writer, the thread that made it."""

    def __init__(self) -> None:
        self.thread, self.depth = threading.get_ident(), 0
        self._handles: dict[tuple[int, int], int] = {}

    def take(self, folder: str | os.PathLike[str], name: str | os.PathLike[str]) -> None:
        """Lock an existing folder until the writer is done.

        Args:
            folder: to lock; a rename does not unlock it.
            name: of the run, for the error.

        Raises:
            BadRun: If another process holds it.
        """
        if fcntl is None:
            return
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError:
            return  # missing or unreadable: writing to it fails with an error of its own
        status = os.fstat(handle)
        if (status.st_dev, status.st_ino) in self._handles:
            os.close(handle)
            return
        try:
            _take(handle)
        except OSError as error:
            os.close(handle)
            if error.errno in HELD_ELSEWHERE:
                raise _busy(name) from error
            return
        self._handles[status.st_dev, status.st_ino] = handle

    def release(self) -> None:
        """Unlock everything."""
        for handle in self._handles.values():
            fcntl.flock(handle, fcntl.LOCK_UN)  # for processes forked meanwhile, too
            os.close(handle)
        self._handles.clear()


_GUARD = threading.Lock()
_WRITERS: dict[str, FolderLock] = {}
"""The locks of this process, by the real path of the folder."""


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[FolderLock]:
    """Within: only this thread writes to a run folder, which need not exist yet.

    May be nested. Who creates the folder takes its lock before it appears.

    Raises:
        BadRun: If another fit writes to it.
    """
    name = os.path.realpath(folder)
    with _GUARD:
        lock = _WRITERS.setdefault(name, FolderLock())
        if lock.thread != threading.get_ident():
            raise _busy(folder)
        lock.depth += 1
    try:
        lock.take(name, folder)
        yield lock
    finally:
        with _GUARD:
            lock.depth -= 1
            if not lock.depth:
                del _WRITERS[name]
                lock.release()


def is_locked(folder: str | os.PathLike[str]) -> bool | None:
    """Whether a fit writes to a run folder, in this process or another; None if nobody can tell."""
    with _GUARD:
        if os.path.realpath(folder) in _WRITERS:
            return True
    if fcntl is None:
        return None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not meet
        fcntl.flock(handle, fcntl.LOCK_UN)
        return False
    except OSError as error:
        return True if error.errno in HELD_ELSEWHERE else None
    finally:
        os.close(handle)


def _take(handle: int) -> None:
    """Lock an open folder, though somebody may be looking at its lock."""
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in HELD_ELSEWHERE or attempt == ATTEMPTS - 1:
                raise
            time.sleep(APART)


def _busy(folder: str | os.PathLike[str]) -> BadRun:
    return BadRun(
        f"another fit is writing to {os.fspath(folder)}; wait until it ends or stop it, or choose"
        " another folder"
    )
