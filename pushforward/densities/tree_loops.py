"""Loops that sum the bumps that matter at each query (see `tree_sums` for the rules).

Logarithms and exponents are to base 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pushforward.core.compiled import inlined, loop

__all__ = ["KERNELS", "Tree", "sum_compact", "sum_unbounded"]

KERNELS = ("gaussian", "exponential", "epanechnikov", "tophat", "triangular", "biweight", "cosine")
"""Kernels by number."""
GAUSSIAN, EPANECHNIKOV, TOPHAT, TRIANGULAR, BIWEIGHT = 0, 2, 3, 4, 5

DEPTH = 128  # nodes waiting at a time, two for each level
ABOVE = 30.0  # how far terms may lie above the reference
# Taylor coefficients of 2^f, |f| <= 1/2, to 3e-13
E1, E2, E3, E4, E5, E6, E7, E8, E9, E10 = (math.log(2) ** k / math.factorial(k) for k in range(1, 11))
# Taylor coefficients of sin(pi t / 2) / t in t^2
S0, S1, S2, S3, S4, S5, S6, S7, S8, S9 = (
    (-1) ** k * (math.pi / 2) ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(10)
)


class Tree(NamedTuple):
    """Bumps in leaves, as the loops take them.

    Args:
        cells: (d, leaves size) coordinates, infinite in empty places.
        boxes: (nodes, d, 2) ends; node k has the children 2 k + 1 and 2 k + 2, leaves are last.
        reach: (nodes,) of the widest bump: of its energy at distance 1, or its bandwidth (compact).
        heights: (leaves size,) logs of the bumps' heights over the largest; empty if all are equal.
        widths: (leaves size,) as `reach`, of each bump; empty if all are equal.
        moments: (nodes, 2 + d) count, mean squared distance from the mean, and mean; or empty.
        kernel: number in `KERNELS`.
        separable: whether the kernel is a product over the axes.
        slack: log of the share of the sum that a unit of height may lose.
    """

    cells: np.ndarray
    boxes: np.ndarray
    reach: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    moments: np.ndarray
    kernel: int
    separable: bool
    slack: float


@inlined
def _exp2(y: float) -> float:
    """2^y for y <= 1000; below -1000 it is that. Array loops over it use vector instructions."""
    y = max(y, -1000.0)
    whole = math.floor(y + 0.5)
    f = y - whole
    p = E10 * f + E9
    p = p * f + E8
    p = p * f + E7
    p = p * f + E6
    p = p * f + E5
    p = p * f + E4
    p = p * f + E3
    p = p * f + E2
    p = p * f + E1
    p = p * f + 1.0
    bits = np.int64(np.int32(whole) + np.int32(1023)) << np.int64(52)
    return p * np.int64(bits).view(np.float64)


@inlined
def _cosine(t: float) -> float:
    """sin(pi t / 2), 0 <= t <= 1: cos(pi r / 2) at r = 1 - t, accurate where it is small."""
    s = t * t
    p = S9 * s + S8
    p = p * s + S7
    p = p * s + S6
    p = p * s + S5
    p = p * s + S4
    p = p * s + S3
    p = p * s + S2
    p = p * s + S1
    return t * (p * s + S0)


@loop
def _squares(cells: np.ndarray, first: int, query: np.ndarray, out: np.ndarray) -> None:
    """Squared distances of a leaf's bumps."""
    size, d = len(out), len(cells)
    if d == 1:
        for i in range(size):
            u = cells[0, first + i] - query[0]
            out[i] = u * u
        return
    for i in range(size):
        u = cells[0, first + i] - query[0]
        v = cells[1, first + i] - query[1]
        out[i] = u * u + v * v
    for axis in range(2, d):
        at = query[axis]
        for i in range(size):
            u = cells[axis, first + i] - at
            out[i] += u * u


@loop
def _sum_of_distances(cells: np.ndarray, first: int, query: np.ndarray, out: np.ndarray) -> None:
    """Distances along the axes, added."""
    out[:] = 0.0
    for axis in range(len(cells)):
        at = query[axis]
        for i in range(len(out)):
            out[i] += abs(cells[axis, first + i] - at)


@loop
def _profile(kernel: int, r: np.ndarray) -> None:
    """k(r) in place of r, for a compact kernel."""
    if kernel == EPANECHNIKOV:
        for i in range(len(r)):
            r[i] = 1.0 - r[i] * r[i] if r[i] < 1.0 else 0.0
    elif kernel == TOPHAT:
        for i in range(len(r)):
            r[i] = 1.0 if r[i] < 1.0 else 0.0
    elif kernel == TRIANGULAR:
        for i in range(len(r)):
            r[i] = 1.0 - r[i] if r[i] < 1.0 else 0.0
    elif kernel == BIWEIGHT:
        for i in range(len(r)):
            s = 1.0 - r[i] * r[i] if r[i] < 1.0 else 0.0
            r[i] = s * s
    else:
        for i in range(len(r)):
            r[i] = _cosine(1.0 - r[i]) if r[i] < 1.0 else 0.0


