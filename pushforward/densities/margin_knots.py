r"""The knots of a margin: where a piecewise linear distribution function of one column bends.

Between two knots the density is constant. Knots lie between order statistics: one for every few
rows ('empirical'), or at most `MOST` of them with the masses of a kernel density between them
('kernel': Abramson's bandwidths, reflected at known bounds). Values on a lattice have knots at the
edges of cells; a cell with a share of the rows has a mass that is counted, and shrunk towards that
of the kernel density as if this were as many further rows as there are cells.

Beyond the last knots there are exponential tails with the mass of half a row each, unless a known
bound is there.

References:
    Silverman (1986), Density Estimation for Statistics and Data Analysis, eq. 3.31, section 2.10.
    https://doi.org/10.1201/9781315140919
    Abramson (1982), On bandwidth variation in kernel estimates.
    https://doi.org/10.1214/aos/1176345986
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pushforward.core.columns import Column
from pushforward.densities.steps import Lattice, find_lattice, find_repeats

__all__ = ["MOST", "Knots", "fit_knots"]

Floats = NDArray[np.float64]

MOST = 512
"""Knots of a column at most."""
CENTRES = 512
"""Kernels of a column at most: neighbouring rows share one."""
REACH = 3.0
"""Bandwidths beyond the outermost rows where the knots end."""
HEAVY = 1 / 128
"""Share of the rows from which a value of a lattice has a cell of its own, if not all have."""
TAIL_SHARE = 0.05
"""Share of the rows by whose mean excess a tail falls."""
LOCAL = 0.1, 10.0
"""Range of Abramson's factors of the bandwidth."""
EMPTY = 0.05
"""Rows added to each interval of an empirical margin: between common values some may be empty."""
TWO_VALUED = 1e-3
"""Mass of a tail in rows if there are just two values, which more rows would hardly add to."""
TINY = 1e-3
"""Width of the cell of a constant, as a share of its size."""


@dataclass
class Knots:
    """A piecewise linear distribution function with exponential tails.

    Args:
        edges: of the intervals, rising (m + 1,).
        mass: of each interval, positive (m,).
        tails: mass below and above the edges; 0 at known bounds.
        scales: the tails' mean lengths.
        lattice: of the values.
        values: what the intervals that are single cells stand for; NaN for other intervals (m,).
        lower, upper: known bounds.
    """

    edges: Floats
    mass: Floats
    tails: tuple[float, float]
    scales: tuple[float, float]
    lattice: Lattice
    values: Floats
    lower: float = -math.inf
    upper: float = math.inf


def fit_knots(x: Floats, weights: Floats, column: Column, kind: str) -> Knots:
    """The knots of values (n,) without NaN, with weights (n,) of mean 1.

    Args:
        x: at least one value; codes of a categorical column.
        weights: positive.
        column: its kind and known bounds, which count if all values keep them.
        kind: 'kernel' or 'empirical'.
    """
    if column.kind == "categorical":
        return _category_knots(x, weights, len(column.categories))
    order = np.argsort(x, kind="stable")
    values, first = np.unique(x[order], return_index=True)
    counts = np.add.reduceat(weights[order], first)
    lower = _bound(column.lower, values[0], -1)
    upper = _bound(column.upper, values[-1], 1)
    lattice = find_lattice(values, integer=column.kind == "integer")
    if len(values) == 1:
        return _constant(float(values[0]), float(counts.sum()), lattice, lower, upper)
    spread = _spread(values, counts)
    atoms = [] if lattice.step else find_repeats(values, counts, spread)
    width = _bandwidth(values, counts, spread)
    below, above = _ends(values, width if kind == "kernel" else 0.0, lattice, lower, upper)
    edges = _edges(values, counts, kind, lattice, atoms, (below, above))
    rows = float(counts.sum())
    own = _own_cells(edges, lattice, atoms)
    counted = _count(values, counts, edges)
    mass = counted + EMPTY
    if kind == "kernel":
        heavy = _heavy(counted, own)
        at = (np.searchsorted(edges, values, side="right") - 1).clip(0, len(own) - 1)
        loose = np.where(heavy[at], 0.0, counts)
        mass = _masses(values, loose, edges, width, (lower, upper))
        mass = _shrink(counted, mass, own, heavy)
    mass = np.maximum(mass, 1e-9 * rows / len(mass))
    closed = edges[0] <= lower, edges[-1] >= upper
    half = (TWO_VALUED if len(values) == 2 and lattice.step else 0.5) / (rows + 1)
    tails = (0.0 if closed[0] else half), (0.0 if closed[1] else half)
    mass = mass / mass.sum() * (1 - sum(tails))
    scales = _excess(-values[::-1], counts[::-1], spread), _excess(values, counts, spread)
    return Knots(edges, mass, tails, scales, lattice, own, lower, upper)


