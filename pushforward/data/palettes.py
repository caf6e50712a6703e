"""Colours that stand for classes: label maps as images, cleaned, counted and found.

JPEG and resizing blur the borders between classes: in the archive of facades, a fifth of all pixels
is further than 40 levels from every label colour, but of the pixels in flat areas almost none
(.004 %). So every pixel takes the nearest colour, and colours outside a palette are looked for in
flat areas only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue, printable, suggest

__all__ = [
    "PALETTES",
    "Palette",
    "check_palette",
    "find_palette",
    "flat_areas",
    "named_palette",
    "nearest_colour",
    "paint",
    "planes",
    "scaled_palette",
    "share_between",
]

Palette = tuple[tuple[int, ...], ...]
"""A colour for each class, in levels of 0..255."""

PALETTES: dict[str, Palette] = {
    "facades": (
        (0, 48, 252), (0, 0, 222), (3, 126, 252), (252, 80, 1), (192, 252, 63), (173, 0, 1),
        (34, 252, 226), (2, 205, 252), (252, 158, 3), (113, 252, 145), (250, 1, 2), (252, 240, 4),
    ),
}  # fmt: skip
"""Palettes by name. 'facades': twelve classes, as measured in the JPEG files of the archive of
pix2pix; they are not the colours that the CMP facade database publishes.
"""
FLAT = 8.0
"""Levels by which neighbours in a flat area differ at most; noise of JPEG stays below."""
FAR = 0.2
"""Distance from a colour, as a share of the range of levels, beyond which a flat pixel is not of
its class. The nearest two of facades' colours are .22 apart, and its flat pixels within .17.
"""
STRAY, STRAY_REDUCED = 0.01, 0.05
"""Share of an image's flat pixels that may be of no class; .0035 at most in the facades. Images
brought to another size have mixtures of two colours in what looks flat: .02 at 32 pixels.
"""
MOSTLY = 0.5
"""Share of them from which an image is no label map at all."""
RAREST = 0.001
"""Share of flat pixels from which a colour that is found counts as a class."""
BINS = 16
"""Levels a side of the cells in which colours are counted."""
COUNTED = 200_000
"""Pixels that colours are found from: 200 of a class of a thousandth."""


def named_palette(palette: object) -> Palette:
    """A palette by name, or colours as given.

    Raises:
        InvalidValue: For an unknown name, or less than two colours of the same number of levels.
    """
    if isinstance(palette, str):
        if palette not in PALETTES:
            raise InvalidValue(f"unknown palette {palette!r}; {suggest(palette, PALETTES)}")
        return PALETTES[palette]
    rows = tuple(tuple(c) for c in palette) if isinstance(palette, Sequence) else ()
    levels = [level for colour in rows for level in colour]
    if len(set(rows)) < 2 or len({len(c) for c in rows}) != 1 or len(set(rows)) < len(rows):
        raise InvalidValue(
            f"a palette is two or more different colours, such as ((0, 0, 255), (255, 0, 0)), or"
            f" one of {', '.join(PALETTES)}, got {palette!r}"
        )
    if not all(isinstance(v, int) and 0 <= v <= 255 for v in levels):
        raise InvalidValue(f"colours of a palette are whole levels of 0..255, got {palette!r}")
    return rows


def scaled_palette(palette: Palette, low: float, high: float) -> Tensor:
    """The colours (k, c) in the units of images whose levels lie in low..high."""
    return low + torch.tensor(palette, dtype=torch.float64) / 255 * (high - low)


def nearest_colour(x: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
    """The number of the nearest colour of each pixel, and the distance to it, (n, h, w) each.

    Args:
        x: images (n, c, h, w).
        colours: (k, c), in their units.

    Raises:
        BadSource: For images of another number of channels than the colours have.
    """
    if x.shape[1] != colours.shape[1]:
        raise BadSource(
            f"the palette's colours have {colours.shape[1]} levels, but the images have"
            f" {x.shape[1]} channels; bring them to as many (channels={colours.shape[1]})"
        )
    number = torch.zeros(len(x), *x.shape[2:], dtype=torch.int64, device=x.device)
    least = torch.full(number.shape, torch.inf, dtype=x.dtype, device=x.device)
    for i, colour in enumerate(colours.to(x)):
        square = (x - colour[:, None, None]).square().sum(1)
        number = torch.where(square < least, i, number)
        least = torch.minimum(square, least)
    return number, least.sqrt()


def paint(number: Tensor, colours: Tensor) -> Tensor:
    """Images (n, c, h, w) of class numbers (n, h, w)."""
    return colours[number].movedim(-1, 1)


def planes(number: Tensor, classes: int, low: float, high: float) -> Tensor:
    """One plane for each class (n, classes, h, w): `high` where it is, `low` elsewhere."""
    one_hot = torch.nn.functional.one_hot(number, classes).movedim(-1, 1)
    return low + one_hot.to(torch.get_default_dtype()) * (high - low)


def flat_areas(x: Tensor, span: float) -> Tensor:
    """The pixels (n, h, w) whose four neighbours have their colour, up to noise."""
    most = FLAT / 255 * span
    flat = torch.ones(len(x), *x.shape[2:], dtype=torch.bool, device=x.device)
    down, right = (x.diff(dim=d).abs().amax(1) <= most for d in (2, 3))
    flat[:, 1:] &= down
    flat[:, :-1] &= down
    flat[:, :, 1:] &= right
    flat[:, :, :-1] &= right
    return flat


def share_between(x: Tensor, colours: Tensor, span: float) -> float:
    """The share of pixels further than `FAR` from every colour: blurred borders."""
    return float((nearest_colour(x, colours)[1] > FAR * span).double().mean())


def check_palette(
    x: Tensor, colours: Tensor, span: float, names: Sequence[str], *, reduced: bool = False
) -> None:
    """Raise BadSource, which names the image and the colour, for a flat area of another colour.

    Args:
        x: label maps (n, c, h, w).
        colours: of the palette (k, c), in their units.
        span: of their levels.
        names: of the images, for the message.
        reduced: whether the images were brought to another size.
    """
    _, distance = nearest_colour(x, colours)
    flat = flat_areas(x, span)
    stray = flat & (distance > FAR * span)
    share = stray.flatten(1).sum(1) / flat.flatten(1).sum(1).clamp_min(1)
    worst = int(share.argmax())
    if not bool(share[worst] > (STRAY_REDUCED if reduced else STRAY)):
        return
    colour = x[worst].movedim(0, -1)[stray[worst]].median(0).values.round().tolist()
    example = ", ".join(f"{v:g}" for v in colour)
    remedy = "add them, or leave the palette out to have it found in the images"
    if bool(share.median() > MOSTLY):
        remedy = (
            "these are hardly label maps; name the half that holds them (maps='left' or 'right')"
        )
    raise BadSource(
        f"{printable(names[worst])}: {float(share[worst]):.0%} of its flat areas have colours that"
        f" are not in the palette, such as ({example}); {remedy}"
    )


def find_palette(x: Tensor, low: float, high: float, classes: int = 0) -> Palette:
    """The colours of flat areas, the most frequent first.

    The most frequent colour is taken and its surroundings left out, until `classes` are found or
    what remains is rare; each is then moved to the mean of the pixels nearest to it.

    Args:
        x: label maps (n, c, h, w), with levels in low..high.
        classes: how many; 0 for all that are not rare.

    Raises:
        BadSource: For images without flat areas of at least two (or `classes`) colours.
    """
    levels = (x - low) / (high - low) * 255
    pixels = levels.movedim(1, -1)[flat_areas(levels, 255.0)]
    pixels = pixels[:: -(-len(pixels) // COUNTED) or 1]
    rest = pixels
    centres: list[Tensor] = []
    least = 0.0 if classes else RAREST * len(pixels)
    while len(rest) > least and (not classes or len(centres) < classes):
        cells, counts = (rest // BINS).unique(dim=0, return_counts=True)
        if counts.max() <= least:
            break
        at = (cells[counts.argmax()] + 0.5) * BINS
        for _ in range(3):  # to the mean of what surrounds it
            near = (rest - at).square().sum(1).sqrt() < FAR * 255 / 2
            at = rest[near].mean(0)
        centres.append(at)
        rest = rest[(rest - at).square().sum(1).sqrt() >= FAR * 255 / 2]
    if len(centres) < max(2, classes):
        raise BadSource(
            f"the images have {len(centres)} colours in flat areas, expected"
            f" {classes or 'two or more'} label colours; give the palette, or check which half"
            " holds the label maps"
        )
    return tuple(tuple(int(v) for v in c.round().tolist()) for c in centres)
