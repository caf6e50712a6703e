r"""Editing on the manifold of a generator: the samples nearest to what strokes ask for (Zhu,
Krähenbühl, Shechtman & Efros 2016, https://arxiv.org/abs/1609.03552, §3.2).

    argmin_z  ⟨(g(z) - c)²⟩_colour + λ_s ⟨(H(g(z)) - H(s))²⟩_sketch
              + ⟨(g(z) - g(z_0))²⟩_fixed + λ_r ⟨(g(z) - g(z_0))²⟩_rest
              + λ_z mean ((z - z_0)/s_z)² + λ_o mean max(0, |z - m_z|/s_z - 3)²

⟨·⟩_m is a mean weighted by a mask m, with levels in 0..1; c are the colours of strokes, s a sketch,
H histograms of oriented gradients, z_0 the code before the edit, m_z and s_z the means and standard
deviations of the prior; the rest is what is neither painted nor sketched. Parts that are dragged
ask for the colours and the gradients of the warped image around their targets. Half of the
candidates start around z_0, and half at those of many samples of the prior that cost least, as
nothing slopes towards what is far away: a mouth that is painted elsewhere, the target of a long
drag. All are minimised at once; those that end far worse than the best, and those that look like a
better one, are left out.

Differences: each candidate by L-BFGS, which never makes it worse, in place of Adam's fixed steps;
λ_r, as nearness of codes alone changes much that nobody asked about; λ_o in place of a code that is
clipped; candidates that differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from pushforward.core.capabilities import Decodes
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, require_positive
from pushforward.core.random import Rng, generator, uniform
from pushforward.core.space import Space
from pushforward.data.pairings import luma
from pushforward.latent.code_distribution import CodeDistribution, infer_code_distribution
from pushforward.latent.decoding import is_shared
from pushforward.latent.descent import descend
from pushforward.latent.paths import interpolate
from pushforward.latent.projection import Projectable
from pushforward.latent.strokes import Strokes, conform_strokes, dragged
from pushforward.nets.gradient_histograms import gradient_histograms

__all__ = ["Edited", "edit"]

SKETCH, KEEP = 0.2, 0.001
"""λ_s as in the authors' program, and λ_z. Theirs is 5, for codes within ±1; here, where codes are
standardised and λ_r holds the rest, a smile drawn on a sad face arrives with 0.001, not with 0.01.
"""
REST = 0.1
"""λ_r: with 0, a stroke on a DCGAN's digit changed twice as much elsewhere."""
ALIKE = 0.02
"""Root mean square difference of two images, of the range, below which one of them is shown."""
OUTSIDE, REACH = 1.0, 3.0
"""λ_o, and the standard deviations of the prior within which codes stay: beyond, a model makes what
no data look like, such as green skin for a mouth that is half drawn.
"""
SPREAD = 0.5
"""Of the uniform noise around z_0 that candidates start with, in standard deviations."""
TRIED = 32
"""Candidates minimised, of which the best are kept."""
SCREENED, AT_ONCE = 256, 64
"""Samples of the prior whose cost is looked at, and how many at a time."""
CELLS = 8
"""Cells of the histograms along the shorter side."""


@dataclass(frozen=True)
class Edited:
    """Candidates, the best first.

    Args:
        codes: (k, latent).
        x: decoded (k, *shape), user's units.
        cost: of each (k,).
        before: the cost at z_0.
        start: z_0 (1, latent).
    """

    codes: Tensor
    x: Tensor
    cost: Tensor
    before: float
    start: Tensor

    def path(self, candidate: int = 0, steps: int = 16) -> Tensor:
        """Codes (steps, latent) from the start to a candidate, as for a slider."""
        if not 0 <= candidate < len(self.codes):
            raise InvalidValue(
                f"candidate must be from 0 to {len(self.codes) - 1}, got {candidate}"
            )
        return interpolate(self.start[0], self.codes[candidate], steps)


