"""Batches of a stream: shuffled in a buffer, with bounded memory and a resumable order.

In each epoch the buffer is filled with the first rows; a batch takes rows at random places of it,
which are refilled by the next rows of the stream. The places are a function of seed and epoch, so a
resumed fit reads the stream from the start of the epoch to its position, and has the same rows in
the buffer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

import torch
from torch import Tensor

from pushforward.core.errors import BadSource
from pushforward.core.phase import Batch
from pushforward.core.random import derive
from pushforward.core.stream import Cursor, Stream

__all__ = ["StreamBatches"]

ASSUMED_STEPS = 1000
"""Assumed steps of an epoch of unknown length, for spacing reports."""


class StreamBatches:
    """Batches of `size` observations over all processes, each taking every `world`-th row.

    Args:
        stream: of the rows.
        size: observations per step, over all processes.
        seed: of the order.
        rank, world: this process and how many there are; all of them read the whole stream.

    An epoch ends when fewer than `size` rows are left.
    """

    def __init__(self, stream: Stream, size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self._stream, self._size, self._seed = stream, size, seed
        self._rank, self._world = rank, world
        self._begins = {0: 0}
        """The first step of each known epoch."""

    def steps_in_epoch(self, *, counted: bool) -> int:
        """Steps of an epoch; an assumption if the length is unknown and not `counted`."""
        if self._stream.known_length is None and not counted:
            return ASSUMED_STEPS
        return max(1, len(self._stream) // self._size)

    def from_step(self, step: int) -> Generator[Batch, None, None]:
        """This process's batches from global step `step` on, without end."""
        epoch = max(e for e, begin in self._begins.items() if begin <= step)
        while True:
            at = self._begins[epoch]
            for rows in self._epoch(epoch, skipped=step - at):
                yield rows
                step += 1
            if step == at:
                raise BadSource(
                    f"{self._stream.name}: the stream has fewer rows than a batch"
                    f" ({self._size}); pass a smaller batch"
                )
            epoch += 1
            self._begins[epoch] = step

    def _epoch(self, epoch: int, skipped: int) -> Iterator[Batch]:
        places = torch.Generator().manual_seed(derive(self._seed, "stream", epoch))
        buffer = _Buffer(self._stream.cursor(), max(self._size, self._stream.buffer_rows))
        while len(buffer) >= self._size:
            rows = torch.randperm(len(buffer), generator=places)[: self._size]
            if skipped:
                skipped -= 1
            else:
                yield buffer.rows(rows[self._rank :: self._world])
            buffer.refill(rows)

    def state(self, step: int) -> dict[str, int]:
        """The epoch at a step, and the step at which it began."""
        epoch = max(e for e, begin in self._begins.items() if begin <= step)
        return {"epoch": epoch, "begin": self._begins[epoch]}

    def load(self, state: Mapping[str, int]) -> None:
        """Take back what `state` gave."""
        if state:
            self._begins = {0: 0, int(state["epoch"]): int(state["begin"])}


class _Buffer:
    """The shuffle buffer.

    Args:
        cursor: provides the rows.
        size: number of rows held.
    """

    def __init__(self, cursor: Cursor, size: int) -> None:
        self._cursor = cursor
        self._parts = [None if part is None else part.clone() for part in cursor.read(size)]

    def __len__(self) -> int:
        x = self._parts[0]
        return 0 if x is None else len(x)

    def rows(self, places: Tensor) -> Batch:
        """The rows at the given places."""
        return Batch(*(None if part is None else part[places] for part in self._parts))  # type: ignore[arg-type]

    def refill(self, places: Tensor) -> None:
        """Replace the rows at the given places by the next ones.

        Without further rows, the buffer shrinks.
        """
        fresh = self._cursor.read(len(places))
        filled, empty = places[: len(fresh)], places[len(fresh) :]
        remains = torch.ones(len(self), dtype=torch.bool)
        remains[empty] = False
        for i, (part, new) in enumerate(zip(self._parts, fresh)):
            if part is None:
                continue
            if new is not None and len(new):
                wide = torch.promote_types(part.dtype, new.dtype)
                part = part.to(wide).index_copy_(0, filled, new.to(wide))
            self._parts[i] = part[remains] if len(empty) else part
