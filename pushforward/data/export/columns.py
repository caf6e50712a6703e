"""Columns of equal length as text: CSV, TSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

from torch import Tensor

from pushforward.core.column_values import as_values
from pushforward.core.json_values import finite
from pushforward.core.space import Space

__all__ = ["column_values", "format_columns"]


def column_values(x: Tensor, space: Space) -> dict[str, list[object]]:
    """The columns of points (n, d) by name, as Python's values: categories and dates as texts."""
    values = x.detach().cpu().numpy()
    return {
        str(name): list(as_values(values[:, j], column))
        for j, (name, column) in enumerate(zip(space.names, space.columns))
    }


def format_columns(columns: Mapping[str, Sequence[object]], suffix: str) -> str:
    """The text of a table: a heading and a line for each row, or an object for each row in JSON.

    Example:
        >>> print(format_columns({"row": [0, 1], "density": [-1.5, -2.0]}, ".csv"), end="")
        row,density
        0,-1.5
        1,-2.0
    """
    stream, rows = io.StringIO(), zip(*columns.values())
    if suffix == ".json":
        stream.writelines(json.dumps(finite(dict(zip(columns, row)))) + "\n" for row in rows)
        return stream.getvalue()
    writer = csv.writer(stream, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()
