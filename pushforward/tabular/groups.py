r"""Groups of table rows described: what is high, low or frequent in each, against all other rows.

Of numbers, the difference of means in pooled standard deviations (Cohen's d); of categories and of
gaps, the difference of shares on the arcsine scale (Cohen's h = 2 asin √p - 2 asin √q). Worth
saying is what is at least `LARGE` or `FREQUENT`, and three standard errors from nothing; as the
groups were found in the same rows, the latter is no test, but keeps small groups from saying much.

Reference:
    Cohen (1988), Statistical power analysis for the behavioral sciences, sections 2.2 and 6.2.
    https://doi.org/10.4324/9780203771587
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pushforward.core.space import Space

__all__ = ["FREQUENT", "LARGE", "Difference", "differences", "typical_row"]

LARGE = 0.8
"""Standard deviations between means that are worth saying: Cohen's 'large'."""
FREQUENT = 0.5
"""Cohen's h of shares that are worth saying: .5 against .26, or .1 against 0.01."""
ERRORS, CHANCE = 3.0, 0.0027
"""Standard errors that a difference of means must have, and the probability by chance that one of
shares must not have: that of three standard errors.
"""


@dataclass(frozen=True)
class Difference:
    """One column, or category, of a group, beside the rest of the rows.

    Args:
        group: its number.
        column: the position of the column.
        category: the category's code, -1 for a number, -2 for missing values.
        inside, outside: the mean, or the share, in the group and in the rest.
        effect: d of numbers, h of shares.
        scale: the pooled standard deviation of numbers; 0 for shares.
        worth_saying: whether it is large, and not by chance.
    """

    group: int
    column: int
    category: int
    inside: float
    outside: float
    effect: float
    scale: float
    worth_saying: bool

    @property
    def is_share(self) -> bool:
        """Whether shares are compared, not means."""
        return self.category != -1


def differences(
    x: NDArray[np.float64], labels: NDArray[np.int64], space: Space
) -> list[Difference]:
    """Each group's differences from the rest, the largest effects first.

    Args:
        x: rows (n, d), NaN for missing values.
        labels: the group of each row (n,).
    """
    found: list[Difference] = []
    for group in np.unique(labels).tolist():
        inside = labels == group
        if inside.all():
            continue
        own: list[Difference] = []
        for j, column in enumerate(space.columns):
            if column.kind == "categorical":
                own += _of_categories(group, j, x[:, j], inside, len(column.categories))
            else:
                own += _of_number(group, j, x[:, j], inside)
            own += _of_gaps(group, j, x[:, j], inside)
        found += sorted(own, key=lambda difference: -abs(difference.effect))
    return found


def _of_number(
    group: int, j: int, values: NDArray[np.float64], inside: NDArray[np.bool_]
) -> list[Difference]:
    there = ~np.isnan(values)
    values, power = _near_one(values)
    one, rest = values[inside & there], values[~inside & there]
    if len(one) == 0 or len(rest) == 0:
        return []
    within = sum(float(part.var()) * len(part) for part in (one, rest))
    scale = math.sqrt(within / max(len(one) + len(rest) - 2, 1))
    gap = float(one.mean() - rest.mean())
    if scale == 0:
        effect = math.copysign(math.inf, gap) if gap else 0.0
        error = 0.0
    else:
        effect = gap / scale
        error = scale * math.sqrt(1 / len(one) + 1 / len(rest))
    said = abs(effect) >= LARGE and abs(gap) >= ERRORS * error
    own, other = (float(np.ldexp(part.mean(), power)) for part in (one, rest))
    return [Difference(group, j, -1, own, other, effect, float(np.ldexp(scale, power)), said)]


def _near_one(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Values divided by a power of 2, and its exponent: squares of numbers near the ends of float64
    would overflow or vanish.
    """
    power = int(np.frexp(np.nanmax(np.abs(values), initial=0.0))[1])
    return np.ldexp(values, -power), power


def _of_categories(
    group: int, j: int, values: NDArray[np.float64], inside: NDArray[np.bool_], count: int
) -> list[Difference]:
    there = ~np.isnan(values)
    one = np.bincount(values[inside & there].astype(int), minlength=count)
    rest = np.bincount(values[~inside & there].astype(int), minlength=count)
    if not one.sum() or not rest.sum():
        return []
    return [
        _of_share(group, j, code, int(one[code]), int(one.sum()), int(rest[code]), int(rest.sum()))
        for code in range(count)
        if one[code] or rest[code]
    ]


def _of_gaps(
    group: int, j: int, values: NDArray[np.float64], inside: NDArray[np.bool_]
) -> list[Difference]:
    missing = np.isnan(values)
    if not missing.any():
        return []
    one, rest = missing[inside], missing[~inside]
    return [_of_share(group, j, -2, int(one.sum()), len(one), int(rest.sum()), len(rest))]


def _of_share(group: int, j: int, code: int, a: int, n: int, b: int, m: int) -> Difference:
    p, q = a / n, b / m
    effect = 2 * math.asin(math.sqrt(p)) - 2 * math.asin(math.sqrt(q))
    said = abs(effect) >= FREQUENT and _by_chance(a, n, b, m) < CHANCE
    return Difference(group, j, code, p, q, effect, 0.0, said)


def _by_chance(a: int, n: int, b: int, m: int) -> float:
    """The probability of shares a/n and b/m that differ as much or more if there is no difference:
    Fisher's exact test, twice the smaller tail.
    """
    less = stats.hypergeom.cdf(a, n + m, a + b, n)
    more = stats.hypergeom.sf(a - 1, n + m, a + b, n)
    return min(1.0, 2 * float(min(less, more)))


def typical_row(
    x: NDArray[np.float64],
    rows: NDArray[np.int64],
    space: Space,
    density: NDArray[np.float64] | None,
) -> int:
    """The most typical of some rows: where the density is highest, among those without gaps; else
    the nearest to their means and most frequent categories, in standard deviations and mismatches.

    Args:
        density: log-densities (n,) in the group; None without a model of density.
    """
    part = x[rows]
    complete = ~np.isnan(part).any(1)
    if density is not None and complete.any():
        own = np.where(complete, density[rows], -np.inf)
        return int(rows[int(own.argmax())])
    distance = np.zeros(len(part))
    for j, column in enumerate(space.columns):
        values = part[:, j]
        there = ~np.isnan(values)
        if not there.any():
            continue
        if column.kind == "categorical":
            usual = np.bincount(values[there].astype(int)).argmax()
            distance += np.where(there, values != usual, 1.0)
        else:
            values, _ = _near_one(values)
            deviation = float(values[there].std()) or 1.0
            centred = (values - values[there].mean()) / deviation
            distance += np.where(there, centred**2, 1.0)
    return int(rows[int(distance.argmin())])
