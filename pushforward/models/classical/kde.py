r"""Kernel density estimation: a bump over every observation.

    f(x) = Σ_i w_i |B_i|⁻¹ K(B_i⁻¹ (x - x_i)),        B_i = s_i L,   H = L Lᵀ,   Σ_i w_i = 1

with one bandwidth h (H = h² I), one per axis, or a full matrix H, and optionally a factor s_i per
observation, so that bumps are narrow where data are dense. Each bump is normalised by
|B_i| = s_i^d |L|: dividing by s_i alone integrates to one only in one dimension. Sampling chooses
an i with probability w_i, then x_i + s_i L ε with ε from the kernel.

**Conditioning** is closed for the Gaussian, whose bumps are normal distributions N(x_i, s_i² H),

    f(x_a | x_b) = Σ_i v_i N(x_a; x_ia + H_ab H_bb⁻¹ (x_b - x_ib), s_i² (H_aa - H_ab H_bb⁻¹ H_ba)),
    v_i ∝ w_i N(x_b; x_ib, s_i² H_bb),

and for product kernels, whose bumps are independent over the axes: the points keep x_ia and get
weights v_i ∝ w_i Π_b k((x_b - x_ib) / s_i h_b). Marginals of both drop axes. A radial kernel that
is not Gaussian has neither.

Bounded axes are in `kde_boundaries`, choices of the bandwidth in `kde_bandwidth`, integrals in
`kde_integrals`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidValue, PushforwardError
from pushforward.core.fitter import Fitter
from pushforward.core.random import Rng, generator
from pushforward.core.registry import register
from pushforward.core.samplers import Sampler
from pushforward.core.scaling import ScalingKind
from pushforward.core.space import Space
from pushforward.densities import Scale
from pushforward.densities.kernels import Shape, find_kernel
from pushforward.fitting.em import EM
from pushforward.models.classical.axes import (
    axes_to_keep,
    read_known_values,
    subspace,
    too_far_error,
)
from pushforward.models.classical.kde_bandwidth import (
    Adaptive,
    Form,
    bandwidth_tensor,
    check_bandwidth,
    check_tolerance,
)
from pushforward.models.classical.kde_boundaries import Boundary, BoundaryName, parse_bound
from pushforward.models.classical.kde_integrals import Integrals
from pushforward.models.classical.refusals import check_whole_number

__all__ = ["KDE", "KernelName"]

TRIES = 10_000  # attempts to sample inside the bounds: enough with 1e-3 of a bump's mass inside

KernelName = Literal[
    "gaussian", "epanechnikov", "tophat", "triangular", "biweight", "exponential", "cosine"
]


@register("kde")
class KDE(Integrals):
    """Kernel density estimate: f(x) = Σ_i w_i |B_i|⁻¹ K(B_i⁻¹ (x - x_i)).

    Sums are exact to a relative `tolerance`, by the methods of `densities.choose`; samples are
    exact. It keeps its data: fitting on many machines gathers all rows in each.

    Args:
        bandwidth: h in the data's units: a number, one per axis, a matrix H (squared units), or a
            rule: 'scott', 'silverman', 'likelihood' (leave one out), 'crossvalidation'
            (five folds), or a function of the model (which already has `points_`, `weights_` and
            `neff`) that returns a number, (d,) or (d, d). For kernels other than the Gaussian the
            rules divide by the kernel's standard deviation; likelihood scales Scott's bandwidth.
        kernel: the bump K, by its name.
        shape: 'radial', K a function of the distance, or 'product' over the axes.
        form: the form of a rule's result: 'number', 'axes' or 'matrix';
            None for 'axes' on points and 'number' on images.
        adaptive: None; 'abramson', s_i = (f(x_i) / g)^-½ with the fixed estimate as the pilot;
            'knn', s_i the distance to the k-th nearest neighbour over its geometric mean. In either
            case h is the geometric mean of the h_i.
        neighbours: k of 'knn'; None for √n.
        boundary: None, 'reflect' or 'renormalise' at the ends of bounded axes; 'periodic' joins the
            two ends of each into a circle, wrapping rows outside (rules and likelihoods use it cut
            open opposite the mean direction).
        bounds: ends of axes, as (axis, lower, upper) or 'axis:lower:upper', None or empty for an
            open end; the space's known ends by default.
        tolerance: largest relative error of the density.

    Attributes:
        points_: (n, d), user's units.
        weights_: (n,), summing to one.
        bandwidth_: (), (d,) in the data's units, or (d, d) in their squares.
        local_: the factors s_i (n,).
        choice: the result of the likelihood search, if there was one.

    References:
        Silverman (1986), Density Estimation for Statistics. https://doi.org/10.1201/9781315140919
        Abramson (1982), On bandwidth variation. https://doi.org/10.1214/aos/1176345986
        Jones (1993), Simple boundary correction, section 2. https://doi.org/10.1007/BF00147776

    Example:
        >>> import torch
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> model = KDE().fit(x)
        >>> model.log_prob(torch.zeros(1, 2)).shape, model.sample(3, rng=0).shape
        (torch.Size([1]), torch.Size([3, 2]))
        >>> model.condition({0: 0.5}).space.shape
        (1,)
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"few"})
    scaling_kind: ScalingKind = "identity"
    dtype: ClassVar[torch.dtype | None] = torch.float64

    def __init__(
        self,
        bandwidth: float | str | Any = "scott",
        kernel: KernelName = "gaussian",
        shape: Shape = "radial",
        form: Form | None = None,
        adaptive: Adaptive | None = None,
        neighbours: int | None = None,
        boundary: BoundaryName | None = None,
        bounds: Sequence[Any] = (),
        tolerance: float = 1e-6,
    ) -> None:
        super().__init__()
        self.bandwidth = bandwidth if callable(bandwidth) else check_bandwidth(bandwidth)
        self.kernel, self.shape = find_kernel(kernel).name, shape
        self.form, self.adaptive, self.boundary = form, adaptive, boundary
        self.tolerance = check_tolerance(tolerance)
        if neighbours is not None and adaptive != "knn":
            raise InvalidValue(
                f"{setting('neighbours', neighbours)} is for {setting('adaptive', 'knn')} alone, "
                f"got {setting('adaptive', adaptive)}; leave one of them out"
            )
        whole = neighbours is not None
        self.neighbours = check_whole_number("neighbours", neighbours) if whole else None
        self.bounds = tuple(parse_bound(b) for b in bounds)
        if boundary == "renormalise" and not self.independent and self.shape != "product":
            raise InvalidValue(
                "boundary 'renormalise' needs independent axes; use the Gaussian,"
                f" {setting('shape', 'product')} or {setting('boundary', 'reflect')}"
            )
        if not isinstance(self.bandwidth, str):
            self.accepts = self.accepts | {"constant", "single"}  # type: ignore[misc]

    @classmethod
    def of(
        cls,
        points: Tensor,
        bandwidth: object,
        *,
        local: Tensor | None = None,
        weights: Tensor | None = None,
        space: Space | None = None,
        **options: Any,
    ) -> KDE:
        """The estimate with these points and this bandwidth.

        Args:
            points: (n, d).
            bandwidth: a number, (d,) or (d, d).
            local: factors s_i (n,); ones if None.
            weights: (n,), equal if None.
            space: unnamed points if None.
            options: arguments of KDE: kernel, shape, boundary, bounds, tolerance.
        """
        numbers = bandwidth.tolist() if isinstance(bandwidth, Tensor) else bandwidth
        if isinstance(numbers, str) or callable(numbers):
            raise InvalidValue(
                f"KDE.of needs a bandwidth in numbers, got {numbers!r}; use KDE({numbers!r}).fit(x)"
            )
        model = cls(numbers, **options)
        model.assemble(space or Space.infer(points), None)
        model.scaling.to(points.device)
        x = points.to(torch.float64)
        weights, local = (x.new_ones(len(x)) if v is None else v.to(x) for v in (weights, local))
        model._set_points(x, weights, local)
        model.bandwidth_ = bandwidth_tensor(model.bandwidth).to(x.device)
        return model

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on the stored tensors."""
        bandwidth = "positive | d positive | d d definite"
        points = {"points_": "n d", "weights_": "n shares", "local_": "n positive"}
        return {**points, "bandwidth_": bandwidth}

    def default_fitter(self) -> Fitter:
        """One pass over the rows, which are stored."""
        return EM()

    def set_bandwidth(self, bandwidth: float | str | Any) -> KDE:
        """Choose the bandwidth again for the stored rows; return the model itself.

        Args:
            bandwidth: any value that the argument of `KDE` takes.
        """
        self.fitted_space()
        before = self.bandwidth
        self.bandwidth = bandwidth if callable(bandwidth) else check_bandwidth(bandwidth)
        try:
            if not isinstance(self.bandwidth, str) and not callable(self.bandwidth):
                Scale.of(bandwidth_tensor(self.bandwidth), self.points_.shape[1])
            self._choose()
        except PushforwardError:
            self.bandwidth = before
            raise
        return self

    def hyperparameters(self) -> dict[str, Any]:
        """The arguments of `__init__`; a bandwidth function is replaced by its result."""
        arguments = super().hyperparameters()
        if callable(self.bandwidth) and self.fitted:
            arguments["bandwidth"] = check_bandwidth(self.bandwidth_.tolist())
        return arguments

    @property
    def independent(self) -> bool:
        """Whether each bump is a product over the axes or normal.

        Axes can then be dropped and fixed.
        """
        return self.kernel == "gaussian" or self.shape == "product"

    @property
    def lacks(self) -> frozenset[str]:
        """Conditionals, for bumps that are not independent, or dependent ones cut at bounds."""
        ends = self.boundary not in (None, "periodic")
        bounded = ends and (self.space is None or self._bounds().bounded)
        if self.fitted:
            matrix = self.bandwidth_.ndim == 2
        elif isinstance(self.bandwidth, tuple):
            matrix = isinstance(self.bandwidth[0], tuple)
        else:
            matrix = self.form == "matrix" and isinstance(self.bandwidth, str)
        closed = self.independent and not (bounded and matrix)
        return frozenset() if closed else frozenset({"condition"})

    # ----------------------------------------------------------------------------------- sampling

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
        stream, bounds = _on_cpu(generator(rng)), self._bounds()
        index = self._sampled_bumps(n, stream)
        x = self._sampled_around(index, stream)
        if bounds.bounded and bounds.cuts:
            x = self._retried(x, index, stream, bounds)
        elif bounds.bounded:
            x = bounds.contain(x)
        return x.reshape(n, *map(int, space.shape))  # type: ignore[arg-type]

    def _sampled_bumps(self, n: int, stream: torch.Generator) -> Tensor:
        """n indices with the probabilities of the weights, by inversion."""
        total = self.weights_.cumsum(0).cpu()
        u = torch.rand(n, dtype=torch.float64, generator=stream) * total[-1]
        index = torch.searchsorted(total, u, right=True).clamp_max(len(total) - 1)
        return index.to(self.weights_.device)

    def _sampled_around(self, index: Tensor, stream: torch.Generator) -> Tensor:
        """One sample (n, d) from each of the bumps at `index` (n,)."""
        d = self.points_.shape[1]
        noise = self._kernel().sample(len(index), d, shape=self.shape, rng=stream)
        spread = Scale.of(self.bandwidth_, d).colour(noise).to(self.points_)
        return self.points_[index] + self.local_[index, None] * spread

    def _retried(
        self, x: Tensor, index: Tensor, stream: torch.Generator, bounds: Boundary
    ) -> Tensor:
        """Samples of cut bumps, each redrawn until inside, so that bumps keep their weights."""
        for _ in range(TRIES):
            out = ((x < bounds.low) | (x > bounds.high)).any(1).nonzero()[:, 0]
            if not len(out):
                return x
            x[out] = self._sampled_around(index[out], stream)
        raise InvalidValue(
            "some bumps barely reach inside the bounds; "
            f"use a smaller bandwidth or {setting('boundary', 'reflect')}"
        )

    # ------------------------------------------------------------------- conditionals and marginals

    def condition(self, known: Mapping[Any, Any]) -> KDE:
        """The density of the other axes, given {axis name or position: value}.

        For Gaussian and product kernels, in closed form.
        """
        b, a, values = read_known_values(self, known)
        if not b:
            return self.marginal(a)
        self._require_axes("condition")
        bounds, full = self._bounds(), self.bandwidth_.ndim == 2
        values = bounds.select(b).place(values[None])[0]
        if full and bounds.circle:
            return self._condition_on_circles(a, b, values, bounds)
        if full and bounds.bounded:
            advice = f"use {setting('form', 'axes')}"
            raise InvalidValue(f"full matrices with bounds have no conditional; {advice}")
        log_v = self.weights_.log() + self._log_bumps(b, values, bounds)
        if not bool((log_v > -math.inf).any()):
            if self.kernel == "gaussian":
                raise too_far_error(values)
            advice = "condition closer to the data, or use the Gaussian kernel"
            raise InvalidValue(f"no bump reaches the values given for axes {b}; {advice}")
        points, h = self.points_[:, a], self._bandwidth_of(a)
        if full:
            gain, h = self._regression(a, b)
            points = points + (values - self.points_[:, b]) @ gain.T
            if not bool(points.isfinite().all()):
                raise too_far_error(values)
        return self._child(points, h, a, (log_v - log_v.max()).exp())

    def _condition_on_circles(
        self, a: list[int], b: list[int], values: Tensor, bounds: Boundary
    ) -> KDE:
        """The conditional with a full matrix, by every bump and every image of the values."""
        at = bounds.select(b).images(values[None], self._kernel(), self._reach()[b])[:, 0]
        gain, h = self._regression(a, b)
        log_v = torch.cat([self._log_bumps(b, one, bounds) + self.weights_.log() for one in at])
        points = [self.points_[:, a] + (one - self.points_[:, b]) @ gain.T for one in at]
        x = torch.cat(points)
        if not bool((log_v > -math.inf).any() and x.isfinite().all()):
            raise too_far_error(values)
        return self._child(x, h, a, (log_v - log_v.max()).exp(), self.local_.repeat(len(at)))

    def _regression(self, a: list[int], b: list[int]) -> tuple[Tensor, Tensor]:
        """H_ab H_bb⁻¹ (a, b), and H_aa - H_ab H_bb⁻¹ H_ba (a, a)."""
        h = self.bandwidth_
        gain = torch.linalg.solve(h[b][:, b], h[b][:, a]).T
        rest = h[a][:, a] - gain @ h[b][:, a]
        return gain, (rest + rest.T) / 2

    def marginal(self, axes: object) -> KDE:
        """The density of some axes (a name or position, or several).

        For Gaussian and product kernels.
        """
        keep = axes_to_keep(self.fitted_space(), axes)
        if len(keep) < self.points_.shape[1]:
            self._require_axes("marginal")
        return self._child(self.points_[:, keep], self._bandwidth_of(keep), keep, self.weights_)

    def _require_axes(self, verb: str) -> None:
        if not self.independent and self.points_.shape[1] > 1:
            raise InvalidValue(
                f"{verb} is closed for the Gaussian and for {setting('shape', 'product')}; "
                f"this is a radial {self.kernel} kernel"
            )

    def _bandwidth_of(self, axes: list[int]) -> Tensor:
        """The bandwidth of some axes."""
        h = self.bandwidth_
        return h if h.ndim == 0 else h[axes] if h.ndim == 1 else h[axes][:, axes]

    def _child(
        self,
        points: Tensor,
        h: Tensor,
        axes: list[int],
        weights: Tensor,
        local: Tensor | None = None,
    ) -> KDE:
        """A density of some axes, with the same kernel and bounds."""
        return KDE.of(
            points,
            h,
            local=self.local_ if local is None else local,
            weights=weights,
            space=subspace(self.fitted_space(), axes),
            bounds=self._bounds().select(axes).bounds() if self.boundary else (),
            kernel=self.kernel,
            shape=self.shape,
            boundary=self.boundary,
            tolerance=self.tolerance,
        )


def _on_cpu(stream: torch.Generator) -> torch.Generator:
    """A CPU stream, seeded from one on another device."""
    if stream.device.type == "cpu":
        return stream
    return generator(int(torch.randint(2**62, (), generator=stream, device=stream.device)))
