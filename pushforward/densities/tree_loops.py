"""Loops that sum the bumps that matter at each query (see `tree_sums` for the rules).

Logarithms and exponents are to base 2.
"""

from __future__ import annotations

import math

import numpy as np

from pushforward.core.compiled import inlined, loop
from pushforward.densities.trees import KERNELS, Tree

__all__ = ["sum_compact", "sum_unbounded"]

GAUSSIAN, _, EPANECHNIKOV, TOPHAT, TRIANGULAR, BIWEIGHT, _ = range(len(KERNELS))

DEPTH = 128  # nodes waiting at a time, two for each level
ABOVE = 30.0  # how far terms may lie above the reference
INSIDE = 1.0 - 1e-6  # share of the square of the support that is inside for certain
# Taylor coefficients of 2^f, |f| <= 1/2, to 3e-13
E1, E2, E3, E4, E5, E6, E7, E8, E9, E10 = (
    math.log(2) ** k / math.factorial(k) for k in range(1, 11)
)
# Taylor coefficients of sin(pi t / 2) / t in t^2
S0, S1, S2, S3, S4, S5, S6, S7, S8, S9 = (
    (-1) ** k * (math.pi / 2) ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(10)
)


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
def _squares(leaf: np.ndarray, query: np.ndarray, out: np.ndarray) -> None:
    """Squared distances of a leaf's bumps (d, size)."""
    size, d, p = len(out), len(leaf), query[0]
    if d == 1:
        for i in range(size):
            u = leaf[0, i] - p
            out[i] = u * u
        return
    q = query[1]
    if d == 2:
        for i in range(size):
            u, v = leaf[0, i] - p, leaf[1, i] - q
            out[i] = u * u + v * v
        return
    r = query[2]
    for i in range(size):
        u, v, w = leaf[0, i] - p, leaf[1, i] - q, leaf[2, i] - r
        out[i] = u * u + v * v + w * w
    for axis in range(3, d):
        p = query[axis]
        for i in range(size):
            u = leaf[axis, i] - p
            out[i] += u * u


@loop
def _sum_of_distances(leaf: np.ndarray, query: np.ndarray, out: np.ndarray) -> None:
    """Distances along the axes, added."""
    out[:] = 0.0
    for axis in range(len(leaf)):
        at = query[axis]
        for i in range(len(out)):
            out[i] += abs(leaf[axis, i] - at)


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
def _near(boxes: np.ndarray, node: int, query: np.ndarray, separable: bool, compact: bool) -> float:
    """Least distance of a node's box: squared, or for products added or the largest."""
    total = 0.0
    for axis in range(len(query)):
        gap = max(boxes[node, axis, 0] - query[axis], query[axis] - boxes[node, axis, 1], 0.0)
        if not separable:
            total += gap * gap
        elif compact:
            total = max(total, gap)
        else:
            total += gap
    return total


@inlined
def _far(boxes: np.ndarray, node: int, query: np.ndarray, separable: bool) -> float:
    """Square of the largest distance of a node's box, for products along an axis."""
    total = 0.0
    for axis in range(len(query)):
        gap = max(query[axis] - boxes[node, axis, 0], boxes[node, axis, 1] - query[axis])
        total = max(total, gap * gap) if separable else total + gap * gap
    return total


@loop
def _energies(
    leaf: np.ndarray, query: np.ndarray, skip: int, rooted: bool, separable: bool, out: np.ndarray
) -> None:
    """Energies of a leaf's bumps, but for a factor; that of the place `skip` is infinite."""
    if separable:
        _sum_of_distances(leaf, query, out)
    else:
        _squares(leaf, query, out)
    if skip >= 0:
        out[skip] = math.inf
    if rooted:
        for i in range(len(out)):
            out[i] = math.sqrt(out[i])


@loop
def _times(values: np.ndarray, factors: np.ndarray) -> None:
    for i in range(len(values)):
        values[i] *= factors[i]