@dataclass(frozen=True)
class _Problem:
    """The objective of candidates, row by row.

    Args:
        levels: images (c, h, w), in 0..1, each with the mask of where it is wanted, and its weight.
        gradients: histograms (1, bins, rows, columns), each with the mask of its cells.
        cell: of the histograms, pixels a side.
        keep: λ_z, and sketch: λ_s.
    """

    model: Projectable
    y: Conditioning
    levels: list[tuple[Tensor, Tensor, float]]
    gradients: list[tuple[Tensor, Tensor]]
    cell: int
    start: Tensor
    distribution: CodeDistribution
    sketch: float
    keep: float

    def objective(self, z: Tensor, rows: Tensor | slice) -> Tensor:
        """The cost of codes (m, latent): (m,)."""
        made = _fractions(self.model.decode(z, self.y), self.model.fitted_space())
        cost = self.keep * self._far(z) + OUTSIDE * self._outside(z)
        for wanted, mask, weight in self.levels:
            cost = cost + weight * _weighted((made - wanted).square().mean(1), mask)
        if self.gradients:
            histograms = gradient_histograms(luma(made), cell=self.cell)
            for wanted, mask in self.gradients:
                cost = cost + self.sketch * _weighted((histograms - wanted).square().sum(1), mask)
        return cost

    def _far(self, z: Tensor) -> Tensor:
        free = self.distribution.scale > 0
        return ((z - self.start)[:, free] / self.distribution.scale[free]).square().mean(1)

    def _outside(self, z: Tensor) -> Tensor:
        """By how much codes leave the range of the prior, or of z_0 where that is outside."""
        centre, scale = self.distribution.centre.to(z), self.distribution.scale.to(z)
        free = scale > 0
        away, first = (((c - centre)[:, free] / scale[free]).abs() for c in (z, self.start))
        return (away - first.clamp_min(REACH)).clamp_min(0).square().mean(1)


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
    rest: float = REST,
    distribution: CodeDistribution | None = None,
    rng: Rng = None,
) -> Edited:
    """Observations that a model can make, with what strokes ask for and otherwise like the start.

    Args:
        model: that decodes codes to images: a GAN, a VAE, PCA, …
        codes: of the image before (1, latent), such as `project` finds.
        y: its condition.
        candidates: kept at most, of 32: fewer, if only so many of them differ.
        steps: of L-BFGS at most.
        sketch: λ_s.
        keep: λ_z.
        rest: λ_r; nothing holds the rest where parts are dragged, as these leave it.
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
    with torch.no_grad():
        before = _fractions(able.decode(start, y), space)[0]
    wanted = conform_strokes(strokes, space, start)
    cell = max(2, min(before.shape[-2:]) // CELLS)
    problem = _Problem(
        able,
        y,
        _wanted_levels(wanted, before, space, rest),
        _wanted_gradients(wanted, before, cell),
        cell,
        start,
        infer_code_distribution(model) if distribution is None else distribution,
        sketch,
        keep,
    )
    starts = _starts(problem, rng)
    z, cost = descend(problem.objective, starts, steps)
    good = _good(cost)
    with torch.no_grad():
        first = float(problem.objective(start, slice(None)))
        made = able.decode(z[good], y)
        chosen = _distinct(_fractions(made, space), candidates)
    kept = good[chosen]
    return Edited(z[kept], made[chosen], cost[kept], first, start)


def _starts(problem: _Problem, rng: Rng) -> Tensor:
    """z_0, codes around it, and the samples of the prior that cost least (TRIED, latent)."""
    start, distribution = problem.start, problem.distribution
    stream = generator(rng, start.device)
    near = TRIED // 2 - 1
    noise = 2 * uniform(near, start.shape[1], rng=stream, like=start) - 1
    around = start + SPREAD * noise * distribution.scale.to(start)
    drawn = distribution.draw(SCREENED, rng=stream).to(start)
    with torch.no_grad():
        cost = torch.cat([problem.objective(z, slice(None)) for z in drawn.split(AT_ONCE)])
    return torch.cat([start, around, drawn[cost.argsort()[: TRIED // 2]]])


def _wanted_levels(
    strokes: Strokes, before: Tensor, space: Space, rest: float
) -> list[tuple[Tensor, Tensor, float]]:
    """Colours, dragged parts where nothing is painted, parts that stay, and the rest, each with its
    mask and weight.
    """
    moved, wanted = dragged(strokes, before), []
    if strokes.colour is not None and strokes.colour_mask is not None:
        wanted.append((_fractions(strokes.colour, space), strokes.colour_mask, 1.0))
        if moved is not None:
            moved = moved[0], moved[1] * (strokes.colour_mask == 0)
    if moved is not None and bool((moved[1] > 0).any()):
        wanted.append((*moved, 1.0))
    if strokes.fixed is not None:
        wanted.append((before, strokes.fixed, 1.0))
    others = _rest(strokes, before)
    if rest > 0 and others is not None:
        wanted.append((before, others, rest))
    return wanted


def _rest(strokes: Strokes, before: Tensor) -> Tensor | None:
    """Where nothing is asked (h, w); None if that is nowhere, or if anything is dragged."""
    if strokes.handles is not None:
        return None
    others = torch.ones_like(before[0])
    if strokes.colour_mask is not None:
        others = others * (1 - strokes.colour_mask)
    lines = strokes.sketch if strokes.sketch_mask is None else strokes.sketch_mask
    if lines is not None:
        reach = max(1, min(lines.shape) // CELLS)  # the gradients of a line are those around it
        near = max_pool2d(lines[None, None], 2 * reach + 1, stride=1, padding=reach)
        others = others * (1 - near[0, 0])
    return others if bool((others > 0).any()) else None


def _wanted_gradients(strokes: Strokes, before: Tensor, cell: int) -> list[tuple[Tensor, Tensor]]:
    """Histograms of the sketch and of dragged parts, with the masks of their cells."""
    moved, wanted = dragged(strokes, before), []
    if strokes.sketch is not None:
        drawn = gradient_histograms(strokes.sketch[None, None], cell=cell)
        mask = strokes.sketch_mask
        wanted.append((drawn, drawn.abs().amax((0, 1)) if mask is None else _cells(mask, cell)))
    if moved is not None:
        histograms = gradient_histograms(luma(moved[0][None]), cell=cell)
        wanted.append((histograms, _cells(moved[1], cell)))
    return wanted


def _fractions(x: Tensor, space: Space) -> Tensor:
    """User's units as shares of the range of levels."""
    return (x - space.low) / (space.high - space.low)


def _good(cost: Tensor) -> Tensor:
    """The numbers of the best candidates, those below twice the mean of the best half's half."""
    order = cost.argsort()
    best = order[: len(order) // 2]
    limit = 2 * cost[best[: max(1, len(best) // 2)]].mean()
    return best[cost[best] <= limit]


def _distinct(images: Tensor, most: int) -> list[int]:
    """The first image (n, c, h, w), and those that differ from all before them, at most so many."""
    kept: list[int] = []
    for i, image in enumerate(images):
        differences = (images[kept] - image).square().flatten(1).mean(1).sqrt()
        if bool((differences >= ALIKE).all()):
            kept.append(i)
        if len(kept) == most:
            break
    return kept


def _weighted(error: Tensor, mask: Tensor) -> Tensor:
    """The mean of errors (m, h, w) by a mask (h, w): (m,)."""
    return (error * mask).flatten(1).sum(1) / mask.sum()


def _cells(mask: Tensor, cell: int) -> Tensor:
    """A mask (h, w) by cells of histograms."""
    height, width = (side // cell * cell for side in mask.shape)
    blocks = mask[:height, :width].reshape(height // cell, cell, width // cell, cell)
    return blocks.amax((1, 3))