def _category_knots(codes: Floats, weights: Floats, count: int) -> Knots:
    """One cell for each category, with half a row more than it has (Krichevsky and Trofimov)."""
    counts = np.bincount(codes.astype(np.int64), weights, minlength=count)
    mass = np.asarray(counts + 0.5, np.float64)
    edges = np.arange(-0.5, count, dtype=np.float64)
    values = np.arange(count, dtype=np.float64)
    none = (0.0, 0.0)
    share: Floats = np.asarray(mass / mass.sum(), np.float64)
    return Knots(edges, share, none, (1.0, 1.0), Lattice(1.0), values, 0.0, count - 1.0)


def _bound(known: float | None, end: float, side: int) -> float:
    """A known bound that the data keep; infinite if there is none."""
    kept = known is not None and (end >= known if side < 0 else end <= known)
    return float(known) if kept and known is not None else side * math.inf


def _constant(value: float, rows: float, lattice: Lattice, lower: float, upper: float) -> Knots:
    """One cell around one value."""
    width = lattice.step or TINY * (abs(value) or 1.0)
    edges = np.array([value - width / 2, value + width / 2])
    if not edges[0] < edges[1]:
        edges = np.nextafter(value, np.array([-math.inf, math.inf]))
    half = 0.5 / (rows + 1)
    closed = edges[0] <= lower, edges[1] >= upper
    tails = (0.0 if closed[0] else half), (0.0 if closed[1] else half)
    mass = np.array([1 - sum(tails)])
    return Knots(edges, mass, tails, (width, width), lattice, np.array([value]), lower, upper)


def _spread(values: Floats, counts: Floats) -> float:
    """Standard deviation, or the interquartile range's equivalent where that is less (not 0)."""
    span = values[-1] - values[0]
    u = (values - values[0]) / span
    total = counts.sum()
    deviation = math.sqrt(max(float(counts @ (u - counts @ u / total) ** 2) / total, 1e-300))
    ranks = counts.cumsum() / total
    low, high = (u[np.searchsorted(ranks, q)] for q in (0.25, 0.75))
    robust = float(high - low) / 1.349
    return float(span) * (min(deviation, robust) if robust > 0 else deviation)


def _bandwidth(values: Floats, counts: Floats, spread: float) -> float:
    """Silverman's."""
    return float(0.9 * spread * counts.sum() ** -0.2)


def _ends(
    values: Floats, width: float, lattice: Lattice, lower: float, upper: float
) -> tuple[float, float]:
    """Where the knots end: at a bound, or beyond the outermost rows."""
    span = (values[-1] - values[0]) / max(len(values) - 1, 1)
    beyond = REACH * width if width else span / 2
    low, high = max(values[0] - beyond, lower), min(values[-1] + beyond, upper)
    if lattice.step:
        low, high = (float(v) for v in lattice.snap(np.array([low, high])))
        low, high = min(low, values[0]), max(high, values[-1])
        return low - lattice.step / 2, high + lattice.step / 2
    return float(low), float(high)


