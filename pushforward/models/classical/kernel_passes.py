"""Kernel densities fitted in one pass: the rows are stored, then the bandwidth is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.fitter import Symptom
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.densities import KernelSums, Scale
from pushforward.densities.bandwidths import Choice
from pushforward.densities.kernels import Kernel, Shape, find_kernel
from pushforward.models.classical.kde_bandwidth import (
    Adaptive,
    Bandwidth,
    Form,
    bandwidth_tensor,
    check_bandwidth,
    is_searched,
    likeliest_bandwidth,
    local_factors,
    rule_bandwidth,
)
from pushforward.models.classical.kde_boundaries import (
    Bound,
    Boundary,
    BoundaryName,
    build_boundary,
)
from pushforward.models.classical.refusals import (
    refuse_conditions,
    refuse_large,
    refuse_unsquarable,
)
from pushforward.models.classical.scatter import WeightedRows

__all__ = ["KernelPasses"]

MANY_COLUMNS, MORE_THAN_ROWS = 1000, 10
"""Columns, and ratio of columns to rows, above which a table may be transposed."""


class KernelPasses(Model):
    """Rows, weights, a bandwidth and factors s_i of it, fitted in one pass."""

    block_rows: ClassVar[int] = 1 << 18

    bandwidth: Bandwidth | Callable[[Any], Any]
    kernel: str
    shape: Shape
    form: Form | None
    adaptive: Adaptive | None
    neighbours: int | None
    boundary: BoundaryName | None
    bounds: tuple[Bound, ...]
    tolerance: float
    choice: Choice | None
    """The result of the likelihood search, if there was one."""

    points_: Tensor
    weights_: Tensor
    local_: Tensor
    bandwidth_: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("points_", "weights_", "local_", "bandwidth_"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self.choice = None
        self._prepared: KernelSums | None = None

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions and bandwidths or bounds that do not fit the space."""
        refuse_conditions(self, source)
        ruled = isinstance(self.bandwidth, str)
        if self.form == "matrix" and ruled:
            refuse_large(self, source)
        if not ruled and not callable(self.bandwidth):
            Scale.of(bandwidth_tensor(self.bandwidth), source.space.size)
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
        self._bounds().check(facts)

    def statistics(self, batch: Batch) -> WeightedRows:
        """The rows of one block."""
        x = batch.x.flatten(1).to(torch.float64)
        w = x.new_ones(len(x)) if batch.weights is None else batch.weights.to(x)
        return WeightedRows(x, w)

    def update(self, statistics: WeightedRows) -> bool:
        """Store the rows, choose the bandwidth and the factors; one pass suffices."""
        x, w = statistics.x, statistics.weights
        self._set_points(x, w, torch.ones_like(w))
        self._choose()
        return True

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """A bandwidth at the edge of the search, and tables that may be transposed."""
        symptoms, (n, d) = [], self.points_.shape
        if self.choice is not None and self.choice.at_edge:
            text = (
                "the likeliest bandwidth is at an end of the range, "
                f"{self.choice.factor:.3g} times the rule's"
            )
            advice = f"remove repeated or rounded rows, or {setting('bandwidth', 'scott')}"
            symptoms.append(Symptom("bandwidth at the edge", text, advice))
        if self.fitted_space().kind == "points" and d > max(MANY_COLUMNS, MORE_THAN_ROWS * n):
            text = f"{n} rows of {d} columns: is the table transposed?"
            advice = (
                "transpose it if its rows are columns; a kernel density of so few rows is not"
                " informative"
            )
            symptoms.append(Symptom("more columns than rows", text, advice))
        return tuple(symptoms)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load `tensors`."""
        super().restore(tensors)
        self._prepared = None

    def __getstate__(self) -> dict[str, Any]:
        """The state for pickle and deepcopy.

        Prepared sums are left out and rebuilt on first use.
        """
        return {**self.__dict__, "_prepared": None}

    # ------------------------------------------------------------------- the bandwidth and factors

    def _set_points(self, x: Tensor, weights: Tensor, local: Tensor) -> None:
        """Store the rows (n, d) with positive weight, with weights (n,) and factors (n,)."""
        positive = weights > 0
        if not bool(positive.any()):
            raise BadSource("all weights are zero; give at least one row a positive weight")
        x = self._bounds().place(x)
        self.points_, self.local_ = x[positive], local[positive]
        self.weights_ = weights[positive] / weights[positive].sum()
        self._prepared = None

    def _choose(self) -> None:
        """Choose the bandwidth and the factors from the stored rows."""
        x, w = self.points_, self.weights_
        self._refuse_few(len(x))
        x = self._bounds().straighten(x, w)
        self.choice, self._prepared = None, None
        self.local_ = torch.ones_like(w)
        h = self._fixed(x, w)
        if self.adaptive is not None:
            factors = local_factors(
                self.adaptive,
                self.neighbours,
                x,
                w,
                h,
                kernel=self.kernel,
                shape=self.shape,
                tolerance=self.tolerance,
            )
            self.local_ = factors.to(x)
            if is_searched(self.bandwidth):
                h = self._likeliest(x, w, h, self.local_)
        self.bandwidth_ = h.to(x)

    def _refuse_few(self, n: int) -> None:
        """Raise InvalidValue if n weighted rows are too few for the nearest neighbours."""
        least = self.neighbours or 1
        if self.adaptive == "knn" and n <= least:
            remedy = f"pass neighbours={n - 1} or fewer" if n > 1 else "pass adaptive=None"
            raise InvalidValue(
                f"{setting('adaptive', 'knn')} needs more rows than"
                f" {setting('neighbours', least)}, got {n}; {remedy}"
            )

    def _fixed(self, x: Tensor, w: Tensor) -> Tensor:
        """The bandwidth before any factors, (), (d,) or (d, d)."""
        if callable(self.bandwidth):
            h = bandwidth_tensor(check_bandwidth(self.bandwidth(self), ()))
            Scale.of(h, x.shape[1])
            return h
        if not isinstance(self.bandwidth, str):
            return bandwidth_tensor(self.bandwidth)
        points = self.fitted_space().kind == "points"
        form = self.form or ("axes" if points else "number")
        h = rule_bandwidth(self.bandwidth, x, w, form=form, kernel=self.kernel, shape=self.shape)
        return self._likeliest(x, w, h, None) if is_searched(self.bandwidth) else h

    def _likeliest(self, x: Tensor, w: Tensor, h: Tensor, local: Tensor | None) -> Tensor:
        """The multiple of h with the largest held-out likelihood."""
        h, self.choice = likeliest_bandwidth(
            str(self.bandwidth),
            x,
            w,
            h,
            local,
            kernel=self.kernel,
            shape=self.shape,
            tolerance=self.tolerance,
        )
        return h

    def _kernel(self) -> Kernel:
        return find_kernel(self.kernel)

    def _bounds(self) -> Boundary:
        """The ends of the axes, open if there is no correction."""
        return build_boundary(self.boundary, self.fitted_space(), self.bounds, self.device)
