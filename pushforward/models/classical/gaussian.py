r"""The normal law: density, draws, conditionals and marginals, all in closed form.

    log N(x; μ, Σ) = -½ [ d ln 2π + ln|Σ| + (x - μ)ᵀ Σ⁻¹ (x - μ) ]

With the axes split into known b and unknown a (Bishop 2006, Eq. 2.81-2.82),

    x_a | x_b  ~  N( μ_a + Σ_ab Σ_bb⁻¹ (x_b - μ_b),   Σ_aa - Σ_ab Σ_bb⁻¹ Σ_ba ),          x_a ~ N(μ_a, Σ_aa).

Variances are floored, never added to: an eigenvalue below `resolution` is what rounding leaves of zero, and is raised to
it. So data that do not vary in some direction keep a finite density there, very high on the data and very low off them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.model import Fitter, Model
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator, normal
from pushforward.core.registry import register
from pushforward.core.scan import Facts
from pushforward.core.source import Source, has_unasked_labels
from pushforward.core.space import Space
from pushforward.fitting.em import EM

__all__ = ["Gaussian", "Scatter", "eigen", "resolution", "subspace", "axes_of", "refuse_conditions"]


@dataclass
class Scatter:
    """Sums about a common origin o: count Σw, total Σw(x-o) (d,), products Σw(x-o)(x-o)ᵀ (d, d) in its upper triangle.

    With o near the mean nothing cancels, whatever the offset of the data; merging is addition (in place, of one's own).
    """

    count: Tensor
    total: Tensor
    products: Tensor

    @classmethod
    def of(cls, x: Tensor, weights: Tensor | None, origin: Tensor | None) -> Scatter:
        """Sums over rows x (n, d), float64; origin None where it is so near 0 that shifting the rows would gain nothing."""
        x = x.to(torch.float64) if origin is None else torch.sub(x, origin)
        if weights is None:
            return cls(torch.tensor(float(len(x)), dtype=x.dtype, device=x.device), x.sum(0), _products(x))
        total = weights.to(x.dtype) @ x
        return cls(weights.sum().to(x.dtype), total, _products(x * weights.to(x.dtype).sqrt()[:, None]))

    def merge(self, other: Scatter) -> Scatter:
        """Sums over both sets of rows."""
        self.count += other.count
        self.total += other.total
        self.products += other.products
        return self

    def moments(self, origin: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean (d,) and maximum-likelihood covariance (d, d)."""
        shift = self.total / self.count
        upper = self.products.triu()
        covariance = (upper + upper.triu(1).T) / self.count
        covariance -= torch.outer(shift, shift)
        return shift if origin is None else origin + shift, covariance


def _products(x: Tensor) -> Tensor:
    """The upper triangle of xᵀx; on the processor by the BLAS routine that does half the work."""
    if x.is_cuda or x.shape[1] < 8 or not len(x):
        return x.T @ x
    from scipy.linalg.blas import dsyrk

    # dsyrk sees columns first: for a = xᵀ it returns a aᵀ, and its lower triangle read by rows is our upper one.
    return torch.from_numpy(dsyrk(1.0, x.contiguous().numpy().T, lower=1).T)


def eigen(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, rising, and eigenvectors in columns; NumPy's LAPACK on the processor, half again as fast as torch's there."""
    if covariance.is_cuda or len(covariance) < 64:
        values, axes = torch.linalg.eigh(covariance)
        return values, axes
    import numpy as np

    found = np.linalg.eigh(covariance.numpy())
    return torch.from_numpy(found.eigenvalues), torch.from_numpy(found.eigenvectors)


def resolution(spectrum: Tensor, mean: Tensor) -> float:
    """The smallest variance that float64 can tell from zero here: 4 d ε times the largest, and the rounding of the mean.

    Where nothing varies at all it is (1e-8 max(1, |mean|))².
    """
    top, size = float(spectrum.max()), float(mean.abs().max())
    eps = torch.finfo(torch.float64).eps
    least = (eps * size) ** 2
    return max(4 * len(mean) * eps * top, least, 1e-300) if top > least else (1e-8 * max(1.0, size)) ** 2


def subspace(space: Space, keep: list[int]) -> Space:
    """The space of some flattened coordinates of another."""
    if space.kind == "points" and space.columns:
        columns = tuple(space.columns[i] for i in keep)
        return replace(space, shape=(len(keep),), columns=columns, low=min(c.low for c in columns), high=max(c.high for c in columns))
    from pushforward.core.space import Column

    columns = tuple(Column(f"x{i}", low=space.low, high=space.high) for i in keep)
    return Space("points", (len(keep),), columns, space.low, space.high, space.integer, "array" if space.form != "tensor" else "tensor")


def axes_of(space: Space, axes: Any) -> list[int]:
    """Positions of axes given by name or position; for pictures, of flattened coordinates."""
    found: list[int] = []
    for axis in axes:
        if space.kind == "points":
            place = space.axis(axis)
        elif str(axis).isdigit() and int(axis) < space.size:
            place = int(axis)
        else:
            raise InvalidValue(f"an axis of {space} is a number 0..{space.size - 1}, got {axis!r}")
        if place in found:
            raise InvalidValue(f"axis {axis!r} is named twice; name every axis once")
        found.append(place)
    return found


def refuse_conditions(model: Model, source: Source) -> None:
    """Raise InvalidValue if conditions were asked for; labels that merely came with the data are left out."""
    if source.condition_space is not None and not has_unasked_labels(source):
        raise InvalidValue(
            f"{type(model).__name__} learns the distribution of x alone, and y was given; leave y out, or append it to x as columns"
        )


@register("gaussian")
class Gaussian(Model):
    """One normal law with a full covariance: N(μ, Σ).

    Made by `Gaussian().fit(x)` (maximum likelihood: Σ is the 1/N covariance), or by `condition` and `marginal` of PCA.

    **Reference** Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.

    **Arguments** none. Learnt: `mean_` (d,), `covariance_` (d, d), in the data's units and their squares.

    **Example**
        >>> import torch
        >>> law = Gaussian.of(torch.zeros(2), torch.tensor([[1., .8], [.8, 1.]]))
        >>> law.condition({0: 1.}).mean_
        tensor([0.8000], dtype=torch.float64)
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "single", "few"})
    scaling_kind: str = "identity"
    dtype: ClassVar[torch.dtype | None] = torch.float64
    one_pass: ClassVar[bool] = True

    mean_: Tensor
    covariance_: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean_", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("covariance_", torch.zeros(0, 0, dtype=torch.float64))

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor, space: Space | None = None) -> Gaussian:
        """The law with mean (d,) and covariance (d, d), on `space` (unnamed points otherwise)."""
        if covariance.shape != (len(mean), len(mean)):
            raise InvalidValue(f"covariance must have shape ({len(mean)}, {len(mean)}), got {tuple(covariance.shape)}")
        law = cls()
        law.assemble(space or Space.infer(mean[None]), None)
        law.scaling.to(mean.device)
        law.mean_, law.covariance_ = mean.to(torch.float64), covariance.to(torch.float64)
        return law

    def default_fitter(self) -> Fitter:
        """One pass."""
        return EM()

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions; sums are taken about the mean of the facts."""
        refuse_conditions(self, source)
        super().prepare(source, facts)
        self._origin = facts.moments.mean

    def statistics(self, batch: Batch) -> Scatter:
        """Count, sum and products of one block."""
        return Scatter.of(batch.x.flatten(1), batch.weights, self._origin.to(batch.x.device))

    def update(self, statistics: Scatter) -> bool:
        """Mean and covariance; done."""
        self.mean_, self.covariance_ = statistics.moments(self._origin.to(statistics.total.device))
        return True

    def log_prob(self, x: Any) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates."""
        spectrum, axes = self._axes()
        z = (self._flat(x) - self.mean_) @ axes
        return -0.5 * (len(self.mean_) * math.log(2 * math.pi) + spectrum.log().sum() + (z.square() / spectrum).sum(1))

    def sample(self, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """n draws (n, *shape), float64."""
        space = self.fitted_space()
        self.to_condition(y, n)
        values, axes = torch.linalg.eigh(self.covariance_)
        noise = normal(n, len(self.mean_), rng=generator(rng), like=self.mean_)
        return (self.mean_ + noise * values.clamp_min(0).sqrt() @ axes.T).reshape(n, *map(int, space.shape))  # type: ignore[arg-type]

    def condition(self, known: Mapping[Any, float]) -> Gaussian:
        """The law of the other axes, given {axis name or position: value}."""
        space = self.fitted_space()
        b = axes_of(space, known)
        a = [i for i in range(len(self.mean_)) if i not in b]
        if not a:
            raise InvalidValue("every axis is known; leave at least one free")
        delta = torch.tensor([float(v) for v in known.values()], dtype=torch.float64).to(self.mean_) - self.mean_[b]
        values, axes = torch.linalg.eigh(self.covariance_[b][:, b]) if b else (self.mean_.new_zeros(0), self.mean_.new_zeros(0, 0))
        gain = self.covariance_[a][:, b] @ axes / values.clamp_min(resolution(self.covariance_.diagonal(), self.mean_)) @ axes.T
        covariance = self.covariance_[a][:, a] - gain @ self.covariance_[b][:, a]
        return Gaussian.of(self.mean_[a] + gain @ delta, (covariance + covariance.T) / 2, subspace(space, a))

    def marginal(self, axes: Any) -> Gaussian:
        """The law of some axes (a name or position, or several)."""
        space = self.fitted_space()
        keep = axes_of(space, [axes] if isinstance(axes, (str, int)) else axes)
        if not keep:
            raise InvalidValue("a marginal needs at least one axis, got none")
        return Gaussian.of(self.mean_[keep], self.covariance_[keep][:, keep], subspace(space, keep))

    def _axes(self) -> tuple[Tensor, Tensor]:
        self.fitted_space()
        values, axes = torch.linalg.eigh(self.covariance_)
        return values.clamp_min(resolution(values, self.mean_)), axes

    def _flat(self, x: Any) -> Tensor:
        return self.conform(x).to(torch.float64).flatten(1)
