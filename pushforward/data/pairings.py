"""Conditions made of the images themselves: what a model of images is told about each.

A pairing divides an image into the part that is modelled, x, and its condition, y: two halves of a
side-by-side image, or the image and its edges. Each is a value with a text, used wherever labels
are named: `fit(photos, y="edges")`, `pushforward fit pix2pix photos/ --label "low_resolution(4)"`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pushforward.core.argument_names import argument, setting
from pushforward.core.errors import BadSource, InvalidValue, require_positive
from pushforward.core.random import derive
from pushforward.core.registry import read
from pushforward.core.space import Space
from pushforward.core.space.facts import Kind
from pushforward.data.colours import grey_of_lightness, rgb_to_lab
from pushforward.data.halves import Labels, Left, Right
from pushforward.data.pairing import Pairing
from pushforward.data.resampling import reduce

__all__ = [
    "Coarse",
    "Edges",
    "FirstFrame",
    "Grey",
    "Labels",
    "Left",
    "Lightness",
    "LowResolution",
    "Masked",
    "Pairing",
    "Right",
    "find_pairing",
    "usual_pairings",
    "luma",
    "pairing_of",
    "pairing_to_derive",
]

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Shares of brightness, ITU-R BT.601 (https://www.itu.int/rec/R-REC-BT.601)."""
TILE = 96
"""Usual side of tiles, pixels, in advice."""
SMOOTHEST = 100.0
"""Standard deviation of a Gaussian, pixels, that leaves no outlines of any photograph."""


class _OneChannel(Pairing):
    """What is left of images without their colours."""

    def shape(self, image: tuple[int, ...]) -> tuple[int, int, int]:
        """One channel.

        Raises:
            BadSource: For images without colours.
        """
        if image[0] == 1:
            raise BadSource(
                f"y={self.name!r} takes images in colour, got grey ones; choose another y"
            )
        return 1, image[1], image[2]


@dataclass(frozen=True)
class Grey(_OneChannel, name="grey"):
    """Brightness, rounded to a level: black-and-white photographs to be coloured."""

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """(n, 1, h, w)."""
        y = luma(x)
        return y.round() if space.integer else y


@dataclass(frozen=True)
class Lightness(_OneChannel, name="lightness"):
    """The grey of each pixel's CIE lightness, rounded to a level: photographs to be coloured in
    Lab, where brightness as people see it stays (`Pix2Pix(colours="lab")`).
    """

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """(n, 1, h, w)."""
        span = space.high - space.low
        grey = grey_of_lightness(rgb_to_lab((x[:, :3] - space.low) / span)[:, :1])
        y = space.low + grey * span
        return y.round() if space.integer else y


@dataclass(frozen=True)
class Edges(Pairing, name="edges"):
    """Outlines one pixel wide, white on black (Canny 1986, https://doi.org/10.1109/TPAMI.1986.4767851).

    The brightness is smoothed by a Gaussian; its gradient (Sobel) is kept where it is largest along
    its own direction and above `high`, or above `low` and connected to such a pixel.

    Args:
        sigma: of the Gaussian, pixels.
        low, high: thresholds on the gradient's length, as shares of the range of levels per pixel.
    """

    sigma: float = 1.0
    low: float = 0.04
    high: float = 0.1

    def __post_init__(self) -> None:
        require_positive(sigma=self.sigma)
        if self.sigma > SMOOTHEST:
            raise InvalidValue(
                f"edges smooth by at most {SMOOTHEST:g} pixels, got sigma={self.sigma:g}; 1 to 3"
                " are usual"
            )
        if not 0 < self.low <= self.high:
            raise InvalidValue(
                f"edges take thresholds 0 < low ≤ high, got low={self.low} and high={self.high}"
            )

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """(n, 1, h, w), the highest level on edges, the lowest elsewhere."""
        brightness = ((luma(x)[:, 0] - space.low) / (space.high - space.low)).double().cpu().numpy()
        lit = np.stack([self._outline(image) for image in brightness])
        y = torch.from_numpy(lit)[:, None].to(x.device)
        return torch.where(y, space.high, space.low).to(x)

    def _outline(self, image: NDArray[Any]) -> NDArray[Any]:
        from scipy import ndimage

        smooth = ndimage.gaussian_filter(image, self.sigma, mode="nearest")
        down, right = (ndimage.sobel(smooth, axis, mode="nearest") / 8 for axis in (0, 1))
        length = np.hypot(down, right)
        ridge = length >= _neighbours_along(length, down, right).max(0)
        weak = ridge & (length >= self.low)
        pieces, count = ndimage.label(weak, np.ones((3, 3)))
        strong = np.zeros(count + 1, bool)
        strong[np.unique(pieces[weak & (length >= self.high)])] = True
        strong[0] = False
        outline: NDArray[Any] = strong[pieces]
        return outline

    def shape(self, image: tuple[int, ...]) -> tuple[int, int, int]:
        """One channel."""
        return 1, image[1], image[2]


