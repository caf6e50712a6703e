"""What a table holds that its reader probably did not mean: texts among numbers, and categories
that look like missing values.
"""

from __future__ import annotations

from collections.abc import Iterator

from pushforward.core.argument_names import setting
from pushforward.data.tables.markers import looks_missing
from pushforward.data.tables.surveys import Survey
from pushforward.data.tables.types import CATEGORIES, DECLARED

__all__ = ["looks", "remarks"]

_SHOWN = 3
"""Columns that are named."""


def remarks(survey: Survey) -> list[str]:
    """What to say about columns whose types were inferred, in sentences with a remedy."""
    said = []
    for column in survey.texts:
        if column.bad is not None:
            row, cell = column.bad
            said.append(
                f"column {column.name!r} is taken as text: row {row} (the first is row 0) holds"
                f" {cell!r} where most others are numbers; if that means a missing value, pass"
                f" {setting('na', [cell])}"
            )
    return [*said, *(f"{text}; if it is one, pass {remedy}" for text, remedy in looks(survey))]


def looks(survey: Survey) -> Iterator[tuple[str, str]]:
    """Categories that look like missing values, and the setting that makes them."""
    found: dict[str, list[str]] = {}
    for name, kind in survey.types.items():
        column = survey.columns.get(name)
        if column is None or kind.type not in CATEGORIES or kind.reason == DECLARED:
            continue
        for category in column.categories:
            if isinstance(category, str) and looks_missing(category):
                found.setdefault(category.strip(), []).append(name)
    for text, names in found.items():
        where = ", ".join(repr(name) for name in names[:_SHOWN])
        where += ", …" if len(names) > _SHOWN else ""
        yield f"{text!r} in {where} looks like a missing value", setting("na", [text])
