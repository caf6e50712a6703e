"""Normal distributions over batches of events: one event a row,
log-probabilities summed over its coordinates, in nats.

    log N(x; m, diag s²) = -½ Σ [((x - m)/s)² + log 2π] - Σ log s
    log N(x; m, L Lᵀ)    = -½ [‖L⁻¹(x - m)‖² + d log 2π] - Σ log L_ii
    log Σ_k π_k N_k(x)   by log-sum-exp

Shapes, for every distribution of this package: parameters (n, *event). `log_prob(x)` sums over the
event, which is all axes but the first of x or of the parameters, whichever has fewer; the others
broadcast. So x (n, *event) gives (n,), one row (1, *event) meets every row of the parameters, and
parameters (k, n, *event) against x (n, *event) give (k, n). Each distribution takes its random
numbers from an explicit stream; `rsample` is differentiable where the distribution is continuous.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind
from pushforward.core.random import Rng, generator, normal, uniform

__all__ = [
    "Normal",
    "FullNormal",
    "NormalMixture",
    "kl_divergence",
    "kl_per_dimension",
    "rate",
    "event_rank",
    "flat",
    "sum_event",
]

LOG_2PI = math.log(2 * math.pi)


def event_rank(x: Tensor, parameter: Tensor) -> int:
    """How many trailing axes make one event."""
    return min(x.ndim, parameter.ndim) - 1


def flat(terms: Tensor, event: int) -> Tensor:
    """The trailing `event` axes as one: (…, d)."""
    return terms.flatten(-event) if event else terms[..., None]


def sum_event(terms: Tensor, event: int) -> Tensor:
    """Σ over the trailing `event` axes."""
    return flat(terms, event).sum(-1)


@dataclass(frozen=True)
class Normal:
    """N(mean, diag(exp(log_scale))²).

    Args:
        mean: (n, *event).
        log_scale: log of the standard deviation, broadcastable to mean.
    """

    mean: Tensor
    log_scale: Tensor

    @classmethod
    def standard(cls, n: int, d: int, *, like: Tensor) -> Normal:
        """n rows of N(0, I_d)."""
        zeros = like.new_zeros(n, d)
        return cls(zeros, zeros)

    @property
    def scale(self) -> Tensor:
        """Standard deviation."""
        return self.log_scale.exp()

    def log_prob(self, x: Tensor) -> Tensor:
        """-½ Σ [((x - mean)/scale)² + log 2π] - Σ log scale, over the event."""
        event = event_rank(x, self.mean)
        squares = flat(((x - self.mean) * torch.exp(-self.log_scale)).square(), event)
        return -0.5 * (squares.sum(-1) + squares.shape[-1] * LOG_2PI) - self._log_volume(event)

    def _log_volume(self, event: int) -> Tensor:
        """Σ log scale over the event, for scales shared by coordinates too."""
        shape = self.mean.shape[self.mean.ndim - event :]
        return sum_event(
            self.log_scale.expand(torch.broadcast_shapes(self.log_scale.shape, shape)), event
        )

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """mean + scale · ε."""
        return self.mean + self.scale * normal(*self.mean.shape, rng=rng, like=self.mean)


@dataclass(frozen=True)
class FullNormal:
    """N(mean, L Lᵀ) of vectors.

    Args:
        mean: (n, d).
        scale_tril: L, lower triangular with a positive diagonal, (n, d, d).
    """

    mean: Tensor
    scale_tril: Tensor

    @classmethod
    def of(cls, q: Normal) -> FullNormal:
        """A diagonal normal (n, d) in this form."""
        return cls(q.mean, torch.diag_embed(q.scale.expand_as(q.mean)))

    @property
    def marginal(self) -> Normal:
        """The distribution of each coordinate by itself."""
        return Normal(self.mean, self.scale_tril.square().sum(-1).log() / 2)

    @property
    def log_volume(self) -> Tensor:
        """Σ log L_ii: (n,)."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        """-½ (‖L⁻¹(x - mean)‖² + d log 2π) - Σ log L_ii."""
        squares = _whiten(self.scale_tril, x - self.mean).square().sum(-1)
        return -0.5 * (squares + x.shape[-1] * LOG_2PI) - self.log_volume

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """mean + L ε."""
        noise = normal(*self.mean.shape, rng=rng, like=self.mean)
        return self.mean + (self.scale_tril @ noise[..., None])[..., 0]


def _whiten(lower: Tensor, residual: Tensor) -> Tensor:
    """L⁻¹r for L (n, d, d) or (1, d, d) and r (…, n, d):
    rows that share an L are solved together.
    """
    lead = residual.shape[:-1] if len(lower) == 1 else residual.shape[:-2]
    columns = residual.reshape(-1, len(lower), residual.shape[-1]).permute(1, 2, 0)
    solved = torch.linalg.solve_triangular(lower, columns, upper=False).permute(2, 0, 1)
    residuals: Tensor = solved.reshape(*lead, *([] if len(lower) == 1 else [len(lower)]), -1)
    return residuals


@dataclass(frozen=True)
class NormalMixture:
    """Σ_k π_k N_k, the same for every one of n rows.

    Args:
        weights_logits: log π up to a constant, (k,).
        components: k rows (k, d), diagonal or full.
        n: rows that `rsample` draws.
    """

    weights_logits: Tensor
    components: Normal | FullNormal
    n: int = 1

    @property
    def mean(self) -> Tensor:
        """Σ_k π_k m_k, n rows (n, d)."""
        return (self.weights_logits.softmax(0) @ self.components.mean).expand(self.n, -1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log Σ_k π_k N_k(x) of (…, d)."""
        each = self.components.log_prob(x[..., None, :])
        return torch.logsumexp(self.weights_logits.log_softmax(0) + each, -1)

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """A component each, then a draw from it (n, d); no gradient passes to the weights."""
        ends = self.weights_logits.softmax(0).cumsum(0)
        stream = generator(rng, ends.device)
        stop = uniform(self.n, rng=stream, like=ends) * ends[-1]
        which = torch.searchsorted(ends, stop, right=True).clamp_max(len(ends) - 1)
        return _rows(self.components, which).rsample(rng=stream)


