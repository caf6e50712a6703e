"""Steps and repeats of a column's values: rounded data lie on a lattice, some values are common.

A value v of a column with step h stands for the cell [v - h/2, v + h/2). Integers have a step of at
least 1; other columns one if all their values are multiples of a power of ten, or of the least
distance between two of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lattice", "find_lattice", "find_repeats"]

MOST_CELLS = 2.0**40
"""Cells across the range of a lattice; finer steps are indistinguishable from rounding."""
ROUNDING = 8 * np.finfo(np.float64).eps
"""Relative error allowed of a multiple of a step, which float64 rounds."""
LEAST_SHARE = 1e-3
"""Relative error of a multiple, as a share of the step."""
FINEST = 7
"""Digits after the leading one of the range to which values may be rounded; more is no rounding."""
MANY = 20
"""Distinct values from which a step of integers may be more than 1: few fit one by chance."""
REPEATED = 0.02
"""Share of the rows from which a repeated value of a column without a step has its own cell."""
WIDTH = 1e-3
"""Width of that cell, as a share of the spread of the column."""


@dataclass(frozen=True)
class Lattice:
    """Values origin + i·step; step 0 is none."""

    step: float = 0.0
    origin: float = 0.0

    def snap(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest values of the lattice."""
        if self.step == 0:
            return x
        cells: NDArray[np.float64] = np.round((x - self.origin) / self.step)
        return snap_cells(cells, self.step) + self.origin


def snap_cells(cells: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """cells · step; divided by 1/step where that is whole, so that 3 · 0.01 is 0.03."""
    inverse = round(1 / step) if 0 < step < 1 and 1 / step < MOST_CELLS else 0
    if inverse and math.isclose(inverse * step, 1, rel_tol=1e-12):
        return cells / inverse
    return cells * step


def find_lattice(values: NDArray[np.float64], *, integer: bool) -> Lattice:
    """The coarsest lattice of sorted distinct values (m,); no step if there is none.

    Integers lie on one by definition; other values need three of them.
    """
    if len(values) < 3:
        return Lattice(1.0 if integer else 0.0)
    span = float(values[-1] - values[0])
    if not math.isfinite(span) or span <= 0:
        return Lattice(1.0 if integer else 0.0)
    decimal = _decimal_step(values, integer)
    if integer:
        return Lattice(max(decimal, 1.0))
    least = float(np.diff(values).min())
    if least > 1.5 * decimal and span / least < 10.0 * len(values):
        for origin in (0.0, float(values[0])):
            if _fits(values, least, origin):
                return Lattice(least, origin)
    return Lattice(decimal)


def _decimal_step(values: NDArray[np.float64], integer: bool) -> float:
    """The largest power of ten of which all values are multiples, or 2 or 5 times as much; or 0."""
    top = math.floor(math.log10(float(values[-1] - values[0])))
    for exponent in range(top, top - FINEST - 1, -1):
        step = 10.0**exponent
        if integer and step < 1:
            break
        if _fits(values, step, 0.0):
            few = integer and len(values) < MANY
            return 1.0 if few else _widest(values, step)
    return 0.0


def _widest(values: NDArray[np.float64], step: float) -> float:
    """The step, or 2 or 5 times as much (10 times does not fit)."""
    fitting = [step * f for f in (5.0, 2.0) if len(values) >= MANY and _fits(values, step * f, 0.0)]
    return max([step, *fitting[:1]])


def _fits(values: NDArray[np.float64], step: float, origin: float) -> bool:
    """Whether all values are multiples of a step from an origin, up to rounding."""
    if step <= 0 or float(np.abs(values).max()) / step > MOST_CELLS:
        return False
    cells = (values - origin) / step
    error = np.abs(cells - np.round(cells))
    return bool((error <= np.minimum(LEAST_SHARE, ROUNDING * (1 + np.abs(values) / step))).all())


def find_repeats(
    values: NDArray[np.float64], weights: NDArray[np.float64], spread: float
) -> list[tuple[float, float, float]]:
    """Values with a cell of their own among sorted distinct ones (m,) with weights (m,).

    Returns:
        (value, low, high) each, in order; cells do not overlap, and hold no other value.
    """
    common = np.flatnonzero(weights > max(REPEATED * weights.sum(), 1.5))
    cells = []
    for i in common.tolist():
        gaps = [float(values[j + 1] - values[j]) for j in (i - 1, i) if 0 <= j < len(values) - 1]
        width = min([WIDTH * spread, *(0.5 * g for g in gaps)])
        value = float(values[i])
        low, high = value - width / 2, value + width / 2
        if low < value < high:
            cells.append((value, low, high))
    return cells