@inlined
def _near(tree: Tree, node: int, query: np.ndarray, compact: bool) -> float:
    """Least distance of a node's box: squared, or for products added or the largest."""
    total = 0.0
    for axis in range(len(query)):
        gap = max(tree.boxes[node, axis, 0] - query[axis], query[axis] - tree.boxes[node, axis, 1])
        gap = max(gap, 0.0)
        if not tree.separable:
            total += gap * gap
        elif compact:
            total = max(total, gap)
        else:
            total += gap
    return total


@inlined
def _log_bound(tree: Tree, node: int, query: np.ndarray) -> float:
    """Log of the most that a bump of the largest height can give, of those of a node."""
    near = _near(tree, node, query, False)
    if tree.kernel != GAUSSIAN and not tree.separable:
        near = math.sqrt(near)
    return -tree.reach[node] * near


@loop
def _fill_energies(tree: Tree, leaf: int, query: np.ndarray, skip: int, out: np.ndarray) -> float:
    """A leaf's terms: their logs are the factor returned times `out`."""
    size = len(out)
    first = leaf * size
    if tree.separable:
        _sum_of_distances(tree.cells, first, query, out)
    else:
        _squares(tree.cells, first, query, out)
    if first <= skip < first + size:
        out[skip - first] = math.inf
    if tree.kernel != GAUSSIAN and not tree.separable:
        for i in range(size):
            out[i] = math.sqrt(out[i])
    factor = -tree.reach[0]
    if len(tree.widths):
        factor = -1.0
        for i in range(size):
            out[i] *= tree.widths[first + i]
    if len(tree.heights):
        for i in range(size):
            out[i] = out[i] * factor + tree.heights[first + i]
        factor = 1.0
    return factor


@loop
def _largest(values: np.ndarray, factor: float) -> float:
    top = -math.inf
    for i in range(len(values)):
        top = max(top, factor * values[i])
    return top


@loop
def _sum_exp2(values: np.ndarray, factor: float, reference: float) -> float:
    total = 0.0
    for i in range(len(values)):
        total += _exp2(values[i] * factor - reference)
    return total


@loop
def _unbounded(
    tree: Tree,
    query: np.ndarray,
    skip: int,
    terms: np.ndarray,
    stack: np.ndarray,
    bounds: np.ndarray,
) -> tuple[float, int]:
    """Log of the sum at one query, and the number of leaves summed."""
    inner = len(tree.boxes) // 2
    reference, total, floor = -math.inf, 0.0, -math.inf
    waiting, visited = 1, 0
    stack[0], bounds[0] = 0, 0.0
    while waiting:
        waiting -= 1
        node, bound = stack[waiting], bounds[waiting]
        if bound < floor:
            continue
        if node < inner:
            one, two = 2 * node + 1, 2 * node + 2
            near, far = _log_bound(tree, one, query), _log_bound(tree, two, query)
            if near < far:
                one, two, near, far = two, one, far, near
            if far >= floor:
                stack[waiting], bounds[waiting] = two, far
                waiting += 1
            if near >= floor:
                stack[waiting], bounds[waiting] = one, near
                waiting += 1
            continue
        visited += 1
        factor = _fill_energies(tree, node - inner, query, skip, terms)
        if bound > reference + ABOVE:
            top = _largest(terms, factor)
            if top == -math.inf:
                continue
            if top > reference:
                total = total * 2.0 ** (reference - top) if total > 0 else 0.0
                reference = top
        total += _sum_exp2(terms, factor, reference)
        floor = reference + math.log2(total) + tree.slack
    return reference + math.log2(total), visited


