"""Selection of the columns of a table to use as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Frame
from pushforward.core.errors import BadSource, InvalidValue, ShapeMismatch, suggest
from pushforward.data.options import Options
from pushforward.data.tables.table import Table

__all__ = ["special_columns", "condition_names", "NAMELESS", "wanted_columns"]

NAMELESS = ("", "Unnamed: 0")
"""The name of an unnamed column."""


def wanted_columns(
    chunk: Frame, names: list[str], table: Table, options: Options, notes: list[str]
) -> list[str]:
    """The columns to use, in order.

    Args:
        chunk: the table's first rows.
        notes: decisions are appended.

    Raises:
        InvalidValue: For names that are not there.
    """
    name = options.name or table.name
    twice = next((n for n, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise BadSource(f"{name}: column {twice!r} appears twice; rename one")
    present, special = set(names), set(special_columns(options))
    requested = (
        *options.categorical,
        *options.drop,
        *(options.columns or ()),
        *special_columns(options),
    )
    missing = next((n for n in requested if n not in present), None)
    if missing is not None and options.like is None:
        raise InvalidValue(f"{name}: no column {missing!r}; {suggest(missing, names)}")
    if options.like is not None and any(c.name for c in options.like.columns):
        return _like_columns(present, names, options, name)
    drop = set(options.drop)
    if options.columns is not None:
        return [n for n in options.columns if n not in drop]
    index = set() if table.unnamed else _index(chunk, names, drop, notes)
    return [n for n in names if n not in drop and n not in index and n not in special]


def _like_columns(present: set[str], names: list[str], options: Options, name: str) -> list[str]:
    assert options.like is not None
    expected = options.like.names
    missing = [n for n in expected if n not in present]
    if missing:
        raise ShapeMismatch(
            f"{name}: column {missing[0]!r} is missing; expected {_few(expected)}, got"
            f" {_few(names)}"
        )
    return list(expected)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "")


def _index(chunk: Frame, names: list[str], drop: set[str], notes: list[str]) -> set[str]:
    """An unnamed first column of row numbers, to be left out.

    A note if the numbers are out of order.
    """
    if not names or names[0] not in NAMELESS or names[0] in drop or not len(chunk):
        return set()
    values = chunk.iloc[:, 0]
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "iu":
        return set()
    first = int(values.iloc[0])
    if first in (0, 1) and bool((values.to_numpy() == np.arange(first, first + len(values))).all()):
        notes.append("the first column only numbers the rows and is left out")
        return {names[0]}
    if len(values) > 1 and values.is_unique:
        notes.append(
            f"column {names[0]!r} has no name and holds whole numbers that all differ, like row"
            " numbers of a table that was shuffled or cut; it is kept as a column: leave it out"
            f" with {setting('drop', [names[0]])}"
        )
    return set()


def special_columns(options: Options) -> tuple[str, ...]:
    """Columns that are conditions or weights, not data."""
    named = [options.label_name, options.weights if isinstance(options.weights, str) else None]
    return (*(n for n in named if n is not None), *condition_names(options))


def condition_names(options: Options) -> tuple[str, ...]:
    """The columns that y names."""
    if isinstance(options.y, str):
        return tuple(part.strip() for part in options.y.split(","))
    if (
        isinstance(options.y, Sequence)
        and options.y
        and all(isinstance(v, str) for v in options.y)
        and len(options.y) < 64
    ):
        return tuple(options.y) if options.label_name is None else ()
    return ()
