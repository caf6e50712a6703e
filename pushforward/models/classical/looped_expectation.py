"""The E step of normal mixtures in compiled loops: when it is used, and its sums as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.models.classical.covariance_kinds import CovarianceKind, Factors

__all__ = ["expect_in_loops", "prefers_loops"]

LEAST_WORK = 1 << 13
"""Rows times components of a fit from which loops are worth loading: that takes a quarter of a
second, which smaller fits do not.
"""
MOST_COLUMNS = 64
"""Independent or tied coordinates up to which loops are faster than matrix products."""

Array = NDArray[Any]


def prefers_loops(kind: CovarianceKind, rows: int, k: int, d: int) -> bool:
    """Whether loops take less time than matrix products on `rows` rows (d,) and k components.

    For full covariances, by nanoseconds per row in float64, fitted to k from 2 to 64 and d from 2
    to 64: the sums of each component against features, which all components share.
    """
    if rows * k < LEAST_WORK:
        return False
    if kind != "full":
        return d <= MOST_COLUMNS
    features = (d + 1) * (d + 2) / 2
    return k * (4 + 1.2 * d + 0.033 * d * d) < features * (1.4 + 0.115 * k) + 10 * k


def expect_in_loops(
    kind: CovarianceKind, x: Tensor, w: Tensor | None, means: Tensor, factors: Factors, log: Tensor
) -> tuple[Tensor, ...]:
    """Σ r (k,), Σ r x (k, d), second sums, Σ w log p and Σ w.

    Args:
        kind: of the covariances.
        x, w: complete rows (n, d) and weights (n,).
        means: (k, d).
        factors: of the covariances.
        log: log π - ½ log |2π Σ| (k,).

    The second sums are (k, d, d) or (k, d), about the means like the first; for a tied covariance
    all are about 0, and the second (d, d) is of all components.
    """
    from pushforward.core.threads import in_threads
    from pushforward.models.classical import mixture_loops as loops
    from pushforward.models.classical.panel_loops import padded

    rows = x.T.contiguous().numpy()
    weights = np.empty(0, rows.dtype) if w is None else w.to(x.dtype).contiguous().numpy()
    (k, d), blocks = means.shape, -(-len(x) // loops.BLOCK)
    totals, constants = np.zeros((blocks, 2)), _array(log, x)
    white = factors.white
    if white is None:
        sums, deviations = np.zeros((blocks, k, 1 + 2 * d)), factors.deviations
        own = _array(means / deviations, x), _array(deviations.reciprocal(), x)
        data = rows, weights, *own, constants
        in_threads(
            lambda a, b: loops.expect_independent(*data, a, b, sums, totals), blocks, least=1
        )
        whole = torch.from_numpy(sums.sum(0))
        whole[:, 1 : 1 + d] *= deviations
        seconds = whole[:, 1 + d :] * deviations.square()
    else:
        sums, tied = np.zeros((blocks, k, 1 + d)), kind == "tied"
        wide = padded(d)
        lower = np.zeros((blocks, *((wide, wide) if tied else (k, wide, wide))))
        centres, roots = (means @ white[0], white[0]) if tied else (means, white)
        call: Any = loops.expect_tied if tied else loops.expect_full
        data = rows, weights, _array(centres, x), _array(roots, x), constants
        in_threads(lambda a, b: call(*data, a, b, sums, lower, totals), blocks, least=1)
        whole, below = torch.from_numpy(sums.sum(0)), torch.from_numpy(lower.sum(0))
        below = below[..., :d, :d].tril()
        seconds = below + below.tril(-1).mT
    likelihood, weight = torch.from_numpy(totals.sum(0))
    return whole[:, 0], whole[:, 1 : 1 + d], seconds, likelihood, weight


def _array(values: Tensor, rows: Tensor) -> Array:
    """Parameters in the type of the rows, contiguous."""
    array: Array = values.to(rows.dtype).contiguous().numpy()
    return array
