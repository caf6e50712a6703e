"""Topological maps (Mapper): the shape of data as a graph of overlapping clusters.

    f: x -> R or R²                      a lens, such as a principal component
    U_i                                  intervals that cover its range and overlap
    clusters of f^-1(U_i)                the nodes: single linkage, cut at the widest gap
    an edge where two nodes share rows

Loops and branches of the graph are those of the data, seen at the resolution of the cover.

References:
    Singh, Mémoli & Carlsson (2007), Topological methods for the analysis of high dimensional data
    sets and 3D object recognition, §4. https://doi.org/10.2312/SPBG/SPBG07/091-100
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, ShapeMismatch

__all__ = ["TopologicalMap", "map_topology"]

MOST_PER_CELL = 4000
"""Rows of one cell of the cover whose distances fit into 130 MB."""
SHORT = 2.0
"""Links up to this multiple of the median link are no gap: on a lattice all are nearly equal."""


@dataclass(frozen=True)
class TopologicalMap:
    """A graph over rows.

    Args:
        nodes: the rows of each node, positions (m,).
        edges: pairs of nodes that share rows, the smaller first.
    """

    nodes: tuple[Tensor, ...]
    edges: tuple[tuple[int, int], ...]

    def means(self, values: Observations) -> Tensor:
        """Means over each node of values (n, …): (nodes, …), float64."""
        table = torch.as_tensor(np.asarray(values), dtype=torch.float64)
        return torch.stack([table[rows].mean(0) for rows in self.nodes])

    def loops(self) -> int:
        """The number of independent loops: edges - nodes + pieces."""
        return len(self.edges) - len(self.nodes) + self.pieces()

    def pieces(self) -> int:
        """The number of connected pieces."""
        home = list(range(len(self.nodes)))
        for a, b in self.edges:
            old, new = home[b], home[a]
            home = [new if each == old else each for each in home]
        return len(set(home))


def map_topology(
    x: Observations,
    lens: Observations,
    *,
    intervals: int = 10,
    overlap: float = 0.3,
    bins: int = 10,
    least: int = 3,
) -> TopologicalMap:
    """The graph of rows x (n, …) over a lens (n,) or (n, 1 or 2).

    Args:
        intervals: of equal length that cover each axis of the lens.
        overlap: the part of an interval that the next one shares, from 0 to below 1.
        bins: of the histogram of link lengths, whose first empty bin ends a cluster; the more, the
            more clusters.
        least: rows below which a node is left out.

    Raises:
        InvalidValue, ShapeMismatch: For arguments that do not fit.
    """
    table = np.asarray(x, dtype=np.float64)
    table = table.reshape(len(table), -1)
    values = np.asarray(lens, dtype=np.float64)
    values = values.reshape(len(values), -1)
    _check(table, values, intervals, overlap, bins, least)
    found = [
        rows[group == k]
        for rows in _cover(values, intervals, overlap)
        for group in [_clusters(table[rows], bins)]
        for k in range(group.max(initial=-1) + 1)
    ]
    nodes = [each for each in found if len(each) >= least]
    members = [set(each.tolist()) for each in nodes]
    edges = [
        (a, b)
        for a, b in itertools.combinations(range(len(nodes)), 2)
        if not members[a].isdisjoint(members[b])
    ]
    return TopologicalMap(tuple(torch.from_numpy(each) for each in nodes), tuple(edges))


def _check(
    table: NDArray[Any], values: NDArray[Any], intervals: int, overlap: float, bins: int, least: int
) -> None:
    if len(values) != len(table):
        raise ShapeMismatch(
            f"expected a number of the lens per row, got {len(table)} rows, but a lens of"
            f" {len(values)}"
        )
    if values.shape[1] not in (1, 2):
        raise ShapeMismatch(
            f"a lens has one or two numbers per row, got {values.shape[1]}; pass two components"
        )
    if not (np.isfinite(table).all() and np.isfinite(values).all()):
        raise InvalidValue("rows and lens must be finite; fill or leave out rows with gaps first")
    for name, count in (("intervals", intervals), ("bins", bins), ("least", least)):
        if count < 1:
            raise InvalidValue(f"{name} must be at least 1, got {count}")
    if not 0 <= overlap < 1:
        raise InvalidValue(f"overlap must be from 0 to below 1, got {overlap}")


def _cover(values: NDArray[Any], intervals: int, overlap: float) -> list[NDArray[Any]]:
    """The rows of each cell of the cover that has any."""
    low, high = values.min(0), values.max(0)
    step = (high - low) / (intervals - overlap * (intervals - 1))  # length of an interval
    starts = [low + i * (1 - overlap) * step for i in range(intervals)]
    slack = 1e-9 * (high - low)  # the last interval ends at the largest value, up to rounding
    cells = []
    for place in itertools.product(range(intervals), repeat=values.shape[1]):
        start = np.array([starts[i][axis] for axis, i in enumerate(place)])
        inside = (values >= start - slack) & (values <= start + step + slack)
        rows = np.flatnonzero(inside.all(1))
        if len(rows) > MOST_PER_CELL:
            raise InvalidValue(
                f"a cell of the cover has {len(rows)} rows, more than {MOST_PER_CELL}; use more"
                " intervals, or fewer rows"
            )
        if len(rows):
            cells.append(rows)
    return cells


def _clusters(rows: NDArray[Any], bins: int) -> NDArray[Any]:
    """The cluster of each row (m,), by single linkage cut at the first gap of link lengths."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(rows) < 2:
        return np.zeros(len(rows), dtype=int)
    tree = linkage(rows, "single")
    lengths = tree[:, 2]
    if lengths[-1] - lengths[0] <= 1e-9 * lengths[-1]:
        return np.zeros(len(rows), dtype=int)
    counts, edges = np.histogram(lengths, bins)
    empty = np.flatnonzero(counts == 0)
    cut = edges[empty[0]] if len(empty) else lengths[-1]
    cut = max(cut, SHORT * np.median(lengths))
    groups: NDArray[Any] = fcluster(tree, cut, "distance").astype(int) - 1
    return groups
