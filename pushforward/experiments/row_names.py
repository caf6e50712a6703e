"""What a table calls its rows: the text of a column that was left out of a fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushforward.core.errors import PushforwardError
from pushforward.data.options import Options
from pushforward.data.tables.files import is_table, open_table
from pushforward.data.tables.text_format import TableFormat
from pushforward.experiments.opened import OpenedRun, table_settings

__all__ = ["RowNames", "find_row_names"]

DISTINCT = 0.5
"""Share of rows that have a name of their own, at least."""


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