@dataclass(frozen=True)
class LowResolution(Pairing, name="low_resolution"):
    """The image reduced by antialiased bicubic interpolation, rounded to levels as MATLAB does.

    Args:
        factor: of reduction; sides must be multiples of it.
    """

    factor: int = 4

    def __post_init__(self) -> None:
        require_positive(factor=self.factor)

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """(n, c, h / factor, w / factor)."""
        if space.integer and (space.low, space.high) == (0.0, 255.0):
            return reduce(x.to(torch.uint8), self.factor).to(x)
        return reduce(x, self.factor)

    def shape(self, image: tuple[int, ...]) -> tuple[int, int, int]:
        """Fewer pixels."""
        return _divided(image, self.factor, self)


@dataclass(frozen=True)
class Coarse(Pairing, name="coarse"):
    """Means of squares of pixels, as in a pyramid of averages.

    Args:
        factor: pixels a side of a square; the image's sides must be multiples of it.
    """

    factor: int = 2

    def __post_init__(self) -> None:
        require_positive(factor=self.factor)

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """(n, c, h / factor, w / factor)."""
        return avg_pool2d(x, self.factor)

    def shape(self, image: tuple[int, ...]) -> tuple[int, int, int]:
        """Fewer pixels."""
        return _divided(image, self.factor, self)

    def spaces(self, space: Space) -> tuple[Space, Space]:
        """Means of levels are not levels."""
        x, y = super().spaces(space)
        return x, replace(y, integer=False)


