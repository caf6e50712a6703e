"""The facts about the data of a fit by passes.

A scan of all rows is shared between processes and resumable.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.errors import Interrupted
from pushforward.core.moments import Moments
from pushforward.core.numbers import to_floating
from pushforward.core.phase import Batch
from pushforward.core.scan import Facts, scan
from pushforward.core.source import Source
from pushforward.core.source_views import Subset
from pushforward.fitting.packing import merge_over
from pushforward.fitting.pass_folder import PassFolder
from pushforward.fitting.processes import Processes
from pushforward.fitting.protocols import scan_rows
from pushforward.fitting.trees import as_tree, from_tree

__all__ = ["Scanner", "take_consecutive", "sample_rows"]

SAMPLED_ROWS = 2048
"""Rows in the sample of models that need only a sample to learn the facts."""


class Scanner:
    """Scans the rows of a fit.

    Because a scan may take as long as a pass, it is saved and resumed too.

    Args:
        source: the rows.
        processes: those sharing the rows.
        run: the folder of the fit.
    """

    def __init__(self, source: Source, processes: Processes, run: PassFolder) -> None:
        self._source, self._processes, self._run = source, processes, run
        self.done: dict[str, Any] = {"facts": None, "scanned": 0}
        """The state of the scan for a checkpoint."""

    def facts(self, *, sampled: bool) -> Facts:
        """Facts about a sample or about all rows, the same in every process."""
        if sampled:
            return scan(self._source, most=SAMPLED_ROWS, block=256)
        rows, state = self._processes.share(len(self._source)), self._run.state or {}
        facts, begin, size = _no_facts(self._source.space.size), rows.start, scan_rows(self._source)
        if state.get("facts") is not None:
            with self._run.checking_state():
                classes = {"Facts": Facts, "Moments": Moments}
                facts = from_tree(state["facts"], classes, torch.device("cpu"))
                begin = int(state["scanned"])
        for start in range(begin, rows.stop, size):
            stop = min(start + size, rows.stop)
            facts = facts.merge(Facts.of(take_consecutive(self._source, start, stop)))
            self._save(facts, stop)
        if self._processes.world == 1 and self._run.kept:
            self.done = {"facts": as_tree(facts), "scanned": rows.stop}
        whole, _ = merge_over(self._processes, _to_column_counts(facts))
        return _to_single_count(dataclasses.replace(whole, count=len(self._source)))

    def _save(self, facts: Facts, scanned: int) -> None:
        """Save when a checkpoint is due or the fit must stop; then raise Interrupted."""
        run = self._run
        cancelled = run.kept and run.token.cancelled
        if self._processes.world == 1 and (run.due or cancelled):
            state = {"facts": as_tree(facts), "scanned": scanned, "passes": None}
            run.save(state, 0, usable=False)
            if cancelled:
                raise Interrupted(saved=True)
        run.tick()


def take_consecutive(source: Source, start: int, stop: int) -> Batch:
    """Consecutive rows, as a view if the source is one tensor, to avoid copies."""
    if isinstance(source, Arrays) and isinstance(source.x, Tensor):
        weights = None if source.weights is None else source.weights[start:stop]
        return Batch(to_floating(source.x[start:stop]), None, weights)
    batch = source.take(torch.arange(start, stop))
    return Batch(batch.x, None, batch.weights)


def sample_rows(source: Source, most: int, rng: torch.Generator) -> Batch:
    """At most `most` rows sampled without replacement, in order.

    They are the same in every process for a seed.
    """
    n = len(source)
    if n <= most:
        viewed = isinstance(source, Arrays) and source.y is None
        return take_consecutive(source, 0, n) if viewed else source.take(torch.arange(n))
    rows = torch.randperm(n, generator=rng)[:most].sort().values
    return Subset(source, rows).take(torch.arange(len(rows)))


def _no_facts(d: int) -> Facts:
    """Facts about no rows in d coordinates."""
    zero, none = torch.zeros(d, dtype=torch.float64), torch.zeros(d, dtype=torch.int64)
    return Facts(0, Moments(zero, zero, zero), zero + math.inf, zero - math.inf, none, none)


def _to_column_counts(facts: Facts) -> Facts:
    """Facts with one count per column, the form shared by all processes."""
    moments = facts.moments
    return dataclasses.replace(
        facts,
        moments=dataclasses.replace(moments, count=moments.count.expand_as(moments.mean).clone()),
    )


def _to_single_count(facts: Facts) -> Facts:
    """Facts with a single count if no value is missing."""
    moments, gaps = facts.moments, bool(facts.missing.any()) or bool(facts.infinite.any())
    return (
        facts
        if gaps
        else dataclasses.replace(
            facts, moments=dataclasses.replace(moments, count=moments.count[0])
        )
    )
