r"""The normal law: density, draws, conditionals and marginals, all in closed form.

    log N(x; μ, Σ) = -½ [ d ln 2π + ln|Σ| + (x - μ)ᵀ Σ⁻¹ (x - μ) ]

With the axes split into known b and unknown a (Bishop 2006, Eq. 2.81-2.82),

    x_a | x_b  ~  N( μ_a + Σ_ab Σ_bb⁻¹ (x_b - μ_b),   Σ_aa - Σ_ab Σ_bb⁻¹ Σ_ba ),          x_a ~ N(μ_a, Σ_aa).

Matrices are decomposed in the scale of correlations, Σ = D R D with D the standard deviations, so that columns in units
however different cost no digits: the density is equivariant under a change of the unit of any column. Eigenvalues of R
are floored, never added to: one below 4 d ε is what rounding leaves of zero, and is raised to it. So data that do not vary
in some direction keep a finite density there, very high on the data and very low off them, and the fit says so.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, Diverged, InvalidKind, InvalidValue
from pushforward.core.fitter import Fitter, Symptom
from pushforward.core.frames import as_number
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator, normal
from pushforward.core.registry import register
from pushforward.core.samplers import Sampler
from pushforward.core.scan import Facts
from pushforward.core.source import Source
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


LEAST = math.ulp(0.0)
"""The smallest positive number: what keeps logarithms and quotients finite, and no variance that float64 holds is below it."""


def resolution(spectrum: Tensor, mean: Tensor) -> float:
    """The smallest variance that float64 can tell from zero here: 4 d ε times the largest, and the rounding of the mean.

    Where nothing varies at all it is (1e-8 |mean|)², or 1e-16 where everything is 0.
    """
    top, size = float(spectrum.max()), float(mean.abs().max())
    eps = torch.finfo(torch.float64).eps
    least = (eps * size) ** 2
    return max(4 * len(mean) * eps * top, least, LEAST) if top > least else (1e-8 * (size or 1.0)) ** 2


@dataclass(frozen=True)
class Correlation:
    """Σ = D A diag(values) Aᵀ D: deviations D (d,), floored eigenvalues (d,), rising, and eigenvectors A (d, d) of the correlations.

    `still` counts the directions in which nothing varies: constant coordinates, and eigenvalues that were floored.
    """

    deviations: Tensor
    values: Tensor
    axes: Tensor
    still: int

    @classmethod
    def of(cls, covariance: Tensor, mean: Tensor, *, common: bool = False) -> Correlation:
        """Of a covariance (d, d); the mean (d,) tells what is rounding, and the scale of coordinates that do not vary.

        With `common` the scale of those is the least that matters beside the largest deviation, not a share of their own size.
        """
        eps, variance = torch.finfo(torch.float64).eps, covariance.diagonal()
        varies = variance > (eps * mean).square()
        top = float(torch.where(varies, variance, 0.0).max()) if len(mean) else 0.0
        unit = math.sqrt(4 * len(mean) * eps * top) if top > 0 else 1e-8
        size = mean.abs()
        deviations = torch.where(
            varies, variance.clamp_min(0).sqrt(), torch.where((size > 0) & (not common or top == 0), 1e-8 * size, unit)
        )
        correlation = covariance / deviations / deviations[:, None]
        both = varies & varies[:, None]
        correlation = torch.where(both, (correlation + correlation.T) / 2, torch.eye(len(mean)).to(correlation))
        values, axes = eigen(correlation)
        floor = 4 * len(mean) * eps
        return cls(deviations, values.clamp_min(floor), axes, int((~varies).sum()) + int((values < floor).sum()))

    def principal(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (d,) of Σ, falling, and eigenvectors in rows (d, d), each to nearly all of its own digits.

        By Jacobi's method on diag(values)^½ Aᵀ D, which, unlike others, loses none to the scales of the columns (Demmel & Veselić 1992).
        """
        from scipy.linalg.lapack import dgejsv

        factor = (self.values.sqrt()[:, None] * self.axes.T * self.deviations).cpu()
        singular, _, right, work, _, failed = dgejsv(factor.numpy(), joba=2, jobu=3, jobv=0)
        if failed:
            raise Diverged("the eigenvectors of the covariance did not converge; standardise the columns first")
        values = torch.from_numpy(singular * (work[0] / work[1])).square()
        return values.to(self.values), torch.from_numpy(right).T.contiguous().to(self.values)

    def whiten(self, centred: Tensor) -> Tensor:
        """Rows (n, d) about the mean to coordinates whose covariance is I."""
        return (centred / self.deviations) @ self.axes / self.values.sqrt()

    @property
    def log_determinant(self) -> Tensor:
        """log |Σ|."""
        return self.values.log().sum() + 2 * self.deviations.log().sum()

    def log_density(self, centred: Tensor) -> Tensor:
        """log N(x; μ, Σ) (n,) for rows x - μ (n, d); -inf where the square leaves float64."""
        squares = self.whiten(centred).square().sum(1)
        value = -0.5 * (len(self.values) * math.log(2 * math.pi) + self.log_determinant + squares)
        return value.nan_to_num(nan=-math.inf, neginf=-math.inf)

    def solve(self, rows: Tensor) -> Tensor:
        """Rows (n, d) times Σ⁻¹."""
        return self.whiten(rows) / self.values.sqrt() @ self.axes.T / self.deviations