@dataclass(frozen=True)
class Masked(Pairing, name="masked"):
    """The image with a part hidden, and a channel that is lit where it is.

    Every image has a part of its own, the same in every epoch.

    Args:
        what: 'box', a square of half the shorter side, or 'random', single pixels.
        share: of pixels hidden at random; a box hides what it covers.
        seed: of the places.
    """

    local: ClassVar[bool] = False
    what: Literal["box", "random"] = "box"
    share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.what not in ("box", "random"):
            raise InvalidValue(f"masked takes 'box' or 'random', got {self.what!r}")
        if not 0 < self.share < 1:
            raise InvalidValue(f"masked hides a share between 0 and 1, got {self.share}")

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """(n, c + 1, h, w)."""
        _, _, height, width = x.shape
        hidden = torch.zeros(len(x), 1, height, width, dtype=torch.bool)
        side = max(1, min(height, width) // 2)
        for i, row in enumerate(rows.tolist()):
            rng = torch.Generator().manual_seed(derive(self.seed, f"masked {row}"))
            if self.what == "random":
                hidden[i, 0] = torch.rand(height, width, generator=rng) < self.share
                continue
            top, left = (
                int(torch.randint(length - side + 1, (), generator=rng))
                for length in (height, width)
            )
            hidden[i, 0, top : top + side, left : left + side] = True
        hidden = hidden.to(x.device)
        middle = (space.low + space.high) / 2
        middle = float(int(middle)) if space.integer else middle
        marks = torch.where(hidden, space.high, space.low).to(x)
        return torch.cat([torch.where(hidden, middle, x), marks], 1)

    def shape(self, image: tuple[int, ...]) -> tuple[int, int, int]:
        """One channel more."""
        return image[0] + 1, image[1], image[2]


@dataclass(frozen=True)
class FirstFrame(Pairing, name="first_frame"):
    """The first frame of a clip, whose continuation is modelled."""

    kind: ClassVar[Kind] = "clips"

    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """(n, c, h, w) of clips (n, c, t, h, w)."""
        return x[:, :, 0]

    def shape(self, image: tuple[int, ...]) -> tuple[int, int, int]:
        """Without time."""
        channels, _, height, width = image
        return channels, height, width

    def spaces(self, space: Space) -> tuple[Space, Space]:
        """Clips, and images of their size."""
        clips, frames = super().spaces(space)
        prepared = space.extra.get("prepared", {})
        kept = {name: prepared[name] for name in ("size", "fit", "channels") if name in prepared}
        extra = {"prepared": kept} if kept else {}
        return clips, replace(frames, kind="images", form="images", frame_rate=None, extra=extra)


def find_pairing(text: object) -> Pairing | None:
    """The pairing that a text names; None for other text."""
    if isinstance(text, Pairing):
        return text
    if not isinstance(text, str) or text.partition("(")[0].strip() not in Pairing.members:
        return None
    return read(Pairing, text)


def usual_pairings(kind: Kind = "images") -> list[str]:
    """What conditions can be made of images or clips, as texts, with their usual factors."""
    factors = {"low_resolution": "low_resolution(4)", "coarse": "coarse(2)"}
    return [
        factors.get(name, name)
        for name, cls in Pairing.members.items()
        if issubclass(cls, Pairing) and cls.kind == kind
    ]


def pairing_of(space: Space) -> Pairing | None:
    """The pairing that made the conditions of a space; None for conditions of their own."""
    return find_pairing(space.preparation) or find_pairing(space.extra.get("pairing"))


def pairing_to_derive(space: Space) -> Pairing:
    """The pairing by which conditions of a space are made of images.

    Raises:
        InvalidValue: For conditions that are images of their own.
    """
    pairing = pairing_of(space)
    if pairing is None:
        raise InvalidValue(
            "this model's conditions are images of their own, and cannot be made of others;"
            f" leave {argument('derive_conditions')} out"
        )
    return pairing


def luma(x: Tensor) -> Tensor:
    """The brightness (n, 1, h, w) of images (n, c, h, w); an alpha channel is left out."""
    if x.shape[1] < 3:
        return x[:, :1]
    return (RED * x[:, 0] + GREEN * x[:, 1] + BLUE * x[:, 2])[:, None]


def _divided(image: tuple[int, ...], factor: int, pairing: Pairing) -> tuple[int, int, int]:
    channels, height, width = image
    if height % factor or width % factor:
        down, across = (max(1, side // factor) * factor for side in (height, width))
        nearest = down if down == across else f"{down}x{across}"
        tile = min(down, across, max(1, TILE // factor) * factor)
        raise BadSource(
            f"y='{pairing}' takes images whose sides are multiples of {factor}, got"
            f" {height}x{width}; bring them to such a size ({setting('size', nearest)}), or cut"
            f" them into tiles ({setting('tiles', tile)})"
        )
    return channels, height // factor, width // factor


def _neighbours_along(
    length: NDArray[Any], down: NDArray[Any], right: NDArray[Any]
) -> NDArray[Any]:
    """The gradient's lengths (2, h, w) one pixel ahead and behind in its own direction, linearly
    interpolated.
    """
    from scipy import ndimage

    safe = np.where(length > 0, length, 1)
    at = np.mgrid[: length.shape[0], : length.shape[1]].astype(float)
    step = np.stack([down, right]) / safe
    return np.stack(
        [ndimage.map_coordinates(length, at + s * step, order=1, mode="nearest") for s in (1, -1)]
    )
