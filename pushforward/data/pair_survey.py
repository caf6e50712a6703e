"""Pairs of images that may not fit together: partners, counts and sizes, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pushforward.core.argument_names import setting
from pushforward.core.scan import Issue
from pushforward.data.files import listed, locate
from pushforward.data.formats.image_files import open_listing, survey_images
from pushforward.data.formats.image_lists import ImageFile
from pushforward.data.formats.images import Header
from pushforward.data.options import Options
from pushforward.data.sources.pairs import stems

__all__ = ["survey_partners"]

Surveyed = Sequence[tuple[ImageFile, Header]]


def survey_partners(
    images: Surveyed, conditions: str, options: Options
) -> tuple[list[Issue], list[tuple[str, str]], str]:
    """What keeps images and the conditions at a path from being pairs, unreadable conditions, and
    how many pairs there are, with an example.

    Args:
        images: the readable images.
        conditions: a folder, glob or zip of images.
        options: of reading the images.
    """
    good, bad = survey_images(open_listing(Path(locate(conditions))).files)
    other_names, names = (stems([file for file, _ in listing]) for listing in (good, images))
    partners, own = dict(zip(other_names, good)), dict(zip(names, images))
    pairs = {name: (own[name][1], partners[name][1]) for name in own if name in partners}
    issues = [_unreadable(bad, len(bad) + len(good))] if bad else []
    issues += [*_repeated(names, "images"), *_repeated(other_names, "conditions")]
    issues += _lone(own, partners)
    if options.size is None:
        issues += _unequal(pairs)
    note = f"{len(pairs)} of {len(own)} images have a condition of their name"
    if pairs:
        first = next(iter(pairs))
        note += f", such as {own[first][0].name} and {partners[first][0].name}"
    return issues, bad, note


def _unreadable(bad: Sequence[tuple[str, str]], count: int) -> Issue:
    text = f"{len(bad)} of {count} conditions cannot be read"
    return Issue("unreadable", text, "replace or remove them")


def _repeated(names: Sequence[str], what: str) -> list[Issue]:
    """Files that differ in their endings alone."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if not twice:
        return []
    text = f"several {what} have one name without its ending: {listed(twice, 5)}"
    return [Issue("partners", text, "rename or remove all but one")]


def _lone(own: Mapping[str, object], partners: Mapping[str, object]) -> list[Issue]:
    """Images without a condition, and conditions without an image."""
    lone = [name for name in own if name not in partners]
    others = [name for name in partners if name not in own]
    if not lone and not others:
        return []
    text = f"{len(own)} images and {len(partners)} conditions are paired by name, but"
    parts = [
        f"{len(names)} {what}: {listed(names, 5)}"
        for names, what in ((lone, "have no condition"), (others, "have no image"))
        if names
    ]
    return [Issue("partners", f"{text} {'; '.join(parts)}", "give both the same names")]


def _unequal(pairs: Mapping[str, tuple[Header, Header]]) -> list[Issue]:
    """Pairs of different sizes, unless all conditions are smaller or larger by one factor."""
    ratios = {(x.height * y.width, x.width * y.height) for x, y in pairs.values()}
    factors = {(x.height / y.height, x.width / y.width) for x, y in pairs.values()}
    unequal = {
        name: (x, y) for name, (x, y) in pairs.items() if (x.height, x.width) != (y.height, y.width)
    }
    if not unequal or (len(factors) == 1 and all(a == b for a, b in ratios)):
        return []
    examples = [
        f"{name} ({x.height}×{x.width} and {y.height}×{y.width})"
        for name, (x, y) in unequal.items()
    ]
    text = f"{len(unequal)} of {len(pairs)} pairs differ in size: {listed(examples, 3)}"
    advice = f"{setting('size', 64)} brings both to one size"
    if any(a != b for a, b in ratios):
        advice += f"; their shapes differ, too: {setting('fit', 'stretch')} keeps all of both"
    return [Issue("pair sizes", text, advice)]
