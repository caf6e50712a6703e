"""Traversals: one latent dimension moved at a time, and the dimensions ranked by what they change.

With s_k the standard deviation of dimension k, steps of Δ standard
deviations and codes b to stand at,

    change_k = mean over b and steps of ‖g(b, z_k + Δ s_k) - g(b, z_k)‖² / Δ²,

the mean squared change of the observation per standard deviation, summed over the event, in squared
user's units. For a linear decoder g(z) = μ + W z it is ‖W e_k‖² s_k²: the eigenvalue l_k for PCA. A
dimension the decoder ignores has 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidValue, ShapeMismatch, require_positive
from pushforward.latent.code_distribution import CodeDistribution, infer_code_distribution
from pushforward.latent.decoding import Decoded, decode
from pushforward.latent.grids import code_at

__all__ = ["Traversal", "traverse"]


@dataclass(frozen=True)
class Traversal:
    """Every dimension moved alone.

    Args:
        codes: (latent, steps, latent), dimension k moved in codes[k].
        x: (latent, steps, *shape), user's units.
        positions: where the moved dimension stands (steps,),
            in standard deviations from the centre.
        change: mean squared change per standard deviation (latent,), squared user's units.
    """

    codes: Tensor
    x: Tensor
    positions: Tensor
    change: Tensor

    @property
    def order(self) -> Tensor:
        """Dimensions (latent,), the one that changes most first."""
        return self.change.argsort(descending=True, stable=True)

    @property
    def share(self) -> Tensor:
        """The share of all change that is each dimension's (latent,);
        zeros where nothing changes.
        """
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
    """Move each latent dimension from -reach to reach standard deviations,
    the others staying, and rank them by the change.

    Args:
        around: the codes to stand at, (latent,) or (n, latent): the observations are those of the
            first, the ranking is the mean over all. The prior's mean if not given.
        y: one condition for all.
        distribution: where the codes lie, from `infer_code_distribution`;
            by the model's prior if not given.
    """
    require_positive(reach=reach)
    if steps < 2:
        raise InvalidValue(f"a traversal has at least 2 steps, got {steps}")
    distribution = infer_code_distribution(model) if distribution is None else distribution
    bases = _bases(distribution, around)
    positions = torch.linspace(
        -reach, reach, steps, dtype=distribution.centre.dtype, device=distribution.centre.device
    )
    found = [_moved(model, base, distribution, positions, y) for base in bases]
    change = torch.stack([_change(f.x, positions) for f in found]).mean(0)
    return Traversal(found[0].codes, found[0].x, positions, change)


def _bases(distribution: CodeDistribution, around: Tensor | None) -> list[Tensor]:
    if around is None or around.ndim == 1:
        return [code_at(distribution, around)]
    if around.ndim != 2 or not len(around):
        raise ShapeMismatch(
            f"expected codes (latent,) or (n, latent) to stand at, got shape {tuple(around.shape)}"
        )
    return [code_at(distribution, base) for base in around]


def _moved(
    model: object, base: Tensor, distribution: CodeDistribution, positions: Tensor, y: Conditioning
) -> Decoded:
    """Codes (latent, steps, latent) with one dimension moved in each block, decoded."""
    codes = base.expand(distribution.latent, len(positions), -1).clone()
    places = distribution.deviations(positions)
    for k in range(distribution.latent):
        codes[k, :, k] = places[:, k]
    return decode(model, codes, y)


def _change(x: Tensor, positions: Tensor) -> Tensor:
    """change_k (latent,) at one base."""
    width = positions[1] - positions[0]
    moves = (x[:, 1:] - x[:, :-1]).flatten(2).square().sum(2)
    return moves.mean(1) / width.square()
