r"""The modes of one column: a variational mixture of normals, pruned.

The mixture is scikit-learn's `BayesianGaussianMixture` with the settings of the reference
implementation of CTGAN (a Dirichlet process of concentration .001, 10 components, 100 passes):
its prior empties components that the data do not need, which maximum likelihood, as in our `GMM`,
does not, so that the number of modes is found rather than given. Components of weights of at most
.005 are dropped.

Reference: Xu et al. (2019, https://arxiv.org/abs/1907.00503), §4.2; Blei & Jordan (2006),
Variational inference for Dirichlet process mixtures, https://doi.org/10.1214/06-BA104.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.core.moments import Moments

__all__ = ["Modes", "find_modes"]

CONCENTRATION = 1e-3
"""Of the Dirichlet process: small, so that few components are used."""
PASSES = 100
"""Most passes of the variational inference."""
LEAST_WEIGHT = 0.005
"""Components of at most this weight are dropped."""
DEVIATIONS = 4.0
"""Standard deviations of a mode that map to [-1, 1]."""
ROUNDING = 4 * torch.finfo(torch.float64).eps
"""Spreads below this share of the values are rounding: such a column is constant."""
FLAT = 2.0**-30
"""Deviation of the one mode of a constant column, as a share of the value (of 1, if smaller)."""


@dataclass(frozen=True)
class Modes:
    """Normal components of one column, in the user's units.

    Args:
        means: (k,).
        widths: the deviations times `DEVIATIONS`, (k,).
        weights: (k,), summing to one.
    """

    means: Tensor
    widths: Tensor
    weights: Tensor


def find_modes(x: Tensor, most: int) -> Modes:
    """The modes of a column's values x (n,), float64 and finite; at most `most` of them.

    A column without values, or with only one, has a single narrow mode.
    """
    moments = Moments.of(x[:, None])
    centre = float(moments.mean[0]) if len(x) else 0.0
    spread = float(moments.deviation[0]) if len(x) else 0.0
    if not spread > ROUNDING * abs(centre):
        width = DEVIATIONS * FLAT * max(abs(centre), 1.0)
        return Modes(*(torch.tensor([v], dtype=torch.float64) for v in (centre, width, 1.0)))
    means, deviations, weights = _mixture(((x - centre) / spread).numpy(), most)
    return Modes(
        torch.from_numpy(means) * spread + centre,
        torch.from_numpy(deviations) * (DEVIATIONS * spread),
        torch.from_numpy(weights),
    )


def _mixture(u: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, deviations and weights (k,) of the components that standardised values u (n,) need."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    mixture = BayesianGaussianMixture(
        n_components=min(most, len(np.unique(u))),
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=CONCENTRATION,
        max_iter=PASSES,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 passes are the published limit
        mixture.fit(u[:, None])
    weights = mixture.weights_
    kept = weights > min(LEAST_WEIGHT, weights.max() / 2)
    deviations = np.sqrt(mixture.covariances_[kept, 0, 0])
    return mixture.means_[kept, 0], deviations, weights[kept] / weights[kept].sum()