def root(covariance: Tensor) -> Tensor:
    """B (…, d, d) with B Bᵀ = Σ, for draws, and 0 for what does not vary.

    Cholesky's factor of the correlations, which changes as little as Σ does (eigenvectors may turn round); where they are singular,
    from their eigenvectors.
    """
    deviations = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    safe = torch.where(deviations > 0, deviations, 1.0)
    correlation = covariance / safe[..., None, :] / safe[..., :, None]
    correlation = (correlation + correlation.mT) / 2
    factor, failed = torch.linalg.cholesky_ex(correlation)
    if bool(failed.any()):
        values, axes = torch.linalg.eigh(correlation)
        factor = torch.where((failed > 0)[..., None, None], axes * values.clamp_min(0).sqrt()[..., None, :], factor)
    return deviations[..., :, None] * factor


def known_values(model: Model, known: Mapping[Any, Any]) -> tuple[list[int], list[int], Tensor]:
    """Of {axis: value}: the positions of the known axes and of the others, and the values (known,); InvalidValue unless all are finite.

    Columns of dates take dates, those of per cent '40%' too.
    """
    space = model.fitted_space()
    b = axes_of(space, known)
    a = [i for i in range(space.size) if i not in b]
    if not a:
        raise InvalidValue("every axis is known; leave at least one free")
    columns = subspace(space, b).columns if b else ()
    values = torch.tensor([as_number(v, column) for v, column in zip(known.values(), columns)], dtype=torch.float64)
    if not bool(values.isfinite().all()):
        raise InvalidValue(f"values to condition on must be finite, got {values.tolist()[:8]}; leave unknown axes out")
    return b, a, values.to(model.device)


def too_far(values: Tensor) -> InvalidValue:
    """The error for values at which no conditional can be represented."""
    return InvalidValue(
        f"the values {[f'{v:g}' for v in values.tolist()[:8]]} are too far from the data to condition on; choose nearer ones"
    )


SQUARED = 1e-150, 1e150
"""Ranges between which float64 can square."""


def refuse_unsquarable(source: Source, facts: Facts) -> None:
    """BadSource for a column whose deviations float64 cannot square: covariances in its unit would be 0 or infinite."""
    span = facts.high - facts.low
    wrong = ((span > 0) & (span < SQUARED[0])) | (span > SQUARED[1])
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        names = source.space.names if source.space.kind == "points" and source.space.shape else ()
        column = f"column {names[first]!r}" if names else f"value {first}"
        raise BadSource(f"{column} spans {float(span[first]):.3g}, which float64 cannot square; choose another unit for it")


def refuse_large(model: Model, source: Source, matrices: int = 1) -> None:
    """BadSource where d x d matrices would not fit half the memory, before they are made."""
    d, n = source.space.size, len(source)
    needed, there = 8.0 * d * d * matrices, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there / 2:
        cure = "is the table transposed?" if n < d else "reduce the columns first, by PCA(100), say"
        if needed / matrices <= there / 2 and matrices > n:
            cure = f"there are more components ({matrices:,}) than rows: ask for fewer"
        elif needed / matrices <= there / 2:
            cure = "ask for fewer components, or covariance='diagonal'"
        raise BadSource(f"{type(model).__name__} of {n} rows and {d} columns needs {needed / 1e9:.0f} GB for covariances; {cure}")


def subspace(space: Space, keep: list[int]) -> Space:
    """The space of some flattened coordinates of another."""
    if space.kind == "points" and space.columns:
        columns = tuple(space.columns[i] for i in keep)
        return replace(space, shape=(len(keep),), columns=columns, low=min(c.low for c in columns), high=max(c.high for c in columns))
    from pushforward.core.space import Column

    columns = tuple(Column(f"x{i}", low=space.low, high=space.high) for i in keep)
    return Space("points", (len(keep),), columns, space.low, space.high, space.integer, "array" if space.form != "tensor" else "tensor")


