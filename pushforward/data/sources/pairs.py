"""Images with images as their conditions: derived from them, or from a source of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, ShapeMismatch
from pushforward.core.numbers import to_floating
from pushforward.core.phase import Batch
from pushforward.core.provenance import Provenance
from pushforward.core.source import Source
from pushforward.core.source_views import Subset, View
from pushforward.core.space import Space
from pushforward.data.files import listed, printable
from pushforward.data.pairing import Pairing

__all__ = ["DerivedPairs", "Pairs", "match_by_name", "require_partners", "stems"]


class _PairedImages(View):
    """Images with images as conditions, requested by the caller."""

    unasked_labels = False

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.notes: tuple[str, ...] = tuple(getattr(source, "notes", ()))
        self._provenance = Provenance()

    @property
    def provenance(self) -> Provenance:
        """How to read the pairs again."""
        return self._provenance

    @provenance.setter
    def provenance(self, value: Provenance) -> None:
        self._provenance = value


class DerivedPairs(_PairedImages):
    """Images whose conditions are derived from them.

    Args:
        source: of the images.
        pairing: how they are divided.
    """

    def __init__(self, source: Source, pairing: Pairing) -> None:
        super().__init__(source)
        self.pairing = pairing.settled(source)
        self._spaces = self.pairing.spaces(source.space)
        self.notes = (*self.notes, *self.pairing.remarks(source))

    @property
    def space(self) -> Space:
        """The space of what is modelled."""
        return self._spaces[0]

    @property
    def condition_space(self) -> Space:
        """The space of one condition."""
        return self._spaces[1]

    def take(self, rows: Tensor) -> Batch:
        """The given rows, with their conditions."""
        batch = self.source.take(rows)
        x = to_floating(batch.x)
        y = self.pairing.condition(x, self.source.space, rows)
        return Batch(self.pairing.observed(x, self.source.space), y, batch.weights)


class Pairs(_PairedImages):
    """Images with the images of another source as conditions, row by row.

    Args:
        source: of what is modelled.
        conditions: of its conditions, as many.

    Raises:
        ShapeMismatch: If they are not as many.
    """

    def __init__(self, source: Source, conditions: Source) -> None:
        super().__init__(source)
        if len(source) != len(conditions):
            raise ShapeMismatch(
                f"expected a condition for each of {len(source)} images, got {len(conditions)}"
            )
        self.conditions = conditions

    @property
    def condition_space(self) -> Space:
        """The space of the conditions."""
        return self.conditions.space

    @property
    def resident(self) -> bool:
        """Whether both are."""
        return self.source.resident and self.conditions.resident

    def take(self, rows: Tensor) -> Batch:
        """The given rows, with their conditions."""
        batch = self.source.take(rows)
        return Batch(batch.x, to_floating(self.conditions.take(rows).x), batch.weights)


def match_by_name(source: Source, conditions: Source, name: str) -> Source:
    """The conditions in the order of the images, found by the names of their files.

    Names are compared without their endings, so that 'a/1.jpg' belongs to 'a/1.png'. Sources that
    are not files are paired row by row.

    Raises:
        BadSource: If an image or a condition has no partner, or two have one name.
    """
    files, others = getattr(source, "files", None), getattr(conditions, "files", None)
    if files is None or others is None:
        return conditions
    names, other_names = stems(files), stems(others)
    require_partners(names, other_names, name)
    places = {stem: place for place, stem in enumerate(other_names)}
    return Subset(conditions, torch.tensor([places[stem] for stem in names]))


def require_partners(names: Sequence[str], others: Sequence[str], name: str) -> None:
    """Raise BadSource unless images and conditions of the same names come in pairs.

    Args:
        names: the names of the images, without their endings.
        others: those of the conditions.
        name: of the images, in the error.
    """
    for what, several in (("images", names), ("conditions", others)):
        twice = sorted(stem for stem, count in Counter(several).items() if count > 1)
        if twice:
            raise BadSource(
                f"{printable(name)}: images and conditions belong together by the names of their"
                f" files without endings, but several {what} are called {listed(twice)}; rename or"
                " remove all but one"
            )
    there, wanted = set(others), set(names)
    lone = [stem for stem in names if stem not in there]
    others_lone = sorted(there - wanted)
    if lone or others_lone:
        what = f"without a condition: {listed(lone)}" if lone else ""
        rest = f"without an image: {listed(others_lone)}" if others_lone else ""
        raise BadSource(
            f"{printable(name)}: images and conditions belong together by the names of their files,"
            f" but some have no partner ({'; '.join(filter(None, [what, rest]))}); give both the"
            " same names"
        )


def stems(files: Sequence[Any]) -> list[str]:
    """The names of files without their endings, by which pairs are found."""
    return [PurePosixPath(file.name).with_suffix("").as_posix() for file in files]