@loop
def sum_unbounded(
    tree: Tree,
    queries: np.ndarray,
    skip: np.ndarray,
    out: np.ndarray,
    leaves: np.ndarray,
    start: int,
    stop: int,
) -> None:
    """Logs of the sums at queries (m, d), start to stop, of a Gaussian or exponential kernel.

    `skip` (m,) is the place left out, -1 for none; `leaves` (m,) counts the leaves summed.
    """
    terms = np.empty(tree.cells.shape[1] // (len(tree.boxes) // 2 + 1))
    stack, bounds = np.empty(DEPTH, np.int64), np.empty(DEPTH)
    for i in range(start, stop):
        out[i], leaves[i] = _unbounded(tree, queries[i], skip[i], terms, stack, bounds)


@loop
def _fill_values(tree: Tree, leaf: int, query: np.ndarray, skip: int, out: np.ndarray) -> None:
    """k of a leaf's scaled differences, 0 in empty places."""
    size, first = out.shape[1], leaf * out.shape[1]
    value, part = out[0], out[1]
    if not tree.separable:
        _squares(tree.cells, first, query, value)
        _scale(tree, first, True, value)
        _profile(tree.kernel, value)
    else:
        value[:] = 1.0
        for axis in range(len(query)):
            for i in range(size):
                part[i] = abs(tree.cells[axis, first + i] - query[axis])
            _scale(tree, first, False, part)
            _profile(tree.kernel, part)
            for i in range(size):
                value[i] *= part[i]
    if first <= skip < first + size:
        value[skip - first] = 0.0


@loop
def _scale(tree: Tree, first: int, squared: bool, out: np.ndarray) -> None:
    """Distances, or their squares, over the bandwidths."""
    if squared:
        for i in range(len(out)):
            out[i] = math.sqrt(out[i])
    if len(tree.widths):
        for i in range(len(out)):
            out[i] /= tree.widths[first + i]
    else:
        for i in range(len(out)):
            out[i] /= tree.reach[0]


@loop
def _add_values(
    tree: Tree, leaf: int, values: np.ndarray, reference: float, total: float
) -> tuple[float, float]:
    """The sum with a leaf's values, and its reference: the log of its largest height."""
    if len(tree.heights) == 0:
        for value in values:
            total += value
        return 0.0, total
    heights = tree.heights[leaf * len(values) : (leaf + 1) * len(values)]
    top = -math.inf
    for i in range(len(values)):
        top = max(top, heights[i] if values[i] > 0.0 else -math.inf)
    if top == -math.inf:
        return reference, total
    if top > reference:
        total = total * 2.0 ** (reference - top) if total > 0 else 0.0
        reference = top
    for i in range(len(values)):
        total += values[i] * _exp2(min(heights[i] - reference, 0.0))
    return reference, total


@inlined
def _within(tree: Tree, node: int, query: np.ndarray) -> bool:
    """Whether all of a node's box lies inside the bumps' supports."""
    most = 0.0
    for axis in range(len(query)):
        far = max(query[axis] - tree.boxes[node, axis, 0], tree.boxes[node, axis, 1] - query[axis])
        most = max(most, far * far) if tree.separable else most + far * far
    return most < (1.0 - 1e-6) * tree.reach[0] * tree.reach[0]


@inlined
def _whole(tree: Tree, node: int, query: np.ndarray) -> float:
    """The sum over a node inside the supports, from its moments."""
    if tree.kernel == TOPHAT:
        return tree.moments[node, 0]
    square = tree.moments[node, 1]
    for axis in range(len(query)):
        away = tree.moments[node, 2 + axis] - query[axis]
        square += away * away
    return tree.moments[node, 0] * (1.0 - square / (tree.reach[0] * tree.reach[0]))


@inlined
def _holds(tree: Tree, node: int, leaf: int) -> bool:
    """Whether a leaf, numbered from 0, is below a node or is it."""
    at = len(tree.boxes) // 2 + leaf
    while at > node:
        at = (at - 1) // 2
    return at == node


@loop
def _compact(
    tree: Tree, query: np.ndarray, skip: int, values: np.ndarray, stack: np.ndarray
) -> tuple[float, int]:
    """Log of the sum at one query, and the number of leaves summed."""
    inner, size = len(tree.boxes) // 2, values.shape[1]
    reference, total = -math.inf, 0.0
    waiting, visited = 1, 0
    stack[0] = 0
    while waiting:
        waiting -= 1
        node = stack[waiting]
        near, reach = _near(tree, node, query, True), tree.reach[node] * (1 + 1e-12)
        if near > (reach if tree.separable else reach * reach):
            continue
        if len(tree.moments) and _within(tree, node, query):
            if skip < 0 or not _holds(tree, node, skip // size):
                total, reference = total + _whole(tree, node, query), 0.0
                continue
        if node < inner:
            stack[waiting], stack[waiting + 1] = 2 * node + 1, 2 * node + 2
            waiting += 2
            continue
        visited += 1
        _fill_values(tree, node - inner, query, skip, values)
        reference, total = _add_values(tree, node - inner, values[0], reference, total)
    return reference + math.log2(total), visited


@loop
def sum_compact(
    tree: Tree,
    queries: np.ndarray,
    skip: np.ndarray,
    out: np.ndarray,
    leaves: np.ndarray,
    start: int,
    stop: int,
) -> None:
    """As `sum_unbounded`, of a kernel with a support of one bandwidth; all of it, exactly."""
    values = np.empty((2, tree.cells.shape[1] // (len(tree.boxes) // 2 + 1)))
    stack = np.empty(DEPTH, np.int64)
    for i in range(start, stop):
        out[i], leaves[i] = _compact(tree, queries[i], skip[i], values, stack)
