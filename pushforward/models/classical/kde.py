r"""Kernel density estimation: a bump over every observation.

    f(x) = Σ_i w_i |B_i|⁻¹ K(B_i⁻¹ (x - x_i)),        B_i = s_i L,   H = L Lᵀ,   Σ_i w_i = 1

with one bandwidth h (H = h² I), one per axis, or a full matrix H, and optionally a factor s_i per observation, so that
bumps are narrow where data are dense. Each bump is normalised by |B_i| = s_i^d |L|: dividing by s_i alone integrates to
one only in one dimension. Sampling picks an i with probability w_i, then x_i + s_i L ε with ε from the kernel.

**Conditioning** is closed for the Gaussian, whose bumps are normal laws N(x_i, s_i² H),

    f(x_a | x_b) = Σ_i v_i N(x_a; x_ia + H_ab H_bb⁻¹ (x_b - x_ib), s_i² (H_aa - H_ab H_bb⁻¹ H_ba)),   v_i ∝ w_i N(x_b; x_ib, s_i² H_bb),

and for product kernels, whose bumps are independent over the axes: the points keep x_ia and get weights
v_i ∝ w_i Π_b k((x_b - x_ib) / s_i h_b). Marginals of both drop axes. A radial kernel that is not Gaussian has neither.

**Bounds.** A bump near the end of an axis spills over it. Reflection folds it back, r: R^d → box, so that the law is the
pushforward of f by r,

    f_r(x) = Σ f(x') over all x' with r(x') = x,

which integrates to one for every kernel. A periodic axis (an angle, an hour) wraps instead, f_w(x) = Σ_t f(x + t P), P being
the distance of its ends. Renormalisation cuts each bump and divides it by its mass inside, Π_a [F((u_a -
x_ia)/s_i h_a) - F((l_a - x_ia)/s_i h_a)]; it needs independent axes, and bends the density less where it slopes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidKind, InvalidValue, PushforwardError, quoted
from pushforward.core.fitter import Fitter, Symptom
from pushforward.core.model import Model
from pushforward.core.numbers import floats_given
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator
from pushforward.core.registry import register
from pushforward.core.samplers import Sampler
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.densities import KernelSums, Scale
from pushforward.densities.bandwidths import (
    FORMS,
    Choice,
    abramson,
    likelihood_bandwidth,
    nearest,
    scott,
    silverman,
)
from pushforward.densities.bounds import FLAT, cut_open, fold, images, log_masses, wrap
from pushforward.densities.kernels import SHAPES, kernel_named
from pushforward.fitting.em import EM
from pushforward.models.classical.axes import axes_of, known_values, subspace, too_far
from pushforward.models.classical.kde_integrals import Integrals
from pushforward.models.classical.refusals import (
    refuse_conditions,
    refuse_large,
    refuse_unsquarable,
    whole_number,
)

__all__ = ["KDE", "checked_bandwidth"]

RULES = ("scott", "silverman", "likelihood", "crossvalidation")
ADAPTIVE = (None, "abramson", "knn")
BOUNDARIES = (None, "reflect", "renormalise", "periodic")
FOLDS = 5
IMAGES = 1 << 22
"""Numbers of images worked on at a time."""


@dataclass
class Rows:
    """Observations (n, d) and their weights (n,): a kernel density is its data."""

    x: Tensor
    weights: Tensor

    def merge(self, other: Rows) -> Rows:
        """Both sets of rows."""
        return Rows(torch.cat([self.x, other.x]), torch.cat([self.weights, other.weights]))


@register("kde")
class KDE(Integrals, Model):
    """Kernel density estimate: f(x) = Σ_i w_i |B_i|⁻¹ K(B_i⁻¹ (x - x_i)).

    **Reference** Silverman (1986), Density Estimation for Statistics and Data Analysis; Abramson (1982), On bandwidth
    variation in kernel estimates; Jones (1993), Simple boundary correction, section 2 (renormalisation and reflection).
    Sums are exact to a relative 1e-6, by the methods of `pushforward.densities.choose`; draws are exact.

    **Arguments**
        bandwidth: h in the data's units: a number, one per axis, a matrix H (squared units), or a rule: 'scott',
            'silverman', 'likelihood' (leave one out), 'crossvalidation' (five folds), or a function of the model, which has its
            `points_`, `weights_` and `neff` by then, that returns one of these numbers. For kernels other than the Gaussian
            the rules divide by the kernel's standard deviation; likelihood scales Scott's bandwidth.
        kernel: 'gaussian', 'epanechnikov', 'tophat', 'triangular', 'biweight', 'exponential' or 'cosine'.
        shape: 'radial', K a function of the distance, or 'product' over the axes.
        form: what a rule yields: 'number', 'axes' or 'matrix'; None for 'axes' on points and 'number' on images.
        adaptive: None; 'abramson', s_i = (f(x_i) / g)^-½ with the fixed estimate as the pilot; 'knn', s_i the distance to
            the k-th nearest neighbour over its geometric mean. So h is the geometric mean of the h_i in either case.
        neighbours: k of 'knn'; None for √n.
        boundary: None, 'reflect' or 'renormalise' at the ends of bounded axes; 'periodic' joins the two ends of each into a circle,
            of which rows outside them are further turns (rules and likelihoods see it cut open opposite the mean direction).
        bounds: ends of axes, as (axis, lower, upper) or 'axis:lower:upper', None or nothing where an end is open; by default
            those the space knows.

    Learnt: `points_` (n, d), `weights_` (n,) summing to one, `bandwidth_` ((), (d,) or (d, d)), `local_` (n,) the s_i.
    It keeps its data: fitting on many machines gathers all rows in each. `choice` tells how likelihood chose.

    **Example**
        >>> import torch
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> model = KDE().fit(x)
        >>> model.log_prob(torch.zeros(1, 2)).shape, model.sample(3, rng=0).shape
        (torch.Size([1]), torch.Size([3, 2]))
        >>> model.condition({0: 0.5}).space.shape
        (1,)
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"few"})
    scaling_kind: str = "identity"
    dtype: ClassVar[torch.dtype | None] = torch.float64
    block_rows: ClassVar[int] = 1 << 18

    points_: Tensor
    weights_: Tensor
    local_: Tensor
    bandwidth_: Tensor

    def __init__(
        self,
        bandwidth: float | str | Any = "scott",
        kernel: str = "gaussian",
        shape: str = "radial",
        form: str | None = None,
        adaptive: str | None = None,
        neighbours: int | None = None,
        boundary: str | None = None,
        bounds: Sequence[Any] = (),
    ) -> None:
        super().__init__()
        self.bandwidth = bandwidth if callable(bandwidth) else checked_bandwidth(bandwidth)
        self.kernel, self.shape = kernel_named(kernel).name, _one_of("shape", shape, SHAPES)
        self.form = None if form is None else _one_of("form", form, FORMS)
        self.adaptive = _one_of("adaptive", adaptive, ADAPTIVE)
        if neighbours is not None and adaptive != "knn":
            raise InvalidValue(
                f"neighbours={neighbours!r} is for adaptive='knn' alone, got adaptive={adaptive!r}; leave one of them out"
            )
        self.neighbours = None if neighbours is None else whole_number("neighbours", neighbours)
        self.boundary = _one_of("boundary", boundary, BOUNDARIES)
        self.bounds = tuple(_bound(b) for b in bounds)
        if boundary == "renormalise" and not self.independent and self.shape != "product":
            raise InvalidValue(
                "boundary 'renormalise' needs independent axes; use shape='product', the Gaussian, or boundary='reflect'"
            )
        if not isinstance(self.bandwidth, str):
            self.accepts = self.accepts | {"constant", "single"}  # type: ignore[misc]
        for name in ("points_", "weights_", "local_", "bandwidth_"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self.choice: Choice | None = None
        self._prepared: KernelSums | None = None

    @classmethod
    def of(
        cls, points: Tensor, bandwidth: Any, *, local: Tensor | None = None, weights: Tensor | None = None, space: Space | None = None,
        **options: Any,
    ) -> KDE:  # fmt: skip
        """The estimate with these points (n, d), bandwidth, and factors s_i (n,) and weights (n,), on `space`.

        `options` are arguments of KDE: kernel, shape, boundary, bounds.
        """
        given = bandwidth.tolist() if isinstance(bandwidth, Tensor) else bandwidth
        if isinstance(given, str) or callable(given):
            raise InvalidValue(
                f"KDE.of needs a bandwidth in numbers, got {given!r}; use KDE({given!r}).fit(x)"
            )
        model = cls(given, **options)
        model.assemble(space or Space.infer(points), None)
        model.scaling.to(points.device)
        x = points.to(torch.float64)
        ones = x.new_ones(len(x))
        model._take(
            x, ones if weights is None else weights.to(x), ones if local is None else local.to(x)
        )
        model.bandwidth_ = torch.as_tensor(model.bandwidth, dtype=torch.float64, device=x.device)
        return model

    def learnt(self) -> Mapping[str, str]:
        """What the stored numbers must be like."""
        return {
            "points_": "n d",
            "weights_": "n shares",
            "local_": "n positive",
            "bandwidth_": "positive | d positive | d d definite",
        }

    def default_fitter(self) -> Fitter:
        """One pass over the rows, which are kept."""
        return EM()

    # ---------------------------------------------------------------------------------------------------- learning

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions and bandwidths or bounds that do not fit the space."""
        refuse_conditions(self, source)
        d = source.space.size
        if self.form == "matrix" and isinstance(self.bandwidth, str):
            refuse_large(self, source)
        if not isinstance(self.bandwidth, str) and not callable(self.bandwidth):
            Scale.of(torch.tensor(self.bandwidth, dtype=torch.float64), d)
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
        ends = self._ends()
        if self.boundary == "periodic":
            _circles(ends)
            return
        outside = (facts.low < ends[0].cpu()) | (facts.high > ends[1].cpu())
        if bool(outside.any()):
            raise BadSource(
                f"coordinate {int(outside.nonzero()[0])} leaves its bounds; widen bounds, or leave those rows out"
            )

    def statistics(self, batch: Batch) -> Rows:
        """The rows of one block."""
        x = batch.x.flatten(1).to(torch.float64)
        return Rows(x, x.new_ones(len(x)) if batch.weights is None else batch.weights.to(x))

    def update(self, statistics: Rows) -> bool:
        """Keep the rows, choose the bandwidth and the factors; done."""
        self._take(statistics.x, statistics.weights, torch.ones_like(statistics.weights))
        self._choose()
        return True

    def set_bandwidth(self, bandwidth: Any) -> KDE:
        """Choose the bandwidth anew on the rows it has kept, by any value that the argument `bandwidth` takes; returns itself."""
        self.fitted_space()
        before, self.bandwidth = (
            self.bandwidth,
            bandwidth if callable(bandwidth) else checked_bandwidth(bandwidth),
        )
        try:
            if not isinstance(self.bandwidth, str) and not callable(self.bandwidth):
                Scale.of(torch.tensor(self.bandwidth, dtype=torch.float64), self.points_.shape[1])
            self._choose()
        except PushforwardError:
            self.bandwidth = before
            raise
        return self

    def hyperparameters(self) -> dict[str, Any]:
        """The arguments of `__init__`; in the place of a function that chose the bandwidth, what it chose."""
        found = super().hyperparameters()
        if callable(self.bandwidth) and self.fitted:
            found["bandwidth"] = checked_bandwidth(self.bandwidth_.tolist())
        return found

    def _choose(self) -> None:
        """The bandwidth and the factors, from the rows kept."""
        x, w = self.points_, self.weights_
        self._refuse_few(len(x))
        if self.boundary == "periodic":
            x = cut_open(x, w, *self._ends())
        self.choice, self._prepared = None, None
        self.local_ = torch.ones_like(w)
        fixed = self._fixed(x, w)
        if self.adaptive is not None:
            self.local_ = self._factors(x, w, fixed).to(x)
        if self.bandwidth in ("likelihood", "crossvalidation") and self.adaptive is not None:
            fixed = self._likeliest(x, w, fixed, self.local_)
        self.bandwidth_ = fixed.to(x)

    def _refuse_few(self, n: int) -> None:
        """InvalidValue where the nearest neighbours of a row are asked for and n rows with a weight are too few."""
        if self.adaptive == "knn" and n <= (self.neighbours or 1):
            cure = f"pass neighbours={n - 1} or fewer" if n > 1 else "pass adaptive=None"
            raise InvalidValue(
                f"adaptive='knn' needs more rows than neighbours={quoted(self.neighbours or 1)}, got {n}; {cure}"
            )

    def __getstate__(self) -> dict[str, Any]:
        """What pickle and deepcopy take: all but the prepared sums, which are made again on first use."""
        return {**self.__dict__, "_prepared": None}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """A bandwidth at the end of what was searched, and tables that seem to lie on their side."""
        found, (n, d) = [], self.points_.shape
        if self.choice is not None and self.choice.at_edge:
            seen = f"the likeliest bandwidth is at an end of the range, {self.choice.factor:.3g} times the rule's"
            found.append(
                Symptom(
                    "bandwidth at the edge",
                    seen,
                    "remove repeated or rounded rows, or bandwidth='scott'",
                )
            )
        if self.fitted_space().kind == "points" and d > max(1000, 10 * n):
            advice = (
                "transpose it if its rows are columns; a kernel density of so few rows says little"
            )
            found.append(
                Symptom(
                    "more columns than rows",
                    f"{n} rows of {d} columns: is the table transposed?",
                    advice,
                )
            )
        return tuple(found)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        super().restore(tensors)
        self._prepared = None

    def _take(self, x: Tensor, weights: Tensor, local: Tensor) -> None:
        """Keep the rows that weigh something."""
        kept = weights > 0
        if not bool(kept.any()):
            raise BadSource("all weights are zero; give at least one row a positive weight")
        if self.boundary == "periodic":
            x = wrap(x, *self._ends())
        self.points_, self.weights_, self.local_ = (
            x[kept],
            weights[kept] / weights[kept].sum(),
            local[kept],
        )
        self._prepared = None

    def _fixed(self, x: Tensor, w: Tensor) -> Tensor:
        """The bandwidth before any factors."""
        if callable(self.bandwidth):
            found = checked_bandwidth(self.bandwidth(self), ())
            Scale.of(torch.tensor(found, dtype=torch.float64), x.shape[1])
            return torch.tensor(found, dtype=torch.float64)
        if not isinstance(self.bandwidth, str):
            return torch.tensor(self.bandwidth, dtype=torch.float64)
        form = self.form or ("axes" if self.fitted_space().kind == "points" else "number")
        rule = silverman if self.bandwidth == "silverman" else scott
        h = rule(x, weights=w, form=form, kernel=self.kernel, shape=self.shape)
        if self.bandwidth in ("likelihood", "crossvalidation"):
            return self._likeliest(x, w, h, None)
        return h

    def _likeliest(self, x: Tensor, w: Tensor, h: Tensor, local: Tensor | None) -> Tensor:
        folds = None if self.bandwidth == "likelihood" else min(FOLDS, len(x))
        options = {
            "folds": folds,
            "weights": w,
            "local": local,
            "kernel": self.kernel,
            "shape": self.shape,
        }
        self.choice = likelihood_bandwidth(x, h, **options)  # type: ignore[arg-type]
        return h * self.choice.factor ** (2 if h.ndim == 2 else 1)

    def _factors(self, x: Tensor, w: Tensor, h: Tensor) -> Tensor:
        """The s_i, of geometric mean one."""
        if self.adaptive == "abramson":
            return abramson(
                KernelSums(x, h, kernel=self.kernel, weights=w, shape=self.shape).log_density(x), w
            )
        k = (
            self.neighbours
            if self.neighbours is not None
            else max(1, min(len(x) - 1, round(math.sqrt(len(x)))))
        )
        far = nearest(x, k, h).to(x)
        return far / (w @ far.log()).exp()

    # ------------------------------------------------------------------------------------------------- being used

    def log_prob(self, x: Any) -> Tensor:
        """Log-density of each row (n,), nats, per unit of the user's coordinates; -inf where no bump reaches."""
        rows = self._flat(x)
        low, high = self._ends()
        if not self._bounded(low, high):
            return self.sums().log_density(rows)
        if self.boundary == "periodic":
            return self._over_images(wrap(rows, low, high), low, high)
        inside = ((rows >= low) & (rows <= high)).all(1)
        if self.boundary == "renormalise":
            value = self.sums().log_density(rows) + self._mass_correction()[1]
        else:
            value = self._over_images(rows, low, high)
        return torch.where(inside, value, -math.inf)

    def _over_images(self, rows: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """log Σ f(x') over all x' that fold or wrap to each row (n,)."""
        options = {"circle": self.boundary == "periodic"}
        kernel, widths = kernel_named(self.kernel), self._reaching(low, high)
        count = len(images(rows[:1], low, high, kernel, widths, **options))

        def of(some: Tensor) -> Tensor:
            all_ = images(some, low, high, kernel, widths, **options)
            return (
                self.sums()
                .log_density(all_.reshape(-1, some.shape[1]))
                .reshape(all_.shape[:2])
                .logsumexp(0)
            )

        return torch.cat(
            [of(some) for some in rows.split(max(1, IMAGES // (count * rows.shape[1])))]
        )

    def _reaching(self, low: Tensor, high: Tensor) -> Tensor:
        """(d,) width of the widest bump along each axis."""
        return self._widths(range(len(low))).amax(0)

    def _flattened(self, low: Tensor, high: Tensor) -> Tensor:
        """The bandwidth, with that of a Gaussian which is flat within the ends of an axis replaced by the least that is."""
        h = self.bandwidth_
        two = low.isfinite() & high.isfinite()
        if (
            self.boundary not in ("reflect", "periodic")
            or self.kernel != "gaussian"
            or h.ndim == 2
            or not bool(two.any())
        ):
            return h
        least = FLAT * (high - low) * (1 if self.boundary == "periodic" else 2) / self.local_.min()
        wide = two & (h > least)
        return torch.where(wide, least, h.expand(len(low))) if bool(wide.any()) else h

    def sample(
        self, n: int, y: Any = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n draws (n, *shape), user's units, float64: from the kernel's own law, whatever the kernel."""
        space = self.fitted_space()
        self.to_condition(y, n)
        stream = _on_processor(generator(rng))
        low, high = self._ends()
        if self.boundary == "renormalise" and self._bounded(low, high):
            drawn = self._draw_inside(n, stream, low, high)
        else:
            drawn = self._draw(self._pick(self.weights_, n, stream), stream)
            if self._bounded(low, high):
                drawn = (wrap if self.boundary == "periodic" else fold)(drawn, low, high)
        return drawn.reshape(n, *map(int, space.shape))  # type: ignore[arg-type]

    def condition(self, known: Mapping[Any, Any]) -> KDE:
        """The law of the other axes, given {axis name or position: value}; Gaussian and product kernels, closed form."""
        b, a, values = known_values(self, known)
        if not b:
            return self.marginal(a)
        self._needs_axes("condition")
        low, high = self._ends()
        full = self.bandwidth_.ndim == 2
        if self.boundary == "periodic":
            values = wrap(values[None], low[b], high[b])[0]
            if full:
                return self._condition_on_circles(a, b, values, low, high)
        elif full and self._bounded(low, high):
            raise InvalidValue(
                "a full bandwidth matrix with bounds has no closed conditional; use form='axes'"
            )
        log_v = self.weights_.log() + self._along(b, values, low, high)
        if not bool((log_v > -math.inf).any()):
            if self.kernel == "gaussian":
                raise too_far(values)
            raise InvalidValue(
                f"no bump reaches the values given for axes {b}; condition nearer to the data, or use the Gaussian kernel"
            )
        points, h = self.points_[:, a], self._part(a)
        if full:
            gain = torch.linalg.solve(self.bandwidth_[b][:, b], self.bandwidth_[b][:, a]).T
            points = points + (values - self.points_[:, b]) @ gain.T
            h = self.bandwidth_[a][:, a] - gain @ self.bandwidth_[b][:, a]
            h = (h + h.T) / 2
            if not bool(points.isfinite().all()):
                raise too_far(values)
        return self._child(points, h, a, (log_v - log_v.max()).exp())

    def _condition_on_circles(
        self, a: list[int], b: list[int], values: Tensor, low: Tensor, high: Tensor
    ) -> KDE:
        """With a full matrix: the law of axes a given those of b, by every bump and every image of the values."""
        circles, widths = (low[b], high[b], kernel_named(self.kernel)), self._reaching(low, high)[b]
        at = images(values[None], *circles, widths, circle=True)[:, 0]
        gain = torch.linalg.solve(self.bandwidth_[b][:, b], self.bandwidth_[b][:, a]).T
        h = self.bandwidth_[a][:, a] - gain @ self.bandwidth_[b][:, a]
        log_v = torch.cat([self._along(b, one, low, high) + self.weights_.log() for one in at])
        points = torch.cat([self.points_[:, a] + (one - self.points_[:, b]) @ gain.T for one in at])
        if not bool((log_v > -math.inf).any() and points.isfinite().all()):
            raise too_far(values)
        return self._child(
            points, (h + h.T) / 2, a, (log_v - log_v.max()).exp(), self.local_.repeat(len(at))
        )

    def marginal(self, axes: Any) -> KDE:
        """The law of some axes (a name or position, or several); Gaussian and product kernels."""
        keep = axes_of(self.fitted_space(), [axes] if isinstance(axes, (str, int)) else axes)
        if not keep:
            raise InvalidValue("a marginal needs at least one axis, got none")
        if len(keep) < self.points_.shape[1]:
            self._needs_axes("marginal")
        return self._child(self.points_[:, keep], self._part(keep), keep, self.weights_)

    def sums(self) -> KernelSums:
        """The prepared sums over all bumps, without bounds; for timing, plans and leave-one-out."""
        self.fitted_space()
        if self._prepared is None:
            weights = self.weights_
            if self.boundary == "renormalise" and self._bounded(*self._ends()):
                weights = self._mass_correction()[0]
            options = {
                "kernel": self.kernel,
                "shape": self.shape,
                "weights": weights,
                "local": self.local_,
            }
            self._prepared = KernelSums(self.points_, self._flattened(*self._ends()), **options)  # type: ignore[arg-type]
        return self._prepared

    @property
    def lacks(self) -> frozenset[str]:
        """Conditionals, where bumps are radial and not normal, or are normal with dependent axes and cut at bounds."""
        bounded = self.boundary is not None and (self.space is None or self._bounded(*self._ends()))
        given = isinstance(self.bandwidth, tuple) and isinstance(self.bandwidth[0], tuple)
        matrix = (
            self.bandwidth_.ndim == 2
            if self.fitted
            else given or (self.form == "matrix" and isinstance(self.bandwidth, str))
        )
        bounded = bounded and self.boundary != "periodic"
        return (
            frozenset({"condition"})
            if not self.independent or (bounded and matrix)
            else frozenset()
        )

    @property
    def independent(self) -> bool:
        """Whether each bump is a product over the axes or normal, so that axes can be dropped and fixed."""
        return self.kernel == "gaussian" or self.shape == "product"

    # ------------------------------------------------------------------------------------------------- the parts

    def _flat(self, x: Any) -> Tensor:
        rows = self.conform(x).to(torch.float64).flatten(1)
        if not bool(rows.isfinite().all()):
            raise BadSource(
                "x holds missing or infinite values; leave those rows out, or take the marginal of the axes that are there"
            )
        return rows

    def _needs_axes(self, verb: str) -> None:
        if not self.independent and self.points_.shape[1] > 1:
            raise InvalidValue(
                f"{verb} is closed for the Gaussian and for shape='product'; this is a radial {self.kernel} kernel"
            )

    def _part(self, axes: list[int]) -> Tensor:
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
        low, high = self._ends()
        ends = zip(axes, low[axes].tolist(), high[axes].tolist(), strict=True)
        bounds = tuple((i, _end(lo), _end(hi)) for i, (_, lo, hi) in enumerate(ends))
        options = {"kernel": self.kernel, "shape": self.shape, "boundary": self.boundary}
        space = subspace(self.fitted_space(), axes)
        local = self.local_ if local is None else local
        return KDE.of(
            points,
            h,
            local=local,
            weights=weights,
            space=space,
            bounds=bounds if self.boundary else (),
            **options,
        )

    def _widths(self, axes: Iterable[int]) -> Tensor:
        """(n, axes) bandwidth of each bump along each axis."""
        d, h = self.points_.shape[1], self._flattened(*self._ends())
        along = h.expand(d) if h.ndim == 0 else h if h.ndim == 1 else h.diagonal().sqrt()
        return self.local_[:, None] * along[list(axes)]

    def _along(self, b: list[int], values: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """(n,) log-density of each bump at x_b = values, with that of what folds there."""
        kernel, deltas = kernel_named(self.kernel), values - self.points_[:, b]
        if self.bandwidth_.ndim == 2:
            scale = Scale.of(self.bandwidth_[b][:, b], len(b))
            square = scale.whiten(deltas.cpu()).square().sum(1).to(deltas)
            return -0.5 * square / self.local_**2 - len(b) * self.local_.log()
        total = torch.zeros_like(self.local_)
        widths = self._widths(b)
        for j, axis in enumerate(b):
            at = values[j : j + 1, None]
            if self.boundary is not None and not low[axis] <= values[j] <= high[axis]:
                raise InvalidValue(
                    f"axis {axis} is bounded to [{low[axis]:g}, {high[axis]:g}], got {values[j]:g}"
                )
            if self.boundary in ("reflect", "periodic"):
                ends = low[axis : axis + 1], high[axis : axis + 1]
                at = images(
                    at, *ends, kernel, widths[:, j].max()[None], circle=self.boundary == "periodic"
                )[:, 0]
            r = (at[:, 0] - self.points_[:, axis, None]).abs() / widths[:, j, None]  # (n, images)
            total = total + kernel.log_profile(r).logsumexp(1) - widths[:, j].log()
        if self.boundary == "renormalise":
            total = total - log_masses(self.points_[:, b], widths, low[b], high[b], kernel)
        return total

    # ------------------------------------------------------------------------------------------------- drawing

    def _pick(self, weights: Tensor, n: int, stream: torch.Generator) -> Tensor:
        """n indices with these probabilities, by inversion: any number of points."""
        total = weights.cumsum(0).cpu()
        u = torch.rand(n, dtype=torch.float64, generator=stream) * total[-1]
        return torch.searchsorted(total, u, right=True).clamp_max(len(total) - 1).to(weights.device)

    def _draw(self, index: Tensor, stream: torch.Generator) -> Tensor:
        """One draw from each of the bumps at `index`."""
        d = self.points_.shape[1]
        noise = kernel_named(self.kernel).sample(len(index), d, shape=self.shape, rng=stream)
        spread = Scale.of(self.bandwidth_, d).colour(noise).to(self.points_)
        return self.points_[index] + self.local_[index, None] * spread

    def _draw_inside(self, n: int, stream: torch.Generator, low: Tensor, high: Tensor) -> Tensor:
        """Draws of cut bumps: each bump is tried until it lands inside, so its weight stays its own."""
        index = self._pick(self.weights_, n, stream)
        drawn = self._draw(index, stream)
        for _ in range(10_000):
            out = ((drawn < low) | (drawn > high)).any(1).nonzero()[:, 0]
            if not len(out):
                return drawn
            drawn[out] = self._draw(index[out], stream)
        raise InvalidValue(
            "some bumps hardly reach inside the bounds; use a smaller bandwidth or boundary='reflect'"
        )

    # ------------------------------------------------------------------------------------------------- bounds

    def _ends(self) -> tuple[Tensor, Tensor]:
        """(d,) lower and upper ends of the axes; infinite where open, or where no correction is asked for."""
        space = self.fitted_space()
        ends = torch.full((2, space.size), math.inf, dtype=torch.float64)
        ends[0] = -math.inf
        if self.boundary is not None:
            for i, column in enumerate(space.columns):
                ends[0, i] = -math.inf if column.lower is None else column.lower
                ends[1, i] = math.inf if column.upper is None else column.upper
            for axis, lower, upper in self.bounds:
                i = axes_of(space, [axis])[0]
                ends[0, i] = -math.inf if lower is None else lower
                ends[1, i] = math.inf if upper is None else upper
            if not bool((ends[0] < ends[1]).all()):
                raise InvalidValue("bounds must have lower < upper on every axis; check them")
        return ends[0].to(self.device), ends[1].to(self.device)

    def _bounded(self, low: Tensor, high: Tensor) -> bool:
        return bool(low.isfinite().any() or high.isfinite().any())

    def _mass_correction(self) -> tuple[Tensor, Tensor]:
        """The weights over the masses inside, and the log of their sum."""
        low, high = self._ends()
        if self.bandwidth_.ndim == 2:
            raise InvalidValue(
                "boundary 'renormalise' needs independent axes, got a bandwidth matrix; use form='axes' or 'reflect'"
            )
        widths = self._widths(range(self.points_.shape[1]))
        log_w = self.weights_.log() - log_masses(
            self.points_, widths, low, high, kernel_named(self.kernel)
        )
        return log_w.exp(), log_w.logsumexp(0)


def _bound(given: Any) -> tuple[Any, float | None, float | None]:
    """(axis, lower, upper) from itself or from 'axis:lower:upper'; InvalidValue for anything else."""
    try:
        parts = (
            [p.strip() or None for p in given.split(":")] if isinstance(given, str) else list(given)
        )
        axis, lower, upper = parts
        return (
            axis,
            None if lower is None else float(lower),
            None if upper is None else float(upper),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(
            f"a bound is (axis, lower, upper) or 'axis:lower:upper', got {given!r}; write '0:0:' for an axis that ends at 0"
        ) from error


def _circles(ends: tuple[Tensor, Tensor]) -> None:
    """Refuse periodic bounds without a circle, and axes with one end."""
    first, last = (end.isfinite() for end in ends)
    if bool((first != last).any()):
        axis = int((first != last).nonzero()[0])
        raise InvalidValue(
            f"boundary 'periodic' joins two ends, and axis {axis} has one; give bounds=[({axis}, lower, upper)]"
        )
    if not bool(first.any()):
        raise InvalidValue(
            "boundary 'periodic' needs an axis with two ends; give bounds such as [(0, 0, 360)]"
        )


def _end(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _on_processor(stream: torch.Generator) -> torch.Generator:
    """A stream on the processor, seeded from one that is not."""
    if stream.device.type == "cpu":
        return stream
    return generator(int(torch.randint(2**62, (), generator=stream, device=stream.device)))


def _one_of(name: str, value: Any, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise InvalidValue(
            f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}; pass one of these"
        )
    return value


def checked_bandwidth(given: Any, rules: tuple[str, ...] = RULES) -> Any:
    """A rule's name, a number, or nested tuples of numbers, checked."""
    if isinstance(given, str):
        return _one_of("bandwidth", given, rules)
    if isinstance(given, bool) or given is None:
        raise InvalidKind(
            f"bandwidth must be a number, one per axis, a matrix or one of {', '.join(map(repr, rules))}, got {given!r}"
        )
    h = floats_given(
        given,
        "bandwidth",
        f"a number, one per axis, a matrix or one of {', '.join(map(repr, rules))}",
    )
    if (
        h.ndim > 2
        or not h.numel()
        or not bool(h.isfinite().all())
        or (h.ndim < 2 and not bool((h > 0).all()))
    ):
        raise InvalidValue(
            f"bandwidth must be positive, got {given!r}; pass a number or one of {', '.join(map(repr, rules))}"
        )
    if h.ndim == 2:
        Scale.of(h, len(h))
        return tuple(tuple(row) for row in h.tolist())
    return tuple(h.tolist()) if h.ndim else float(h)