@loop
def _lift(values: np.ndarray, factor: float, heights: np.ndarray) -> None:
    for i in range(len(values)):
        values[i] = values[i] * factor + heights[i]


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
def _sum_near(leaf: np.ndarray, query: np.ndarray, factor: float, reference: float) -> float:
    """The sum of equal Gaussian bumps of a leaf, in up to three dimensions, in one pass."""
    total, size, p = 0.0, leaf.shape[1], query[0]
    if len(leaf) == 1:
        for i in range(size):
            u = leaf[0, i] - p
            total += _exp2(u * u * factor - reference)
        return total
    q = query[1]
    if len(leaf) == 2:
        for i in range(size):
            u, v = leaf[0, i] - p, leaf[1, i] - q
            total += _exp2((u * u + v * v) * factor - reference)
        return total
    r = query[2]
    for i in range(size):
        u, v, w = leaf[0, i] - p, leaf[1, i] - q, leaf[2, i] - r
        total += _exp2((u * u + v * v + w * w) * factor - reference)
    return total


@loop
def sum_unbounded(
    tree: Tree,
    queries: np.ndarray,
    order: np.ndarray,
    skip: np.ndarray,
    out: np.ndarray,
    leaves: np.ndarray,
    start: int,
    stop: int,
) -> None:
    """Logs of the sums at queries (m, d) of a Gaussian or exponential kernel.

    Those at places start to stop of `order` (m,), in which neighbours share what is in the cache.
    `skip` (m,) is the place left out, -1 for none; `leaves` (m,) counts the leaves summed.
    """
    # unpacked: each reading of an array in a tuple counts its references
    cells, boxes, reach, heights, widths = tree[0], tree[1], tree[2], tree[3], tree[4]
    separable, slack = tree.separable, tree.slack
    rooted = tree.kernel != GAUSSIAN and not separable
    plain = not (rooted or separable or len(heights) or len(widths)) and len(cells[0]) <= 3
    inner, size = len(boxes) // 2, cells.shape[2]
    terms, stack, bounds = np.empty(size), np.empty(DEPTH, np.int64), np.empty(DEPTH)
    for i in order[start:stop]:
        query, home = queries[i], skip[i] // size
        reference, total, floor = -math.inf, 0.0, -math.inf
        waiting, visited = 1, 0
        stack[0], bounds[0] = 0, 0.0
        while waiting:
            waiting -= 1
            node, bound = stack[waiting], bounds[waiting]
            if bound < floor:
                continue
            if node < inner:
                one = 2 * node + 1
                near = _near(boxes, one, query, separable, False)
                far = _near(boxes, one + 1, query, separable, False)
                if rooted:
                    near, far = math.sqrt(near), math.sqrt(far)
                near, far, two = -reach[one] * near, -reach[one + 1] * far, one + 1
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
            leaf, factor = node - inner, -reach[0]
            if plain and leaf != home and bound <= reference + ABOVE:
                total += _sum_near(cells[leaf], query, factor, reference)
                floor = reference + math.log2(total) + slack
                continue
            place = skip[i] - leaf * size if leaf == home else -1
            _energies(cells[leaf], query, place, rooted, separable, terms)
            if len(widths):
                _times(terms, widths[leaf])
                factor = -1.0
            if len(heights):
                _lift(terms, factor, heights[leaf])
                factor = 1.0
            if bound > reference + ABOVE:
                top = _largest(terms, factor)
                if top == -math.inf:
                    continue
                if top > reference:
                    total = total * 2.0 ** (reference - top) if total > 0 else 0.0
                    reference = top
            total += _sum_exp2(terms, factor, reference)
            floor = reference + math.log2(total) + slack
        out[i], leaves[i] = reference + math.log2(total), visited


