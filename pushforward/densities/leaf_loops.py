"""Loops over the bumps of a leaf: distances, profiles and their sums, by vector instructions.

Logarithms and exponents are to base 2. Leaves are (d, size), infinite in empty places.
"""

from __future__ import annotations

import math

import numpy as np

from pushforward.core.compiled import inlined, loop
from pushforward.densities.trees import KERNELS

__all__ = [
    "add_weighted",
    "energies",
    "largest",
    "lift",
    "profiles",
    "sum_exp2",
    "sum_gaussians",
    "times",
    "total_of",
]

_, _, EPANECHNIKOV, TOPHAT, TRIANGULAR, BIWEIGHT, _ = range(len(KERNELS))
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
    scale: float = np.int64(bits).view(np.float64)
    return p * scale


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
    sine: float = t * (p * s + S0)
    return sine


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


@loop
def energies(
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
def times(values: np.ndarray, factors: np.ndarray) -> None:
    """Multiply in place."""
    for i in range(len(values)):
        values[i] *= factors[i]


@loop
def lift(values: np.ndarray, factor: float, heights: np.ndarray) -> None:
    """Multiply by a factor and add heights, in place."""
    for i in range(len(values)):
        values[i] = values[i] * factor + heights[i]


@loop
def largest(values: np.ndarray, factor: float) -> float:
    """The largest number, all multiplied by a factor."""
    top = -math.inf
    for i in range(len(values)):
        top = max(top, factor * values[i])
    return top


@loop
def sum_exp2(values: np.ndarray, factor: float, reference: float) -> float:
    """The sum of 2^(factor value - reference)."""
    total = 0.0
    for i in range(len(values)):
        total += _exp2(values[i] * factor - reference)
    return total


@loop
def sum_gaussians(leaf: np.ndarray, query: np.ndarray, factor: float, reference: float) -> float:
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
def profiles(
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
def total_of(values: np.ndarray) -> float:
    """The sum."""
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@loop
def add_weighted(
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
