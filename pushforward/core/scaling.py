"""The invertible map from the user's units to a network's inputs, with its log-Jacobian.

u = (x - shift) / scale, so log p(x) = log p(u) - Σ log scale. Categories become one-hot blocks (and
come back by the largest entry), which carries no density; models with a density refuse categorical
columns.

The user's values are float64 until they are centred and scaled. Values in float32 (bytes, images)
stay so if float32 is precise enough for the shift, which `wide` decides; results are float64 where
float32 would lose digits: a column of 1e7 ± 1, seconds since 1970, whole numbers above 2^24,
quantities of 1e-40.

Kinds: 'identity'; 'unit' maps the observed range to [0, 1]; 'known' maps the range known in advance
(declared bounds, or 0..1 if all values lie in it) to [0, 1]; 'signed' maps the range to [-1, 1];
'standardised' gives mean 0 and variance 1 per coordinate (per channel for images). Integer levels
count as cells: levels 0..255 span [-½, 255½).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.module import Module
from pushforward.core.moments import Moments
from pushforward.core.numbers import to_floating
from pushforward.core.space import Column, Space

__all__ = ["Scaling", "ScalingKind", "find_known_range"]

ScalingKind = Literal["identity", "unit", "known", "signed", "standardised"]
KINDS: tuple[ScalingKind, ...] = get_args(ScalingKind)
RATIO = 256.0
"""Offsets above this many standard deviations leave float32 fewer than 16 bits for the spread."""
SAFE = (1e-30, 1e30)
"""Scales whose squares and products stay in float32's range."""
ROUNDING = 4 * torch.finfo(torch.float64).eps


class Scaling(Module):
    """An affine map per coordinate (points), or per channel or image, with one-hot categories.

    Args:
        space: of the user's data.
        kind: how shift and scale were chosen.
        shift, scale: broadcastable to one observation.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, space: Space, kind: str, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.space, self.kind = space, kind
        self.add_buffers(shift=shift.to(torch.float64), scale=scale.to(torch.float64))
        self._known: (
            tuple[Tensor, Tensor, bool, dict[torch.dtype, tuple[Tensor, Tensor]]] | None
        ) = None

    @classmethod
    def choose(cls, kind: ScalingKind, space: Space, moments: Moments | None = None) -> Scaling:
        """The scaling of a kind for a space;
        'standardised' needs the data's moments (flattened coordinates).
        """
        if kind not in KINDS:
            raise InvalidValue(f"unknown scaling {kind!r}; {suggest(kind, KINDS)}")
        if torch.get_default_device().type == "meta":
            shift, scale = _without_numbers(kind, space)
        elif kind == "standardised":
            if moments is None:
                raise InvalidValue("a standardised scaling needs the data's moments")
            shift, scale = _standardise(space, moments)
        elif kind == "identity":
            shift, scale = torch.zeros(()), torch.ones(())
        else:
            low, high = _find_range(space, known=kind == "known")
            shift, scale = (
                (low, high - low)
                if kind in ("unit", "known")
                else ((low + high) / 2, (high - low) / 2)
            )
        return cls(space, kind, torch.as_tensor(shift), torch.as_tensor(scale))

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of one observation in the model's coordinates."""
        if not self.space.categorical:
            return self.space.shape
        return (
            sum(len(c.categories) if c.kind == "categorical" else 1 for c in self.space.columns),
        )

    @property
    def wide(self) -> bool:
        """Whether the user's values need float64 to keep significant digits.

        See the module's docstring.
        """
        return self._numbers(torch.float64)[2]

    def _numbers(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, bool]:
        """Shift and scale in a dtype, and whether they are wide; cached for the current buffers."""
        cached = self._known
        if cached is None or cached[0] is not self.shift or cached[1] is not self.scale:
            cached = self._known = (
                self.shift,
                self.scale,
                self._is_wide(),
                {torch.float64: (self.shift, self.scale)},
            )
        pairs = cached[3]
        if dtype not in pairs:
            pairs[dtype] = (self.shift.to(dtype), self.scale.to(dtype))
        return *pairs[dtype], cached[2]

    def _is_wide(self) -> bool:
        shift, scale = self.shift.abs(), self.scale
        if not scale.numel():
            return False
        strange = (
            bool((shift > RATIO * scale).any())
            or float(scale.min()) < SAFE[0]
            or float(scale.max()) > SAFE[1]
        )
        whole = [(c.low, c.high) for c in self.space.columns if c.kind == "integer"] or [
            (self.space.low, self.space.high)
        ]
        large = self.space.integer or any(c.kind == "integer" for c in self.space.columns)
        return strange or (
            large
            and any(abs(end) > 2**24 for ends in whole for end in ends if abs(end) < torch.inf)
        )

    def forward(self, x: Tensor) -> Tensor:
        """User's units (n, *space.shape) to model coordinates (n, *shape).

        The result has x's float type (see `to_floating`).
        """
        if self.space.is_label:
            return nn.functional.one_hot(
                x.to(torch.int64), len(self.space.columns[0].categories)
            ).to(torch.get_default_dtype())
        dtype = x.dtype if x.dtype.is_floating_point else to_floating(x[:0]).dtype
        x = to_floating(x)
        if self.wide:
            x = x.to(torch.float64)
        shift, scale, _ = self._numbers(x.dtype)
        u = ((x - shift) / scale).to(dtype)
        return self._expand(x, u) if self.space.categorical else u

    def inverse(self, u: Tensor) -> Tensor:
        """Model coordinates (n, *shape) to the user's units.

        The result has u's float type (at least float32), or float64 if `wide`.
        """
        if self.space.is_label:
            return u.argmax(-1)
        if self.space.categorical:
            u = self._collapse(u)
        u = u.to(torch.float64) if self.wide else to_floating(u)
        shift, scale, _ = self._numbers(u.dtype)
        return u * scale + shift

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Scaling:
        """Move to a device.

        Shift and scale stay in float64 whatever the networks' type (`model.half()`).
        """
        before = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # untyped in torch
        for name, buffer in before.items():
            moved = self._buffers[name]
            if moved is not None and moved.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(moved.device)
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._known = None

    def __getstate__(self) -> dict[str, Any]:
        """Without cached values."""
        return {**self.__dict__, "_known": None}

    def log_jacobian(self, x: Tensor) -> float:
        """log |du/dx| of one observation shaped like x[0], in nats.

        Adding it to log p(u) gives log p(x).
        """
        if self.space.categorical:
            raise InvalidValue("categories have no density; drop the categorical columns")
        ones = x.new_ones(x.shape[1:], dtype=torch.float64)
        return -float((ones * self.scale.log().to(ones)).sum())

    def _expand(self, x: Tensor, u: Tensor) -> Tensor:
        """Categories as one-hot blocks.

        An unknown code gives a block of zeros, which has no mass.
        """
        parts = []
        for i, column in enumerate(self.space.columns):
            if column.kind == "categorical":
                count = len(column.categories)
                codes = x[:, i].nan_to_num(-1.0).clamp(-1, count)
                valid = (codes == codes.round()) & (codes >= 0) & (codes < count)
                block = nn.functional.one_hot(torch.where(valid, codes, 0.0).to(torch.int64), count)
                parts.append((block * valid[:, None]).to(u))
            else:
                parts.append(u[:, i : i + 1])
        return torch.cat(parts, 1)

    def _collapse(self, u: Tensor) -> Tensor:
        parts, at = [], 0
        for column in self.space.columns:
            width = len(column.categories) if column.kind == "categorical" else 1
            block = u[:, at : at + width]
            parts.append(
                block.argmax(1, keepdim=True).to(u) if column.kind == "categorical" else block
            )
            at += width
        return torch.cat(parts, 1)


