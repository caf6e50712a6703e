r"""Mixtures of normal laws, by expectation maximisation.

    p(x) = Σ_k π_k N(x; μ_k, Σ_k)

E step: r_ik = π_k N(x_i; μ_k, Σ_k) / p(x_i). The log-density of a normal law is linear in φ(x) = [x xᵀ, x, 1],

    log π_k N(x; μ_k, Σ_k) = -½ <Σ_k⁻¹, x xᵀ> + <Σ_k⁻¹ μ_k, x> + c_k,

so the logits are one matrix product of the features with a table of k rows, and the M step's sums Σ_i r_ik φ(x_i) are
another. x xᵀ is symmetric: only its upper triangle is built, with the table's off-diagonal entries doubled. Rows are
standardised first, so that nothing cancels, and the log-Jacobian is added back.

M step: N_k = Σ r, π_k = N_k / N, μ_k = Σ r x / N_k, Σ_k = Σ r x xᵀ / N_k - μ_k μ_kᵀ, whose eigenvalues below `floor`
are raised to it. That is the maximiser under the constraint Σ_k ⪰ floor, so the likelihood never falls; adding the floor
to the diagonal would not have this property.

Missing values are marginalised exactly (Ghahramani & Jordan 1994). For a row with observed coordinates o, missing m,

    r_k ∝ π_k N(x_o; μ_o, Σ_oo),   x̂_m = μ_m + Σ_mo Σ_oo⁻¹ (x_o - μ_o),   E[x xᵀ] = x̂ x̂ᵀ + [Σ_mm - Σ_mo Σ_oo⁻¹ Σ_om],

computed once a pass for each pattern of missing coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidKind, InvalidValue, suggestion
from pushforward.core.model import Fitter, Model
from pushforward.core.moments import Moments
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator, normal
from pushforward.core.registry import register
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.fitting.em import EM, sample_rows
from pushforward.models.classical.gaussian import axes_of, refuse_conditions, subspace
from pushforward.models.classical.kmeans import whole_number
from pushforward.models.classical.missing import Conditional
from pushforward.models.classical.starts import START_ROWS, at_random, plus_plus, squared_distances

__all__ = ["GMM", "choose_components"]

KINDS = ("full", "diagonal", "spherical", "tied")
STARTS = ("kmeans", "kmeans++", "random")


@dataclass
class Expected:
    """Σ r (k,), Σ r x (k, d), Σ r x xᵀ or its diagonal (k, d, d) | (k, d), or summed over k (d, d); Σ w log p and Σ w."""

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


@register("gmm")
class GMM(Model):
    """Mixture of k normal laws: p(x) = Σ_k π_k N(x; μ_k, Σ_k).

    **Reference** Dempster, Laird & Rubin (1977); Bishop (2006), section 9.2; Ghahramani & Jordan (1994), Supervised
    learning from incomplete data via an EM approach, for missing values. The floor is a constraint, not an addition.

    **Arguments**
        components: k.
        covariance: 'full', 'diagonal', 'spherical' (σ_k² I in the user's units) or 'tied' (one full covariance for all).
        start: 'kmeans' (k-means from a k-means++ start, on a seeded sample of rows), 'kmeans++', 'random' (rows), or
            means (k, d) in the user's units, with equal weights and the data's own variances.
        starts: how many starts to follow to the end; the likeliest is kept.
        floor: the least variance in any direction, as a share of the data's variance of each coordinate.
        precision: 'float64', or 'float32' for passes about twice as fast; parameters and `log_prob` are in float64.

    Learnt: `weights_` (k,), and in the user's units `means_` (k, d), `covariances_` (k, d, d). NaN is a missing value,
    when fitting and everywhere else.

    **Example**
        >>> import torch
        >>> x = torch.cat([torch.randn(100, 2, generator=torch.Generator().manual_seed(i)) + 8 * i for i in range(2)])
        >>> model = GMM(2).fit(x)
        >>> model.weights_
        tensor([0.5000, 0.5000], dtype=torch.float64)
        >>> model.condition({0: 8.}).means_.shape
        torch.Size([2, 1])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"missing", "constant", "single", "few"})
    scaling_kind: str = "standardised"
    block_rows: ClassVar[int] = 2048

    weights_: Tensor
    location_: Tensor
    spread_: Tensor

    def __init__(
        self,
        components: int = 8,
        covariance: str = "full",
        start: Any = "kmeans",
        starts: int = 1,
        floor: float = 1e-6,
        precision: str = "float64",
    ) -> None:
        super().__init__()
        self.components, self.starts = whole_number("components", components), whole_number("starts", starts)
        if covariance not in KINDS:
            raise InvalidValue(
                f"covariance must be one of {', '.join(map(repr, KINDS))}, got {covariance!r}; {suggestion(str(covariance), KINDS)}"
            )
        if isinstance(start, str) and start not in STARTS:
            raise InvalidValue(f"start must be one of {', '.join(map(repr, STARTS))} or means (components, d), got {start!r}")
        if not isinstance(start, str):
            given = torch.as_tensor(start, dtype=torch.float64)
            if given.ndim != 2 or len(given) != components:
                raise InvalidValue(f"start as means must have shape ({components}, d), got {tuple(given.shape)}")
            start = tuple(tuple(row) for row in given.tolist())
        if isinstance(floor, bool) or not isinstance(floor, (int, float)):
            raise InvalidKind(f"floor must be a number above 0, got {floor!r}")
        if not 0 < floor < 1:
            raise InvalidValue(f"floor is a share of the data's variance and must lie in (0, 1), got {floor}; 1e-6 is usual")
        if precision not in ("float32", "float64"):
            raise InvalidValue(f"precision must be 'float32' or 'float64', got {precision!r}")
        self.covariance, self.start, self.floor, self.precision = covariance, start, float(floor), precision
        self.dtype = getattr(torch, precision)  # type: ignore[misc]
        for name in ("weights_", "location_", "spread_"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self._table: Tensor | None = None
        self._patterns: dict[bytes, Conditional] = {}

    @classmethod
    def of(cls, weights: Tensor, means: Tensor, covariances: Tensor, space: Space | None = None) -> GMM:
        """The mixture with weights (k,), means (k, d) and full covariances (k, d, d), in user's units, on `space`."""
        model = cls(len(weights))
        weights, means, covariances = (t.to(torch.float64) for t in (weights, means, covariances))
        weights = weights / weights.sum()
        mean = weights @ means
        variance = weights @ (covariances.diagonal(dim1=1, dim2=2) + (means - mean).square())
        moments = Moments(torch.ones_like(mean), mean, variance)
        model.assemble(space or Space.infer(means), None, moments)
        shift, scale = model._units()
        model.weights_, model.location_ = weights, (means - shift) / scale
        model.spread_ = covariances / torch.outer(scale, scale)
        return model

    def default_fitter(self) -> Fitter:
        """Passes until the mean log-likelihood gains less than 1e-6 nats, at most 200."""
        return EM(steps=200, tolerance=1e-6)

    # ---------------------------------------------------------------------------------------------------- learning

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions and columns without any value; standardise."""
        refuse_conditions(self, source)
        if bool((facts.missing == facts.count).any()):
            raise BadSource(f"coordinate {int((facts.missing == facts.count).nonzero()[0])} holds no value at all; drop that column")
        super().prepare(source, facts)
        if self.covariance == "spherical":
            variance = facts.moments.covariance
            common = variance.mean().sqrt() if bool(variance.sum() > 0) else torch.ones(())
            self.scaling.scale = torch.ones_like(self.scaling.scale) * common
        if not isinstance(self.start, str) and len(self.start[0]) != source.space.size:
            raise InvalidValue(f"start as means must have {source.space.size} columns, as the data have, got {len(self.start[0])}")

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Parameters for the first pass, from a seeded sample of the rows (missing values there stand at the mean)."""
        batch = sample_rows(source, max(START_ROWS, 64 * self.components), rng)
        x = self.coordinates(batch.x.to(self.device)).to(torch.float64).nan_to_num(0.0)
        w = x.new_ones(len(x)) if batch.weights is None else batch.weights.to(x)
        if isinstance(self.start, str):
            centres = (at_random if self.start == "random" else plus_plus)(x, self.components, rng, w)
        else:
            shift, scale = self._units()
            centres = (torch.tensor(self.start, dtype=torch.float64, device=self.device) - shift) / scale
        if self.start == "kmeans":
            centres = _lloyd(x, w, centres)
        if self.start in ("kmeans", "kmeans++"):
            owner = squared_distances(x, centres).argmin(1)
            self._maximise(self._sums(x, torch.nn.functional.one_hot(owner, self.components).to(x).T * w))
        else:
            variance = _covariance(x, w).diagonal() if isinstance(self.start, str) else torch.ones_like(x[0])
            self.location_ = centres
            self.weights_ = torch.full_like(centres[:, 0], 1 / self.components)
            self.spread_ = self._shaped(variance)
        self._table = None

    def coordinates(self, x: Tensor) -> Tensor:
        """Standardised rows, flattened (n, d)."""
        return self.scaling(x.to(torch.float64)).flatten(1).to(self.floating())

    def statistics(self, batch: Batch) -> Expected:
        """E step of one block: responsibilities, and the sums they weigh."""
        x, w = batch.x, batch.weights
        gaps = torch.isnan(x)
        if not bool(gaps.any()):
            return self._complete_rows(x, w)
        rows = gaps.any(1)
        total = self._complete_rows(x[~rows], None if w is None else w[~rows])
        patterns, which = torch.unique(gaps[rows], dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            own = rows.nonzero()[:, 0][which == i]
            total = total.merge(self._gappy_rows(x[own], None if w is None else w[own], pattern))
        return total

    def update(self, statistics: Expected) -> bool:
        """M step; the fitter judges convergence."""
        self._maximise(statistics)
        return False

    def objective(self, statistics: Expected) -> float:
        """Mean log-likelihood of the rows before the last M step, nats, user's units."""
        return float(statistics.log_likelihood / statistics.weight)

    def _complete_rows(self, x: Tensor, w: Tensor | None) -> Expected:
        table = self._tables()
        features = self._features(x)
        logits = table @ features
        total = _log_sum_exp_(logits)
        if self.covariance == "tied":
            total = total - 0.5 * (x @ self._root).square().sum(1)
        if w is not None:
            logits *= w
        weight = torch.tensor(float(len(x)), dtype=torch.float64, device=x.device) if w is None else w.sum().to(torch.float64)
        value = total.to(torch.float64).sum() if w is None else total.to(torch.float64) @ w.to(torch.float64)
        sums = self._sums(x, logits, features, w)
        sums.log_likelihood, sums.weight = value + float(self._jacobian().sum()) * weight, weight
        return sums

    def _features(self, x: Tensor) -> Tensor:
        """φ (p, n): the upper triangle of x xᵀ row by row, or the squares; then x; then 1."""
        n, d = x.shape
        quadratic = {"full": d * (d + 1) // 2, "tied": 0}.get(self.covariance, d)
        features = x.new_empty(quadratic + d + 1, n)
        linear = features[quadratic : quadratic + d]
        linear.copy_(x.T)
        features[-1] = 1
        if self.covariance == "full":
            at = 0
            for i in range(d):
                torch.mul(linear[i:], linear[i], out=features[at : at + d - i])
                at += d - i
        elif quadratic:
            torch.mul(linear, linear, out=features[:d])
        return features

    def _sums(self, x: Tensor, r: Tensor, features: Tensor | None = None, w: Tensor | None = None) -> Expected:
        """Σ r φ for responsibilities r (k, n), in float64; likelihood and weight left at 0."""
        features = self._features(x) if features is None else features
        sums = (r @ features.T).to(torch.float64)
        d = x.shape[1]
        quadratic = len(features) - d - 1
        if self.covariance == "tied":
            weighted = x if w is None else x * w[:, None]
            second = (weighted.T @ x).to(torch.float64)
        elif self.covariance == "full":
            second = sums.new_empty(len(sums), d, d)
            i, j = torch.triu_indices(d, d, device=x.device)
            second[:, i, j] = sums[:, :quadratic]
            second[:, j, i] = sums[:, :quadratic]
        else:
            second = sums[:, :d].clone()
        zero = sums.new_zeros(())
        return Expected(sums[:, -1].clone(), sums[:, quadratic : quadratic + d].clone(), second, zero, zero.clone())

    def _gappy_rows(self, x: Tensor, w: Tensor | None, gap: Tensor) -> Expected:
        """E step of rows that lack the same coordinates: conditional means and covariances, by component."""
        x = x.to(torch.float64)
        law = self._pattern(gap)
        logits, filled = law.joint(x, self.weights_, self.location_)
        value = _log_sum_exp_(logits)
        if w is not None:
            w = w.to(torch.float64)
            logits *= w
        first = torch.einsum("kn,nkd->kd", logits, filled)
        count = logits.sum(1)
        if self.covariance in ("full", "tied"):
            second = torch.einsum("kn,nki,nkj->kij", logits, filled, filled) + count[:, None, None] * law.rest
            second = second.sum(0) if self.covariance == "tied" else second
        else:
            second = torch.einsum("kn,nki->ki", logits, filled.square()) + count[:, None] * law.rest.diagonal(dim1=1, dim2=2)
        weight = torch.tensor(float(len(x)), dtype=x.dtype, device=x.device) if w is None else w.sum()
        total = (value.sum() if w is None else value @ w) + self._jacobian()[~gap].sum() * weight
        return Expected(count, first, second, total, weight)

    def _maximise(self, sums: Expected) -> None:
        """Weights, means and floored covariances; a component that owns nothing keeps its place with weight 0."""
        count = sums.count
        alive = count > 1e-10 * count.sum() / len(count)
        n = torch.where(alive, count, 1.0)
        means = sums.first / n[:, None]
        if self.covariance == "full":
            spread = _clipped(sums.second / n[:, None, None] - means[:, :, None] * means[:, None, :], self.floor)
        elif self.covariance == "tied":
            # Of the dead, count · mean meanᵀ is nothing.
            spread = _clipped((sums.second - torch.einsum("k,ki,kj->ij", count, means, means)) / count.sum(), self.floor)
        else:
            spread = sums.second / n[:, None] - means.square()
            spread = (spread.mean(1) if self.covariance == "spherical" else spread).clamp_min(self.floor)
        old = self.location_ if len(self.location_) == len(means) else means
        self.location_ = torch.where(alive[:, None], means, old)
        if self.covariance != "tied" and self.spread_.shape == spread.shape and bool((~alive).any()):
            spread = torch.where(alive.reshape(-1, *[1] * (spread.ndim - 1)), spread, self.spread_)
        self.spread_, self.weights_ = spread, torch.where(alive, count, 0.0) / count.sum()
        self._table = None

    def _tables(self) -> Tensor:
        """The table (k, p) that turns features into logits, for these parameters."""
        if self._table is None:
            self._table, self._patterns = self._new_table().to(self.floating()), {}
        return self._table

    def _new_table(self) -> Tensor:
        d = self.location_.shape[1]
        constant = self.weights_.clamp_min(1e-300).log() - 0.5 * d * math.log(2 * math.pi)
        if self.covariance in ("diagonal", "spherical"):
            variance = self.spread_ if self.covariance == "diagonal" else self.spread_[:, None].expand(-1, d)
            linear = self.location_ / variance
            constant = constant - 0.5 * (variance.log().sum(1) + (linear * self.location_).sum(1))
            return torch.cat([-0.5 / variance, linear, constant[:, None]], 1)
        values, axes = torch.linalg.eigh(self.spread_)
        precision = (axes / values[..., None, :]) @ axes.mT
        linear = (precision @ self.location_[:, :, None])[:, :, 0]
        constant = constant - 0.5 * (values.log().sum(-1) + (linear * self.location_).sum(1))
        if self.covariance == "tied":
            self._root = (axes * values.rsqrt()).to(self.floating())
            return torch.cat([linear, constant[:, None]], 1)
        i, j = torch.triu_indices(d, d, device=precision.device)
        quadratic = precision[:, i, j] * torch.where(i == j, -0.5, -1.0)
        return torch.cat([quadratic, linear, constant[:, None]], 1)

    def _pattern(self, gap: Tensor) -> Conditional:
        self._tables()
        key = gap.to("cpu").numpy().tobytes()
        if key not in self._patterns:
            self._patterns[key] = Conditional.of(gap, self._full())
        return self._patterns[key]

    def _shaped(self, variance: Tensor) -> Tensor:
        """Every component's covariance from one set of variances (d,)."""
        variance, k = variance.clamp_min(self.floor), self.components
        if self.covariance == "full":
            return torch.diag(variance).expand(k, -1, -1).clone()
        if self.covariance == "tied":
            return torch.diag(variance)
        return variance.expand(k, -1).clone() if self.covariance == "diagonal" else variance.mean().expand(k).clone()

    def _full(self) -> Tensor:
        """Covariances (k, d, d) in model coordinates, whatever their kind."""
        k, d = self.location_.shape
        if self.covariance == "full":
            return self.spread_
        if self.covariance == "tied":
            return self.spread_.expand(k, d, d)
        return torch.diag_embed(self.spread_ if self.covariance == "diagonal" else self.spread_[:, None].expand(k, d))

    def _units(self) -> tuple[Tensor, Tensor]:
        """Shift and scale of each flattened coordinate (d,)."""
        ones = torch.ones([int(s or 0) for s in self.fitted_space().shape], dtype=torch.float64, device=self.device)
        return (ones * self.scaling.shift).flatten(), (ones * self.scaling.scale).flatten()

    def _jacobian(self) -> Tensor:
        """log |du/dx| of each coordinate (d,)."""
        return -self._units()[1].log()

    # ------------------------------------------------------------------------------------------------- being used

    @property
    def means_(self) -> Tensor:
        """Means (k, d), user's units."""
        shift, scale = self._units()
        return self.location_ * scale + shift

    @property
    def covariances_(self) -> Tensor:
        """Covariances (k, d, d), user's units."""
        scale = self._units()[1]
        return self._full() * torch.outer(scale, scale)

    def log_prob(self, x: Any) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates; of the observed ones where some are NaN."""
        logits, jacobian = self._joint(x)
        return logits.logsumexp(1) + jacobian

    def responsibilities(self, x: Any) -> Tensor:
        """Probability of each component given the row's observed coordinates (n, k)."""
        return self._joint(x)[0].softmax(1)

    def assign(self, x: Any) -> Tensor:
        """The most probable component of each row (n,), int64."""
        return self._joint(x)[0].argmax(1)

    def sample(self, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """n draws (n, *shape), user's units, float64."""
        space = self.fitted_space()
        self.to_condition(y, n)
        stream = generator(rng)
        which = torch.multinomial(self.weights_.to(stream.device), n, replacement=True, generator=stream).to(self.device)
        noise = normal(n, self.location_.shape[1], rng=stream, like=self.location_)
        values, axes = torch.linalg.eigh(self._full())
        root = axes * values.clamp_min(0).sqrt()[:, None, :]
        x = torch.empty_like(noise)
        for k in which.unique().tolist():
            own = which == k
            x[own] = self.location_[k] + noise[own] @ root[k].T
        return self.to_user(x.reshape(n, *map(int, space.shape)))  # type: ignore[arg-type]

    def condition(self, known: Mapping[Any, float]) -> GMM:
        """The mixture of the other axes, given {axis name or position: value}; closed form."""
        space = self.fitted_space()
        d = self.location_.shape[1]
        b = axes_of(space, known)
        a = [i for i in range(d) if i not in b]
        if not a:
            raise InvalidValue("every axis is known; leave at least one free")
        shift, scale = self._units()
        x = torch.full((1, d), torch.nan, dtype=torch.float64, device=self.device)
        x[0, b] = torch.tensor([float(v) for v in known.values()], dtype=torch.float64, device=self.device)
        law = Conditional.of(torch.isnan(x[0]), self._full())
        logits, filled = law.joint((x - shift) / scale, self.weights_, self.location_)
        means = (filled[0] * scale + shift)[:, a]
        covariances = (law.rest * torch.outer(scale, scale))[:, a][:, :, a]
        return GMM.of(logits[:, 0].softmax(0), means, covariances, subspace(space, a))

    def marginal(self, axes: Any) -> GMM:
        """The mixture of some axes (a name or position, or several); closed form."""
        space = self.fitted_space()
        keep = axes_of(space, [axes] if isinstance(axes, (str, int)) else axes)
        if not keep:
            raise InvalidValue("a marginal needs at least one axis, got none")
        return GMM.of(self.weights_, self.means_[:, keep], self.covariances_[:, keep][:, :, keep], subspace(space, keep))

    def freedom(self) -> int:
        """How many numbers are free: weights, means and covariances."""
        k, d = self.location_.shape
        each = {"full": k * d * (d + 1) // 2, "tied": d * (d + 1) // 2, "diagonal": k * d, "spherical": k}[self.covariance]
        return k - 1 + k * d + each

    def aic(self, x: Any) -> float:
        """Akaike's criterion on rows x: 2 · freedom - 2 Σ log p(x); lower is better."""
        return 2 * self.freedom() - 2 * float(self.log_prob(x).sum())

    def bic(self, x: Any) -> float:
        """Schwarz's criterion on rows x: freedom · ln n - 2 Σ log p(x); lower is better."""
        values = self.log_prob(x)
        return self.freedom() * math.log(len(values)) - 2 * float(values.sum())

    def _joint(self, x: Any) -> tuple[Tensor, Tensor]:
        """log π_k N(u; k) of the observed coordinates (n, k) in float64, and the log-Jacobian of each row (n,)."""
        rows = self.fitted_space().conform(x, what="x").to(self.device, torch.float64)
        u = self.scaling(rows).flatten(1)
        gaps = torch.isnan(u)
        jacobian = (~gaps).to(torch.float64) @ self._jacobian()
        logits = u.new_empty(len(u), len(self.weights_))
        patterns, which = torch.unique(gaps, dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            law = Conditional.of(pattern, self._full())
            for rows in (which == i).nonzero()[:, 0].split(self.block_rows):
                logits[rows] = law.log_density(u[rows], self.location_).T + self.weights_.clamp_min(1e-300).log()
        return logits, jacobian


def choose_components(
    x: Any, candidates: Iterable[int] = range(1, 11), *, criterion: str = "bic", by: Fitter | None = None, **options: Any
) -> tuple[GMM, dict[int, float]]:
    """The mixture with the lowest criterion ('bic' or 'aic') among the candidate numbers of components, and all criteria.

    `options` are GMM's other arguments; the same rows x serve to fit and to judge, as the criteria mean them to.
    """
    if criterion not in ("bic", "aic"):
        raise InvalidValue(f"criterion must be 'bic' or 'aic', got {criterion!r}")
    fitted = {k: GMM(k, **options).fit(x, by=by) for k in candidates}
    if not fitted:
        raise InvalidValue("candidates must hold at least one number of components, got none")
    values = {k: float(getattr(model, criterion)(x)) for k, model in fitted.items()}
    return fitted[min(values, key=lambda k: values[k])], values


def _log_sum_exp_(logits: Tensor) -> Tensor:
    """Normalise logits (k, n) in place to probabilities over k; returns log Σ exp (n,)."""
    if not logits.shape[1]:
        return logits.new_zeros(0)
    top = logits.amax(0)
    total = logits.sub_(top).exp_().sum(0)
    logits /= total
    return top + total.log()


def _clipped(covariance: Tensor, floor: float) -> Tensor:
    """Symmetric matrices with eigenvalues below `floor` raised to it."""
    values, axes = torch.linalg.eigh((covariance + covariance.mT) / 2)
    if bool((values >= floor).all()):
        return (covariance + covariance.mT) / 2
    return (axes * values.clamp_min(floor)[..., None, :]) @ axes.mT


def _covariance(x: Tensor, w: Tensor) -> Tensor:
    centred = x - w @ x / w.sum()
    return (centred * w[:, None]).T @ centred / w.sum()


def _lloyd(x: Tensor, w: Tensor, centres: Tensor, steps: int = 30) -> Tensor:
    """A few passes of k-means over the start's sample."""
    before = None
    for _ in range(steps):
        owner = squared_distances(x, centres).argmin(1)
        if before is not None and bool((owner == before).all()):
            break
        before = owner
        count = torch.zeros_like(centres[:, 0]).index_add_(0, owner, w)
        sums = torch.zeros_like(centres).index_add_(0, owner, x * w[:, None])
        centres = torch.where(count[:, None] > 0, sums / count.clamp_min(1e-300)[:, None], centres)
    return centres
