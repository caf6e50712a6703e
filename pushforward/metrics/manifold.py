r"""Precision, recall, density and coverage: two sets of features as unions of balls.

B(x_i) is the open ball around a real row up to its k-th nearest other real row; B(y_j) likewise for
generated rows. Rows at exactly that distance are outside, as in the code of Naeem et al.; distances
that differ only by rounding are equal. If k other rows equal a row, its radius is 0: the ball is
then that point, and contains all rows equal to it (as do the closed balls of Kynkäänniemi et al.).
Identical sets thus have precision, recall and coverage 1 whatever their repetitions, and integers
give exact answers.

    precision = share of y inside any B(x_i)
    recall    = share of x inside any B(y_j)
                (Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991)
    density   = mean over y of #{i: y in B(x_i)}/k
    coverage = share of B(x_i) that contain any y
                (Naeem et al. 2020, https://arxiv.org/abs/2002.09797)

Between equal distributions density is 1 and coverage 1 - Π_{i=1..k} (n - i)/(n + m - i), that is 1
- 2^-k; precision and recall have no such reference value: they fall with the dimension. Error bars
  treat the balls as fixed: they are those of the share or mean over rows. The noise of the balls
  adds to them; in a thousand dimensions precision and recall of 10 000 rows vary by .0085 between
  samples, with an error bar of .005.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.numbers import require_whole
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.metrics.features import Features
from pushforward.metrics.neighbours import Balls, squared_distances
from pushforward.metrics.pairs import Pair
from pushforward.metrics.rounded_neighbours import Rounded, Sides, is_large

__all__ = ["prdc"]


def prdc(
    real: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    k: int = 5,
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """Precision, recall, density and coverage of generated (m, *shape) for real rows (n, *shape).

    Args:
        features: the space; raw if none is given.
        k: the nearest neighbour that sets the radii; a row is not its own neighbour.
        rng: for the signature shared by all metrics; nothing is drawn.
    """
    k = require_whole(k, "k", least=1)
    pair = Pair.of(real, generated, features, data)
    one, two = pair.points()
    around_real, around_own = Balls.of(one, k, two), Balls.of(two, k, one)
    count, inside, covered = _compare(around_real, around_own)
    found = {"precision": count > 0, "recall": inside, "density": count / k, "coverage": covered}
    ideal = {"density": 1.0, "coverage": _ideal_coverage(len(one), len(two), k)}
    return [
        pair.mean(
            name,
            values.to(torch.float64),
            settings=f"k = {k}",
            k=k,
            **({"ideal": ideal[name]} if name in ideal else {}),
        )
        for name, values in found.items()
    ]


def _compare(real: Balls, own: Balls) -> tuple[Tensor, Tensor, Tensor]:
    """Which points, the centres of `own` (m), and which centres of `real` (n) are in whose balls.

    Returns:
        For each point how many balls of `real` it is in (m,) float64, for each centre of `real`
        whether it is in a ball around a point (n,), and whether a point is in its ball (n,).
    """
    one, two = real.points, own.points
    if real.slack and real.exact is None is own.exact and is_large(len(one), *two.x.shape):
        sides = _compare_rounded(real, own)
        if sides is not None:
            count = torch.from_numpy(sides.count).to(torch.float64)
            return count, torch.from_numpy(sides.inside), torch.from_numpy(sides.covered)
    count = torch.zeros(len(two), dtype=torch.float64)
    inside = torch.zeros(len(one), dtype=torch.bool)
    covered = torch.zeros_like(inside)
    for rows, squares in squared_distances(two.x, one.x):
        inside_balls = real.contain(two.part(rows), squares)
        count[rows] = torch.count_nonzero(inside_balls, 1).to(count)
        covered |= (
            inside_balls.view(torch.uint8).amax(0).to(torch.bool)
        )  # `any` takes 40 times as long
        inside |= own.part(rows).contain(one, squares.T).view(torch.uint8).amax(1).to(torch.bool)
    return count, inside, covered


def _compare_rounded(real: Balls, own: Balls) -> Sides | None:
    """The same from products in float32, None if too many pairs are in doubt."""
    sides = Sides(
        Rounded.of(real.centres), Rounded.of(own.centres), real.squares.numpy(), own.squares.numpy()
    )
    for pairs in sides.pairs():
        if pairs is None:
            return None
        for some in torch.from_numpy(pairs).split(512):
            point, centre, side = some.T
            squares = (own.centres[point] - real.centres[centre]).square().sum(1)
            limits = torch.where(side == 0, real.squares[centre], own.squares[point])
            sides.settle(some[squares < limits].numpy())
    return sides


def _ideal_coverage(n: int, m: int, k: int) -> float:
    """Expected coverage for equal distributions: P(any of the k nearest rows is generated)."""
    return 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
