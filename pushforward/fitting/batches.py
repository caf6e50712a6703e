"""The order in which a fit reads its data, as a function of (seed, epoch) alone.

The position is therefore one number, resuming needs no saved order, and every process can compute
its own share. Resident data are fully permuted. Streamed data are permuted by blocks: the blocks
are shuffled, then the rows within each window of a few blocks, so that reads are nearly sequential
and memory is bounded.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from pushforward.core.phase import Batch
from pushforward.core.random import derive, permutation, uniform
from pushforward.core.source import Source, take_rows
from pushforward.core.source_views import Subset

__all__ = ["Batches"]

BLOCK_BYTES = 4 << 20
"""Bytes of neighbouring rows read together from a disk: 4 MB.

Seeking then takes little time compared with reading.
"""
WINDOW_BLOCKS = 8
"""Blocks whose rows are mixed with each other: more mix better and take more memory (32 MB)."""
CHUNK_BYTES = 32 << 20
"""Bytes of batches read ahead together: 32 MB.

This is enough to hide the reading, and two of them are in memory.
"""


class Batches:
    """Batches of `size` observations over all processes.

    This one takes every `world`-th row from `rank`.

    Args:
        source: of the rows.
        size: observations per step, over all processes.
        seed: of the order.
        rank, world: this process and the number of processes.
        weights: (n,) by which rows are drawn with replacement, instead of each once per epoch.

    An epoch is len(source) // size steps; the few rows left out change every epoch.
    """

    def __init__(
        self,
        source: Source,
        size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        weights: Tensor | None = None,
    ) -> None:
        self.source, self.size, self.seed, self.rank, self.world = source, size, seed, rank, world
        self._ends = None if weights is None else weights.to("cpu", torch.float64).cumsum(0)
        self.steps_per_epoch = max(1, len(source) // size)

    def steps_in_epoch(self, *, counted: bool) -> int:
        """Steps of an epoch, always known."""
        return self.steps_per_epoch

    def state(self, step: int) -> dict[str, int]:
        """Empty: the order follows from the step."""
        return {}

    def load(self, state: Mapping[str, int]) -> None:
        """Nothing to restore."""

    def order(self, epoch: int) -> Tensor:
        """Row numbers in the order of an epoch (steps_per_epoch · size,), int64."""
        stream = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
        n = len(self.source)
        if self._ends is not None:
            return self._drawn(self._ends, stream)
        if self.source.resident:
            rows = permutation(n, rng=stream)
        else:
            rows = self._by_blocks(stream, n)
        return rows[: self.steps_per_epoch * self.size]

    def _drawn(self, ends: Tensor, stream: torch.Generator) -> Tensor:
        """Rows drawn by their weights, whose cumulative sums are `ends` (n,)."""
        count = self.steps_per_epoch * self.size
        at = uniform(count, rng=stream, dtype=torch.float64) * ends[-1]
        return torch.searchsorted(ends, at, right=True).clamp_max(len(ends) - 1)

    def _by_blocks(self, stream: torch.Generator, n: int) -> Tensor:
        block = max(1, BLOCK_BYTES // self._row_bytes())
        starts = torch.arange(0, n, block)[permutation(-(-n // block), rng=stream)]
        windows = []
        for group in starts.split(WINDOW_BLOCKS):
            rows = torch.cat([torch.arange(int(s), min(int(s) + block, n)) for s in group])
            windows.append(rows[permutation(len(rows), rng=stream)])
        return torch.cat(windows)

    def _row_bytes(self) -> int:
        row = self.source.take(torch.zeros(1, dtype=torch.int64)).x
        return row.numel() * row.element_size()

    def rows(self, step: int) -> Tensor:
        """The row numbers of this process's batch at a global step."""
        epoch, at = divmod(step, self.steps_per_epoch)
        return self.order(epoch)[at * self.size + self.rank : (at + 1) * self.size : self.world]

    def from_step(self, step: int) -> Generator[Batch, None, None]:
        """This process's batches from global step `step` on, endlessly."""
        if self.source.resident:
            yield from self._resident(step)
        else:
            yield from self._streamed(step)

    def _resident(self, step: int) -> Iterator[Batch]:
        whole = self.source.source if isinstance(self.source, Subset) else self.source
        device = getattr(getattr(whole, "x", None), "device", torch.device("cpu"))
        while True:
            epoch, position = divmod(step, self.steps_per_epoch)
            order = self.order(epoch).to(device)
            for at in range(position, self.steps_per_epoch):
                yield self.source.take(
                    order[at * self.size + self.rank : (at + 1) * self.size : self.world]
                )
                step += 1

    def _streamed(self, step: int) -> Iterator[Batch]:
        """Read several steps' rows at once, sorted, on a thread.

        Earlier rows are trained on meanwhile.
        """
        with ThreadPoolExecutor(1) as reader:
            chunks = self._chunks(step)
            following = reader.submit(self._read, next(chunks))
            while True:
                batches = following.result()
                following = reader.submit(self._read, next(chunks))
                yield from batches

    def _chunks(self, step: int) -> Iterator[list[Tensor]]:
        per_chunk = max(1, CHUNK_BYTES // (self._row_bytes() * max(1, self.size // self.world)))
        while True:
            epoch, position = divmod(step, self.steps_per_epoch)
            order = self.order(epoch)
            while position < self.steps_per_epoch:
                stop = min(position + per_chunk, self.steps_per_epoch)
                yield [
                    order[at * self.size + self.rank : (at + 1) * self.size : self.world]
                    for at in range(position, stop)
                ]
                step += stop - position
                position = stop

    def _read(self, steps: list[Tensor]) -> list[Batch]:
        """The rows of these steps, read in ascending order and returned in theirs."""
        rows = torch.cat(steps).numpy()
        back = torch.from_numpy(rows.argsort(kind="stable").argsort(kind="stable"))
        together = self.source.take(torch.from_numpy(np.sort(rows)))
        batches, at = [], 0
        for part in steps:
            places = back[at : at + len(part)]
            x, y, weights = (None if t is None else take_rows(t, places) for t in together)
            assert x is not None
            batches.append(Batch(x, y, weights))
            at += len(part)
        return batches
