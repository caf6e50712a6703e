r"""Mixtures of normal distributions.

    p(x) = Σ_k π_k N(x; μ_k, Σ_k)

They are fitted by expectation maximisation (`mixture_passes`); densities of incomplete rows,
conditionals and marginals have closed forms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.fitter import Fitter
from pushforward.core.moments import Moments
from pushforward.core.numbers import to_python
from pushforward.core.random import Rng, generator
from pushforward.core.registry import register
from pushforward.core.samplers import Sampler
from pushforward.core.scaling import ScalingKind
from pushforward.core.space import Space
from pushforward.core.space.conform import has_only_finite
from pushforward.fitting.em import EM
from pushforward.models.classical.axes import (
    axes_to_keep,
    read_known_values,
    subspace,
    too_far_error,
)
from pushforward.models.classical.completion import CompletesNormally
from pushforward.models.classical.covariance import root
from pushforward.models.classical.covariance_kinds import (
    CovarianceKind,
    condition_on_observed,
    full_covariances,
    variances_of,
)
from pushforward.models.classical.derived import Derived
from pushforward.models.classical.expectation import ROWS
from pushforward.models.classical.looped_density import score_in_loops
from pushforward.models.classical.missing import LEAST_WEIGHT, Conditional, Independent
from pushforward.models.classical.mixture_passes import MixturePasses
from pushforward.models.classical.refusals import check_whole_number
from pushforward.models.classical.starts import check_start
from pushforward.models.parts.mixture_draws import draw_mixture

__all__ = ["GMM", "choose_components"]

STARTS = ("kmeans", "kmeans++", "random")
MOST = 1e100
"""The largest coordinate whose square is far from overflowing float64."""
BLOCK_ROWS = 8192
"""Complete rows per block of a query."""


@register("gmm")
class GMM(CompletesNormally, MixturePasses):
    """Mixture of k normal distributions: p(x) = Σ_k π_k N(x; μ_k, Σ_k).

    NaN is a missing value, when fitting and everywhere else.
    The floor under variances is a constraint, not an addition.

    Args:
        components: k.
        covariance: 'full', 'diagonal', 'spherical' (σ_k² I in the
            user's units) or 'tied' (one full covariance for all).
        start: 'kmeans' (k-means from a k-means++ start, on a seeded sample of rows), 'kmeans++',
            'random' (rows), or means (k, d) in the user's units, with equal weights and the data's
            own variances.
        starts: number of starts, each run to the end; the likeliest is kept.
        floor: the least variance in any direction, as a share of the variance of each coordinate
            within the clusters of the start (of the data's where that is 0). Neither outliers nor
            distant clusters raise it; the fit warns if it binds.
        precision: 'float64', or 'float32' for passes about twice as fast;
            parameters and `log_prob` are in float64.

    Attributes:
        weights_: π (k,).
        means_: μ (k, d), user's units.
        covariances_: Σ (k, d, d), user's units.

    References:
        Dempster, Laird & Rubin (1977), Maximum likelihood from incomplete data via the EM
        algorithm. https://doi.org/10.1111/j.2517-6161.1977.tb01600.x Bishop (2006), Pattern
        Recognition and Machine Learning, section 9.2. https://link.springer.com/book/9780387310732
        Ghahramani & Jordan (1994), Supervised learning from incomplete data via an EM approach.
        https://proceedings.neurips.cc/paper/1993/hash/f2201f5191c4e92cc5af043eebfd0946-Abstract.html

    Example:
        >>> import torch
        >>> x = torch.cat([torch.randn(100, 2, generator=torch.Generator().manual_seed(i)) + 8 * i
        ...                for i in range(2)])
        >>> model = GMM(2).fit(x)
        >>> model.weights_
        tensor([0.5000, 0.5000], dtype=torch.float64)
        >>> model.condition({0: 8.}).means_.shape
        torch.Size([2, 1])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"missing", "constant", "single", "few"})
    scaling_kind: ScalingKind = "standardised"

    def __init__(
        self,
        components: int = 8,
        covariance: CovarianceKind = "full",
        start: Literal["kmeans", "kmeans++", "random"] | object = "kmeans",
        starts: int = 1,
        floor: float = 1e-6,
        precision: Literal["float32", "float64"] = "float64",
    ) -> None:
        super().__init__()
        self.components = check_whole_number("components", components)
        self.starts = check_whole_number("starts", starts)
        self.start = check_start(start, "means", self.components, STARTS)
        if isinstance(floor, bool) or not isinstance(floor, (int, float)):
            raise InvalidKind(f"floor must be a number above 0, got {floor!r}")
        if not 0 < floor < 1:
            raise InvalidValue(
                "floor is a share of the data's variance and must lie in (0, 1), "
                f"got {floor}; 1e-6 is usual"
            )
        self.covariance, self.floor, self.precision = covariance, float(floor), precision
        self.dtype = getattr(torch, precision)  # type: ignore[misc]
        self._known: Derived[_Query] = Derived()

    @classmethod
    def of(
        cls, weights: Tensor, means: Tensor, covariances: Tensor, space: Space | None = None
    ) -> GMM:
        """The mixture with these parameters, in the user's units, on `space`.

        Args:
            weights: (k,), normalised on input.
            means: (k, d).
            covariances: (k, d, d), or variances (k, d) for a diagonal mixture.
            space: unnamed points if None.
        """
        diagonal = covariances.ndim == 2
        model = cls(len(weights), "diagonal" if diagonal else "full")
        weights, means, covariances = (t.to(torch.float64) for t in (weights, means, covariances))
        weights = weights / weights.sum()
        mean = weights @ means
        within = covariances if diagonal else covariances.diagonal(dim1=1, dim2=2)
        variance = weights @ (within + (means - mean).square())
        moments = Moments(torch.ones_like(mean), mean, variance)
        model.assemble(space or Space.infer(means), None, moments)
        shift, scale = model._units()
        model.weights_, model.location_ = weights, (means - shift) / scale
        model.spread_ = covariances / (scale.square() if diagonal else torch.outer(scale, scale))
        return model

    def default_fitter(self) -> Fitter:
        """Passes until the mean log-likelihood gains less than 1e-6 nats, at most 200."""
        return EM(steps=200, tolerance=1e-6)

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on the stored tensors."""
        spreads = {
            "full": "components d d definite",
            "diagonal": "components d positive",
            "spherical": "components positive",
            "tied": "d d definite",
        }
        spread = spreads[self.covariance]
        return {"weights_": "components shares", "location_": "components d", "spread_": spread}

    # ------------------------------------------------------------------------------------ queries

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
        """Variances (k, d), the diagonals of `covariances_`, for any number of columns."""
        return self._variances() * self._units()[1].square()

    def log_prob(self, x: Observations) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates.

        With NaN, the density of the observed coordinates.
        """
        logits, jacobian = self._joint(x)
        return logits.logsumexp(1) + jacobian

    def responsibilities(self, x: Observations) -> Tensor:
        """Probability of each component given the row's observed coordinates (n, k)."""
        return self._joint(x, near=True)[0].softmax(1)

    def assign(self, x: Observations) -> Tensor:
        """The most probable component of each row (n,), int64."""
        return self._joint(x, near=True)[0].argmax(1)

    def sample(
        self,
        n: int,
        y: Conditioning = None,
        rng: Rng = None,
        using: Sampler | str | None = None,
    ) -> Tensor:
        """n samples (n, *shape), user's units, float64."""
        space = self.fitted_space()
        self.to_condition(y, n)
        roots = root(self._full()) if self._has_matrices else self._variances().sqrt()
        _, x = draw_mixture(n, self.weights_, self.location_, roots, generator(rng))
        return self.to_user(x.reshape(n, *map(int, space.shape)))  # type: ignore[arg-type]

    def condition(self, known: Mapping[Any, Any]) -> GMM:
        """The mixture of the other axes, given {axis name or position: value}; closed form."""
        b, a, values = read_known_values(self, known)
        d = self.location_.shape[1]
        shift, scale = self._units()
        x = torch.full((1, d), torch.nan, dtype=torch.float64, device=self.device)
        x[0, b] = values
        conditional = self._given_observed(torch.isnan(x[0]))
        logits, completed = conditional.joint((x - shift) / scale, self.weights_, self.location_)
        means = (completed[0] * scale + shift)[:, a]
        if not bool((logits > -math.inf).any() and means.square().isfinite().all()):
            raise too_far_error(values)
        if isinstance(conditional, Conditional):
            covariances = (conditional.rest * torch.outer(scale, scale))[:, a][:, :, a]
        else:
            covariances = (conditional.variances * scale.square())[:, a]
        space = subspace(self.fitted_space(), a)
        return GMM.of(logits[:, 0].softmax(0), means, covariances, space)

    def marginal(self, axes: object) -> GMM:
        """The mixture of some axes (a name or position, or several); closed form."""
        space = self.fitted_space()
        keep = axes_to_keep(space, axes)
        if self._has_matrices:
            spread = self.covariances_[:, keep][:, :, keep]
        else:
            spread = self.variances_[:, keep]
        return GMM.of(self.weights_, self.means_[:, keep], spread, subspace(space, keep))

    def freedom(self) -> int:
        """Number of free parameters: of weights, means and covariances."""
        k, d = self.location_.shape
        matrix = d * (d + 1) // 2
        sizes = {"full": k * matrix, "tied": matrix, "diagonal": k * d, "spherical": k}
        return k - 1 + k * d + sizes[self.covariance]

    def aic(self, x: Observations) -> float:
        """Akaike's criterion on rows x: 2 · freedom - 2 Σ log p(x); lower is better."""
        return 2 * self.freedom() - 2 * float(self.log_prob(x).sum())

    def bic(self, x: Observations) -> float:
        """Schwarz's criterion on rows x: freedom · ln n - 2 Σ log p(x); lower is better."""
        values = self.log_prob(x)
        return self.freedom() * math.log(len(values)) - 2 * float(values.sum())

    # ------------------------------------------------------------------------------------ details

    def _normal_components(self) -> tuple[Tensor, Tensor]:
        """Means (k, d), and covariances (k, d, d), or variances (k, d) of independent ones."""
        return self.means_, self.covariances_ if self._has_matrices else self.variances_

    def _component_probabilities(self, rows: Tensor) -> Tensor:
        """The probability of each component given the observed values of rows (n, k)."""
        shape = [int(s or 0) for s in self.fitted_space().shape]
        return self.responsibilities(rows.reshape(-1, *shape))

    @property
    def _has_matrices(self) -> bool:
        """Whether coordinates depend on each other within components."""
        return self.covariance in ("full", "tied")

    def _full(self) -> Tensor:
        """Covariances (k, d, d) in model coordinates."""
        return full_covariances(self.covariance, self.location_, self.spread_)

    def _variances(self) -> Tensor:
        """Variances (k, d) in model coordinates."""
        return variances_of(self.covariance, self.location_, self.spread_)

    def _given_observed(self, gap: Tensor) -> Conditional | Independent:
        """The components given that some coordinates are missing (gap (d,))."""
        return condition_on_observed(gap, self.covariance, self.location_, self.spread_)

    def _joint(self, x: Observations, *, near: bool = False) -> tuple[Tensor, Tensor]:
        """log π_k N(u; k) of the observed coordinates (n, k), and their log-Jacobians (n,) or ().

        With `near`, rows whose squares would overflow are first moved towards the origin, where
        components compare in the same way.
        """
        rows = self.conform(x).to(torch.float64)  # first, because there is no scaling before a fit
        u, query = self.scaling(rows).flatten(1), self._query()
        if near and u.numel():
            u = _within_reach(u)
        if has_only_finite(u):  # no gaps, as nearly always
            looped = score_in_loops(self.covariance, u, self.location_, self.spread_)
            if looped is not None:
                logits = looped.T
            elif len(u) <= BLOCK_ROWS:
                logits = query.complete.log_density(u, self.location_).T
            else:
                blocks = u.split(BLOCK_ROWS)
                logits = torch.cat(
                    [query.complete.log_density(b, self.location_) for b in blocks], 1
                ).T
            return logits + query.log_weights, query.whole
        gaps = torch.isnan(u)
        jacobian = (~gaps).to(torch.float64) @ query.jacobian
        logits = u.new_empty(len(u), len(self.weights_))
        patterns, pattern_of = torch.unique(gaps, dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            conditional = self._given_observed(pattern)
            for rows in (pattern_of == i).nonzero()[:, 0].split(ROWS):
                logits[rows] = conditional.log_density(u[rows], self.location_).T
        return logits + query.log_weights, jacobian

    def _query(self) -> _Query:
        """What queries of complete rows need, kept while the parameters are the same."""
        tensors = (self.weights_, self.location_, self.spread_, self.scaling.scale)
        return self._known.of(tensors, self._new_query)

    def _new_query(self) -> _Query:
        none = torch.zeros(self.location_.shape[1], dtype=torch.bool, device=self.device)
        log_weights = self.weights_.clamp_min(LEAST_WEIGHT).log()
        jacobian = self._jacobian()
        return _Query(self._given_observed(none), log_weights, jacobian, jacobian.sum())


@dataclass(frozen=True)
class _Query:
    """Values derived from a mixture's parameters, for complete rows.

    Args:
        complete: the components, nothing missing.
        log_weights: (k,).
        jacobian: log |du/dx| of each coordinate (d,).
        whole: of all of them ().
    """

    complete: Conditional | Independent
    log_weights: Tensor
    jacobian: Tensor
    whole: Tensor


def _within_reach(u: Tensor) -> Tensor:
    """Rows (n, d) whose squares would overflow moved towards the origin."""
    size = u.nan_to_num(0.0, posinf=math.inf, neginf=-math.inf).abs().amax(1, keepdim=True)
    return u / (size / MOST).clamp_min(1)


def choose_components(
    x: Observations,
    candidates: object = range(1, 11),
    *,
    criterion: Literal["bic", "aic"] = "bic",
    by: Fitter | None = None,
    **options: Any,
) -> tuple[GMM, dict[int, float]]:
    """The mixture with the lowest criterion among numbers of components, and all criteria.

    The same rows are used for fitting and scoring, as the criteria intend.

    Args:
        x: rows, as for `fit`.
        candidates: numbers of components to try.
        criterion: 'bic' or 'aic'.
        by: the fitter.
        options: GMM's other arguments.
    """
    if not isinstance(candidates, Iterable) or isinstance(candidates, (str, bytes)):
        raise InvalidKind(
            "candidates must be several numbers of components, such as [1, 2, 3], "
            f"got {candidates!r}"
        )
    if criterion not in ("bic", "aic"):
        raise InvalidValue(f"criterion must be 'bic' or 'aic', got {criterion!r}")
    counts = [cast(int, to_python(k)) for k in candidates]
    fitted = {k: GMM(k, **options).fit(x, by=by) for k in counts}
    if not fitted:
        raise InvalidValue("candidates must hold at least one number of components, got none")
    values = {k: float(getattr(model, criterion)(x)) for k, model in fitted.items()}
    return fitted[min(values, key=lambda k: values[k])], values
