"""What a table calls its rows: identifiers, or texts that most rows do not share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pushforward.core.dates import is_missing
from pushforward.core.errors import PushforwardError, printable
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data.options import Options
from pushforward.data.tables.files import is_table, open_table
from pushforward.data.tables.text_format import TableFormat
from pushforward.experiments.opened import OpenedRun, table_settings
from pushforward.tabular.wording import in_words

__all__ = ["RowNames", "find_row_names", "name_in_words", "names_of_row", "naming_columns"]

DISTINCT = 0.5
"""Share of rows that have a name of their own, at least."""
NAMING = ("identifier", "text")
"""Types of columns, kept out of models, that name rows: the best first."""
LONGEST_NAME = 40
"""Characters of a name in a sentence."""


@dataclass(frozen=True)
class RowNames:
    """The name of every row, '' where it is missing.

    Args:
        column: of the table.
        names: (n,), in the order of the rows.
    """

    column: str
    names: list[str]


def find_row_names(run: OpenedRun, rows: int) -> RowNames | None:
    """The first column that a run left out of its table whose values tell its rows apart.

    None if there is none, if the table cannot be read, or if it has another number of rows.
    """
    source = run.provenance.source
    dropped: Any = run.provenance.reading.get("drop") or ()
    wanted = [dropped] if isinstance(dropped, str) else list(dropped)
    if source is None or not wanted:
        return None
    path = Path(source).expanduser()
    try:
        if not path.exists() or not is_table(path):
            return None
        options = Options(table=TableFormat.check(**table_settings(str(path), run)))
        columns = _texts(open_table(path, options).frames(options), wanted)
    except (PushforwardError, OSError):
        return None
    for name, texts in columns.items():
        if len(texts) == rows and len(set(texts)) >= DISTINCT * rows:
            return RowNames(name, texts)
    return None


def _texts(frames: Iterable[Any], wanted: list[str]) -> dict[str, list[str]]:
    """Columns as text, chunk by chunk."""
    found: dict[str, list[str]] = {}
    for frame in frames:
        for name in wanted:
            if name in frame.columns:
                series = frame[name]
                texts = series.astype(object).where(series.notna(), "").astype(str)
                found.setdefault(name, []).extend(texts.tolist())
    return found


# ------------------------------------------------------------------- columns that were not left out


def naming_columns(space: Space, rows: Source | None) -> list[str]:
    """The columns by which readers know a row of a table: its identifiers, or else its first text,
    such as a name that some rows share, or the first column of almost as many categories as rows
    (if these are given).
    """
    carried = space.extra.get("carried", ())
    by_type = [[c["name"] for c in carried if c["type"] == kind] for kind in NAMING]
    least = math.inf if rows is None else DISTINCT * len(rows)
    by_type.append([n for n, c in zip(space.names, space.columns) if len(c.categories) >= least])
    return by_type[0] or by_type[1][:1] or by_type[2][:1]


def names_of_row(space: Space, rows: Source | None, row: int) -> dict[str, Any]:
    """What a row is called, by column."""
    if rows is None:
        return {}
    held, found = getattr(rows, "carried", {}), {}
    for name in naming_columns(space, rows):
        if name in held:
            found[name] = held[name][row]
        elif name in space.names:
            j = space.names.index(name)
            code = float(rows.take(torch.tensor([row])).x[0, j])
            found[name] = in_words(code, space.columns[j])
    return found


def name_in_words(names: Mapping[str, Any]) -> str:
    """What a row is called, by column, such as 'id K-1012'; missing names are left out."""
    there = {name: value for name, value in names.items() if not is_missing(value)}
    return ", ".join(f"{name} {printable(value, LONGEST_NAME)}" for name, value in there.items())
