r"""Memorisation: distances of samples to the nearest training row, against those of held-out rows.

With d(x) the distance from x to the nearest training row,
g generated rows and h held-out real rows of the same distribution,

    closer      = P(d(g) < d(h)) + ½ P(d(g) = d(h))
                  ½ for new samples, more for repeated ones (Meehan et al. 2020),
    suspicious  = share of g with d(g) < the q-quantile of d(h)
                  q for new samples (1 % by default).

Distances that differ only by rounding are equal (`metrics.neighbours`).

Blurred samples, far from all data, score below ½ in `closer`. The closest pairs are returned by row
number for inspection. Reference: Meehan, Chaudhuri & Dasgupta (2020), A non-parametric test to
detect data-copying in generative models. https://arxiv.org/abs/2004.05675
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.numbers import require_whole
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.metrics.features import Features
from pushforward.metrics.neighbours import ExactSquares, Points, merge_ties, nearest, nearest_whole
from pushforward.metrics.pairs import Pair

__all__ = ["memorisation"]


def memorisation(
    train: Observations,
    held_out: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    quantile: float = 0.01,
    pairs: int = 10,
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """Memorisation of training rows by generated rows (m, *shape), relative to held-out rows.

    Args:
        train: the training rows.
        held_out: real rows that were not used for training.
        features: the space; raw if none is given.
        quantile: q, the share of held-out rows that count as close.
        pairs: number of closest (generated row, training row,
            distance) to list in details['pairs'].
        rng: unused; part of the signature shared by all metrics.
    """
    require_positive(quantile=quantile)
    pairs = require_whole(pairs, "pairs", least=1)
    if not quantile < 1:
        raise InvalidValue(f"quantile must lie between 0 and 1, got {quantile}; 0.01 say")
    pair = Pair.of(train, generated, features, data)
    fresh = pair.transform_third(held_out, train, ("training", "held-out"))
    training, samples, held = pair.points(pair.real, pair.generated, fresh)
    distances, reference, index, ranks = _distances(samples, held, training)
    distances, reference = distances * pair.gauge.scale, reference * pair.gauge.scale
    limit = float(reference.quantile(quantile))
    closest = distances.argsort()[:pairs]
    closest_pairs = [(int(i), int(index[i]), float(distances[i])) for i in closest]
    facts = {
        "held_out": len(fresh),
        "median": float(distances.median()),
        "median_held_out": float(reference.median()),
    }
    near = (distances < limit).to(torch.float64)
    settings = f"nearest training row, {len(fresh)} held-out rows"
    suspicious = pair.mean(
        "suspicious",
        near,
        settings=f"{settings}, q = {quantile:g}",
        ideal=quantile,
        limit=limit,
        pairs=closest_pairs,
        **facts,
    )
    value, error = _closeness(*ranks)
    return [pair.record("closer", value, error, settings=settings, ideal=0.5, **facts), suspicious]


def _distances(
    samples: Points, held: Points, training: Points
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Distances of samples and held-out rows to the nearest training row.

    Returns:
        The distances of both, the index of each sample's nearest training row, and ranks for
        comparing the two. Integers are ranked exactly; other distances that differ only by rounding
        are equal.
    """
    sizes = [len(samples), len(held)]
    if samples.unit:
        (distances, index, exact), (reference, _, others) = (
            nearest_whole(samples, training),
            nearest_whole(held, training),
        )
        first, second = (
            ExactSquares(torch.cat([exact.high, others.high]), torch.cat([exact.low, others.low]))
            .ranks()
            .split(sizes)
        )
        return distances, reference, index, (first, second)
    (reference, near_usual), (distances, index) = (
        nearest(held.x, training.x),
        nearest(samples.x, training.x),
    )
    noise = torch.cat(
        [samples.noise + training.noise[index], held.noise + training.noise[near_usual]]
    )
    distances, reference = merge_ties(torch.cat([distances, reference]), noise).split(sizes)
    return distances, reference, index, (distances, reference)


def _closeness(distances: Tensor, reference: Tensor) -> tuple[float, float]:
    """P(distance < reference), ties counted half, and its standard error from both sets."""
    ordered, others = reference.sort().values, distances.sort().values
    above = _share_above(distances, ordered)
    below = 1 - _share_above(reference, others)
    return float(above.mean()), math.sqrt(
        float(above.var() / len(above) + below.var() / len(below)) if len(below) > 1 else math.nan
    )


def _share_above(x: Tensor, ordered: Tensor) -> Tensor:
    """The share of sorted values above each of x, ties counted half."""
    first = torch.searchsorted(ordered, x).to(torch.float64)
    right = torch.searchsorted(ordered, x, right=True).to(torch.float64)
    return 1 - (first + right) / (2 * len(ordered))
