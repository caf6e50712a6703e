r"""Kernel densities with non-Euclidean distances: bumps K(δ(x, x_i) / h), each integrating to one.

With a norm, δ(a, b) = |a - b|_p, a bump's level sets are balls of that norm,
and a profile k integrates to

    ∫ k(|u|_p) du = d V_p I(d),   V_p = (2 Γ(1 + 1/p))^d / Γ(1 + d/p)   (2^d for p = ∞),
        I(d) = ∫ r^(d-1) k(r) dr,

so a draw is a radius with density r^(d-1) k(r) / I(d) times a point on the norm's unit sphere (by
its cone measure: independent coordinates with density exp(-|g|^p), divided by their norm). On the
unit sphere, with latitude and longitude in radians, δ is the angle between directions, and the
density is per steradian: bumps are divided by 2 π ∫ k(θ / h) sin θ dθ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from scipy.integrate import quad
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.densities.bounds import REACH
from pushforward.densities.kernels import Kernel, find_kernel

__all__ = ["Distance", "Norm", "Sphere", "DistanceKDE"]

PAIRS = 1 << 22
"""Distances per block."""
GRID = 1 << 14
"""Angles at which a bump on the sphere is tabulated for sampling."""


@runtime_checkable
class Distance(Protocol):
    """A distance for a kernel density."""

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """δ of each row of a (m, d) to each of b (n, d): (m, n)."""
        ...

    def log_mass(self, kernel: Kernel, h: float, d: int) -> float:
        """log ∫ k(δ(x, 0) / h) dx."""
        ...

    def move(self, x: Tensor, kernel: Kernel, h: float, rng: np.random.Generator) -> Tensor:
        """Move each row of x (n, d) by a draw from the bump around it."""
        ...


@dataclass(frozen=True)
class Norm:
    """δ(a, b) = |a - b|_p, 1 ≤ p ≤ ∞."""

    p: float

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """(m, n)."""
        return torch.cdist(a, b, p=self.p, compute_mode="donot_use_mm_for_euclid_dist")

    def log_mass(self, kernel: Kernel, h: float, d: int) -> float:
        """log of h^d d V_p I(d)."""
        log_ball = d * math.log(2)
        if math.isfinite(self.p):
            log_ball += d * math.lgamma(1 + 1 / self.p) - math.lgamma(1 + d / self.p)
        return d * math.log(h) + math.log(d) + log_ball + kernel.log_moment(d)

    def move(self, x: Tensor, kernel: Kernel, h: float, rng: np.random.Generator) -> Tensor:
        """Move by a random radius times a random point on the norm's sphere."""
        n, d = x.shape
        if math.isfinite(self.p):
            size = rng.gamma(1 / self.p, size=(n, d)) ** (1 / self.p)
            axes = torch.from_numpy(size * rng.choice([-1.0, 1.0], size=(n, d)))
        else:
            axes = torch.from_numpy(rng.uniform(-1, 1, size=(n, d)))
        length = axes.norm(p=self.p, dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        radius = kernel.radius(d, n, torch.Generator().manual_seed(int(rng.integers(2**62))))
        draws: Tensor = x + h * radius[:, None] * axes / length
        return draws


@dataclass(frozen=True)
class Sphere:
    """The angle between two directions, given by latitude and longitude in radians."""

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Angles (m, n) by haversines, which are accurate for small angles."""
        delta = a[:, None] - b
        square = (delta[..., 0] / 2).sin().square() + a[:, None, 0].cos() * b[:, 0].cos() * (
            delta[..., 1] / 2
        ).sin().square()
        return 2 * square.clamp(0, 1).sqrt().asin()

    def log_mass(self, kernel: Kernel, h: float, d: int) -> float:
        """log of 2 π ∫ k(θ / h) sin θ dθ."""
        if d != 2:
            raise ShapeMismatch(
                "the haversine distance needs two columns, latitude and longitude in radians,"
                f" got {d}"
            )

        def slice_(angle: float) -> float:
            return float(kernel.profile(torch.tensor(angle / h, dtype=torch.float64))) * math.sin(
                angle
            )

        return math.log(
            2
            * math.pi
            * quad(slice_, 0, self._reach(kernel, h), epsabs=0, epsrel=1e-10, limit=200)[0]
        )

    def move(self, x: Tensor, kernel: Kernel, h: float, rng: np.random.Generator) -> Tensor:
        """Move by a random angle in a random direction."""
        grid = torch.linspace(0, self._reach(kernel, h), GRID, dtype=torch.float64)
        density = kernel.profile(grid / h) * grid.sin()
        mass = np.concatenate([[0.0], ((density[1:] + density[:-1]) / 2).cumsum(0).numpy()])
        theta = torch.from_numpy(np.interp(rng.uniform(0, mass[-1], len(x)), mass, grid.numpy()))
        bearing = torch.from_numpy(rng.uniform(0, 2 * math.pi, len(x)))
        north, east = x[:, 0], x[:, 1]
        high = (north.sin() * theta.cos() + north.cos() * theta.sin() * bearing.cos()).clamp(-1, 1)
        turn = torch.atan2(
            bearing.sin() * theta.sin() * north.cos(), theta.cos() - north.sin() * high
        )
        return torch.stack(
            [high.asin(), torch.remainder(east + turn + math.pi, 2 * math.pi) - math.pi], 1
        )

    @staticmethod
    def _reach(kernel: Kernel, h: float) -> float:
        """The angle beyond which a bump is 0."""
        return min(math.pi, h * REACH.get(kernel.name, 1.0))


class DistanceKDE:
    """f(x) = Σ w_i K(δ(x, x_i) / h) over points (n, d) with weights (n,), by direct summation.

    Args:
        points: (n, d), float64.
        weights: (n,), not negative; None for equal weights.
        bandwidth: h, in the unit of the distance.
        kernel: as in `pushforward.KDE`.
        distance: a `Norm` or a `Sphere`.
    """

    def __init__(
        self,
        points: Tensor,
        weights: Tensor | None,
        bandwidth: float,
        kernel: str,
        distance: Distance,
    ) -> None:
        w = (
            torch.ones(len(points), dtype=torch.float64)
            if weights is None
            else weights.to(torch.float64)
        )
        if not bool((w >= 0).all() and w.sum() > 0):
            raise InvalidValue(
                "sample_weight must not be negative, and at least one weight must be above 0"
            )
        positive = w > 0
        self.points, self.log_weights = (
            points[positive].to(torch.float64),
            (w[positive] / w.sum()).log(),
        )
        self.bandwidth, self.kernel, self.distance = bandwidth, kernel, distance
        self.log_mass = distance.log_mass(find_kernel(kernel), bandwidth, points.shape[1])

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of each row (m,), nats; -inf outside all bumps."""
        kernel = find_kernel(self.kernel)

        def of(rows: Tensor) -> Tensor:
            r = self.distance.between(rows.to(torch.float64), self.points) / self.bandwidth
            return (kernel.log_profile(r) + self.log_weights).logsumexp(1)

        return (
            torch.cat([of(rows) for rows in x.split(max(1, PAIRS // len(self.points)))])
            - self.log_mass
        )

    def sample(self, n: int, *, rng: int) -> Tensor:
        """n draws (n, d)."""
        stream = np.random.default_rng(rng)
        total = self.log_weights.exp().cumsum(0).numpy()
        index = np.searchsorted(total, stream.uniform(0, total[-1], n), side="right").clip(
            max=len(total) - 1
        )
        return self.distance.move(
            self.points[torch.from_numpy(index)], find_kernel(self.kernel), self.bandwidth, stream
        )
