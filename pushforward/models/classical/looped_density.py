"""Log-densities under each component in compiled loops: when they are used, and as a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.models.classical.covariance_kinds import REGULAR, CovarianceKind, factors
from pushforward.models.classical.looped_expectation import MOST_COLUMNS

__all__ = ["score_in_loops"]

LEAST_WORK = 1 << 18
"""Rows times components of a query from which loops are worth loading."""


def score_in_loops(kind: CovarianceKind, x: Tensor, means: Tensor, spread: Tensor) -> Tensor | None:
    """log N(x; k) (k, n) of rows x (n, d) in float64, nats.

    None for few rows, or if a decomposition is more accurate.
    """
    (n, d), k = x.shape, len(means)
    if n * k < LEAST_WORK or x.device.type != "cpu" or not 0 < d <= MOST_COLUMNS:
        return None
    own = factors(kind, spread, d)
    if not bool((own.least > REGULAR).all()):
        return None
    from pushforward.core.threads import in_threads
    from pushforward.models.classical import density_loops as loops

    constants = -0.5 * (d * np.log(2 * np.pi) + own.log_determinants)
    by = own.deviations if own.white is None else own.white
    call: Any = loops.score_independent if own.white is None else loops.score_full
    logits = torch.empty(k, n, dtype=torch.float64)
    data = [t.contiguous().numpy() for t in (x, means, by, constants.expand(k))]
    in_threads(lambda a, b: call(*data, a, b, logits.numpy()), n)
    return logits
