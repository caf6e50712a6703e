"""The model's invertible map from the user's units to what its networks see, with its log-Jacobian.

u = (x - shift) / scale, so log p(x) = log p(u) - Σ log scale. Categories become one-hot blocks (and come back by the
largest entry), which carries no density; models with a density refuse categorical columns.

Kinds: 'identity'; 'unit' maps the space's range to [0, 1]; 'signed' to [-1, 1]; 'standardised' to mean 0 and variance 1
per coordinate (per channel for pictures). Cells of integer data count whole: levels 0..255 span [-½, 255½).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, suggestion
from pushforward.core.moments import Moments
from pushforward.core.space import Space

__all__ = ["Scaling", "ScalingKind"]

ScalingKind = Literal["identity", "unit", "signed", "standardised"]
KINDS = ("identity", "unit", "signed", "standardised")


class Scaling(nn.Module):
    """An affine map per coordinate (points), per channel or for all (pictures), plus one-hot categories.

    Arguments:
        space: what it maps from.
        kind: how shift and scale were chosen.
        shift, scale: broadcastable to one observation.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, space: Space, kind: str, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.space, self.kind = space, kind
        self.register_buffer("shift", shift.to(torch.float64))
        self.register_buffer("scale", scale.to(torch.float64))

    @classmethod
    def choose(cls, kind: str, space: Space, moments: Moments | None = None) -> Scaling:
        """The scaling of a kind for a space; 'standardised' needs the data's moments (over flattened coordinates)."""
        if kind not in KINDS:
            raise InvalidValue(f"unknown scaling {kind!r}; {suggestion(kind, KINDS)}")
        if kind == "standardised":
            if moments is None:
                raise InvalidValue("a standardised scaling needs the data's moments")
            shift, scale = _standard(space, moments)
        elif kind == "identity":
            shift, scale = torch.zeros(()), torch.ones(())
        else:
            low, high = _range(space)
            shift, scale = (low, high - low) if kind == "unit" else ((low + high) / 2, (high - low) / 2)
        return cls(space, kind, torch.as_tensor(shift), torch.as_tensor(scale))

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of one observation in the model's coordinates."""
        if not self.space.categorical:
            return self.space.shape
        return (sum(len(c.categories) if c.kind == "categorical" else 1 for c in self.space.columns),)

    def forward(self, x: Tensor) -> Tensor:
        """User's units (n, *space.shape) to model coordinates (n, *shape)."""
        if self.space.is_label:
            return nn.functional.one_hot(x.to(torch.int64), len(self.space.columns[0].categories)).to(torch.get_default_dtype())
        u = (x - self.shift.to(x)) / self.scale.to(x)
        return self._expand(x, u) if self.space.categorical else u

    def inverse(self, u: Tensor) -> Tensor:
        """Model coordinates (n, *shape) back to the user's units."""
        if self.space.is_label:
            return u.argmax(-1)
        if self.space.categorical:
            u = self._collapse(u)
        return u * self.scale.to(u) + self.shift.to(u)

    def log_jacobian(self, x: Tensor) -> float:
        """log |du/dx| of one observation shaped like x[0]: the number to add to log p(u) for log p(x), in nats."""
        if self.space.categorical:
            raise InvalidValue("categories have no density; drop the categorical columns")
        ones = x.new_ones(x.shape[1:], dtype=torch.float64)
        return -float((ones * self.scale.log().to(ones)).sum())

    def _expand(self, x: Tensor, u: Tensor) -> Tensor:
        parts = []
        for i, column in enumerate(self.space.columns):
            if column.kind == "categorical":
                parts.append(nn.functional.one_hot(x[:, i].round().to(torch.int64), len(column.categories)).to(u))
            else:
                parts.append(u[:, i : i + 1])
        return torch.cat(parts, 1)

    def _collapse(self, u: Tensor) -> Tensor:
        parts, at = [], 0
        for column in self.space.columns:
            width = len(column.categories) if column.kind == "categorical" else 1
            block = u[:, at : at + width]
            parts.append(block.argmax(1, keepdim=True).to(u) if column.kind == "categorical" else block)
            at += width
        return torch.cat(parts, 1)


def _range(space: Space) -> tuple[Tensor, Tensor]:
    """Lowest and highest value: one for pictures, one per column for points; integer cells count whole."""
    if space.kind == "points" and space.shape:
        low = torch.tensor([0.0 if c.kind == "categorical" else c.low for c in space.columns], dtype=torch.float64)
        high = torch.tensor([1.0 if c.kind == "categorical" else c.high for c in space.columns], dtype=torch.float64)
        half = torch.tensor([0.5 if c.kind == "integer" else 0.0 for c in space.columns], dtype=torch.float64)
    else:
        low, high = torch.tensor(space.low, dtype=torch.float64), torch.tensor(space.high, dtype=torch.float64)
        half = torch.tensor(0.5 if space.integer else 0.0, dtype=torch.float64)
    low, high = low - half, high + half
    flat = ~(high > low)
    return torch.where(flat, low - 0.5, low), torch.where(flat, high + 0.5, high)


def _standard(space: Space, moments: Moments) -> tuple[Tensor, Tensor]:
    mean = moments.mean
    variance = moments.covariance if moments.m2.ndim == 1 else moments.covariance.diagonal()
    if space.kind != "points":
        channels = space.shape[0] or 1
        by_channel = mean.reshape(channels, -1)
        spread = variance.reshape(channels, -1).mean(1) + by_channel.var(1, correction=0)
        lead = (channels,) + (1,) * (len(space.shape) - 1)
        mean, variance = by_channel.mean(1).reshape(lead), spread.reshape(lead)
    elif space.categorical:
        keep = torch.tensor([c.kind != "categorical" for c in space.columns], device=mean.device)
        mean, variance = torch.where(keep, mean, 0.0), torch.where(keep, variance, 1.0)
    # A constant coordinate keeps its unit, so that it stays constant instead of dividing by zero.
    floor = (1e-12 * (1 + mean.abs())).square()
    return mean, torch.where(variance > floor, variance, 1.0).sqrt().clamp_min(math.sqrt(torch.finfo(torch.float64).tiny))
