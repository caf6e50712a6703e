"""Rows that occur many times, found by a hash of their bits: a lattice has few distinct rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["find_ties"]

SAMPLE = 4096  # rows looked at first
FEWEST = 0.01  # share of repeated rows in the sample below which ties are not worth merging
FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)  # odd, from xxHash


def find_ties(x: Tensor) -> tuple[Tensor, Tensor] | None:
    """A row of each group of equal rows (k,), and the group of each row (n,); None if few repeat.

    Rows of (n, d) float64 are equal if all their numbers are; now and then a group is split in two.
    """
    n = len(x)
    if n < 2:
        return None
    some = _hash(x[:: max(1, n // SAMPLE)].numpy())
    if len(np.unique(some)) > (1 - FEWEST) * len(some):
        return None
    keys = _hash(x.numpy())
    order = torch.from_numpy(np.argsort(keys, kind="stable"))
    ordered = x[order]
    new = torch.ones(n, dtype=torch.bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    group = torch.empty(n, dtype=torch.int64)
    group[order] = new.cumsum(0) - 1
    return order[new], group


def _hash(x: np.ndarray) -> np.ndarray:
    """(n,) keys of rows (n, d), equal for equal rows; -0 and 0 are equal."""
    bits = (x + 0.0).view(np.uint64)
    keys = np.zeros(len(x), dtype=np.uint64)
    for axis in range(x.shape[1]):
        keys = (keys ^ (keys >> np.uint64(29))) * np.uint64(FACTORS[axis % 3]) + bits[:, axis]
    keys *= np.uint64(FACTORS[0])
    return keys ^ (keys >> np.uint64(32))