def _without_numbers(kind: ScalingKind, space: Space) -> tuple[Tensor, Tensor]:
    """A shift and a scale of the right shapes on the device 'meta', whose first sum or product
    would import torch's compiler, for seconds.
    """
    shape: tuple[int, ...] = ()
    if kind == "standardised" and space.kind != "points":
        shape = (space.shape[0] or 1,) + (1,) * (len(space.shape) - 1)
    elif kind == "standardised":
        shape = (space.size,)
    elif kind != "identity" and space.kind == "points" and space.shape:
        shape = (len(space.columns),)
    return torch.empty(shape, dtype=torch.float64), torch.empty(shape, dtype=torch.float64)


def find_known_range(column: Column) -> tuple[float, float]:
    """The ends of a column's range.

    They are declared bounds, or 0 and 1 if all values lie between, or else the observed ones.
    """
    if column.lower is not None and column.upper is not None:
        return column.lower, column.upper
    return (0.0, 1.0) if column.low >= 0 and column.high <= 1 else (column.low, column.high)


def _find_range(space: Space, *, known: bool = False) -> tuple[Tensor, Tensor]:
    """Lowest and highest value: one for images, one per column for points.

    Integer levels as cells.
    """
    if space.kind == "points" and space.shape:
        ends = [
            (0.0, 1.0)
            if c.kind == "categorical"
            else find_known_range(c)
            if known
            else (c.low, c.high)
            for c in space.columns
        ]
        low, high = torch.tensor(ends, dtype=torch.float64).reshape(-1, 2).unbind(1)
        half = torch.tensor(
            [0.5 if c.kind == "integer" else 0.0 for c in space.columns], dtype=torch.float64
        )
    else:
        low, high = (
            torch.tensor(space.low, dtype=torch.float64),
            torch.tensor(space.high, dtype=torch.float64),
        )
        half = torch.tensor(0.5 if space.integer else 0.0, dtype=torch.float64)
    low, high = low - half, high + half
    flat = high - low <= ROUNDING * torch.maximum(low.abs(), high.abs())
    unit = _constant_unit(low)
    return torch.where(flat, low - 0.5 * unit, low), torch.where(flat, low + 0.5 * unit, high)


def _standardise(space: Space, moments: Moments) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, by channel for images.

    A spread within rounding counts as none.
    """
    mean, deviation = moments.mean, moments.deviation
    if space.kind != "points":
        channels = space.shape[0] or 1
        by_channel, spreads = mean.reshape(channels, -1), deviation.reshape(channels, -1)
        middle = by_channel.mean(1, keepdim=True)
        apart = by_channel - middle
        size = torch.maximum(
            apart.abs().amax(1, keepdim=True), spreads.amax(1, keepdim=True)
        ).clamp_min(torch.finfo(mean.dtype).tiny)
        joint = (
            size
            * ((spreads / size).square() + (apart / size).square()).mean(1, keepdim=True).sqrt()
        )
        lead = (channels,) + (1,) * (len(space.shape) - 1)
        mean, deviation = middle.reshape(lead), joint.reshape(lead)
    elif space.categorical:
        keep = torch.tensor([c.kind != "categorical" for c in space.columns], device=mean.device)
        mean, deviation = torch.where(keep, mean, 0.0), torch.where(keep, deviation, 1.0)
    return mean, torch.where(deviation > ROUNDING * mean.abs(), deviation, _constant_unit(mean))


def _constant_unit(value: Tensor) -> Tensor:
    """The unit of a coordinate that is always `value`: 1, at most its size, and above its rounding.

    The coordinate then stays constant instead of dividing by zero,
    and a network's output for it stays small beside the value.
    """
    size = value.abs()
    return torch.where(size > 0, size.clamp_max(1.0).maximum(size * 2.0**-40), 1.0)
