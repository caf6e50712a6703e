r"""Mixtures of normal laws, by expectation maximisation.

    p(x) = Σ_k π_k N(x; μ_k, Σ_k)

Rows are standardised first, so that nothing cancels, and the log-Jacobian is added back. The two steps are in
`pushforward.models.classical.mixtures`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidKind, InvalidValue, suggestion
from pushforward.core.model import Fitter, Model
from pushforward.core.moments import Moments
from pushforward.core.numbers import plain
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
from pushforward.models.classical.mixtures import KINDS, Expected, Laws, covariances, maximised, shaped, sums_of
from pushforward.models.classical.starts import START_ROWS, at_random, plus_plus, squared_distances

__all__ = ["GMM", "choose_components"]

STARTS = ("kmeans", "kmeans++", "random")


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
        self._laws: Laws | None = None
        self._gaps = False

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
        self._gaps = bool(facts.missing.any())
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
            self.update(sums_of(x, torch.nn.functional.one_hot(owner, self.components).to(x).T * w, self.covariance, w))
        else:
            variance = _covariance(x, w).diagonal() if isinstance(self.start, str) else torch.ones_like(x[0])
            self.location_ = centres
            self.weights_ = torch.full_like(centres[:, 0], 1 / self.components)
            self.spread_ = shaped(variance, self.covariance, self.components, self.floor)
        self._laws = None

    def coordinates(self, x: Tensor) -> Tensor:
        """Standardised rows, flattened (n, d)."""
        return self.scaling(x.to(torch.float64)).flatten(1).to(self.floating())

    def statistics(self, batch: Batch) -> Expected:
        """E step of one block: responsibilities, and the sums they weigh."""
        if self._laws is None:
            state = (self.covariance, self.weights_, self.location_, self.spread_, self._jacobian())
            self._laws = Laws(*state, self.floating())
        return (self._laws.expect if self._gaps else self._laws.expect_complete)(batch.x, batch.weights)

    def update(self, statistics: Expected) -> bool:
        """M step; the fitter judges convergence."""
        found = maximised(statistics, self.covariance, self.floor, self.location_, self.spread_)
        self.weights_, self.location_, self.spread_ = found
        self._laws = None
        return False

    def objective(self, statistics: Expected) -> float:
        """Mean log-likelihood of the rows before the last M step, nats, user's units."""
        return float(statistics.log_likelihood / statistics.weight)

    def _full(self) -> Tensor:
        """Covariances (k, d, d) in model coordinates, whatever their kind."""
        return covariances(self.covariance, self.location_, self.spread_)

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
        rows = self.conform(x).to(torch.float64)
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
    x: Any, candidates: Iterable[Any] = range(1, 11), *, criterion: str = "bic", by: Fitter | None = None, **options: Any
) -> tuple[GMM, dict[int, float]]:
    """The mixture with the lowest criterion ('bic' or 'aic') among the candidate whole numbers of components, and all criteria.

    `options` are GMM's other arguments; the same rows x serve to fit and to judge, as the criteria mean them to.
    """
    if criterion not in ("bic", "aic"):
        raise InvalidValue(f"criterion must be 'bic' or 'aic', got {criterion!r}")
    fitted = {k: GMM(k, **options).fit(x, by=by) for k in map(plain, candidates)}
    if not fitted:
        raise InvalidValue("candidates must hold at least one number of components, got none")
    values = {k: float(getattr(model, criterion)(x)) for k, model in fitted.items()}
    return fitted[min(values, key=lambda k: values[k])], values


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
