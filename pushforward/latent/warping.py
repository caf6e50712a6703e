r"""Images warped by handles that are dragged: moving least squares, as rigid as possible (Schaefer,
McPhail & Warren 2006, https://doi.org/10.1145/1141911.1141920, §2.3).

With positions as complex numbers, each pixel v of the result shows the image at

    f(v) = q* + (v - p*) S/|S|,    S = Σ_i w_i conj(p_i - p*) (q_i - q*),    w_i = |p_i - v|^-2α,

where p_i are the targets, q_i the handles, and p*, q* their means weighted by w: a rotation and a
shift, other ones at each pixel, with f(p_i) = q_i. The frame stays in place by eight handles that
do not move; without them, a single handle shifts the whole image.

Drags much longer than the distance between handles fold the image, as the paper says.
"""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import grid_sample

from pushforward.core.errors import InvalidValue, ShapeMismatch

__all__ = ["read_handles", "sample_at", "warp"]

ALPHA = 1.5
"""α: the surroundings of a handle move almost rigidly."""
NEAREST = 1e-8
"""Squared distance, pixels, below which a pixel is at a target."""


def warp(
    x: Tensor, handles: ArrayLike | Tensor, targets: ArrayLike | Tensor, *, frame: bool = True
) -> Tensor:
    """An image (c, h, w), or images (n, c, h, w), whose content at the handles is at the targets.

    Args:
        handles, targets: (k, 2), pixels, x to the right and y down, from the first pixel's centre.
        frame: whether the corners and the middles of the sides stay.

    Raises:
        ShapeMismatch: For other shapes.
        InvalidValue: For positions outside the image, and two handles with one target.
    """
    if x.ndim not in (3, 4) or not x.is_floating_point():
        raise ShapeMismatch(
            "expected an image (c, h, w) or images (n, c, h, w) of floating type, got"
            f" {tuple(x.shape)} of {x.dtype}"
        )
    height, width = x.shape[-2:]
    q, p = read_handles(handles, targets, (height, width))
    if torch.equal(p, q):
        return x.clone()
    if frame:
        still = _frame(height, width)
        free = (still[:, None] - p).abs().amin(1) > 0.5
        p, q = torch.cat([p, still[free]]), torch.cat([q, still[free]])
    places = torch.view_as_real(_sources(p, q, height, width)).to(x)
    images = x if x.ndim == 4 else x[None]
    return sample_at(images, places).reshape(x.shape)


def read_handles(
    handles: ArrayLike | Tensor, targets: ArrayLike | Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Handles and their targets as complex numbers (k,), checked for an image (height, width)."""
    both = []
    for name, points in (("handles", handles), ("targets", targets)):
        values = torch.as_tensor(points).to("cpu", torch.float64)
        if values.ndim != 2 or values.shape[1] != 2 or not len(values):
            raise ShapeMismatch(f"{name} must have shape (k, 2), got {tuple(values.shape)}")
        last = torch.tensor([size[1] - 1, size[0] - 1])
        if not bool(((values >= 0) & (values <= last)).all()):
            raise InvalidValue(
                f"{name} must lie in the image, 0 to {size[1] - 1} across and 0 to {size[0] - 1}"
                f" down, got {values.tolist()}"
            )
        both.append(torch.view_as_complex(values.contiguous()))
    q, p = both
    if len(q) != len(p):
        raise ShapeMismatch(f"every handle needs one target, got {len(q)} and {len(p)}")
    apart = (p[:, None] - p).abs() + torch.eye(len(p))
    if bool((apart < 0.5).any()):
        raise InvalidValue("two handles have one target; move one of them")
    return q, p


def sample_at(images: Tensor, places: Tensor, mode: str = "bilinear") -> Tensor:
    """Images (n, c, h, w) at places (k, l, 2), pixels x and y: (n, c, k, l), borders repeated."""
    height, width = images.shape[-2:]
    last = places.new_tensor([max(width - 1, 1), max(height - 1, 1)])
    grid = (2 * places / last - 1).expand(len(images), *places.shape)
    return grid_sample(images, grid, mode=mode, padding_mode="border", align_corners=True)


def _frame(height: int, width: int) -> Tensor:
    """The corners and the middles of the sides (8,)."""
    xs, ys = (torch.linspace(0, side - 1, 3, dtype=torch.float64) for side in (width, height))
    points = torch.complex(*torch.meshgrid(xs, ys, indexing="ij")).flatten()
    return points[torch.arange(9) != 4]


def _sources(p: Tensor, q: Tensor, height: int, width: int) -> Tensor:
    """f(v) at every pixel (h, w), complex."""
    down, across = torch.meshgrid(
        torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64),
        indexing="ij",
    )  # fmt: skip
    v = torch.complex(across, down)
    square = (p[:, None, None] - v).abs().square().clamp_min(NEAREST)
    w = (square.amin(0) / square) ** ALPHA
    w = (w / w.sum(0)).to(v.dtype)
    p_mean, q_mean = ((w * points[:, None, None]).sum(0) for points in (p, q))
    turn = (w * (p[:, None, None] - p_mean).conj() * (q[:, None, None] - q_mean)).sum(0)
    length = turn.abs()
    clear = length > torch.finfo(torch.float64).eps
    turn = torch.where(clear, turn / length.clamp_min(1e-300), torch.ones_like(turn))
    return q_mean + (v - p_mean) * turn
