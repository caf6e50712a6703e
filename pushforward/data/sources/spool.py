"""Rows gathered block by block, in memory or, beyond a budget, in a memory-mapped temporary file.

On POSIX the file is unlinked once mapped, so that even a killed process leaves nothing behind.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pushforward.core.errors import BadSource

__all__ = ["Spool", "temporary_file"]


@contextmanager
def temporary_file() -> Iterator[Path]:
    """A path for a temporary file; maps of it outlive the context."""
    try:
        handle, text = tempfile.mkstemp(prefix="pushforward-", suffix=".npy")
    except OSError as error:
        raise _no_room(tempfile.gettempdir(), error) from error
    os.close(handle)
    path = Path(text)
    try:
        yield path
    finally:
        try:
            path.unlink(missing_ok=True)
        except PermissionError:  # Windows keeps mapped files until the process ends
            weakref.finalize(Spool, path.unlink, missing_ok=True)


def _no_room(path: str | Path, error: OSError) -> BadSource:
    return BadSource(
        f"cannot write the temporary file {path} ({error.strerror}); free some space or set TMPDIR"
        " to another disk"
    )


class Spool:
    """Blocks of rows gathered in memory, and beyond `memory` bytes in a temporary memory map."""

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.kept: list[NDArray[Any]] = []
        self.bytes = self.rows = 0
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype("float64")
        self.file: Any = None
        self._scope: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.file is not None:
            self.file.close()
        if self._scope is not None:
            self._scope.__exit__(kind, error, trace)

    def add(self, block: NDArray[Any]) -> None:
        """Append rows (b, *shape)."""
        self.shape, self.dtype = block.shape[1:], block.dtype
        self.rows += len(block)
        self.bytes += block.nbytes
        self.kept.append(block)
        if self.file is None and self.bytes > self.memory:
            self._scope = temporary_file()
            self.path = self._scope.__enter__()
            self.file = open(self.path, "wb")  # noqa: SIM115
        if self.file is not None:
            try:
                for part in self.kept:
                    self.file.write(np.ascontiguousarray(part).data)
            except OSError as error:
                raise _no_room(self.path, error) from error
            self.kept = []

    def finish(self) -> NDArray[Any]:
        """All rows, as an array or as a memory map."""
        if self.file is None:
            return self._joined()
        self.file.flush()
        return np.memmap(self.path, dtype=self.dtype, mode="r", shape=(self.rows, *self.shape))

    def _joined(self) -> NDArray[Any]:
        """The blocks as one array; each is freed once copied, so that memory does not double."""
        if len(self.kept) == 1:
            return self.kept[0]
        whole = np.empty((self.rows, *self.shape), self.dtype)
        self.kept.reverse()
        row = 0
        while self.kept:
            block = self.kept.pop()
            whole[row : row + len(block)] = block
            row += len(block)
        return whole
