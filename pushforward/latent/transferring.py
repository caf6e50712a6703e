r"""The change between two images, applied to a photograph of any size (Zhu, Krähenbühl, Shechtman &
Efros 2016, https://arxiv.org/abs/1609.03552, §3.4 and eq. 8).

A dense flow (u, v) and an affine map A of colours, 3 × 4 at each pixel, explain the image after,
I_t, by the image before, I_0:

    argmin Σ_x |I_t(x) - A(x) I_0(x + u, y + v)|² + σ_s (|∇u|² + |∇v|²) + σ_c |∇A|²

with levels in 0..1. Both are interpolated to the photograph's size and applied to the photograph,
which keeps its detail. Solved from coarse to fine by Gauss-Newton steps (Lucas & Kanade 1981; Horn
& Schunck 1981, https://doi.org/10.1016/0004-3702(81)90024-2), each by conjugate gradients over flow
and colours at once; of several starts (no change of colours, the best one common to all pixels, and
the best movement while colours hardly change: a large σ_c), the best result is kept.

Differences: the flow leads from the image after back to the one before, so that nothing has to be
inverted; along a sequence, each image is explained by the first one, starting at the flow and the
colours of the one before it, so that errors do not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.data.resampling import resize
from pushforward.latent.warping import sample_at

__all__ = ["transfer"]

FLOW, COLOUR = 0.002, 0.3
"""σ_s and σ_c."""
STIFF = 100 * COLOUR
"""σ_c with which movement is looked for first: recolouring explains a short movement as well as
the movement itself does, and then keeps explaining it.
"""
COARSEST, FINEST = 8, 128
"""Sides, pixels, between which flow and colours are estimated."""
STEPS, SOLVING = 4, 30
"""Gauss-Newton steps at each size, and steps of conjugate gradients for each."""
MOST = 1.0
"""Pixels that the flow changes by in one step, at most."""
STRIP = 256
"""Rows of the photograph at a time, which bounds the memory."""


@dataclass(frozen=True)
class _Change:
    """A flow and a change of colours.

    Args:
        flow: (1, 2, h, w), pixels, x and y, from the image after to the one before.
        colour: A - identity, (1, c · (c + 1), h, w), of levels in 0..1 with 1/2 subtracted.
    """

    flow: Tensor
    colour: Tensor

    def at(self, size: tuple[int, int]) -> _Change:
        """The same at another size (h, w)."""
        before = self.flow.shape[-2:]
        scale = [size[1] / before[1], size[0] / before[0]]
        flow = _stretched(self.flow, size) * self.flow.new_tensor(scale)[:, None, None]
        return _Change(flow, _stretched(self.colour, size))

    def plus(self, step: Tensor) -> _Change:
        """After a step (1, 2 + c · (c + 1), h, w)."""
        return _Change(self.flow + step[:, :2].clamp(-MOST, MOST), self.colour + step[:, 2:])

    def strips(self, size: tuple[int, int]) -> Iterator[tuple[int, _Change]]:
        """The same at another size (h, w), some rows at a time: where they begin, and the change.

        At the size of a photograph, all of it would take 56 bytes a pixel.
        """
        wide = self.at((self.flow.shape[2], size[1]))
        scale = self.flow.new_tensor([1.0, size[0] / self.flow.shape[2]])[:, None, None]
        for top in range(0, size[0], STRIP):
            rows = torch.arange(top, min(top + STRIP, size[0]))
            flow, colour = (_stretched_rows(x, rows, size[0]) for x in (wide.flow, wide.colour))
            yield top, _Change(flow * scale, colour)

    def applied(self, x: Tensor, top: int = 0, mode: str = "bilinear") -> Tensor:
        """Images (1, c, h, w) after the change, in as many rows as it has, from the top one."""
        flow, colour = self.flow, self.colour
        rows = slice(top, top + flow.shape[2])
        places = _pixels(x, rows) + flow[0].movedim(0, -1)
        still = flow == 0
        moved = x[:, :, rows] if bool(still.all()) else sample_at(x, places.to(x), mode)
        return moved + _recolouring(colour, moved)


def transfer(before: Tensor, after: Tensor, photo: Tensor, *, span: float | None = None) -> Tensor:
    """The photograph changed as `before` was to become `after`; bytes give bytes.

    Args:
        before: image (c, h, w), with the contents of the photograph.
        after: the same after an edit, or images (n, c, h, w) from there to the result, which help
            where things move far.
        photo: (c, k, l), in the same units. A grey one gets three channels if the images have, and
            grey images change the three channels of a photograph alike.
        span: of levels; 255 for bytes by default, else 1.

    Raises:
        InvalidValue: For values that are not finite.
        ShapeMismatch: For images of different shapes.
    """
    sequence = after if after.ndim == 4 else after[None]
    for name, image in (("before", before), ("after", sequence[0]), ("photo", photo)):
        if image.ndim != 3 or len(image) not in (1, 3) or 0 in image.shape:
            raise ShapeMismatch(
                f"{name} must be an image of 1 or 3 channels (c, h, w), got {tuple(image.shape)}"
            )
    if sequence.shape[1:] != before.shape or not len(sequence):
        raise ShapeMismatch(
            f"before and after must have one shape, got {tuple(before.shape)} and"
            f" {tuple(sequence.shape[1:])}"
        )
    if not all(bool(image.isfinite().all()) for image in (before, sequence)):
        raise InvalidValue("before and after must be finite; choose a code nearer to the data")
    if span is None:
        span = 1.0 if photo.is_floating_point() else 255.0
    if span <= 0:
        raise InvalidValue(f"span must be above 0, got {span}")
    first, *rest = ((x.to("cpu", torch.float32) / span)[None] for x in (before, *sequence))
    return _apply(_change(first, rest), photo, span)


def _change(before: Tensor, sequence: Iterable[Tensor]) -> _Change:
    """The change from an image (1, c, h, w) to the last of a sequence, from coarse to fine."""
    share = min(1.0, FINEST / max(before.shape[-2:]))
    height, width = (max(1, round(side * share)) for side in before.shape[-2:])
    finest = height, width
    change: _Change | None = None
    for after in sequence:
        one, two = (resize(x, finest) for x in (before, after))
        if torch.equal(before, after):
            change = _unchanged(one)
        elif change is None:
            moving = _estimated(one, two, common=False, stiffness=STIFF)
            tries = [_estimated(one, two, common=common) for common in (False, True)]
            change = _best([*tries, _refined(moving, one, two)], one, two)
        else:
            moving = _refined(change, one, two, STIFF)
            tries = [_refined(start, one, two) for start in (change, moving)]
            change = _best([*tries, _estimated(one, two, common=False)], one, two)
    assert change is not None
    return change


def _best(tries: Iterable[_Change], before: Tensor, after: Tensor) -> _Change:
    return min(tries, key=lambda change: _energy(change, before, after))


def _estimated(
    before: Tensor, after: Tensor, *, common: bool, stiffness: float = COLOUR
) -> _Change:
    """The change from coarse to fine, starting with none, or with one of colours for all pixels."""
    start = _unchanged(before)
    if common:
        start = _Change(start.flow, _common_colours(before, after).expand_as(start.colour))
    change: _Change | None = None
    for size in _sizes(before.shape[-2:]):
        change = (start if change is None else change).at(size)
        change = _refined(change, resize(before, size), resize(after, size), stiffness)
    assert change is not None
    return change


def _sizes(finest: Iterable[int]) -> list[tuple[int, int]]:
    """Sizes from the coarsest to the finest, each twice the last or less."""
    sizes = [tuple(finest)]
    while min(sizes[-1]) >= 2 * COARSEST:
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
    return [(height, width) for height, width in reversed(sizes)]


def _refined(change: _Change, before: Tensor, after: Tensor, stiffness: float = COLOUR) -> _Change:
    """The change after some Gauss-Newton steps, none of which raises the energy."""
    energy = _energy(change, before, after, stiffness)
    for _ in range(STEPS):
        tried = change.plus(_step(change, before, after, stiffness))
        value = _energy(tried, before, after, stiffness)
        if not value < energy:
            break
        change, energy = tried, value
    return change


def _energy(change: _Change, before: Tensor, after: Tensor, stiffness: float = COLOUR) -> float:
    """What is minimised, with a σ_c."""
    error = (after - change.applied(before)).square().sum()
    rough = FLOW * _roughness(change.flow) + stiffness * _roughness(change.colour)
    return float(error + rough)


def _roughness(x: Tensor) -> Tensor:
    """|∇x|², summed."""
    return x.diff(dim=-1).square().sum() + x.diff(dim=-2).square().sum()


def _step(change: _Change, before: Tensor, after: Tensor, stiffness: float) -> Tensor:
    """The step (1, 2 + c · (c + 1), h, w) that minimises the linearised energy."""
    places = _pixels(before) + change.flow[0].movedim(0, -1)
    moved = sample_at(before, places)
    made = moved + _recolouring(change.colour, moved)
    # of the recoloured image, as the flow moves colours that A has changed
    slopes = torch.stack([_slope(made, -1), _slope(made, -2)], 2)
    basis = _basis(moved)
    weights = torch.cat(
        [before.new_full((2,), FLOW), before.new_full((change.colour.shape[1],), stiffness)]
    )[:, None, None]

    def outputs(p: Tensor) -> Tensor:
        return (slopes * p[:, None, :2]).sum(2) + _combined(p[:, 2:], basis)

    def adjoint(r: Tensor) -> Tensor:
        colour = (r[:, :, None] * basis[:, None]).flatten(1, 2)
        return torch.cat([(slopes * r[:, :, None]).sum(1), colour], 1)

    def normal(p: Tensor) -> Tensor:
        return adjoint(outputs(p)) + weights * _laplacian(p)

    now = torch.cat([change.flow, change.colour], 1)
    right = adjoint(after - made) - weights * _laplacian(now)
    colour = basis.square().repeat(1, before.shape[1], 1, 1)
    diagonal = torch.cat([slopes.square().sum(1), colour], 1) + 4 * weights
    return _conjugate_gradients(normal, right, diagonal)


def _conjugate_gradients(
    normal: Callable[[Tensor], Tensor], right: Tensor, diagonal: Tensor
) -> Tensor:
    """An approximate solution of normal(p) = right, with the diagonal as preconditioner."""
    p, residual = torch.zeros_like(right), right
    direction = scaled = residual / diagonal
    product = (residual * scaled).sum()
    for _ in range(SOLVING):
        if float(product) <= torch.finfo(right.dtype).tiny:
            break
        image = normal(direction)
        length = product / (direction * image).sum()
        p, residual = p + length * direction, residual - length * image
        scaled = residual / diagonal
        last, product = product, (residual * scaled).sum()
        direction = scaled + product / last * direction
    return p


def _common_colours(before: Tensor, after: Tensor) -> Tensor:
    """The smallest change of all colours alike that explains most (1, c · (c + 1), 1, 1)."""
    basis = _basis(before)[0].flatten(1).T.double()
    change = (after - before)[0].flatten(1).T.double()
    solved: Tensor = torch.linalg.lstsq(basis, change, rcond=1e-4, driver="gelsd").solution
    return solved.T.reshape(1, -1, 1, 1).to(before)


def _unchanged(like: Tensor) -> _Change:
    c = like.shape[1]
    colour = torch.zeros_like(like[:, :1]).repeat(1, c * (c + 1), 1, 1)
    return _Change(colour[:, :2].clone(), colour)


def _basis(x: Tensor) -> Tensor:
    """What colours are affine in: levels around 1/2, and 1 (1, c + 1, h, w)."""
    return torch.cat([x - 0.5, torch.ones_like(x[:, :1])], 1)


def _recolouring(colour: Tensor, x: Tensor) -> Tensor:
    """What a change of colours adds to images (1, c, h, w).

    That of a grey image is added to each of three channels.
    """
    if colour.shape[1] == 2 and x.shape[1] == 3:
        return colour[:, :1] * (x - 0.5) + colour[:, 1:]
    return _combined(colour, _basis(x))


def _combined(colour: Tensor, basis: Tensor) -> Tensor:
    channels = colour.shape[1] // basis.shape[1]
    matrix: Tensor = colour.unflatten(1, (channels, basis.shape[1]))
    return (matrix * basis[:, None]).sum(2)


def _laplacian(x: Tensor) -> Tensor:
    """Half the derivative of |∇x|² (1, c, h, w)."""
    out = torch.zeros_like(x)
    for axis in (-2, -1):
        difference = x.diff(dim=axis)
        length = difference.shape[axis]
        out.narrow(axis, 0, length).sub_(difference)
        out.narrow(axis, 1, length).add_(difference)
    return out


def _slope(x: Tensor, axis: int) -> Tensor:
    """Central differences along an axis; one-sided at its ends."""
    return torch.gradient(x, dim=axis)[0] if x.shape[axis] > 1 else torch.zeros_like(x)


def _pixels(x: Tensor, rows: slice = slice(None)) -> Tensor:
    """The place of every pixel of some rows (h, w, 2), x and y."""
    down, across = (torch.arange(side, dtype=torch.float32) for side in x.shape[-2:])
    down, across = torch.meshgrid(down[rows], across, indexing="ij")
    return torch.stack([across, down], -1)


def _stretched(x: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(x.shape[-2:]) == size:
        return x
    return interpolate(x, size, mode="bilinear", align_corners=False)


def _stretched_rows(x: Tensor, rows: Tensor, height: int) -> Tensor:
    """Some of the rows that maps (1, c, h, w) have when they are stretched to another height."""
    last = x.shape[2] - 1
    place = ((rows + 0.5) * x.shape[2] / height - 0.5).clamp(0, last)
    above = place.long()
    start, end = x[:, :, above], x[:, :, (above + 1).clamp(max=last)]
    return start + (place - above)[:, None] * (end - start)


def _apply(change: _Change, photo: Tensor, span: float) -> Tensor:
    """The photograph (c, k, l) after a change of any size."""
    levels = photo.to("cpu", torch.float32)[None] / span
    if change.colour.shape[1] == 12 and levels.shape[1] == 1:
        levels = levels.expand(-1, 3, -1, -1)
    size = (photo.shape[-2], photo.shape[-1])
    made = torch.empty((levels.shape[1], *size), dtype=photo.dtype)
    for top, part in change.strips(size):
        strip = part.applied(levels, top, "bicubic")[0] * span
        if not photo.is_floating_point():
            strip = strip.round().clamp(0, 255)
        made[:, top : top + STRIP] = strip.to(photo.dtype)
    return made.to(photo.device)
