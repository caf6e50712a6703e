"""The start of a mixture in compiled loops: rows in its coordinates, and clusters of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.models.classical.starts import LLOYD_STEPS

__all__ = [
    "Clusters",
    "assign_in_loops",
    "move_in_loops",
    "spread_in_loops",
    "standardise_in_loops",
]

LEAST_PIECE = 1 << 16
"""Numbers to standardise that are worth a thread."""
DIVISORS = (1e-300, 1e300)
"""Units whose reciprocals are normal numbers."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Clusters:
    """The nearest centre of each row (n,), and each centre's Σ w (k,) and Σ w x (k, d)."""

    owner: Tensor
    count: Tensor
    total: Tensor

    def means(self) -> Tensor:
        """The mean of each centre's rows (k, d), 0 where there are none."""
        return self.total / self.count.clamp_min(1e-300)[:, None]


def standardise_in_loops(
    x: Tensor, shift: Tensor, scale: Tensor, dtype: torch.dtype
) -> Tensor | None:
    """(x - shift) / scale of rows on the CPU, flattened (n, d), one coordinate after the other.

    It is computed in float64 and then rounded to `dtype`. None where a loop cannot divide by these
    units.
    """
    from pushforward.core.threads import in_threads
    from pushforward.models.classical.start_loops import standardise

    rows = x if x.dtype in (torch.float32, torch.float64) else x.to(torch.float64)
    flat = rows.flatten(1).contiguous().numpy()
    units = scale.numpy()
    if not len(units) or not (DIVISORS[0] < units.min() and units.max() < DIVISORS[1]):
        return None
    out = torch.empty(flat.shape[::-1], dtype=dtype)
    how = flat, shift.contiguous().numpy(), np.ascontiguousarray(units)
    least = 1 + LEAST_PIECE // len(units)
    call: Any = standardise
    in_threads(lambda a, b: call(*how, a, b, out.numpy()), len(flat), least=least)
    return out.T


def assign_in_loops(x: Tensor, w: Tensor | None, centres: Tensor) -> Clusters:
    """The clusters of rows x (n, d) with weights w (n,) about centres (k, d), in float64."""
    from pushforward.core.threads import in_threads
    from pushforward.models.classical.mixture_loops import BLOCK
    from pushforward.models.classical.start_loops import assign

    rows, (k, d) = x.T.contiguous().numpy(), centres.shape
    blocks = -(-len(x) // BLOCK)
    owner: Any = np.empty(len(x), np.int64)
    sums = np.zeros((blocks, k, 1 + d))
    how: Any = rows, _weights(w), centres.contiguous().numpy()
    call: Any = assign
    in_threads(lambda a, b: call(*how, a, b, owner, sums), blocks, least=1)
    whole = torch.from_numpy(sums.sum(0))
    return Clusters(torch.from_numpy(owner), whole[:, 0], whole[:, 1:])


def move_in_loops(x: Tensor, w: Tensor | None, centres: Tensor) -> Tensor:
    """As `starts.move_centres`."""
    before = None
    for _ in range(LLOYD_STEPS):
        clusters = assign_in_loops(x, w, centres)
        if before is not None and bool((clusters.owner == before).all()):
            break
        before = clusters.owner
        centres = torch.where(clusters.count[:, None] > 0, clusters.means(), centres)
    return centres


def spread_in_loops(x: Tensor, w: Tensor | None, clusters: Clusters) -> tuple[Tensor, Tensor]:
    """Squares of rows x (n, d) about the means of their clusters.

    Returns:
        Σ w (x - mean)² (d,), and the largest |x| (d,).
    """
    from pushforward.core.threads import in_threads
    from pushforward.models.classical.mixture_loops import BLOCK
    from pushforward.models.classical.start_loops import find_spread

    rows, blocks = x.T.contiguous().numpy(), -(-len(x) // BLOCK)
    sums, size = np.empty((blocks, len(rows))), np.empty((blocks, len(rows)))
    how: Any = rows, _weights(w), clusters.means().numpy(), clusters.owner.numpy()
    call: Any = find_spread
    in_threads(lambda a, b: call(*how, a, b, sums, size), blocks, least=1)
    return torch.from_numpy(sums.sum(0)), torch.from_numpy(size.max(0))


def _weights(w: Tensor | None) -> Array:
    """Weights in float64, empty for none."""
    return np.empty(0) if w is None else np.ascontiguousarray(w.to(torch.float64).numpy())
