r"""Smoothing kernels: seven profiles k(r), in any dimension, radial or as products over the axes.

A density is estimated by laying a copy of one bump over every point.
A bump is a profile k on [0, inf), and

    radial     K(u) = k(|u|) / Z_d,             Z_d = S_d I(d),    S_d = 2 pi^(d/2) / Gamma(d/2)
    product    K(u) = prod_a k(|u_a|) / Z_1^d,           I(m) = integral of r^(m-1) k(r) over r >= 0

so the radial integrals I(m) give both the normaliser and the variance of one axis,

    radial     E[u_a^2] = I(d + 2) / (d I(d)),      product    E[u_a^2] = I(3) / I(1).

| kernel       | k(r)             | r <  | I(m)                     |
|--------------|------------------|------|--------------------------|
| gaussian     | exp(-r^2 / 2)    | inf  | 2^(m/2-1) Gamma(m/2)     |
| epanechnikov | 1 - r^2          | 1    | 2 / (m (m + 2))          |
| tophat       | 1                | 1    | 1 / m                    |
| triangular   | 1 - r            | 1    | 1 / (m (m + 1))          |
| biweight     | (1 - r^2)^2      | 1    | Beta(m/2, 3) / 2         |
| exponential  | exp(-r)          | inf  | Gamma(m)                 |
| cosine       | cos(pi r / 2)    | 1    | alternating series below |

Bandwidth is not the standard deviation except for the Gaussian: h is the factor on u, as in
scikit-learn (whose 'linear' is our 'triangular'); `Kernel.variance` converts.

Reference: Silverman (1986), Density Estimation for Statistics and Data Analysis, sections 3.3 and
4.2, https://doi.org/10.1201/9781315140919.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, suggest_listed

__all__ = ["KERNELS", "SHAPES", "Shape", "Kernel", "find_kernel"]

Shape: TypeAlias = Literal["radial", "product"]
SHAPES: tuple[Shape, ...] = get_args(Shape)
"""A kernel of the distance, or a product of kernels of the coordinates."""


@dataclass(frozen=True)
class Kernel:
    """A profile k and the quantities derived from it.

    Args:
        name: the name users pass.
        support: k(r) = 0 for r >= support; 1, or infinity.
        profile: r (any shape, r >= 0) to k(r), with k(0) = 1.
        log_profile: r to log k(r), -inf outside the support; exact where k itself would underflow.
        log_moment: m > 0 to log I(m).
        radius: (d, n, rng) to n radii of density r^(d-1) k(r) / I(d), float64.
        cdf: u (any shape) to the distribution function of the kernel in one dimension.

    Example:
        >>> find_kernel("epanechnikov").variance(1)
        0.2
    """

    name: str
    support: float
    profile: Callable[[Tensor], Tensor]
    log_profile: Callable[[Tensor], Tensor]
    log_moment: Callable[[int], float]
    radius: Callable[[int, int, torch.Generator | None], Tensor]
    cdf: Callable[[Tensor], Tensor]

    def __reduce__(self) -> str | tuple[object, ...]:
        """Pickle by name: profiles are functions, which cannot be pickled."""
        return (
            (find_kernel, (self.name,)) if KERNELS.get(self.name) is self else super().__reduce__()
        )

    @property
    def compact(self) -> bool:
        """True if the kernel vanishes outside the unit ball (radial) or cube (product)."""
        return math.isfinite(self.support)

    def log_normaliser(self, dimension: int, shape: Shape = "radial") -> float:
        """log of the integral of the unnormalised kernel over R^dimension."""
        if _check_shape(shape) == "product":
            return dimension * (math.log(2.0) + self.log_moment(1))
        log_sphere = math.log(2.0) + dimension / 2 * math.log(math.pi) - math.lgamma(dimension / 2)
        return log_sphere + self.log_moment(dimension)

    def variance(self, dimension: int, shape: Shape = "radial") -> float:
        """Variance along one axis of the kernel with h = 1.

        The covariance is this times the identity.
        """
        if _check_shape(shape) == "product":
            dimension = 1
        return math.exp(self.log_moment(dimension + 2) - self.log_moment(dimension)) / dimension

    def sample(
        self, n: int, dimension: int, *, shape: Shape = "radial", rng: torch.Generator | None = None
    ) -> Tensor:
        """(n, dimension) independent draws from the kernel with h = 1, float64."""
        if _check_shape(shape) == "product":
            radii = self.radius(1, n * dimension, rng).reshape(n, dimension)
            return radii * (2 * torch.randint(0, 2, radii.shape, generator=rng) - 1)
        direction = torch.randn(n, dimension, dtype=torch.float64, generator=rng)
        if self.name == "gaussian":
            return direction
        length = direction.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        draws: Tensor = direction / length * self.radius(dimension, n, rng)[:, None]
        return draws


def find_kernel(name: str | Kernel) -> Kernel:
    """The kernel of that name; a Kernel is returned unchanged.

    Raises:
        ValueError: For an unknown name.
    """
    if isinstance(name, Kernel):
        return name
    if name not in KERNELS:
        raise InvalidValue(
            f"kernel must be one of {', '.join(map(repr, KERNELS))}, got {name!r};"
            f" {suggest_listed(name, KERNELS)}"
        )
    return KERNELS[name]


def _check_shape(shape: str) -> str:
    if shape not in SHAPES:
        raise InvalidValue(f"shape must be 'radial' or 'product', got {shape!r}; pass one of these")
    return shape


def _log_cosine_moment(m: int) -> float:
    """cos(pi r / 2) = sum_k (-1)^k (pi/2)^(2k) r^(2k) / (2k)!,
    integrated against r^(m-1) term by term.
    """
    terms = (
        (-1) ** k * (math.pi / 2) ** (2 * k) / math.factorial(2 * k) / (m + 2 * k)
        for k in range(16)
    )
    return math.log(math.fsum(terms))


def _uniform(n: int, rng: torch.Generator | None) -> Tensor:
    """n draws from (0, 1], so that logarithms stay finite."""
    return 1 - torch.rand(n, dtype=torch.float64, generator=rng)


def _beta(a: float, b: int, n: int, rng: torch.Generator | None) -> Tensor:
    """Beta(a, b) for whole b: the product of Beta(a + j, 1) = U^(1/(a+j)), j < b."""
    out = torch.ones(n, dtype=torch.float64)
    for j in range(b):
        out *= _uniform(n, rng) ** (1 / (a + j))
    return out


def _gamma(shape: int, n: int, rng: torch.Generator | None) -> Tensor:
    """Gamma(shape) for whole shape: the sum of that many exponentials."""
    out = torch.zeros(n, dtype=torch.float64)
    for _ in range(shape):
        out -= _uniform(n, rng).log()
    return out


def _cosine_radius(dimension: int, n: int, rng: torch.Generator | None) -> Tensor:
    """By rejection from the Epanechnikov radius: .785 <= cos(pi r / 2) / (1 - r^2) <= 1."""
    radii = torch.empty(0, dtype=torch.float64)
    while len(radii) < n:
        r = _beta(dimension / 2, 2, max(16, 2 * (n - len(radii))), rng).sqrt()
        accept = _uniform(len(r), rng) * (1 - r * r) < torch.cos(math.pi / 2 * r)
        radii = torch.cat([radii, r[accept]])
    return radii[:n]


def _zero_outside(value: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda r: torch.where(r < 1, value(r), torch.zeros_like(r))


def _clip_cdf(cdf: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda u: cdf(u.clamp(-1, 1))


def _compact_kernel(
    name: str,
    value: Callable[[Tensor], Tensor],
    log_moment: Callable[[int], float],
    radius: Callable[[int, int, torch.Generator | None], Tensor],
    cdf: Callable[[Tensor], Tensor],
) -> Kernel:
    inside = _zero_outside(value)
    return Kernel(name, 1.0, inside, lambda r: inside(r).log(), log_moment, radius, _clip_cdf(cdf))


KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        Kernel(
            "gaussian",
            math.inf,
            lambda r: torch.exp(-0.5 * r * r),
            lambda r: -0.5 * r * r,
            lambda m: (m / 2 - 1) * math.log(2.0) + math.lgamma(m / 2),
            lambda d, n, rng: torch.randn(n, d, dtype=torch.float64, generator=rng).norm(dim=1),
            # ndtr is (1 + erf) / 2, which is 0 from -8.3 on
            lambda u: 0.5 * torch.special.erfc(-u / math.sqrt(2)),
        ),
        _compact_kernel(
            "epanechnikov",
            lambda r: 1 - r * r,
            lambda m: math.log(2 / (m * (m + 2))),
            lambda d, n, rng: _beta(d / 2, 2, n, rng).sqrt(),
            lambda u: 0.5 + 0.75 * u - 0.25 * u**3,
        ),
        _compact_kernel(
            "tophat",
            torch.ones_like,
            lambda m: -math.log(m),
            lambda d, n, rng: _uniform(n, rng) ** (1 / d),
            lambda u: 0.5 + 0.5 * u,
        ),
        _compact_kernel(
            "triangular",
            lambda r: 1 - r,
            lambda m: -math.log(m * (m + 1)),
            lambda d, n, rng: _beta(d, 2, n, rng),
            lambda u: 0.5 + u - 0.5 * u * u.abs(),
        ),
        _compact_kernel(
            "biweight",
            lambda r: (1 - r * r) ** 2,
            lambda m: math.lgamma(m / 2) + math.lgamma(3) - math.lgamma(m / 2 + 3) - math.log(2.0),
            lambda d, n, rng: _beta(d / 2, 3, n, rng).sqrt(),
            lambda u: 0.5 + 15 / 16 * (u - 2 / 3 * u**3 + u**5 / 5),
        ),
        Kernel(
            "exponential",
            math.inf,
            lambda r: torch.exp(-r),
            lambda r: -r,
            lambda m: math.lgamma(m),
            _gamma,
            lambda u: torch.where(u < 0, 0.5 * torch.exp(-u.abs()), 1 - 0.5 * torch.exp(-u.abs())),
        ),
        _compact_kernel(
            "cosine",
            lambda r: torch.cos(math.pi / 2 * r),
            _log_cosine_moment,
            _cosine_radius,
            lambda u: 0.5 + 0.5 * torch.sin(math.pi / 2 * u),
        ),
    )
}
