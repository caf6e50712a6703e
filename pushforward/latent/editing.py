r"""Editing on the manifold of a generator: the samples nearest to what strokes ask for (Zhu,
Krähenbühl, Shechtman & Efros 2016, https://arxiv.org/abs/1609.03552, §3.2).

    argmin_z  ⟨(g(z) - c)²⟩_colour + λ_s ⟨(H(g(z)) - H(s))²⟩_sketch + λ_z mean ((z - z_0)/s_z)²

⟨·⟩_m is a mean weighted by a mask m, with levels in 0..1; c are the colours of strokes, s a sketch,
H histograms of oriented gradients, z_0 the code before the edit, s_z the standard deviations of the
prior. Several candidates start around z_0 and are minimised at once; those that end far worse than
the best are left out.

Differences: each candidate by L-BFGS, which never makes it worse, in place of Adam's fixed steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, require_positive
from pushforward.core.random import Rng, generator, uniform
from pushforward.core.space import Space
from pushforward.data.pairings import luma
from pushforward.latent.code_distribution import CodeDistribution, infer_code_distribution
from pushforward.latent.decoding import is_shared
from pushforward.latent.descent import descend
from pushforward.latent.projection import Projectable
from pushforward.nets.gradient_histograms import gradient_histograms

__all__ = ["Edited", "Strokes", "edit"]

SKETCH, KEEP = 0.2, 0.01
"""λ_s as in the authors' program, and λ_z. Theirs is 5, for codes within ±1; here, where codes are
standardised, a stroke would then hardly arrive.
"""
SPREAD = 0.5
"""Of the uniform noise around z_0 that candidates start with, in standard deviations."""
TRIED = 32
"""Candidates minimised, of which the best are kept."""
CELLS = 8
"""Cells of the histograms along the shorter side."""


@dataclass(frozen=True)
class Strokes:
    """What an edit asks of an image; each part may be left out.

    Args:
        colour: levels (c, h, w), user's units, where `colour_mask` is above 0.
        colour_mask: (h, w), from 0, free, to 1.
        sketch: lines (h, w), from 0 to 1.
        sketch_mask: (h, w): where the image should look like the sketch; around its lines if not
            given.
    """

    colour: Tensor | None = None
    colour_mask: Tensor | None = None
    sketch: Tensor | None = None
    sketch_mask: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.colour is None) != (self.colour_mask is None):
            raise InvalidValue("colours and the mask of where they go belong together; pass both")
        if self.sketch is None and self.sketch_mask is not None:
            raise InvalidValue("a sketch_mask needs a sketch; pass both")
        if self.colour is None and self.sketch is None:
            raise InvalidValue("an edit asks for colours, a sketch or both; pass one of them")
        for name in ("colour_mask", "sketch", "sketch_mask"):
            mask = getattr(self, name)
            if mask is not None and not bool(((mask >= 0) & (mask <= 1)).all()):
                raise InvalidValue(f"{name} lies between 0 and 1; scale it")
        for name in ("colour_mask", "sketch"):
            mask = getattr(self, name)
            if mask is not None and not bool((mask > 0).any()):
                raise InvalidValue(f"{name} is empty; draw something")


@dataclass(frozen=True)
class Edited:
    """Candidates, the best first.

    Args:
        codes: (k, latent).
        x: decoded (k, *shape), user's units.
        cost: of each (k,).
        before: the cost at z_0.
    """

    codes: Tensor
    x: Tensor
    cost: Tensor
    before: float


@dataclass(frozen=True)
class _Problem:
    """The objective of candidates, row by row."""

    model: Projectable
    y: Conditioning
    strokes: Strokes
    start: Tensor
    distribution: CodeDistribution
    sketch: float
    keep: float

    @property
    def space(self) -> Space:
        return self.model.fitted_space()

    def fractions(self, x: Tensor) -> Tensor:
        """User's units as shares of the range of levels."""
        return (x - self.space.low) / (self.space.high - self.space.low)

    def objective(self, z: Tensor, rows: Tensor | slice) -> Tensor:
        """The cost of codes (m, latent): (m,)."""
        made = self.fractions(self.model.decode(z, self.y))
        cost = self.keep * self._far(z)
        strokes = self.strokes
        if strokes.colour is not None and strokes.colour_mask is not None:
            error = (made - self.fractions(strokes.colour)).square().mean(1)
            cost = cost + _weighted(error, strokes.colour_mask)
        if strokes.sketch is not None:
            cell = max(2, min(made.shape[-2:]) // CELLS)
            wanted = gradient_histograms(strokes.sketch[None, None], cell=cell)
            error = (gradient_histograms(luma(made), cell=cell) - wanted).square().sum(1)
            mask = strokes.sketch_mask
            touched = wanted.abs().amax((0, 1)) if mask is None else _cells(mask, cell)
            cost = cost + self.sketch * _weighted(error, touched)
        return cost

    def _far(self, z: Tensor) -> Tensor:
        free = self.distribution.scale > 0
        return ((z - self.start)[:, free] / self.distribution.scale[free]).square().mean(1)


def edit(
    model: object,
    codes: Tensor,
    strokes: Strokes,
    y: Conditioning = None,
    *,
    candidates: int = 9,
    steps: int = 40,
    sketch: float = SKETCH,
    keep: float = KEEP,
    distribution: CodeDistribution | None = None,
    rng: Rng = None,
) -> Edited:
    """Observations that a model can make, with what strokes ask for and otherwise like the start.

    Args:
        model: that decodes codes to images: a GAN, a VAE, PCA, …
        codes: of the image before (1, latent), such as `project` finds.
        y: its condition.
        candidates: kept at most, of 32.
        steps: of L-BFGS at most.
        sketch: λ_s.
        keep: λ_z.
        distribution: of the codes, from `infer_code_distribution`; the model's prior by default.
        rng: of where candidates start; the first starts at z_0 itself.

    Raises:
        InvalidKind: For models that do not decode codes, or of other than images.
        ShapeMismatch: For strokes of another size than the images.
    """
    require_positive(candidates=candidates, steps=steps)
    if not isinstance(model, Decodes):
        raise InvalidKind(f"{type(model).__name__} does not decode codes, so it edits no images")
    able = cast(Projectable, model)
    space = able.fitted_space()
    if space.kind != "images":
        raise InvalidKind(f"edits are of images, but this model makes {space}")
    if codes.ndim != 2 or len(codes) != 1:
        raise ShapeMismatch(f"expected the code (1, latent) of one image, got {tuple(codes.shape)}")
    if not is_shared(y):
        raise ShapeMismatch("expected one condition, that of the image")
    start = codes.detach().to(able.device, able.floating())
    problem = _Problem(
        able,
        y,
        _conform(strokes, space, start),
        start,
        infer_code_distribution(model) if distribution is None else distribution,
        sketch,
        keep,
    )
    noise = 2 * uniform(TRIED - 1, start.shape[1], rng=generator(rng, start.device), like=start) - 1
    scattered = start + SPREAD * noise * problem.distribution.scale.to(start)
    z, cost = descend(problem.objective, torch.cat([start, scattered]), steps)
    kept = _good(cost, candidates)
    with torch.no_grad():
        before = float(problem.objective(start, slice(None)))
        made = able.decode(z[kept], y)
    return Edited(z[kept], made, cost[kept], before)


def _good(cost: Tensor, most: int) -> Tensor:
    """The numbers of the best candidates, those below twice the mean of the best half's half."""
    order = cost.argsort()
    best = order[: len(order) // 2]
    limit = 2 * cost[best[: max(1, len(best) // 2)]].mean()
    return best[cost[best] <= limit][:most]


def _conform(strokes: Strokes, space: Space, like: Tensor) -> Strokes:
    """The strokes as tensors of the images' size."""
    channels, height, width = space.shape
    sizes = {"colour": (channels, height, width)}
    parts = {}
    for name in ("colour", "colour_mask", "sketch", "sketch_mask"):
        part, size = getattr(strokes, name), sizes.get(name, (height, width))
        if part is not None and tuple(part.shape) != size:
            raise ShapeMismatch(
                f"{name} must have the size of the images, {'×'.join(map(str, size))}, got"
                f" {'×'.join(map(str, part.shape))}; resize it"
            )
        parts[name] = None if part is None else torch.as_tensor(part).to(like)
    return Strokes(**parts)


def _weighted(error: Tensor, mask: Tensor) -> Tensor:
    """The mean of errors (m, h, w) by a mask (h, w): (m,)."""
    return (error * mask).flatten(1).sum(1) / mask.sum()


def _cells(mask: Tensor, cell: int) -> Tensor:
    """A mask (h, w) by cells of histograms."""
    height, width = (side // cell * cell for side in mask.shape)
    blocks = mask[:height, :width].reshape(height // cell, cell, width // cell, cell)
    return blocks.amax((1, 3))