@loop
def _values(
    leaf: np.ndarray,
    query: np.ndarray,
    kernel: int,
    separable: bool,
    width: float,
    widths: np.ndarray,
    out: np.ndarray,
    part: np.ndarray,
) -> None:
    """k of a leaf's scaled differences, 0 in empty places; equal widths if `widths` is empty."""
    size = len(out)
    if not separable:
        _squares(leaf, query, out)
        for i in range(size):
            out[i] = math.sqrt(out[i])
        _scale(out, width, widths)
        _profile(kernel, out)
        return
    out[:] = 1.0
    for axis in range(len(query)):
        at = query[axis]
        for i in range(size):
            part[i] = abs(leaf[axis, i] - at)
        _scale(part, width, widths)
        _profile(kernel, part)
        for i in range(size):
            out[i] *= part[i]


@loop
def _scale(distances: np.ndarray, width: float, widths: np.ndarray) -> None:
    """Distances over the bandwidths."""
    if len(widths):
        for i in range(len(distances)):
            distances[i] /= widths[i]
    else:
        for i in range(len(distances)):
            distances[i] /= width


@loop
def _total(values: np.ndarray) -> float:
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@loop
def _add_values(
    heights: np.ndarray, values: np.ndarray, reference: float, total: float
) -> tuple[float, float]:
    """The sum with a leaf's values, and its reference: the log of its largest height."""
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
def _whole(moments: np.ndarray, node: int, query: np.ndarray, kernel: int, width: float) -> float:
    """The sum over a node inside the supports, from its moments."""
    if kernel == TOPHAT:
        return moments[node, 0]
    square = moments[node, 1]
    for axis in range(len(query)):
        away = moments[node, 2 + axis] - query[axis]
        square += away * away
    return moments[node, 0] * (1.0 - square / (width * width))


@inlined
def _holds(node: int, leaf: int) -> bool:
    """Whether a leaf is below a node, or is it."""
    while leaf > node:
        leaf = (leaf - 1) // 2
    return leaf == node


@loop
def sum_compact(
    tree: Tree,
    queries: np.ndarray,
    order: np.ndarray,
    skip: np.ndarray,
    out: np.ndarray,
    leaves: np.ndarray,
    start: int,
    stop: int,
) -> None:
    """As `sum_unbounded`, of a kernel with a support of one bandwidth; all of it, exactly."""
    cells, boxes, reach, heights, widths = tree[0], tree[1], tree[2], tree[3], tree[4]
    moments, kernel, separable, width = tree.moments, tree.kernel, tree.separable, reach[0]
    inner = len(boxes) // 2
    size = cells.shape[2]
    most_inside = INSIDE * width * width
    values, part, stack = np.empty(size), np.empty(size), np.empty(DEPTH, np.int64)
    for i in order[start:stop]:
        query, left_out, home = queries[i], skip[i], skip[i] // size
        reference = -math.inf if len(heights) else 0.0
        total, waiting, visited = 0.0, 1, 0
        stack[0] = 0
        while waiting:
            waiting -= 1
            node = stack[waiting]
            most = reach[node] * (1.0 + 1e-12)
            if _near(boxes, node, query, separable, True) > (most if separable else most * most):
                continue
            inside = len(moments) > 0 and _far(boxes, node, query, separable) < most_inside
            if inside and (left_out < 0 or not _holds(node, inner + home)):
                total += _whole(moments, node, query, kernel, width)
                continue
            if node < inner:
                stack[waiting], stack[waiting + 1] = 2 * node + 1, 2 * node + 2
                waiting += 2
                continue
            visited += 1
            leaf = node - inner
            here = widths[leaf : leaf + 1].ravel()
            _values(cells[leaf], query, kernel, separable, width, here, values, part)
            if leaf == home:
                values[left_out - leaf * size] = 0.0
            if len(heights):
                reference, total = _add_values(heights[leaf], values, reference, total)
            else:
                total += _total(values)
        out[i], leaves[i] = reference + math.log2(total), visited
