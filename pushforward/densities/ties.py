"""Rows that occur many times, found by a hash of their bits: a lattice has few distinct rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.direct_sums import Bumps

__all__ = ["MANY", "find_ties", "merge_ties"]

MANY = 1000  # rows from which ties are looked for

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


def merge_ties(bumps: Bumps) -> tuple[Bumps, Tensor]:
    """The bumps with equal ones merged, their weights added, and the group (n,) of each."""
    n = len(bumps.points)
    if n <= MANY:
        return bumps, torch.arange(n)
    ties = find_ties(torch.cat([bumps.points, bumps.scales[:, None]], 1))
    if ties is None:
        return bumps, torch.arange(n)
    first, group = ties
    log_weights = _log_sums(bumps.log_weights, group, len(first))
    return replace(bumps.take(first), log_weights=log_weights), group


def _hash(x: np.ndarray) -> np.ndarray:
    """(n,) keys of rows (n, d), equal for equal rows; -0 and 0 are equal."""
    bits = (x + 0.0).view(np.uint64)
    keys = np.zeros(len(x), dtype=np.uint64)
    for axis in range(x.shape[1]):
        keys = (keys ^ (keys >> np.uint64(29))) * np.uint64(FACTORS[axis % 3]) + bits[:, axis]
    keys *= np.uint64(FACTORS[0])
    return keys ^ (keys >> np.uint64(32))


def _log_sums(values: Tensor, group: Tensor, count: int) -> Tensor:
    """(count,) log of the sum of exp of the finite values (n,) in each group."""
    largest = values.max()
    sums = torch.bincount(group, (values - largest).exp(), minlength=count)
    return sums.log() + largest
