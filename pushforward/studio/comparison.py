"""How far a model's samples are from the data, again and again while it learns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.core.capabilities import Samples
from pushforward.core.source import Source
from pushforward.data.formats.builtin import centres
from pushforward.metrics.grid_divergences import grid_divergences
from pushforward.metrics.modes import modes
from pushforward.objectives.distances import energy_distance
from pushforward.studio.layers import Plane

__all__ = ["Comparison", "spread_rows"]

COMPARED, SHOWN = 1000, 2000
"""Rows that samples are compared with, and rows that are drawn."""
SPREADS = {"eight_gaussians": 0.01, "grid": 0.05}
"""Standard deviations of the modes of data whose modes are known."""


class Comparison:
    """Rows of points in the plane, and measures of samples against them.

    Args:
        source: of the rows.
        name: of built-in data, whose modes may be known; '' for others.
    """

    def __init__(self, source: Source, name: str = "") -> None:
        self.shown = spread_rows(source, SHOWN)
        self.plane = Plane.around(self.shown)
        self._rows = spread_rows(source, COMPARED).to(torch.float64)
        spread = self._rows.std(0)
        self._scale = torch.where(spread > 0, spread, 1.0)
        self._modes = (centres(name), SPREADS[name]) if name in SPREADS else None
        self._others = spread_rows(source, COMPARED, 1).to(torch.float64)

    @property
    def floor(self) -> dict[str, float]:
        """The divergences of as many other rows of the data: no samples can be expected below."""
        if len(self._others) < len(self._rows):
            return {}
        low, high = self.plane.low, self.plane.high
        kl, js = grid_divergences(self._rows, self._others, low, high)
        return {"kl": kl, "js": js}

    @property
    def compared(self) -> int:
        """The number of rows, and of samples."""
        return len(self._rows)

    def measure(self, model: Samples) -> dict[str, Any]:
        """Energy distance with every column in standard deviations of the data; KL(data ‖ samples)
        and JS on a grid over what is shown, nats; and modes covered, where they are known.

        Nothing if samples are not finite.
        """
        samples = model.sample(self.compared, rng=1).cpu().to(torch.float64)
        if not bool(samples.isfinite().all()):
            return {}
        kl, js = grid_divergences(self._rows, samples, self.plane.low, self.plane.high)
        x, y = ((each / self._scale).float() for each in (samples, self._rows))
        distance = energy_distance(x, y)  # of standardised rows float32 is exact enough, and fast
        found: dict[str, Any] = {"energy": float(distance), "kl": kl, "js": js}
        if self._modes is not None:
            covered, good, *_ = modes(samples, *self._modes)
            found |= {"modes": covered.value, "of": len(self._modes[0]), "good": good.value}
        return found


def spread_rows(source: Source, most: int, first: int = 0) -> Tensor:
    """At most so many rows, evenly spaced from a first one on."""
    count = len(source)
    return source.take(torch.arange(first, count, -(-count // most))).x
