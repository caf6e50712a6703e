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
    if n < 2 or _few_repeat(x[:: max(1, n // SAMPLE)].numpy()):
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
    """The bumps with equal ones merged, their weights added, and the group (n,) of each.

    The same bumps, and no groups, if few are equal.
    """
    n, none = len(bumps.points), torch.empty(0, dtype=torch.int64)
    step = max(1, n // SAMPLE)
    if n <= MANY or _few_repeat(bumps.points[::step].numpy(), bumps.scales[::step].numpy()):
        return bumps, none
    ties = find_ties(torch.cat([bumps.points, bumps.scales[:, None]], 1))
    if ties is None:
        return bumps, none
    first, group = ties
    log_weights = _log_sums(bumps.log_weights, group, len(first))
    return replace(bumps.take(first), log_weights=log_weights), group


def _few_repeat(x: np.ndarray, more: np.ndarray | None = None) -> bool:
    """Whether few of the rows (k, d), with numbers (k,) beside them, occur more than once."""
    keys = np.sort(_hash(x if more is None else np.column_stack([x, more])))
    return int((keys[1:] != keys[:-1]).sum()) + 1 > (1 - FEWEST) * len(keys)


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
