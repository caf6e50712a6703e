r"""Gaussian copulas of tables: any margins, one correlation matrix.

    p(x) = N(z; 0, R) Π_j |dz_j/dx_j|,       z_j = Φ⁻¹(F_j(x_j)).

Integers and categories are cells of z (latent thresholds); their correlations are corrected for
what the cells take (`association`), and their probabilities integrated (`cells`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.core.fitter import Fitter
from pushforward.core.phase import Batch
from pushforward.core.registry import register
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.densities.margins import MarginKind
from pushforward.fitting.em import EM
from pushforward.models.classical.refusals import refuse_large
from pushforward.models.tabular.association import (
    hermite_coefficients,
    latent_correlation,
    order_categories,
    shrink,
)
from pushforward.models.tabular.score_mixture import ScoreMixture
from pushforward.models.tabular.score_sums import Precisions, ScoreSums, expect, maximise

__all__ = ["GaussianCopula"]


@register("copula")
class GaussianCopula(ScoreMixture):
    """A Gaussian copula: margins of any shape, and correlations of their normal scores.

    For tables of any columns, with missing values. The correlations are the maximum-likelihood
    ones of the scores (by EM where values are missing), corrected for cells, and shrunk towards
    none as far as few rows demand: by λ = Σ Var(r) / Σ r² with Var(r) = (1 - r²)² / n. Categories
    are ordered by what the other columns say of them, unless they have an order.

    Args:
        margins: 'kernel' (kernel densities within known bounds), 'empirical' (distribution
            functions between order statistics) or 'none' (normal distributions).

    Attributes:
        margins_: of the columns.
        covariance_: R (1, s, s); of a conditional, the covariances of the scores.
        location_: 0 (1, s); of a conditional, the means of the scores.
        shrinkage_: λ, ().

    References:
        Nelsen (2006), An Introduction to Copulas, section 2.3 and 3.1.
        https://doi.org/10.1007/0-387-28678-0
        Schäfer & Strimmer (2005), A shrinkage approach to large-scale covariance matrix estimation.
        https://doi.org/10.2202/1544-6115.1175

    Example:
        >>> import torch
        >>> x = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).exp()
        >>> model = GaussianCopula().fit(torch.cat([x, x ** 2], 1))
        >>> bool(model.correlations_[0, 1] > .99)
        True
    """

    lists_categories = False

    shrinkage_: Tensor
    scores_mean_: Tensor
    scores_covariance_: Tensor

    def __init__(self, margins: MarginKind = "kernel") -> None:
        super().__init__()
        self.margins = self.check_margins(margins)
        for name in ("scores_mean_", "scores_covariance_", "shrinkage_"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self._gaps, self._rows = False, 0
        self._ready: Precisions | None = None

    def default_fitter(self) -> Fitter:
        """Passes until the mean log-likelihood gains less than 1e-5 nats, at most 50."""
        return EM(steps=50, tolerance=1e-5)

    @property
    def correlations_(self) -> Tensor:
        """Correlations (s, s) of the normal scores."""
        covariance = self.covariance_[0]
        deviation = covariance.diagonal().sqrt()
        return covariance / deviation / deviation[:, None]

    # ------------------------------------------------------------------------------------ fitting

    def prepare(self, source: Source, facts: Facts) -> None:
        """Margins, and the order of categories."""
        refuse_large(self, source)
        super().prepare(source, facts)
        self._gaps, self._rows = bool(facts.missing.any()), facts.count
        self._ready = None

    def begin_columns(self, rows: Tensor, weights: Tensor | None) -> None:
        """Order the categories."""
        columns = self.columns
        sizes = [len(c.categories) if c.kind == "categorical" else 0 for c in columns]
        if any(sizes):
            self.ranks_ = order_categories(rows, sizes, [c.ordered for c in columns], weights)

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Independent scores."""
        s = len(self.scored)
        self.weights_ = torch.ones(1, dtype=torch.float64, device=self.device)
        self.tables_ = self.weights_.new_zeros(1, 0)
        self.scores_mean_ = self.weights_.new_zeros(1, s)
        eye = torch.eye(s, dtype=torch.float64, device=self.device)[None]
        self.scores_covariance_ = eye
        self.location_, self.covariance_ = self.scores_mean_.clone(), eye.clone()
        self.shrinkage_ = self.weights_.new_zeros(())
        self._ready = None

    def coordinates(self, x: Tensor) -> Tensor:
        """Scores (n, s), means of cells, and the offset of each row's log-density (n, 1)."""
        scores = self.margins_.scores(self.numbers(x.flatten(1)))
        return torch.cat([scores.moments()[0], scores.offset()[:, None]], 1)

    def statistics(self, batch: Batch) -> ScoreSums:
        """E step of one block of rows."""
        if self._ready is None:
            self._ready = Precisions.of(self.scores_mean_, self.scores_covariance_)
        z, offset = batch.x[:, :-1], batch.x[:, -1]
        _, sums = expect(z, None, offset[:, None], batch.weights, self._ready)
        return sums

    def update(self, statistics: ScoreSums) -> bool:
        """M step; without missing values, one pass suffices."""
        means, covariance = self.scores_mean_, self.scores_covariance_
        eye = torch.eye(means.shape[1]).to(means)
        _, means, covariance = maximise(statistics, means, eye, 1.0, "full")
        self.scores_mean_, self.scores_covariance_, self._ready = means, covariance, None
        coefficients = hermite_coefficients(self.margins_).to(means)
        deviation = covariance[0].diagonal().sqrt()
        observed = covariance[0] / deviation / deviation[:, None]
        latent = latent_correlation(covariance[0], coefficients)
        correlation, share = shrink(latent, observed, float(statistics.weight))
        self.covariance_, self.shrinkage_ = correlation[None], means.new_tensor(share)
        return not self._gaps

    def objective(self, statistics: ScoreSums) -> float:
        """Mean log-likelihood of the scores before the last M step, nats, user's units."""
        return float(statistics.log_likelihood / statistics.weight)
