r"""The E step of normal mixtures, as a function of rows and parameters.

r_ik = π_k N(x_i; μ_k, Σ_k) / p(x_i). The log-density of a normal
distribution is linear in φ(x) = [x xᵀ, x, 1],

    log π_k N(x; μ_k, Σ_k) = -½ <Σ_k⁻¹, x xᵀ> + <Σ_k⁻¹ μ_k, x> + c_k,

so the logits are one matrix product of the features with a table of k rows, and the M step's sums
Σ_i r_ik φ(x_i) are another. x xᵀ is symmetric: each pair of coordinates is built once, with the
table's off-diagonal entries doubled. The pairs are ordered cyclically, (i, i), (i + 1, i),
(i + 2, i), …, so that all are products of x with shifted copies.

With few components in many dimensions the pairs cost more than they save: rows are then whitened by
each component. Independent coordinates need no table of features either.

Both products cancel if a mean is many of its deviations from the origin, as with distant clusters.
Components then use differences x - μ_k instead, in the scale of their correlations, and so do the
sums, which are about the means at the start of the pass (`NormalComponents.origins`).

Missing values are marginalised exactly. For a row with observed coordinates o, missing m,

    r_k ∝ π_k N(x_o; μ_o, Σ_oo),   x̂_m = μ_m + Σ_mo Σ_oo⁻¹ (x_o - μ_o),
    E[x xᵀ] = x̂ x̂ᵀ + [Σ_mm - Σ_mo Σ_oo⁻¹ Σ_om],

computed once per pass for each pattern of missing coordinates.

References:
    Dempster, Laird & Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    https://doi.org/10.1111/j.2517-6161.1977.tb01600.x Ghahramani & Jordan (1994), Supervised
    learning from incomplete data via an EM approach.
    https://proceedings.neurips.cc/paper/1993/hash/f2201f5191c4e92cc5af043eebfd0946-Abstract.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.models.classical.covariance_kinds import (
    CovarianceKind,
    Factors,
    condition_on_observed,
    factors,
)
from pushforward.models.classical.looped_expectation import expect_in_loops, prefers_loops
from pushforward.models.classical.missing import LEAST_WEIGHT, Conditional, Independent
from pushforward.models.classical.mixture_sums import (
    Expected,
    features,
    normalise,
    pairs,
    sum_centred,
    sum_features,
)

__all__ = ["NormalComponents"]

CAREFUL = {torch.float64: 1e8, torch.float32: 1e5}
"""Squared means, in units of the variance, above which products cancel too much.

