"""Paths between codes and planes of codes.

On a path between z_0 and z_1 drawn from N(0, I_d), straight lines pass through lengths √d has too few of; the spherical
path (1-t) and t along the great circle (Shoemake 1985) keeps the lengths in between.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch

__all__ = ["interpolate", "plane"]


def interpolate(start: Tensor, end: Tensor, steps: int = 8, *, along: Literal["line", "sphere"] = "line") -> Tensor:
    """Codes (steps, *shape) from `start` to `end` (*shape), both included."""
    if start.shape != end.shape:
        raise ShapeMismatch(f"a path joins codes of one shape, got {tuple(start.shape)} and {tuple(end.shape)}")
    if steps < 2:
        raise InvalidValue(f"a path has at least 2 steps, got {steps}")
    t = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device).reshape(-1, *[1] * start.ndim)
    if along == "line":
        return (1 - t) * start + t * end
    if along != "sphere":
        raise InvalidValue(f"a path goes along 'line' or 'sphere', got {along!r}")
    cosine = (start * end).sum() / (start.norm() * end.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if float(torch.sin(angle)) < 1e-6:
        return (1 - t) * start + t * end
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)


def plane(codes: Tensor, steps: int = 15, *, reach: float = 2.0) -> Tensor:
    """Codes (steps, steps, latent) on the plane through the mean of `codes` (n, latent) along their two widest directions.

    The grid lies at equal steps of `reach` standard deviations either way; rows run along the second direction, from
    the top down. With two latent dimensions it is the whole latent plane, turned to its principal axes.
    """
    if codes.ndim != 2 or codes.shape[1] < 2 or len(codes) < 3:
        raise ShapeMismatch(f"a plane needs at least 3 codes of at least 2 dimensions, got shape {tuple(codes.shape)}")
    mean = codes.mean(0)
    _, singular, directions = torch.linalg.svd(codes - mean, full_matrices=False)
    spread = singular[:2] / (len(codes) - 1) ** 0.5
    axes = directions[:2] * spread[:, None]
    t = torch.linspace(-reach, reach, steps, dtype=codes.dtype, device=codes.device)
    return mean + t[None, :, None] * axes[0] - t[:, None, None] * axes[1]
