"""Several runs by each measure: what is better, which is best, and which are level with it.

Two runs are level if they differ by less than two standard errors of their difference. The errors
are taken as independent; those of runs measured on the same rows are not, so that fewer differences
are claimed than there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pushforward.core.records import Record, require_comparable
from pushforward.experiments.evaluation import Evaluation, SampledRuns
from pushforward.experiments.record_tables import HEADINGS, LIKENESS, OF_CLIPS, SAMPLED

__all__ = ["Better", "Standing", "standings"]

Better: TypeAlias = Literal["higher", "lower", "near", ""]
"""Which value is better: 'near' the ideal; '' if none is."""
ARROWS: Mapping[str, Better] = {"↑": "higher", "↓": "lower"}
LEVEL = 2.0
"""Standard errors."""


@dataclass(frozen=True)
class Standing:
    """One measure of several runs.

    Args:
        title: of the measure.
        better: which values are better.
        ideal: the value of a perfect model, if known.
        records: of each run; None where it has none.
        features: the feature space of measures of samples; '' of others.
    """

    title: str
    better: Better
    ideal: float | None
    records: tuple[Record | None, ...]
    features: str = ""

    @property
    def best(self) -> int | None:
        """The number of the best run; None if no value is better, or there are not two."""
        losses = {
            i: self._loss(record.value)
            for i, record in enumerate(self.records)
            if record is not None and math.isfinite(record.value)
        }
        if not self.better or len(losses) < 2:
            return None
        return min(losses, key=lambda i: losses[i])

    @property
    def level(self) -> tuple[int, ...]:
        """The numbers of the other runs that are level with the best."""
        best = None if self.best is None else self.records[self.best]
        if best is None:
            return ()
        return tuple(
            i
            for i, record in enumerate(self.records)
            if i != self.best and record is not None and self._is_level(record, best)
        )

    def _loss(self, value: float) -> float:
        if self.better == "near" and self.ideal is not None:
            return abs(value - self.ideal)
        return -value if self.better == "higher" else value

    def _is_level(self, record: Record, best: Record) -> bool:
        apart = abs(self._loss(record.value) - self._loss(best.value))
        error = math.hypot(record.error, best.error)
        return apart == 0 or apart < LEVEL * error


def standings(evaluation: Evaluation, sampled: Sequence[SampledRuns] = ()) -> list[Standing]:
    """A standing for each measure: those of the rows first, then those of samples.

    Args:
        evaluation: of runs on the same rows.
        sampled: samples of these runs beside the rows, in feature spaces.

    Raises:
        InvalidValue: If records of one measure do not compare.
    """
    names = [str(run.folder) for run in evaluation.runs]
    found = _lines(names, [*evaluation.measured, *evaluation.estimated], "")
    for each in sampled:
        found += _lines(names, each.records, each.space)
    return found


def _lines(
    names: Sequence[str], measured: Sequence[Sequence[Record]], features: str
) -> list[Standing]:
    records = [record for each in measured for record in each]
    lines = []
    for quantity in dict.fromkeys(record.quantity for record in records):
        of_run = {str(r.details.get("run")): r for r in records if r.quantity == quantity}
        line = tuple(of_run.get(name) for name in names)
        there = [record for record in line if record is not None]
        if not there:
            continue
        for record in there[1:]:
            require_comparable(there[0], record)
        title, better = _title(quantity)
        ideal = there[0].details.get("ideal", SAMPLED.get(quantity, ("", None))[1])
        if not better and ideal is not None:
            better = "near"
        lines.append(Standing(title, better, ideal, line, features))
    return lines


def _title(quantity: str) -> tuple[str, Better]:
    """The title of a measure, and which values are better."""
    if quantity in HEADINGS:
        return HEADINGS[quantity], "lower" if quantity == "squared_error" else "higher"
    sampled = SAMPLED[quantity][0] if quantity in SAMPLED else quantity
    text = {**LIKENESS, **OF_CLIPS}.get(quantity, sampled)
    return text.rstrip(" ↑↓"), ARROWS.get(text[-1:], "")