def _rows(distribution: Normal | FullNormal, which: Tensor) -> Normal | FullNormal:
    if isinstance(distribution, FullNormal):
        return FullNormal(distribution.mean[which], distribution.scale_tril[which])
    return Normal(
        distribution.mean[which], distribution.log_scale.expand_as(distribution.mean)[which]
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
            f"a closed form is known for two normals, got {names}; rate(q, p, z) estimates it from"
            " draws z of q"
        )
    if isinstance(q, Normal) and isinstance(p, Normal):
        terms = kl_per_dimension(q, p)
        return sum_event(terms, terms.ndim - 1)
    return _kl_full(q, p)


def _kl_full(q: Normal | FullNormal, p: Normal | FullNormal) -> Tensor:
    """Of vectors (n, d); rows of p may be one for all."""
    q = FullNormal.of(q) if isinstance(q, Normal) else q
    shift, log_q = q.mean - p.mean, q.log_volume
    if isinstance(p, Normal):
        inverse = torch.exp(-p.log_scale).expand_as(p.mean)
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
    variance = torch.exp(2 * (q.log_scale - p.log_scale))
    squares = ((q.mean - p.mean) * torch.exp(-p.log_scale)).square()
    return 0.5 * (variance + squares - 1) - q.log_scale + p.log_scale


def rate(q: Normal | FullNormal, p: Normal | FullNormal | NormalMixture, z: Tensor) -> Tensor:
    """KL(q‖p) (n,): its closed form where one exists,
    else the estimate log q(z) - log p(z) from draws z of q.
    """
    if isinstance(p, (Normal, FullNormal)):
        return kl_divergence(q, p)
    return q.log_prob(z) - p.log_prob(z)
