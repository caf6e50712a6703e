"""Many rows through a network a block at a time,
so that memory follows the result and not the layers in between.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["map_blocks"]

BLOCK_NUMBERS = 1 << 18
"""Numbers of the data's own kind in a block on the CPU:
a convolutional network holds some hundred times as many, 100 MB.
"""
DEVICE_FACTOR = 64
"""Accelerators take so many times more, to be kept busy."""
FEWEST_ROWS, MOST_ROWS = 16, 4096


def map_blocks(function: Callable[..., Tensor], *rows: Tensor | None, width: int) -> Tensor:
    """function(*rows), computed a block of rows at a time and put together.

    Gradients are followed, and all rows taken at once, only if one of `rows` asks for them.

    Args:
        function: tensors with leading length b to a tensor with
            leading length b, each row by itself.
        rows: tensors with leading length n; None is passed on.
        width: how many numbers one observation is.
    """
    given = [r for r in rows if r is not None]
    if torch.is_grad_enabled() and any(r.requires_grad for r in given):
        return function(*rows)
    n, device = len(given[0]), given[0].device
    factor = 1 if device.type == "cpu" else DEVICE_FACTOR
    size = factor * min(MOST_ROWS, max(FEWEST_ROWS, BLOCK_NUMBERS // max(1, width)))
    with torch.no_grad():
        if n <= size:
            return function(*rows)
        result: Tensor | None = None
        for start in range(0, n, size):
            part = function(*(None if r is None else r[start : start + size] for r in rows))
            if result is None:  # allocated once: a list of parts would need the memory twice
                result = part.new_empty((n, *part.shape[1:]))
            result[start : start + len(part)] = part
    assert result is not None
    return result
