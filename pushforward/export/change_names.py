"""Names for what a number of a code changes, from observations with less and with more of it.

An image may change as a whole, in its colours, or in parts: the share of |Δ| that a simple pattern
explains says which. A clip changes as the mean of its frames does, or in its motion, if that
mean changes by less than half as much as the frames. Points change in columns, which are named.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.core.space import Space

__all__ = ["name_changes"]

CLEAR = 0.5
"""Share of a change, or correlation with a pattern, from which it is named after it."""
NOTABLE = 0.4
"""Change of a column beside the column that changes most, from which it is named as well."""


def name_changes(space: Space, runs: Sequence[Tensor]) -> list[str]:
    """A name for each run of observations (steps, *shape); equal names are numbered."""
    name = {"points": _points, "clips": _clips}.get(space.kind, _images)
    names = [name(space, (run[-1] - run[0]).double().cpu()) for run in runs]
    return [
        f"{each} {names[: i + 1].count(each)}" if names.count(each) > 1 else each
        for i, each in enumerate(names)
    ]


def _points(space: Space, change: Tensor) -> str:
    size = change.abs() / torch.tensor(space.ranges).double().clamp_min(1e-30)
    most = float(size.max())
    columns = [name for name, s in zip(space.names, size.tolist()) if s >= NOTABLE * most]
    return (
        " and ".join(columns) if len(columns) < 3 else f"{columns[0]} and {len(columns) - 1} more"
    )


def _clips(space: Space, change: Tensor) -> str:
    still = change.mean(1)  # over frames
    moves = float(still.abs().mean()) < CLEAR * float(change.abs().mean())
    return "motion" if moves else _images(space, still)


def _images(space: Space, change: Tensor) -> str:
    grey, size = change.mean(0), change.abs().sum() + 1e-30
    if float(change.sum().abs() / size) > CLEAR:
        return "brightness"
    if len(change) == 3 and float((change - grey).abs().sum() / size) > CLEAR:
        return "colour"
    y = torch.linspace(-1, 1, change.shape[1], dtype=torch.float64)[:, None].expand_as(grey)
    x = torch.linspace(-1, 1, change.shape[2], dtype=torch.float64)[None].expand_as(grey)
    patterns = {
        "left and right": x,
        "top and bottom": y,
        "slant": x * y,
        "middle and edge": (x.square() + y.square()).sqrt(),
        "height": y.abs(),
        "width": x.abs(),
    }
    shares = {name: _correlation(grey, pattern) for name, pattern in patterns.items()}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > CLEAR / 2 else "shape"


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(((a * b).sum() / (a.norm() * b.norm() + 1e-30)).abs())
