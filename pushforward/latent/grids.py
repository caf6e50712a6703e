"""Grids of codes through the prior's quantiles.

Equal steps of mass, p_i = (i + ½)/m, i = 0..m-1, are taken back through the distribution function,
z_i = Φ⁻¹(p_i) for a normal prior (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114, Fig. 4),
so that every cell of the grid stands for the same share of the codes. With `reach` r the steps are
equal in z instead: from -r to r standard deviations.
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
    """A grid of codes and what they decode to: codes (steps, steps, latent), x
    (steps, steps, *shape), user's units.

    The first of `dims` runs from left to right, the second from the bottom up;
    of one dimension there is one row.

    Args:
        reach: None for equal steps of mass;
            else standard deviations either way, in equal steps (3.0 with steps=20 is usual).
        dims: the one or two dimensions to move along; the first two if not given.
        at: the code (latent,) that gives the other dimensions; the prior's mean if not given.
        y: one condition for all.
        distribution: where the codes lie, from `infer_code_distribution`;
            by the model's prior if not given.
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
    """The codes (steps, steps, latent) of `grid`, (1, steps, latent) for one dimension;
    the first row is the top one.
    """
    require_positive(steps=steps, reach=reach)
    chosen = _checked(dims, distribution.latent)
    places = _places(distribution, steps, reach)
    codes = code_at(distribution, at).expand(steps if len(chosen) == 2 else 1, steps, -1).clone()
    codes[..., chosen[0]] = places[:, chosen[0]]
    if len(chosen) == 2:
        codes[..., chosen[1]] = places[:, chosen[1]].flip(0)[:, None]
    return codes


def code_at(distribution: CodeDistribution, at: Tensor | None) -> Tensor:
    """A code (latent,) to stand at: the one given, or the centre of the distribution."""
    if at is None:
        return distribution.centre
    if at.shape != distribution.centre.shape:
        raise ShapeMismatch(
            f"expected one code of {distribution.latent} numbers, got shape {tuple(at.shape)}; pass"
            " one row of what encode gives"
        )
    return at.detach().to(distribution.centre)


def _places(distribution: CodeDistribution, steps: int, reach: float | None) -> Tensor:
    """Values (steps, latent), rising."""
    if reach is None:
        return distribution.quantiles((torch.arange(steps, dtype=torch.float64) + 0.5) / steps)
    return distribution.deviations(
        torch.linspace(-reach, reach, steps, dtype=torch.float64) if steps > 1 else torch.zeros(1)
    )


def _checked(dims: Sequence[int] | None, latent: int) -> list[int]:
    chosen = list(range(min(latent, 2))) if dims is None else list(dims)
    if len(chosen) not in (1, 2) or len(set(chosen)) != len(chosen):
        raise InvalidValue(
            f"a grid moves along one or two different dimensions, got {chosen}; pass dims=(0,"
            " 1), say"
        )
    for dim in chosen:
        if not 0 <= dim < latent:
            raise InvalidValue(
                f"there is no latent dimension {dim}: codes have {latent}, counted from 0"
            )
    return chosen
