"""Kernel sums on an accelerator: every term, by matrix products in float64.

The terms are those of `direct_sums`, in larger blocks, so the result is exact up to rounding as on
the CPU. Trees and Fourier sums stay on the CPU; `choose` compares the predicted costs.
"""

import torch
from torch import Tensor

from pushforward.densities.direct_sums import Bumps, log_sums

__all__ = ["DeviceSums"]

PAIR_SECONDS = 5e-11
"""Predicted seconds per term: six passes over a block of float64 at 1 TB/s, the memory rate of
cards of 2020. Cards with little float64 arithmetic are slower, newer ones four times as fast.
"""
START_SECONDS = 1e-3
"""Predicted seconds per call: transfers and launches."""
PAIRS = 1 << 25
"""Terms per block: 256 MiB, large enough that launches do not count."""


class DeviceSums:
    """The direct sums of bumps on any device, where a copy of the bumps is kept.

    Args:
        bumps: on the CPU.
    """

    def __init__(self, bumps: Bumps) -> None:
        self._bumps, self._copies = bumps, dict[torch.device, Bumps]()

    def seconds(self, m: int) -> float:
        """Predicted seconds for m queries."""
        return START_SECONDS + PAIR_SECONDS * len(self._bumps.points) * m

    def log_sums(self, queries: Tensor, device: torch.device) -> Tensor:
        """(m,) log f at the (m, d) `queries`, computed on `device`."""
        if device not in self._copies:
            self._copies[device] = self._bumps.to(device)
        return log_sums(self._copies[device], queries.to(device), pairs=PAIRS)
