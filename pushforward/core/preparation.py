"""Preparation of data for a density: integer levels are dequantised, x + u with u ~ U(-½, ½).

A density on integers has no upper bound: put a spike on every level and it grows for ever. With
uniform noise the level v becomes the cell [v - ½, v + ½), and the expected log-density of the noisy
data bounds the log-mass of the levels from below (Theis, van den Oord & Bethge 2016, A note on the
evaluation of generative models, Eq. 5, https://arxiv.org/abs/1511.01844).

The noise of a row depends only on the seed and the row's number: not on the model, the split, the
block size, or whether the rows are in memory. All models in a comparison therefore see the same
noisy data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.phase import Batch
from pushforward.core.random import derive, generator
from pushforward.core.source import Source
from pushforward.core.source_views import Subset, View
from pushforward.core.space import Space

__all__ = ["DequantisedSource", "Preparation", "dequantise", "has_integers", "has_levels"]

NOISE_ROWS = 4096
"""Rows that share a noise stream: reading one row generates noise for at most this many."""
KEPT_BYTES = 1 << 30
"""Noisy copies of resident data are cached up to this size, in bytes; larger ones are regenerated.
"""


@dataclass(frozen=True)
class Preparation:
    """How data are prepared for fitting and measuring.

    Args:
        dequantise: U(-½, ½) is added to integer levels.
        binarise: values are sampled as the ends of their range.
        seed: of the noise in measurements (and in fits of models
            that are not trained by gradients).
    """

    dequantise: bool = False
    binarise: bool = False
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain content for model.json."""
        return asdict(self)


class DequantisedSource(View):
    """A source with uniform noise on integer coordinates: x + u with u ~ U(-½, ½).

    The noise is the same at each read.

    Args:
        source: of the levels; each stands for the cell around it.
        seed: of the noise.
    """

    def __init__(self, source: Source, seed: int = 0) -> None:
        super().__init__(source)
        self.seed = seed
        self._mask = _integer_mask(source.space)
        self._noise: tuple[int, Tensor] | None = None

    @property
    def resident(self) -> bool:
        """False: reading a row generates its block's noise, so rows are best read in order."""
        return False

    def take(self, rows: Tensor) -> Batch:
        """The given rows with their noise."""
        batch = self.source.take(rows)
        noise = torch.empty(batch.x.shape, dtype=torch.float64, device=batch.x.device)
        places = torch.div(rows, NOISE_ROWS, rounding_mode="floor")
        for block in places.unique().tolist():
            at = (places == block).nonzero()[:, 0]
            noise[at] = self._of_block(block, batch.x.shape[1:])[rows[at] - block * NOISE_ROWS].to(
                noise
            )
        return Batch(_add_noise(batch.x, noise, self._mask), batch.y, batch.weights)

    def _of_block(self, block: int, shape: tuple[int, ...]) -> Tensor:
        """The noise of NOISE_ROWS rows (or of the remaining ones); the last block is cached."""
        if self._noise is None or self._noise[0] != block:
            path: tuple[str | int, ...] = ("dequantise",) if block == 0 else ("dequantise", block)
            count = min(NOISE_ROWS, len(self.source) - block * NOISE_ROWS)
            stream = generator(derive(self.seed, *path))
            self._noise = (
                block,
                torch.rand(count, *shape, generator=stream, dtype=torch.float64) - 0.5,
            )
        return self._noise[1]


def dequantise(source: Source, seed: int = 0) -> Source:
    """The source with seeded noise on integer coordinates; unchanged if it has none."""
    if not has_integers(source.space):
        return source
    if isinstance(source, Subset):
        return Subset(dequantise(source.source, seed), source.rows, source.name, source.provenance)
    noisy = DequantisedSource(source, seed)
    if (
        not (isinstance(source, Arrays) and source.resident)
        or len(source) * source.space.size * 4 > KEPT_BYTES
    ):
        return noisy
    return _keep(noisy, source)


def has_levels(space: Space) -> bool:
    """Whether observations are images or clips of integer levels.

    Densities dequantise these by default.
    """
    return space.kind != "points" and space.integer


def has_integers(space: Space) -> bool:
    """Whether any coordinate is an integer."""
    return bool(_integer_mask(space).any())


def _keep(noisy: DequantisedSource, source: Arrays) -> Arrays:
    x: Tensor | None = None
    for start in range(0, len(source), NOISE_ROWS):
        part = noisy.take(torch.arange(start, min(start + NOISE_ROWS, len(source)))).x
        if x is None:
            x = torch.empty((len(source), *part.shape[1:]), dtype=part.dtype, device=part.device)
        x[start : start + len(part)] = part
    assert x is not None  # no source is empty
    kept = Arrays(
        x,
        source.y,
        source.weights,
        space=source.space,
        condition_space=source.condition_space,
        name=source.name,
    )
    kept.unrequested_labels, kept.files, kept.provenance = (
        source.unrequested_labels,
        source.files,
        source.provenance,
    )
    return kept


def _add_noise(x: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
    # Added in float64: a level of 2^24 has no room for a fraction in float32.
    wide = x.to(torch.float64) + torch.where(mask.to(x.device), noise, 0.0)
    return wide.to(x.dtype) if x.dtype.is_floating_point else wide


def _integer_mask(space: Space) -> Tensor:
    """Which coordinates are integers, broadcastable to one observation."""
    if space.kind == "points" and space.shape:
        return torch.tensor([c.kind == "integer" for c in space.columns], dtype=torch.bool)
    return torch.tensor(space.integer)
