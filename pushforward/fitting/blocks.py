"""The rows of a fit by passes, block by block, in the model's coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pushforward.core.phase import Batch
from pushforward.core.random import derive, integers
from pushforward.core.source import Source
from pushforward.fitting.facts import consecutive
from pushforward.fitting.processes import Processes
from pushforward.fitting.protocols import PassModel
from pushforward.fitting.settings import PassSettings
from pushforward.fitting.trees import as_tree, classes_of, from_tree

__all__ = ["Blocks"]

KEPT_BYTES = 4 << 30
"""Resident data are kept in the model's coordinates between passes up to this size."""

Block = tuple[Batch, Any]
"""A block of rows, and what the model keeps beside it (None if nothing)."""


class Blocks:
    """This process's rows, block by block.

    Args:
        settings: block and seed.
        model: maps the rows, and says how many it likes at a time.
        source: the rows.
        processes: which share them.
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
        self._size = settings.block or model.block_rows
        self._kept: list[Block] | None = None

    def all(self) -> Iterator[Block]:
        """All of them; kept between passes where they are resident and fit."""
        if self._kept is not None:
            yield from self._kept
            return
        fit = len(self._rows) * self._source.space.size * 8 <= KEPT_BYTES
        keep = self._source.resident and not self._model.single and fit
        kept: list[Block] = []
        for block in self._mapped(remembering=keep and self._model.remembers):
            if keep:
                kept.append(block)
            yield block
        if keep:
            self._kept = kept

    def sampled(self, count: int, attempt: int, step: int) -> Iterator[Block]:
        """This process's part of a mini-batch of `count` rows, sampled with replacement.

        The rows are the same whatever the number of processes.
        """
        rng = derive(self._seed, "batch", attempt, step)
        rows = integers(len(self._source), (count,), rng=rng)
        mine = rows[self._processes.rank :: self._processes.world].sort().values
        for part in mine.split(self._size):
            yield self._model.mapped(self._source.take(part), self._processes.device), None

    def forget(self) -> None:
        """Have all rows mapped anew at the next pass."""
        self._kept = None

    def _mapped(self, *, remembering: bool) -> Iterator[Block]:
        rows = self._rows
        for start in range(rows.start, rows.stop, self._size) or [rows.start]:
            raw = consecutive(self._source, start, min(start + self._size, rows.stop))
            batch = self._model.mapped(raw, self._processes.device)
            yield batch, self._model.model.remember(batch) if remembering else None

    def state(self) -> dict[str, Any]:
        """What is kept beside the blocks, for a checkpoint."""
        kept = self._kept or ()
        return {"memories": [None if m is None else _stored(m) for _, m in kept]}

    def load(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        memories: Sequence[Any] = state["memories"]
        if not memories:
            return
        classes = classes_of(self._model.model)
        self._kept = list(self._mapped(remembering=any(m is not None for m in memories)))
        for (_, memory), tree in zip(self._kept, memories):
            if tree is not None:
                for name, value in from_tree(tree, classes, self._processes.device).items():
                    setattr(memory, name, value)


def _stored(memory: object) -> object:
    """What is kept beside a block, without what follows from its rows."""
    derived = getattr(memory, "derived", ())
    return as_tree({name: value for name, value in vars(memory).items() if name not in derived})
