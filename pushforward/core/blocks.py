"""Evaluate a network block by block, so that memory grows with the result, not with its layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["map_blocks"]

BLOCK_NUMBERS = 1 << 18
"""Input values per block on the CPU.

A convolutional network's activations are some hundred times as many, about 100 MB.
"""
DEVICE_FACTOR = 64
"""Accelerators use blocks this many times larger, to stay busy."""
FEWEST_ROWS, MOST_ROWS = 16, 4096
"""Below the first, calls cost more than arithmetic.

Above the second, a larger block is no faster and keeps more activations.
"""


def map_blocks(function: Callable[..., Tensor], *rows: Tensor | None, width: int) -> Tensor:
    """Compute function(*rows) block by block and concatenate the results.

    If any of `rows` requires gradients, all rows are evaluated at once and gradients are tracked.

    Args:
        function: maps tensors with leading length b to a tensor with leading length b, row by row.
        rows: tensors with leading length n; None is passed through.
        width: number of values in one observation.
    """
    present = [r for r in rows if r is not None]
    if torch.is_grad_enabled() and any(r.requires_grad for r in present):
        return function(*rows)
    n, device = len(present[0]), present[0].device
    factor = 1 if device.type == "cpu" else DEVICE_FACTOR
    size = factor * min(MOST_ROWS, max(FEWEST_ROWS, BLOCK_NUMBERS // max(1, width)))
    with torch.no_grad():
        if n <= size:
            return function(*rows)
        result: Tensor | None = None
        for start in range(0, n, size):
            part = function(*(None if r is None else r[start : start + size] for r in rows))
            if result is None:  # allocated once: concatenating parts would need twice the memory
                result = part.new_empty((n, *part.shape[1:]))
            result[start : start + len(part)] = part
    assert result is not None
    return result
