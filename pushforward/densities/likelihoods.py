"""Likelihoods p(x|z): the meaning of a decoder's outputs,
with the range, scaling and measure of each.

A likelihood names the decoder's heads and further trainable tensors, and turns both into a
distribution of observations in the model's coordinates u. In the user's units, log p(x) = log p(u)
+ log |du/dx| for densities (`log_jacobian`); masses are unchanged, because a level is the same in
any units. Values without mass (beyond known ends, between levels, unknown categories) have log p(x)
= -inf under every distribution.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pushforward.core.argument_names import setting
from pushforward.core.capabilities import HasMean
from pushforward.core.errors import BadSource, InvalidValue, require_positive
from pushforward.core.registry import Value
from pushforward.core.scaling import Scaling, ScalingKind
from pushforward.core.space import Column, Space
from pushforward.densities.coins import Bernoulli, ContinuousBernoulli
from pushforward.densities.columns import Columns, OneHot
from pushforward.densities.known_ranges import (
    count_levels,
    find_ends,
    refuse_categories,
    require_range,
)
from pushforward.densities.levels import DiscretisedLogistic
from pushforward.densities.normals import Normal

__all__ = [
    "Likelihood",
    "GaussianLikelihood",
    "BernoulliLikelihood",
    "ContinuousBernoulliLikelihood",
    "DiscretisedLogisticLikelihood",
    "ColumnsLikelihood",
    "bound_log_scale",
]

LIMIT, SHARPNESS = 7.0, 10.0
RARE = 0.002
"""The initial probability of the rarer value of a coordinate that never varies."""
DENSITY = "density per unit"


def bound_log_scale(log_scale: Tensor) -> Tensor:
    """A log-scale softly bounded below by -7: unchanged above -5,
    flattening below, with a non-zero gradient.

    A coordinate that never varies lets a fitted density grow without bound as its scale shrinks.
    The floor e^-7 = .0009 of the data's standard deviation (or of half their range) is a ninth of a
    cell of 8-bit data, finer than real data. Chua et al. (2018, https://arxiv.org/abs/1805.12114),
    Appendix A.1, bound predicted variances in the same way. Scales above e^7 mean nothing either,
    and are bounded likewise.
    """
    held = LIMIT - softplus(LIMIT - log_scale, beta=SHARPNESS)
    return softplus(held + LIMIT, beta=SHARPNESS) - LIMIT


class Likelihood(Value, family="likelihood"):
    """p(x|z): a distribution of observations from a decoder's outputs.

    `measure` is the meaning of its log-probabilities, `scaling` the coordinates it needs.
    """

    measure: ClassVar[str] = DENSITY
    scaling: ClassVar[ScalingKind] = "standardised"
    categories: ClassVar[bool] = False
    """Whether it supports categorical columns."""

    def heads(self, scaling: Scaling) -> tuple[tuple[int, ...], ...]:
        """Shapes of the decoder's heads for one code: by default one location."""
        return (_event(scaling),)

    def free(self, scaling: Scaling) -> tuple[Tensor, ...]:
        """Initial values of the trainable tensors shared by all codes."""
        return ()

    @abstractmethod
    def distribution(self, outputs: Sequence[Tensor], scaling: Scaling) -> HasMean:
        """p(x|z) in model coordinates, from the heads (n, *shape), …, then the free tensors."""

    def head_at(self, mean: Tensor, scaling: Scaling) -> Tensor | None:
        """The first head's output for a distribution with this mean (*event), model coordinates.

        None if near 0.
        """
        return None

    def refuse(self, space: Space) -> None:
        """Raise BadSource if the data are outside its range."""
        refuse_categories(self.name, space)

    def note(self, space: Space) -> str:
        """A caveat about its numbers for these data; '' if none."""
        return ""

    def log_jacobian(self, scaling: Scaling, u: Tensor) -> float:
        """The term to add to log p(u) for the user's units, in nats; 0 for masses."""
        return scaling.log_jacobian(u) if self.measure == DENSITY else 0.0

    def fitted_sigma(self, outputs: Sequence[Tensor]) -> Tensor | None:
        """The mean fitted scale, in model coordinates; None if there is none."""
        return None


@dataclass(frozen=True)
class GaussianLikelihood(Likelihood, name="gaussian"):
    """N(f(z), sigma² I).

    Args:
        sigma: a fixed number, in standardised units; fitted if None.
        per_dimension: fit one per coordinate instead of one for all.
        predicted: the decoder outputs one for each code and coordinate, besides f(z).
    """

    sigma: float | None = None
    per_dimension: bool = False
    predicted: bool = False

    def __post_init__(self) -> None:
        require_positive(sigma=self.sigma)
        if (self.sigma is not None) + self.per_dimension + self.predicted > 1:
            raise InvalidValue(
                "pass one of sigma, per_dimension and predicted, or none to fit one number for all"
            )

    def heads(self, scaling: Scaling) -> tuple[tuple[int, ...], ...]:
        """Location, and its log-scale where that is predicted."""
        return (_event(scaling),) * (2 if self.predicted else 1)

    def free(self, scaling: Scaling) -> tuple[Tensor, ...]:
        """The log-scale: (1,), (1, *event), or none."""
        if self.sigma is not None or self.predicted:
            return ()
        return (torch.zeros(1, *_event(scaling)) if self.per_dimension else torch.zeros(1),)

    def distribution(self, outputs: Sequence[Tensor], scaling: Scaling) -> Normal:
        """N(location, scale²)."""
        location = outputs[0]
        return Normal(
            location,
            (
                bound_log_scale(outputs[1])
                if self.sigma is None
                else location.new_full((1,), math.log(self.sigma))
            ),
        )

    def fitted_sigma(self, outputs: Sequence[Tensor]) -> Tensor | None:
        """Mean sigma in standardised units; None if fixed."""
        return None if self.sigma is not None else bound_log_scale(outputs[1]).exp().mean()


@dataclass(frozen=True)
class BernoulliLikelihood(Likelihood, name="bernoulli"):
    """Bernoulli variables with the decoder's logits.

    The outcomes are the end points of the data's range.

    The range is known: declared bounds, else 0 and 1. Values beyond the ends have no mass, -inf.
    Values between them are read as probabilities: the number is then a cross-entropy, not a
    log-mass.
    """

    measure: ClassVar[str] = "binary mass"
    scaling: ClassVar[ScalingKind] = "known"

    def distribution(self, outputs: Sequence[Tensor], scaling: Scaling) -> Bernoulli:
        """Bernoulli outcomes map to the end points of the data's range."""
        zero, span = find_ends(scaling)
        like = outputs[0]
        return Bernoulli(
            like, None if zero is None else zero.to(like), None if span is None else span.to(like)
        )

    def head_at(self, mean: Tensor, scaling: Scaling) -> Tensor:
        """Logits of the mean, clipped to probabilities between 1/500 and 499/500."""
        distribution = self.distribution((torch.zeros_like(mean)[None],), scaling)
        return torch.logit(distribution.share(mean[None])[0].clamp(RARE, 1 - RARE))

    def refuse(self, space: Space) -> None:
        """Refuse categories and unknown ranges."""
        refuse_categories(self.name, space)
        require_range(self.name, space)

    def note(self, space: Space) -> str:
        """A caveat for grey levels."""
        if space.integer and space.high - space.low <= 1:
            return ""
        return (
            "values between the ends are read as probabilities; binarise the data"
            " (augment='binarise') for masses"
        )


@dataclass(frozen=True)
class ContinuousBernoulliLikelihood(Likelihood, name="continuous_bernoulli"):
    """Densities on a known range, exponential within it and -inf beyond it (Loaiza-Ganem &
    Cunningham 2019, https://arxiv.org/abs/1907.06845).
    """

    scaling: ClassVar[ScalingKind] = "known"

    def distribution(self, outputs: Sequence[Tensor], scaling: Scaling) -> ContinuousBernoulli:
        """Continuous Bernoulli with the decoder's logits."""
        return ContinuousBernoulli(outputs[0])

    def refuse(self, space: Space) -> None:
        """Refuse categories and unknown ranges."""
        refuse_categories(self.name, space)
        require_range(self.name, space)


@dataclass(frozen=True)
class DiscretisedLogisticLikelihood(Likelihood, name="discretised_logistic"):
    """Masses on integer levels, from a logistic distribution's cells (Salimans et al. 2017,
    https://arxiv.org/abs/1701.05517); values that are not levels have none, -inf.

    Args:
        predicted: the decoder outputs a scale for each code and coordinate;
            otherwise one per coordinate is fitted.
    """

    measure: ClassVar[str] = "mass on levels"
    scaling: ClassVar[ScalingKind] = "signed"
    start: ClassVar[float] = -2.0
    """log s for a network output of 0: a seventh of half the range, about the spread of images."""

    predicted: bool = True

    def heads(self, scaling: Scaling) -> tuple[tuple[int, ...], ...]:
        """Location, and its log-scale where that is predicted."""
        return (_event(scaling),) * (2 if self.predicted else 1)

    def free(self, scaling: Scaling) -> tuple[Tensor, ...]:
        """The log-scale (1, *event) less `start`, or none."""
        return () if self.predicted else (torch.zeros(1, *_event(scaling)),)

    def distribution(self, outputs: Sequence[Tensor], scaling: Scaling) -> DiscretisedLogistic:
        """Discretised logistic on as many levels as the data's range has."""
        return DiscretisedLogistic(
            outputs[0], bound_log_scale(outputs[1] + self.start), count_levels(scaling.space)
        )

    def refuse(self, space: Space) -> None:
        """Refuse anything but integer levels of one range."""
        refuse_categories(self.name, space)
        ranges = {(c.low, c.high) for c in space.columns}
        whole = all(c.kind == "integer" for c in space.columns) if space.columns else space.integer
        if not whole or len(ranges) > 1 or not count_levels(space):
            raise BadSource(
                f"likelihood {self.name!r} needs integer levels of one range, got {space}; "
                "pass images as levels (uint8, not divided by 255), or use"
                f" {setting('likelihood', 'gaussian')}"
            )

    def fitted_sigma(self, outputs: Sequence[Tensor]) -> Tensor:
        """Mean scale, in units of half the range."""
        return bound_log_scale(outputs[1] + self.start).exp().mean()


@dataclass(frozen=True)
class ColumnsLikelihood(Likelihood, name="columns"):
    """For tables: numbers are normal with a fitted sd each,
    categories have the softmax of the logits.

    An unknown code has no mass, -inf; an unknown text is refused by name.
    """

    measure: ClassVar[str] = "density per unit and mass on categories"
    categories: ClassVar[bool] = True

    def free(self, scaling: Scaling) -> tuple[Tensor, ...]:
        """Log-scales of the numeric columns (1, count)."""
        numeric = sum(c.kind != "categorical" for c in scaling.space.columns)
        return (torch.zeros(1, numeric),) if numeric else ()

    def distribution(self, outputs: Sequence[Tensor], scaling: Scaling) -> Columns:
        """Normal and one-hot blocks in the order of the columns."""
        widths = _blocks(scaling.space.columns)
        log_scales = (
            bound_log_scale(outputs[1]).split([w for kind, w in widths if kind == "numeric"], -1)
            if len(outputs) > 1
            else ()
        )
        scales, parts = iter(log_scales), outputs[0].split([w for _, w in widths], -1)
        return Columns(
            tuple(
                Normal(p, next(scales)) if kind == "numeric" else OneHot(p)
                for (kind, _), p in zip(widths, parts)
            )
        )

    def refuse(self, space: Space) -> None:
        """Refuse images and clips."""
        if space.kind != "points":
            raise BadSource(
                f"likelihood {self.name!r} takes tables and points, got {space}; use"
                f" {setting('likelihood', 'gaussian')} for images"
            )

    def log_jacobian(self, scaling: Scaling, u: Tensor) -> float:
        """The term of the numeric columns."""
        numeric = torch.tensor(
            [c.kind != "categorical" for c in scaling.space.columns], device=scaling.scale.device
        )
        return -float(scaling.scale.log().expand(len(numeric))[numeric].sum())

    def fitted_sigma(self, outputs: Sequence[Tensor]) -> Tensor | None:
        """Mean sd of the numeric columns, in standardised units."""
        return bound_log_scale(outputs[1]).exp().mean() if len(outputs) > 1 else None


def _event(scaling: Scaling) -> tuple[int, ...]:
    """Shape of one observation in model coordinates; a free size is a ShapeMismatch."""
    _ = scaling.space.size
    return tuple(s for s in scaling.shape if s is not None)


def _blocks(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """(kind, width) of each block; neighbouring numeric columns form one."""
    blocks: list[tuple[str, int]] = []
    for column in columns:
        if column.kind == "categorical":
            blocks.append(("category", len(column.categories)))
        elif blocks and blocks[-1][0] == "numeric":
            blocks[-1] = ("numeric", blocks[-1][1] + 1)
        else:
            blocks.append(("numeric", 1))
    return blocks
