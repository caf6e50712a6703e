"""Fonts that have the characters of a picture's texts, such as names in Chinese."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from pushforward.core.errors import DataWarning
from pushforward.plots.style import mpl

__all__ = ["lettering"]

BOX = "□"
"""Stands for characters that no installed font has."""
NO_LETTERS = "Last Resort"
"""A font that has a box for each character."""
MOST_NAMED = 10
"""Characters that a warning names."""


@contextmanager
def lettering(texts: Iterable[str]) -> Iterator[Callable[[str], str]]:
    """Texts made in this context are drawn in fonts that have their characters.

    Yields:
        what makes a text drawable: characters that no installed font has become boxes, of which
        one warning tells.
    """
    every: set[str] = set().union(*texts)
    wanted = {c for c in every if ord(c) > 127 and unicodedata.category(c)[0] != "C"}
    manager = mpl("matplotlib.font_manager").fontManager
    usual = mpl("matplotlib.font_manager").findfont("DejaVu Sans")
    families, lacking = ["DejaVu Sans"], wanted - _characters(usual)
    for font in sorted(manager.ttflist, key=_preference) if lacking else ():
        if font.name.startswith(NO_LETTERS):
            continue
        found = lacking & _characters(font.fname)
        if found and font.name not in families:
            families.append(font.name)
            lacking -= found
        if not lacking:
            break
    if lacking:
        some = "".join(sorted(lacking)[:MOST_NAMED])
        warnings.warn(
            f"no installed font has the characters {some}: they are drawn as {BOX}; install one,"
            " such as Noto Sans CJK, and draw again",
            DataWarning,
            stacklevel=4,
        )
    boxes = str.maketrans(dict.fromkeys(lacking, BOX))
    with mpl().rc_context({"font.family": families}):
        yield lambda text: text.translate(boxes)


def _preference(font: Any) -> tuple[bool, bool, bool, str]:
    """Upright sans-serif fonts of usual weight come first."""
    return "Sans" not in font.name, font.style != "normal", font.weight != 400, font.name


@lru_cache(maxsize=4096)
def _characters(path: str) -> frozenset[str]:
    """The characters that a font file has; none of one that cannot be read."""
    try:
        return frozenset(map(chr, mpl("matplotlib.ft2font").FT2Font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()
