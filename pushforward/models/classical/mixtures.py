r"""The two steps of expectation maximisation for mixtures of normal laws, as functions of rows and parameters.

E step: r_ik = π_k N(x_i; μ_k, Σ_k) / p(x_i). The log-density of a normal law is linear in φ(x) = [x xᵀ, x, 1],

    log π_k N(x; μ_k, Σ_k) = -½ <Σ_k⁻¹, x xᵀ> + <Σ_k⁻¹ μ_k, x> + c_k,

so the logits are one matrix product of the features with a table of k rows, and the M step's sums Σ_i r_ik φ(x_i) are
another. x xᵀ is symmetric: each pair of coordinates is built once, with the table's off-diagonal entries doubled. The pairs
go round a circle, (i, i), (i + 1, i), (i + 2, i), …, so that all are products of one window of x with shifted ones.

M step: N_k = Σ r, π_k = N_k / N, μ_k = Σ r x / N_k, Σ_k = Σ r x xᵀ / N_k - μ_k μ_kᵀ, whose eigenvalues below `floor`
are raised to it. That is the maximiser under the constraint Σ_k ⪰ floor, so the likelihood never falls; adding the floor
to the diagonal would not have this property. The floor is one variance for each coordinate: Σ_k - diag(floor) has no negative
eigenvalue.

Both products cancel where a mean is many of its own deviations from the origin, as in clusters far apart. There each component
works with differences x - μ_k instead, in the scale of its correlations, and so do the sums, which are then about the
means that the pass began with (`Laws.origins`).

Missing values are marginalised exactly (Ghahramani & Jordan 1994). For a row with observed coordinates o, missing m,

    r_k ∝ π_k N(x_o; μ_o, Σ_oo),   x̂_m = μ_m + Σ_mo Σ_oo⁻¹ (x_o - μ_o),   E[x xᵀ] = x̂ x̂ᵀ + [Σ_mm - Σ_mo Σ_oo⁻¹ Σ_om],

computed once a pass for each pattern of missing coordinates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.models.classical.missing import Conditional, Independent

__all__ = [
    "KINDS",
    "Expected",
    "Laws",
    "bound",
    "centred_sums",
    "covariances",
    "maximised",
    "pattern_of",
    "shaped",
    "sums_of",
    "variances_of",
]

KINDS = ("full", "diagonal", "spherical", "tied")
CAREFUL = {torch.float64: 1e8, torch.float32: 1e5}
"""Squared means in units of the variance from which products cancel too much: 1e-8 nats in float64, 1e-2 in float32."""
EPS = torch.finfo(torch.float64).eps


@dataclass
class Expected:
    """Σ r (k,), Σ r x (k, d), Σ r x xᵀ of each pair of coordinates (k, d(d+1)/2), of the squares (k, d) or over all k (d, d);
    Σ w log p and Σ w."""

    count: Tensor
    first: Tensor
    second: Tensor
    log_likelihood: Tensor
    weight: Tensor

    def merge(self, other: Expected) -> Expected:
        """Of both sets of rows (in place, of one's own)."""
        self.count += other.count
        self.first += other.first
        self.second += other.second
        self.log_likelihood += other.log_likelihood
        self.weight += other.weight
        return self


@dataclass
class Laws:
    """k normal laws and their weights, in the model's coordinates, with what one pass needs of them.

    weights (k,), means (k, d); spread: covariances (k, d, d), variances (k, d) or (k,), or one covariance (d, d); jacobian:
    log |du/dx| of each coordinate (d,). Rows without gaps are worked on in `dtype`.
    """

    kind: str
    weights: Tensor
    means: Tensor
    spread: Tensor
    jacobian: Tensor
    dtype: torch.dtype = torch.float64
    factors: Factors = field(init=False)
    ratio: float = field(init=False)
    origins: Tensor | None = field(init=False, default=None)
    table: Tensor = field(init=False)
    root: Tensor | None = field(init=False, default=None)
    patterns: dict[bytes, Conditional | Independent] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.factors = factors(self.kind, self.spread, self.means.shape[1])
        self.ratio = float(
            (self.means / self.factors.deviations).square().amax(1).div(self.factors.least).max()
        )
        if self.ratio > CAREFUL[self.dtype]:
            self.origins = self.means
        self.table = self._new_table().to(self.dtype)

    def expect(self, x: Tensor, w: Tensor | None) -> Expected:
        """E step of rows x (n, d), NaN where missing: responsibilities, and the sums they weigh."""
        gaps = torch.isnan(x)
        rows = gaps.any(1)
        total = self.expect_complete(x[~rows], None if w is None else w[~rows])
        patterns, which = torch.unique(gaps[rows], dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            own = rows.nonzero()[:, 0][which == i]
            total = total.merge(self.expect_gappy(x[own], None if w is None else w[own], pattern))
        return total

    def expect_complete(self, x: Tensor, w: Tensor | None) -> Expected:
        """E step of rows without gaps."""
        if self.origins is not None:
            return self._expect_carefully(
                x.to(torch.float64), None if w is None else w.to(torch.float64)
            )
        phi = features(x, self.kind)
        logits = self.table @ phi
        r, value = normalised(logits)
        if self.root is not None:
            value = value - 0.5 * (x @ self.root).square().sum(1)
        if w is not None:
            r *= w
        sums = sums_of(x, r, self.kind, w, phi)
        value, wide = value.to(torch.float64), None if w is None else w.to(torch.float64)
        sums.weight += float(len(x)) if wide is None else wide.sum()
        sums.log_likelihood += (
            value.sum() if wide is None else value @ wide
        ) + self.jacobian.sum() * sums.weight
        return sums

    def _expect_carefully(self, x: Tensor, w: Tensor | None) -> Expected:
        """The same by differences from each mean."""
        squares = torch.stack(
            [self.factors.whiten(k, x - mean).square().sum(1) for k, mean in enumerate(self.means)]
        )
        constant = self.weights.clamp_min(1e-300).log() - 0.5 * (
            x.shape[1] * math.log(2 * math.pi) + self.factors.log_determinants
        )
        r, value = normalised(constant[:, None] - 0.5 * squares)
        weight = x.new_tensor(float(len(x))) if w is None else w.sum()
        if w is not None:
            r *= w
        sums = centred_sums(x, r, self.kind, self.means)
        sums.weight, sums.log_likelihood = (
            weight,
            (value.sum() if w is None else value @ w) + self.jacobian.sum() * weight,
        )
        return sums

    def expect_gappy(self, x: Tensor, w: Tensor | None, gap: Tensor) -> Expected:
        """E step of rows that lack the same coordinates (gap (d,)): conditional means and covariances, by component."""
        x, law = x.to(torch.float64), self._pattern(gap)
        logits, filled = law.joint(x, self.weights, self.means)
        r, value = normalised(logits)
        w = x.new_ones(len(x)) if w is None else w.to(torch.float64)
        r *= w
        filled = filled if self.origins is None else filled - self.origins
        first, count, weight = torch.einsum("kn,nkd->kd", r, filled), r.sum(1), w.sum()
        if isinstance(law, Conditional):
            second = (
                torch.einsum("kn,nki,nkj->kij", r, filled, filled) + count[:, None, None] * law.rest
            )
            second = (
                second.sum(0) if self.kind == "tied" else second[:, *pairs(x.shape[1], x.device)]
            )
        else:
            second = torch.einsum("kn,nki->ki", r, filled.square()) + count[:, None] * law.variances
        return Expected(
            count, first, second, value @ w + self.jacobian[~gap].sum() * weight, weight
        )

    def _pattern(self, gap: Tensor) -> Conditional | Independent:
        key = gap.to("cpu").numpy().tobytes()
        if key not in self.patterns:
            self.patterns[key] = pattern_of(gap, self.kind, self.means, self.spread)
        return self.patterns[key]

    def _new_table(self) -> Tensor:
        """The table (k, p) that turns features into logits."""
        d = self.means.shape[1]
        constant = self.weights.clamp_min(1e-300).log() - 0.5 * d * math.log(2 * math.pi)
        if self.kind in ("diagonal", "spherical"):
            variance = (
                self.spread if self.kind == "diagonal" else self.spread[:, None].expand(-1, d)
            )
            linear = self.means / variance
            constant = constant - 0.5 * (variance.log().sum(1) + (linear * self.means).sum(1))
            return torch.cat([-0.5 / variance, linear, constant[:, None]], 1)
        white = self.factors.white
        assert white is not None
        precision = white @ white.mT
        linear = (precision @ self.means[:, :, None])[:, :, 0]
        constant = constant - 0.5 * (self.factors.log_determinants + (linear * self.means).sum(1))
        if self.kind == "tied":
            self.root = white[0].to(self.dtype)
            return torch.cat([linear, constant[:, None]], 1)
        i, j = pairs(d, precision.device)
        return torch.cat(
            [precision[:, i, j] * torch.where(i == j, -0.5, -1.0), linear, constant[:, None]], 1
        )


@dataclass(frozen=True)
class Factors:
    """Of k covariances D R D: deviations D (k, d); the least eigenvalue of each R (k,); log |Σ| (k,); and W (k or 1, d, d) with
    W Wᵀ = Σ⁻¹, None where Σ is diagonal."""

    deviations: Tensor
    least: Tensor
    log_determinants: Tensor
    white: Tensor | None

    def whiten(self, k: int, centred: Tensor) -> Tensor:
        """Rows x - μ_k (n, d) to coordinates whose covariance is I."""
        if self.white is None:
            return centred / self.deviations[k]
        return centred @ self.white[k if len(self.white) > 1 else 0]


def factors(kind: str, spread: Tensor, d: int) -> Factors:
    """Of the spread of k laws: in the scale of their correlations, so that the units of columns cost no digits."""
    if kind in ("diagonal", "spherical"):
        deviations = (spread if kind == "diagonal" else spread[:, None].expand(-1, d)).sqrt()
        return Factors(
            deviations, torch.ones_like(deviations[:, 0]), 2 * deviations.log().sum(1), None
        )
    matrices = spread if kind == "full" else spread[None]
    deviations = matrices.diagonal(dim1=1, dim2=2).sqrt()
    values, axes = torch.linalg.eigh(matrices / deviations[:, None, :] / deviations[:, :, None])
    values = values.clamp_min(4 * d * EPS)
    log_determinants = values.log().sum(1) + 2 * deviations.log().sum(1)
    return Factors(
        deviations,
        values.amin(1),
        log_determinants,
        axes / deviations[:, :, None] * values.rsqrt()[:, None, :],
    )


def pairs(d: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The coordinates i, j (d(d+1)/2,) of each pair, in the order of `features`: by their distance round the circle."""
    at = torch.arange(d * (d + 1) // 2, device=device)
    return (at // d + at) % d, at % d


def features(x: Tensor, kind: str) -> Tensor:
    """φ (p, n) of rows x (n, d): the products of all pairs, or the squares, or neither where all share one covariance; x; 1."""
    n, d = x.shape
    quadratic = {"full": d * (d + 1) // 2, "tied": 0}.get(kind, d)
    phi = x.new_empty(quadratic + d + 1, n)
    phi[-1] = 1
    linear = phi[quadratic:-1].copy_(x.T)
    if kind == "full":
        turns, half = (d + 1) // 2, d // 2
        round_ = torch.cat([linear, linear[:half]])
        torch.mul(round_.unfold(0, d, 1)[:turns].mT, linear, out=phi[: turns * d].view(turns, d, n))
        if d % 2 == 0:  # half way round, each pair comes once
            torch.mul(linear[half:], linear[:half], out=phi[turns * d : quadratic])
    elif quadratic:
        torch.mul(linear, linear, out=phi[:d])
    return phi


def normalised(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities over k (k, n) of logits (k, n), and log Σ exp (n,).

    One kernel does it all, and the greatest probability p gives log Σ exp = top - log p. (A vector library's exponential of
    what ends below the least normal number is twelve times as slow.)
    """
    r = logits.softmax(0)
    return r, logits.amax(0) - r.amax(0).log()


def sums_of(
    x: Tensor, r: Tensor, kind: str, w: Tensor | None = None, phi: Tensor | None = None
) -> Expected:
    """Σ r φ for rows x (n, d) and responsibilities r (k, n), weighted already, in float64; likelihood and weight left at 0."""
    phi = features(x, kind) if phi is None else phi
    d = x.shape[1]
    sums = (r @ phi.T).to(torch.float64)
    quadratic = len(phi) - d - 1
    if kind == "tied":
        second = ((x if w is None else x * w[:, None]).T @ x).to(torch.float64)
    else:
        second = sums[:, :quadratic].clone()
    zero = sums.new_zeros(())
    return Expected(sums[:, -1].clone(), sums[:, quadratic:-1].clone(), second, zero, zero.clone())


def centred_sums(x: Tensor, r: Tensor, kind: str, origins: Tensor) -> Expected:
    """Σ r (x - o_k) and of products or squares for rows x (n, d), about one origin for each component (k, d), in float64.

    Rows that give a component nothing are not looked at.
    """
    d = x.shape[1]
    i, j = pairs(d, x.device)
    first, second = torch.zeros_like(origins), []
    for k, origin in enumerate(origins):
        own = (r[k] > 0).nonzero()[:, 0]
        delta, w = x[own] - origin, r[k, own]
        first[k] = w @ delta
        if kind in ("full", "tied"):
            products = (delta * w[:, None]).T @ delta
            second.append(products if kind == "tied" else products[i, j])
        else:
            second.append(w @ delta.square())
    found, zero = torch.stack(second), x.new_zeros(())
    return Expected(r.sum(1), first, found.sum(0) if kind == "tied" else found, zero, zero.clone())


def maximised(
    sums: Expected,
    kind: str,
    floor: float | Tensor,
    means: Tensor,
    spread: Tensor,
    origins: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """M step: weights, means and floored spread; a component that owns nothing keeps the `means` and `spread` it had.

    `floor` is the least variance, for all coordinates or for each (d,); `origins` (k, d) what the sums are about, or 0.
    """
    count = sums.count
    alive = count > 1e-10 * count.sum() / len(count)
    n = torch.where(alive, count, 1.0)
    new = sums.first / n[:, None]
    floor = torch.as_tensor(floor, dtype=new.dtype, device=new.device).expand(new.shape[1])
    if kind == "full":
        k, d = new.shape
        i, j = pairs(d, new.device)
        second = new.new_empty(k, d, d)
        second[:, i, j] = second[:, j, i] = sums.second / n[:, None]
        wide = _clipped(second - new[:, :, None] * new[:, None, :], floor)
    elif kind == "tied":
        # Of the dead, count · mean meanᵀ is nothing.
        wide = _clipped(
            (sums.second - torch.einsum("k,ki,kj->ij", count, new, new)) / count.sum(), floor
        )
    else:
        wide = sums.second / n[:, None] - new.square()
        wide = (
            torch.maximum(wide.mean(1), floor.mean())
            if kind == "spherical"
            else torch.maximum(wide, floor)
        )
    if origins is not None:
        new = new + origins
    if kind != "tied" and spread.shape == wide.shape:
        wide = torch.where(alive.reshape(-1, *[1] * (wide.ndim - 1)), wide, spread)
    if len(means) == len(new):
        new = torch.where(alive[:, None], new, means)
    return torch.where(alive, count, 0.0) / count.sum(), new, wide


def covariances(kind: str, means: Tensor, spread: Tensor) -> Tensor:
    """Covariances (k, d, d) of laws of any kind with these means (k, d) and spread."""
    k, d = means.shape
    if kind in ("full", "tied"):
        return spread.expand(k, d, d)
    return torch.diag_embed(variances_of(kind, means, spread))


def variances_of(kind: str, means: Tensor, spread: Tensor) -> Tensor:
    """Variances (k, d) of laws of any kind with these means (k, d) and spread, without the covariances between coordinates."""
    k, d = means.shape
    if kind in ("full", "tied"):
        return spread.diagonal(dim1=-2, dim2=-1).expand(k, d)
    return spread if kind == "diagonal" else spread[:, None].expand(k, d)


def pattern_of(gap: Tensor, kind: str, means: Tensor, spread: Tensor) -> Conditional | Independent:
    """What each law says of the observed and of the missing coordinates (gap (d,)); no d × d matrix where coordinates are independent."""
    if kind in ("full", "tied"):
        return Conditional.of(gap, covariances(kind, means, spread))
    return Independent(gap, variances_of(kind, means, spread))


def shaped(variance: Tensor, kind: str, k: int, floor: float | Tensor) -> Tensor:
    """The spread of k laws of one kind, all from one set of variances (d,)."""
    variance = torch.maximum(
        variance, torch.as_tensor(floor, dtype=variance.dtype, device=variance.device)
    )
    if kind in ("full", "tied"):
        return (
            torch.diag(variance)
            if kind == "tied"
            else torch.diag(variance).expand(k, -1, -1).clone()
        )
    return (
        variance.expand(k, -1).clone() if kind == "diagonal" else variance.mean().expand(k).clone()
    )


def bound(spread: Tensor, kind: str, floor: Tensor) -> Tensor:
    """Which of the components (k,), or of one for all (1,), have in some direction the least variance that is allowed."""
    slack = 1 + 1e-6
    if kind == "spherical":
        return spread <= floor.mean() * slack
    if kind == "diagonal":
        return (spread <= floor * slack).any(1)
    matrices = spread if kind == "full" else spread[None]
    unit = _units(matrices, floor)
    return torch.linalg.eigvalsh(matrices / unit[:, None, :] / unit[:, :, None])[:, 0] <= slack


def _units(covariance: Tensor, floor: Tensor) -> Tensor:
    """The least deviations (…, d): of the floor, or what float64 can tell from 0 beside each coordinate's own variance."""
    own = covariance.diagonal(dim1=-2, dim2=-1)
    return torch.maximum(floor, 8 * covariance.shape[-1] * EPS * own).sqrt()


def _clipped(covariance: Tensor, floor: Tensor) -> Tensor:
    """Symmetric matrices with eigenvalues, in units of the floor (d,), below 1 raised to it."""
    covariance = (covariance + covariance.mT) / 2
    unit = _units(covariance, floor)
    values, axes = torch.linalg.eigh(covariance / unit[..., None, :] / unit[..., :, None])
    if bool((values >= 1).all()):
        return covariance
    raised = (axes * values.clamp_min(1)[..., None, :]) @ axes.mT
    return raised * unit[..., None, :] * unit[..., :, None]
