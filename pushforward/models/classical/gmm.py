r"""Mixtures of normal laws, by expectation maximisation.

    p(x) = Σ_k π_k N(x; μ_k, Σ_k)

Rows are standardised first, so that nothing cancels, and the log-Jacobian is added back. The two steps are in
`pushforward.models.classical.mixtures`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidKind, InvalidValue, suggestion
from pushforward.core.fitter import Fitter, Symptom
from pushforward.core.model import Model
from pushforward.core.moments import Moments
from pushforward.core.numbers import plain
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator, normal
from pushforward.core.registry import register
from pushforward.core.samplers import Sampler
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.fitting.em import EM
from pushforward.fitting.facts import sample_rows
from pushforward.models.classical.axes import axes_of, known_values, subspace, too_far
from pushforward.models.classical.covariance import root
from pushforward.models.classical.missing import Conditional, Independent
from pushforward.models.classical.mixtures import (
    KINDS,
    Expected,
    Laws,
    bound,
    centred_sums,
    covariances,
    maximised,
    pattern_of,
    shaped,
    sums_of,
    variances_of,
)
from pushforward.models.classical.refusals import (
    refuse_conditions,
    refuse_large,
    refuse_many,
    whole_number,
)
from pushforward.models.classical.starts import (
    START_ROWS,
    at_random,
    checked_start,
    plus_plus,
    squared_distances,
)

__all__ = ["GMM", "choose_components"]

STARTS = ("kmeans", "kmeans++", "random")
EPS = torch.finfo(torch.float64).eps
WIDE = 1e9
"""Squared means in units of the variance from which rows in float32 would be too coarse."""
MOST = 1e100


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
        floor: the least variance in any direction, as a share of the variance of each coordinate within the clusters of the start
            (of the data's where that is 0). So neither an outlier nor clusters far apart raise it; where it binds, the fit says so.
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
        self.components, self.starts = (
            whole_number("components", components),
            whole_number("starts", starts),
        )
        if covariance not in KINDS:
            raise InvalidValue(
                f"covariance must be one of {', '.join(map(repr, KINDS))}, got {covariance!r}; {suggestion(str(covariance), KINDS)}"
            )
        start = checked_start(start, "means", self.components, STARTS)
        if isinstance(floor, bool) or not isinstance(floor, (int, float)):
            raise InvalidKind(f"floor must be a number above 0, got {floor!r}")
        if not 0 < floor < 1:
            raise InvalidValue(
                f"floor is a share of the data's variance and must lie in (0, 1), got {floor}; 1e-6 is usual"
            )
        if precision not in ("float32", "float64"):
            raise InvalidValue(f"precision must be 'float32' or 'float64', got {precision!r}")
        self.covariance, self.start, self.floor, self.precision = (
            covariance,
            start,
            float(floor),
            precision,
        )
        self.dtype = getattr(torch, precision)  # type: ignore[misc]
        for name in ("weights_", "location_", "spread_"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self._laws: Laws | None = None
        self._gaps = self._wide = self.outgrown = False
        self._least = torch.zeros(0, dtype=torch.float64)
        self.least_variance: float | None = None
        self._rows = 0

    @classmethod
    def of(
        cls, weights: Tensor, means: Tensor, covariances: Tensor, space: Space | None = None
    ) -> GMM:
        """The mixture with weights (k,), means (k, d) and covariances (k, d, d), or variances (k, d) for a diagonal one, in user's
        units, on `space`."""
        diagonal = covariances.ndim == 2
        model = cls(len(weights), "diagonal" if diagonal else "full")
        weights, means, covariances = (t.to(torch.float64) for t in (weights, means, covariances))
        weights = weights / weights.sum()
        mean = weights @ means
        own = covariances if diagonal else covariances.diagonal(dim1=1, dim2=2)
        variance = weights @ (own + (means - mean).square())
        moments = Moments(torch.ones_like(mean), mean, variance)
        model.assemble(space or Space.infer(means), None, moments)
        shift, scale = model._units()
        model.weights_, model.location_ = weights, (means - shift) / scale
        model.spread_ = covariances / (scale.square() if diagonal else torch.outer(scale, scale))
        return model

    def default_fitter(self) -> Fitter:
        """Passes until the mean log-likelihood gains less than 1e-6 nats, at most 200."""
        return EM(steps=200, tolerance=1e-6)

    # ---------------------------------------------------------------------------------------------------- learning

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions and columns without any value; standardise."""
        refuse_conditions(self, source)
        refuse_many(type(self).__name__, "components", self.components, len(source))
        if bool((facts.missing == facts.count).any()):
            raise BadSource(
                f"coordinate {int((facts.missing == facts.count).nonzero()[0])} holds no value at all; drop that column"
            )
        if self.covariance in ("full", "tied"):
            refuse_large(self, source, self.components if self.covariance == "full" else 1)
        super().prepare(source, facts)
        self._gaps, self._rows = bool(facts.missing.any()), len(source)
        self._wide = self.outgrown = False
        self._least = torch.zeros(0, dtype=torch.float64)
        if self.covariance == "spherical":
            variance = facts.moments.covariance
            common = variance.mean().sqrt() if bool(variance.sum() > 0) else torch.ones(())
            self.scaling.scale = torch.ones_like(self.scaling.scale) * common
        if not isinstance(self.start, str) and len(self.start[0]) != source.space.size:
            raise InvalidValue(
                f"start as means must have {source.space.size} columns, as the data have, got {len(self.start[0])}"
            )

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Parameters for the first pass, from a seeded sample of the rows: of those without gaps, if there are enough, else with
        missing values at the mean."""
        self._laws = None
        batch = sample_rows(source, max(START_ROWS, 64 * self.components), rng)
        x = self.coordinates(batch.x.to(self.device)).to(torch.float64)
        w = x.new_ones(len(x)) if batch.weights is None else batch.weights.to(x)
        whole = ~torch.isnan(x).any(1)
        if int((whole & (w > 0)).sum()) >= 32 * self.components:
            x, w = x[whole], w[whole]
        x = x.nan_to_num(0.0)
        if isinstance(self.start, str):
            centres = (at_random if self.start == "random" else plus_plus)(
                x, self.components, rng, w
            )
        else:
            shift, scale = self._units()
            centres = (
                torch.tensor(self.start, dtype=torch.float64, device=self.device) - shift
            ) / scale
        if self.start == "kmeans":
            centres = _lloyd(x, w, centres)
        r = (
            torch.nn.functional.one_hot(squared_distances(x, centres).argmin(1), self.components)
            .to(x)
            .T
            * w
        )
        if not len(self._least):  # of the first start, for all
            self._least = self._floors(x, r)
        if self.start in ("kmeans", "kmeans++"):
            start = centred_sums(x, r, self.covariance, centres)
            self._take(
                maximised(start, self.covariance, self._least, centres, self.spread_[:0], centres)
            )
        else:
            variance = _variance(x, w) if isinstance(self.start, str) else torch.ones_like(x[0])
            self.location_ = centres
            self.weights_ = torch.full_like(centres[:, 0], 1 / self.components)
            self.spread_ = shaped(variance, self.covariance, self.components, self._least)

    def _floors(self, x: Tensor, r: Tensor) -> Tensor:
        """The least variance of each coordinate (d,), in model coordinates, from a start's rows (n, d) and their clusters (k, n)."""
        rounding = (4 * EPS * (1 + x.abs().amax(0))).square()
        if self.least_variance is not None:
            return torch.maximum(self.least_variance / self._units()[1].square(), rounding)
        means = r @ x / r.sum(1, keepdim=True).clamp_min(1e-300)
        within = sums_of((x - means[r.argmax(0)]), r, "diagonal").second.sum(0) / r.sum()
        return torch.maximum(self.floor * torch.where(within > rounding, within, 1.0), rounding)

    def floating(self) -> torch.dtype:
        """float64 where float32 was asked for and would not do."""
        return torch.float64 if self._wide else super().floating()

    @property
    def looking(self) -> bool:
        """Whether the rows must be mapped anew before the next pass counts."""
        return self.outgrown

    def coordinates(self, x: Tensor) -> Tensor:
        """Standardised rows, flattened (n, d)."""
        return self.scaling(x.to(torch.float64)).flatten(1).to(self.floating())

    def statistics(self, batch: Batch) -> Expected:
        """E step of one block: responsibilities, and the sums they weigh."""
        laws = self._now()
        return (laws.expect if self._gaps else laws.expect_complete)(batch.x, batch.weights)

    def update(self, statistics: Expected) -> bool:
        """M step; the fitter judges convergence."""
        laws, self.outgrown = self._now(), False
        if laws.ratio > WIDE and not self._wide and self.floating() == torch.float32:
            self._wide = self.outgrown = True
            self._laws = None
            return False
        self._take(
            maximised(
                statistics, self.covariance, self._least, self.location_, self.spread_, laws.origins
            )
        )
        return False

    def _now(self) -> Laws:
        """The laws of the present parameters, with what a pass needs of them."""
        if self._laws is None:
            state = (self.covariance, self.weights_, self.location_, self.spread_, self._jacobian())
            self._laws = Laws(*state, self.floating())
        return self._laws

    def _take(self, found: tuple[Tensor, Tensor, Tensor]) -> None:
        self.weights_, self.location_, self.spread_ = found
        self._laws = None

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Components held at the least variance allowed, components that own hardly a row, and components that own none."""
        found, rows = [], self.weights_ * self._rows
        held = bound(self.spread_, self.covariance, self._least.to(self.spread_))
        held = held.expand(len(rows)) & (rows > 0)
        if bool(held.any()):
            few = float(rows[held].min())
            smallest = f"the smallest owns {few:.3g} of {self._rows} rows"
            seen = f"{int(held.sum())} of {len(rows)} components are held at the least variance allowed; {smallest}"
            advice = "look there for outliers, repeated rows and constant columns; fewer components, or a smaller floor"
            found.append(Symptom("variance floor", seen, advice))
        alone = (rows > 0) & (rows < 1.5) & ~held
        if bool(alone.any()) and self._rows > 2 * len(rows):
            seen = f"{int(alone.sum())} of {len(rows)} components have one row each"
            found.append(
                Symptom(
                    "lone rows",
                    seen,
                    "look for outliers and leave those rows out, or more components",
                )
            )
        if bool((rows == 0).any()):
            seen = f"{int((rows == 0).sum())} of {len(rows)} components own nothing"
            found.append(Symptom("empty components", seen, "fewer components, or another start"))
        return tuple(found)

    def objective(self, statistics: Expected) -> float:
        """Mean log-likelihood of the rows before the last M step, nats, user's units."""
        return float(statistics.log_likelihood / statistics.weight)

    def learnt(self) -> Mapping[str, str]:
        """What the stored numbers must be like."""
        spreads = {
            "full": "components d d definite",
            "diagonal": "components d positive",
            "spherical": "components positive",
        }
        spread = spreads.get(self.covariance, "d d definite")
        return {"weights_": "components shares", "location_": "components d", "spread_": spread}

    def _full(self) -> Tensor:
        """Covariances (k, d, d) in model coordinates, whatever their kind."""
        return covariances(self.covariance, self.location_, self.spread_)

    def _units(self) -> tuple[Tensor, Tensor]:
        """Shift and scale of each flattened coordinate (d,)."""
        ones = torch.ones(
            [int(s or 0) for s in self.fitted_space().shape],
            dtype=torch.float64,
            device=self.device,
        )
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

    @property
    def variances_(self) -> Tensor:
        """Variances (k, d), the diagonals of `covariances_`, user's units: of any number of columns."""
        return (
            variances_of(self.covariance, self.location_, self.spread_) * self._units()[1].square()
        )

    def log_prob(self, x: Any) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates; of the observed ones where some are NaN."""
        logits, jacobian = self._joint(x)
        return logits.logsumexp(1) + jacobian

    def responsibilities(self, x: Any) -> Tensor:
        """Probability of each component given the row's observed coordinates (n, k)."""
        return self._joint(x, near=True)[0].softmax(1)

    def assign(self, x: Any) -> Tensor:
        """The most probable component of each row (n,), int64."""
        return self._joint(x, near=True)[0].argmax(1)

    def sample(
        self, n: int, y: Any = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n draws (n, *shape), user's units, float64."""
        space = self.fitted_space()
        self.to_condition(y, n)
        stream = generator(rng)
        which = torch.multinomial(
            self.weights_.to(stream.device), n, replacement=True, generator=stream
        ).to(self.device)
        noise = normal(n, self.location_.shape[1], rng=stream, like=self.location_)
        matrices = self.covariance in ("full", "tied")
        roots = (
            root(self._full())
            if matrices
            else variances_of(self.covariance, self.location_, self.spread_).sqrt()
        )
        x = torch.empty_like(noise)
        for k in which.unique().tolist():
            own = which == k
            x[own] = self.location_[k] + (
                noise[own] @ roots[k].T if matrices else noise[own] * roots[k]
            )
        return self.to_user(x.reshape(n, *map(int, space.shape)))  # type: ignore[arg-type]

    def condition(self, known: Mapping[Any, Any]) -> GMM:
        """The mixture of the other axes, given {axis name or position: value}; closed form."""
        b, a, values = known_values(self, known)
        d = self.location_.shape[1]
        shift, scale = self._units()
        x = torch.full((1, d), torch.nan, dtype=torch.float64, device=self.device)
        x[0, b] = values
        law = self._pattern(torch.isnan(x[0]))
        logits, filled = law.joint((x - shift) / scale, self.weights_, self.location_)
        means = (filled[0] * scale + shift)[:, a]
        if not bool((logits > -math.inf).any() and means.square().isfinite().all()):
            raise too_far(values)
        if isinstance(law, Conditional):
            covariances = (law.rest * torch.outer(scale, scale))[:, a][:, :, a]
        else:
            covariances = (law.variances * scale.square())[:, a]
        return GMM.of(logits[:, 0].softmax(0), means, covariances, subspace(self.fitted_space(), a))

    def marginal(self, axes: Any) -> GMM:
        """The mixture of some axes (a name or position, or several); closed form."""
        space = self.fitted_space()
        keep = axes_of(space, [axes] if isinstance(axes, (str, int)) else axes)
        if not keep:
            raise InvalidValue("a marginal needs at least one axis, got none")
        matrices = self.covariance in ("full", "tied")
        spread = self.covariances_[:, keep][:, :, keep] if matrices else self.variances_[:, keep]
        return GMM.of(self.weights_, self.means_[:, keep], spread, subspace(space, keep))

    def _pattern(self, gap: Tensor) -> Conditional | Independent:
        return pattern_of(gap, self.covariance, self.location_, self.spread_)

    def freedom(self) -> int:
        """How many numbers are free: weights, means and covariances."""
        k, d = self.location_.shape
        each = {
            "full": k * d * (d + 1) // 2,
            "tied": d * (d + 1) // 2,
            "diagonal": k * d,
            "spherical": k,
        }[self.covariance]
        return k - 1 + k * d + each

    def aic(self, x: Any) -> float:
        """Akaike's criterion on rows x: 2 · freedom - 2 Σ log p(x); lower is better."""
        return 2 * self.freedom() - 2 * float(self.log_prob(x).sum())

    def bic(self, x: Any) -> float:
        """Schwarz's criterion on rows x: freedom · ln n - 2 Σ log p(x); lower is better."""
        values = self.log_prob(x)
        return self.freedom() * math.log(len(values)) - 2 * float(values.sum())

    def _joint(self, x: Any, *, near: bool = False) -> tuple[Tensor, Tensor]:
        """log π_k N(u; k) of the observed coordinates (n, k) in float64, and the log-Jacobian of each row (n,).

        With `near`, rows whose squares would leave float64 are first drawn towards the origin, where components compare alike.
        """
        rows = self.conform(x).to(torch.float64)
        u = self.scaling(rows).flatten(1)
        gaps = torch.isnan(u)
        if near and u.numel():
            u = u / (
                u.nan_to_num(0.0, posinf=math.inf, neginf=-math.inf).abs().amax(1, keepdim=True)
                / MOST
            ).clamp_min(1)
        jacobian = (~gaps).to(torch.float64) @ self._jacobian()
        logits = u.new_empty(len(u), len(self.weights_))
        patterns, which = torch.unique(gaps, dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            law = self._pattern(pattern)
            for rows in (which == i).nonzero()[:, 0].split(self.block_rows):
                logits[rows] = (
                    law.log_density(u[rows], self.location_).T
                    + self.weights_.clamp_min(1e-300).log()
                )
        return logits, jacobian


def choose_components(
    x: Any,
    candidates: Any = range(1, 11),
    *,
    criterion: str = "bic",
    by: Fitter | None = None,
    **options: Any,
) -> tuple[GMM, dict[int, float]]:
    """The mixture with the lowest criterion ('bic' or 'aic') among the candidate whole numbers of components, and all criteria.

    `options` are GMM's other arguments; the same rows x serve to fit and to judge, as the criteria mean them to.
    """
    if not isinstance(candidates, Iterable) or isinstance(candidates, (str, bytes)):
        raise InvalidKind(
            f"candidates must be several numbers of components, such as [1, 2, 3], got {candidates!r}"
        )
    if criterion not in ("bic", "aic"):
        raise InvalidValue(f"criterion must be 'bic' or 'aic', got {criterion!r}")
    fitted = {k: GMM(k, **options).fit(x, by=by) for k in map(plain, candidates)}
    if not fitted:
        raise InvalidValue("candidates must hold at least one number of components, got none")
    values = {k: float(getattr(model, criterion)(x)) for k, model in fitted.items()}
    return fitted[min(values, key=lambda k: values[k])], values


def _variance(x: Tensor, w: Tensor) -> Tensor:
    return w @ (x - w @ x / w.sum()).square() / w.sum()


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