def axes_of(space: Space, axes: Any) -> list[int]:
    """Positions of axes given by name or position; for images, of flattened coordinates."""
    if not isinstance(axes, Iterable):
        raise InvalidKind(f"axes must be a name or position, or several, got {axes!r}")
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
    """Raise InvalidValue if conditions were asked for."""
    if source.condition_space is not None:
        raise InvalidValue(
            f"{type(model).__name__} learns the distribution of x alone, and y was given; leave y out, or append it to x as columns"
        )


def no_variance(still: int, d: int) -> Sequence[Symptom]:
    """The symptom of data that do not vary in `still` of d directions; none where they vary in all."""
    if not still:
        return ()
    seen = f"the data do not vary in {still} of {d} directions, where the variance is the least that float64 can tell from 0"
    return (Symptom("no variance", seen, "drop constant columns and those that follow from others: densities are arbitrary there"),)


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

    mean_: Tensor
    covariance_: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._kept: tuple[tuple[Tensor, Tensor], tuple[int, ...], Correlation] | None = None
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

    def learnt(self) -> Mapping[str, str]:
        """What the stored numbers must be like."""
        return {"mean_": "d", "covariance_": "d d covariance"}

    def default_fitter(self) -> Fitter:
        """One pass."""
        return EM()

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions, and what cannot be squared or held; sums are taken about the mean of the facts."""
        refuse_conditions(self, source)
        refuse_large(self, source)
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
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
        rows = self._flat(x)
        return self._correlation().log_density(rows - self.mean_)

    def _correlation(self) -> Correlation:
        """The decomposed covariance, kept for as long as the estimates are the same tensors, unchanged."""
        of = (self.mean_, self.covariance_)
        if any(t.is_inference() for t in of):  # these count no changes
            return Correlation.of(self.covariance_, self.mean_)
        changes = tuple(t._version for t in of)
        if self._kept is None or any(a is not b for a, b in zip(self._kept[0], of)) or self._kept[1] != changes:
            self._kept = (of, changes, Correlation.of(self.covariance_, self.mean_))
        return self._kept[2]

    def sample(self, n: int, y: Any = None, rng: Rng = None, using: Sampler | str | None = None) -> Tensor:
        """n draws (n, *shape), float64."""
        space = self.fitted_space()
        self.to_condition(y, n)
        noise = normal(n, len(self.mean_), rng=generator(rng), like=self.mean_)
        return (self.mean_ + noise @ root(self.covariance_).T).reshape(n, *map(int, space.shape))  # type: ignore[arg-type]

    def condition(self, known: Mapping[Any, Any]) -> Gaussian:
        """The law of the other axes, given {axis name or position: value}."""
        b, a, values = known_values(self, known)
        if not b:
            return self.marginal(a)
        law, away = Correlation.of(self.covariance_[b][:, b], self.mean_[b]), values - self.mean_[b]
        gain = law.solve(self.covariance_[a][:, b])
        mean = self.mean_[a] + gain @ away
        if not bool(mean.isfinite().all() and law.log_density(away[None]).isfinite().all()):
            raise too_far(values)
        whole = self.covariance_[a][:, a]
        covariance = whole - gain @ self.covariance_[b][:, a]
        covariance = (covariance + covariance.T) / 2
        # What is known to the last digit keeps the variance that rounding leaves.
        least = 4 * len(self.mean_) * torch.finfo(torch.float64).eps * whole.diagonal()
        covariance.diagonal().copy_(torch.maximum(covariance.diagonal(), least))
        return Gaussian.of(mean, covariance, subspace(self.fitted_space(), a))

    def marginal(self, axes: Any) -> Gaussian:
        """The law of some axes (a name or position, or several)."""
        space = self.fitted_space()
        keep = axes_of(space, [axes] if isinstance(axes, (str, int)) else axes)
        if not keep:
            raise InvalidValue("a marginal needs at least one axis, got none")
        return Gaussian.of(self.mean_[keep], self.covariance_[keep][:, keep], subspace(space, keep))

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Directions in which the data do not vary."""
        return no_variance(self._correlation().still, len(self.mean_))

    def _flat(self, x: Any) -> Tensor:
        return self.conform(x).to(torch.float64).flatten(1)
