r"""Two-sample tests of equal distributions.

* C2ST: a classifier is trained to distinguish real from generated features on one half of the rows;
  its accuracy on the other half is ½ if the distributions are equal. The test rows are independent,
  so then hits ~ Bin(N, ½) exactly, whatever the classifier, and p = P(Bin(N, ½) ≥ hits) (Lopez-Paz
  & Oquab 2017, https://arxiv.org/abs/1610.06545). An accuracy near ½ may also mean that the
  classifier is too weak.
* KS, in one dimension: D = sup |F_n - G_m|, with p from Kolmogorov's distribution at √(nm/(n+m)) D;
  a known distribution function F may replace F_n. The error bar is that of F_n - G_m at its largest
  absolute value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.numbers import require_whole
from pushforward.core.random import Rng, generator, permutation
from pushforward.core.records import Record
from pushforward.metrics.classifiers import train_classifier
from pushforward.metrics.feature_spaces import raw
from pushforward.metrics.features import Features
from pushforward.metrics.pairs import Pair, known_seed
from pushforward.metrics.samples import column_names, rows
from pushforward.metrics.whole_numbers import subtract_origin

__all__ = ["c2st", "ks", "ks_to_cdf"]


def c2st(
    real: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    steps: int = 500,
    width: int = 64,
    rng: Rng = 0,
    data: str = "",
) -> Record:
    """Held-out accuracy of a classifier of real against generated rows; details hold 'p' and 'n'.

    Args:
        features: the feature space; raw by default.
            The classifier's inputs are standardised features.
        steps, width: training steps and width of the classifier, which has two hidden layers.
    """
    steps, width = require_whole(steps, "steps", least=1), require_whole(width, "width", least=1)
    pair = Pair.of(real, generated, features, data, least=4)
    stream = generator(rng)
    n = min(len(x) for x in pair.sets)
    orders = [permutation(len(x), rng=stream)[:n].tensor_split([n // 2]) for x in pair.sets]
    train, test = (
        torch.cat([x[some] for x, some in zip(pair.sets, halves)]) for halves in zip(*orders)
    )
    train_labels, test_labels = (
        torch.arange(2).repeat_interleave(len(x) // 2) for x in (train, test)
    )
    network = train_classifier(
        train, train_labels, 2, steps=steps, width=width, decay=1e-2, rng=stream
    )
    hits = network.classes(test) == test_labels
    accuracy, count = float(hits.to(torch.float64).mean()), len(hits)
    p = _binomial_tail(int(hits.sum()), count)
    settings = f"network {width}-{width}, {steps} steps"
    error = math.sqrt(max(accuracy * (1 - accuracy), 1 / (count + 4)) / count)
    return pair.record(
        "c2st",
        accuracy,
        error,
        settings=settings,
        p=p,
        ideal=0.5,
        held_out=count,
        seed=known_seed(rng),
    )


def ks(
    real: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    names: Sequence[str] = (),
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """The Kolmogorov-Smirnov distance in every feature, one record each; details hold 'p'.

    Args:
        features: the feature space; raw by default.
        names: names of the features, e.g. a table's columns; by default those of a data frame, or
            numbers.
        rng: unused; part of the signature shared by all metrics.
    """
    pair = Pair.of(real, generated, features, data, least=1)
    if not names and features is None:
        names = column_names(real)
    if names and len(names) != pair.dimension:
        raise ShapeMismatch(f"expected {pair.dimension} names, got {len(names)}")
    labels = list(names) or [str(i) for i in range(pair.dimension)]
    one, two = pair.real.sort(0).values, pair.generated.sort(0).values
    return [
        _ks(pair, one[:, i].contiguous(), two[:, i].contiguous(), labels[i])
        for i in range(pair.dimension)
    ]


def ks_to_cdf(cdf: Callable[[Tensor], Tensor], generated: Observations, *, name: str) -> Record:
    """The Kolmogorov-Smirnov distance of numbers (m,) from a continuous distribution.

    Args:
        cdf: maps sorted x (m,) float64 to P(X ≤ x) (m,).
        name: name of the distribution in records.
    """
    x = subtract_origin(rows(generated), None)
    if x.shape[1:] != (1,):
        raise ShapeMismatch(
            f"a one-dimensional distribution needs numbers (m,) or (m, 1), got {tuple(x.shape)};"
            " pass one column"
        )
    x = x[:, 0].sort().values
    values, m = cdf(x), len(x)
    if values.shape != x.shape or not bool(((values >= 0) & (values <= 1)).all()):
        raise InvalidValue(
            f"a distribution function gives one number in [0, 1] for each of {m}, got shape"
            f" {tuple(values.shape)}"
        )
    steps = torch.arange(m + 1, dtype=torch.float64) / m
    gaps = torch.stack([(steps[1:] - values).abs(), (values - steps[:-1]).abs()]).amax(0)
    at = float(values[gaps.argmax()])
    distance = float(gaps.max())
    details = {"features": raw().label, "generated": m, "p": _kolmogorov(distance, m)}
    return Record(
        "ks",
        distance,
        math.sqrt(at * (1 - at) / m),
        bound="estimate",
        data=name,
        n=m,
        details=details,
    )


def _ks(pair: Pair, x: Tensor, y: Tensor, name: str) -> Record:
    """The record of one feature, from sorted rows of both sets."""
    at = torch.cat([x, y])
    first = torch.searchsorted(x, at, right=True).to(torch.float64) / len(x)
    second = torch.searchsorted(y, at, right=True).to(torch.float64) / len(y)
    gaps = (first - second).abs()
    place = gaps.argmax()
    f, g = float(first[place]), float(second[place])
    error = math.sqrt(f * (1 - f) / len(x) + g * (1 - g) / len(y))
    p = _kolmogorov(float(gaps[place]), len(x) * len(y) / (len(x) + len(y)))
    return pair.record(
        "ks" if pair.dimension == 1 and name == "0" else f"ks {name}",
        float(gaps[place]),
        error,
        p=p,
        feature=name,
    )


def _kolmogorov(distance: float, count: float) -> float:
    """P(D ≥ distance) for a continuous distribution, asymptotically."""
    from scipy.special import kolmogorov

    return float(kolmogorov(math.sqrt(count) * distance))


def _binomial_tail(hits: int, count: int) -> float:
    """P(Bin(count, ½) ≥ hits)."""
    from scipy.special import bdtrc

    return 1.0 if hits <= 0 else float(bdtrc(hits - 1, count, 0.5))
