"""Traversals: vary one latent dimension at a time, and rank the dimensions by their effect.

With s_k the standard deviation of dimension k, steps of Δ standard deviations and base codes b,

    change_k = mean over b and steps of ‖g(b, z_k + Δ s_k) - g(b, z_k)‖² / Δ²,

the mean squared change of the observation per standard deviation, summed over the event, in squared
user's units. Where these units differ (`Space.mixes_units`) each column counts in its range, and a
category by how many times it changes per standard deviation. For a linear decoder g(z) = μ + W z
the change is ‖W e_k‖² s_k²: the eigenvalue l_k for PCA. A dimension that the decoder ignores has 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidValue, ShapeMismatch, require_positive
from pushforward.core.units import HasSpace
from pushforward.latent.code_distribution import CodeDistribution, infer_code_distribution
from pushforward.latent.decoding import Decoded, decode
from pushforward.latent.grids import code_at

__all__ = ["Traversal", "traverse"]


@dataclass(frozen=True)
class Traversal:
    """The result of varying every dimension alone.

    Args:
        codes: (latent, steps, latent), dimension k varied in codes[k].
        x: (latent, steps, *shape), user's units.
        positions: of the varied dimension (steps,), in standard deviations from the centre.
        change: mean squared change per standard deviation (latent,): squared user's units, or
            squared ranges of the columns where their units differ.
        by_column: of points, the change of each column per standard deviation (latent, d): the root
            of the mean square in its unit; how many times its category changes.
    """

    codes: Tensor
    x: Tensor
    positions: Tensor
    change: Tensor
    by_column: Tensor | None = None

    @property
    def order(self) -> Tensor:
        """Dimensions (latent,), in falling order of their change."""
        return self.change.argsort(descending=True, stable=True)

    @property
    def share(self) -> Tensor:
        """Share of each dimension in the total change (latent,); zeros if nothing changes."""
        return self.change / self.change.sum().clamp_min(torch.finfo(self.change.dtype).tiny)


def traverse(
    model: object,
    around: Tensor | None = None,
    *,
    steps: int = 9,
    reach: float = 3.0,
    y: Conditioning = None,
    distribution: CodeDistribution | None = None,
) -> Traversal:
    """Vary each latent dimension by ±reach standard deviations; rank them by the change.

    Args:
        around: the base codes, (latent,) or (n, latent): the observations are those of the first,
            the ranking averages over all. The prior's mean by default.
        y: one condition for all.
        distribution: of the codes, from `infer_code_distribution`; the model's prior by default.
    """
    require_positive(reach=reach)
    if steps < 2:
        raise InvalidValue(f"a traversal has at least 2 steps, got {steps}")
    distribution = infer_code_distribution(model) if distribution is None else distribution
    bases = _bases(distribution, around)
    positions = torch.linspace(
        -reach, reach, steps, dtype=distribution.centre.dtype, device=distribution.centre.device
    )
    parts = [_move(model, base, distribution, positions, y) for base in bases]
    width = positions[1] - positions[0]
    squares = torch.stack([_squares(part.x, width) for part in parts]).mean(0)
    space = model.fitted_space() if isinstance(model, HasSpace) else None
    if space is None or space.kind != "points":
        return Traversal(parts[0].codes, parts[0].x, positions, squares.sum(1))
    ranges = torch.tensor(space.ranges if space.mixes_units else 1.0).to(squares)
    is_category = torch.tensor([c.kind == "categorical" for c in space.columns])
    switches = torch.stack([_switches(part.x, width) for part in parts]).mean(0)
    change = torch.where(is_category.to(squares.device), switches, squares / ranges.square())
    by_column = torch.where(is_category.to(squares.device), switches, squares.sqrt())
    return Traversal(parts[0].codes, parts[0].x, positions, change.sum(1), by_column)


def _bases(distribution: CodeDistribution, around: Tensor | None) -> list[Tensor]:
    if around is None or around.ndim == 1:
        return [code_at(distribution, around)]
    if around.ndim != 2 or not len(around):
        raise ShapeMismatch(
            f"expected base codes (latent,) or (n, latent), got shape {tuple(around.shape)}"
        )
    return [code_at(distribution, base) for base in around]


def _move(
    model: object, base: Tensor, distribution: CodeDistribution, positions: Tensor, y: Conditioning
) -> Decoded:
    """Decode codes (latent, steps, latent) with one dimension varied in each block."""
    codes = base.expand(distribution.latent, len(positions), -1).clone()
    places = distribution.deviations(positions)
    for k in range(distribution.latent):
        codes[k, :, k] = places[:, k]
    return decode(model, codes, y)


def _squares(x: Tensor, width: Tensor) -> Tensor:
    """The mean squared change of each value per standard deviation (latent, values).

    Observations are (latent, steps, *shape); their codes are `width` standard deviations apart.
    """
    return (x[:, 1:] - x[:, :-1]).flatten(2).square().mean(1) / width.square()


def _switches(x: Tensor, width: Tensor) -> Tensor:
    """How many times each value changes per standard deviation (latent, values)."""
    return (x[:, 1:] != x[:, :-1]).flatten(2).to(width).mean(1) / width