The error is then 1e-8 nats in float64, 1e-2 in float32.
"""
DIRECT = 6
"""Coordinates per full component from which whitening rows by each component costs less than
building all pairs of coordinates.
"""
ROWS = 2048
"""Rows at a time of array operations."""


@dataclass
class NormalComponents:
    """k weighted normal distributions in the model's coordinates, prepared for one pass.

    Args:
        kind: of the covariances.
        weights: (k,).
        means: (k, d).
        spread: of that kind, see `covariance_kinds`.
        jacobian: log |du/dx| of each coordinate (d,).
        dtype: type for computing with complete rows.
        rows: of the fit, which decide whether compiled loops are worth loading.

    Attributes:
        factors: of the covariances.
        ratio: the largest squared mean in units of the variance.
        looped: whether complete rows go through compiled loops.
        direct: whether rows are whitened by each component, as there are few components.
        origins: origins of the sums (k, d); None for 0.
        table: (k, p), maps features to logits.
        root: W (d, d) with W Wᵀ = Σ⁻¹ of a tied covariance, which needs no table of squares.
        patterns: of missing coordinates, by their bytes.
    """

    kind: CovarianceKind
    weights: Tensor
    means: Tensor
    spread: Tensor
    jacobian: Tensor
    dtype: torch.dtype = torch.float64
    rows: int = 0
    factors: Factors = field(init=False)
    ratio: float = field(init=False)
    looped: bool = field(init=False, default=False)
    direct: bool = field(init=False, default=False)
    origins: Tensor | None = field(init=False, default=None)
    table: Tensor = field(init=False)
    root: Tensor | None = field(init=False, default=None)
    patterns: dict[bytes, Conditional | Independent] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        k, d = self.means.shape
        on_cpu = self.means.device.type == "cpu"
        loaded = on_cpu and prefers_loops(self.kind, self.rows, k, d)
        self.factors = factors(self.kind, self.spread, d, looped=loaded)
        self.ratio = self._ratio()
        if self.ratio > CAREFUL[self.dtype]:  # by a bound of the least eigenvalues
            self.factors = factors(self.kind, self.spread, d, exact=True)
            self.ratio = self._ratio()
        careful = self.ratio > CAREFUL[self.dtype]
        self.looped = loaded and not careful
        self.direct = not careful and self.kind == "full" and k * DIRECT <= d
        if careful or self.direct or (self.looped and self.kind != "tied"):
            self.origins = self.means
        if not self.looped:
            self.table = self._new_table().to(self.dtype)

    def _ratio(self) -> float:
        """The largest squared mean in units of the variance."""
        squares = (self.means / self.factors.deviations).square().amax(1)
        return float(squares.div(self.factors.least).max())

    def expect(self, x: Tensor, w: Tensor | None, *, gaps: bool = True) -> Expected:
        """E step of rows x (n, d), NaN where missing if there may be `gaps`, with weights (n,)."""
        if self.looped and not gaps:
            return self.expect_complete(x, w)
        parts = zip(x.split(ROWS), [None] * len(x) if w is None else w.split(ROWS))
        each = self._expect_with_gaps if gaps else self.expect_complete
        total: Expected | None = None
        for rows, weights in parts:
            part = each(rows, weights)
            total = part if total is None else total.merge(part)
        return each(x, w) if total is None else total

    def _expect_with_gaps(self, x: Tensor, w: Tensor | None) -> Expected:
        """E step of rows of which some may be incomplete."""
        gaps = torch.isnan(x)
        incomplete = gaps.any(1)
        total = self.expect_complete(x[~incomplete], None if w is None else w[~incomplete])
        patterns, pattern_of = torch.unique(gaps[incomplete], dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            rows = incomplete.nonzero()[:, 0][pattern_of == i]
            part = self.expect_incomplete(x[rows], None if w is None else w[rows], pattern)
            total = total.merge(part)
        return total

    def expect_complete(self, x: Tensor, w: Tensor | None) -> Expected:
        """E step of complete rows."""
        if self.looped:
            return self._expect_in_loops(x, w)
        if self.direct:
            return self._finished(*self._expect_directly(x, w), w)
        if self.origins is not None:
            wide = None if w is None else w.to(torch.float64)
            return self._expect_carefully(x.to(torch.float64), wide)
        if self.kind in ("diagonal", "spherical"):
            return self._finished(*self._expect_independent(x, w), w)
        phi = features(x, self.kind)
        r, value = normalise(self.table @ phi)
        if self.root is not None:
            value = value - 0.5 * (x @ self.root).square().sum(1)
        if w is not None:
            r *= w
        return self._finished(sum_features(x, r, self.kind, w, phi), value, w)

    def _expect_in_loops(self, x: Tensor, w: Tensor | None) -> Expected:
        """E step of complete rows in compiled loops."""
        log = self._constants()
        sums = expect_in_loops(self.kind, x, w, self.means, self.factors, log)
        count, first, second, likelihood, weight = sums
        if self.kind == "full":
            second = second[:, *pairs(x.shape[1], x.device)]
        return Expected(count, first, second, likelihood + self.jacobian.sum() * weight, weight)

    def _expect_independent(self, x: Tensor, w: Tensor | None) -> tuple[Expected, Tensor]:
        """Sums and log-densities (n,) of independent coordinates, without a table of features."""
        d, squares = x.shape[1], x.square()
        logits = torch.addmm(self.table[:, -1:], self.table[:, d:-1], x.T)
        r, value = normalise(logits.addmm_(self.table[:, :d], squares.T))
        if w is not None:
            r *= w
        count, first, second = (s.to(torch.float64) for s in (r.sum(1), r @ x, r @ squares))
        zero = count.new_zeros(())
        return Expected(count, first, second, zero, zero.clone()), value

    def _expect_directly(self, x: Tensor, w: Tensor | None) -> tuple[Expected, Tensor]:
        """Sums about the means and log-densities (n,) by differences from each mean."""
        white, means = self._whitening()
        centred = [x - mean for mean in means]
        squares = torch.stack([(c @ root).square_().sum(1) for c, root in zip(centred, white)])
        r, value = normalise(squares.mul_(-0.5).add_(self._constants().to(x.dtype)[:, None]))
        if w is not None:
            r *= w
        i, j = pairs(x.shape[1], x.device)
        first = torch.stack([p @ c for p, c in zip(r, centred)]).to(torch.float64)
        products = torch.stack([(c * p[:, None]).T @ c for p, c in zip(r, centred)])
        count, second = r.sum(1).to(torch.float64), products[:, i, j].to(torch.float64)
        zero = count.new_zeros(())
        return Expected(count, first, second, zero, zero.clone()), value

    def _whitening(self) -> tuple[Tensor, Tensor]:
        """W (k, d, d) with W Wᵀ = Σ⁻¹ and the means (k, d), in the type of the rows."""
        assert self.factors.white is not None
        return self.factors.white.to(self.dtype), self.means.to(self.dtype)

    def _constants(self) -> Tensor:
        """log π_k - ½ log |2π Σ_k| (k,)."""
        volumes = self.means.shape[1] * math.log(2 * math.pi) + self.factors.log_determinants
        return self.weights.clamp_min(LEAST_WEIGHT).log() - 0.5 * volumes

    def _finished(self, sums: Expected, value: Tensor, w: Tensor | None) -> Expected:
        """The sums with the rows' weight and log-likelihood."""
        value, wide = value.to(torch.float64), None if w is None else w.to(torch.float64)
        sums.weight += float(len(value)) if wide is None else wide.sum()
        total = value.sum() if wide is None else value @ wide
        sums.log_likelihood += total + self.jacobian.sum() * sums.weight
        return sums

    def _expect_carefully(self, x: Tensor, w: Tensor | None) -> Expected:
        """E step of complete rows by differences from each mean."""
        whitened = (self.factors.whiten(k, x - mean) for k, mean in enumerate(self.means))
        squares = torch.stack([u.square().sum(1) for u in whitened])
        r, value = normalise(self._constants()[:, None] - 0.5 * squares)
        weight = x.new_tensor(float(len(x))) if w is None else w.sum()
        if w is not None:
            r *= w
        sums = sum_centred(x, r, self.kind, self.means)
        total = value.sum() if w is None else value @ w
        sums.weight, sums.log_likelihood = weight, total + self.jacobian.sum() * weight
        return sums

    def expect_incomplete(self, x: Tensor, w: Tensor | None, gap: Tensor) -> Expected:
        """E step of rows with the same missing coordinates (gap (d,))."""
        x, conditional = x.to(torch.float64), self._conditional(gap)
        logits, completed = conditional.joint(x, self.weights, self.means)
        r, value = normalise(logits)
        w = x.new_ones(len(x)) if w is None else w.to(torch.float64)
        r *= w
        completed = completed if self.origins is None else completed - self.origins
        first, count, weight = torch.einsum("kn,nkd->kd", r, completed), r.sum(1), w.sum()
        if isinstance(conditional, Conditional):
            second = torch.einsum("kn,nki,nkj->kij", r, completed, completed)
            second = second + count[:, None, None] * conditional.rest
            tied = self.kind == "tied"
            second = second.sum(0) if tied else second[:, *pairs(x.shape[1], x.device)]
        else:
            second = torch.einsum("kn,nki->ki", r, completed.square())
            second = second + count[:, None] * conditional.variances
        likelihood = value @ w + self.jacobian[~gap].sum() * weight
        return Expected(count, first, second, likelihood, weight)

    def _conditional(self, gap: Tensor) -> Conditional | Independent:
        """The components' conditionals for one pattern of missing coordinates."""
        key = gap.to("cpu").numpy().tobytes()
        if key not in self.patterns:
            self.patterns[key] = condition_on_observed(gap, self.kind, self.means, self.spread)
        return self.patterns[key]

    def _new_table(self) -> Tensor:
        """The table (k, p) that maps features to logits."""
        d = self.means.shape[1]
        constant = self.weights.clamp_min(LEAST_WEIGHT).log() - 0.5 * d * math.log(2 * math.pi)
        if self.kind in ("diagonal", "spherical"):
            spread = self.spread
            variance = spread if self.kind == "diagonal" else spread[:, None].expand(-1, d)
            linear = self.means / variance
            quadratic = variance.log().sum(1) + (linear * self.means).sum(1)
            constant = constant - 0.5 * quadratic
            return torch.cat([-0.5 / variance, linear, constant[:, None]], 1)
        white = self.factors.white
        assert white is not None
        precision = white @ white.mT
        linear = (precision @ self.means[:, :, None])[:, :, 0]
        quadratic = self.factors.log_determinants + (linear * self.means).sum(1)
        constant = constant - 0.5 * quadratic
        if self.kind == "tied":
            self.root = white[0].to(self.dtype)
            return torch.cat([linear, constant[:, None]], 1)
        i, j = pairs(d, precision.device)
        products = precision[:, i, j] * torch.where(i == j, -0.5, -1.0)
        return torch.cat([products, linear, constant[:, None]], 1)
