r"""The Laplacian pyramid of images (Burt & Adelson 1983, https://doi.org/10.1109/TCOM.1983.1095851).

    I_{k+1} = d(I_k)             the means of squares of 2x2 pixels
    h_k     = I_k - u(I_{k+1})   what enlarging does not restore
    I_k     = u(I_{k+1}) + h_k

u interpolates linearly between the centres of the squares. An odd side is rounded up, so that the
last square is cut off at the border, and u cuts off what is beyond it. All weights are sixteenths:
of whole numbers in double precision, everything is exact to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from pushforward.core.errors import InvalidValue

__all__ = ["compose", "decompose", "expand", "level_sizes", "shrink"]

Size = tuple[int, int]


def level_sizes(size: Size, depth: int) -> list[Size]:
    """The sizes (height, width) of the images of a pyramid, the finest first: depth + 1 of them.

    Raises:
        InvalidValue: If there are more levels than halvings of the longer side.
    """
    sizes = [size]
    for k in range(depth):
        if max(sizes[-1]) < 2:
            raise InvalidValue(
                f"images of {size[0]}x{size[1]} pixels can be halved {k} times, got depth={depth};"
                f" use depth={k}"
            )
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def shrink(x: Tensor) -> Tensor:
    """d: images (n, c, h, w) of half the size, sides rounded up."""
    return avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def expand(x: Tensor, size: Size) -> Tensor:
    """u: images (n, c, h, w) enlarged to a size (height, width) of twice their own, or one less."""
    twice = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return twice[..., : size[0], : size[1]]


def decompose(x: Tensor, depth: int) -> list[Tensor]:
    """The pyramid of images (n, c, h, w): h_0, …, h_{depth-1} and the coarse images I_depth."""
    levels = []
    level_sizes((x.shape[-2], x.shape[-1]), depth)
    for _ in range(depth):
        coarse = shrink(x)
        levels.append(x - expand(coarse, (x.shape[-2], x.shape[-1])))
        x = coarse
    return [*levels, x]


def compose(levels: Sequence[Tensor]) -> Tensor:
    """The images (n, c, h, w) of a pyramid, the inverse of `decompose`."""
    *residuals, x = levels
    for h in reversed(residuals):
        x = expand(x, (h.shape[-2], h.shape[-1])) + h
    return x
