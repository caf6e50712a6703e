"""What the data of a fit by passes are like: a scan of all rows, shared out, saved and resumed."""

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

__all__ = ["Scanner", "consecutive", "sample_rows"]

SAMPLED_ROWS = 2048
"""Rows that tell what the data are like, for a model that a sample is enough for."""


class Scanner:
    """Scans the rows of a fit; a scan, which may be as long as a pass, is saved and resumed too.

    Args:
        source: the rows.
        processes: which share them.
        run: where the fit is kept.
    """

    def __init__(self, source: Source, processes: Processes, run: PassFolder) -> None:
        self._source, self._processes, self._run = source, processes, run
        self.done: dict[str, Any] = {"facts": None, "scanned": 0}
        """What a checkpoint keeps of the scan."""

    def facts(self, *, sampled: bool) -> Facts:
        """Of a sample, or of all rows, in every process alike."""
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
            facts = facts.merge(Facts.of(consecutive(self._source, start, stop)))
            self._save(facts, stop)
        if self._processes.world == 1:
            self.done = {"facts": as_tree(facts), "scanned": rows.stop}
        whole, _ = merge_over(self._processes, _even(facts))
        return _plain(dataclasses.replace(whole, count=len(self._source)))

    def _save(self, facts: Facts, scanned: int) -> None:
        """Save where it is time to, or where the fit is to stop; Interrupted then."""
        run = self._run
        cancelled = run.kept and run.token.cancelled
        if self._processes.world == 1 and (run.due or cancelled):
            state = {"facts": as_tree(facts), "scanned": scanned, "passes": None}
            run.save(state, 0, usable=False)
            if cancelled:
                raise Interrupted(saved=True)
        run.tick()


def consecutive(source: Source, start: int, stop: int) -> Batch:
    """Consecutive rows; a view where the source holds one tensor, so that no row is copied."""
    if isinstance(source, Arrays) and isinstance(source.x, Tensor):
        weights = None if source.weights is None else source.weights[start:stop]
        return Batch(to_floating(source.x[start:stop]), None, weights)
    batch = source.take(torch.arange(start, stop))
    return Batch(batch.x, None, batch.weights)


def sample_rows(source: Source, most: int, rng: torch.Generator) -> Batch:
    """At most `most` rows, drawn without replacement, in order:
    the same in every process for the same seed.
    """
    n = len(source)
    rows = torch.arange(n) if n <= most else torch.randperm(n, generator=rng)[:most].sort().values
    return Subset(source, rows).take(torch.arange(len(rows)))


def _no_facts(d: int) -> Facts:
    """Of no rows in d coordinates."""
    zero, none = torch.zeros(d, dtype=torch.float64), torch.zeros(d, dtype=torch.int64)
    return Facts(0, Moments(zero, zero, zero), zero + math.inf, zero - math.inf, none, none)


def _even(facts: Facts) -> Facts:
    """Facts with one count per column, the same form in every process."""
    moments = facts.moments
    return dataclasses.replace(
        facts,
        moments=dataclasses.replace(moments, count=moments.count.expand_as(moments.mean).clone()),
    )


def _plain(facts: Facts) -> Facts:
    """Back to one count for all where no value is missing."""
    moments, gaps = facts.moments, bool(facts.missing.any()) or bool(facts.infinite.any())
    return (
        facts
        if gaps
        else dataclasses.replace(
            facts, moments=dataclasses.replace(moments, count=moments.count[0])
        )
    )
