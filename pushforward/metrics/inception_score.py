"""An Inception-style score of generated images.

exp E_y KL(p(c|y) ‖ p(c)), with c the classes of a given classifier (Salimans et al. 2016,
https://arxiv.org/abs/1606.03498), over all rows at once. It ranges from 1 to the number of classes,
and does not use real rows; compare it with their score. Scores under different classifiers are not
comparable; the record identifies the classifier by its fingerprint. Error bar: to first order, a
row changes E KL by its own KL.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.metrics.features import Features
from pushforward.metrics.pairs import Pair

__all__ = ["inception_score"]


def inception_score(
    real: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    rng: Rng = 0,
    data: str = "",
) -> Record:
    """exp E KL(p(c|y) ‖ p(c)) of generated rows (m, *shape) under a classifier.

    Args:
        real: real rows (n, *shape), whose score is the record's 'ideal'.
        features: features of a classifier (`metrics.classifiers.classifier`), named in the record.
        rng: unused; part of the signature shared by all metrics.

    Raises:
        InvalidValue: If the features are not those of a classifier.
    """
    pair = Pair.of(real, generated, features, data)
    if pair.features.head is None:
        raise InvalidValue(
            "an Inception-style score needs the features of a classifier, got"
            f" {pair.features.label}; pass {argument('features', 'classifier')} with labels, or in"
            " Python classifier(x, labels)"
        )
    (value, error, classes), (ideal, _, _) = (
        _score(pair.features.head(x)) for x in (pair.generated, pair.real)
    )
    return pair.record(
        "inception_score",
        value,
        error,
        settings=f"{classes} classes, one split",
        ideal=ideal,
        classes=classes,
    )


def _score(logs: Tensor) -> tuple[float, float, int]:
    """The score, its standard error and the number of classes.

    Log-probabilities are (n, classes).
    """
    logs = logs.to("cpu", torch.float64)
    mean = logs.logsumexp(0) - math.log(len(logs))
    divergences = (logs.exp() * (logs - mean)).sum(1)
    value = math.exp(float(divergences.mean()))
    return value, value * float(divergences.std()) / math.sqrt(len(logs)), logs.shape[1]
