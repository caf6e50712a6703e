"""Normal distributions over batches of events, one per row, with log-probabilities in nats.

    log N(x; m, diag s²) = -½ Σ [((x - m)/s)² + log 2π] - Σ log s
    log N(x; m, L Lᵀ)    = -½ [‖L⁻¹(x - m)‖² + d log 2π] - Σ log L_ii
    log Σ_k π_k N_k(x)   by log-sum-exp

Shapes, for every distribution of this package: parameters (n, *event). `log_prob(x)` sums over the
event, which is all axes but the first of x or of the parameters, whichever has fewer; the others
broadcast. So x (n, *event) gives (n,), one row (1, *event) meets every row of the parameters, and
parameters (k, n, *event) against x (n, *event) give (k, n). If `event_dims` is set, as after
`expand` to several batch axes, the event has that many axes. Random numbers come from an explicit
stream; `rsample` is differentiable for continuous distributions.

Divergences between normals have a closed form, registered with `torch.distributions.kl_divergence`,
also from and to torch's own normals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, register_kl
from torch.distributions import Normal as ScalarNormal

from pushforward.core.errors import InvalidKind
from pushforward.core.random import Rng, generator, normal, uniform
from pushforward.densities.distribution import RowDistribution, rows_of

__all__ = [
    "Normal",
    "FullNormal",
    "NormalMixture",
    "kl_divergence",
    "kl_per_dimension",
    "rate",
    "event_rank",
    "flatten_event",
    "sum_event",
]

LOG_2PI = math.log(2 * math.pi)


def event_rank(x: Tensor, parameter: Tensor) -> int:
    """Number of trailing axes in one event."""
    return min(x.ndim, parameter.ndim) - 1


def flatten_event(terms: Tensor, event: int) -> Tensor:
    """Merge the trailing `event` axes into one: (…, d)."""
    return terms.flatten(-event) if event else terms[..., None]


def sum_event(terms: Tensor, event: int) -> Tensor:
    """Σ over the trailing `event` axes."""
    return flatten_event(terms, event).sum(-1)


@dataclass(eq=False)
class Normal(RowDistribution):
    """N(loc, diag(exp(log_scale))²).

    Args:
        loc: mean, (n, *event).
        log_scale: log of the standard deviation, broadcastable to loc.
        event_dims: number of axes of loc in the event; all but the first by default.
    """

    has_rsample = True

    loc: Tensor
    log_scale: Tensor
    event_dims: int | None = None

    def __post_init__(self) -> None:
        rank = self.loc.ndim - 1 if self.event_dims is None else self.event_dims
        self.declare(self.loc.shape, rank)

    @staticmethod
    def standard(n: int, d: int, *, like: Tensor) -> Normal:
        """n rows of N(0, I_d)."""
        zeros = like.new_zeros(n, d)
        return StandardNormal(zeros, zeros)

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def scale(self) -> Tensor:
        """Standard deviation."""
        return self.log_scale.exp()

    @property
    def variance(self) -> Tensor:
        """Variances (n, *event)."""
        return self.scale.square().expand_as(self.loc)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Normal:
        """The same distribution for more rows."""
        shape = (*batch_shape, *self.event_shape)
        scale = self.log_scale.expand_as(self.loc)
        return Normal(self.loc.expand(shape), scale.expand(shape), len(self.event_shape))

    def log_prob(self, x: Tensor) -> Tensor:
        """-½ Σ [((x - loc)/scale)² + log 2π] - Σ log scale, over the event."""
        event = event_rank(x, self.loc) if self.event_dims is None else self.event_dims
        squares = flatten_event(((x - self.loc) * torch.exp(-self.log_scale)).square(), event)
        return -0.5 * (squares.sum(-1) + squares.shape[-1] * LOG_2PI) - self._log_volume(event)

    def _log_volume(self, event: int) -> Tensor:
        """Σ log scale over the event, also for scales shared between coordinates."""
        shape = self.loc.shape[self.loc.ndim - event :]
        return sum_event(
            self.log_scale.expand(torch.broadcast_shapes(self.log_scale.shape, shape)), event
        )

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """loc + scale · ε."""
        noise = normal(*sample_shape, *self.loc.shape, rng=rng, like=self.loc)
        return self.loc + self.scale * noise


@dataclass(eq=False)
class StandardNormal(Normal):
    """N(0, I): `Normal` without its operations on zeros, which are half of a small step's."""

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """ε."""
        return normal(*sample_shape, *self.loc.shape, rng=rng, like=self.loc)


