"""Paths between codes and planes of codes.

On a straight path between z_0 and z_1 drawn from N(0, I_d) the lengths in the middle are near
√(d/2), where the prior has almost no mass. The spherical path (Shoemake 1985,
https://doi.org/10.1145/325165.325242; White 2016, https://arxiv.org/abs/1609.04468) rotates the
direction at constant speed,

    u(t) = [sin((1-t)θ) u_0 + sin(tθ) u_1] / sin θ,
        θ the angle between u_0 = z_0/|z_0| and u_1 = z_1/|z_1|,

with the length (1-t)|z_0| + t|z_1|. (Weighting z_0 and z_1 themselves, as is common, overshoots
both lengths if they differ and the angle is wide.)
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes, Encodes
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, one_of
from pushforward.core.space import Space
from pushforward.core.units import HasSpace
from pushforward.latent.decoding import Decoded, decode, is_shared

__all__ = ["Along", "interpolate", "between", "plane", "walk"]

Along: TypeAlias = Literal["line", "sphere"]
"""What a path runs along."""


def interpolate(start: Tensor, end: Tensor, steps: int = 8, *, along: Along = "line") -> Tensor:
    """Codes (steps, *shape) from `start` to `end`, inclusive.

    `shape` is (latent,), or (n, latent) for n paths.

    On the sphere, opposite codes and codes at the origin have no unique path and use the line.
    """
    if start.shape != end.shape:
        raise ShapeMismatch(
            f"a path joins codes of one shape, got {tuple(start.shape)} and {tuple(end.shape)}"
        )
    if steps < 2:
        raise InvalidValue(f"a path has at least 2 steps, got {steps}")
    one_of("along", along, get_args(Along))
    t = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device).reshape(
        -1, *[1] * start.ndim
    )
    line = (1 - t) * start + t * end
    return line if along == "line" else _on_sphere(start, end, t, line)


def walk(stops: Tensor, steps: int = 8, *, along: Along = "line", closed: bool = True) -> Tensor:
    """Codes of a walk from stop to stop: (k steps, latent) if closed, else ((k - 1) steps + 1,
    latent).

    Each stop is passed once, at every `steps`-th code; a closed walk ends one step before its
    start, so that it can be repeated.

    Args:
        stops: codes to pass (k, latent), at least 2.
        steps: from one stop to the next.
        along: what each part runs along.
        closed: whether it returns to the first stop.
    """
    if stops.ndim != 2 or len(stops) < 2:
        raise ShapeMismatch(
            f"a walk needs at least 2 codes (k, latent) to pass, got shape {tuple(stops.shape)}"
        )
    if steps < 1:
        raise InvalidValue(f"a walk takes at least 1 step from stop to stop, got {steps}")
    following = stops.roll(-1, 0) if closed else stops[1:]
    parts = interpolate(stops[: len(following)], following, steps + 1, along=along)[:-1]
    codes = parts.movedim(0, 1).flatten(0, 1)
    return codes if closed else torch.cat([codes, stops[-1:]])


def _on_sphere(start: Tensor, end: Tensor, t: Tensor, line: Tensor) -> Tensor:
    tiny = torch.finfo(start.dtype).tiny
    sizes = start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True)
    one, two = start / sizes[0].clamp_min(tiny), end / sizes[1].clamp_min(tiny)
    # Twice the arc tangent of |u_0 - u_1| / |u_0 + u_1|,
    # because near 0 and π the arc cosine loses half the digits.
    angle = 2 * torch.atan2(
        (one - two).norm(dim=-1, keepdim=True), (one + two).norm(dim=-1, keepdim=True)
    )
    sine = torch.sin(angle)
    turned = (torch.sin((1 - t) * angle) * one + torch.sin(t * angle) * two) / sine.clamp_min(tiny)
    path = turned * ((1 - t) * sizes[0] + t * sizes[1])
    plain = (sine < 1e-6) | (sizes[0] <= tiny) | (sizes[1] <= tiny)
    return torch.where(plain, line, path)


@torch.no_grad()
def between(
    model: object,
    a: Observations,
    b: Observations,
    steps: int = 8,
    *,
    along: Along = "line",
    y: Conditioning = None,
) -> Decoded:
    """Decode a path in latent space between observations.

    Codes are (steps, n, latent), x is (steps, n, *shape).

    Args:
        a, b: the ends, n observations each (n, *shape), user's units;
            a single one may omit the leading axis.
        along: 'line', or 'sphere' for codes with a prior centred at the origin.
        y: the condition for encoding and decoding, one for all or one for each of n.
    """
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise InvalidKind(
            f"{type(model).__name__} cannot both encode and decode; interpolate codes and decode"
            " those instead"
        )
    space = cast(HasSpace, model).fitted_space()
    one, two = (model.encode(x, y) for x in (_rows(space, a), _rows(space, b)))
    codes = interpolate(one, two, steps, along=along)
    many = not is_shared(y)
    return decode(
        model,
        codes,
        torch.as_tensor(y).repeat(steps, *[1] * (torch.as_tensor(y).ndim - 1)) if many else y,
    )


def _rows(space: Space, x: Observations) -> Observations:
    """Observations with their leading axis."""
    return x[None] if isinstance(x, Tensor) and x.ndim == len(space.shape) else x


def plane(codes: Tensor, steps: int = 15, *, reach: float = 2.0) -> Tensor:
    """Codes (steps, steps, latent) on a plane.

    It goes through the mean of `codes` (n, latent) along their two widest directions.

    The grid extends `reach` standard deviations either way in equal steps; rows run along the
    second direction, from the top down. With two latent dimensions it covers the latent plane,
    rotated to its principal axes.
    """
    if codes.ndim != 2 or codes.shape[1] < 2 or len(codes) < 3:
        raise ShapeMismatch(
            "a plane needs at least 3 codes of at least 2 dimensions, got shape"
            f" {tuple(codes.shape)}"
        )
    mean = codes.mean(0)
    _, singular, directions = torch.linalg.svd(codes - mean, full_matrices=False)
    spread = singular[:2] / (len(codes) - 1) ** 0.5
    axes = directions[:2] * spread[:, None]
    t = torch.linspace(-reach, reach, steps, dtype=codes.dtype, device=codes.device)
    grid: Tensor = mean + t[None, :, None] * axes[0] - t[:, None, None] * axes[1]
    return grid
