"""The rows of a fit by passes, in blocks, in the model's coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pushforward.core.follows import follows
from pushforward.core.phase import Batch
from pushforward.core.random import derive, integers
from pushforward.core.source import Sequential, Source
from pushforward.fitting.facts import take_consecutive
from pushforward.fitting.processes import Processes
from pushforward.fitting.protocols import PassModel
from pushforward.fitting.settings import PassSettings
from pushforward.fitting.trees import as_tree, find_classes, from_tree

__all__ = ["Blocks"]

KEPT_BYTES = 4 << 30
"""Resident data up to this size are cached in the model's coordinates between passes."""
OWN_BYTES = 1 << 29
"""Bytes of coordinates of a model's own that are cached: the blocks that go beyond are mapped again
in every pass.
"""

Block = tuple[Batch, Any]
"""A block of rows, and the model's memory of it (None if there is none)."""


class Blocks:
    """This process's rows, in blocks.

    Args:
        settings: block and seed.
        model: maps the rows and states its preferred block size.
        source: the rows.
        processes: those sharing the rows.
    """

    def __init__(
        self, settings: PassSettings, model: PassModel, source: Source, processes: Processes
    ) -> None:
        self._seed, self._model, self._source, self._processes = (
            settings.seed,
            model,
            source,
            processes,
        )
        self._rows = processes.share(len(source))
        self.size = settings.block or model.block_rows
        self._kept: list[Block] | None = None

    def all(self) -> Iterator[Block]:
        """All blocks; cached between passes if they are resident and small enough."""
        if self._model.owns_coordinates and not self._model.remembers:
            yield from self._first_kept()
            return
        if self._kept is not None:
            yield from self._kept
            return
        fit = len(self._rows) * self._source.space.size * 8 <= KEPT_BYTES
        keep = self._source.resident and not self._model.single and fit
        cache: list[Block] = []
        for block in self._mapped(remembering=keep and self._model.remembers):
            if keep:
                cache.append(block)
            yield block
        if keep:
            self._kept = cache

    def _first_kept(self) -> Iterator[Block]:
        """All blocks, of which the first are cached, but for streams."""
        kept = self._kept or []
        yield from kept
        room = OWN_BYTES - sum(batch.x.nbytes for batch, _ in kept)
        anew = follows(self._source, Sequential)  # rows of a stream may differ
        may_keep = self._kept is None and not self._model.single and not anew
        for block in self._mapped(remembering=False, skip=len(kept)):
            room -= block[0].x.nbytes
            if may_keep and room >= 0:
                kept.append(block)
            yield block
        self._kept = kept

    def sampled(self, count: int, attempt: int, step: int) -> Iterator[Block]:
        """This process's part of a mini-batch of `count` rows, sampled with replacement.

        The rows are the same whatever the number of processes.
        """
        rng = derive(self._seed, "batch", attempt, step)
        rows = integers(len(self._source), (count,), rng=rng)
        mine = rows[self._processes.rank :: self._processes.world].sort().values
        for part in mine.split(self.size):
            yield self._model.mapped(self._source.take(part), self._processes.device), None

    def forget(self) -> None:
        """Discard the cache, so that all rows are mapped again in the next pass."""
        self._kept = None

    def _mapped(self, *, remembering: bool, skip: int = 0) -> Iterator[Block]:
        """The blocks after the first so many."""
        rows = self._rows
        starts = range(rows.start, rows.stop, self.size) or [rows.start]
        for start in starts[skip:]:
            raw = take_consecutive(self._source, start, min(start + self.size, rows.stop))
            batch = self._model.mapped(raw, self._processes.device)
            yield batch, self._model.model.remember(batch) if remembering else None

    def state(self) -> dict[str, Any]:
        """The model's memories of the blocks, for a checkpoint."""
        cache = self._kept or ()
        return {"memories": [None if m is None else _stored(m) for _, m in cache]}

    def load(self, state: dict[str, Any]) -> None:
        """Restore the result of `state`."""
        memories: Sequence[Any] = state["memories"]
        if all(memory is None for memory in memories):
            return  # the next pass maps the rows again
        classes = find_classes(self._model.model)
        self._kept = list(self._mapped(remembering=True))
        for (_, memory), tree in zip(self._kept, memories):
            if tree is not None:
                for name, value in from_tree(tree, classes, self._processes.device).items():
                    setattr(memory, name, value)


def _stored(memory: object) -> object:
    """The memory of a block, without parts derived from its rows."""
    derived = getattr(memory, "derived", ())
    return as_tree({name: value for name, value in vars(memory).items() if name not in derived})
