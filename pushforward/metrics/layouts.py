"""Images that are laid out or scaled unlike: compared all the same, they give numbers that mean nothing."""

from __future__ import annotations

from torch import Tensor

from pushforward.core.errors import ShapeMismatch

__all__ = ["require_alike"]


def require_alike(real: Tensor, generated: Tensor, names: tuple[str, str] = ("real", "generated")) -> None:
    """Raise ShapeMismatch where images or clips (n, *shape) have their axes in another order, or levels meet fractions of them."""
    one, two = tuple(real.shape[1:]), tuple(generated.shape[1:])
    if len(one) == len(two) > 1 and one != two and real[0].numel() == generated[0].numel():
        raise ShapeMismatch(
            f"{names[0]} images have shape {one}, {names[1]} ones {two}; bring both to (channels, height, width): "
            "x.transpose(0, 3, 1, 2) does it where channels come last"
        )
    if max(len(one), len(two)) < 2 or not real.numel() or not generated.numel():
        return
    scales = [_scale(real), _scale(generated)]
    if set(scales) == {"levels", "fractions"}:
        ends = [f"{float(x.min()):g}..{float(x.max()):g}" for x in (real, generated)]
        seem = "divided" if scales[1] == "fractions" else "not divided"
        raise ShapeMismatch(
            f"{names[0]} images have values {ends[0]}, {names[1]} ones {ends[1]}, which look {seem} by the "
            "highest level; bring both to one range"
        )


def _scale(x: Tensor) -> str:
    """'levels' (whole numbers, some above 2), 'fractions' (broken numbers in -1..1) or '' where it cannot be told."""
    low, high = float(x.min()), float(x.max())
    if low >= -1 and high <= 1:
        return "fractions" if x.is_floating_point() and bool((x != x.round()).any()) else ""
    whole = not x.is_floating_point() or bool((x == x.round()).all())
    return "levels" if low >= 0 and high > 2 and whole else ""