@dataclass(eq=False)
class FullNormal(RowDistribution):
    """N(loc, L Lᵀ) of vectors.

    Args:
        loc: mean, (n, d).
        scale_tril: L, lower triangular with a positive diagonal, (n, d, d).
    """

    has_rsample = True

    loc: Tensor
    scale_tril: Tensor

    def __post_init__(self) -> None:
        self.declare(self.loc.shape, 1)

    @classmethod
    def of(cls, q: Normal) -> FullNormal:
        """A diagonal normal (n, d) as a full one."""
        return cls(q.loc, torch.diag_embed(q.scale.expand_as(q.loc)))

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> FullNormal:
        """The same distribution for more rows."""
        d = self.loc.shape[-1]
        return FullNormal(
            self.loc.expand(*batch_shape, d), self.scale_tril.expand(*batch_shape, d, d)
        )

    @property
    def marginal(self) -> Normal:
        """The distribution of each coordinate."""
        return Normal(self.loc, self.scale_tril.square().sum(-1).log() / 2)

    @property
    def log_volume(self) -> Tensor:
        """Σ log L_ii: (n,)."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        """-½ (‖L⁻¹(x - loc)‖² + d log 2π) - Σ log L_ii."""
        squares = _whiten(self.scale_tril, x - self.loc).square().sum(-1)
        return -0.5 * (squares + x.shape[-1] * LOG_2PI) - self.log_volume

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """loc + L ε."""
        noise = normal(*sample_shape, *self.loc.shape, rng=rng, like=self.loc)
        return self.loc + (self.scale_tril @ noise[..., None])[..., 0]


def _whiten(lower: Tensor, residual: Tensor) -> Tensor:
    """L⁻¹r for L (n, d, d) or (1, d, d) and r (…, n, d), solving rows with the same L together."""
    if lower.ndim != 3:
        alone: Tensor = torch.linalg.solve_triangular(lower, residual[..., None], upper=False)
        return alone[..., 0]
    lead = residual.shape[:-1] if len(lower) == 1 else residual.shape[:-2]
    columns = residual.reshape(-1, len(lower), residual.shape[-1]).permute(1, 2, 0)
    solved = torch.linalg.solve_triangular(lower, columns, upper=False).permute(2, 0, 1)
    residuals: Tensor = solved.reshape(*lead, *([] if len(lower) == 1 else [len(lower)]), -1)
    return residuals


@dataclass(eq=False)
class NormalMixture(RowDistribution):
    """Σ_k π_k N_k, the same for each of n rows.

    Args:
        weights_logits: log π up to a constant, (k,).
        components: k rows (k, d), diagonal or full.
        n: number of rows.
    """

    weights_logits: Tensor
    components: Normal | FullNormal
    n: int = 1

    def __post_init__(self) -> None:
        self.declare((self.n, self.components.loc.shape[-1]), 1)

    @property
    def mean(self) -> Tensor:
        """Σ_k π_k m_k, n rows (n, d)."""
        return (self.weights_logits.softmax(0) @ self.components.loc).expand(self.n, -1)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> NormalMixture:
        """The same distribution for another number of rows, (n,)."""
        return replace(self, n=rows_of(batch_shape))

    def log_prob(self, x: Tensor) -> Tensor:
        """log Σ_k π_k N_k(x) of (…, d)."""
        each = self.components.log_prob(x[..., None, :])
        return torch.logsumexp(self.weights_logits.log_softmax(0) + each, -1)

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """Samples (*sample_shape, n, d) of a random component; no gradient reaches the weights."""
        ends = self.weights_logits.softmax(0).cumsum(0)
        stream = generator(rng, ends.device)
        shape = (*sample_shape, self.n)
        stop = uniform(math.prod(shape), rng=stream, like=ends) * ends[-1]
        component = torch.searchsorted(ends, stop, right=True).clamp_max(len(ends) - 1)
        return _take_rows(self.components, component).rsample(rng=stream).reshape(*shape, -1)


def _take_rows(distribution: Normal | FullNormal, index: Tensor) -> Normal | FullNormal:
    if isinstance(distribution, FullNormal):
        return FullNormal(distribution.loc[index], distribution.scale_tril[index])
    return Normal(
        distribution.loc[index], distribution.log_scale.expand_as(distribution.loc)[index]
    )


# -------------------------------------------------------------------------------------- divergences


def kl_divergence(q: Normal | FullNormal, p: Normal | FullNormal) -> Tensor:
    """KL(q‖p), closed form, summed over the event: (n,).

    Diagonal: Σ log(s_p/s_q) + (s_q² + (m_q - m_p)²)/(2 s_p²) - ½; for p standard, Kingma & Welling
    (2014, https://arxiv.org/abs/1312.6114), Appendix B. Otherwise log |L_p| - log |L_q| + ½ (‖L_p⁻¹
    L_q‖² + ‖L_p⁻¹ (m_q - m_p)‖² - d).

    Raises:
        InvalidKind: For other distributions.
    """
    if not (isinstance(q, (Normal, FullNormal)) and isinstance(p, (Normal, FullNormal))):
        names = f"{type(q).__name__} and {type(p).__name__}"
        raise InvalidKind(
            f"a closed form is available for two normals, got {names}; rate(q, p, z) estimates it"
            " from samples z of q"
        )
    if isinstance(q, Normal) and isinstance(p, Normal):
        return _kl_diagonal(q, p)
    return _kl_full(q, p)


def _kl_diagonal(q: Normal, p: Normal) -> Tensor:
    terms = kl_per_dimension(q, p)
    return sum_event(terms, max(len(q.event_shape), len(p.event_shape)))


def _kl_full(q: Normal | FullNormal, p: Normal | FullNormal) -> Tensor:
    """For vectors (n, d); p may have a single row."""
    q = FullNormal.of(q) if isinstance(q, Normal) else q
    shift, log_q = q.loc - p.loc, q.log_volume
    if isinstance(p, Normal):
        inverse = torch.exp(-p.log_scale).expand_as(p.loc)
        spread, shift, log_p = (
            inverse[..., None] * q.scale_tril,
            inverse * shift,
            -inverse.log().sum(-1),
        )
    else:
        columns = torch.cat([q.scale_tril, shift[..., None]], -1)
        solved = torch.linalg.solve_triangular(p.scale_tril, columns, upper=False)
        spread, shift, log_p = solved[..., :-1], solved[..., -1], p.log_volume
    return (
        log_p
        - log_q
        + 0.5 * (spread.square().sum((-2, -1)) + shift.square().sum(-1) - shift.shape[-1])
    )


def kl_per_dimension(q: Normal, p: Normal) -> Tensor:
    """KL(q‖p) of each coordinate: (n, *event)."""
    if isinstance(p, StandardNormal) and _are_alike(q.loc, p.loc):
        return 0.5 * (torch.exp(2 * q.log_scale) + q.loc.square() - 1) - q.log_scale
    variance = torch.exp(2 * (q.log_scale - p.log_scale))
    squares = ((q.loc - p.loc) * torch.exp(-p.log_scale)).square()
    return 0.5 * (variance + squares - 1) - q.log_scale + p.log_scale


def _are_alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def rate(q: Normal | FullNormal, p: Normal | FullNormal | NormalMixture, z: Tensor) -> Tensor:
    """KL(q‖p) (n,) in closed form if available, else the estimate
    log q(z) - log p(z) from samples z of q.
    """
    if isinstance(p, (Normal, FullNormal)):
        return kl_divergence(q, p)
    return q.log_prob(z) - p.log_prob(z)


# --------------------------------------------------------------------------- normals of torch's own


def normal_of(distribution: Distribution) -> Normal | FullNormal:
    """Convert one of torch's normal distributions to ours.

    Raises:
        InvalidKind: For other distributions.
    """
    if isinstance(distribution, (Normal, FullNormal)):
        return distribution
    if isinstance(distribution, MultivariateNormal):
        return FullNormal(distribution.loc, distribution.scale_tril)
    base = getattr(distribution, "base_dist", None)
    if not (isinstance(distribution, Independent) and isinstance(base, ScalarNormal)):
        names = type(distribution).__name__ + (f"({type(base).__name__})" if base else "")
        raise InvalidKind(
            f"a closed form is available for normals, got {names}; use Independent(Normal(...), 1)"
            " or MultivariateNormal"
        )
    return Normal(base.loc, base.scale.log(), distribution.reinterpreted_batch_ndims)


def _kl_with_torch(q: Distribution, p: Distribution) -> Tensor:
    return kl_divergence(normal_of(q), normal_of(p))


register_kl(Normal, Normal)(_kl_diagonal)
for pair in ((Normal, FullNormal), (FullNormal, Normal), (FullNormal, FullNormal)):
    register_kl(*pair)(_kl_full)
for ours, theirs in product((Normal, FullNormal), (Independent, MultivariateNormal)):
    register_kl(ours, theirs)(_kl_with_torch)
    register_kl(theirs, ours)(_kl_with_torch)