def _edges(
    values: Floats,
    counts: Floats,
    kind: str,
    lattice: Lattice,
    atoms: list[tuple[float, float, float]],
    ends: tuple[float, float],
) -> Floats:
    """Knots between order statistics, and around cells."""
    rows = float(counts.sum())
    if lattice.step and kind == "kernel":
        return _lattice_edges(values, counts, lattice, ends)
    grid = np.array([])
    number = min(MOST - 2 * len(atoms) - 2, math.ceil(3 * math.sqrt(rows)))
    if kind == "kernel":
        grid = np.linspace(*ends, (MOST - 2 * len(atoms) - 2) // 4)
        number = MOST - 2 * len(atoms) - 2 - len(grid)
    middles = values[:-1] + (values[1:] - values[:-1]) / 2
    if lattice.step:
        middles = lattice.snap(middles) + lattice.step / 2
        middles = np.where(middles > values[1:], middles - lattice.step, middles)
    ranks = counts.cumsum()[:-1]
    chosen = np.searchsorted(ranks, np.linspace(0, rows, number + 2)[1:-1])
    edges = np.concatenate([grid, middles[np.unique(chosen.clip(0, len(middles) - 1))], ends])
    if lattice.step:
        common = values[counts >= max(HEAVY * rows, 2)][: MOST // 4]
        half = lattice.step / 2
        edges = np.concatenate([edges, common - half, common + half])
    for _, low, high in atoms:
        edges = edges[(edges <= low) | (edges >= high)]
    edges = np.concatenate([edges, *([low, high] for _, low, high in atoms)])
    low, high = ends[0], ends[1]
    if atoms:  # a cell at a known bound reaches half its width beyond
        low, high = min(low, atoms[0][1]), max(high, atoms[-1][2])
    if lattice.step:
        edges = low + lattice.step * np.unique(np.round((edges - low) / lattice.step))
    edges = np.unique(edges)
    return np.asarray(edges[(edges >= low) & (edges <= high)])


def _lattice_edges(
    values: Floats, counts: Floats, lattice: Lattice, ends: tuple[float, float]
) -> Floats:
    """Edges of cells: of all if there are few, else of common values and between quantiles."""
    step, low, high = lattice.step, *ends
    number = round((high - low) / step)
    if number < MOST:
        return np.asarray(low + step * np.arange(number + 1))
    common = values[counts >= max(HEAVY * counts.sum(), 2)]
    spare = MOST - 2 * len(common) - 2
    quantiles = np.searchsorted(counts.cumsum(), np.linspace(0, counts.sum(), spare // 2))
    at = np.concatenate(
        [values[quantiles.clip(0, len(values) - 1)], np.linspace(low, high, spare // 2)]
    )
    edges = lattice.snap(at) + step / 2
    edges = np.concatenate([edges, common - step / 2, common + step / 2, [low, high]])
    cells = np.unique(np.round((edges - low) / step))
    return np.asarray(low + step * cells[(cells >= 0) & (cells <= number)])


def _own_cells(edges: Floats, lattice: Lattice, atoms: list[tuple[float, float, float]]) -> Floats:
    """The value of each interval that is one cell (m,); NaN for others."""
    own = np.full(len(edges) - 1, math.nan)
    if lattice.step:
        single = np.diff(edges) < 1.5 * lattice.step
        middle = lattice.snap((edges[:-1] + edges[1:]) / 2)
        own[single] = middle[single]
    for value, low, _ in atoms:
        own[np.searchsorted(edges, low)] = value
    return own


def _heavy(counted: Floats, own: Floats) -> NDArray[np.bool_]:
    """Which cells (m,) are common values among others that have no cell of their own.

    Their mass is counted, and not part of the kernel density, which would spread it over its
    neighbours.
    """
    cells = np.isfinite(own)
    if cells.all():
        return np.zeros(len(own), bool)
    heavy = cells & (counted >= max(HEAVY * counted.sum(), 2))
    return heavy if counted[~heavy].any() else np.zeros(len(own), bool)


def _masses(
    values: Floats, counts: Floats, edges: Floats, width: float, bounds: tuple[float, float]
) -> Floats:
    """Rows that a kernel density puts between the edges (m,)."""
    from scipy.special import ndtr  # here, as models of images and their samples do without it

    centres, weights = _centres(values[counts > 0], counts[counts > 0])
    pilot = _density(centres, weights, np.full(len(centres), width))
    mean = np.exp(weights @ np.log(pilot) / weights.sum())
    widths = width * np.sqrt(mean / pilot).clip(*LOCAL)
    total = np.zeros(len(edges))
    for points in [centres, *(2 * bound - centres for bound in bounds if math.isfinite(bound))]:
        for some in np.array_split(np.arange(len(points)), max(1, len(points) // 256)):
            z = (edges[:, None] - points[some]) / widths[some]
            total += ndtr(z) @ weights[some]
    return np.maximum(np.diff(total), 0.0)


def _centres(values: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Distinct values and their weights; means of neighbours by rank if there are many."""
    if len(values) <= CENTRES:
        return values, counts
    ranks = counts.cumsum() - counts / 2
    group = np.minimum((ranks * (CENTRES / counts.sum())).astype(np.int64), CENTRES - 1)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    weights = np.add.reduceat(counts, starts)
    origin = values[starts]
    inside = values - np.repeat(origin, np.diff(np.append(starts, len(values))))
    return origin + np.add.reduceat(counts * inside, starts) / weights, weights


def _density(x: Floats, weights: Floats, widths: Floats) -> Floats:
    """A kernel density at its own centres, per unit, up to a constant."""
    density = np.zeros(len(x))
    for some in np.array_split(np.arange(len(x)), max(1, len(x) // 256)):
        z = (x[:, None] - x[some]) / widths[some]
        density += np.exp(-0.5 * z**2) @ weights[some]
    return density


def _count(values: Floats, counts: Floats, edges: Floats) -> Floats:
    """Rows between the edges (m,)."""
    total = np.concatenate([[0.0], counts.cumsum()])
    at = np.searchsorted(values, edges[1:-1], side="left")
    return np.diff(total[np.concatenate([[0], at, [len(values)]])])


def _shrink(counted: Floats, smooth: Floats, own: Floats, heavy: NDArray[np.bool_]) -> Floats:
    """Counts of heavy cells, the kernel density's mass of others.

    If all intervals are cells, counts shrunk towards it.
    """
    if np.isfinite(own).all():
        strength, rows = float(len(own)), counted.sum()
        share = smooth / smooth.sum()
        return np.asarray(rows * (counted + strength * share) / (rows + strength))
    rest = counted[~heavy].sum() / smooth[~heavy].sum()
    return np.where(heavy, counted, smooth * rest)


def _excess(values: Floats, counts: Floats, spread: float) -> float:
    """Mean distance of the highest rows from where they begin, at least a tenth of the spread."""
    ranks = counts[::-1].cumsum()
    first = len(values) - 1 - int(np.searchsorted(ranks, TAIL_SHARE * ranks[-1]))
    first = max(min(first, len(values) - 2), 0)
    tail, weights = values[first:] - values[first], counts[first:]
    return float(max(weights @ tail / weights.sum(), spread / 10))
