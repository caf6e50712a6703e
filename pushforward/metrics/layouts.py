"""Checks that two sets of images have the same axis order and range. Metrics mislead otherwise."""

from __future__ import annotations

from torch import Tensor

from pushforward.core.errors import ShapeMismatch

__all__ = ["require_one_layout"]

HALF = 0.5
"""Half of the range 0..1.

Values further below 0 are not rounding errors of that range, and images that span less are
ambiguous.
"""


def require_one_layout(
    real: Tensor, generated: Tensor, names: tuple[str, str] = ("real", "generated")
) -> None:
    """Raise ShapeMismatch for images or clips (n, *shape) with different axis orders or ranges.

    The ranges are 0..255, 0..1 and -1..1.
    """
    one, two = tuple(real.shape[1:]), tuple(generated.shape[1:])
    if len(one) == len(two) > 1 and one != two and real[0].numel() == generated[0].numel():
        raise ShapeMismatch(
            f"{names[0]} images have shape {one}, {names[1]} ones {two}; bring both to (channels,"
            " height, width): x.transpose(0, 3, 1, 2) if channels are last"
        )
    if max(len(one), len(two)) < 2 or not real.numel() or not generated.numel():
        return
    scales = [_guess_scales(real), _guess_scales(generated)]
    ends = [f"{float(x.min()):g}..{float(x.max()):g}" for x in (real, generated)]
    ranges = f"{names[0]} images have values {ends[0]}, {names[1]} ones {ends[1]}"
    for i in (0, 1):
        scale, other_scale = scales[i], scales[1 - i]
        if "levels" in scale and "fractions" in other_scale:
            seem = "divided" if i == 0 else "not divided"
            raise ShapeMismatch(
                f"{ranges}, which look {seem} by the highest level; bring both to one range"
            )
        if "signed" in scale and "unsigned" in other_scale:
            raise ShapeMismatch(
                f"{ranges}, one range -1..1 and the other 0..1; bring both to one range: (x + 1) /"
                " 2 maps -1..1 to 0..1"
            )


def _guess_scales(x: Tensor) -> set[str]:
    """The ranges that the values of images suggest; none if they are ambiguous.

    'levels': whole numbers, some above 2. 'fractions': fractions in -1..1. 'signed': -1..1 with
    values below -½, fractional or all ±1. 'unsigned': values in 0..1 that span more than half of
    it. Values slightly outside 0..1, as from an unbounded model, are neither of the last two.
    """
    low, high = float(x.min()), float(x.max())
    whole = not x.is_floating_point() or bool((x == x.round()).all())
    if not (low >= -1 and high <= 1):
        return {"levels"} if low >= 0 and high > 2 and whole else set()
    scales = set() if whole else {"fractions"}
    if low < -HALF and (not whole or bool((x.abs() == 1).all())):
        scales.add("signed")
    elif low >= 0 and high - low > HALF:
        scales.add("unsigned")
    return scales
