"""Grids of codes through the prior's quantiles.

Equal steps of mass, p_i = (i + ½)/m, i = 0..m-1, are mapped through the inverse distribution
function, z_i = Φ⁻¹(p_i) for a normal prior (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114,
Fig. 4), so that every cell of the grid represents the same share of the codes. With `reach` r the
steps are equal in z instead, from -r to r standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidValue, ShapeMismatch, require_positive
from pushforward.latent.code_distribution import CodeDistribution, infer_code_distribution
from pushforward.latent.decoding import Decoded, decode

__all__ = ["grid", "grid_codes", "code_at"]


def grid(
    model: object,
    steps: int = 20,
    *,
    reach: float | None = None,
    dims: Sequence[int] | None = None,
    at: Tensor | None = None,
    y: Conditioning = None,
    distribution: CodeDistribution | None = None,
) -> Decoded:
    """Decode a grid of codes (steps, steps, latent) to x (steps, steps, *shape), user's units.

    The first of `dims` increases to the right, the second upwards; one dimension gives one row.

    Args:
        reach: None for equal steps of mass;
            else equal steps up to this many standard deviations (3.0 with steps=20 is usual).
        dims: the one or two dimensions to vary; the first two by default.
        at: the code (latent,) with the values of the other dimensions; the prior's mean by default.
        y: one condition for all.
        distribution: of the codes, from `infer_code_distribution`; the model's prior by default.
    """
    distribution = infer_code_distribution(model) if distribution is None else distribution
    return decode(model, grid_codes(distribution, steps, reach=reach, dims=dims, at=at), y)


def grid_codes(
    distribution: CodeDistribution,
    steps: int = 20,
    *,
    reach: float | None = None,
    dims: Sequence[int] | None = None,
    at: Tensor | None = None,
) -> Tensor:
    """The codes (steps, steps, latent) of `grid`, top row first.

    (1, steps, latent) for one dimension.
    """
    require_positive(steps=steps, reach=reach)
    axes = _check_dims(dims, distribution.latent)
    places = _places(distribution, steps, reach)
    codes = code_at(distribution, at).expand(steps if len(axes) == 2 else 1, steps, -1).clone()
    codes[..., axes[0]] = places[:, axes[0]]
    if len(axes) == 2:
        codes[..., axes[1]] = places[:, axes[1]].flip(0)[:, None]
    return codes


def code_at(distribution: CodeDistribution, at: Tensor | None) -> Tensor:
    """The given code (latent,), or the centre of the distribution."""
    if at is None:
        return distribution.centre
    if at.shape != distribution.centre.shape:
        raise ShapeMismatch(
            f"expected one code of {distribution.latent} numbers, got shape {tuple(at.shape)}; pass"
            " one row of the result of encode"
        )
    return at.detach().to(distribution.centre)


def _places(distribution: CodeDistribution, steps: int, reach: float | None) -> Tensor:
    """Grid values (steps, latent), ascending."""
    if reach is None:
        return distribution.quantiles((torch.arange(steps, dtype=torch.float64) + 0.5) / steps)
    return distribution.deviations(
        torch.linspace(-reach, reach, steps, dtype=torch.float64) if steps > 1 else torch.zeros(1)
    )


def _check_dims(dims: Sequence[int] | None, latent: int) -> list[int]:
    axes = list(range(min(latent, 2))) if dims is None else list(dims)
    if len(axes) not in (1, 2) or len(set(axes)) != len(axes):
        raise InvalidValue(
            f"a grid moves along one or two different dimensions, got {axes}; pass dims=(0, 1), say"
        )
    for dim in axes:
        if not 0 <= dim < latent:
            raise InvalidValue(
                f"there is no latent dimension {dim}: codes have {latent}, counted from 0"
            )
    return axes
