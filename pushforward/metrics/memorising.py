r"""Does a model repeat its training data? Compares distances to
the nearest training row with those of new real rows.

With d(x) the distance from x to the nearest training row,
g generated rows and h held-out real rows of the same distribution,

    closer      = P(d(g) < d(h)) + ½ P(d(g) = d(h))
                  ½ for new samples, above for repeated ones (Meehan et al. 2020),
    suspicious  = share of g with d(g) < the q-quantile of d(h)
                  q for new samples (1 % unless told otherwise).

Distances that differ by no more than rounding are equal (`metrics.neighbours`).

Blurred samples score below ½ in `closer`: far from everything.
The closest pairs come back by row number, to be looked at.
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
from pushforward.metrics.neighbours import Points, Whole, merged, nearest, nearest_whole
from pushforward.metrics.pairs import Pair

__all__ = ["memorising"]


def memorising(
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
    """How near generated rows (m, *shape) come to training rows,
    by the yardstick of held-out real rows.

    Args:
        train: the training rows.
        held_out: real rows it did not see.
        features: the space; raw if none is given.
        quantile: q, the share of held-out rows that count as near.
        pairs: how many of the closest (generated row, training row,
            distance) to name in details['pairs'].
        rng: for the signature shared by all metrics; nothing is drawn.
    """
    require_positive(quantile=quantile)
    pairs = require_whole(pairs, "pairs", least=1)
    if not quantile < 1:
        raise InvalidValue(f"quantile must lie between 0 and 1, got {quantile}; 0.01 say")
    pair = Pair.of(train, generated, features, data)
    fresh = pair.more(held_out, train, ("training", "held-out"))
    learnt, drawn, unseen = pair.points(pair.real, pair.generated, fresh)
    found, usual, index, ranks = _distances(drawn, unseen, learnt)
    found, usual = found * pair.gauge.scale, usual * pair.gauge.scale
    limit = float(usual.quantile(quantile))
    closest = found.argsort()[:pairs]
    named = [(int(i), int(index[i]), float(found[i])) for i in closest]
    facts = {
        "held_out": len(fresh),
        "median": float(found.median()),
        "median_held_out": float(usual.median()),
    }
    near = (found < limit).to(torch.float64)
    said = f"nearest training row, {len(fresh)} held-out rows"
    suspicious = pair.mean(
        "suspicious",
        near,
        settings=f"{said}, q = {quantile:g}",
        ideal=quantile,
        limit=limit,
        pairs=named,
        **facts,
    )
    value, error = _closer(*ranks)
    return [pair.record("closer", value, error, settings=said, ideal=0.5, **facts), suspicious]


def _distances(
    drawn: Points, unseen: Points, learnt: Points
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Distances of drawn and of unseen rows to the nearest learnt one, which that is of the drawn
    ones, and numbers to rank them by.

    Whole numbers are ranked exactly; of others those that differ by rounding alone are equal.
    """
    sizes = [len(drawn), len(unseen)]
    if drawn.unit:
        (found, index, exact), (usual, _, others) = (
            nearest_whole(drawn, learnt),
            nearest_whole(unseen, learnt),
        )
        first, second = (
            Whole(torch.cat([exact.high, others.high]), torch.cat([exact.low, others.low]))
            .ranks()
            .split(sizes)
        )
        return found, usual, index, (first, second)
    (usual, near_usual), (found, index) = nearest(unseen.x, learnt.x), nearest(drawn.x, learnt.x)
    noise = torch.cat([drawn.noise + learnt.noise[index], unseen.noise + learnt.noise[near_usual]])
    found, usual = merged(torch.cat([found, usual]), noise).split(sizes)
    return found, usual, index, (found, usual)


def _closer(found: Tensor, usual: Tensor) -> tuple[float, float]:
    """P(found < usual) with ties counted half, and its standard
    error from both sets' influences.
    """
    ordered, others = usual.sort().values, found.sort().values
    above = _above(found, ordered)
    below = 1 - _above(usual, others)
    return float(above.mean()), math.sqrt(
        float(above.var() / len(above) + below.var() / len(below)) if len(below) > 1 else math.nan
    )


def _above(x: Tensor, ordered: Tensor) -> Tensor:
    """The share of sorted values above each of x, ties counted half."""
    left = torch.searchsorted(ordered, x).to(torch.float64)
    right = torch.searchsorted(ordered, x, right=True).to(torch.float64)
    return 1 - (left + right) / (2 * len(ordered))
