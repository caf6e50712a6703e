r"""A Gaussian kernel density stored as Fourier coefficients, without its data.

Its memory does not grow with the data:

    F_k = Σ_i w_i exp(-½ ω_kᵀ H ω_k - i ω_k · x_i),   f(x) = 1 / (V Σ_i w_i) Σ_k F_k exp(i ω_k · x)

on a box that holds the data, in one to three dimensions. F is a sum over rows, so fitting can
stream, and machines can add their sums. The marginal over some axes is F at frequency zero of the
others; the conditional given x_b is the series summed along the axes b. Densities are exact to
within `absolute_error`: there are neither far tails nor samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import BadSource, InvalidValue, quote
from pushforward.core.fitter import Fitter
from pushforward.core.model import Model
from pushforward.core.numbers import to_float64
from pushforward.core.phase import Batch
from pushforward.core.registry import register
from pushforward.core.scaling import ScalingKind
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.densities import FourierState, FrequencyGrid, Scale
from pushforward.fitting.em import EM
from pushforward.models.classical.axes import axes_to_keep, read_known_values, subspace
from pushforward.models.classical.kde_bandwidth import bandwidth_tensor, check_bandwidth
from pushforward.models.classical.refusals import refuse_conditions, refuse_unsquarable

__all__ = ["FourierKDE"]

LARGEST = 2**25
"""Most coefficients: half a gigabyte."""
Box = tuple[tuple[float, ...], ...]
"""The lowest and the highest value of each axis."""


@dataclass
class Coefficients:
    """The contributions of rows to the coefficients.

    Args:
        real, imaginary: of F (*modes).
        mass: the total weight, ().
        count: the number of rows, ().
    """

    real: Tensor
    imaginary: Tensor
    mass: Tensor
    count: Tensor

    def merge(self, other: Coefficients) -> Coefficients:
        """Of both sets of rows."""
        return Coefficients(
            self.real + other.real,
            self.imaginary + other.imaginary,
            self.mass + other.mass,
            self.count + other.count,
        )


@register("fourier_kde")
class FourierKDE(Model):
    """Gaussian kernel density in one to three dimensions as Fourier coefficients, without its data.

    Fitting reads the rows twice: for the box, then for the sums.

    Args:
        bandwidth: h in the data's units: a number, one per axis, a matrix H in squared units, or
            'scott', per axis from the variances and the number of rows.
        box: (lowest, highest), each one number per axis, containing all data; None for the range of
            the data. Models to be merged need the same box.
        eps: accuracy of the transforms relative to the largest density.

    Attributes:
        real_, imaginary_: the coefficients (*modes).
        mass_: the total weight, ().

    References:
        Barnett, Magland & af Klinteberg (2019), A parallel non-uniform fast Fourier transform
        library, for the transforms. https://doi.org/10.1137/18M120885X Silverman (1982), Algorithm
        AS 176, for kernel densities by Fourier transform (there on a grid).
        https://doi.org/10.2307/2347084

    Example:
        >>> import torch
        >>> x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> model = FourierKDE().fit(x)
        >>> model.density(torch.zeros(1, 2)).shape, bool(model.absolute_error < 1e-8)
        (torch.Size([1]), True)
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"few"})
    scaling_kind: ScalingKind = "identity"
    dtype: ClassVar[torch.dtype | None] = torch.float64
    block_rows: ClassVar[int] = 1 << 18

    real_: Tensor
    imaginary_: Tensor
    mass_: Tensor
    count_: Tensor
    inherited_: Tensor
    box_: Tensor
    period_: Tensor
    cut_: Tensor
    factor_: Tensor

    def __init__(
        self, bandwidth: float | str | Any = "scott", box: object = None, eps: float = 1e-12
    ) -> None:
        super().__init__()
        self.box = None if box is None else _check_box(box)
        self.bandwidth = check_bandwidth(bandwidth, ("scott",))
        if not 1e-14 <= eps <= 1e-3:
            raise InvalidValue(f"eps must lie between 1e-14 and 1e-3, got {eps}; 1e-12 is usual")
        self.eps = float(eps)
        if not isinstance(self.bandwidth, str):
            self.accepts = self.accepts | {"constant", "single"}  # type: ignore[misc]
        for name in (
            "real_",
            "imaginary_",
            "mass_",
            "count_",
            "inherited_",
            "box_",
            "period_",
            "cut_",
            "factor_",
        ):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on the stored tensors."""
        grid = {
            "box_": "ends d",
            "period_": "d positive",
            "factor_": "d d",
            "cut_": "positive",
            "inherited_": "weights",
        }
        return {
            **grid,
            "real_": "*modes",
            "imaginary_": "*modes",
            "mass_": "positive",
            "count_": "weights",
        }

    def default_fitter(self) -> Fitter:
        """One pass, after one that determines the box."""
        return EM()

    # ------------------------------------------------------------------------------------ fitting

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions, high dimensions and boxes that are too large.

        Choose the frequencies.
        """
        refuse_conditions(self, source)
        d = source.space.size
        if d > 3:
            raise BadSource(f"FourierKDE needs 1 to 3 coordinates, got {d}; use KDE, or PCA first")
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
        low, high = facts.low, facts.high
        if self.box is not None:
            low, high = (torch.tensor(end, dtype=torch.float64) for end in self.box)
            if low.shape != (d,) or high.shape != (d,):
                raise InvalidValue(
                    f"box must hold {d} lowest and {d} highest values, got {self.box}"
                )
            if bool((facts.low < low).any() or (facts.high > high).any()):
                raise BadSource(
                    f"some rows leave the box {self.box}; make it larger, or drop those rows"
                )
        grid = FrequencyGrid(low, high, self._scale(facts, d), eps=self.eps)
        if grid.size > LARGEST:
            raise BadSource(
                f"the box is {float((high - low).max()):g} wide and would need {grid.size:.2g} "
                "coefficients; use a larger bandwidth, drop far outliers, or use KDE"
            )
        self._keep(FourierState(grid))

    def statistics(self, batch: Batch) -> Coefficients:
        """The coefficients of one block of rows."""
        part = FourierState(self._grid()).add(batch.x.flatten(1), batch.weights)
        as_tensor = torch.from_numpy
        real, imaginary = (
            as_tensor(part.coefficients.real.copy()),
            as_tensor(part.coefficients.imag.copy()),
        )
        numbers = torch.tensor([part.mass, float(part.count)], dtype=torch.float64)
        return Coefficients(
            *(t.to(batch.x.device) for t in (real, imaginary, numbers[0], numbers[1]))
        )

    def update(self, statistics: Coefficients) -> bool:
        """Store the sums; one pass suffices."""
        self.real_, self.imaginary_ = statistics.real, statistics.imaginary
        self.mass_, self.count_ = statistics.mass, statistics.count
        if not float(self.mass_) > 0:
            raise BadSource("all weights are zero; give at least one row a positive weight")
        return True

    def merge(self, other: FourierKDE) -> FourierKDE:
        """The model of both data sets.

        Raises:
            InvalidValue: Unless both have the same grid (box and bandwidth).
        """
        return self._with(self.state().merge(other.state()), list(range(len(self.period_))))

    # ------------------------------------------------------------------------------------ queries

    def density(self, x: Observations) -> Tensor:
        """Density of each row (n,), per unit of the user's coordinates, within `absolute_error`.

        It may be slightly negative.
        """
        rows = self.conform(x).to("cpu", torch.float64).flatten(1)
        return self.state().density(rows).to(self.device)

    @property
    def absolute_error(self) -> float:
        """Bound on the error of `density` at any point."""
        return self.state().absolute_error

    def marginal(self, axes: object) -> FourierKDE:
        """The density of some axes (a name or position, or several)."""
        keep = axes_to_keep(self.fitted_space(), axes)
        return self._with(self.state().marginal(keep), keep)

    def condition(self, known: Mapping[Any, Any]) -> FourierKDE:
        """The density of the other axes, given {axis name or position: value}.

        Raises:
            InvalidValue: If the density there is unknown.
        """
        b, a, values = read_known_values(self, known)
        return self._with(self.state().condition(b, values.tolist()) if b else self.state(), a)

    def state(self) -> FourierState:
        """The coefficients as `densities.FourierState`, for merging by hand."""
        self.fitted_space()
        real, imaginary = self.real_.cpu().numpy(), self.imaginary_.cpu().numpy()
        inherited = float(self.inherited_)
        return FourierState(
            self._grid(), real + 1j * imaginary, float(self.mass_), int(self.count_), 0.0, inherited
        )

    def _scale(self, facts: Facts, d: int) -> Scale:
        if self.bandwidth != "scott":
            return Scale.of(bandwidth_tensor(self.bandwidth), d)
        variance = facts.moments.covariance
        variance = variance.diagonal() if variance.ndim == 2 else variance
        return Scale.of(variance.sqrt() * facts.count ** (-1 / (d + 4)), d)

    def _grid(self) -> FrequencyGrid:
        box, factor = self.box_.cpu(), self.factor_.cpu()
        diagonal = bool((factor == factor.diagonal().diag()).all())
        grid = FrequencyGrid(
            box[0], box[1], Scale(factor, "axes" if diagonal else "matrix"), eps=self.eps
        )
        grid.__dict__.update(
            period=self.period_.cpu(), cut=float(self.cut_), modes=tuple(self.real_.shape)
        )
        return grid

    def _keep(self, state: FourierState) -> None:
        grid = state.grid
        self.real_ = torch.from_numpy(np.ascontiguousarray(state.coefficients.real))
        self.imaginary_ = torch.from_numpy(np.ascontiguousarray(state.coefficients.imag))
        numbers = (state.mass, float(state.count), state.inherited, grid.cut)
        self.mass_, self.count_, self.inherited_, self.cut_ = torch.tensor(
            numbers, dtype=torch.float64
        )
        self.box_, self.period_, self.factor_ = (
            torch.stack([grid.low, grid.high]),
            grid.period,
            grid.scale.factor,
        )

    def _with(self, state: FourierState, axes: list[int]) -> FourierKDE:
        """A model of these axes that holds `state`."""
        covariance = state.grid.scale.covariance
        model = FourierKDE(covariance.tolist(), eps=self.eps)
        model.assemble(subspace(self.fitted_space(), axes), None)
        model._keep(state)
        return model.to(self.device)


def _check_box(box: object) -> Box:
    """(lowest, highest) as finite numbers, one per axis.

    Raises:
        InvalidKind, InvalidValue: If not.
    """
    ends = to_float64(box, "box", "None or (lowest, highest), each one number per axis")
    if (
        ends.ndim != 2
        or len(ends) != 2
        or not bool(ends.isfinite().all())
        or not bool((ends[0] < ends[1]).all())
    ):
        raise InvalidValue(
            "box must be (lowest, highest), each one finite number per axis, "
            f"the second above the first, got {quote(box)}; "
            "pass box=None for the range of the data"
        )
    return tuple(tuple(end) for end in ends.tolist())
