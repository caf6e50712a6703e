"""The sums over rows that the M step of a mixture needs, and the features x xᵀ, x, 1 of rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.models.classical.covariance_kinds import CovarianceKind

__all__ = ["Expected", "features", "normalise", "pairs", "sum_centred", "sum_features"]


@dataclass
class Expected:
    """Expected sums over rows, by component.

    Args:
        count: Σ r (k,).
        first: Σ r x (k, d).
        second: Σ r x xᵀ: of each pair of coordinates (k, d(d+1)/2) for full covariances, of the
            squares (k, d) for diagonal ones, over all components (d, d) for a tied one.
        log_likelihood: Σ w log p, nats, ().
        weight: Σ w, ().
    """

    count: Tensor
    first: Tensor
    second: Tensor
    log_likelihood: Tensor
    weight: Tensor

    def merge(self, other: Expected) -> Expected:
        """The sums over both sets of rows, in place."""
        self.count += other.count
        self.first += other.first
        self.second += other.second
        self.log_likelihood += other.log_likelihood
        self.weight += other.weight
        return self


def pairs(d: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The coordinates i, j (d(d+1)/2,) of each pair, by cyclic distance.

    In this order `features` holds their products.
    """
    at = torch.arange(d * (d + 1) // 2, device=device)
    return (at // d + at) % d, at % d


def features(x: Tensor, kind: CovarianceKind) -> Tensor:
    """φ (p, n) of rows x (n, d).

    Products of all pairs for full covariances, squares for diagonal ones,
    neither for a tied one; then x and 1.
    """
    n, d = x.shape
    quadratic = {"full": d * (d + 1) // 2, "tied": 0}.get(kind, d)
    phi = x.new_empty(quadratic + d + 1, n)
    phi[-1] = 1
    linear = phi[quadratic:-1].copy_(x.T)
    if kind == "full":
        turns, half = (d + 1) // 2, d // 2
        circle = torch.cat([linear, linear[:half]])
        shifted = circle.unfold(0, d, 1)[:turns].mT
        torch.mul(shifted, linear, out=phi[: turns * d].view(turns, d, n))
        if d % 2 == 0:  # at half the cycle, each pair occurs once
            torch.mul(linear[half:], linear[:half], out=phi[turns * d : quadratic])
    elif quadratic:
        torch.mul(linear, linear, out=phi[:d])
    return phi


def normalise(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities over k (k, n) of logits (k, n), and log Σ exp (n,).

    One kernel computes both: the greatest probability p gives log Σ exp = top - log p. (A vector
    library's exponential with subnormal results is twelve times slower.)
    """
    r = logits.softmax(0)
    return r, logits.amax(0) - r.amax(0).log()


def sum_features(
    x: Tensor,
    r: Tensor,
    kind: CovarianceKind,
    w: Tensor | None = None,
    phi: Tensor | None = None,
) -> Expected:
    """Σ r φ for rows x (n, d), in float64; log-likelihood and weight are left at 0.

    Args:
        x: rows (n, d).
        r: responsibilities (k, n), already weighted.
        kind: of the covariances.
        w: weights (n,), which a tied covariance needs.
        phi: the features, if already computed.
    """
    phi = features(x, kind) if phi is None else phi
    d = x.shape[1]
    sums = (r @ phi.T).to(torch.float64)
    quadratic = len(phi) - d - 1
    if kind == "tied":
        second = ((x if w is None else x * w[:, None]).T @ x).to(torch.float64)
    else:
        second = sums[:, :quadratic].clone()
    first, zero = sums[:, quadratic:-1].clone(), sums.new_zeros(())
    return Expected(sums[:, -1].clone(), first, second, zero, zero.clone())


def sum_centred(x: Tensor, r: Tensor, kind: CovarianceKind, origins: Tensor) -> Expected:
    """As `sum_features`, about one origin per component (k, d).

    Rows without weight in a component are skipped.
    """
    i, j = pairs(x.shape[1], x.device)
    first = torch.zeros_like(origins)
    seconds = []
    for k, origin in enumerate(origins):
        rows = (r[k] > 0).nonzero()[:, 0]
        delta, w = x[rows] - origin, r[k, rows]
        first[k] = w @ delta
        if kind in ("full", "tied"):
            products = (delta * w[:, None]).T @ delta
            seconds.append(products if kind == "tied" else products[i, j])
        else:
            seconds.append(w @ delta.square())
    second, zero = torch.stack(seconds), x.new_zeros(())
    second = second.sum(0) if kind == "tied" else second
    return Expected(r.sum(1), first, second, zero, zero.clone())
