"""Loops that sum the bumps that matter at each query (see `tree_sums` for the rules).

Logarithms and exponents are to base 2.
"""

from __future__ import annotations

import math

import numpy as np

from pushforward.core.compiled import inlined, loop
from pushforward.densities.leaf_loops import (
    add_weighted,
    energies,
    largest,
    lift,
    profiles,
    sum_exp2,
    sum_gaussians,
    times,
    total_of,
)
from pushforward.densities.trees import KERNELS, Tree

__all__ = ["sum_compact", "sum_unbounded"]

GAUSSIAN, TOPHAT = KERNELS.index("gaussian"), KERNELS.index("tophat")
DEPTH = 128  # nodes waiting at a time, two for each level
ABOVE = 30.0  # how far terms may lie above the reference
INSIDE = 1.0 - 1e-6  # share of the square of the support that is inside for certain


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


@inlined
def _whole(moments: np.ndarray, node: int, query: np.ndarray, kernel: int, width: float) -> float:
    """The sum over a node inside the supports, from its moments."""
    count: float = moments[node, 0]
    square: float = moments[node, 1]
    if kernel == TOPHAT:
        return count
    for axis in range(len(query)):
        away = moments[node, 2 + axis] - query[axis]
        square += away * away
    return count * (1.0 - square / (width * width))


@inlined
def _holds(node: int, leaf: int) -> bool:
    """Whether a leaf is below a node, or is it."""
    while leaf > node:
        leaf = (leaf - 1) // 2
    return leaf == node


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
            below = reference > -math.inf and bound <= reference + ABOVE
            if plain and below and leaf != home:
                total += sum_gaussians(cells[leaf], query, factor, reference)
                floor = reference + math.log2(total) + slack
                continue
            place = skip[i] - leaf * size if leaf == home else -1
            energies(cells[leaf], query, place, rooted, separable, terms)
            if len(widths):
                times(terms, widths[leaf])
                factor = -1.0
            if len(heights):
                lift(terms, factor, heights[leaf])
                factor = 1.0
            if not below:
                top = largest(terms, factor)
                if top == -math.inf:
                    continue
                if top > reference:
                    total = total * 2.0 ** (reference - top) if total > 0 else 0.0
                    reference = top
            total += sum_exp2(terms, factor, reference)
            floor = reference + math.log2(total) + slack
        out[i], leaves[i] = reference + math.log2(total), visited


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
            profiles(cells[leaf], query, kernel, separable, width, here, values, part)
            if leaf == home:
                values[left_out - leaf * size] = 0.0
            if len(heights):
                reference, total = add_weighted(heights[leaf], values, reference, total)
            else:
                total += total_of(values)
        out[i], leaves[i] = reference + math.log2(total), visited
