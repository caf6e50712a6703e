"""Rows of a table ranked from the least likely, and the columns that make a row unlikely."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import torch
from torch import Tensor

from pushforward.core.column_numbers import as_number
from pushforward.core.space import Space
from pushforward.experiments.conditionals import Conditional, condition
from pushforward.experiments.densities import Densities, densities
from pushforward.experiments.opened import OpenedRun
from pushforward.experiments.row_names import RowNames, find_row_names
from pushforward.studio.column_densities import axis_name, is_closed

__all__ = ["Ranking", "odd_columns"]

BLOCK = 2048
"""Rows scored between two looks at the clock."""
MOST_COLUMNS = 32
"""Of rows whose columns are looked at one by one."""


class Ranking:
    """The rows of a run, scored a part at a time, as some densities take milliseconds a row.

    Args:
        run: whose model has a density.
        x: all rows (n, d).
    """

    def __init__(self, run: OpenedRun, x: Tensor) -> None:
        self.run, self.x = run, x
        self._parts: list[Densities] = []
        self._scored = 0
        self._found: Densities | None = None
        self._names: RowNames | None = None
        self._named = False
        self._lock = threading.Lock()

    @property
    def scored(self) -> int:
        """Rows scored so far, from the first on."""
        return self._scored

    @property
    def names(self) -> RowNames | None:
        """What the table calls its rows."""
        with self._lock:
            if not self._named:
                self._names, self._named = find_row_names(self.run, len(self.x)), True
            return self._names

    def score(self, seconds: float) -> Densities:
        """The densities of all rows scored, after going on for so many seconds, or one block."""
        with self._lock:
            until = time.monotonic() + seconds
            going = True
            while going and self._scored < len(self.x):
                block = self.x[self._scored : self._scored + BLOCK]
                self._parts.append(densities(self.run, block))
                self._scored += len(block)
                self._found, going = None, time.monotonic() < until
            if self._found is None:
                self._found = _joined(self._parts)
            return self._found

    def density_of(self, number: int) -> float:
        """The log density of one row, scored or not."""
        found = self._found
        if found is not None and number < len(found.values):
            return float(found.values[number])
        return float(densities(self.run, self.x[number : number + 1]).values[0])

    def rank_of(self, number: int) -> int | None:
        """The place of a scored row from the least likely; None for those with missing values."""
        found = self._found
        if found is None or number >= len(found.values) or bool(found.incomplete[number]):
            return None
        complete = found.values[~found.incomplete]
        return 1 + int((complete < found.values[number]).sum())


def odd_columns(run: OpenedRun, x: Tensor) -> list[dict[str, Any]]:
    """What each number of a row (d,) would be given its other known columns, the oddest first.

    Each with its 'name', the interval 'q05' to 'q95' (as numbers) and as 'written', its 'distance'
    from the mean in standard deviations, and whether it lies 'outside' the interval. Empty for
    models without conditionals in closed form.
    """
    space: Space = run.model.fitted_space()
    if not is_closed(run.model) or not 2 <= space.size <= MOST_COLUMNS:
        return []
    known = [i for i in range(space.size) if bool(x[i].isfinite())]
    numeric = [i for i in known if space.columns[i].kind != "categorical"]
    found = [_expected(run, x, i, known) for i in numeric if len(known) > 1]
    return sorted(found, key=lambda one: -abs(one["distance"]))


def _expected(run: OpenedRun, x: Tensor, i: int, known: list[int]) -> dict[str, Any]:
    space: Space = run.model.fitted_space()
    given = {axis_name(space, k): float(x[k]) for k in known if k != i}
    conditional = condition(run, given)
    rest = [k for k in range(space.size) if k == i or k not in known]  # names may be numbers
    place = rest.index(i)
    table, column = _column_of(conditional, place), space.columns[i]
    low, high = (as_number(table[name], column) for name in ("q05", "q95"))
    mean, spread = as_number(table["mean"], column), float(table["sd"])
    away, value = float(x[i]) - mean, float(x[i])
    distance = away / spread if spread > 0 else (0.0 if away == 0 else math.copysign(1e6, away))
    return {
        "name": space.names[i], "q05": low, "q95": high,
        "written": {"q05": table["q05"], "q95": table["q95"]},
        "distance": distance, "outside": not low <= value <= high,
    }  # fmt: skip


def _column_of(conditional: Conditional, place: int) -> dict[str, Any]:
    return {name: values[place] for name, values in conditional.table().items()}


def _joined(parts: list[Densities]) -> Densities:
    return Densities(
        parts[0].quantity,
        torch.cat([part.values for part in parts]),
        torch.cat([part.incomplete for part in parts]),
    )
