"""Distances between two sets of samples."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["energy_distance"]


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """2 E‖X - Y‖ - E‖X - X'‖ - E‖Y - Y'‖, unbiased (Székely & Rizzo 2013,
    https://doi.org/10.1016/j.jspi.2013.03.018, Eq. 2); a scalar, at least in single precision, with
    mean 0 for equal distributions.
    """
    x, y = (rows.flatten(1).to(torch.promote_types(rows.dtype, torch.float32)) for rows in (x, y))
    n, m = len(x), len(y)
    within_x = torch.cdist(x, x).sum() / (n * (n - 1))
    within_y = torch.cdist(y, y).sum() / (m * (m - 1))
    return 2 * torch.cdist(x, y).mean() - within_x - within_y
