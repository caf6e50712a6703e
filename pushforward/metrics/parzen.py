r"""Parzen-window log-likelihood, for comparison with older papers on GANs; not a ranking.

    L(S) = mean over test rows x of ln 1/m Σ_j N(x; s_j, σ² I),     S = {s_1, …, s_m} the samples.

It depends more on σ and m than on the sampler: on MNIST, 10 000 training images reach only about
242.5 nats, and 2000 k-means centroids 306 (Theis et al. 2016, https://arxiv.org/abs/1511.01844).
The record of the samples is therefore always accompanied by its ceiling: that of as many real
training rows with the same σ. A sampler above its ceiling exploits the estimator rather than
matching the distribution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.random import Rng, generator, permutation
from pushforward.core.records import Record
from pushforward.densities.choose import log_density
from pushforward.metrics.features import Features
from pushforward.metrics.pairs import Pair, known_seed

__all__ = ["parzen", "choose_width"]

CHOOSING_ROWS = 1000
"""Training rows for choosing the bandwidth: enough to distinguish neighbouring bandwidths."""


def parzen(
    train: Observations,
    test: Observations,
    generated: Observations,
    *,
    sigma: float | None = None,
    features: Features | None = None,
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """The Parzen log-likelihood of generated rows (m, *shape), and its ceiling, in nats per row.

    Args:
        train: real rows (n, *shape); as many as are generated (or all) give the ceiling.
        test: real rows at which the density is evaluated.
        sigma: width of the windows in units of the features;
            by default chosen on up to 1000 of the remaining training rows.
        features: the feature space; raw by default. Papers scale images to [0, 1].
    """
    require_positive(sigma=sigma)
    pair = Pair.of(train, generated, features, data)
    training, drawn = pair.centred()
    queries, scale = (
        pair.gauge(pair.transform_third(test, train, ("training", "test"))),
        pair.gauge.scale,
    )
    order = permutation(len(training), rng=generator(rng))
    as_many = min(len(order), len(drawn))
    stand_in, spare = training[order[:as_many]], training[order[as_many:]][:CHOOSING_ROWS]
    if sigma is None:
        if len(spare) < 2:
            raise InvalidValue(
                f"choosing sigma needs more training rows than samples: got {len(order)} for"
                f" {as_many} samples; pass sigma, or more rows"
            )
        sigma = choose_width(drawn, spare) * scale
    facts = {"sigma": sigma, "test": len(queries), "seed": known_seed(rng)}
    settings = f"Parzen window, {len(queries)} test rows, sigma = {sigma:.6g}"
    width, volume = sigma / scale, pair.dimension * math.log(scale)
    at_most, found = (
        log_density(samples, queries, width) - volume for samples in (stand_in, drawn)
    )
    ceiling = pair.mean("parzen_ceiling", at_most, settings=settings, samples=as_many, **facts)
    value = pair.mean("parzen", found, settings=settings, ideal=ceiling.value, **facts)
    return [_set_nats(value), _set_nats(ceiling)]


def choose_width(samples: Tensor, x: Tensor, *, rounds: int = 3) -> float:
    """The σ with the highest mean log-density of x (n, d) under windows at samples (m, d).

    The grids narrow in each round.
    """
    spread = float(samples.var(0).mean().sqrt())
    if not spread > 0:
        raise InvalidValue("all samples are the same row; pass sigma")
    low, high = 0.01 * spread, 3 * spread
    for _ in range(rounds):
        grid = torch.linspace(0, 1, 9, dtype=torch.float64) * torch.tensor(high / low).log()
        widths = (low * grid.exp()).tolist()
        scores = [float(log_density(samples, x, width).mean()) for width in widths]
        best = max(range(len(widths)), key=scores.__getitem__)
        low, high = widths[max(0, best - 1)], widths[min(len(widths) - 1, best + 1)]
    width_of_best: float = widths[best]
    return width_of_best


def _set_nats(record: Record) -> Record:
    return Record(**{**record.__dict__, "unit": "nats"})
